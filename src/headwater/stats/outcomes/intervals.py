"""Intervals: for a share, for a mean over windows, and by bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError

Values = Sequence[float] | npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its lower and upper bound."""

    value: float
    low: float
    high: float


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Bound a share from its count; sensible also at 0 and 1 and for few trials.

    It misleads when the trials are not independent, e.g. rows of one window: then use `t_interval` over windows.

    References:
        Wilson (1927), Probable inference, JASA 22; Brown, Cai, DasGupta (2001), sec. 3.1.1.

    Example:
        >>> [round(bound, 4) for bound in wilson(0, 10)]
        [0.0, 0.0, 0.2775]
    """
    _check(confidence)
    if not 0 <= successes <= trials:
        raise UsageError(f"{successes} successes of {trials} trials make no share")
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    weight = 1 + z**2 / trials
    middle = (share + z**2 / (2 * trials)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return Interval(share, low, 1.0 if successes == trials else min(1.0, middle + half))


def t_interval(values: Values, confidence: float = 0.95) -> Interval:
    """Bound the mean of one number per window (windows as the unit, normal theory).

    With fewer than two windows the bounds are infinite. It misleads for a handful of very skewed windows.

    Example:
        >>> [round(bound, 3) for bound in t_interval([1.0, 2.0, 3.0, 4.0])]
        [2.5, 0.446, 4.554]
    """
    _check(confidence)
    kept = _finite(values)
    if len(kept) < 2:
        return Interval(float(kept[0]) if len(kept) else math.nan, -math.inf, math.inf)
    mean = float(kept.mean())
    half = t_quantile((1 + confidence) / 2, len(kept) - 1) * float(kept.std(ddof=1)) / math.sqrt(len(kept))
    return Interval(mean, mean - half, mean + half)


def block_mean(
    values: Values, blocks: Sequence[Any] | npt.NDArray[Any] | None = None, confidence: float = 0.95
) -> Interval:
    """Bound the mean over rows with whole blocks (windows, queries) as what is independent.

    The mean is that of the rows; its spread comes from each block's summed deviation, so that rows of one block may
    depend on each other in any way. Student's t with one degree of freedom less than there are blocks; below some 20
    blocks, or with one block far larger than the others, it is somewhat too narrow.

    Args:
        values: A number per row; what is not finite is left out.
        blocks: The block of each row; None: every row is its own.
        confidence: Coverage.

    References:
        Cochran (1977), Sampling techniques, sec. 2.11 and 9A (ratio estimate from unequal clusters).

    Example:
        >>> [round(bound, 3) for bound in block_mean([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"])]
        [2.0, -10.706, 14.706]
    """
    data = np.asarray(values, dtype=np.float64)
    if blocks is None:
        return t_interval(data, confidence)
    _check(confidence)
    names = np.asarray(blocks)
    if len(names) != len(data):
        raise UsageError(f"{len(names)} blocks do not fit {len(data)} values")
    kept = np.isfinite(data)
    data = data[kept]
    _, place = np.unique(names[kept], return_inverse=True)
    if not len(data):
        return Interval(math.nan, -math.inf, math.inf)
    mean = float(data.mean())
    sums = np.bincount(place, weights=data - mean)
    if len(sums) < 2:
        return Interval(mean, -math.inf, math.inf)
    error = math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(data)
    half = t_quantile((1 + confidence) / 2, len(sums) - 1) * error
    return Interval(mean, mean - half, mean + half)


def bootstrap_mean(
    values: Values, *, seed: int, confidence: float = 0.95, draws: int = 2000, weights: Values | None = None
) -> Interval:
    """Bound a mean by resampling (percentile bootstrap); the same seed gives the same interval.

    Args:
        values: One number per independent unit (a window, or a row where rows are independent).
        seed: Seed of the resampling.
        confidence: Coverage.
        draws: Number of resamples.
        weights: Weight of each unit; the mean is then the weighted one.

    References:
        Efron, Tibshirani (1993), An introduction to the bootstrap, ch. 13.
    """
    _check(confidence)
    data = np.asarray(values, dtype=np.float64)
    heavy = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
    usable = np.isfinite(data) & np.isfinite(heavy)
    data, heavy = data[usable], heavy[usable]
    total = float(heavy.sum())
    if len(data) < 2 or total <= 0:
        return Interval(float(data.mean()) if len(data) else math.nan, -math.inf, math.inf)
    random = np.random.default_rng(seed)
    means = np.empty(draws)
    for start in range(0, draws, chunk := max(1, 2_000_000 // len(data))):
        pick = random.integers(0, len(data), (min(chunk, draws - start), len(data)))
        sums = heavy[pick].sum(axis=1)
        means[start : start + len(pick)] = (data * heavy)[pick].sum(axis=1) / np.where(sums > 0, sums, np.nan)
    low, high = np.nanquantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float((data * heavy).sum() / total), float(low), float(high))


@lru_cache(maxsize=1024)
def t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t with a whole number of degrees of freedom, by bisection."""
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while _t_central(high, degrees) < 2 * probability - 1:
        high *= 2
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_central(middle, degrees) < 2 * probability - 1 else (low, middle)
    return (low + high) / 2


def _t_central(t: float, degrees: int) -> float:
    """P(|T| < t) by the finite series of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for step in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _finite(values: Values) -> npt.NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    return data[np.isfinite(data)]


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence} is not between 0 and 1", hint="for example 0.95")
