"""Summarise a table where it lies: a handful of SQL queries through Ibis, with the kernel's cells and counts.

Written for DuckDB, PostgreSQL and Spark, which the conformance tests run; other engines of Ibis may do. The queries:
facts (counts, ends, sums), a sample to learn cells from where there is no reference, power sums around the mean, and
the counts of cells, of texts and of numbers with few values. Each looks at all columns at once.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.adapters.engine_answers import Asked, answered, filled
from headwater.adapters.engine_cells import coded, whole_ends
from headwater.adapters.engine_columns import field_of, stored
from headwater.core.errors import MissingExtra, UnknownName, UsageError
from headwater.stats.profiling.columns import ColumnSummary
from headwater.stats.profiling.fields import Field
from headwater.stats.profiling.grids import learn
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.scans import LEARNED_ROWS
from headwater.stats.profiling.sketches import EXACT_LIMIT
from headwater.stats.profiling.summaries import Summary

Expression = Any
Key = tuple[Any, ...]
_LARGE, _SMALL = 2.0**200, 2.0**-200
_FEW = EXACT_LIMIT + EXACT_LIMIT // 4  # an approximate count up to this is worth counting value by value
_DOWN = 2.0**-64  # keeps a sum of the largest floats in range


@dataclass(frozen=True)
class _Frame:
    """Where a window's numbers are measured from, and the power of two that they are divided by."""

    point: int | float
    exponent: int = 0

    @property
    def scale(self) -> float:
        return math.ldexp(1.0, -self.exponent)

    @property
    def tiny(self) -> float:
        """What is smaller counts as zero: divided, it would fall below the least float, and is nothing to the rest."""
        return math.ldexp(1.0, self.exponent - 300) if self.exponent > 0 else 0.0


def summarise_table(
    table: Any,
    *,
    like: Summary | None = None,
    columns: Sequence[str] | None = None,
    exact_distinct: bool = False,
) -> Summary:
    """Summarise an Ibis table expression inside its engine; rows never leave it, but for a sample to learn cells from.

    The numbers are those of `stats.profiling.summaries.summarise`: counts, cells, minimum and maximum exactly, mean and
    deviation to 1e-9 of the deviation, and both kinds of summaries merge. What differs: distinct values beyond 4096 are
    counted by the engine (approximately by default; PostgreSQL always counts exactly), and such a count is lost in a
    merge; the most frequent numbers beyond 4096 distinct ones are left out. Decimals of more than 18 digits are
    compared as floats. Without ``like`` cells are learned from a random sample, so that two calls need not agree.

    Args:
        table: An Ibis table: a table, a view, or any query on them.
        like: Summary of the reference, made here or by the kernel.
        columns: Columns to look at; all by default.
        exact_distinct: Have distinct values counted exactly, however long that takes.

    Returns:
        The summary.

    Raises:
        MissingExtra: Ibis is not installed.
        UsageError: Not an Ibis table, or it lacks a column of ``columns``.
    """
    found = _Scan(table, (), like, columns, exact_distinct).run()
    return found[()]


def summarise_windows(
    table: Any,
    by: Any | Sequence[Any],
    *,
    like: Summary | None = None,
    columns: Sequence[str] | None = None,
    exact_distinct: bool = False,
) -> dict[Any, Summary]:
    """Summarise each window or segment of an Ibis table, all of them in the same queries.

    Rows whose window is null are left out. All summaries have the same cells and merge.

    Args:
        table: See `summarise_table`.
        by: Column or Ibis expression whose values are the windows, or several of them.
        like: See `summarise_table`.
        columns: See `summarise_table`; the columns of ``by`` are summarised too, unless this leaves them out.
        exact_distinct: See `summarise_table`.

    Returns:
        Window to summary, in order; the windows are tuples where ``by`` is a list.
    """
    several = isinstance(by, (list, tuple))
    found = _Scan(table, tuple(by) if several else (by,), like, columns, exact_distinct).run()
    return {(key if several else key[0]): found[key] for key in sorted(found, key=_order)}


def _order(key: Key) -> tuple[tuple[str, Any], ...]:
    return tuple((type(part).__name__, part) for part in key)


class _Scan:
    """The queries of one call, in turn, and what they told by window."""

    def __init__(
        self, table: Any, by: Key, like: Summary | None, columns: Sequence[str] | None, exact_distinct: bool
    ) -> None:
        try:
            import ibis
        except ImportError:
            raise MissingExtra.of("ibis-framework", "engines") from None
        if not isinstance(table, ibis.Table):
            raise UsageError(
                f"`{type(table).__name__}` is not an Ibis table",
                hint="e.g. ibis.duckdb.connect('shop.db').table('orders')",
            )
        self.ibis = ibis
        self.backend = table.get_backend()
        self.engine = self.backend.name
        self.like, self.exact_distinct = like, exact_distinct
        self.keys = [f"k{at}" for at in range(len(by))]
        self.columns = [Asked(at, field, self._past(field)) for at, field in enumerate(_fields(table, columns, like))]
        marked = _marked(table, by)
        values = {one.name: stored(table[one.field.name], one.field, self.engine) for one in self.columns if one.read}
        # Counted, not asked for nulls: to Spark's compiler NaN is one.
        filled = {one.name: table[one.field.name] for one in self.columns if not one.read}
        keys = dict(zip(self.keys, marked, strict=True))
        nothing = {} if keys or values or filled else {"row": ibis.literal(1)}
        self.table = table.select(**keys, **values, **filled, **nothing)
        if self.keys:
            self.table = self.table.drop_null(self.keys)
        self.facts: dict[Key, dict[str, Any]] = {}

    def run(self) -> dict[Key, Summary]:
        """Ask everything and put the summaries together."""
        self.facts = {self._key(row): row for row in self._rows(self._facts())}
        self._learn()
        sums = self._sums()
        cells = self._counts([one for one in self.columns if one.measured], self._cells)
        texts = self._counts([one for one in self.columns if one.field.kind == "text"], self._values)
        few = [one for one in self.columns if one.measured and self._is_few(one)]
        whole = self._counts([one for one in few if one.field.is_whole], self._values)
        real = self._counts([one for one in few if not one.field.is_whole], self._values)
        counted = {**texts, **whole, **real}
        unseen = self._unseen(texts)
        made = {}
        for window, row in self.facts.items():
            parts = [
                answered(
                    one,
                    row,
                    exact=self.exact_distinct or self.engine == "postgres",
                    moments=sums.get((one.at, *window)),
                    cells=cells.get((one.at, *window), []),
                    pairs=counted.get((one.at, *window)),
                    seen=unseen.get((one.at, *window)),
                )
                for one in self.columns
            ]
            made[window] = Summary({part.name: part for part in parts}, int(row["rows"]))
        return made

    # --- queries

    def _facts(self) -> Expression:
        table, wanted = self.table, {"rows": self.table.count()}
        for one in self.columns:
            wanted[f"nulls{one.at}"] = table.count() - table[one.name].count()
            if not one.read:
                continue
            x = table[one.name]
            if one.field.kind == "boolean":
                wanted[f"zeros{one.at}"] = (~x).sum()
                continue
            if one.field.kind == "text":
                size = x.length().cast("int64")
                wanted |= {f"total{one.at}": size.sum(), f"low{one.at}": size.min(), f"high{one.at}": size.max()}
            else:
                if not one.field.is_whole:
                    wanted |= {f"nans{one.at}": x.isnan().sum(), f"infinities{one.at}": _is_infinite(x).sum()}
                x = self._finite(one)
                wanted[f"zeros{one.at}"] = (x == -one.field.shift).sum()
                wanted |= {f"low{one.at}": x.min(), f"high{one.at}": x.max(), f"total{one.at}": _down(x).sum()}
            distinct = x.nunique() if self.exact_distinct or self.engine == "postgres" else x.approx_nunique()
            wanted[f"distinct{one.at}"] = distinct
        return table.group_by(self.keys).aggregate(**wanted) if self.keys else table.aggregate(**wanted)

    def _finite(self, one: Asked) -> Expression:
        """Return a column's finite numbers, null where there is none; both zeros are one."""
        x = self.table[one.name]
        if one.field.is_whole:
            return x
        zero, nothing = self.ibis.literal(0.0, "float64"), self.ibis.null("float64")
        return self.ibis.cases((x.isnan() | _is_infinite(x), nothing), (x == 0.0, zero), else_=x)

    def _learn(self) -> None:
        """Learn the cells that no reference gives from a random sample of the rows."""
        lacking = [one for one in self.columns if one.measured and one.empty is None]
        samples: dict[str, Any] = {}
        if lacking:
            rows = sum(int(row["rows"]) for row in self.facts.values())
            sample = self.table
            if rows > LEARNED_ROWS:
                sample = sample.filter(self.ibis.random() < LEARNED_ROWS / rows)
            samples = self._arrow(sample.select(**{one.name: self._finite(one) for one in lacking}))
        learned = []
        for one in self.columns:
            empty = one.empty
            if empty is None and one.measured:
                kind = np.int64 if one.field.is_whole else np.float64
                found = samples[one.name].drop_null().to_numpy().astype(kind)
                grid = learn(found, bits=one.field.storage.itemsize * 8, shift=one.field.shift)
                empty = ColumnSummary(one.field, grid=grid, cells=np.zeros(grid.size + 2, dtype=np.int64)).empty()
            elif empty is None:
                empty = ColumnSummary(one.field).empty()
            learned.append(Asked(one.at, one.field, empty))
        self.columns = learned

    def _sums(self) -> dict[Key, Moments]:
        """Take power sums of the distances from each window's mean."""
        chosen = [one for one in self.columns if one.measured and self._needs_sums(one)]
        if not chosen or not self.facts:
            return {}
        frames = {one.at: {window: self._frame(one, row) for window, row in self.facts.items()} for one in chosen}
        table = self._with_frames(frames)
        wanted: dict[str, Expression] = {}
        for one in chosen:
            y = self._distance(table, one, frames[one.at])
            wanted |= {f"s{power}_{one.at}": total for power, total in enumerate((y.count(), *_powers(y)))}
        found = {}
        query = table.group_by(self.keys).aggregate(**wanted) if self.keys else table.aggregate(**wanted)
        for row in self._rows(query, joined=bool(self.keys)):
            window = self._key(row)
            for one in chosen:
                count, *sums = (row[f"s{power}_{one.at}"] or 0.0 for power in range(5))
                frame = frames[one.at][window]
                about = math.ldexp(float(frame.point), -frame.exponent)
                s1, s2, s3, s4 = (float(total) for total in sums)
                made = Moments.about(int(count), about, (s1, s2, s3, s4), frame.exponent)
                # Far from zero a float does not hold every whole number.
                rest = float(frame.point - int(about)) if isinstance(frame.point, int) else 0.0
                found[(one.at, *window)] = made.moved(rest)
        return found

    def _with_frames(self, frames: Mapping[int, Mapping[Key, _Frame]]) -> Expression:
        """Give each row its window's points and scales, where there are windows."""
        if not self.keys:
            return self.table
        import pyarrow as pa

        windows = list(self.facts)
        parts = {f"w{at}": pa.array([window[at] for window in windows]) for at in range(len(self.keys))}
        for at, found in frames.items():
            parts[f"point{at}"] = pa.array([found[window].point for window in windows])
            parts[f"scale{at}"] = pa.array([found[window].scale for window in windows])
            parts[f"tiny{at}"] = pa.array([found[window].tiny for window in windows])
        kinds = self.table.schema()
        centres = self.ibis.memtable(pa.table(parts))
        same = [self.table[name] == centres[f"w{at}"].cast(kinds[name]) for at, name in enumerate(self.keys)]
        return self.table.inner_join(centres, same)

    def _distance(self, table: Expression, one: Asked, frames: Mapping[Key, _Frame]) -> Expression:
        """Return each number's distance from its window's point, of those numbers whose moments are kept."""
        ibis, x = self.ibis, table[one.name]
        nothing, zero = ibis.null("float64"), ibis.literal(0.0, "float64")
        kind = "int64" if one.field.is_whole else "float64"
        if self.keys:
            point, scale, tiny = (table[f"{name}{one.at}"] for name in ("point", "scale", "tiny"))
        else:
            only = frames[()]
            point, scale, tiny = ibis.literal(only.point, kind), ibis.literal(only.scale), ibis.literal(only.tiny)
        assert one.empty is not None and one.empty.grid is not None
        if one.field.is_whole:
            low, high = self._ends(one)
            y = (x - point).cast("float64") if high - low < 2**62 else x.cast("float64") - point.cast("float64")
            if one.empty.grid.kind == "values":
                first, last = whole_ends(one.empty.grid)
                y = ibis.cases(((x >= first) & (x <= last), nothing), else_=y)
        elif any(frame.exponent for frame in frames.values()):
            small = ibis.cases((x.abs() <= tiny, zero), else_=x * scale)
            y = ibis.cases((x.isnan() | _is_infinite(x), nothing), else_=small - point * scale)
        else:
            y = ibis.cases((x.isnan() | _is_infinite(x), nothing), else_=x - point)
        # The fourth power of a smaller distance would fall below the least float, which Postgres calls an error.
        return ibis.cases((y.abs() < 1e-70, zero), else_=y)

    def _counts(self, columns: Iterable[Asked], query: Any) -> dict[Key, list[tuple[Any, int]]]:
        """Ask for the counts of all columns in one query; return those of each column and window."""
        parts = [query(one) for one in columns]
        if not parts:
            return {}
        found: dict[Key, list[tuple[Any, int]]] = defaultdict(list)
        for row in self._rows(self.ibis.union(*parts) if len(parts) > 1 else parts[0]):
            found[(int(row["at"]), *self._key(row))].append((row["value"], int(row["times"])))
        return found

    def _cells(self, one: Asked) -> Expression:
        assert one.empty is not None and one.empty.grid is not None
        return self._grouped(one, coded(self._finite(one), one.empty.grid, self._ends(one)))

    def _values(self, one: Asked) -> Expression:
        """Count each value; of more than are kept exactly, the most frequent alone."""
        grouped = self._grouped(one, self.table[one.name] if one.field.kind == "text" else self._finite(one))
        window = self.ibis.window(group_by=self.keys or None, order_by=self.ibis.desc(grouped["times"]))
        ranked = grouped.mutate(place=self.ibis.row_number().over(window))
        return ranked.filter(ranked["place"] <= EXACT_LIMIT).drop("place")

    def _grouped(self, one: Asked, value: Expression) -> Expression:
        table = self.table.select(*self.keys, value=value)
        counted = table.group_by([*self.keys, "value"]).aggregate(times=table.count())
        counted = counted.filter(counted["value"].notnull())
        return counted.select(
            *self.keys,
            at=self.ibis.literal(one.at, "int32"),
            value=counted["value"],
            times=counted["times"].cast("int64"),
        )

    def _unseen(self, texts: Mapping[Key, list[tuple[Any, int]]]) -> dict[Key, int]:
        """Count the rows whose text the reference knows, for columns with too many texts to have them all at hand."""
        wanted = {}
        for one in self.columns:
            full = any(len(texts.get((one.at, *window), ())) >= EXACT_LIMIT for window in self.facts)
            if full and one.empty is not None and one.empty.known is not None:
                wanted[f"known{one.at}"] = self.table[one.name].isin(sorted(one.empty.known)).sum()
        if not wanted:
            return {}
        grouped = self.table.group_by(self.keys) if self.keys else self.table
        return {
            (int(name[5:]), *self._key(row)): int(row[name] or 0)
            for row in self._rows(grouped.aggregate(**wanted))
            for name in wanted
        }

    # --- what is known of a column so far

    def _past(self, field: Field) -> ColumnSummary | None:
        past = self.like.columns.get(field.name) if self.like is not None else None
        if past is None or past.kind != field.kind or past.field.lattice != field.lattice:
            return None
        return past.empty(field)

    def _ends(self, one: Asked) -> tuple[Any, Any]:
        """Return the smallest and the largest stored number of all windows; zeros without any."""
        lows = [row[f"low{one.at}"] for row in self.facts.values() if row[f"low{one.at}"] is not None]
        highs = [row[f"high{one.at}"] for row in self.facts.values() if row[f"high{one.at}"] is not None]
        return (min(lows), max(highs)) if lows else (0, 0)

    def _needs_sums(self, one: Asked) -> bool:
        assert one.empty is not None and one.empty.grid is not None
        if one.empty.grid.kind != "values":
            return True
        first, last = whole_ends(one.empty.grid)
        low, high = self._ends(one)
        return low < first or high > last

    def _frame(self, one: Asked, row: Mapping[str, Any]) -> _Frame:
        """Return a number near the window's mean, and a scale with which fourth powers of distances stay floats."""
        low, high = row[f"low{one.at}"], row[f"high{one.at}"]
        if low is None or high is None:
            return _Frame(0 if one.field.is_whole else 0.0)
        mean = float(row[f"total{one.at}"] or 0.0) / _DOWN / max(filled(one, row), 1)
        inside = min(max(mean, float(low)), float(high)) if math.isfinite(mean) else float(low)
        if one.field.is_whole:
            return _Frame(min(max(round(inside), int(low)), int(high)))
        largest = max(abs(low), abs(high))
        if largest == 0.0 or _SMALL <= largest <= _LARGE:
            return _Frame(inside)
        return _Frame(inside, min(max(math.frexp(largest)[1], -1000), 1000))

    def _is_few(self, one: Asked) -> bool:
        assert one.empty is not None and one.empty.grid is not None
        most = max((int(row[f"distinct{one.at}"] or 0) for row in self.facts.values()), default=0)
        return one.empty.grid.kind != "values" and most <= _FEW

    # --- the engine's answers

    def _arrow(self, query: Expression, joined: bool = False) -> Any:
        if self.engine == "pyspark" and not joined:
            # Ibis goes through pandas there, which turns whole numbers beside nulls into floats. Only it knows how to
            # bring a table of windows in, whose answers are floats anyway.
            return self.backend.raw_sql(self.backend.compile(query)).toArrow()
        return self.backend.to_pyarrow(query)

    def _rows(self, query: Expression, joined: bool = False) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._arrow(query, joined).to_pylist()
        return rows

    def _key(self, row: Mapping[str, Any]) -> Key:
        # One NaN for all, or no answer would find the others of its window.
        return tuple(math.nan if row[name] != row[name] else row[name] for name in self.keys)


def _marked(table: Any, by: Key) -> list[Expression]:
    """Return the expressions that give each row its window."""
    marked = []
    for part in by:
        if isinstance(part, str) and part not in table.columns:
            raise UnknownName.of("column", part, table.columns)
        [found] = table.bind(part)
        if found.type().is_nested():
            raise UsageError(f"`{found.get_name()}` holds {found.type()}, which names no window")
        marked.append(found)
    return marked


def _fields(table: Any, columns: Sequence[str] | None, like: Summary | None) -> list[Field]:
    schema = table.schema()
    for name in columns or ():
        if name not in schema:
            raise UnknownName.of("column", name, schema.names)
    past = like.columns if like is not None else {}
    return [
        field_of(name, dtype, past[name].field if name in past else None)
        for name, dtype in schema.items()
        if columns is None or name in columns
    ]


def _down(x: Expression) -> Expression:
    """Make numbers so small that their sum stays a float; tiny ones do not matter to a point near the mean."""
    import ibis

    wide = x.cast("float64")
    return ibis.cases((wide.abs() < 1e-200, ibis.literal(0.0, "float64")), else_=wide * _DOWN)


def _is_infinite(x: Expression) -> Expression:
    # Ibis has a word for it, which Spark's compiler answers with false.
    return (x.abs() > sys.float_info.max) & ~x.isnan()


def _powers(y: Expression) -> tuple[Expression, ...]:
    square = y * y
    return y.sum(), square.sum(), (square * y).sum(), (square * square).sum()
