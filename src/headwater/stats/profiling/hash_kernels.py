"""The compiled inner loops that count values by their hashes."""

from __future__ import annotations

from typing import Any

import numpy as np

from headwater.stats.profiling.kernels import compiled


@compiled
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
