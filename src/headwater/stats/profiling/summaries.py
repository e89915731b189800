"""Summarise a table in one pass, so that the summaries of windows, segments and backfills merge without its rows."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

from headwater.core.errors import UnknownName, UsageError
from headwater.core.windows import Window
from headwater.stats.profiling.arrow import Batch, read_frame
from headwater.stats.profiling.bodies import damaged, part, whole
from headwater.stats.profiling.columns import ColumnSummary, Lengths
from headwater.stats.profiling.fields import Field
from headwater.stats.profiling.grids import Grid
from headwater.stats.profiling.mixes import shares
from headwater.stats.profiling.scans import Piece, blank, scan

__all__ = ["ColumnSummary", "Grid", "Lengths", "Summary", "summarise"]
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_LEAST_GROUP, _LARGEST_GROUP = 1 << 20, 1 << 22  # rows of a column that are summarised in one go
_AHEAD = 2
_COMPILED_FROM = 3_000_000  # rows times columns
_LOADED_FROM = 1 << 17
Scan = Callable[[ColumnSummary, Sequence[Piece]], ColumnSummary]


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of a table's rows.

    Attributes:
        columns: The summary of each column, by name.
        rows: Rows.

    Example:
        >>> import polars as pl
        >>> day = summarise(pl.DataFrame({"x": [1, 2, None, 3]}))
        >>> next_day = summarise(pl.DataFrame({"x": [3, 900]}), like=day)
        >>> both = day.merge(next_day)
        >>> both.rows, both.columns["x"].nulls, both.columns["x"].maximum, both.columns["x"].distinct
        (6, 1, 900, 4)
    """

    columns: Mapping[str, ColumnSummary]
    rows: int

    def merge(self, other: Summary) -> Summary:
        """Combine with the summary of other rows of the same table.

        Counts, minimum, maximum, histogram and distinct registers are bit for bit those of all rows together; mean and
        deviation agree to about 1e-13. The most frequent values agree within their slack.

        Raises:
            UsageError: Columns, types or histogram cells differ; both must be summarised with one ``like``.
        """
        if set(self.columns) != set(other.columns):
            odd = sorted(set(self.columns) ^ set(other.columns))
            raise UsageError(
                f"only one of two summaries has column `{odd[0]}`",
                doing="merging summaries",
                hint="give both the same `columns=`",
            )
        merged = {name: column.merge(other.columns[name]) for name, column in self.columns.items()}
        return Summary(merged, self.rows + other.rows)

    def metrics(
        self, *, window: Window | None = None, frequent: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, float]:
        """Return the numbers that monitors compare, under the names of `stats.profiling.profile.profile`.

        Those that need rows side by side (``duplicate_share``, ``repeat_share``, ``echo_share``, ``key_match``,
        ``offset``) are not there, nor any that is not defined. Quantiles are interpolated in a cell; ``distinct``
        beyond 4096 texts is an estimate.

        Args:
            window: What times are measured against, in hours from its start; without it they have no metrics.
            frequent: Values by column whose shares are measured (see `stats.profiling.mixes`).
        """
        found = {"rows": float(self.rows)}
        if not self.rows:
            return found
        for column in self.columns.values():
            found |= {f"{label}.{column.name}": value for label, value in _column_metrics(column, window)}
            found |= shares(column, (frequent or {}).get(column.name, ()))
        return found

    def body(self) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        return {"rows": self.rows, "columns": [column.body() for column in self.columns.values()]}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Summary:
        """Read what `body` wrote.

        Raises:
            DataError: It is damaged.
        """
        columns = [ColumnSummary.of(one) for one in part(body, "columns", list)]
        rows = whole(part(body, "rows", int), "rows")
        if any(column.rows != rows for column in columns) or len({column.name for column in columns}) < len(columns):
            raise damaged("its columns are not those of one table")
        return cls({column.name: column for column in columns}, rows)


def _column_metrics(column: ColumnSummary, window: Window | None) -> Iterator[tuple[str, float]]:
    rows = column.rows
    yield "null_share", column.nulls / rows
    if column.kind == "number":
        measured: dict[str, float | None] = {
            "mean": column.mean,
            "std": column.std,
            "min": _real(column.minimum),
            "max": _real(column.maximum),
            **{label: column.quantile(share) for label, share in QUANTILES.items()},
        }
        yield "zero_share", column.zeros / rows
        if column.field.is_float:
            yield "nan_share", (column.nans + column.infinities) / rows
        yield from ((label, value) for label, value in measured.items() if value is not None)
    elif column.kind == "boolean" and column.mean is not None:
        yield "true_share", column.mean
    elif column.kind == "time" and window is not None and column.count:
        yield from _hours(column, window)
    elif column.kind == "text":
        if column.distinct is not None:
            yield "distinct", float(column.distinct)
        if column.top:
            yield "top_share", column.top[0][1] / rows
        if column.lengths is not None:
            yield "length_mean", column.lengths.total / column.count
        if column.unseen is not None:
            yield "unseen_share", column.unseen / rows


def _hours(column: ColumnSummary, window: Window) -> Iterator[tuple[str, float]]:
    """Measure times in hours after the window's start; one without a zone is read as UTC."""
    per_hour = column.field.per_second * 3600
    start = Fraction(round(window.start.timestamp() * 1_000_000), 1_000_000) * column.field.per_second
    mean = column.every
    places = {"min": Fraction(column.low or 0), "mean": Fraction(mean.high) + Fraction(mean.low)}
    for label, place in {**places, "max": Fraction(column.high or 0)}.items():
        yield f"{label}_hours", float((place - start) / per_hour)


def _real(value: int | float | None) -> float | None:
    return None if value is None else float(value)


def summarise(
    frame: Any,
    *,
    like: Summary | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
) -> Summary:
    """Summarise a table in one pass over its Arrow memory, without copying it.

    Columns are summarised side by side in threads. A table of more than a few million values is read by compiled
    kernels, a smaller one by numpy; the numbers are the same. Without ``like`` the histogram's cells are learned from
    the rows at hand (of a stream: from its first million), so that summaries made without it do not merge.

    A text column is compared with the reference's vocabulary when that is closed (see `ColumnSummary.vocabulary`).
    A column that ``like`` does not have, or has with another type, learns cells of its own.

    Args:
        frame: A Polars or pandas frame, pyarrow table, DuckDB relation, anything else with ``__arrow_c_stream__`` or
            ``__arrow_c_array__``, or an iterator of such batches, which is read in bounded memory.
        like: Summary of the reference, or of any window made like it.
        columns: Columns to look at; all by default.
        threads: How many to use; by default one per processor, at most eight.

    Returns:
        The summary.

    Raises:
        UsageError: Not a table, or it lacks a column of ``columns``.
        DataError: The producer fails or contradicts itself.
    """
    fields, batches = read_frame(frame)
    wanted = _wanted(fields, columns)
    first, rest = _head(batches)
    with ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8)) as pool:
        known = [
            pool.submit(_start, fields[at], like, [Piece(batch.columns[at], 0, batch.rows, 0) for batch in first])
            for at in wanted
        ]
        starts = [future.result() for future in known]
        rows, totals = _run(starts, wanted, chain(first, rest), _form(fields, first), pool)
    return Summary({total.name: total for total in totals}, rows)


def _wanted(fields: Sequence[Field], columns: Sequence[str] | None) -> list[int]:
    if columns is None:
        return list(range(len(fields)))
    places = {field.name: at for at, field in enumerate(fields)}
    for name in columns:
        if name not in places:
            raise UnknownName.of("column", name, places)
    return sorted(places[name] for name in set(columns))


def _head(batches: Iterator[Batch]) -> tuple[list[Batch], Iterator[Batch]]:
    """Take the batches from which cells are learned: all of a small table, else about the first million rows."""
    first: list[Batch] = []
    rows = 0
    for batch in batches:
        first.append(batch)
        rows += batch.rows
        if rows >= 1 << 20:
            break
    return first, batches


def _start(field: Field, like: Summary | None, pieces: Sequence[Piece]) -> ColumnSummary:
    past = like.columns.get(field.name) if like is not None else None
    if past is not None and past.kind == field.kind and past.field.lattice == field.lattice:
        return past.empty(field)
    return blank(field, pieces)


def _form(fields: Sequence[Field], first: Sequence[Batch]) -> Scan:
    """Take the compiled kernels where numpy would need longer than it takes to load them, or where they are loaded."""
    loaded = "headwater.stats.profiling.compiled" in sys.modules
    if len(fields) * sum(batch.rows for batch in first) < (_LOADED_FROM if loaded else _COMPILED_FROM):
        return scan
    from headwater.stats.profiling.compiled import scan as compiled_scan

    return compiled_scan


def _run(
    starts: Sequence[ColumnSummary],
    wanted: Sequence[int],
    batches: Iterator[Batch],
    form: Scan,
    pool: ThreadPoolExecutor,
) -> tuple[int, list[ColumnSummary]]:
    """Summarise group after group of batches, reading the next ones while the threads work."""
    totals = list(starts)
    pending: deque[list[Future[ColumnSummary]]] = deque()
    rows = 0
    dearest_first = sorted(range(len(starts)), key=lambda at: _cheapness(starts[at]))
    for group, position in _groups(batches):
        rows = position + sum(stop - start for _, start, stop in group)
        pieces = [_pieces(group, at, position) for at in wanted]
        sent = {at: pool.submit(form, starts[at], pieces[at]) for at in dearest_first}
        pending.append([sent[at] for at in range(len(starts))])
        if len(pending) > _AHEAD:
            totals = _gathered(totals, pending.popleft())
    for futures in pending:
        totals = _gathered(totals, futures)
    return rows, totals


def _cheapness(start: ColumnSummary) -> int:
    """Rank a column by what it costs, so that no thread is left with a dear one at the end."""
    if start.kind == "text" and start.field.form != "code":
        return 0
    return 2 if start.grid is None or start.grid.kind == "values" else 1


def _gathered(totals: list[ColumnSummary], futures: list[Future[ColumnSummary]]) -> list[ColumnSummary]:
    return [total.merge(future.result()) for total, future in zip(totals, futures, strict=True)]


def _pieces(group: Sequence[tuple[Batch, int, int]], at: int, position: int) -> list[Piece]:
    pieces = []
    for batch, start, stop in group:
        pieces.append(Piece(batch.columns[at], start, stop, position))
        position += stop - start
    return pieces


def _groups(batches: Iterator[Batch]) -> Iterator[tuple[list[tuple[Batch, int, int]], int]]:
    """Cut a stream of batches into groups, each large enough to be worth a thread's while."""
    group: list[tuple[Batch, int, int]] = []
    filled = position = 0
    for batch in batches:
        start = 0
        while start < batch.rows:
            stop = min(batch.rows, start + _LARGEST_GROUP)
            group.append((batch, start, stop))
            filled += stop - start
            start = stop
            if filled >= _LEAST_GROUP:
                yield group, position
                position += filled
                group, filled = [], 0
    if group:
        yield group, position
