"""Sketches that merge: how many distinct values (HyperLogLog), and which occur most (Misra-Gries)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Registers = npt.NDArray[np.uint8]
PRECISION = 12
REGISTERS = 1 << PRECISION
# A table of values is exact up to so many; beyond it keeps the most frequent alone.
EXACT_LIMIT = 4096
KEPT = 256
FIRST, SECOND = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
SALT = 0xA0761D6478BD642F  # keeps zero, the most frequent number, from the hash zero
_MASK = (1 << 64) - 1
Value = Any


def mix(bits: npt.NDArray[Any]) -> Hashes:
    """Hash 64-bit patterns, one to one."""
    with np.errstate(over="ignore"):
        h: Hashes = (bits.view(np.uint64) ^ np.uint64(SALT)) * np.uint64(FIRST)
        h ^= h >> np.uint64(32)
        h *= np.uint64(SECOND)
    return h


def hash_text(data: bytes) -> int:
    """Hash a text's bytes: eight at a time, the last filled with zeros, and the length."""
    h = (len(data) * FIRST) & _MASK
    for at in range(0, len(data), 8):
        h ^= int.from_bytes(data[at : at + 8], "little")
        h = (h * FIRST) & _MASK
        h ^= h >> 32
    return (h * SECOND) & _MASK


def registers(hashes: Hashes, into: Registers | None = None) -> Registers:
    """Update HyperLogLog registers (Flajolet et al. 2007) with hashes.

    Args:
        hashes: Any number of them.
        into: Registers to update in place; new ones by default.
    """
    kept = np.zeros(REGISTERS, dtype=np.uint8) if into is None else into
    if len(hashes):
        places = (hashes >> np.uint64(64 - PRECISION)).astype(np.int64)
        rest = hashes << np.uint64(PRECISION)
        # The exponent of a float would round up; counting halvings of the high half is exact.
        np.maximum.at(kept, places, ranks(rest))
    return kept


def registers_of_texts(texts: Iterable[str]) -> Registers:
    """Return the registers of some texts."""
    return registers(np.array([hash_text(text.encode("utf-8", "replace")) for text in texts], dtype=np.uint64))


def ranks(rest: Hashes) -> Registers:
    """Return the place of the first set bit, counted from 1 at the top; 53 when none of the 52 bits is set."""
    high = (rest >> np.uint64(32)).astype(np.float64)
    low = (rest & np.uint64(0xFFFFFFFF)).astype(np.float64)
    top = 33 - np.frexp(high)[1]
    deep = 65 - np.frexp(low)[1]
    found = np.where(high > 0, top, np.where(low > 0, deep, 64 - PRECISION + 1))
    return np.minimum(found, 64 - PRECISION + 1).astype(np.uint8)


def estimate(kept: Registers) -> float:
    """Estimate the number of distinct values; the standard error is 1.6 % (1.04 / 64).

    The estimator is Ertl (2017), "New cardinality estimation algorithms for HyperLogLog sketches", section 4: it has no
    bias at small counts and needs no table of corrections.
    """
    size, bits = REGISTERS, 64 - PRECISION
    counts = np.bincount(kept, minlength=bits + 2).astype(np.float64)
    z = size * _tau(1.0 - counts[bits + 1] / size)
    for k in range(bits, 0, -1):
        z = 0.5 * (z + counts[k])
    z += size * _sigma(counts[0] / size)
    return size * size / (2.0 * math.log(2.0)) / z if math.isfinite(z) else 0.0


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before, z, y = z, z + x * y, y + y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before, y = z, 0.5 * y
        z -= (1.0 - x) ** 2 * y
    return z / 3.0


@dataclass(frozen=True)
class Frequencies:
    """Values and how often they occur.

    Exact up to ``EXACT_LIMIT`` distinct values. Beyond that the least frequent are dropped as in Misra and Gries
    (1982), merged as in Agarwal et al. (2012), "Mergeable summaries", section 3: a kept count is at most ``slack`` too
    small, and a value that is missing occurred at most ``slack`` times. Counts of a sample, which are estimates anyway,
    are kept as they are.

    Attributes:
        counts: Value to count.
        slack: Most that a count can be too small.
        sampled: Whether only some rows were looked at, and counts are theirs scaled up.
    """

    counts: dict[Value, int]
    slack: int = 0
    sampled: bool = False

    @property
    def exact(self) -> bool:
        """Whether all values are there with their true counts."""
        return self.slack == 0 and not self.sampled

    def merge(self, other: Frequencies) -> Frequencies:
        """Combine with other rows' values."""
        total = dict(self.counts)
        for value, count in other.counts.items():
            total[value] = total.get(value, 0) + count
        return Frequencies(total, self.slack + other.slack, self.sampled or other.sampled).bounded()

    def bounded(self) -> Frequencies:
        """Drop the least frequent when there are too many to keep exactly."""
        limit = EXACT_LIMIT if self.exact else KEPT
        if len(self.counts) <= limit:
            return self
        ordered = sorted(self.counts.values(), reverse=True)
        cut = ordered[KEPT]
        if self.sampled:
            return replace(self, counts={value: count for value, count in self.counts.items() if count > cut})
        kept = {value: count - cut for value, count in self.counts.items() if count > cut}
        return Frequencies(kept, self.slack + cut, self.sampled)

    def top(self, count: int = 10, *, least: int = 1) -> tuple[tuple[Value, int], ...]:
        """Return the most frequent that occur at least so often, the order of equals given by the value's text."""
        chosen = [item for item in self.counts.items() if item[1] >= least]
        ranked = sorted(chosen, key=lambda item: (-item[1], _order(item[0])))
        return tuple(ranked[:count])


def _order(value: Value) -> tuple[float, str]:
    return (value, "") if isinstance(value, (int, float)) else (0.0, str(value))


def most(values: Iterable[tuple[Value, int]]) -> Frequencies:
    """Build from pairs of a value and its count."""
    return Frequencies(dict(values)).bounded()
