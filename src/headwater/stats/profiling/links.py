"""Row-level links of a table: to itself (duplicates), to the window before (repeats) and to its parents (key match)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

WINDOW = "_window"
Marks = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
# Calendar parts are stamped anew along with the times when an old file is sent again, so they identify nothing.
_CALENDAR_WORDS = frozenset({"year", "quarter", "month", "week", "day", "weekday", "date", "hour", "minute", "second"})


class Parent(NamedTuple):
    """A parent table that a frame's rows point to.

    Attributes:
        frame: The parent's rows; with a ``_window`` column when it covers several windows.
        key: Columns to look up, as one name or a pair (name here, name in the parent).
        lookback: How many windows before its own a row may match in; matters only when the parent has ``_window``.
        snapshot: True when each window of the parent holds the full state: the newest at or before counts.
    """

    frame: pl.DataFrame
    key: Sequence[str | tuple[str, str]]
    lookback: int = 0
    snapshot: bool = False


Parents = Mapping[str, Parent | tuple[pl.DataFrame, Sequence[str]]]


def flags(
    rows: pl.DataFrame,
    columns: Sequence[str],
    key: Sequence[str],
    order: Sequence[str],
    previous: pl.DataFrame | None,
    parents: Parents,
) -> dict[str, pl.Series]:
    """Mark each row: is it a duplicate, was it there in the window before, does it find its parents?

    ``repeat_share`` asks whether the window before has the row anywhere; ``echo_share`` tells how many of its values,
    keys aside, stood in the same place there: an old delivery under new keys is known by its order.

    Rows are compared by a 64-bit hash, so that about one in 10^13 pairs of different rows counts as equal.

    Args:
        rows: The table with its ``_window`` column, holding only windows of ``order``.
        columns: The table's own columns.
        key: Columns that identify a row; none: all columns.
        order: The windows in order.
        previous: Rows of the window before the first.
        parents: Parent tables by name.

    Returns:
        Metric name to a series in row order, boolean or a share; null where it is not defined.
    """
    found: dict[str, pl.Series] = {}
    schema = rows.schema
    place = {window: index for index, window in enumerate(order)}
    at = _places(rows, place)
    identity = [name for name in (key or columns) if name in columns and not schema[name].is_nested()]
    if identity and set(key) <= set(columns):
        marks = _marks(rows.select(_plain(name, schema[name]) for name in identity))
        found["duplicate_share"] = ~_series(_tied(marks, at)).is_first_distinct()
    repeat = _repeats(rows, [name for name in columns if _lasting(name, schema[name])], at, previous)
    if repeat is not None:
        found["repeat_share"] = repeat
    echo = _echoes(rows, [name for name in columns if _lasting(name, schema[name]) and name not in key], at, previous)
    if echo is not None:
        found["echo_share"] = echo
    for name, given in parents.items():
        match = _matches(rows, at, order, Parent(*given))
        if match is not None:
            found[f"key_match.{name}"] = match
    return found


def _lasting(name: str, dtype: Any) -> bool:
    return not dtype.is_nested() and not dtype.is_temporal() and name.lower() not in _CALENDAR_WORDS


def _echoes(rows: pl.DataFrame, names: list[str], at: Places, previous: pl.DataFrame | None) -> pl.Series | None:
    before = rows.clear() if previous is None else previous
    names = [name for name in names if before.schema.get(name) == rows.schema[name] != pl.Object]
    if not names or not rows.height:
        return None
    places = np.concatenate([np.full(before.height, -1), at])  # rows come in the order of their windows
    firsts = np.searchsorted(places, at - 1)
    counts = np.searchsorted(places, at) - firsts
    there = np.arange(len(at)) - (np.searchsorted(places, at) - before.height)
    known = there < counts
    index = np.where(known, firsts + there, 0)
    same = np.zeros(len(at))
    for name in names:
        column = pl.concat([before[name], rows[name]])
        same += (column.gather(index).eq_missing(rows[name])).to_numpy() & known
    told = pl.Series(same / len(names))
    return told if (counts > 0).all() else told.set(pl.Series(counts == 0), None)


def _repeats(rows: pl.DataFrame, names: list[str], at: Places, previous: pl.DataFrame | None) -> pl.Series | None:
    if not names:
        return None
    names = sorted(names)
    schema = rows.schema
    marks = _marks(rows.select(_plain(name, schema[name]) for name in names))
    pool = _tied(marks, at + 1)
    filled = np.unique(at + 1)
    if previous is not None and len(previous) and set(names) <= set(previous.columns):
        schema = previous.schema
        before = _marks(previous.select(_plain(name, schema[name]) for name in names))
        pool = np.concatenate([pool, _tied(before, np.zeros(len(before), dtype=np.int64))])
        filled = np.append(filled, 0)
    defined = np.isin(at, filled)
    if not defined.any():
        return None
    repeated = _series(_tied(marks, at)).is_in(_series(pool).implode())
    return repeated if defined.all() else repeated.set(~pl.Series(defined), None)


def _matches(rows: pl.DataFrame, at: Places, order: Sequence[str], parent: Parent) -> pl.Series | None:
    here = [part if isinstance(part, str) else part[0] for part in parent.key]
    there = [part if isinstance(part, str) else part[1] for part in parent.key]
    frame = parent.frame
    if not here or not set(here) <= set(rows.columns) or not set(there) <= set(frame.columns):
        return None
    own, others = rows.schema, frame.schema
    casts = [_comparable(own[a], others[b]) for a, b in zip(here, there, strict=True)]
    mine = rows.select(cast(pl.col(name)).alias(f"{n}") for n, (name, cast) in enumerate(zip(here, casts, strict=True)))
    other = frame.select(
        cast(pl.col(name)).alias(f"{n}") for n, (name, cast) in enumerate(zip(there, casts, strict=True))
    )
    marks, theirs = _marks(mine), _marks(other)
    if WINDOW in frame.columns:
        marks = _tied(marks, at)
        theirs = _reached(theirs, frame, order, parent)
    matched = _series(marks).is_in(_series(theirs).implode())
    whole = mine.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    return matched & whole


def _reached(marks: Marks, frame: pl.DataFrame, order: Sequence[str], parent: Parent) -> Marks:
    """Tie the parent's rows to each window that can see them."""
    stored = sorted(frame[WINDOW].unique().to_list())
    every = sorted({*stored, *order})
    rank = {window: index for index, window in enumerate(every)}
    standing = _places(frame, rank)
    tied = [np.empty(0, dtype=np.uint64)]
    for place, window in enumerate(order):
        last = rank[window]
        if parent.snapshot:
            newest = [rank[name] for name in stored if name <= window][-1:]
            seen = standing == newest[0] if newest else np.zeros(len(standing), dtype=bool)
        else:
            seen = (standing <= last) & (standing >= last - parent.lookback)
        tied.append(_tied(marks[seen], np.full(int(seen.sum()), place)))
    return np.concatenate(tied)


def _places(rows: pl.DataFrame, place: Mapping[str, int]) -> Places:
    if len(place) == 1:
        return np.zeros(len(rows), dtype=np.int64)
    return rows[WINDOW].replace_strict(place, return_dtype=pl.Int64).to_numpy()


def _marks(rows: pl.DataFrame) -> Marks:
    return rows.hash_rows(seed=0).to_numpy()


def _tied(marks: Marks, at: Places) -> Marks:
    """Mix the window's place into the marks, so that equal rows of two windows differ."""
    with np.errstate(over="ignore"):
        return (marks ^ (at.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xFF51AFD7ED558CCD)


def _series(marks: Marks) -> pl.Series:
    return pl.Series(marks, dtype=pl.UInt64)


def _plain(name: str, dtype: Any) -> pl.Expr:
    return pl.col(name).cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else pl.col(name)


def _comparable(left: Any, right: Any) -> Callable[[pl.Expr], pl.Expr]:
    """Return the cast that makes key columns of two types comparable."""
    if left.is_numeric() and right.is_numeric():
        whole = left.is_integer() and right.is_integer()
        return lambda column: column.cast(pl.Int64 if whole else pl.Float64, strict=False)
    if left == pl.Datetime and right == pl.Datetime:
        return lambda column: column.dt.timestamp("us")
    return lambda column: column.cast(pl.String, strict=False)
