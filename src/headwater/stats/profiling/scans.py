"""Read the rows of one column into a summary, in plain numpy: for small tables, and what the kernels must equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError
from headwater.stats.profiling.arrow import Bytes, Chunk, count_bits, unpack_bits
from headwater.stats.profiling.columns import ColumnSummary, Lengths
from headwater.stats.profiling.fields import Field
from headwater.stats.profiling.grids import Grid, learn
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.samples import sampled
from headwater.stats.profiling.sketches import REGISTERS, Frequencies, mix, registers, registers_of_texts

LEARNED_ROWS = 1 << 13
_SIGN = np.uint64(1 << 63)


class Piece(NamedTuple):
    """Some rows of a chunk.

    Attributes:
        chunk: The column's part of a batch.
        start: First row.
        stop: Row after the last.
        position: Place of the first row in the whole table.
    """

    chunk: Chunk
    start: int
    stop: int
    position: int


@dataclass(frozen=True, eq=False)
class Stored:
    """Fixed-width numbers of some rows: int64 or float64 of any width, and which are valid."""

    values: npt.NDArray[Any]
    validity: Bytes | None
    offset: int

    def valid(self) -> npt.NDArray[np.bool_] | None:
        """Unpack the bitmap; None when all are valid."""
        return None if self.validity is None else unpack_bits(self.validity, self.offset, len(self.values))


def stored(piece: Piece) -> Stored:
    """Return a piece's numbers as they are summarised: signed whole numbers or floats, booleans as bytes."""
    chunk, start, stop, _ = piece
    if chunk.field.form == "code":
        return _taken(chunk, start, stop)
    if chunk.field.form == "bool":
        assert chunk.bits is not None
        return Stored(unpack_bits(chunk.bits, chunk.offset + start, stop - start), chunk.validity, chunk.offset + start)
    assert chunk.values is not None
    values = chunk.values[start:stop]
    if chunk.field.form == "decimal":
        values = _decimals(chunk.field, values)
    elif values.dtype == np.uint64:
        values = (values ^ _SIGN).view(np.int64)
    elif values.dtype == np.float16:
        values = values.astype(np.float32)
    return Stored(values, chunk.validity, chunk.offset + start)


def _decimals(field: Field, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    limbs = values.view(np.uint64).reshape(len(values), values.dtype.itemsize // 8)
    if field.storage_whole:
        return limbs[:, 0].view(np.int64)
    negative = limbs[:, -1] >> np.uint64(63) == 1
    # A negative number is minus the complement minus one, which keeps small ones exact.
    limbs = np.where(negative[:, None], ~limbs, limbs)
    total = limbs[:, -1].astype(np.float64)
    for at in range(limbs.shape[1] - 2, -1, -1):
        total = total * 2.0**64 + limbs[:, at].astype(np.float64)
    total[negative] = -total[negative] - 1.0
    return total


def _taken(chunk: Chunk, start: int, stop: int) -> Stored:
    """Look up the numbers that codes stand for."""
    assert chunk.values is not None and chunk.dictionary is not None
    entries = stored(Piece(chunk.dictionary, 0, chunk.dictionary.length, 0))
    codes, valid = _codes(chunk, start, stop)
    known = entries.valid()
    if known is not None:
        valid = known[codes] if valid is None else valid & known[codes]
    values = entries.values[codes] if len(entries.values) else np.zeros(len(codes), dtype=entries.values.dtype)
    bitmap = None if valid is None else np.packbits(valid, bitorder="little")
    return Stored(values, bitmap, 0)


def _codes(chunk: Chunk, start: int, stop: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
    """Return codes with 0 in place of nulls, checked against the dictionary."""
    assert chunk.values is not None and chunk.dictionary is not None
    valid = chunk.valid(start, stop)
    codes = chunk.values[start:stop].astype(np.int64)
    if valid is not None:
        codes = np.where(valid, codes, 0)
    if valid is None or valid.any():
        low, high = (int(codes.min()), int(codes.max())) if len(codes) else (0, -1)
        if low < 0 or high >= max(chunk.dictionary.length, 1 if valid is not None and not valid.all() else 0):
            raise DataError(
                f"dictionary column `{chunk.field.name}` has code {low if low < 0 else high}, "
                f"its dictionary {chunk.dictionary.length} values"
            )
    return codes, valid


def blank(field: Field, pieces: Iterable[Piece]) -> ColumnSummary:
    """Return the summary of no rows, with cells learned from the given ones."""
    if field.kind == "text":
        return ColumnSummary(field, table=Frequencies({}))
    if field.kind not in ("number", "time"):
        return ColumnSummary(field)
    grid = _learned(field, list(pieces))
    cells = np.zeros(grid.size + 2, dtype=np.int64)
    table = None if grid.kind == "values" else Frequencies({})
    return ColumnSummary(field, grid=grid, cells=cells, registers=np.zeros(REGISTERS, dtype=np.uint8), table=table)


def _learned(field: Field, pieces: Sequence[Piece]) -> Grid:
    """Learn a grid from rows at equal distances."""
    rows = sum(piece.stop - piece.start for piece in pieces)
    step = max(rows // LEARNED_ROWS, 1)
    parts = []
    for piece in pieces:
        found = stored(piece)
        values = found.values[::step]
        valid = found.valid()
        values = values if valid is None else values[valid[::step]]
        parts.append(values[np.isfinite(values)] if values.dtype.kind == "f" else values)
    whole = field.is_whole
    sample = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64 if whole else np.float64)
    return learn(sample.astype(np.int64 if whole else np.float64), bits=field.storage.itemsize * 8, shift=field.shift)


def scan(start: ColumnSummary, pieces: Sequence[Piece]) -> ColumnSummary:
    """Summarise rows of one column with the cells of ``start``, which has no rows."""
    total = start
    for piece in pieces:
        for at in range(piece.start, max(piece.stop, piece.start + 1), 1 << 18):
            stop = min(at + (1 << 18), piece.stop)
            part = Piece(piece.chunk, at, stop, piece.position + at - piece.start)
            total = total.merge(_scan(start, part))
    if total.count and total.grid is not None and total.grid.kind != "values":
        return total.with_(table=sampled(_rows_of(piece) for piece in pieces))
    return total


def _rows_of(piece: Piece) -> tuple[npt.NDArray[Any], Bytes | None, int, int]:
    found = stored(piece)
    return found.values, found.validity, found.offset, piece.position


def _scan(start: ColumnSummary, piece: Piece) -> ColumnSummary:
    kind = start.kind
    if kind == "text":
        return scan_text(start, piece)
    if kind == "boolean":
        return scan_booleans(start, piece)
    if kind == "other":
        return start.with_(rows=piece.stop - piece.start, nulls=nulls_of(piece))
    return scan_numbers(start, piece)


def nulls_of(piece: Piece) -> int:
    """Count the null rows of a piece by its bitmap."""
    chunk, rows = piece.chunk, piece.stop - piece.start
    if chunk.field.form == "null":
        return rows
    return 0 if chunk.validity is None else rows - count_bits(chunk.validity, chunk.offset + piece.start, rows)


def scan_booleans(start: ColumnSummary, piece: Piece) -> ColumnSummary:
    """Count true, false and null."""
    found = stored(piece)
    valid = found.valid()
    values = found.values if valid is None else found.values[valid]
    rows, true = piece.stop - piece.start, int(np.count_nonzero(values))
    return start.with_(rows=rows, nulls=rows - len(values), zeros=len(values) - true)


def scan_numbers(start: ColumnSummary, piece: Piece) -> ColumnSummary:
    """Summarise whole numbers or floats."""
    grid = start.grid
    assert grid is not None
    found = stored(piece)
    valid = found.valid()
    whole = start.field.is_whole
    values = (found.values if valid is None else found.values[valid]).astype(np.int64 if whole else np.float64)
    rows, nulls = len(found.values), len(found.values) - len(values)
    nans = infinities = 0
    if not whole:
        finite = np.isfinite(values)
        if not finite.all():
            nans = int(np.isnan(values).sum())
            infinities = len(values) - nans - int(finite.sum())
            values = values[finite]
    counted = {"rows": rows, "nulls": nulls, "nans": nans, "infinities": infinities}
    return summary_of_numbers(start, values).with_(**counted)


def summary_of_numbers(start: ColumnSummary, values: npt.NDArray[Any]) -> ColumnSummary:
    """Make a summary of finite numbers; the most frequent are left to the caller."""
    grid, whole = start.grid, start.field.is_whole
    assert grid is not None
    if not len(values):
        return start
    cells = grid.cell(values)
    outside = values[cells == 0]
    keys, times = np.unique(grid.outer(outside), return_counts=True)
    hashed = outside if grid.kind == "values" else values
    low, high = values.min(), values.max()
    return start.with_(
        rows=len(values),
        zeros=int((values == -start.field.shift).sum()),
        low=int(low) if whole else float(low) + 0.0,
        high=int(high) if whole else float(high) + 0.0,
        cells=np.bincount(cells, minlength=grid.size + 2),
        outer=dict(zip(keys.tolist(), times.tolist(), strict=True)),
        moments=moments_of(hashed),
        registers=registers(mix(hashed if whole else hashed + 0.0)),
    )


def moments_of(values: npt.NDArray[Any]) -> Moments:
    """Measure whole numbers or floats; whole ones by their distance from one of them, which loses nothing."""
    if not len(values) or values.dtype.kind == "f":
        return Moments.of(values.astype(np.float64))
    low, high = int(values.min()), int(values.max())
    point = reference_point(int(values[len(values) // 2]), low, high)
    if point is None:
        return Moments.of(values.astype(np.float64))
    return Moments.of((values - np.int64(point)).astype(np.float64)).moved(point)


def reference_point(near: int, low: int, high: int) -> int | None:
    """Return a whole number that a float holds exactly, with no difference out of range; None when there is none."""
    point = int(float(near))
    fits = max(high - point, point - low) < 2**62 and -(2**63) <= point < 2**63
    return point if fits else None


def scan_text(start: ColumnSummary, piece: Piece) -> ColumnSummary:
    """Count texts: by their codes where there is a dictionary, one by one otherwise."""
    rows = piece.stop - piece.start
    if piece.chunk.field.form == "code":
        counts = _coded_counts(piece)
    else:
        counts = Counter(texts_of(piece.chunk, range(piece.start, piece.stop)))
        counts.pop(None, 0)
    return summary_of_texts(start, rows, {text: times for text, times in counts.items() if text is not None})


def summary_of_texts(start: ColumnSummary, rows: int, counts: dict[str, int]) -> ColumnSummary:
    """Make a summary from all texts and their counts."""
    filled = sum(counts.values())
    table = Frequencies(counts).bounded()
    known = start.known
    lengths = [len(text) for text in counts]
    characters = sum(length * times for length, times in zip(lengths, counts.values(), strict=True))
    return start.with_(
        rows=rows,
        nulls=rows - filled,
        registers=None if table.exact else registers_of_texts(counts),
        table=table,
        unseen=None if known is None else sum(times for text, times in counts.items() if text not in known),
        lengths=Lengths(characters, min(lengths), max(lengths)) if lengths else None,
    )


def _coded_counts(piece: Piece) -> dict[str | None, int]:
    chunk = piece.chunk
    assert chunk.dictionary is not None
    codes, valid = _codes(chunk, piece.start, piece.stop)
    times = np.bincount(codes if valid is None else codes[valid], minlength=1)
    return texts_by_code(chunk.dictionary, times)


def texts_by_code(dictionary: Chunk, times: npt.NDArray[np.int64]) -> dict[str | None, int]:
    """Turn counts by code into counts by text; two codes of one text add up, codes of null are left out."""
    used = np.flatnonzero(times)
    counts: dict[str | None, int] = {}
    for text, count in zip(texts_of(dictionary, used.tolist()), times[used].tolist(), strict=True):
        counts[text] = counts.get(text, 0) + count
    counts.pop(None, None)
    return counts


def texts_of(chunk: Chunk, rows: Sequence[int]) -> list[str | None]:
    """Decode texts, None where null; bytes that are not UTF-8 become the replacement sign."""
    valid = chunk.valid()
    raw = _bytes_of_views(chunk, rows) if chunk.field.form == "view" else _bytes_of_texts(chunk, rows)
    texts: list[str | None] = [part.decode("utf-8", "replace") for part in raw]
    if valid is not None:
        texts = [text if there else None for text, there in zip(texts, valid[list(rows)].tolist(), strict=True)]
    return texts


def _bytes_of_texts(chunk: Chunk, rows: Sequence[int]) -> Iterator[bytes]:
    offsets, data = chunk.buffers
    at = np.asarray(rows, dtype=np.int64)
    memory = memoryview(data)  # type: ignore[arg-type]
    for start, stop in zip(offsets[at].tolist(), offsets[at + 1].tolist(), strict=True):
        yield bytes(memory[start:stop])


def _bytes_of_views(chunk: Chunk, rows: Sequence[int]) -> Iterator[bytes]:
    views = chunk.buffers[0][np.asarray(rows, dtype=np.int64)]
    inline = views.tobytes()
    valid = chunk.valid()
    for place, (length, _, buffer, offset) in enumerate(views.tolist()):
        if length <= 12:
            yield inline[place * 16 + 4 : place * 16 + 4 + max(length, 0)]
        elif valid is not None and not valid[rows[place]]:
            yield b""
        elif 0 <= buffer < len(chunk.buffers) - 1 and 0 <= offset <= len(chunk.buffers[1 + buffer]) - length:
            yield chunk.buffers[1 + buffer][offset : offset + length].tobytes()
        else:
            raise DataError(f"text column `{chunk.field.name}` points outside its buffers")
