"""Read the rows of one column into a summary with the compiled kernels; the same numbers as `stats.profiling.scans`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError
from headwater.stats.profiling import kernels, scans
from headwater.stats.profiling.columns import ColumnSummary
from headwater.stats.profiling.grids import OUTER_SIZE, Grid, unmonotone
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.samples import sampled
from headwater.stats.profiling.scans import Piece, Stored, stored
from headwater.stats.profiling.sketches import REGISTERS

_BITS = np.array([[255 * (byte >> bit & 1) for bit in range(8)] for byte in range(256)], dtype=np.uint8)
_TABLE = _BITS.view(np.uint64).ravel()
_NO_BITMAP = np.empty(0, dtype=np.uint8)
_NO_BITMAP.flags.writeable = False
_SPREAD = 2.0**240
_SAMPLE = 128
_SPARE: deque[npt.NDArray[np.uint32]] = deque()  # outer cells, all 0 again, for the next column
_STRETCH = 1 << 15


def scan(start: ColumnSummary, pieces: Sequence[Piece]) -> ColumnSummary:
    """Summarise rows of one column with the cells of ``start``, which has no rows."""
    if start.kind == "text" and all(piece.chunk.field.form == "code" for piece in pieces):
        return _scan_codes(start, pieces)
    if start.kind == "text" and all(piece.chunk.field.form in ("text", "view") for piece in pieces):
        from headwater.stats.profiling.text_scans import scan_texts

        total = start
        for piece in pieces:
            total = total.merge(scan_texts(start, piece))
        return total
    if start.grid is None or not pieces:
        return scans.scan(start, pieces)
    if start.grid.kind == "values":
        return _scan_values(start, pieces)
    return _scan_numbers(start, pieces)


def _scan_codes(start: ColumnSummary, pieces: Sequence[Piece]) -> ColumnSummary:
    """Count dictionary codes, and look texts up once per dictionary."""
    counts: dict[str | None, int] = {}
    rows, room = 0, _room()
    for group in _by_dictionary(pieces):
        dictionary = group[0].chunk.dictionary
        assert dictionary is not None
        table = np.zeros((4, dictionary.length + 2), dtype=np.uint32)
        for piece in group:
            rows += piece.stop - piece.start
            assert piece.chunk.values is not None
            values = piece.chunk.values[piece.start : piece.stop]
            # A code beyond 2**31 turns negative, and is refused as any code outside of the dictionary.
            values = values.view(np.int32) if values.dtype == np.uint32 else values
            part = Stored(values, piece.chunk.validity, piece.chunk.offset + piece.start)
            for codes, bitmap, bit in _segments(part, _narrow(values)):
                kernels.scan_values(codes, bitmap, bit, _TABLE, 0, dictionary.length, table, room)
        times = table.sum(axis=0, dtype=np.int64)
        if times[0]:
            raise DataError(
                f"dictionary column `{start.name}` has codes outside of its dictionary of {dictionary.length} values"
            )
        for text, number in scans.texts_by_code(dictionary, times[1:-1]).items():
            counts[text] = counts.get(text, 0) + number
    return scans.summary_of_texts(start, rows, {text: times for text, times in counts.items() if text is not None})


def _room() -> tuple[npt.NDArray[Any], ...]:
    """Make room for what the kernels keep of a block: validity as words and bytes, cells, ranks, registers, numbers.

    Some are views of the same memory as numbers and as their bits.
    """
    words = np.full(kernels.BLOCK // 8, 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    cells, ranks, places = (np.empty(kernels.BLOCK, dtype=form) for form in (np.int32, np.uint8, np.uint16))
    block, gaps = np.empty(kernels.BLOCK, dtype=np.int64), np.empty(kernels.BLOCK)
    return words, words.view(np.uint8), cells, ranks, places, block, block.view(np.float64), gaps, gaps.view(np.int64)


def _by_dictionary(pieces: Sequence[Piece]) -> list[list[Piece]]:
    groups: dict[int, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(id(piece.chunk.dictionary), []).append(piece)
    return list(groups.values())


def _bitmap(validity: npt.NDArray[np.uint8] | None, bit: int) -> tuple[npt.NDArray[np.uint8], int]:
    return (_NO_BITMAP, 0) if validity is None else (_sealed(validity), bit)


def _narrow(values: npt.NDArray[Any]) -> type[np.generic]:
    return np.int32 if values.dtype.itemsize < 4 or values.dtype == np.int32 else np.int64


def _segments(part: Stored, dtype: type[np.generic]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.uint8], int]]:
    """Yield numbers in one width with their bitmap and first bit, so that a kernel is compiled in one form only.

    Other widths are cast a stretch at a time, which stays in the processor's cache.
    """
    bitmap, bit = _bitmap(part.validity, part.offset)
    if part.values.dtype == dtype:
        yield _sealed(np.ascontiguousarray(part.values)), bitmap, bit
        return
    for at in range(0, len(part.values), _STRETCH):
        yield _sealed(part.values[at : at + _STRETCH].astype(dtype)), bitmap, bit + at if len(bitmap) else 0


def _sealed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that cannot be written to: a kernel is compiled anew for arrays that can."""
    view = array.view()
    view.flags.writeable = False
    return view


def _scan_values(start: ColumnSummary, pieces: Sequence[Piece]) -> ColumnSummary:
    """Count small whole numbers; what lies outside the grid is rare and summarised by numpy."""
    grid = start.grid
    assert grid is not None
    counts, room = np.zeros((4, grid.size + 2), dtype=np.uint32), _room()
    rows = outside = 0
    found = start
    for piece in pieces:
        part = stored(piece)
        for values, bitmap, bit in _segments(part, _narrow(part.values)):
            kernels.scan_values(values, bitmap, bit, _TABLE, grid.low, grid.size, counts, room)
        rows += len(part.values)
        now = int(counts[:, 0].sum(dtype=np.int64))
        if now > outside:
            outside = now
            found = found.merge(_outside(start, part))
    times = counts.sum(axis=0, dtype=np.int64)
    nulls, times[-1] = int(times[-1]), 0
    times[0] = 0
    inside = np.flatnonzero(times)
    zero = -start.field.shift - grid.low
    ends = (int(inside[0]) - 1 + grid.low, int(inside[-1]) - 1 + grid.low) if len(inside) else (None, None)
    counted = start.with_(
        rows=rows - outside,
        nulls=nulls,
        zeros=int(times[zero + 1]) if 0 <= zero < grid.size else 0,
        low=ends[0],
        high=ends[1],
        cells=times,
    )
    return found.merge(counted) if outside else counted


def _outside(start: ColumnSummary, part: Stored) -> ColumnSummary:
    """Summarise the values of some rows that have no cell, as if there were no others."""
    grid = start.grid
    assert grid is not None
    valid = part.valid()
    values = (part.values if valid is None else part.values[valid]).astype(np.int64)
    return scans.summary_of_numbers(start, values[grid.cell(values) == 0])


def _scan_numbers(start: ColumnSummary, pieces: Sequence[Piece]) -> ColumnSummary:
    """Summarise floats, or whole numbers of a wide range."""
    grid, whole = start.grid, start.field.is_whole
    assert grid is not None
    parts = [stored(piece) for piece in pieces]
    point = _point(parts, whole)
    counts = np.zeros((4, grid.size + 2), dtype=np.uint32)
    outer = _outer_cells()
    pages, registers = np.zeros(2 * OUTER_SIZE >> 12, dtype=np.uint8), np.zeros(REGISTERS, dtype=np.uint8)
    counters = np.zeros(kernels.COUNTERS + 1, dtype=np.int64)
    counters[kernels.LOW], counters[kernels.HIGH] = 2**63 - 1, -(2**63)
    counters[kernels.COUNTERS] = grid.low
    sums, described = np.zeros(4), _described(grid)
    kept = (counts, outer, pages, registers, counters, sums, _room())
    for part in parts:
        for values, bitmap, bit in _segments(part, np.int64 if whole else np.float64):
            if whole:
                zero = -start.field.shift
                kernels.scan_wholes(values, bitmap, bit, _TABLE, described, np.int64(point), zero, *kept)
            else:
                kernels.scan_reals(values, values.view(np.int64), bitmap, bit, _TABLE, described, float(point), *kept)
    rows = sum(len(part.values) for part in parts)
    good, present = int(counters[kernels.GOOD]), int(counters[kernels.PRESENT])
    infinite = int(counters[kernels.INFINITE])
    counted = start.with_(rows=rows, nulls=rows - present, nans=present - good - infinite, infinities=infinite)
    if not good:
        _SPARE.append(outer)
        return counted
    low, high = _ends(counters, whole)
    return counted.with_(
        zeros=int(counters[kernels.ZEROS]),
        low=low,
        high=high,
        cells=counts.sum(axis=0, dtype=np.uint32).astype(np.int64),
        outer=_taken(outer, pages),
        moments=_moments(parts, good, point, sums, low, high),
        registers=registers,
        table=sampled(
            (part.values, part.validity, part.offset, piece.position) for piece, part in zip(pieces, parts, strict=True)
        ),
    )


def _outer_cells() -> npt.NDArray[np.uint32]:
    try:
        return _SPARE.pop()
    except IndexError:
        return np.zeros(2 * OUTER_SIZE, dtype=np.uint32)


def _taken(outer: npt.NDArray[np.uint32], pages: npt.NDArray[np.uint8]) -> dict[int, int]:
    """Read the counts off the touched pages, and clear these: making 2 MB of zeros anew costs more than a block."""
    found: dict[int, int] = {}
    for page in np.flatnonzero(pages).tolist():
        part = outer[page << 12 : (page + 1) << 12]
        keys = np.flatnonzero(part)
        found.update(zip((keys + (page << 12)).tolist(), part[keys].tolist(), strict=True))
        part[:] = 0
    _SPARE.append(outer)
    return found


def _described(grid: Grid) -> npt.NDArray[np.float64]:
    kind = kernels.LOG if grid.kind == "log" else kernels.LINEAR
    scale = 1.0 if grid.kind == "log" else math.ldexp(1.0, -grid.power)
    return np.array([kind, grid.low, grid.size, grid.power, scale, grid.middle], dtype=np.float64)


def _ends(counters: npt.NDArray[np.int64], whole: bool) -> tuple[int | float, int | float]:
    ends = counters[[kernels.LOW, kernels.HIGH]]
    if whole:
        return int(ends[0]), int(ends[1])
    low, high = unmonotone(ends).tolist()
    return low + 0.0, high + 0.0


def _point(parts: Sequence[Stored], whole: bool) -> int | float:
    """Choose one of the values near the mean, about which power sums lose nothing."""
    rows = sum(len(part.values) for part in parts)
    step = max(rows // _SAMPLE, 1)
    found = [_picked(part, slice(None, None, step)) for part in parts]
    sample = np.concatenate(found)
    sample = sample[np.isfinite(sample)] if not whole else sample
    if not len(sample):
        return 0
    if whole:
        point = scans.reference_point(int(np.sort(sample)[len(sample) // 2]), int(sample.min()), int(sample.max()))
        return 0 if point is None else point
    with np.errstate(over="ignore"):
        gaps = np.abs(sample - (sample / len(sample)).sum())
    return float(sample[int(np.argmin(gaps))])


def _picked(part: Stored, rows: slice) -> npt.NDArray[Any]:
    """Return the valid values of evenly spaced rows."""
    values = part.values[rows]
    if part.validity is not None:
        bits = np.arange(*rows.indices(len(part.values)), dtype=np.int64) + part.offset
        values = values[(part.validity[bits >> 3] >> (bits & 7).astype(np.uint8)) & 1 == 1]
    return values.astype(np.int64 if values.dtype.kind in "iu" else np.float64)


def _moments(
    parts: Sequence[Stored],
    good: int,
    point: int | float,
    sums: npt.NDArray[np.float64],
    low: int | float,
    high: int | float,
) -> Moments:
    """Turn power sums about a point into moments; measure anew where the point was ill chosen or floats run out."""
    if low == high:
        if isinstance(low, int):
            return Moments(good, float(low), float(low - int(float(low))))
        return replace(Moments.of(np.array([low])), count=good)  # scaled where the fourth power needs it
    s1, s2, s3, s4 = (float(total) for total in sums)
    if math.isfinite(s4):
        made = Moments.about(good, float(point), (s1, s2, s3, s4))
        spread = float(high) / 2 - float(low) / 2
        if 1 / _SPREAD < spread < _SPREAD and abs(s1) / good * abs(s1) < 1e3 * made.second:
            return made
    total = Moments()
    for part in parts:
        for at in range(0, len(part.values), 1 << 16):
            chosen = _picked(part, slice(at, at + (1 << 16)))
            total = total.merge(scans.moments_of(chosen if chosen.dtype.kind == "i" else chosen[np.isfinite(chosen)]))
    return total
