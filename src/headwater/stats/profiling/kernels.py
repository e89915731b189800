"""The compiled inner loops of summaries: one pass over a column, block by block in the processor's cache.

Each loop does one thing on a block of 2048 rows so that the compiler can turn it into vector instructions; arrays are
passed as slices from 0 on, because an index that might be negative keeps it from doing so. Nulls, NaN and infinities
are replaced by the block's first finite value and taken off the sums afterwards, which is far cheaper than branching.
Measurements are in docs/decisions/0011.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core import caching, event
from numba.cpython.unsafe import numbers

from headwater.stats.profiling.sketches import FIRST, SALT, SECOND

_F = TypeVar("_F", bound=Callable[..., Any])
BLOCK = 2048
FINITE = 1.7976931348623157e308
# Additions may be reordered, which vectors need; NaN and signed zeros keep their meaning.
_SUMS = {"reassoc", "nsz", "contract"}
_LARGEST, _LEAST = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x8000000000000000)
_INFINITY = np.int64(0x7FF0000000000000)
_FIRST, _SECOND, _SALT = np.uint64(FIRST), np.uint64(SECOND), np.uint64(SALT)
_SIGN = np.uint64(1 << 63)
LINEAR, LOG = 0, 1
# Places in the counters and sums that the loops keep.
GOOD, PRESENT, INFINITE, LOW, HIGH, ZEROS = range(6)
COUNTERS = 6


class _Announcement(event.Listener):
    """Say once, on stderr, that a first call compiles."""

    told = False

    def on_start(self, event: event.Event) -> None:
        ours = getattr(event.data["dispatcher"].py_func, "__module__", "").startswith(_ROOM)
        if ours and not self.told:
            self.told = True
            print(
                "headwater: compiling what this kind of column needs, kept for the next time ...",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: event.Event) -> None:
        """Nothing follows."""


# Called from a kernel, an intrinsic takes one argument less than its type says.
leading_zeros: Callable[[Any], Any] = cast(Any, numbers.leading_zeros)
_ROOM = __name__.rpartition(".")[0]
event.register("numba:compile", _Announcement())  # type: ignore[no-untyped-call]


class _Cache(caching.FunctionCache):
    """Machine code on disk: what cannot be read is compiled anew, what cannot be written is done without.

    Numba itself fails for good on a file that a crash cut short, and on a full disk.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:
            with contextlib.suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def compiled(function: _F) -> _F:
    """Compile without the interpreter's lock, and keep the machine code on disk where a folder can be written to."""
    made = cast(Any, njit(nogil=True, error_model="numpy")(function))
    with contextlib.suppress(RuntimeError):
        made._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast(_F, made)


def inner(fastmath: Any = False) -> Callable[[_F], _F]:
    """Compile for other kernels alone: without what a call from Python needs, which takes as long as the rest."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "fastmath": fastmath}
    return cast(Callable[[_F], _F], njit(nogil=True, error_model="numpy", **options))


@inner()
def _expand(bitmap: Any, bit: int, rows: int, table: Any, mask: Any) -> None:
    """Turn a block's bits into bytes of 0 and 255, eight rows at a time; ``mask`` is of 64-bit words."""
    if not len(bitmap):
        for at in range((rows + 7) >> 3):
            mask[at] = np.uint64(0xFFFFFFFFFFFFFFFF)
        return
    first, shift = bit >> 3, np.uint8(bit & 7)
    if shift == 0:
        part = bitmap[first:]
        for at in range((rows + 7) >> 3):
            mask[at] = table[part[at]]
        return
    part, last = bitmap[first:], len(bitmap) - first - 1
    for at in range((rows + 7) >> 3):
        high = np.uint8(part[at + 1]) if at < last else np.uint8(0)
        mask[at] = table[np.uint8(part[at] >> shift) | np.uint8(high << np.uint8(8 - shift))]


@inner()
def _first_real(values: Any, mask: Any) -> int:
    for at in range(len(values)):
        if mask[at] != 0 and abs(values[at]) <= FINITE:
            return at
    return -1


@inner()
def _first_present(mask: Any) -> int:
    for at in range(len(mask)):
        if mask[at] != 0:
            return at
    return -1


@inner(fastmath=_SUMS)
def _measure_reals(values: Any, raw: Any, mask: Any, first: int, point: float, out: Any) -> Any:
    """Copy a block with its gaps filled, and measure it on the way; ``raw`` are the bits of ``values``."""
    good = present = zeros = 0
    low, high = _LARGEST, _LEAST
    s1 = s2 = s3 = s4 = 0.0
    filler, filler_bits = values[first], raw[first]
    for at in range(len(values)):
        there = mask[at] != 0
        fine = there & ((raw[at] & _LARGEST) < _INFINITY)
        value = values[at] if fine else filler
        bits = raw[at] if fine else filler_bits
        bits = np.int64(0) if bits == _LEAST else bits  # makes both zeros one
        out[at] = bits
        good += fine
        present += there
        zeros += bits == 0
        key = bits ^ ((bits >> np.int64(63)) & _LARGEST)
        low = min(low, key)
        high = max(high, key)
        gap = value - point
        square = gap * gap
        s1 += gap
        s2 += square
        s3 += square * gap
        s4 += square * square
    return good, present, zeros, low, high, s1, s2, s3, s4


@inner(fastmath=_SUMS)
def _measure_wholes(values: Any, mask: Any, first: int, point: Any, zero: Any, out: Any) -> Any:
    """The same for whole numbers no further than 2**62 from the point."""
    good = zeros = 0
    low, high = _LARGEST, _LEAST
    s1 = s2 = s3 = s4 = 0.0
    filler = np.int64(values[first])
    for at in range(len(values)):
        fine = mask[at] != 0
        value = np.int64(values[at]) if fine else filler
        out[at] = value
        good += fine
        zeros += value == zero
        low = min(low, value)
        high = max(high, value)
        gap = np.float64(value - point)
        square = gap * gap
        s1 += gap
        s2 += square
        s3 += square * gap
        s4 += square * square
    return good, zeros, low, high, s1, s2, s3, s4


@inner()
def _place_linear(values: Any, scale: float, low: float, size: float, cells: Any) -> None:
    for at in range(len(values)):
        place = np.floor(values[at] * scale) - low + 1.0
        place = place if place < size + 1.0 else 0.0
        cells[at] = np.int32(place if place > 0.0 else 0.0)


@inner()
def _place_log(bits: Any, power: Any, low: int, size: int, cells: Any) -> None:
    for at in range(len(bits)):
        key = bits[at] ^ ((bits[at] >> np.int64(63)) & _LARGEST)
        place = (key >> power) - low + 1
        place = place if place <= size else 0
        place = place if place > 0 else 0
        cells[at] = np.int32(size + 1 if bits[at] == 0 else place)


@inner()
def _place_wholes(values: Any, power: Any, low: int, size: int, cells: Any) -> None:
    for at in range(len(values)):
        place = (values[at] >> power) - low
        inside = (place >= 0) & (place < size)
        cells[at] = np.int32(place + 1 if inside else 0)


@inner()
def _widen(values: Any, zero: Any, reals: Any) -> None:
    """Turn stored whole numbers into the floats of their values; unsigned ones are stored from -2**63 on."""
    if zero == 0:
        for at in range(len(values)):
            reals[at] = np.float64(values[at])
    else:
        for at in range(len(values)):
            reals[at] = np.float64(np.uint64(values[at]) ^ _SIGN)


@inner()
def _place_values(values: Any, mask: Any, low: int, size: int, cells: Any) -> None:
    """Place whole numbers with a cell each; nulls go to the cell after the last."""
    for at in range(len(values)):
        place = np.int64(values[at]) - low
        inside = (place >= 0) & (place < size)
        cells[at] = np.int32((place + 1 if inside else 0) if mask[at] != 0 else size + 1)


@inner()
def _count(cells: Any, counts: Any) -> None:
    """Count each quarter of a block in a table of its own: runs of one value then do not wait for each other."""
    a, b, c, d = counts[0], counts[1], counts[2], counts[3]
    one, size = np.uint32(1), len(cells) >> 2
    first, second, third, fourth = cells[:size], cells[size : 2 * size], cells[2 * size : 3 * size], cells[3 * size :]
    for at in range(size):
        a[np.uint32(first[at])] += one
        b[np.uint32(second[at])] += one
        c[np.uint32(third[at])] += one
        d[np.uint32(fourth[at])] += one
    for at in range(size, len(fourth)):
        d[np.uint32(fourth[at])] += one


@inner()
def _rank(bits: Any, ranks: Any, places: Any) -> None:
    """Hash a block: each value's HyperLogLog register, and the rank that it raises it to."""
    for at in range(len(bits)):
        h = (np.uint64(bits[at]) ^ _SALT) * _FIRST
        h = (h ^ (h >> np.uint64(32))) * _SECOND
        places[at] = np.uint16(h >> np.uint64(52))
        ranks[at] = np.uint8(leading_zeros((h << np.uint64(12)) | np.uint64(2048)) + np.uint64(1))


@inner()
def _raise(ranks: Any, places: Any, registers: Any) -> None:
    """Raise registers; the branch is nearly never taken once they have risen."""
    for at in range(len(ranks)):
        place = np.uint64(places[at])
        if ranks[at] > registers[place]:
            registers[place] = ranks[at]


@inner()
def _outer(values: Any, cells: Any, middle: float, outer: Any, pages: Any, weight: Any, gaps: Any, keys: Any) -> None:
    """Count the numbers outside the grid by outer cell; see `stats.profiling.grids.Grid.outer`.

    ``gaps`` is room for a block, ``keys`` its bits; ``pages`` marks which 4096 cells of ``outer`` were touched, so that
    the others need not be looked through. Times ahead of the reference share a cell for long; such a run is added in
    one go.
    """
    half = len(outer) >> 1
    for at in range(len(values)):
        gap = values[at] - middle
        near = abs(values[at]) < abs(gap)
        gaps[at] = (values[at] if near else gap) + 0.0
    last, run = 0, 0
    for at in range(len(values)):
        if cells[at] == 0:
            bits = keys[at]
            place = ((bits ^ ((bits >> np.int64(63)) & _LARGEST)) >> np.int64(46)) + (half >> 1)
            place += 0 if abs(values[at]) < abs(values[at] - middle) else half
            if place != last:
                outer[last] += np.uint32(run)
                last, run = place, 0
                pages[place >> 12] = np.uint8(1)
            run += weight
    outer[last] += np.uint32(run)


@inner()
def _finish(
    bits: Any, cells: Any, first: int, fillers: int, counts: Any, registers: Any, ranks: Any, places: Any
) -> Any:
    """Count a block's cells and distinct values, take the fillers off again, and tell whether some lie outside."""
    before = counts[0, 0] + counts[1, 0] + counts[2, 0] + counts[3, 0]
    _count(cells, counts)
    outside = counts[0, 0] + counts[1, 0] + counts[2, 0] + counts[3, 0] != before
    if fillers:
        counts[0, np.uint32(cells[first])] -= np.uint32(fillers)
    _rank(bits, ranks, places)
    _raise(ranks, places, registers)
    return outside


@inner()
def _add_sums(sums: Any, s1: float, s2: float, s3: float, s4: float, gap: float, fillers: int) -> None:
    """Add a block's power sums without those of its fillers."""
    sums[0] += s1 - fillers * gap
    sums[1] += s2 - fillers * (gap * gap)
    sums[2] += s3 - fillers * (gap * gap * gap)
    sums[3] += s4 - fillers * (gap * gap * gap * gap)


@compiled
def scan_reals(
    values: Any,
    raw: Any,
    bitmap: Any,
    bit: int,
    table: Any,
    grid: Any,
    point: float,
    counts: Any,
    outer: Any,
    pages: Any,
    registers: Any,
    counters: Any,
    sums: Any,
    room: Any,
) -> None:
    """Summarise floats. ``grid`` is kind, low, size, power and 2**-power as floats, and its middle."""
    kind, low, size, power = int(grid[0]), int(grid[1]), int(grid[2]), np.int64(grid[3])
    words, mask, cells, ranks, places, wholes, block, gaps, keys = room
    for start in range(0, len(values), BLOCK):
        part, part_raw = values[start : start + BLOCK], raw[start : start + BLOCK]
        rows = len(part)
        _expand(bitmap, bit + start, rows, table, words)
        first = _first_real(part, mask[:rows])
        x, b, c = block[:rows], wholes[:rows], cells[:rows]
        good, present, zeros, least, most, s1, s2, s3, s4 = _measure_reals(
            part, part_raw, mask[:rows], max(first, 0), point, b
        )
        counters[PRESENT] += present
        if good < present:
            for at in range(rows):
                counters[INFINITE] += (mask[at] != 0) & (part_raw[at] & _LARGEST == _INFINITY)
        if first < 0:
            continue
        counters[GOOD] += good
        fillers, filler = rows - good, x[first]
        counters[LOW] = min(counters[LOW], least)
        counters[HIGH] = max(counters[HIGH], most)
        counters[ZEROS] += zeros - (fillers if filler == 0.0 else 0)
        _add_sums(sums, s1, s2, s3, s4, filler - point, fillers)
        if kind == LINEAR:
            _place_linear(x, grid[4], grid[1], grid[2], c)
        else:
            _place_log(b, power, low, size, c)
        if _finish(b, c, first, fillers, counts, registers, ranks[:rows], places[:rows]):
            _outer(x, c, grid[5], outer, pages, np.int64(1), gaps, keys)
            if fillers:
                _outer(x[first : first + 1], c[first : first + 1], grid[5], outer, pages, -fillers, gaps, keys)


@compiled
def scan_wholes(
    values: Any,
    bitmap: Any,
    bit: int,
    table: Any,
    grid: Any,
    point: Any,
    zero: int,
    counts: Any,
    outer: Any,
    pages: Any,
    registers: Any,
    counters: Any,
    sums: Any,
    room: Any,
) -> None:
    """Summarise whole numbers. ``grid`` as for `scan_reals`, but with its low end in ``counters``' last place."""
    kind, size, power = int(grid[0]), int(grid[2]), np.int64(grid[3])
    low = counters[COUNTERS]
    words, mask, cells, ranks, places, block, reals, gaps, keys = room
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        rows = len(part)
        _expand(bitmap, bit + start, rows, table, words)
        first = _first_present(mask[:rows])
        if first < 0:
            continue
        x, c, y, bits = block[:rows], cells[:rows], reals[:rows], keys[:rows]
        good, zeros, least, most, s1, s2, s3, s4 = _measure_wholes(part, mask[:rows], first, point, zero, x)
        fillers, filler = rows - good, x[first]
        counters[GOOD] += good
        counters[PRESENT] += good
        counters[LOW] = min(counters[LOW], least)
        counters[HIGH] = max(counters[HIGH], most)
        counters[ZEROS] += zeros - (fillers if filler == zero else 0)
        gap = np.float64(filler - point)
        if np.float64(most) - np.float64(point) > 4e18 or np.float64(point) - np.float64(least) > 4e18:
            s1 = s2 = s3 = s4 = 0.0
            for at in range(rows):
                far = np.float64(x[at]) - np.float64(point)
                s1, s2, s3, s4 = s1 + far, s2 + far * far, s3 + far * far * far, s4 + far * far * far * far
            gap = np.float64(filler) - np.float64(point)
        _add_sums(sums, s1, s2, s3, s4, gap, fillers)
        if kind == LINEAR:
            _place_wholes(x, power, low, size, c)
        else:
            _widen(x, zero, gaps)
            _place_log(bits, power, low, size, c)
        if _finish(x, c, first, fillers, counts, registers, ranks[:rows], places[:rows]):
            _widen(x, zero, y)
            _outer(y, c, grid[5], outer, pages, np.int64(1), gaps, keys)
            if fillers:
                _outer(y[first : first + 1], c[first : first + 1], grid[5], outer, pages, -fillers, gaps, keys)


@compiled
def scan_values(values: Any, bitmap: Any, bit: int, table: Any, low: int, size: int, counts: Any, room: Any) -> None:
    """Count whole numbers, or dictionary codes, with a cell each: 0 outside, then each number, then nulls."""
    words, mask, cells = room[0], room[1], room[2]
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        rows = len(part)
        _expand(bitmap, bit + start, rows, table, words)
        _place_values(part, mask[:rows], low, size, cells[:rows])
        _count(cells[:rows], counts)
