"""The rows from which the most frequent numbers are counted: all of a small table, fewer and fewer of a large one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.stats.profiling.arrow import Bytes
from headwater.stats.profiling.sketches import EXACT_LIMIT, KEPT, Frequencies, mix

Ints = npt.NDArray[np.int64]
# From which row on one in how many is looked at: about 4096 rows for each sixteenfold of the table.
STEPS = ((0, 1), (1 << 12, 16), (1 << 16, 256), (1 << 20, 4096))
SAMPLED_FROM = STEPS[1][0]
SEEN = 4  # rows of the sample that must hold a value for it to be told


def weight_at(rows: int) -> int:
    """Return how many rows the last row of the sample stands for in a table of so many rows."""
    return max(weight for first, weight in STEPS if first == 0 or rows > first)


@lru_cache(maxsize=64)
def rows_of(start: int, stop: int, weight: int) -> Ints:
    """Return the sampled rows of one weight among the rows from ``start`` on, by their places in the table.

    Each stretch of ``weight`` rows gives one, at a place drawn by the stretch's number: rows at equal distances would
    see only some of the values of a table in which they take turns.
    """
    firsts = [first for first, _ in STEPS] + [2**62]
    at = [each for _, each in STEPS].index(weight)
    start, stop = max(start, firsts[at]), min(stop, firsts[at + 1])
    if start >= stop:
        return np.empty(0, dtype=np.int64)
    if weight == 1:
        return np.arange(start, stop)
    stretches = np.arange(start // weight, -(-stop // weight), dtype=np.int64)
    shift = np.uint64(64 - (weight.bit_length() - 1))
    rows: Ints = stretches * weight + (mix(stretches) >> shift).astype(np.int64)
    return rows[(rows >= start) & (rows < stop)]


def sampled(parts: Iterable[tuple[npt.NDArray[Any], Bytes | None, int, int]]) -> Frequencies:
    """Count the finite values of sampled rows, each as many times as the rows that it stands for.

    Args:
        parts: Numbers, their validity bitmap, its first bit, and the first row's place in the table.
    """
    found: list[list[npt.NDArray[Any]]] = [[] for _ in STEPS]
    last = 0
    for values, validity, offset, position in parts:
        last = position + len(values)
        for place, (_, weight) in enumerate(STEPS):
            rows = rows_of(position, last, weight) - position
            if len(rows):
                found[place].append(_valid(values, validity, offset, rows))
    partial = last > SAMPLED_FROM
    table = Frequencies({}, sampled=partial)
    for (_, weight), values_of in zip(STEPS, found, strict=True):
        if values_of:
            table = table.merge(_counted(np.concatenate(values_of), weight, KEPT if partial else EXACT_LIMIT))
    return table


def _valid(values: npt.NDArray[Any], validity: Bytes | None, offset: int, rows: Ints) -> npt.NDArray[Any]:
    chosen = values[rows]
    if validity is not None:
        bits = rows + offset
        chosen = chosen[(validity[bits >> 3] >> (bits & 7).astype(np.uint8)) & 1 == 1]
    if chosen.dtype.kind in "iu":
        return chosen.astype(np.int64)
    reals: npt.NDArray[np.float64] = chosen.astype(np.float64)
    return reals[np.isfinite(reals)] + 0.0


def _counted(values: npt.NDArray[Any], weight: int, limit: int) -> Frequencies:
    """Count each value; with too many of them the most frequent alone, before Python sees them."""
    values = np.sort(values)
    starts = np.flatnonzero(np.concatenate([values[:1] == values[:1], values[1:] != values[:-1]]))
    times = np.diff(np.append(starts, len(values)))
    if len(starts) > limit:
        cut = int(np.partition(times, len(times) - limit - 1)[len(times) - limit - 1])
        starts, times = starts[times > cut], times[times > cut]
    pairs = zip(values[starts].tolist(), (times * weight).tolist(), strict=True)
    return Frequencies(dict(pairs), sampled=weight > 1 or limit == KEPT)
