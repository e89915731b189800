"""Performance of predicted numbers whose outcomes are known: errors, bias, skill, and intervals over windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import Interval, block_mean, wilson

Floats = npt.NDArray[np.float64]

_SMALL = 0.01
_SIZES = 2.0**-20, 2.0**60
_DRAWN = 20.0
"""Rows that the mean of all counts for in each size."""


def error(outcome: Floats, prediction: Floats) -> Floats:
    """Return ``prediction - outcome`` of each row; rows of which one is not finite are left out."""
    outcome, prediction = _pair(outcome, prediction)
    return prediction - outcome


def r2(outcome: Floats, prediction: Floats) -> float:
    """Return the share of the outcomes' variance that the prediction explains; NaN for constant outcomes.

    Below 0 when the mean of these outcomes would have done better. It depends on how varied the window is: compare it
    between windows of the same kind only.

    Example:
        >>> import numpy as np
        >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
        0.5
    """
    outcome, prediction = _pair(outcome, prediction)
    if len(outcome) < 2 or np.ptp(outcome) == 0:
        return math.nan
    total = float(((outcome - outcome.mean()) ** 2).sum())
    return 1 - float(((outcome - prediction) ** 2).sum()) / total if total > 0 else math.nan


def mape(outcome: Floats, prediction: Floats) -> tuple[float, float]:
    """Return the mean absolute error as a share of the outcome, and the share of rows that it is of.

    Rows whose outcome is nearer to 0 than a hundredth of the mean ``|outcome|`` are left out: there the ratio is
    without meaning, and one such row would outweigh a million. (NaN, 0) when none is left. It favours predictions that
    are too low (Goodwin, Lawton 1999): never choose a model by it.

    Example:
        >>> import numpy as np
        >>> mape(np.array([100.0, 0.0]), np.array([110.0, 5.0]))
        (0.1, 0.5)
    """
    outcome, prediction = _pair(outcome, prediction)
    if not len(outcome):
        return math.nan, 0.0
    size = np.abs(outcome)
    usable = (size > 0) & (size >= _SMALL * size.mean())
    if not usable.any():
        return math.nan, 0.0
    with np.errstate(over="ignore"):
        ratio = np.abs(prediction - outcome)[usable] / size[usable]
    return float(ratio.mean()), float(usable.mean())


def errors_by_size(outcome: Floats, prediction: Floats) -> dict[str, list[float]]:
    """Return, for each size of prediction, its rows and the sum of their absolute errors.

    A size is half an octave of ``|prediction|``, with its sign: what lies in one window is comparable with every other.
    See `difficulty`.

    Example:
        >>> import numpy as np
        >>> errors_by_size(np.array([5.0, 5.0, 100.0]), np.array([4.0, 4.5, 64.0]))
        {'4': [2.0, 1.5], '12': [1.0, 36.0]}
    """
    outcome, prediction = _pair(outcome, prediction)
    size = np.floor(2 * np.log2(np.clip(np.abs(prediction), *_SIZES))).astype(int)
    with np.errstate(over="ignore"):
        off = np.abs(prediction - outcome)
    names = np.char.add(np.where(prediction < 0, "-", ""), size.astype(str))
    kinds, place = np.unique(names, return_inverse=True)
    sums, rows = np.bincount(place, off, len(kinds)), np.bincount(place, minlength=len(kinds))
    order = np.argsort(-rows, kind="stable")
    return {str(kinds[at]): [float(rows[at]), float(sums[at])] for at in order if math.isfinite(sums[at])}


Sizes = Mapping[str, Sequence[float]]
"""Of each size of prediction its rows and the sum of their absolute errors, see `errors_by_size`."""


def pooled(windows: Iterable[Sizes]) -> dict[str, list[float]]:
    """Add the rows and errors of several windows up."""
    found: dict[str, list[float]] = {}
    for window in windows:
        for size, (rows, errors) in window.items():
            have = found.setdefault(size, [0.0, 0.0])
            have[0] += rows
            have[1] += errors
    return found


def difficulty(errors: Sizes, past: Sizes) -> float:
    """Return how much larger errors are to be expected of predictions of these sizes than of the past's: 1 is as usual.

    Large predictions have large errors, so that a day of long journeys is no worse for it. Sizes of which the past has
    little are drawn to the mean of all. 1 without rows or without a past. It misleads where errors depend on much else.

    Args:
        errors: What `errors_by_size` says of a window; only how many rows there are of each size counts.
        past: The same of earlier windows, `pooled`.

    Example:
        >>> past = {"12": [500.0, 3000.0], "4": [1500.0, 3000.0]}  # 6 and 2 each, 3 in the mean
        >>> round(difficulty({"12": [10.0, 0.0]}, past), 2), difficulty({}, past)
        (1.96, 1.0)
    """
    rows, known = sum(pair[0] for pair in errors.values()), sum(pair[0] for pair in past.values())
    mean = sum(pair[1] for pair in past.values()) / known if known else 0.0
    if not rows or not mean > 0:
        return 1.0
    none = (0.0, 0.0)
    usual = {size: (past.get(size, none)[1] + _DRAWN * mean) / (past.get(size, none)[0] + _DRAWN) for size in errors}
    return sum(pair[0] * usual[size] for size, pair in errors.items()) / rows / mean


def pinball(outcome: Floats, quantile: Floats, level: float) -> Floats:
    """Return the pinball loss of each row for a predicted quantile; its mean is least at the true quantile.

    References:
        Koenker, Bassett (1978), Regression quantiles, Econometrica 46.

    Example:
        >>> import numpy as np
        >>> pinball(np.array([10.0, 0.0]), np.array([4.0, 4.0]), 0.75).tolist()
        [4.5, 1.0]
    """
    if not 0 < level < 1:
        raise UsageError(f"a quantile of level {level} is not between 0 and 1")
    outcome, quantile = _pair(outcome, quantile)
    below = outcome - quantile
    return np.maximum(level * below, (level - 1) * below)


def line(outcome: Floats, prediction: Floats) -> tuple[float, float]:
    """Fit ``outcome = intercept + slope prediction`` by least squares; return (intercept, slope).

    (0, 1) is perfect; a slope below 1 means that the predictions are too extreme. NaN for constant predictions.

    References:
        Mincer, Zarnowitz (1969), The evaluation of economic forecasts, sec. 1.
    """
    outcome, prediction = _pair(outcome, prediction)
    if len(outcome) < 2 or np.ptp(prediction) <= 1e-12 * np.abs(prediction).max():
        return math.nan, math.nan
    centred = prediction - prediction.mean()
    spread = float((centred**2).sum())
    if spread == 0:
        return math.nan, math.nan
    slope = float((centred * (outcome - outcome.mean())).sum()) / spread
    return float(outcome.mean() - slope * prediction.mean()), slope


def measure(
    outcome: Floats,
    prediction: Floats,
    *,
    low: Floats | None = None,
    high: Floats | None = None,
    interval: float = 0.9,
    blocks: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> dict[str, float]:
    """Return what is defined of one set of rows, by name; of most, ``_low`` and ``_high`` are 95 % bounds.

    ``rows``, ``mae``, ``rmse``, ``bias`` (prediction less outcome), ``mape`` with ``mape_share`` (the rows it is of),
    ``r2``, ``intercept`` and ``slope`` of outcomes on predictions, ``mean_prediction``, ``mean_outcome``; with ``low``
    and ``high`` also ``coverage`` and ``pinball`` (mean of both ends).

    Args:
        outcome: What happened.
        prediction: What was predicted.
        low: Lower end of each prediction's interval.
        high: Upper end of it.
        interval: Share of outcomes that the interval should hold.
        blocks: Window of each row: bounds are then over windows. None: rows are taken as independent, which within one
            window they are not.

    Example:
        >>> import numpy as np
        >>> found = measure(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 3.0]))
        >>> round(found["mae"], 3), round(found["bias"], 3)
        (0.333, 0.333)
    """
    outcome, prediction = (np.asarray(item, dtype=np.float64) for item in (outcome, prediction))
    _pair(outcome, prediction)
    known = np.isfinite(outcome) & np.isfinite(prediction)
    y, told = outcome[known], prediction[known]
    if not len(y):
        return {"rows": 0.0}
    of = None if blocks is None else np.asarray(blocks)[known]
    wrong = told - y
    found = {"rows": float(len(y)), "mean_prediction": float(told.mean()), "mean_outcome": float(y.mean())}
    _bounded(found, "mae", block_mean(np.abs(wrong), of))
    _bounded(found, "bias", block_mean(wrong, of))
    _bounded(found, "rmse", Interval(*(math.sqrt(max(0.0, side)) for side in block_mean(wrong**2, of))))
    found["mape"], found["mape_share"] = mape(y, told)
    found["r2"] = r2(y, told)
    found["intercept"], found["slope"] = line(y, told)
    if low is not None and high is not None:
        floor, ceiling = np.asarray(low, dtype=np.float64)[known], np.asarray(high, dtype=np.float64)[known]
        _bounded(found, "coverage", wilson(float(((y >= floor) & (y <= ceiling)).sum()), len(y)))
        ends = np.r_[pinball(y, floor, (1 - interval) / 2), pinball(y, ceiling, (1 + interval) / 2)]
        found["pinball"] = float(ends.mean())
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _bounded(values: dict[str, float], name: str, bounds: Interval) -> None:
    values[name], values[f"{name}_low"], values[f"{name}_high"] = bounds


def _pair(outcome: Floats, prediction: Floats) -> tuple[Floats, Floats]:
    outcome, prediction = np.asarray(outcome, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if outcome.shape != prediction.shape:
        raise UsageError(f"{outcome.shape} outcomes do not fit {prediction.shape} predictions")
    known = np.isfinite(outcome) & np.isfinite(prediction)
    return outcome[known], prediction[known]
