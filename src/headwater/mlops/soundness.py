"""What a candidate must be by itself, whatever the champion is: better than chance, and calibrated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from headwater.core.project import Task
from headwater.stats.outcomes.performance import auc, calibration_line
from headwater.stats.outcomes.ranking import measure as measure_ranking
from headwater.stats.outcomes.regression import line, r2


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a candidate must meet.

    The defaults were set on the 2013 New York flights (a boosted tree with isotonic calibration, compared on 36 days):
    the bound of a candidate that differs from the champion by its seed alone was at most 4.3 % of the champion's log
    loss, over 56 pairs; that of a candidate without its weather columns, or without the hour, 13 %.

    Attributes:
        margin: How much worse the loss (log loss, absolute error, 1 - NDCG) may be, as a share of the champion's.
            Without a margin no equal model could pass.
        confidence: One-sided confidence of the non-inferiority bound, and of "demonstrably" below.
        slope_low: Least calibration slope.
        slope_high: Greatest calibration slope. A candidate is refused when its slope is demonstrably outside. The band
            is the same factor both ways, and wider than the .9 to 1.1 one reads of: there, of 9 sound models 8 were out
            of .9 to 1.1 in the month after their training, and one was out of .8 to 1.25, at .79, which the demand that
            it be demonstrably so is there to forgive. It is a check for gross faults: an uncalibrated boosted tree has
            a slope of .88 to 1.08 on the same data and passes. For a regression it is the slope of outcomes on
            predictions.
        auc: Least AUC, for a binary model.
        r2: Share of the outcomes' variance that a regression must explain.
        lift: By how much a ranking's NDCG must be above that of a random order.
        slice_rows: Slices with fewer rows are not judged.
        slice_margin: How much worse a slice's loss may be, as a share of the champion's on it, before it counts
            against the candidate; it must be so beyond chance, over all slices judged.
    """

    margin: float = 0.05
    confidence: float = 0.95
    slope_low: float = 0.8
    slope_high: float = 1.25
    auc: float = 0.55
    r2: float = 0.02
    lift: float = 0.02
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


def sound(
    task: Task,
    outcome: np.ndarray,
    predicted: np.ndarray,
    keys: pl.Series,
    limits: GateLimits,
    queries: Sequence[Any] | None = None,
) -> list[Check]:
    """Return what a candidate of a task is checked for by itself.

    Args:
        task: What it predicts.
        outcome: What happened.
        predicted: ``p``, the prediction, or the score.
        keys: The window of each row.
        limits: What to meet.
        queries: The query of each row, for a ranking.
    """
    if task == "ranking":
        return [_lifts(outcome, predicted, queries or [], limits)]
    calibrated = _calibrated(task, outcome, predicted, keys, limits)
    return [(_ranks if task == "binary" else _explains)(outcome, predicted, limits), calibrated]


def _ranks(y: np.ndarray, p: np.ndarray, limits: GateLimits) -> Check:
    area = auc(y, p)
    detail = f"AUC {area:.3f}, above {limits.auc:g} is asked"
    return Check("auc", area > limits.auc, number(area), limits.auc, detail)


def _explains(y: np.ndarray, told: np.ndarray, limits: GateLimits) -> Check:
    share = r2(y, told)
    detail = f"explains {share:.1%} of the outcomes' variance, above {limits.r2:.1%} is asked"
    return Check("r2", share > limits.r2, number(share), limits.r2, detail)


def _lifts(y: np.ndarray, score: np.ndarray, queries: Sequence[Any], limits: GateLimits) -> Check:
    found = measure_ranking(y, score, queries)
    lift = found.get("lift", math.nan)
    detail = f"NDCG {found.get('ndcg', math.nan):.3f} is {lift:.3f} above a random order's; {limits.lift:g} is asked"
    return Check("ndcg", lift > limits.lift, number(lift), limits.lift, detail)


def _calibrated(task: Task, y: np.ndarray, p: np.ndarray, keys: pl.Series, limits: GateLimits) -> Check:
    intercept, slope = (calibration_line if task == "binary" else line)(y, p)
    low, high = limits.slope_low, limits.slope_high
    half = NormalDist().inv_cdf(limits.confidence) * _slope_error(task, y, p, keys, intercept, slope)
    return Check(
        "calibration slope",
        slope + half >= low and slope - half <= high,
        number(slope),
        low if slope < 1 else high,
        f"slope {slope:.2f} +- {half:.2f}, {low:g} to {high:g} is asked",
    )


def _slope_error(task: Task, y: np.ndarray, p: np.ndarray, keys: pl.Series, intercept: float, slope: float) -> float:
    """Return the standard error of a calibration slope with windows as clusters (rows, where there is one window).

    References:
        Liang, Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73.
    """
    place = keys.rank("dense").cast(pl.Int64).to_numpy() - 1
    count = int(place.max()) + 1
    if not math.isfinite(slope):
        return math.nan
    if task == "binary":
        sure = np.clip(p, 1e-6, 1 - 1e-6)
        design = np.column_stack([np.ones_like(p), np.log(sure / (1 - sure))])
        fitted = 1 / (1 + np.exp(-np.clip(design @ np.array([intercept, slope]), -35, 35)))
        weight, spread = fitted * (1 - fitted), 1.0
    else:
        design = np.column_stack([np.ones_like(p), p])
        fitted = design @ np.array([intercept, slope])
        weight, spread = np.ones_like(p), float(((y - fitted) ** 2).mean())
    bread = np.linalg.pinv((design * weight[:, None]).T @ design)
    if count < 2:
        return math.sqrt(max(0.0, spread * float(bread[1, 1])))
    scores = np.column_stack([np.bincount(place, weights=design[:, i] * (y - fitted), minlength=count) for i in (0, 1)])
    sandwich = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    return math.sqrt(max(0.0, float(sandwich[1, 1])))


def number(value: float) -> float | None:
    """Return a number that can be written down, or None."""
    return value if math.isfinite(value) else None
