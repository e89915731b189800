"""The floor: every byte of the current table's buffers is read once and summed, by two threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from measuring import arguments, measure, sizes, tell
from tables import loaded

PIECE = 1 << 16  # words


def pieces(table) -> list[np.ndarray]:
    """Cut all buffers into pieces that stay in the cache while they are summed."""
    found = []
    for column in table.columns:
        for part in column.chunks:
            for buffer in part.buffers():
                if buffer is not None:
                    words = np.frombuffer(buffer, np.uint64, buffer.size // 8)
                    found += [words[at : at + PIECE] for at in range(0, len(words), PIECE)]
    return found


def main() -> None:
    given = arguments()
    rows, _ = sizes(given)
    table = loaded(given.current, rows)
    found = pieces(table)
    halves = [found[place :: given.threads] for place in range(given.threads)]
    threads = ThreadPoolExecutor(given.threads)

    def read() -> None:
        list(threads.map(lambda half: [int(piece.max()) for piece in half], halves))

    read()
    size = sum(piece.nbytes for piece in found)
    tell(measure({"current": read}, given.repeats) | {"megabytes": size / 1e6})


if __name__ == "__main__":
    main()
