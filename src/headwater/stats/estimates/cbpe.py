"""Performance of a classifier expected from its own recalibrated probabilities (CBPE), without labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, UsageError
from headwater.stats.estimates.encoding import Encoding, Rows, unlike
from headwater.stats.estimates.estimation import Point
from headwater.stats.estimates.recalibration import CELLS, Reliability, cell_of, sums

Floats = npt.NDArray[np.float64]

_CLIP = 1e-6
_BEYOND = 0.05
# What a row adds above and below the line of a ratio: (without, for each 1) if the decision is 0, then if it is 1.
_RATIOS: Mapping[str, tuple[tuple[float, float, float, float], tuple[float, float, float, float]]] = {
    "accuracy": ((1, -1, 0, 1), (1, 0, 1, 0)),
    "precision": ((0, 0, 0, 1), (0, 0, 1, 0)),
    "recall": ((0, 0, 0, 1), (0, 1, 0, 1)),
    "specificity": ((1, -1, 0, 0), (1, -1, 1, -1)),
    "f1": ((0, 0, 0, 2), (0, 1, 1, 1)),
    "base_rate": ((0, 1, 0, 1), (1, 0, 1, 0)),
}
METRICS = (*_RATIOS, "log_loss", "cost")
MIN_CLASS = 20
"""Labelled rows of either outcome without which nothing can be calibrated."""
MEMORIES = (0.65, 0.35, 0.9, 1.0)
"""Memories to choose from; which one is best depends on how long windows are and how fast their world changes."""


@dataclass(frozen=True)
class Tally:
    """One scored window as counts by cell of p: enough to estimate it, and with labels to learn from it. Mergeable.

    Attributes:
        rows: Scored rows, shape (2, `CELLS`): by decision and cell of p.
        scores: Sum of p by cell.
        losses: For ``log_loss`` and ``cost`` their sums by cell, shape (3, `CELLS`): were every outcome 0, were it 1,
            and the squared difference of the two.
        positive: Rows that came out 1, of the shape of ``rows``; None without labels.
        realised: Sums of ``losses`` as they came out.
        kept: The rows themselves, for the test of their domain and for `Pape`; merging drops them.
    """

    rows: Floats
    scores: Floats
    losses: Mapping[str, Floats]
    positive: Floats | None = None
    realised: Mapping[str, float] = field(default_factory=dict)
    kept: Rows | None = None

    @classmethod
    def of(
        cls,
        p: Floats,
        decision: Floats,
        outcome: Floats | None = None,
        costs: tuple[Floats, Floats] | None = None,
        given: tuple[Encoding, pl.DataFrame] | None = None,
    ) -> Tally:
        """Count one window.

        Args:
            p: Probability of 1 of each row.
            decision: What was decided, 0 or 1.
            outcome: What became of it, 0 or 1; None while labels are to come. Rows without label are to be left out.
            costs: What each row costs if its outcome is 0, and if it is 1.
            given: The features that the model was given, and how they are cut into cells: then estimates are withheld
                outside of the domain that labelled windows have shown.

        Raises:
            DataError: a value is missing or impossible, or lengths differ.

        Example:
            >>> import numpy as np
            >>> Tally.of(np.array([0.2, 0.9]), np.array([0, 1])).n
            2
        """
        p = checked("p", p, len(p), high=1.0)
        decision = checked("decision", decision, len(p), whole=True)
        cell = cell_of(p)
        place = cell + CELLS * decision.astype(np.intp)
        rows = np.bincount(place, minlength=2 * CELLS).reshape(2, CELLS).astype(np.float64)
        sure = np.clip(p, _CLIP, 1 - _CLIP)
        pairs = {"log_loss": (-np.log1p(-sure), -np.log(sure))}
        if costs is not None:
            pairs["cost"] = (checked("cost", costs[0], len(p), low=None), checked("cost", costs[1], len(p), low=None))
        losses = {
            name: np.stack([sums(cell, part, CELLS) for part in (zero, one, (one - zero) ** 2)])
            for name, (zero, one) in pairs.items()
        }
        scores = sums(cell, p, CELLS)
        kept = None
        if given is not None:
            known = np.full(len(p), math.nan) if outcome is None else np.asarray(outcome, dtype=np.float64)
            kept = Rows(given[0], given[0].codes(given[1]), p, known)
        if outcome is None:
            return cls(rows, scores, losses, kept=kept)
        y = checked("outcome", outcome, len(p), whole=True)
        positive = sums(place, y, 2 * CELLS).reshape(2, CELLS)
        came = {name: float((zero + y * (one - zero)).sum()) for name, (zero, one) in pairs.items()}
        return cls(rows, scores, losses, positive, came, kept)

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(self.rows.sum())

    @cached_property
    def reliability(self) -> Reliability:
        """How often each cell came out 1.

        Raises:
            UsageError: the window has no labels.
        """
        if self.positive is None:
            raise UsageError("a window without labels says nothing about calibration")
        return Reliability(self.rows.sum(axis=0), self.scores, self.positive.sum(axis=0))

    def merge(self, other: Tally) -> Tally:
        """Add the counts of another window or segment; with labels only if both have them."""
        both = self.positive is not None and other.positive is not None
        return Tally(
            self.rows + other.rows,
            self.scores + other.scores,
            {name: part + other.losses[name] for name, part in self.losses.items() if name in other.losses},
            self.positive + other.positive if self.positive is not None and other.positive is not None else None,
            {name: part + other.realised[name] for name, part in self.realised.items() if name in other.realised}
            if both
            else {},
        )


def checked(
    name: str, values: object, n: int, low: float | None = 0.0, high: float | None = None, whole: bool = False
) -> Floats:
    """Return numbers as floats.

    Args:
        name: What they are, for the error.
        values: One number per row.
        n: How many there must be.
        low: Smallest allowed; None for no limit.
        high: Largest allowed; None for no limit.
        whole: Only 0 and 1 are allowed.

    Raises:
        DataError: they are no numbers, not as many, missing, infinite or out of range.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`{name}` is not made of numbers: {error}") from error
    if found.shape != (n,):
        raise DataError(f"`{name}` has the shape {found.shape} for {n} rows", hint="give one number per row")
    if not n:
        return found
    least, most = float(found.min()), float(found.max())  # either is NaN if any value is
    if not (math.isfinite(least) and math.isfinite(most)):
        raise DataError(f"`{name}` is missing or infinite in some rows", hint="leave such rows out and count them")
    if whole and not ((found == 0) | (found == 1)).all():
        raise DataError(f"`{name}` is not 0 or 1 everywhere: it goes from {least:g} to {most:g}")
    if not whole and ((low is not None and least < low) or (high is not None and most > high)):
        raise DataError(f"`{name}` goes from {least:g} to {most:g}", hint=f"it has to lie from {low} to {high}")
    return found


def expected(current: Tally, calibrated: Floats) -> dict[str, Point]:
    """Return what each metric would be, on average, were outcomes to follow calibrated probabilities.

    Every ratio's numerator and denominator is linear in the outcomes; the value is the ratio of their means, the
    deviation comes from the variance of the outcomes by the delta method. A metric without any row to speak of
    (precision without a warning) is left out. ``cost`` is the mean cost of a row.

    Args:
        current: The window.
        calibrated: Probability of 1 in each cell, see `Reliability.recalibrated`.
    """
    n = current.n
    if not n:
        return {}
    q, spread = calibrated, calibrated * (1 - calibrated)
    rows = current.rows.sum(axis=1)  # by decision
    ones, noise = current.rows @ q, current.rows @ spread
    found = {}
    for name, (above, below) in _RATIOS.items():
        bottom = below[0] * rows[0] + below[1] * ones[0] + below[2] * rows[1] + below[3] * ones[1]
        top = above[0] * rows[0] + above[1] * ones[0] + above[2] * rows[1] + above[3] * ones[1]
        if bottom > 1e-9:
            value = min(1.0, max(0.0, float(top / bottom)))
            pull = [(above[at] - value * below[at]) / bottom for at in (1, 3)]
            deviation = math.sqrt(float(pull[0] ** 2 * noise[0] + pull[1] ** 2 * noise[1]))
            found[name] = Point(value, deviation)
    for name, (zero, one, squared) in current.losses.items():
        value = float((zero + q * (one - zero)).sum()) / n
        found[name] = Point(value, math.sqrt(float(spread @ squared)) / n)
    return found


def realised(window: Tally) -> dict[str, float]:
    """Return the metrics of a window with labels as they came out; those that are not defined are left out."""
    if window.positive is None or not window.n:
        return {}
    rows, ones = window.rows.sum(axis=1), window.positive.sum(axis=1)
    found = {name: total / window.n for name, total in window.realised.items()}
    for name, (above, below) in _RATIOS.items():
        bottom = below[0] * rows[0] + below[1] * ones[0] + below[2] * rows[1] + below[3] * ones[1]
        top = above[0] * rows[0] + above[1] * ones[0] + above[2] * rows[1] + above[3] * ones[1]
        if bottom > 0:
            found[name] = float(top / bottom)
    return found


@dataclass
class Cbpe:
    """Confidence-based performance estimation: recalibrate on labelled windows, then believe the probabilities.

    Never for the AUC, which hangs on how rows are ordered, and calibration does not settle that; what was measured is
    in `stats.estimates.estimation.REFUSED`.

    Args:
        memory: Weight of a labelled window relative to the one after it; 1 never forgets.

    References:
        Białek, Kuberski, Perrakis, Bifet (2024), Estimating model performance under covariate shift without labels,
        sec. 3, for the estimator; recalibration on labelled windows as they come is what it needs in practice.
    """

    memory: float = 1.0

    def __post_init__(self) -> None:
        self._learned: tuple[list[Tally], Reliability, Floats] | None = None

    @property
    def name(self) -> str:
        """The method and its memory."""
        return f"cbpe {self.memory:g}"

    def points(self, settled: Sequence[Tally], current: Tally) -> dict[str, Point]:
        """Return the estimate of each metric in `METRICS`."""
        return expected(current, self.calibration(settled)[1])

    def realised(self, window: Tally) -> dict[str, float]:
        """Return the metrics of a window with labels."""
        return realised(window)

    def size(self, window: Tally) -> int:
        """Return the rows of a window."""
        return window.n

    def doubt(self, settled: Sequence[Tally], current: Tally) -> str:
        """Doubt a window when labelled rows are few or of one class, or have no p like its own."""
        learned = self.calibration(settled)[0]
        ones, rows = float(learned.positive.sum()), float(learned.rows.sum())
        if min(ones, rows - ones) < MIN_CLASS:
            return f"{ones:.0f} of {rows:.0f} labelled rows, weighted by age, came out 1: too few of one kind"
        there = np.flatnonzero(learned.rows)
        cells = current.rows.sum(axis=0)
        beyond = float(cells[: there[0]].sum() + cells[there[-1] + 1 :].sum()) / current.n
        if beyond > _BEYOND:
            return f"{beyond:.0%} of the rows have a p that no labelled row had"
        kept = [window.kept.margins for window in settled if window.kept is not None]
        if current.kept is not None and len(kept) == len(settled):
            return unlike(current.kept.encoding, kept, current.kept.margins)
        return ""

    def calibration(self, settled: Sequence[Tally]) -> tuple[Reliability, Floats]:
        """Return what the settled windows teach: their counts, and the calibrated probability of each cell."""
        if self._learned is None or list(map(id, self._learned[0])) != list(map(id, settled)):
            learned = remembered(settled, self.memory)
            self._learned = (list(settled), learned, learned.recalibrated())
        return self._learned[1:]


def remembered(settled: Sequence[Tally], memory: float) -> Reliability:
    """Add up the reliability of windows, each weighing ``memory`` times the one after it."""
    total = np.zeros((3, CELLS))
    for window in settled:
        part = window.reliability
        total *= memory
        total[0] += part.rows
        total[1] += part.scores
        total[2] += part.positive
    return Reliability(*total)
