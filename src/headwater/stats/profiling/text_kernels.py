"""The compiled inner loops for plain texts: hash them where they lie, and count the hashes."""

from __future__ import annotations

from typing import Any

import numpy as np

from headwater.stats.profiling.kernels import compiled, inner
from headwater.stats.profiling.sketches import FIRST, SECOND

_FIRST, _SECOND = np.uint64(FIRST), np.uint64(SECOND)
_HIGH_BITS, _ONES = np.uint64(0x8080808080808080), np.uint64(0x0101010101010101)
TOTAL, SHORTEST, LONGEST = range(3)


@inner()
def _stirred(h: Any, word: Any) -> Any:
    h = (h ^ word) * _FIRST
    return h ^ (h >> np.uint64(32))


@inner()
def _followers(word: Any) -> Any:
    """Count the bytes that continue a UTF-8 character: highest bit set, next one not."""
    marks = word & ~(word << np.uint64(1)) & _HIGH_BITS
    return ((marks >> np.uint64(7)) * _ONES) >> np.uint64(56)


@inner()
def _note(characters: Any, lengths: Any) -> None:
    lengths[TOTAL] += characters
    lengths[SHORTEST] = min(lengths[SHORTEST], characters)
    lengths[LONGEST] = max(lengths[LONGEST], characters)


@inner()
def _hash_bytes(data: Any, lengths: Any) -> Any:
    size = len(data)
    h, followers = np.uint64(size) * _FIRST, np.uint64(0)
    whole = size >> 3
    for at in range(whole):
        part = data[at * 8 : at * 8 + 8]
        word = np.uint64(0)
        for byte in range(8):
            word |= np.uint64(part[byte]) << np.uint64(8 * byte)
        followers += _followers(word)
        h = _stirred(h, word)
    if size & 7:
        word = np.uint64(0)
        for byte in range(size & 7):
            word |= np.uint64(data[whole * 8 + byte]) << np.uint64(8 * byte)
        followers += _followers(word)
        h = _stirred(h, word)
    _note(size - np.int64(followers), lengths)
    return h * _SECOND


@compiled
def hash_texts(offsets: Any, data: Any, rows: Any, hashes: Any, lengths: Any) -> None:
    """Hash the texts of some rows, given offsets into one buffer."""
    for at in range(len(rows)):
        row = rows[at]
        hashes[at] = _hash_bytes(data[offsets[row] : offsets[row + 1]], lengths)


@compiled
def hash_views(views: Any, data: Any, number: int, rows: Any, hashes: Any, lengths: Any) -> int:
    """Hash the texts of some rows, given views: with ``number`` -1 the short ones, else those in that buffer.

    Returns how many texts lie elsewhere, or -1 when one points outside its buffer.
    """
    left = 0
    for at in range(len(rows)):
        view = views[rows[at]]
        size = np.int64(view[0])
        if size < 0:
            return -1
        if size <= 12:
            if number < 0:
                low = np.uint64(np.uint32(view[1])) | (np.uint64(np.uint32(view[2])) << np.uint64(32))
                high = np.uint64(np.uint32(view[3]))
                h = np.uint64(size) * _FIRST
                if size:
                    h = _stirred(h, low)
                if size > 8:
                    h = _stirred(h, high)
                hashes[at] = h * _SECOND
                _note(size - np.int64(_followers(low) + _followers(high)), lengths)
        elif number < 0:
            left += 1
        elif view[2] == number:
            start = np.int64(view[3])
            if start < 0 or start + size > len(data):
                return -1
            hashes[at] = _hash_bytes(data[start : start + size], lengths)
            left += 1
    return left
