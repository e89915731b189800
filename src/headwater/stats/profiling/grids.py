"""Where the cells of a column's histogram lie, learned once and used for every later window."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Kind = Literal["linear", "log", "values"]
CELLS = 4096
OUTSIDE = 0  # the cell of what the grid does not cover
OUTER_SHIFT = 46  # 64 cells per doubling: 12 bits of sign and exponent, 6 of the mantissa
OUTER_SIZE = 1 << (64 - OUTER_SHIFT)
_SIGN = np.uint64(1 << 63)
_TAIL, _WIDENED = 0.001, 0.25
_SHARES = tuple(n / 20 for n in range(1, 20))


@dataclass(frozen=True)
class Grid:
    """The cells of a histogram, on a lattice that does not depend on the data, so that counts of windows add.

    ``linear`` cell ``i`` holds ``floor(x / 2**power) - low == i``, exact for whole numbers and floats alike; ``values``
    is the same with power 0 on whole numbers, one cell each. ``log`` cell ``i`` holds ``(b >> power) - low == i`` with
    ``b`` the bits of the float as a signed integer that grows with it, i.e. equal steps within each doubling. What lies
    outside goes to a sparse outer histogram whose cells are at most 1.6 % wide, measured from zero or from the middle
    of the grid, whichever is nearer.

    Cells are found from the stored numbers; everything that is a float (edges, middle, log and outer cells) is one of
    the values, which differ by ``shift``: near -2**63 a float cannot tell one whole number from the next 500.

    Attributes:
        kind: See above.
        low: Place of the first cell on the lattice.
        size: How many cells.
        power: Power of two of a linear cell's width; bits that a log cell leaves out.
        cuts: Cells at whose lower edge the reference's histogram is cut, about twenty equal shares of its rows.
        whole: Whether the numbers are whole.
        shift: What is added to a stored whole number for its value: 0, or 2**63 for unsigned 64-bit numbers.

    Example:
        >>> grid = learn(np.arange(1000.0))
        >>> grid.kind, int(grid.cell(np.array([3.0]))[0]) == int(grid.cell(np.array([3.1]))[0])
        ('linear', True)
    """

    kind: Kind
    low: int
    size: int
    power: int
    cuts: tuple[int, ...] = ()
    whole: bool = False
    shift: int = 0

    def reals(self, values: npt.NDArray[Any]) -> Floats:
        """Return the values of stored numbers as floats."""
        return _reals(values, self.shift)

    def cell(self, values: npt.NDArray[Any]) -> Ints:
        """Place finite numbers: 0 outside, ``i + 1`` in cell ``i``, ``size + 1`` for the zeros of a log grid."""
        if self.kind == "log":
            numbers = self.reals(values)
            places = (monotone(numbers) >> self.power) - self.low
            inside = (places >= 0) & (places < self.size)
            found = np.where(inside, places + 1, OUTSIDE)
            return np.where(numbers == 0.0, self.size + 1, found)
        if self.whole:
            with np.errstate(over="ignore"):
                lattice = values.astype(np.int64) >> self.power
                places = lattice - np.int64(self.low)
                inside = (lattice >= self.low) & (lattice <= self.low + self.size - 1)
            return np.where(inside, places + 1, OUTSIDE)
        with np.errstate(over="ignore"):
            steps = np.floor(values * 2.0**-self.power) - float(self.low)
        inside = (steps >= 0.0) & (steps < self.size)
        return np.where(inside, steps, -1.0).astype(np.int64) + 1

    def edges(self) -> Floats:
        """Return the size + 1 edges of the cells, not to be written to: all windows on a grid share them."""
        return _edges(self)

    def outer(self, values: npt.NDArray[Any]) -> Ints:
        """Place numbers outside the grid: a key below ``OUTER_SIZE`` counts from zero, above it from the middle."""
        numbers = self.reals(values)
        middle = self.middle
        with np.errstate(over="ignore"):
            gaps = numbers - middle
        near = np.abs(numbers) < np.abs(gaps)
        chosen = np.where(near, numbers, gaps)
        keys = (monotone(chosen) >> OUTER_SHIFT) + OUTER_SIZE // 2
        return np.where(near, keys, keys + OUTER_SIZE)

    def outer_edges(self, keys: Ints) -> tuple[Floats, Floats]:
        """Return the lower and upper edges of outer cells."""
        far = keys >= OUTER_SIZE
        places = np.where(far, keys - OUTER_SIZE, keys) - OUTER_SIZE // 2
        shift = np.where(far, self.middle, 0.0)
        with np.errstate(over="ignore"):
            low = unmonotone(places << OUTER_SHIFT) + shift
            high = unmonotone(np.minimum(places + 1, OUTER_SIZE // 2 - 1) << OUTER_SHIFT) + shift
        return np.nan_to_num(low), np.nan_to_num(high)

    @property
    def middle(self) -> float:
        """The middle of a linear grid; 0 for a log grid."""
        if self.kind == "log":
            return 0.0
        if self.whole:
            return float(((self.low + self.size // 2) << self.power) + self.shift)
        return math.ldexp(float(self.low + self.size // 2), self.power)

    def body(self) -> dict[str, Any]:
        """Return the grid as plain data."""
        return {
            "kind": self.kind,
            "low": self.low,
            "size": self.size,
            "power": self.power,
            "cuts": list(self.cuts),
            "whole": self.whole,
            **({"shift": self.shift} if self.shift else {}),
        }


@lru_cache(maxsize=1024)
def _edges(grid: Grid) -> Floats:
    if grid.whole and grid.kind != "log":
        found = np.array([float(((grid.low + at) << grid.power) + grid.shift) for at in range(grid.size + 1)])
    else:
        places = np.arange(grid.low, grid.low + grid.size + 1, dtype=np.int64)
        with np.errstate(over="ignore"):
            linear = np.ldexp(places.astype(np.float64), grid.power) if grid.kind != "log" else None
        found = unmonotone(places << grid.power) if linear is None else np.nan_to_num(linear)
    found.flags.writeable = False
    return found


def _reals(values: npt.NDArray[Any], shift: int) -> Floats:
    return (values.view(np.uint64) ^ _SIGN).astype(np.float64) if shift else values.astype(np.float64)


def monotone(values: Floats) -> Ints:
    """Return the bits of floats as integers that grow with them; both zeros are 0."""
    bits = (values + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


def unmonotone(bits: Ints) -> Floats:
    """Return the floats that `monotone` came from, the largest finite one for what lies beyond."""
    found = (bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)
    return np.nan_to_num(found, nan=0.0)


def learn(sample: npt.NDArray[Any], *, bits: int = 64, shift: int = 0) -> Grid:
    """Choose the grid for a column from some of its rows.

    Whole numbers of a small range get a cell each. Otherwise the cells cover the middle 99.8 % of the sample and a
    quarter of that on both sides, in equal steps or in equal steps per doubling, whichever spreads the sample over
    more cells (by entropy).

    Args:
        sample: Finite values, in the column's own stored numbers; integers are whole.
        bits: Width of the stored numbers.
        shift: What is added to one for its value (see `Grid`).
    """
    whole = bool(np.issubdtype(sample.dtype, np.integer))
    sample = np.sort(sample)
    if whole and bits == 8:
        return _cut(Grid("values", -128, 384, 0, (), True), sample)
    if not len(sample):
        return _none(shift) if whole else Grid("linear", -CELLS // 2, CELLS, -6)
    if whole:
        low, high = int(sample[0]), int(sample[-1])
        if high - low < CELLS // 2 or (low + shift >= 0 and high + shift < CELLS - 512):
            return _cut(_values(low, high, shift), sample)
    numbers = _reals(sample, shift)
    found = _linear(numbers, whole, shift)
    other = _log(numbers, whole, shift)
    if other is not None and _spread(other, sample) > _spread(found, sample) + 0.25:
        found = other
    return _cut(found, sample)


def _none(shift: int) -> Grid:
    return Grid("values", -(2**63) if shift else -CELLS // 2, CELLS, 0, (), True, shift)


def _values(low: int, high: int, shift: int) -> Grid:
    small = low + shift >= 0 and high + shift < CELLS - 512
    first = -256 - shift if small else low - (CELLS - (high - low)) // 2
    return Grid("values", min(max(first, -(2**63)), 2**63 - CELLS), CELLS, 0, (), True, shift)


def _linear(numbers: Floats, whole: bool, shift: int) -> Grid:
    low, high = _ends(numbers)
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (-1.0, 1.0)
    widened = (high / 2 - low / 2) * 2 * _WIDENED
    low, high = max(low - widened, -sys.float_info.max), min(high + widened, sys.float_info.max)
    power = math.frexp(max((high / CELLS - low / CELLS), 5e-324))[1]
    # Cells finer than the numbers themselves would leave the range in which whole floats are exact.
    power = max(power, math.frexp(max(abs(low), abs(high)))[1] - 50, -1000)
    power = min(max(power, 0) if whole else power, 1015)
    first, last = math.floor(math.ldexp(low, -power)), math.floor(math.ldexp(high, -power))
    if whole:
        first, last = (place - (shift >> power) for place in (first, last))
        first, last = max(first, -(2**63 >> power)), min(last, (2**63 >> power) - 1)
    return Grid("linear", first, last - first + 1, power, (), whole, shift)


def _log(numbers: Floats, whole: bool, shift: int) -> Grid | None:
    """A log grid, where all but a thousandth of the numbers have one sign and are not so near as to need no log."""
    low, high = _ends(numbers)
    chosen = numbers[numbers > 0.0] if low >= 0.0 else numbers[numbers < 0.0] if high <= 0.0 else numbers[:0]
    if len(chosen) < 2:
        return None
    first, last = (int(key) for key in monotone(np.array(_ends(chosen))))
    widened = int((last - first) * _WIDENED) + (1 << 50)
    sign = 1 if low >= 0.0 else -1
    first, last = first - widened, last + widened
    top = 0x7FEFFFFFFFFFFFFF
    first, last = (max(first, 1), min(last, top)) if sign > 0 else (max(first, -top), min(last, -1))
    power = max(((last - first) // CELLS).bit_length(), 30)
    return Grid("log", first >> power, (last >> power) - (first >> power) + 1, power, (), whole, shift)


def _ends(numbers: Floats) -> tuple[float, float]:
    last = len(numbers) - 1
    return float(numbers[math.floor(_TAIL * last)]), float(numbers[math.ceil((1.0 - _TAIL) * last)])


def _spread(grid: Grid, sample: npt.NDArray[Any]) -> float:
    shares = np.bincount(grid.cell(sample)) / len(sample)
    shares = shares[shares > 0.0]
    return float(-(shares * np.log(shares)).sum())


def _cut(grid: Grid, sample: npt.NDArray[Any]) -> Grid:
    """Cut at the sample's quantiles, each moved to the nearest cell's edge."""
    cells = grid.cell(sample)
    cells = cells[(cells > 0) & (cells <= grid.size)] - 1
    if not len(cells):
        return grid
    chosen = {int(cells[min(int(share * len(cells)), len(cells) - 1)]) for share in _SHARES}
    chosen.discard(int(cells[0]))
    return replace(grid, cuts=tuple(sorted(chosen)))
