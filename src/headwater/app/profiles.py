"""Profile one table without a workspace."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.frames import Progress, as_frame, pick, silent, stored
from headwater.app.report.columns import profile_fragment, profile_page
from headwater.app.report.page import write_text
from headwater.app.report.tables import TableProfile
from headwater.app.report.text import profile_text
from headwater.app.wiring import engine_summaries, in_engine
from headwater.core.errors import UnknownName, UsageError
from headwater.stats.profiling.summaries import ColumnSummary, Summary, summarise

_EPOCH = datetime(1970, 1, 1)


class Profile(TableProfile):
    """What `profile` found; shows itself in a notebook, prints as text, and is saved as a page."""

    def __str__(self) -> str:
        return profile_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(profile_fragment(self))

    def merge(self, other: Profile) -> Profile:
        """Put two profiles together as if their rows had been profiled as one; the second must be made ``like`` it.

        Raises:
            UsageError: ``other`` is no profile, or was not made ``like`` this one.
        """
        if not isinstance(other, Profile):
            raise UsageError(
                f"a {type(other).__name__} is no profile, and only profiles merge",
                hint="profile it first: headwater.profile(data, like=this_one)",
            )
        return Profile(self.summary.merge(other.summary), self.name)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers of every column as plain data, without what only serves to merge them.

        Times are written as ISO 8601, in UTC where they have a zone.
        """
        columns = {name: _numbers(column) for name, column in self.summary.columns.items()}
        for name, told in columns.items():
            if odd := self.odd_writings(name):
                told["odd_writings"] = odd
        return {"name": self.name, "rows": self.summary.rows, "columns": columns}

    def save(self, path: str | Path) -> Path:
        """Write the profile as one HTML page that needs no network; returns the path."""
        return write_text(profile_page(self), path)


def profile(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    like: Profile | None = None,
    name: str = "",
    progress: Progress | None = None,
) -> Profile:
    """Profile a table: counts, nulls, moments, quantiles, distinct and top values of every column, in one pass.

    A path is read batch by batch, in bounded memory; on a terminal a bar shows how far that is. An Ibis table is
    profiled inside its engine (DuckDB, PostgreSQL, Spark), in a handful of queries; its rows stay there.

    Args:
        data: Anything that `as_frame` takes, or an Ibis table.
        columns: Columns to look at; all by default.
        like: An earlier profile whose grids to use, so that the two can be merged.
        name: What to call the table.
        progress: Told the rows read so far and how many there are, in place of the bar.

    Raises:
        UsageError: ``data`` is no table.
        DataError: It cannot be read.

    Example:
        >>> made = profile({"x": [1.0, 2.0, None], "colour": ["red", "red", "blue"]})
        >>> made.summary.columns["x"].nulls, made.summary.columns["colour"].distinct
        (1, 2)
    """
    grids = _grids(like)
    if isinstance(data, (str, Path)):
        with reading(progress) as told:
            return Profile(summarise(stored(Path(data), columns, told, "the table"), like=grids), name or str(data))
    if in_engine(data):
        summary = engine_summaries(data, None, grids, columns)
        assert isinstance(summary, Summary)
        return Profile(summary, name)
    return Profile(summarise(pick(as_frame(data), columns), like=grids), name)


def profile_by(
    data: Any, by: Any, *, columns: Sequence[str] | None = None, like: Profile | None = None
) -> dict[Any, Profile]:
    """Profile each window or segment of a table by itself; all of them merge.

    Rows where ``by`` is null are left out. On an Ibis table all are computed in the same queries.

    Args:
        data: See `profile`.
        by: The column whose values are the windows or segments, or a list of them; of an Ibis table also expressions.
        columns: Columns to look at; all by default.
        like: See `profile`.

    Returns:
        Value to profile, in order; the values are tuples where ``by`` is a list.

    Raises:
        UsageError: ``data`` is no table, or lacks a column.
        DataError: It cannot be read.

    Example:
        >>> days = profile_by({"day": ["mon", "tue", "mon"], "x": [1, 2, 3]}, "day")
        >>> days["mon"].summary.columns["x"].mean, days["mon"].merge(days["tue"]).summary.rows
        (2.0, 3)
    """
    grids = _grids(like)
    if in_engine(data):
        found = engine_summaries(data, by, grids, columns)
        assert isinstance(found, dict)
        return {key: Profile(summary, str(key)) for key, summary in found.items()}
    frame = as_frame(data)
    several = not isinstance(by, str)
    keys = checked_key(by, frame)
    known = frame.drop_nulls(list(keys))
    grids = grids or summarise(pick(known, columns))
    parts = known.sort(keys, maintain_order=True).partition_by(keys, as_dict=True, maintain_order=True)
    named = {values if several else values[0]: part for values, part in parts.items()}
    return {value: Profile(summarise(pick(part, columns), like=grids), str(value)) for value, part in named.items()}


def _grids(like: Any) -> Summary | None:
    if like is None or isinstance(like, Profile):
        return like.summary if like is not None else None
    raise UsageError(f"`like` is a {type(like).__name__}, no profile", hint="pass what headwater.profile returned")


@contextmanager
def reading(progress: Progress | None, what: str = "rows") -> Iterator[Progress]:
    """Show a bar on a terminal while a table is read, unless somebody else is told."""
    if progress is not None or not sys.stderr.isatty():
        yield progress or silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


QUANTILES = {"q01": 0.01, "q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}


def _numbers(column: ColumnSummary) -> dict[str, Any]:
    told: dict[str, Any] = {"type": column.dtype, "kind": column.kind, "nulls": column.nulls}
    if column.kind != "other":
        told |= {"distinct": column.distinct, "distinct_exact": column.distinct_exact}
        told["top"] = [[value, times] for value, times in column.top]
    if column.kind == "number":
        told |= {name: getattr(column, name) for name in ("nans", "infinities", "zeros")}
    if column.kind in ("number", "time"):
        ends = {"minimum": column.minimum, "maximum": column.maximum}
        ends |= {name: column.quantile(at) for name, at in QUANTILES.items()}
        told |= ends if column.kind == "number" else {name: _iso(value, column) for name, value in ends.items()}
    if column.kind == "time":
        told["top"] = [[_iso(value, column), times] for value, times in column.top]
    if column.kind == "number":
        told |= {name: getattr(column, name) for name in ("mean", "std", "skew", "kurtosis")}
    if column.kind == "boolean":
        told["mean"] = column.mean
    if column.lengths is not None:
        told["lengths"] = {name: getattr(column.lengths, name) for name in ("total", "shortest", "longest")}
    return told


def _iso(value: float | None, column: ColumnSummary) -> str | float | None:
    """Write a time as ISO 8601; one beyond the years 1 to 9999 stays the number it is."""
    if value is None:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=round(value * 1_000_000 / column.field.per_second))
    except OverflowError:
        return value
    if column.dtype == "date32" and isinstance(value, int):
        return f"{moment:%Y-%m-%d}"
    return moment.isoformat() + ("+00:00" if column.field.zone else "")


def checked_key(key: str | Sequence[str], frame: pl.DataFrame, what: str = "the table") -> tuple[str, ...]:
    """Return the key's columns, all of which the frame must have."""
    names = (key,) if isinstance(key, str) else tuple(key)
    for column in names:
        if column not in frame.columns:
            raise UnknownName.column(column, frame.columns, what)
    return names
