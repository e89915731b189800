"""The compiled inner loops that count values by their hashes."""

from __future__ import annotations

from typing import Any

import numpy as np

from headwater.stats.kernels import compiled
from headwater.stats.sketches import FIRST, SALT, SECOND

_FIRST, _SECOND, _SALT = np.uint64(FIRST), np.uint64(SECOND), np.uint64(SALT)


@compiled()
def mixed(bits: Any) -> Any:
    """Hash 64-bit patterns, as `headwater.stats.sketches.mix`."""
    found = np.empty(len(bits), dtype=np.uint64)
    for at in range(len(bits)):
        h = (bits[at] ^ _SALT) * _FIRST
        found[at] = (h ^ (h >> np.uint64(32))) * _SECOND
    return found


@compiled()
def count_hashes(hashes: Any, rows: Any, keys: Any, counts: Any, firsts: Any, used: Any, filled: int) -> int:
    """Count hashes in an open table of a power of two of slots; ``firsts`` keeps a row of each, ``used`` the slots."""
    top = np.uint64(len(keys) - 1)
    for at in range(len(hashes)):
        h = hashes[at]
        slot = (h ^ (h >> np.uint64(32))) & top
        while counts[slot] and keys[slot] != h:
            slot = (slot + np.uint64(1)) & top
        if not counts[slot]:
            keys[slot] = h
            firsts[slot] = rows[at]
            used[filled] = slot
            filled += 1
        counts[slot] += 1
    return filled
