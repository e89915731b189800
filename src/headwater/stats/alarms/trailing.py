"""Medians, quantiles and means over windows, some of which have no value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def median(rows: Floats, least: int) -> Floats:
    """Median over the rows that have a value; NaN where fewer than ``least`` have."""
    if not len(rows):
        return np.full(rows.shape[1:], np.nan)
    ordered = np.sort(rows, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    middle: Floats = np.where(count >= least, quantile(ordered, count, 0.5), np.nan)
    return middle


def quantile(ordered: Floats, count: Ints, at: float) -> Floats:
    """Linear quantile along axis 0 of sorted values with NaN at the end; NaN for none."""
    if not len(ordered):
        return np.full(ordered.shape[1:], np.nan)
    place = np.maximum(count - 1, 0) * at
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below = np.take_along_axis(ordered, low[None], axis=0)[0]
    above = np.take_along_axis(ordered, high[None], axis=0)[0]
    found: Floats = np.where(count > 0, below + (above - below) * (place - low), np.nan)
    return found


def shrunk_median(rows: Floats, enough: int) -> Floats:
    """Median over the rows that have a value, drawn towards 0 where fewer than ``enough`` have; 0 for none."""
    count = np.isfinite(rows).sum(axis=0)
    effect: Floats = np.nan_to_num(median(rows, 1)) * np.minimum(count / enough, 1.0)
    return effect


def trailing_medians(values: Floats, trailing: int, least: int) -> Floats:
    """Median of the up to ``trailing`` rows before each row; NaN until ``least`` of them are there."""
    found = np.full(values.shape, np.nan)
    for at in range(least, len(values)):
        found[at] = median(values[max(0, at - trailing) : at], least)
    return found


def trailing_means(values: Floats, trailing: int, least: int) -> Floats:
    """Mean of the up to ``trailing`` rows before each row; NaN until ``least`` of them are there."""
    known = np.isfinite(values)
    edge = np.zeros((1, values.shape[1]))
    sums = np.concatenate([edge, np.cumsum(np.where(known, values, 0.0), axis=0)])
    counts = np.concatenate([edge, np.cumsum(known, axis=0)])
    end = np.arange(len(values))
    start = np.maximum(end - trailing, 0)
    count = counts[end] - counts[start]
    means: Floats = np.where(count >= least, (sums[end] - sums[start]) / np.maximum(count, 1), np.nan)
    return means
