"""How far predictions of any task moved, on the scale of a probability: 0 is not at all, 1 from one end to the other.

A probability is on that scale already. A number is measured in spans of the reference predictions, from their 1st to
their 99th percentile; a ranking in places within the query. So the limits that were set for ``mean |dp|`` serve all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError

Floats = npt.NDArray[np.float64]

_TAIL = 0.01
_EQUAL = 1e-9


def span(reference: Sequence[float] | Floats) -> float:
    """Return the distance between the 1st and the 99th percentile of the finite values; 0 for none or a constant.

    Percentiles, and not the standard deviation, because one absurd prediction must not make all the others look still.
    For a normal distribution it is 4.65 standard deviations.

    Example:
        >>> import numpy as np
        >>> round(span(np.arange(101.0)), 9)
        98.0
    """
    values = np.asarray(reference, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(high - low)


def gaps(one: Floats, other: Floats, unit: float) -> Floats:
    """Return ``|one - other| / unit`` of each pair, at most 1; a difference of rounding (1e-9) is none.

    With a unit of 0, where the reference is constant, every other difference is 1.
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape:
        raise UsageError(f"{one.shape} predictions cannot be compared with {other.shape}")
    with np.errstate(invalid="ignore"):
        distance = np.abs(one - other)
        same = distance <= _EQUAL * np.maximum(np.abs(one), np.abs(other))
    found = np.minimum(distance / unit, 1.0) if unit > 0 else np.ones_like(distance)
    found = np.where(same, 0.0, found)
    return np.where(np.isnan(one) & np.isnan(other), 0.0, np.nan_to_num(found, nan=1.0))


def places(score: Sequence[float] | Floats, query: Sequence[Any] | npt.NDArray[Any]) -> Floats:
    """Return each row's place within its query, from 0 for the highest score to 1 for the lowest.

    Equal scores share their mean place; the only row of a query is at 0.

    Example:
        >>> places([3.0, 1.0, 2.0, 5.0], ["a", "a", "a", "b"]).tolist()
        [0.0, 1.0, 0.5, 0.0]
    """
    values = np.asarray(score, dtype=np.float64)
    _, of = np.unique(np.asarray(query).astype(str), return_inverse=True)
    if len(values) != len(of):
        raise UsageError(f"{len(values)} scores do not fit {len(of)} queries")
    if not len(values):
        return values
    order = np.lexsort((-values, of))
    first = np.r_[True, of[order][1:] != of[order][:-1]]
    starts = np.flatnonzero(first)
    sizes = np.diff(np.r_[starts, len(values)])
    rank = np.arange(len(values)) - np.repeat(starts, sizes)
    new = first | np.r_[True, values[order][1:] != values[order][:-1]]
    tied = np.cumsum(new) - 1
    mean = np.bincount(tied, weights=rank) / np.bincount(tied)
    found = np.empty(len(values))
    found[order] = mean[tied] / np.maximum(np.repeat(sizes, sizes) - 1, 1)
    return found


def displacement(one: Floats, other: Floats, unit: float = 1.0) -> float:
    """Return the mean of `gaps`; NaN for no rows.

    Example:
        >>> import numpy as np
        >>> displacement(np.array([0.0, 10.0]), np.array([1.0, 10.0]), unit=10.0)
        0.05
    """
    found = gaps(one, other, unit)
    return float(found.mean()) if len(found) else math.nan
