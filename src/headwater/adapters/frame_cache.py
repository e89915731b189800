"""Frames that were read or written lately, kept in memory up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

import polars as pl


class FrameCache:
    """Keep the frames that were used last.

    A window is read by every child, its profile, and the runs of many days to come that look back at it. What goes in
    and out is a clone, which shares its memory: whoever assigns to the cells of a frame changes only that one.

    Args:
        limit: Bytes that all frames together may take. What alone takes more than an eighth of it is not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._frames: OrderedDict[str, tuple[pl.DataFrame, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> pl.DataFrame | None:
        """Return the frame of this name; None when it is not (or no longer) here."""
        with self._lock:
            if name not in self._frames:
                return None
            self._frames.move_to_end(name)
            return self._frames[name][0].clone()

    def put(self, name: str, frame: pl.DataFrame) -> None:
        """Keep a frame, and let go of those that were not used for longest."""
        size = int(frame.estimated_size())
        if size > self.limit // 8:
            return
        with self._lock:
            if name in self._frames:
                return
            self._frames[name] = (frame.clone(), size)
            self._bytes += size
            while self._bytes > self.limit:
                self._bytes -= self._frames.popitem(last=False)[1][1]

    def drop(self, name: str) -> None:
        """Forget the frame of this name, if it is here."""
        with self._lock:
            self._bytes -= self._frames.pop(name, (None, 0))[1]
