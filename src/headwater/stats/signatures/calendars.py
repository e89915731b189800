"""Columns that repeat a part of a time: its hour, day, month, name of the weekday."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from headwater.stats.signatures.views import Bools, Floats, Ints, kind_of, numbers, texts

PARTS = ("hour", "day", "month", "year", "minute", "weekday", "isoweekday", "week", "sunday_week", "ordinal",
         "quarter", "yyyymmdd", "yyyymm")  # fmt: skip
FORMATS = ("%Y-%m-%d", "%Y-%m", "%B", "%b", "%A", "%a", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%H", "%H:%M", "%Y", "%m")
LOCAL = "local"
_TELLING = frozenset((*FORMATS[:9], "yyyymmdd", "yyyymm"))
_SAMPLE, _FEW = 3000, 60
_MISSED = 0.01


@dataclass(frozen=True)
class Calendar:
    """A column that repeats a part of a time (or of the window's own date when ``source`` is None).

    ``offset`` is in hours from UTC, or ``local`` for the windows' own zone, whatever the clock change.
    """

    column: str
    part: str
    source: str | None
    offset: float | str

    def expected(self, clock: Floats, zone: float | Floats) -> Floats | pl.Series:
        """Return the values that follow from times in hours since 1970 UTC."""
        return part_of(self.part, clock + (zone if self.offset == LOCAL else float(self.offset)))

    def misses(self, column: pl.Series, clock: Floats, zone: Floats, after: Floats) -> tuple[Bools, Bools]:
        """Return which rows can be tested, and which agree with neither offset of a window with a clock change."""
        comparable, differs = misses(column, self.expected(clock, zone))
        if self.offset == LOCAL and np.any(zone != after):
            differs = differs & misses(column, self.expected(clock, after))[1]
        return comparable, differs


def part_of(part: str, clock: Floats) -> Floats | pl.Series:
    """Return a calendar part of local times in hours since 1970: numbers, or text for a ``%`` format."""
    if part.startswith("%"):
        whole = np.where(np.isfinite(clock), clock, 0.0)
        moments = pl.Series(np.round(whole * 3.6e9).astype(np.int64)).cast(pl.Datetime("us"))
        return moments.dt.strftime(part).set(pl.Series(~np.isfinite(clock)), None)
    given = np.isfinite(clock)
    safe = np.where(given, clock, 0.0) + 1e-9
    day = np.floor(safe / 24)
    if part == "hour":
        result = np.floor(safe) % 24
    elif part == "minute":
        result = np.floor((safe % 1) * 60)
    elif part == "weekday":
        result = (day + 3) % 7
    elif part == "isoweekday":
        result = (day + 3) % 7 + 1
    else:
        result = _date_part(part, day.astype(np.int64).astype("datetime64[D]"))
    return np.where(given, result, np.nan)


def _date_part(part: str, dates: np.ndarray) -> Floats:
    years = dates.astype("datetime64[Y]")
    months = dates.astype("datetime64[M]")
    year, month = years.astype(int) + 1970, months.astype(int) % 12 + 1
    day = (dates - months.astype("datetime64[D]")).astype(int) + 1
    if part == "week":
        return pl.Series(dates.astype("datetime64[ms]")).dt.week().to_numpy().astype(float)
    ordinal = (dates - years.astype("datetime64[D]")).astype(int) + 1
    first = (years.astype("datetime64[D]").astype(int) + 4) % 7
    values = {
        "year": year,
        "month": month,
        "day": day,
        "ordinal": ordinal,
        # Weeks begin on Sundays, the first on 1 January, as spreadsheets count them.
        "sunday_week": (ordinal - 1 + first) // 7 + 1,
        "quarter": (month - 1) // 3 + 1,
        "yyyymmdd": year * 10000 + month * 100 + day,
        "yyyymm": year * 100 + month,
    }
    return cast(Floats, values[part].astype(float))


def misses(column: pl.Series, expected: Floats | pl.Series, tolerance: float = 1e-6) -> tuple[Bools, Bools]:
    """Return which rows could be compared and which of them differ, as boolean arrays."""
    if isinstance(expected, pl.Series):
        own = texts(column)
        comparable = (own.is_not_null() & expected.is_not_null()).to_numpy()
        differs = (own != expected).fill_null(False).to_numpy()
    else:
        own_numbers = numbers(column)
        comparable = np.isfinite(own_numbers) & np.isfinite(expected)
        with np.errstate(invalid="ignore"):
            differs = np.abs(own_numbers - expected) > tolerance * np.maximum(1.0, np.abs(expected))
    return cast(Bools, comparable), cast(Bools, comparable & differs)


def find_calendars(
    pooled: pl.DataFrame, clocks: Mapping[str | None, Floats], zones: tuple[Floats, Floats]
) -> list[Calendar]:
    """Find the columns that repeat a part of a time column or of the window's date.

    Args:
        pooled: The reference rows.
        clocks: Hours since 1970 UTC by time column; under None the middle of each row's window.
        zones: Offset from UTC at the start and at the end of each row's window, in hours.
    """
    rows = sample(pooled.height, _SAMPLE)
    clocks = {source: clock[rows] for source, clock in clocks.items()}
    zones = zones[0][rows], zones[1][rows]
    pooled = pooled[rows]
    found = []
    for name in pooled.columns:
        series = pooled.get_column(name)
        kind = kind_of(series.dtype)
        if kind not in ("number", "category") or series.dtype == pl.Boolean:
            continue
        parts = _parts(series) if kind == "number" else FORMATS
        relation = _find_calendar(series, parts, clocks, zones)
        if relation is not None:
            found.append(relation)
    return found


def _parts(series: pl.Series) -> Sequence[str]:
    values = numbers(series)
    values = values[np.isfinite(values)]
    if not len(values) or np.any(values != np.round(values)) or values.min() < 0:
        return ()
    limit = float(values.max())
    limits = {"hour": 24, "day": 31, "month": 12, "minute": 59, "weekday": 6, "isoweekday": 7, "week": 53,
              "sunday_week": 54, "ordinal": 366, "quarter": 4}  # fmt: skip
    return [part for part in PARTS if limit <= limits.get(part, 1e9)]


def sample(rows: int, most: int) -> Ints:
    """Return the places of at most so many rows, drawn without regard to any rhythm in them; always the same ones."""
    if rows <= most:
        return np.arange(rows)
    return cast(Ints, np.sort(np.random.default_rng(0).choice(rows, most, replace=False)))


def _find_calendar(
    series: pl.Series, parts: Sequence[str], clocks: Mapping[str | None, Floats], zones: tuple[Floats, Floats]
) -> Calendar | None:
    name = series.name
    # Most guesses are wrong, and a few rows show it.
    few = sample(series.len(), _FEW)
    short = series[few]
    # A column that never changes is taken for a part of the date only when it is called that, or written like one.
    counts = series.drop_nulls().value_counts(sort=True).get_column("count").to_numpy()
    varies = len(counts) > 1
    mixed = varies and counts[0] < 0.9 * counts.sum()
    for part in parts:
        if not varies and part not in _TELLING and part.strip("%") not in name.lower():
            continue
        for source, clock in clocks.items():
            offsets: list[float | str] = [LOCAL, *_offsets(part, short, clock[few], source)]
            for offset in offsets:
                calendar = Calendar(name, part, source, offset)
                comparable, differs = calendar.misses(short, clock[few], zones[0][few], zones[1][few])
                if differs.sum() > 0.1 * comparable.sum():
                    continue
                comparable, differs = calendar.misses(series, clock, *zones)
                # What is nearly constant agrees with a nearly constant part by chance.
                if comparable.sum() >= 5 and differs.sum() <= (_MISSED if mixed else 0) * comparable.sum():
                    return calendar
    return None


def _offsets(part: str, series: pl.Series, clock: Floats, source: str | None) -> list[float]:
    if source is None:
        return []
    if part != "hour":
        return [0.0]
    gap = (numbers(series) - np.floor(clock)) % 24
    gap = gap[np.isfinite(gap)]
    if not len(gap):
        return [0.0]
    most = float(np.bincount(gap.astype(int), minlength=24).argmax())
    return [most if most <= 12 else most - 24]
