"""The release gate: may this candidate take over from the champion?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError
from headwater.mlops.serving import Score, scored
from headwater.mlops.training import WINDOW
from headwater.stats.intervals import t_interval, t_quantile
from headwater.stats.performance import auc, calibration_line, log_loss


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a candidate must meet.

    The defaults were set on the 2013 New York flights (a boosted tree with isotonic calibration, compared on 36 days):
    the bound of a candidate that differs from the champion by its seed alone was at most 4.3 % of the champion's log
    loss, over 56 pairs; that of a candidate without its weather columns, or without the hour, 13 %.

    Attributes:
        margin: How much worse the log loss may be, as a share of the champion's. Without a margin no equal model could
            pass.
        confidence: One-sided confidence of the non-inferiority bound, and of "demonstrably" below.
        slope_low: Least calibration slope.
        slope_high: Greatest calibration slope. A candidate is refused when its slope is demonstrably outside. The band
            is the same factor both ways, and wider than the .9 to 1.1 one reads of: there, of 9 sound models 8 were out
            of .9 to 1.1 in the month after their training, and one was out of .8 to 1.25, at .79, which the demand that
            it be demonstrably so is there to forgive. It is a check for gross faults: an uncalibrated boosted tree has
            a slope of .88 to 1.08 on the same data and passes.
        auc: Least AUC.
        slice_rows: Slices with fewer rows are not judged.
        slice_margin: How much worse a slice's log loss may be, as a share of the champion's on it, before it counts
            against the candidate; it must be so beyond chance, over all slices judged.
    """

    margin: float = 0.05
    confidence: float = 0.95
    slope_low: float = 0.8
    slope_high: float = 1.25
    auc: float = 0.55
    slice_rows: int = 200
    slice_margin: float = 0.10


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the gate: what was measured, what was asked, in words."""

    name: str
    passed: bool
    actual: float | None
    limit: float | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """The check as plain data, for the release event."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate found.

    Attributes:
        passed: Whether every check passed.
        checks: Every check that was made.
        displacement: Mean absolute difference between the candidate's and the champion's p on the same rows: what a
            release is approved to move. None for a first release.
        flipped: Share of decisions that change; None for a first release.
    """

    passed: bool
    checks: tuple[Check, ...]
    displacement: float | None
    flipped: float | None = None

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)


def gate(
    candidate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    frame: pl.DataFrame,
    score: Score,
    *,
    outcome: str,
    columns: Sequence[str],
    windows: Sequence[str] | pl.Series | None = None,
    limits: GateLimits | None = None,
    healthy: bool = True,
    reason: str = "",
    slices: Sequence[str] = (),
) -> GateReport:
    """Compare a candidate with the champion on the same labelled rows, window by window.

    Refuses a candidate that is not shown to be no worse than the champion (non-inferiority of the log loss, the paired
    difference averaged per window, t bound over windows), that ranks or calibrates badly, whose p is not a number, or
    that was trained on windows under quarantine or in an open incident. It cannot see harm that shows only in rows the
    frame lacks: the frame should be recent, and not trained on.

    Args:
        candidate: Parts of the candidate by name.
        champion: Parts of the champion; None for a first release, which meets the absolute checks only.
        frame: Served features with the outcome. Rows without an outcome are left out.
        score: The project's score function; it is given ``frame`` without the outcome.
        outcome: The label column: 0 or 1.
        columns: The feature columns, which must be there.
        windows: The window key of each row; None: the frame's ``_window`` column.
        limits: What to meet; None: the defaults.
        healthy: Whether the candidate's training windows are free of quarantine and open incidents.
        reason: Why not.
        slices: Columns of ``frame`` whose values must not be made worse.

    Returns:
        The report. The caller raises `GateRefused` when it did not pass.

    Raises:
        DataError: columns are missing or no row is labelled.
        ModelError: the champion cannot score (the candidate's failure is a failed check).
    """
    limits = limits or GateLimits()
    if windows is None and WINDOW in frame.columns:
        windows = frame[WINDOW]
    if windows is None:
        raise DataError("the gate's frame does not say which window a row is of", hint=f"add a column `{WINDOW}`")
    missing = [name for name in (outcome, *columns, *slices) if name not in frame.columns]
    if missing:
        raise DataError(f"the gate's frame lacks `{'`, `'.join(missing)}`")
    keys = pl.Series("window", list(windows), dtype=pl.String)
    if len(keys) != frame.height:
        raise DataError(f"{len(keys)} window keys do not fit {frame.height} rows of the gate's frame")
    there = frame[outcome].is_not_null()
    rows, keys = frame.filter(there), keys.filter(there)
    if not rows.height:
        raise DataError(
            "no row of the gate's frame is labelled", hint="deliver labels for the windows the gate compares on"
        )
    y, served = rows[outcome].cast(pl.Float64).to_numpy(), rows.drop(outcome, WINDOW, strict=False)
    checks = [_health(healthy, reason)]
    try:
        p, decision = scored(score, candidate, served)
    except HeadwaterError as error:
        checks.append(Check("scores", False, None, None, error.message))
        return GateReport(False, tuple(checks), None)
    checks.append(Check("scores", True, None, None, f"{rows.height} rows have a p in 0..1 and a decision"))
    checks += [_ranks(y, p.to_numpy(), limits), _calibrated(y, p.to_numpy(), keys, limits)]
    displacement = flipped = None
    if champion is not None:
        old_p, old_decision = scored(score, champion, served)
        displacement = float((p - old_p).abs().mean())  # type: ignore[arg-type]
        flipped = float((decision != old_decision).mean())  # type: ignore[arg-type]
        new, old = log_loss(y, p.to_numpy()), log_loss(y, old_p.to_numpy())
        checks.append(_no_worse(new, old, keys, limits))
        checks += _slices(rows, new, old, slices, limits)
    return GateReport(all(check.passed for check in checks), tuple(checks), displacement, flipped)


def _health(healthy: bool, reason: str) -> Check:
    detail = "its training windows are free of quarantine and open incidents"
    return Check("training windows", healthy, None, None, detail if healthy else reason or "trained on bad windows")


def _ranks(y: np.ndarray, p: np.ndarray, limits: GateLimits) -> Check:
    area = auc(y, p)
    detail = f"AUC {area:.3f}, above {limits.auc:g} is asked"
    return Check("auc", area > limits.auc, _number(area), limits.auc, detail)


def _calibrated(y: np.ndarray, p: np.ndarray, keys: pl.Series, limits: GateLimits) -> Check:
    intercept, slope = calibration_line(y, p)
    low, high = limits.slope_low, limits.slope_high
    half = NormalDist().inv_cdf(limits.confidence) * _slope_error(y, p, keys, intercept, slope)
    return Check(
        "calibration slope",
        slope + half >= low and slope - half <= high,
        _number(slope),
        low if slope < 1 else high,
        f"slope {slope:.2f} +- {half:.2f}, {low:g} to {high:g} is asked",
    )


def _slope_error(y: np.ndarray, p: np.ndarray, keys: pl.Series, intercept: float, slope: float) -> float:
    """Return the standard error of a calibration slope with windows as clusters (rows, where there is one window).

    References:
        Liang, Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73.
    """
    place = keys.rank("dense").cast(pl.Int64).to_numpy() - 1
    count = int(place.max()) + 1
    if not math.isfinite(slope):
        return math.nan
    sure = np.clip(p, 1e-6, 1 - 1e-6)
    design = np.column_stack([np.ones_like(p), np.log(sure / (1 - sure))])
    fitted = 1 / (1 + np.exp(-np.clip(design @ np.array([intercept, slope]), -35, 35)))
    bread = np.linalg.pinv((design * (fitted * (1 - fitted))[:, None]).T @ design)
    if count < 2:
        return math.sqrt(max(0.0, float(bread[1, 1])))
    scores = np.column_stack([np.bincount(place, weights=design[:, i] * (y - fitted), minlength=count) for i in (0, 1)])
    spread = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    return math.sqrt(max(0.0, float(spread[1, 1])))


def _no_worse(new: np.ndarray, old: np.ndarray, keys: pl.Series, limits: GateLimits) -> Check:
    gaps = pl.DataFrame({"key": keys, "gap": new - old}).group_by("key", maintain_order=True).agg(pl.mean("gap"))
    bound = t_interval(gaps["gap"].to_numpy(), confidence=2 * limits.confidence - 1)  # one-sided by its upper end
    limit = limits.margin * float(old.mean())
    name = "log loss against champion"
    if gaps.height < 2:
        return Check(name, False, None, limit, "one window cannot tell: compare on more")
    return Check(
        name,
        bound.high <= limit,
        _number(bound.high),
        limit,
        f"{bound.value:+.4f} on average over {gaps.height} windows, "
        f"at most {bound.high:+.4f} ({limits.confidence:.0%}); {limit:+.4f} is allowed",
    )


def _slices(
    rows: pl.DataFrame, new: np.ndarray, old: np.ndarray, slices: Sequence[str], limits: GateLimits
) -> list[Check]:
    found: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name in slices:
        places = rows.select(name).with_row_index("row").group_by(name, maintain_order=True).agg("row")
        for value, where in places.iter_rows():
            if len(where) >= limits.slice_rows:
                found.append((f"{name}={value}", new[where], old[where]))
    if not found:
        detail = f"no slice of {', '.join(slices)} has {limits.slice_rows} rows"
        return [Check("slices", True, None, 0.0, detail)] if slices else []
    worst, bad = -math.inf, []
    for label, ours, theirs in found:
        gap, allowed = ours - theirs, limits.slice_margin * float(theirs.mean())
        tail = 1 - (1 - limits.confidence) / len(found)  # Bonferroni over the slices judged
        low = float(gap.mean()) - t_quantile(tail, len(gap) - 1) * float(gap.std(ddof=1)) / math.sqrt(len(gap))
        worst = max(worst, low - allowed)
        if low > allowed:
            bad.append(f"{label} by {gap.mean():+.4f} (n {len(gap)})")
    detail = f"worse on {', '.join(bad)}" if bad else f"no worse on {len(found)} slices of {limits.slice_rows} rows"
    return [Check("slices", not bad, _number(worst), 0.0, detail)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
