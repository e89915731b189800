"""How much of a metric's variation between windows is the small number of rows, so that night does not set day's band.

A share of ten rows jumps, a share of a thousand does not. Where the sizes of windows differ a lot (hours of a day) one
band for all is as wide as the smallest windows need, and blind in the large ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

UNEVEN = 3.0
"""Sizes whose 90 % quantile is less than so many times their 10 % quantile are taken as equal."""
_LEAST = 20
_OUTLIER = 0.95


def uneven(sizes: Floats) -> bool:
    """Tell whether windows differ so much in rows that one band for all will not do."""
    known = sizes[np.isfinite(sizes)]
    if len(known) < 2 * _LEAST:
        return False
    low, high = np.quantile(known, [0.1, 0.9])
    return bool(high >= UNEVEN * max(low, 1.0))


def sampling_share(deviations: Floats, sizes: Floats) -> Floats:
    """Return per metric how much of its variance in a window of usual size comes from having only so many rows.

    The variance of a window's deviation is modelled as ``v (1 - t + t m / n)`` with n its rows and m the median of n;
    t is fitted to the mean squares of the smaller and the larger half of the windows, without their largest twentieth.

    Args:
        deviations: Past deviations from the expected level, shape (windows, metrics); NaN where unknown.
        sizes: Rows of the same windows.

    Returns:
        t between 0 and 1, shape (metrics,); 0 where less than 20 windows of a half are known.
    """
    share = np.zeros(deviations.shape[1])
    known = np.isfinite(sizes)
    if known.sum() < 2 * _LEAST:
        return share
    usual = float(np.median(sizes[known]))
    ratio = usual / np.maximum(sizes, 1.0)
    small, large = known & (sizes < usual), known & (sizes >= usual)
    for metric in range(deviations.shape[1]):
        wide, few = _moments(deviations[small, metric], ratio[small])
        narrow, many = _moments(deviations[large, metric], ratio[large])
        if not few > many:
            continue
        slope = (wide - narrow) / (few - many)
        level = narrow - slope * (many - 1)
        if slope > 0:
            share[metric] = min(1.0, slope / level) if level > 0 else 1.0
    return share


def _moments(deviations: Floats, ratio: Floats) -> tuple[float, float]:
    """Return the mean square and the mean of m / n of the windows that are known, outliers aside; NaN for too few."""
    known = np.isfinite(deviations)
    if known.sum() < _LEAST:
        return np.nan, np.nan
    square = deviations[known] ** 2
    kept = square <= np.quantile(square, _OUTLIER)
    return float(square[kept].mean()), float(ratio[known][kept].mean())


def stretch(share: Floats, sizes: Floats, usual: float) -> Floats:
    """Return how much wider than in a window of ``usual`` rows the variation is: shape (len(sizes), metrics)."""
    size = np.where(np.isfinite(sizes), np.maximum(sizes, 1.0), usual)
    widths: Floats = np.sqrt(1 - share + share * (usual / size)[:, None])
    return widths
