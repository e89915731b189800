"""Rows that are alike in everything but their key: what was loaded a second time under new keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl


def compared(schema: Collection[str], frame: pl.DataFrame, key: Sequence[str]) -> list[str]:
    """Return the columns that tell rows apart without their key; none where that cannot be said of the frame."""
    rest = [name for name in schema if name not in key]
    given = frame.schema
    if not key or len(rest) < 2 or not {*key, *rest} <= set(given):
        return []
    return [] if any(given[name].is_nested() or given[name] == pl.Object for name in rest) else rest


def alike(frame: pl.DataFrame, columns: Sequence[str], every: int = 1) -> float:
    """Return the share of rows that repeat another one in all of the columns.

    Of a large table the rows of every so manyth content are looked at.
    """
    marks = frame.select(columns).hash_rows(seed=0).to_numpy()
    if every > 1:
        marks = marks[marks % np.uint64(every) == 0]
    return 1 - len(np.unique(marks)) / len(marks) if len(marks) else 0.0


def often(frame: pl.DataFrame, columns: Sequence[str], least: float = 0.95) -> bool:
    """Tell whether the rows that come more than once come as often as each other: a copy was made of them.

    Rows that happen to be alike, say since their times were cut, come twice, three times and more.
    """
    _, counts = np.unique(frame.select(columns).hash_rows(seed=0).to_numpy(), return_counts=True)
    several = counts[counts > 1]
    return bool(len(several)) and float(np.unique(several, return_counts=True)[1].max()) >= least * len(several)
