"""CBPE recalibrated on labelled rows weighted to resemble the window (PAPE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.estimates.cbpe import Tally, expected, realised
from headwater.stats.estimates.encoding import ENOUGH, Codes, Rows, unlike
from headwater.stats.estimates.estimation import Point
from headwater.stats.estimates.recalibration import Reliability

Floats = npt.NDArray[np.float64]

_ROWS = 60_000  # newest labelled rows that are weighted; more cost time and change little
_SWEEPS = 15
_DAMPING = 0.7  # columns depend on each other: full steps overshoot
_CAP = 20.0  # no row counts for more than so many, or for less than one part in so many
_FLOOR = 1e-4


def raked(codes: Codes, sizes: Sequence[int], shares: Sequence[Floats]) -> Floats:
    """Weight rows so that the share of each cell of each column is as wanted; weights average 1.

    Iterative proportional fitting with damped steps: of all weights that bring the columns' own distributions about,
    those nearest to 1 in entropy. Weights are clipped to 1/20..20, so that rare rows do not stand for everything. It
    misleads when the columns' dependence changed and their own distributions did not.

    Args:
        codes: Cell of each row and column.
        sizes: Cells of each column.
        shares: Wanted share of each cell, per column.

    References:
        Deming, Stephan (1940), On a least squares adjustment of a sampled frequency table, Ann. Math. Statist. 11;
        Sugiyama, Suzuki, Kanamori (2012), Density Ratio Estimation in Machine Learning, ch. 4, for moment matching.

    Example:
        >>> import numpy as np
        >>> weights = raked(np.array([[0], [0], [0], [1]]), [2], [np.array([0.5, 0.5])])
        >>> weights.round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    weight = np.ones(len(codes))
    columns = [np.ascontiguousarray(codes[:, at]) for at in range(codes.shape[1])]
    for _ in range(_SWEEPS):
        for column, size, wanted in zip(columns, sizes, shares, strict=True):
            have = np.bincount(column, weight, size) / weight.sum()
            step = np.where(have > 0, (wanted + _FLOOR) / (have + _FLOOR), 1.0) ** _DAMPING
            weight = weight * step[column]
        weight = np.clip(weight / weight.mean(), 1 / _CAP, _CAP)
    return np.asarray(weight / weight.mean())


def effective(weight: Floats) -> float:
    """Return the effective sample size as a share of the rows (Kish 1965, sec. 11.2)."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares / len(weight) if squares > 0 else 0.0


@dataclass
class Pape:
    """Probability-adaptive performance estimation: recalibrate on rows weighted to resemble the window.

    Where the meaning of p depends on who is scored, it follows a change of the mix that CBPE cannot. Windows need their
    `Rows`; refused when the weighted rows are worth less than a tenth of
    their number.

    Args:
        memory: Weight of a labelled window relative to the one after it.

    References:
        Białek, Kuberski, Perrakis, Bifet (2024), Estimating model performance under covariate shift without labels,
        sec. 4; there the ratio comes from a classifier, here from raking.
    """

    memory: float = 0.8

    def __post_init__(self) -> None:
        self._weighed: tuple[Tally, list[Rows], Floats] | None = None

    @property
    def name(self) -> str:
        """The method and its memory."""
        return f"pape {self.memory:g}"

    def points(self, settled: Sequence[Tally], current: Tally) -> dict[str, Point]:
        """Return the estimate of each metric; none for windows without their rows."""
        there = newest(settled)
        if current.kept is None or not there:
            return {}
        age = [np.full(len(rows.p), self.memory ** (len(there) - 1 - at)) for at, rows in enumerate(there)]
        weight = self._weights(there, current, current.kept) * np.concatenate(age)
        p, outcome = np.concatenate([rows.p for rows in there]), np.concatenate([rows.outcome for rows in there])
        return expected(current, Reliability.of(p, outcome, weight).recalibrated())

    def realised(self, window: Tally) -> dict[str, float]:
        """Return the metrics of a window with labels."""
        return realised(window)

    def size(self, window: Tally) -> int:
        """Return the rows of a window."""
        return window.n

    def doubt(self, settled: Sequence[Tally], current: Tally) -> str:
        """Doubt a window whose rows labelled rows cannot be made to resemble."""
        there = newest(settled)
        if current.kept is None or not there:
            return "the windows were kept without their rows"
        worth = effective(self._weights(there, current, current.kept))
        if worth < ENOUGH:
            return f"weighted to resemble the window, labelled rows count for {worth:.0%} of their number"
        return unlike(current.kept.encoding, [rows.margins for rows in there], current.kept.margins)

    def _weights(self, settled: list[Rows], current: Tally, rows: Rows) -> Floats:
        """Weights of the labelled rows; kept until another window is asked for."""
        known = self._weighed
        if known is not None and known[0] is current and list(map(id, known[1])) == list(map(id, settled)):
            return known[2]
        sizes = rows.encoding.sizes
        parts = np.split(rows.margins / max(len(rows.p), 1), np.cumsum(sizes)[:-1])
        weight = raked(np.concatenate([other.codes for other in settled]), sizes, parts)
        self._weighed = (current, settled, weight)
        return weight


def newest(settled: Sequence[Tally]) -> list[Rows]:
    """Return the rows of the newest windows, as many as are worth their time, in order; none if they were not kept."""
    found: list[Rows] = []
    for window in reversed(settled):
        if window.kept is None or sum(len(rows.p) for rows in found) > _ROWS:
            break
        found.insert(0, window.kept)
    return found
