"""The compiled inner loops of summaries: one pass over a column, block by block in the processor's cache.

Each loop does one thing on a block of 2048 rows so that the compiler can turn it into vector instructions; arrays are
passed as slices from 0 on, because an index that might be negative keeps it from doing so. Nulls, NaN and infinities
are replaced by the block's first finite value and taken off the sums afterwards, which is far cheaper than branching.
Measurements are in docs/decisions/0011.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core import event

from headwater.stats.sketches import FIRST, SALT, SECOND

_F = TypeVar("_F", bound=Callable[..., Any])
BLOCK = 2048
FINITE = 1.7976931348623157e308
# Additions may be reordered, which vectors need; NaN and signed zeros keep their meaning.
_SUMS = {"reassoc", "nsz", "contract"}
_LARGEST, _LEAST = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x8000000000000000)
_FIRST, _SECOND, _SALT = np.uint64(FIRST), np.uint64(SECOND), np.uint64(SALT)
LINEAR, LOG = 0, 1
# Places in the counters and sums that the loops keep.
GOOD, PRESENT, INFINITE, FLOOR, LOW, HIGH, ZEROS = range(7)
COUNTERS = 7


class _Announcement(event.Listener):
    """Say once, on stderr, that a first call compiles."""

    told = False

    def on_start(self, event: event.Event) -> None:
        ours = getattr(event.data["dispatcher"].py_func, "__module__", "").startswith(_ROOM)
        if ours and not self.told:
            self.told = True
            print("headwater: compiling the summary kernels, once for this machine ...", file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Nothing follows."""


_ROOM = __name__.rpartition(".")[0]
event.register("numba:compile", _Announcement())  # type: ignore[no-untyped-call]


def compiled(**options: Any) -> Callable[[_F], _F]:
    """Compile without the interpreter's lock, and keep the machine code on disk."""

    def wrap(function: _F) -> _F:
        try:
            return cast(_F, njit(nogil=True, cache=True, **options)(function))
        except RuntimeError:  # no folder that a cache could be written to
            return cast(_F, njit(nogil=True, **options)(function))

    return wrap


@compiled()
def _expand(bitmap: Any, bit: int, rows: int, table: Any, mask: Any) -> None:
    """Turn a block's bits into bytes of 0 and 255, eight rows at a time; ``mask`` is of 64-bit words."""
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


@compiled()
def _fill_reals(values: Any, mask: Any, filler: float, out: Any) -> tuple[int, int]:
    good = present = 0
    for at in range(len(values)):
        value = np.float64(values[at]) + 0.0  # makes both zeros one
        there = mask[at] != 0
        fine = there & (abs(value) <= FINITE)
        out[at] = value if fine else filler
        good += fine
        present += there
    return good, present


@compiled()
def _fill_wholes(values: Any, mask: Any, filler: Any, out: Any) -> int:
    good = 0
    for at in range(len(values)):
        fine = mask[at] != 0
        out[at] = np.int64(values[at]) if fine else filler
        good += fine
    return good


@compiled()
def _ends(bits: Any) -> tuple[int, int]:
    low, high = int(_LARGEST), int(_LEAST)
    for at in range(len(bits)):
        low = min(low, bits[at])
        high = max(high, bits[at])
    return low, high


@compiled()
def _ends_of_reals(bits: Any) -> tuple[int, int]:
    low, high = int(_LARGEST), int(_LEAST)
    for at in range(len(bits)):
        key = bits[at] ^ ((bits[at] >> np.int64(63)) & _LARGEST)
        low = min(low, key)
        high = max(high, key)
    return low, high


@compiled(fastmath=_SUMS)
def _sums_of_reals(values: Any, point: float) -> tuple[float, float, float, float, float]:
    s1 = s2 = s3 = s4 = zeros = 0.0
    for at in range(len(values)):
        gap = values[at] - point
        square = gap * gap
        s1 += gap
        s2 += square
        s3 += square * gap
        s4 += square * square
        zeros += 1.0 if values[at] == 0.0 else 0.0
    return s1, s2, s3, s4, zeros


@compiled(fastmath=_SUMS)
def _sums_of_wholes(values: Any, point: int) -> tuple[float, float, float, float]:
    s1 = s2 = s3 = s4 = 0.0
    for at in range(len(values)):
        gap = np.float64(values[at] - point)
        square = gap * gap
        s1 += gap
        s2 += square
        s3 += square * gap
        s4 += square * square
    return s1, s2, s3, s4


@compiled()
def _equal(values: Any, wanted: int) -> int:
    found = 0
    for at in range(len(values)):
        found += values[at] == wanted
    return found


@compiled()
def _place_linear(values: Any, scale: float, low: float, size: float, cells: Any) -> None:
    for at in range(len(values)):
        place = np.floor(values[at] * scale) - low + 1.0
        place = place if place < size + 1.0 else 0.0
        cells[at] = np.int32(place if place > 0.0 else 0.0)


@compiled()
def _place_log(bits: Any, power: Any, low: int, size: int, cells: Any) -> None:
    for at in range(len(bits)):
        key = bits[at] ^ ((bits[at] >> np.int64(63)) & _LARGEST)
        place = (key >> power) - low + 1
        place = place if place <= size else 0
        place = place if place > 0 else 0
        cells[at] = np.int32(size + 1 if bits[at] == 0 else place)


@compiled()
def _place_wholes(values: Any, power: Any, low: int, size: int, cells: Any) -> None:
    for at in range(len(values)):
        place = (values[at] >> power) - low
        inside = (place >= 0) & (place < size)
        cells[at] = np.int32(place + 1 if inside else 0)


@compiled()
def _place_values(values: Any, mask: Any, low: int, size: int, cells: Any) -> None:
    """Place whole numbers with a cell each; nulls go to the cell after the last."""
    for at in range(len(values)):
        place = np.int64(values[at]) - low
        inside = (place >= 0) & (place < size)
        cells[at] = np.int32((place + 1 if inside else 0) if mask[at] != 0 else size + 1)


@compiled()
def _count(cells: Any, counts: Any) -> None:
    """Count in four tables in turn: runs of one value then do not wait for each other."""
    a, b, c, d = counts[0], counts[1], counts[2], counts[3]
    one = np.uint32(1)
    whole = len(cells) & ~7
    for start in range(0, whole, 8):
        part = cells[start : start + 8]
        a[np.uint32(part[0])] += one
        b[np.uint32(part[1])] += one
        c[np.uint32(part[2])] += one
        d[np.uint32(part[3])] += one
        a[np.uint32(part[4])] += one
        b[np.uint32(part[5])] += one
        c[np.uint32(part[6])] += one
        d[np.uint32(part[7])] += one
    for at in range(whole, len(cells)):
        a[np.uint32(cells[at])] += one


@compiled()
def _register(rest: Any, place: Any, registers: Any) -> None:
    """Raise one HyperLogLog register; ``rest`` are the hash's bits below the register's number."""
    rank = 1
    while rank < 53 and not rest >> np.uint64(63):
        rest <<= np.uint64(1)
        rank += 1
    if rank > registers[place]:
        registers[place] = rank


@compiled()
def _hash(bits: Any, out: Any) -> None:
    for at in range(len(bits)):
        h = (np.uint64(bits[at]) ^ _SALT) * _FIRST
        out[at] = (h ^ (h >> np.uint64(32))) * _SECOND


@compiled()
def observe(hashes: Any, registers: Any) -> None:
    """Raise registers by hashes; the branch is nearly never taken once they have risen."""
    for at in range(len(hashes)):
        place, rest = hashes[at] >> np.uint64(52), hashes[at] << np.uint64(12)
        if rest >> np.uint64(63 - registers[place]) <= np.uint64(1):
            _register(rest, place, registers)


@compiled()
def _observe_many(hashes: Any, registers: Any, floor: int) -> None:
    """The same when every register is at least ``floor``: few groups of rows hold a hash that could raise one."""
    shift = np.uint64(64 - floor)
    whole = len(hashes) & ~15
    for start in range(0, whole, 16):
        part = hashes[start : start + 16]
        some = False
        for at in range(16):
            some |= (part[at] << np.uint64(12)) >> shift == 0
        if some:
            for at in range(16):
                place, rest = part[at] >> np.uint64(52), part[at] << np.uint64(12)
                if rest >> shift == 0 and rest >> np.uint64(63 - registers[place]) <= np.uint64(1):
                    _register(rest, place, registers)
    observe(hashes[whole:], registers)


@compiled()
def _outer(values: Any, cells: Any, middle: float, outer: Any, pages: Any, weight: int) -> None:
    """Count the numbers outside the grid by outer cell; see `headwater.stats.grids.Grid.outer`.

    ``pages`` marks which 4096 cells of ``outer`` were touched, so that the others need not be looked through.
    """
    half = len(outer) >> 1
    scratch = np.empty(1)
    bits = scratch.view(np.int64)
    whole = (len(cells) + 31) >> 5
    for group in range(whole):
        part = cells[group * 32 : group * 32 + 32]
        least = np.int32(1)
        for at in range(len(part)):
            least = min(least, part[at])
        if least:
            continue
        for at in range(len(part)):
            if part[at] == 0:
                value = values[group * 32 + at]
                gap = value - middle
                near = abs(value) < abs(gap)
                scratch[0] = (value if near else gap) + 0.0
                key = bits[0] ^ ((bits[0] >> np.int64(63)) & _LARGEST)
                place = (key >> np.int64(46)) + (half >> 1) + (0 if near else half)
                outer[place] += np.uint32(weight)
                pages[place >> 12] = np.uint8(1)


@compiled()
def _infinities(values: Any, mask: Any) -> int:
    found = 0
    for at in range(len(values)):
        found += (mask[at] != 0) & (abs(np.float64(values[at])) > FINITE)
    return found


@compiled()
def _first_real(values: Any, mask: Any) -> int:
    for at in range(len(values)):
        if mask[at] != 0 and abs(np.float64(values[at])) <= FINITE:
            return at
    return -1


@compiled()
def _first_present(mask: Any) -> int:
    for at in range(len(mask)):
        if mask[at] != 0:
            return at
    return -1


@compiled()
def scan_reals(
    values: Any,
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
) -> None:
    """Summarise floats. ``grid`` is kind, low, size, power and 2**-power as floats, and its middle."""
    kind, low, size, power = int(grid[0]), int(grid[1]), int(grid[2]), np.int64(grid[3])
    words = np.full(BLOCK // 8, np.uint64(0xFFFFFFFFFFFFFFFF))
    mask = words.view(np.uint8)
    block, cells = np.empty(BLOCK), np.empty(BLOCK, dtype=np.int32)
    hashes = np.empty(BLOCK, dtype=np.uint64)
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        rows = len(part)
        if len(bitmap):
            _expand(bitmap, bit + start, rows, table, words)
        first = _first_real(part, mask[:rows])
        filler = np.float64(part[max(first, 0)]) + 0.0 if first >= 0 else 0.0
        x, c = block[:rows], cells[:rows]
        good, present = _fill_reals(part, mask[:rows], filler, x)
        counters[PRESENT] += present
        if good < present:
            counters[INFINITE] += _infinities(part, mask[:rows])
        if first < 0:
            continue
        counters[GOOD] += good
        fillers = rows - good
        low_key, high_key = _ends_of_reals(x.view(np.int64))
        counters[LOW] = min(counters[LOW], low_key)
        counters[HIGH] = max(counters[HIGH], high_key)
        s1, s2, s3, s4, zeros = _sums_of_reals(x, point)
        gap = filler - point
        sums[0] += s1 - fillers * gap
        sums[1] += s2 - fillers * (gap * gap)
        sums[2] += s3 - fillers * (gap * gap * gap)
        sums[3] += s4 - fillers * (gap * gap * gap * gap)
        counters[ZEROS] += int(zeros) - (fillers if filler == 0.0 else 0)
        if kind == LINEAR:
            _place_linear(x, grid[4], grid[1], grid[2], c)
        else:
            _place_log(x.view(np.int64), power, low, size, c)
        if _finish(x.view(np.int64), c, first, fillers, counts, registers, counters, hashes[:rows]):
            _outer(x, c, grid[5], outer, pages, 1)
            if fillers:
                _outer(x[first : first + 1], c[first : first + 1], grid[5], outer, pages, -fillers)


@compiled()
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
) -> None:
    """Summarise whole numbers. ``grid`` as for `scan_reals`, but with its low end in ``counters``' last place."""
    kind, size, power = int(grid[0]), int(grid[2]), np.int64(grid[3])
    low = counters[COUNTERS]
    words = np.full(BLOCK // 8, np.uint64(0xFFFFFFFFFFFFFFFF))
    mask = words.view(np.uint8)
    block, reals, cells = np.empty(BLOCK, dtype=np.int64), np.empty(BLOCK), np.empty(BLOCK, dtype=np.int32)
    hashes = np.empty(BLOCK, dtype=np.uint64)
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        rows = len(part)
        if len(bitmap):
            _expand(bitmap, bit + start, rows, table, words)
        first = _first_present(mask[:rows])
        if first < 0:
            continue
        filler = np.int64(part[max(first, 0)])
        x, c = block[:rows], cells[:rows]
        good = _fill_wholes(part, mask[:rows], filler, x)
        counters[GOOD] += good
        counters[PRESENT] += good
        fillers = rows - good
        least, most = _ends(x)
        counters[LOW] = min(counters[LOW], least)
        counters[HIGH] = max(counters[HIGH], most)
        far = np.float64(most) - np.float64(point) > 4e18 or np.float64(point) - np.float64(least) > 4e18
        if far:
            reals[:rows] = x
            s1, s2, s3, s4, _ = _sums_of_reals(reals[:rows], np.float64(point))
            gap = np.float64(filler) - np.float64(point)
        else:
            s1, s2, s3, s4 = _sums_of_wholes(x, point)
            gap = np.float64(filler - point)
        sums[0] += s1 - fillers * gap
        sums[1] += s2 - fillers * (gap * gap)
        sums[2] += s3 - fillers * (gap * gap * gap)
        sums[3] += s4 - fillers * (gap * gap * gap * gap)
        if least <= zero and most >= zero:
            counters[ZEROS] += _equal(x, zero) - (fillers if filler == zero else 0)
        if kind == LINEAR:
            _place_wholes(x, power, low, size, c)
        else:
            reals[:rows] = x
            _place_log(reals[:rows].view(np.int64), power, low, size, c)
        if _finish(x, c, first, fillers, counts, registers, counters, hashes[:rows]):
            y = reals[:rows]
            y[:] = x
            _outer(y, c, grid[5], outer, pages, 1)
            if fillers:
                _outer(y[first : first + 1], c[first : first + 1], grid[5], outer, pages, -fillers)


@compiled()
def _finish(
    bits: Any,
    cells: Any,
    first: int,
    fillers: int,
    counts: Any,
    registers: Any,
    counters: Any,
    hashes: Any,
) -> Any:
    """Count a block's cells and distinct values, take the fillers off again, and tell whether some lie outside."""
    before = counts[0, 0] + counts[1, 0] + counts[2, 0] + counts[3, 0]
    _count(cells, counts)
    outside = counts[0, 0] + counts[1, 0] + counts[2, 0] + counts[3, 0] != before
    if fillers:
        counts[0, np.uint32(cells[first])] -= np.uint32(fillers)
    _hash(bits, hashes)
    if counters[FLOOR] >= 3:
        _observe_many(hashes, registers, counters[FLOOR])
    else:
        observe(hashes, registers)
    # Looking for the lowest register costs as much as a block; done now and then it tells soon enough.
    if counters[GOOD] & np.int64(0xF000) == 0:
        lowest = np.uint8(255)
        for at in range(len(registers)):
            lowest = min(lowest, registers[at])
        counters[FLOOR] = lowest
    return outside


@compiled()
def scan_values(values: Any, bitmap: Any, bit: int, table: Any, low: int, size: int, counts: Any) -> None:
    """Count whole numbers, or dictionary codes, with a cell each: 0 outside, then each number, then nulls."""
    words = np.full(BLOCK // 8, np.uint64(0xFFFFFFFFFFFFFFFF))
    mask = words.view(np.uint8)
    cells = np.empty(BLOCK, dtype=np.int32)
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        rows = len(part)
        if len(bitmap):
            _expand(bitmap, bit + start, rows, table, words)
        _place_values(part, mask[:rows], low, size, cells[:rows])
        _count(cells[:rows], counts)
