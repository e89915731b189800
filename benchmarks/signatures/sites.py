"""Where sweeps look: windows of the development and the held-out part, and the windows before each."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from real_tables import Table

from headwater.core.windows import Window
from headwater.stats.signatures.signatures import Reference


def restored(repaired: pl.DataFrame, wanted: pl.DataFrame) -> float:
    """Return the share of cells that a repair put right."""
    if repaired.height != wanted.height or set(repaired.columns) != set(wanted.columns):
        return 0.0
    same = []
    for name in wanted.columns:
        one, other = repaired.get_column(name), wanted.get_column(name)
        if other.dtype.is_numeric() and one.dtype.is_numeric():
            gap = (one.cast(pl.Float64) - other.cast(pl.Float64)).abs() <= 1e-6 * other.cast(pl.Float64).abs() + 1e-9
            same.append((gap.fill_null(False) | (one.is_null() & other.is_null())).mean())
        elif one.dtype == other.dtype:
            same.append(one.eq_missing(other).mean())
        else:
            same.append(0.0)
    return float(np.mean(same))


def in_part(window: Window, part: str) -> bool:
    """Tell whether a window belongs to a part."""
    week = datetime.strptime(window.key, "%Y-%m-%d").isocalendar().week
    return part == "all" or (week % 2 == 1) == (part == "development")


def learn(table: Table, place: int) -> Reference:
    """Learn the windows before one."""
    frames = table.frames[place - table.trailing : place]
    return Reference.learn(frames, key=table.key, time=table.time, snapshot=table.snapshot)
