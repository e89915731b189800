"""Count the texts of a column without making Python strings of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError
from headwater.stats.profiling import hash_kernels, scans, text_kernels
from headwater.stats.profiling.arrow import Chunk
from headwater.stats.profiling.columns import ColumnSummary, Lengths
from headwater.stats.profiling.scans import Piece
from headwater.stats.profiling.sketches import EXACT_LIMIT, KEPT, Frequencies, Hashes, Registers, hash_text, registers

_ROWS = 1 << 15
_SLOTS = 1 << 17
_MOST_BUFFERS = 16
Ints = npt.NDArray[np.int64]


class _Table:
    """An open table of hashes; when a block leaves too many in it, they are handed over and it starts anew."""

    def __init__(self, chunk: Chunk, known: frozenset[str] | None) -> None:
        self.chunk = chunk
        self.known = None if known is None else np.sort(_hashes_of(known))
        self.keys = np.empty(_SLOTS, dtype=np.uint64)
        self.counts = np.zeros(_SLOTS, dtype=np.int64)
        self.firsts = np.empty(_SLOTS, dtype=np.int64)
        self.used = np.empty(_SLOTS, dtype=np.int64)
        self.filled = 0
        self.seen = 0
        self.kept = Frequencies({})
        self.registers: Registers = registers(np.empty(0, dtype=np.uint64))

    def add(self, hashes: Hashes, rows: Ints) -> None:
        """Count a block's hashes."""
        self.filled = hash_kernels.count_hashes(
            hashes, rows, self.keys, self.counts, self.firsts, self.used, self.filled
        )
        if self.filled > EXACT_LIMIT:
            self.hand_over()

    def hand_over(self) -> None:
        """Keep the most frequent by their texts, note the others in the registers, and empty the table."""
        slots = self.used[: self.filled]
        keys, counts, firsts = self.keys[slots], self.counts[slots], self.firsts[slots]
        registers(keys, self.registers)
        if self.known is not None and len(self.known):
            at = np.minimum(np.searchsorted(self.known, keys), len(self.known) - 1)
            self.seen += int(counts[self.known[at] == keys].sum())
        cut = 0
        if len(keys) > EXACT_LIMIT:
            cut = int(np.partition(counts, len(counts) - KEPT - 1)[len(counts) - KEPT - 1])
            firsts, counts = firsts[counts > cut], counts[counts > cut] - cut
        texts = scans.texts_of(self.chunk, firsts.tolist())
        found = {text: times for text, times in zip(texts, counts.tolist(), strict=True) if text is not None}
        self.kept = self.kept.merge(Frequencies(found, cut))
        self.counts[slots] = 0
        self.filled = 0


def _hashes_of(texts: frozenset[str]) -> Hashes:
    return np.array([hash_text(text.encode()) for text in texts], dtype=np.uint64)


def scan_texts(start: ColumnSummary, piece: Piece) -> ColumnSummary:
    """Summarise plain texts by their hashes; two texts of one 64-bit hash would count as one."""
    chunk = _joined(piece.chunk)
    table = _Table(chunk, start.known)
    lengths = np.array([0, np.iinfo(np.int64).max, 0], dtype=np.int64)
    filled = 0
    for at in range(piece.start, piece.stop, _ROWS):
        stop = min(at + _ROWS, piece.stop)
        valid = chunk.valid(at, stop)
        rows = np.arange(at, stop) if valid is None else np.flatnonzero(valid) + at
        filled += len(rows)
        table.add(_hashed(chunk, rows, lengths), rows)
    table.hand_over()
    rows_in_all = piece.stop - piece.start
    return start.with_(
        rows=rows_in_all,
        nulls=rows_in_all - filled,
        registers=None if table.kept.exact else table.registers,
        table=table.kept,
        unseen=None if start.known is None else filled - table.seen,
        lengths=Lengths(*lengths.tolist()) if filled else None,
    )


def _joined(chunk: Chunk) -> Chunk:
    """Make one data buffer of very many, each of which would cost a pass."""
    if chunk.field.form != "view" or len(chunk.buffers) <= _MOST_BUFFERS + 1:
        return chunk
    sizes = np.array([len(part) for part in chunk.buffers[1:]], dtype=np.int64)
    if sizes.sum() >= 2**31:
        return chunk
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    views = chunk.buffers[0].copy()
    far = np.flatnonzero(views[:, 0] > 12)
    places = views[far, 2]
    wrong = (places < 0) | (places >= len(sizes)) | (views[far, 3] < 0)
    valid = chunk.valid()
    if valid is not None:
        wrong &= valid[far]
    if (
        wrong.any()
        or (views[far, 3] + views[far, 0].astype(np.int64) > sizes[np.clip(places, 0, len(sizes) - 1)]).any()
    ):
        raise _outside(chunk)
    views[far, 3] += starts[np.clip(places, 0, len(sizes) - 1)].astype(np.int32)
    views[far, 2] = 0
    buffers: tuple[npt.NDArray[Any], ...] = (views, np.concatenate(chunk.buffers[1:]))
    return Chunk(chunk.field, chunk.length, chunk.offset, chunk.validity, buffers=buffers, owner=chunk.owner)


def _hashed(chunk: Chunk, rows: Ints, lengths: Ints) -> Hashes:
    hashes = np.empty(len(rows), dtype=np.uint64)
    if chunk.field.form == "text":
        text_kernels.hash_texts(chunk.buffers[0], chunk.buffers[1], rows, hashes, lengths)
        return hashes
    views, none = chunk.buffers[0], np.empty(0, dtype=np.uint8)
    left = text_kernels.hash_views(views, none, -1, rows, hashes, lengths)
    for number, data in enumerate(chunk.buffers[1:]):
        if left <= 0:
            break
        found = text_kernels.hash_views(views, data, number, rows, hashes, lengths)
        left = -1 if found < 0 else left - found
    if left:
        raise _outside(chunk)
    return hashes


def _outside(chunk: Chunk) -> DataError:
    return DataError(f"text column `{chunk.field.name}` points outside its buffers")
