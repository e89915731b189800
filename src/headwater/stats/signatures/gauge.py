"""Measure a frame of a table whose usual values, relations and courses are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import polars as pl

from headwater.core.windows import Window
from headwater.stats.frames.sampling import marked
from headwater.stats.signatures import measures
from headwater.stats.signatures.calendars import Calendar
from headwater.stats.signatures.copies import alike, compared
from headwater.stats.signatures.profiles import Clockwork
from headwater.stats.signatures.regressions import Consistency
from headwater.stats.signatures.relations import Linear, Lookup
from headwater.stats.signatures.views import (
    Bools,
    Floats,
    Ints,
    View,
    epoch_hours,
    kind_of,
    zone_hours,
    zone_hours_after,
)
from headwater.stats.signatures.vocabulary import NULL, Vocabulary


@dataclass
class Gauge:
    """Measure frames of one table, knowing its reference windows' values, relations and courses."""

    schema: dict[str, pl.DataType]
    key: tuple[str, ...]
    time: str | None
    snapshot: bool
    windows: list[Window]
    frames: list[pl.DataFrame]
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    calendars: list[Calendar] = field(default_factory=list)
    linears: list[Linear] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    decimals: dict[str, int] = field(default_factory=dict)
    spreads: dict[str, float] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    grain: Ints | None = None
    naive_local: bool = False
    clockwork: Clockwork | None = None
    consistency: Consistency | None = None
    hashes: list[Ints] = field(default_factory=list)
    clocks: list[Ints] = field(default_factory=list)
    null_patterns: dict[int, int] = field(default_factory=dict)
    every: int = 1
    """Every how manyth row is measured, taken by the hash of its key."""

    def kind(self, column: str) -> str:
        """Return what the column is measured as: ``number``, ``category``, ``time`` or ``other``."""
        return kind_of(self.schema[column]) if column in self.schema else "other"

    def derived(self, column: str) -> bool:
        """Tell whether the column only repeats the calendar or names the window."""
        return column in self.labels or any(one.column == column for one in self.calendars)

    def view(self, frame: pl.DataFrame, window: Window) -> View:
        """Prepare all rows of a frame."""
        return View.of(frame, window, self.schema, naive_local=self.naive_local)

    def sampled(
        self, frame: pl.DataFrame, window: Window, *, sharing: View | None = None, changed: Collection[str] = ()
    ) -> View:
        """Prepare a frame for measuring: of a large table about as many rows as of its reference windows."""
        taken = None
        if self.every > 1:
            keyed = bool(self.key) and set(self.key) <= set(frame.columns)
            taken = frame.select(marked(self.key, self.every) if keyed else _evenly(self.every)).to_series()
        return View.of(
            frame, window, self.schema, naive_local=self.naive_local, sharing=sharing, changed=changed, taken=taken
        )

    def measure(
        self,
        view: View,
        *,
        without: int | None = None,
        columns: Collection[str] | None = None,
        wrap: bool = False,
        tolerance: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Compute the metrics of a view.

        Args:
            view: The frame.
            without: The reference window being measured, which then does not count as known.
            columns: Only these columns and what depends on them (None: everything).
            wrap: Times that fall outside of the window are taken as in it, a whole number of windows away.
            tolerance: How far a number may be from a known value, per column.
        """
        result: dict[str, float] = {}
        for column in self.schema:
            if (columns is None or column in columns) and view.present(column):
                self.measure_column(view, column, without, wrap, tolerance or {}, result)
        self._measure_relations(view, columns, wrap, result)
        if self.consistency is not None and self.consistency.touches(columns):
            result.update(self.consistency.metrics(view))
        if self.clockwork is not None and self.clockwork.touches(columns):
            result.update(self.clockwork.metrics(view, without, wrap))
        self._measure_table(view, without, columns, result)
        return result

    def measure_column(
        self,
        view: View,
        column: str,
        without: int | None,
        wrap: bool,
        tolerance: Mapping[str, float],
        result: dict[str, float],
    ) -> None:
        """Add one column's own metrics to ``result``; the arguments are those of `measure`."""
        kind = self.kind(column)
        if kind == "time":
            found = self._time_metrics(view, column, wrap)
        elif kind == "other" or self.derived(column):
            found = {"null": view.frame.get_column(column).null_count() / max(view.height, 1)}
        else:
            vocabulary = self.vocabularies[column]
            codes = vocabulary.codes(view, column)
            if column in tolerance:
                codes = vocabulary.near(view.number(column), tolerance[column])
            found = measures.category_metrics(codes, vocabulary, without)
            if kind == "number":
                found |= measures.number_metrics(view.number(column), self.decimals[column])
        for name, value in found.items():
            result[f"{name}:{column}"] = value

    def _time_metrics(self, view: View, column: str, wrap: bool) -> dict[str, float]:
        if column == self.time or self.time is None or not view.present(self.time):
            found = measures.time_metrics(view.elapsed(column), view.length, wrap)
            if self.grain is not None:
                seconds = measures.within_hour(view.elapsed(column))
                found["grain"] = float((~np.isin(seconds, self.grain)).mean()) if len(seconds) else 0.0
            return found
        lag = (view.time(column) - view.time(self.time)) / view.length
        given = np.sort(lag[np.isfinite(lag)])
        found = {"null": 1 - len(given) / max(view.height, 1)}
        if len(given):
            found |= {"lag05": measures.at(given, 0.05), "lag50": measures.at(given, 0.5)}
            found["lag95"] = measures.at(given, 0.95)
        return found

    def _measure_relations(
        self, view: View, columns: Collection[str] | None, wrap: bool, result: dict[str, float]
    ) -> None:
        for calendar in self.calendars:
            names = {calendar.column, calendar.source or ""}
            if wrap and calendar.source is None:
                continue
            if (columns is None or names & set(columns)) and all(view.present(name) for name in names if name):
                comparable, differs = self.calendar_misses(calendar, view)
                if comparable.any():
                    result[f"calendar:{calendar.column}"] = float(differs.sum() / comparable.sum())
        for linear in self.linears:
            names = {linear.column, *linear.weights}
            if (columns is None or names & set(columns)) and all(view.present(name) for name in names):
                own, expected = view.number(linear.column), linear.expected(view)
                comparable = np.isfinite(own) & np.isfinite(expected)
                if comparable.any():
                    gap = np.abs(own - expected)[comparable]
                    limit = linear.tolerance * np.maximum(1.0, np.abs(own[comparable]))
                    result[f"linear:{linear.column}"] = float(np.mean(gap > limit))
        for lookup in self.lookups:
            names = {lookup.by, lookup.column}
            if (columns is None or names & set(columns)) and all(view.present(name) for name in names):
                comparable, differs = self.lookup_misses(lookup, view)
                if comparable.any():
                    result[f"lookup:{lookup.by}>{lookup.column}"] = float(differs.sum() / comparable.sum())

    def calendar_misses(self, calendar: Calendar, view: View) -> tuple[Bools, Bools]:
        """Return which rows a calendar relation can be tested on, and which of them break it."""
        if calendar.source is None:
            middle = (epoch_hours(view.window.start) + epoch_hours(view.window.end)) / 2
            clock = np.full(view.height, middle)
        else:
            clock = view.time(calendar.source)
        zones = np.full(view.height, zone_hours(view.window)), np.full(view.height, zone_hours_after(view.window))
        return calendar.misses(view.frame.get_column(calendar.column), clock, *zones)

    def lookup_misses(self, lookup: Lookup, view: View) -> tuple[Bools, Bools]:
        """Return which rows a lookup can be tested on, and which of them break it."""
        expected = lookup.expected(self.vocabularies[lookup.by].codes(view, lookup.by))
        own = self.attribute(view, lookup.column)
        comparable = np.isfinite(expected) & np.isfinite(own)
        with np.errstate(invalid="ignore"):
            differs = comparable & (np.abs(own - expected) > 1e-6 * np.maximum(1.0, np.abs(expected)))
        return comparable, differs

    def attribute(self, view: View, column: str) -> Floats:
        """Return a column as numbers that can be compared: its values, or the codes of its categories."""
        if self.kind(column) == "number":
            return view.number(column)
        codes = self.vocabularies[column].codes(view, column).astype(float)
        codes[codes == NULL] = np.nan
        return cast(Floats, codes)

    def _measure_table(
        self, view: View, without: int | None, columns: Collection[str] | None, result: dict[str, float]
    ) -> None:
        frame = view.raw
        if columns is None or self.time in columns:
            result |= self._echoes(view, without)
            if not self.snapshot and view.rows and (rest := compared(self.schema, frame, self.key)):
                result["alike:"] = alike(frame, rest, self.every)
        if columns is None:
            result["rows:"] = float(np.log(max(view.rows, 0.5)))
            result["schema:"] = float(len(set(self.schema) ^ set(frame.columns)))
        given = frame.schema
        for name in self.schema:
            if (columns is None or name in columns) and name in given:
                result[f"dtype:{name}"] = float(not _same_type(given[name], self.schema[name]))
        result["nullpattern:"] = self._odd_nulls(view, without)
        named = [name for name in self.key if name in frame.columns]
        if columns is None or set(named or self.schema) & set(columns):
            result |= _copies(frame, named if self.key and len(named) == len(self.key) else None)
        if (
            self.snapshot
            and self.key
            and len(named) == len(self.key)
            and (columns is None or set(named) & set(columns))
        ):
            previous = self.frames[without - 1] if without else self.frames[-1]
            if without != 0:
                result |= _coverage(frame, previous, list(self.key))

    def _odd_nulls(self, view: View, without: int | None) -> float:
        kinds, counts = np.unique(self.patterns(view), return_counts=True)
        known = self.known_patterns(view, 1 if without is None else 2)
        odd = [count for one, count in zip(kinds, counts, strict=True) if int(one) not in known]
        return float(sum(odd)) / max(view.height, 1)

    def null_bit(self, column: str) -> int:
        """Return the bit that a null in a column sets in its row's null pattern."""
        return 1 << (list(self.schema).index(column) % 62)

    def patterns(self, view: View) -> Ints:
        """Return, per row, which of its columns are null together, as bits (0: none)."""
        total = np.zeros(view.height, dtype=np.int64)
        for series in view.frame:
            if series.null_count():
                total |= series.is_null().to_numpy() * np.int64(self.null_bit(series.name))
        return cast(Ints, total)

    def known_patterns(self, view: View, least: int = 1) -> set[int]:
        """Return the null patterns that so many reference windows have, without the columns that the view lacks."""
        present = sum({self.null_bit(name) for name in view.frame.columns})
        return {one & present for one, count in self.null_patterns.items() if count >= least}

    def content(self) -> list[str]:
        """Return the columns whose values make up a row's content: not times, calendar parts or window names."""
        return [
            name for name in self.schema if self.kind(name) in ("number", "category") and not self.derived(name)
        ]  # fmt: skip

    def _echoes(self, view: View, without: int | None) -> dict[str, float]:
        """Share of rows whose content one earlier window has at the same time (repeat), or at another (replay)."""
        rows, clock = self.contents(view)
        if not len(rows) or without == 0:
            return {}
        first = 0 if without is None else max(0, without - 7)
        last = len(self.hashes) if without is None else without
        repeat = replay = 0.0
        for place in range(first, last):
            same = np.isin(rows, self.hashes[place])
            if same.mean() <= max(repeat, replay):
                continue
            when = np.isin(_marked(rows, clock)[same], _marked(self.hashes[place], self.clocks[place]))
            repeat = max(repeat, float(when.sum() / len(rows)))
            replay = max(replay, float((~when).sum() / len(rows)))
        return {"repeat:": repeat, "replay:": replay}

    def contents(self, view: View) -> tuple[Ints, Ints]:
        """Return hashes of rows' contents, and each one's time in whole seconds since 1970 (0 without a time column).

        Of a large table the contents are sampled, whatever their keys: rows that come again under new keys are found.
        Both are empty where there is no content to tell rows apart by.
        """
        slot = "contents\0"
        if slot not in view.arrays:
            rows = row_hashes(view, self.content())
            if rows is None:
                view.arrays[slot] = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
            else:
                some = rows % np.uint64(self.every) == 0
                view.arrays[slot] = rows[some], self._clock(view)[some]
        return cast(tuple[Ints, Ints], view.arrays[slot])

    def _clock(self, view: View) -> Ints:
        if self.time is None or self.time not in self.schema or not view.present(self.time):
            return np.zeros(view.rows, dtype=np.int64)
        return np.round(np.nan_to_num(view.hours(self.time), nan=-1.0) * 3600).astype(np.int64)


def _evenly(every: int) -> pl.Expr:
    return (pl.int_range(pl.len()) % every == 0).alias("taken")


def _marked(rows: Ints, clock: Ints) -> Ints:
    return cast(Ints, rows ^ (clock.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))


def row_hashes(view: View, columns: Sequence[str]) -> Ints | None:
    """Return a hash of each delivered row's content, equal for equal content whatever the integer or float type."""
    if len(columns) < 2 or not all(view.present(name) for name in columns):
        return None
    frame = view.whole.select(
        pl.col(name).cast(pl.Float64) if view.schema[name].is_numeric() else pl.col(name).cast(pl.String)
        for name in columns
    )
    return cast(Ints, frame.hash_rows(seed=0).to_numpy())


def _copies(frame: pl.DataFrame, key: list[str] | None) -> dict[str, float]:
    """Share of rows that repeat a key; without a key, that repeat a row, and that come an even number of times."""
    if frame.height == 0:
        return {"copies:": 0.0}
    if key:
        return {"copies:": 1 - frame.select(key).n_unique() / frame.height}
    _, counts = np.unique(frame.hash_rows(seed=0).to_numpy(), return_counts=True)
    return {"copies:": 1 - len(counts) / frame.height, "paired:": float(counts[counts % 2 == 0].sum()) / frame.height}


def _coverage(frame: pl.DataFrame, previous: pl.DataFrame, key: list[str]) -> dict[str, float]:
    try:
        here, before = frame.select(key).unique(), previous.select(key).unique()
        both = here.join(before, on=key, how="semi").height
    except pl.exceptions.PolarsError:
        return {}
    return {"uncovered:": 1 - both / max(before.height, 1), "churn:": 1 - both / max(here.height, 1)}


def _same_type(dtype: pl.DataType, expected: pl.DataType) -> bool:
    if dtype == pl.Null or dtype == expected:
        return True
    if isinstance(dtype, pl.Datetime) and isinstance(expected, pl.Datetime):
        return (dtype.time_zone is None) == (expected.time_zone is None)
    if dtype.is_numeric() and expected.is_numeric():
        return dtype.is_float() == expected.is_float() or dtype.is_decimal() or expected.is_decimal()
    both = (dtype, expected)
    return all(isinstance(one, (pl.String, pl.Categorical, pl.Enum)) for one in both)
