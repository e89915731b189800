"""Profile a table: flat window metrics that the monitors compare with history.

Names are ``<metric>`` for the table and ``<metric>.<column>`` for a column. A metric that is not defined for a window
(the mean of an all-null column) is left out, so no value is ever NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import polars as pl

from headwater.core.windows import Window
from headwater.stats.profiling.links import WINDOW, Parents, flags
from headwater.stats.profiling.mixes import measures, stamps

KNOWN_LIMIT = 500
LARGE = 100_000
"""Rows of a window from which its columns are summarised in one compiled pass; see `stats.profiling.summaries` for how
exact quantiles, and distinct values beyond 4096, then are."""
_OPEN = 0.01  # share of late rows with new values from which a column has no closed list
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_US = 3_600_000_000
_DAY = 24 * _US
_OFFSET_SHARE, _OFFSET_ROWS, _OFFSET_VALUES = 0.95, 5, 3
# Internal columns start with a character that no real column name has, so that none can collide.
_PLACE, _START, _DATE, _LENGTH, _HOUR = "\x00place", "\x00start", "\x00date", "\x00length", "\x00hour"
Schema = tuple[tuple[str, Any], ...]
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def profile(
    frame: pl.DataFrame,
    *,
    window: Window,
    key: Sequence[str] = (),
    known: Mapping[str, frozenset[str]] | None = None,
    previous: pl.DataFrame | None = None,
    parents: Parents | None = None,
    frequent: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, float]:
    """Measure one window of a table.

    Shares are of the window's rows. Numbers that are not finite count in ``nan_share`` and nowhere else. Times are in
    hours after the window's start; a time without a zone is read as UTC. ``unseen_share`` misleads when ``known`` is
    older than the newest legitimate value, ``repeat_share`` for tables whose rows naturally recur (it is then high in
    history as well), ``duplicate_share`` without a key counts wholly equal rows.

    Args:
        frame: The window's rows.
        window: The window they were delivered for.
        key: Columns that identify a row.
        known: Values seen so far by text column; columns with more than 500 of them are not looked at.
        previous: The rows of the window before, to tell a frozen or replayed feed.
        parents: Tables that rows point to, to measure the share of rows that find a partner.
        frequent: Values by column whose shares are measured (see `stats.profiling.mixes`).

    Returns:
        Metric name to finite number.

    Example:
        >>> from headwater.core.windows import Calendar
        >>> day = Calendar().window("2013-07-01")
        >>> metrics = profile(pl.DataFrame({"x": [1.0, None, 3.0]}), window=day)
        >>> metrics["rows"], round(metrics["null_share.x"], 3), metrics["mean.x"]
        (3.0, 0.333, 2.0)
    """
    marked = frame.with_columns(pl.lit(window.key).alias(WINDOW))
    found = profile_windows(
        marked, windows=[window], key=key, known=known, previous=previous, parents=parents, frequent=frequent
    )
    return found[window.key]


def profile_windows(
    frame: pl.DataFrame,
    *,
    windows: Iterable[Window],
    key: Sequence[str] = (),
    known: Mapping[str, frozenset[str]] | None = None,
    previous: pl.DataFrame | None = None,
    parents: Parents | None = None,
    frequent: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, dict[str, float]]:
    """Measure a delivered range, window by window, in one pass; the numbers are those of `profile`.

    Args:
        frame: The range's rows with a text column ``_window``; rows of other windows are ignored.
        windows: The windows to measure, in order; one without rows gets ``rows`` = 0 alone.
        key: See `profile`.
        known: See `profile`.
        previous: The rows of the window before the first.
        parents: See `profile`; a parent frame with ``_window`` is matched window by window (see `Parent`).
        frequent: See `profile`.

    Returns:
        Window key to metrics.
    """
    spans = list(windows)
    result: dict[str, dict[str, float]] = {span.key: {"rows": 0.0} for span in spans}
    columns = [name for name in frame.columns if name != WINDOW]
    # Grouped by a sorted column, Polars sums contiguous rows in one way, however many windows there are.
    rows = frame.join(_spans(spans), on=WINDOW, how="inner", maintain_order="left").sort(_PLACE, maintain_order=True)
    if rows.is_empty():
        return result
    schema = tuple((name, dtype) for name, dtype in frame.schema.items() if name != WINDOW)
    marks = flags(rows, columns, key, [span.key for span in spans], previous, parents or {})
    rows = rows.with_columns(mark.alias(f"\x00{name}") for name, mark in marks.items())
    seen = tuple((name, values) for name, values in (known or {}).items() if len(values) <= KNOWN_LIMIT)
    mixes = tuple((name, tuple(values)) for name, values in (frequent or {}).items())
    linked = [pl.col(f"\x00{name}").mean().alias(name) for name in marks]
    large = rows.group_by(_PLACE).len().filter(pl.col("len") >= LARGE)[_PLACE].to_list()
    small = rows.filter(~pl.col(_PLACE).is_in(large)) if large else rows
    measured = small.group_by(_PLACE, maintain_order=True).agg(*_measures(schema, seen, mixes), *linked)
    found = {row[_PLACE]: row for row in measured.iter_rows(named=True)}
    for place in sorted(large):
        part = rows.filter(pl.col(_PLACE) == place)
        found[place] = _summarised(part, spans[place], [name for name, _ in schema], dict(seen), dict(mixes))
        found[place] |= part.select(linked).row(0, named=True) | {_PLACE: place}
    pairs = _pairs(schema, found.values())
    if pairs:
        for row in _offsets(rows, pairs).iter_rows(named=True):
            found[row[_PLACE]].update(_kept_offsets(row, found[row[_PLACE]], pairs))
    for place, row in found.items():
        del row[_PLACE]
        result[spans[place].key] = {
            name: value for name, value in row.items() if value is not None and math.isfinite(value)
        }
    return result


def _summarised(
    rows: pl.DataFrame,
    window: Window,
    columns: Sequence[str],
    known: Mapping[str, frozenset[str]],
    frequent: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Measure a large window by the summaries that scan it many times faster."""
    from headwater.stats.profiling.summaries import summarise

    made = summarise(rows.select(columns))
    unseen = [_unseen(name, known[name]) for name, one in made.columns.items() if one.kind == "text" and name in known]
    return made.metrics(window=window, frequent=frequent) | (rows.select(unseen).row(0, named=True) if unseen else {})


def known_values(
    frame: pl.DataFrame, limit: int = KNOWN_LIMIT, known: Mapping[str, frozenset[str]] | None = None
) -> dict[str, frozenset[str]]:
    """Collect the distinct values of each text column that draws on a closed list.

    Left out are columns with more than ``limit`` values, and those whose last quarter of rows brings values that the
    rows before did not have (names of months, ids): there an unseen value says nothing. So are stamps, which hold one
    value in nearly every window, and not the same one in all of them (a batch, a file, a month).

    Args:
        frame: Past rows in the order in which they came; with a column ``_window``, stamps are told apart.
        limit: Most values of a closed list.
        known: Lists that are known already, to be continued: then it is values beyond them that make a column open,
            and what is rare on one day does not.
    """
    split = len(frame) * 3 // 4
    names = [name for name, dtype in frame.schema.items() if name != WINDOW and dtype in _TEXT]
    measured = []
    for place, name in enumerate(names):
        values = pl.col(name).cast(pl.String)
        before = (known or {}).get(name)
        if before:
            listed, late = pl.lit(pl.Series(sorted(before), dtype=pl.String)), values.drop_nulls()
        else:
            listed, late = values.slice(0, split).unique(), values.slice(split).drop_nulls()
        measured += [
            values.drop_nulls().unique().head(limit + 1).implode().alias(f"values{place}"),
            (~late.is_in(listed.implode())).mean().alias(f"new{place}"),
        ]
    if not measured:
        return {}
    told = frame.select(measured).row(0, named=True)
    stamped = stamps(frame, [name for place, name in enumerate(names) if len(told[f"values{place}"]) > 1])
    found = {}
    for place, name in enumerate(names):
        listed_now = frozenset(told[f"values{place}"]) | (known or {}).get(name, frozenset())
        if len(listed_now) <= limit and (told[f"new{place}"] or 0.0) <= _OPEN and name not in stamped:
            found[name] = listed_now
    return found


def _spans(spans: Sequence[Window]) -> pl.DataFrame:
    days = [date.fromisoformat(span.key) if len(span.key) == 10 else None for span in spans]
    starts = [round(span.start.timestamp() * 1_000_000) for span in spans]
    lengths = [round((span.end - span.start).total_seconds() * 1_000_000) for span in spans]
    keys, hours = [span.key for span in spans], [_US] * len(spans)
    return pl.DataFrame(
        {WINDOW: keys, _PLACE: range(len(keys)), _START: starts, _DATE: days, _LENGTH: lengths, _HOUR: hours},
        schema={
            WINDOW: pl.String,
            _PLACE: pl.Int64,
            _START: pl.Int64,
            _DATE: pl.Date,
            _LENGTH: pl.Int64,
            _HOUR: pl.Int64,
        },
    )


@lru_cache(maxsize=256)
def _measures(
    schema: Schema, known: tuple[tuple[str, frozenset[str]], ...], frequent: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[pl.Expr, ...]:
    found = [pl.len().cast(pl.Float64).alias("rows")]
    seen, mixes = dict(known), dict(frequent)
    for name, dtype in schema:
        column = pl.col(name)
        found.append((column.null_count() / pl.len()).alias(f"null_share.{name}"))
        if dtype.is_numeric() or dtype in (pl.Duration, pl.Time):
            found += _numeric(name, dtype)
        elif dtype == pl.Boolean:
            found.append(column.mean().alias(f"true_share.{name}"))
        elif dtype in (pl.Datetime, pl.Date):
            found += _temporal(name, dtype)
        elif dtype in _TEXT:
            found += _text(name, seen.get(name))
        found += measures(name, dtype, mixes.get(name, ()))
    return tuple(found)


def _numeric(name: str, dtype: Any) -> list[pl.Expr]:
    column = pl.col(name)
    if dtype == pl.Duration:
        column = column.dt.total_seconds(fractional=True)
    elif dtype == pl.Time:
        column = column.cast(pl.Int64) * (1 / 3.6e12)
    number = column.cast(pl.Float64)
    finite = number.filter(number.is_finite())
    found = [
        ((number == 0).sum() / pl.len()).alias(f"zero_share.{name}"),
        finite.mean().alias(f"mean.{name}"),
        # Counts are unsigned: for a column without numbers, one less than none would be four thousand million.
        (((finite - finite.mean()) ** 2).sum() / pl.when(finite.count() > 1).then(finite.count() - 1))
        .sqrt()
        .alias(f"std.{name}"),
        finite.min().alias(f"min.{name}"),
        finite.max().alias(f"max.{name}"),
    ]
    found += [finite.quantile(at, "linear").alias(f"{label}.{name}") for label, at in QUANTILES.items()]
    if dtype.is_float():
        found.append(((~number.is_finite()).sum() / pl.len()).alias(f"nan_share.{name}"))
    return found


def _temporal(name: str, dtype: Any) -> list[pl.Expr]:
    moment = instant(name, dtype)
    start = pl.col(_START).first()
    # Polars divides by a literal differently for one group and for many; by a column it is the same to the last bit.
    hour = pl.col(_HOUR).first()
    return [
        ((moment.min() - start) / hour).alias(f"min_hours.{name}"),
        ((moment - pl.col(_START)).sum() / (moment.count() * hour)).alias(f"mean_hours.{name}"),
        ((moment.max() - start) / hour).alias(f"max_hours.{name}"),
    ]


def _text(name: str, known: frozenset[str] | None) -> list[pl.Expr]:
    text = pl.col(name).cast(pl.String)
    present = text.drop_nulls()
    found = [
        present.n_unique().cast(pl.Float64).alias(f"distinct.{name}"),
        (present.unique_counts().max() / pl.len()).alias(f"top_share.{name}"),
        text.str.len_chars().mean().alias(f"length_mean.{name}"),
    ]
    if known is not None and len(known) <= KNOWN_LIMIT:
        found.append(_unseen(name, known))
    return found


def _unseen(name: str, known: frozenset[str]) -> pl.Expr:
    seen = pl.Series(sorted(known), dtype=pl.String)
    return ((~pl.col(name).cast(pl.String).is_in(seen.implode())).sum() / pl.len()).alias(f"unseen_share.{name}")


def instant(name: str, dtype: Any) -> pl.Expr:
    """Read a date or time column as microseconds since 1970 in UTC; a time without a zone is read as UTC."""
    column = pl.col(name)
    return (column.cast(pl.Datetime("us")) if dtype == pl.Date else column).dt.timestamp("us")


def _pairs(schema: Schema, rows: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Pair each time column with the integer columns that can be an hour or a day in some window."""
    times = [name for name, dtype in schema if dtype == pl.Datetime]
    whole = [name for name, dtype in schema if dtype.is_integer()] if times else []
    counts = [name for name in whole if any(_is_part(row, name) for row in rows)]
    return tuple((time, name) for time in times for name in counts)


def _is_part(row: Mapping[str, Any], name: str) -> bool:
    low, high = row.get(f"min.{name}"), row.get(f"max.{name}")
    return low is not None and high is not None and low >= 0 and high <= 31 and row["rows"] >= _OFFSET_ROWS


def _offsets(rows: pl.DataFrame, pairs: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Take the median difference of each pair and the share of rows that have it, by window.

    The median is the mode wherever the mode holds more than half of the rows, and is far cheaper.
    """
    wanted: list[pl.Expr] = [pl.col(_LENGTH).first()]
    times = dict.fromkeys(time for time, _ in pairs)
    rows = rows.select(_PLACE, _START, _DATE, _LENGTH, *times, *{name for _, name in pairs}).with_columns(
        ((pl.col(time).dt.timestamp("us") - pl.col(_START)) // _US).alias(f"\x00since.{time}") for time in times
    )
    plain = pl.when(pl.col(_LENGTH) == _DAY)  # on days with a clock change the local hour is not the elapsed one
    parts, differences = [], []
    for time in times:
        since = pl.col(f"\x00since.{time}")
        day = (pl.col(_DATE) + pl.duration(days=since // 24)).dt.day()
        clock = pl.col(time).dt
        units: dict[str, pl.Expr] = {"hour": plain.then(since % 24), "day": plain.then(day)}
        units |= {"hour_wall": clock.hour(), "day_wall": clock.day()}
        parts += [unit.cast(pl.Int64).alias(f"\x00{label}.{time}") for label, unit in units.items()]
        wanted.append(since.n_unique().alias(f"\x00hours.{time}"))
    for time, name in pairs:
        for label in ("hour", "day", "hour_wall", "day_wall"):
            unit = pl.col(f"\x00{label}.{time}") - pl.col(name).cast(pl.Int64, strict=False)
            column = f"\x00{label}.{time}.{name}"
            differences.append((unit % (31 if label.startswith("day") else 24)).alias(column))
            middle = pl.col(column).median()
            wanted += [middle, ((pl.col(column) == middle).sum() / pl.len()).alias(f"\x00{label}_share.{time}.{name}")]
        wanted.append(pl.col(name).n_unique().alias(f"\x00values.{name}.{time}"))
    return rows.with_columns(parts).with_columns(differences).group_by(_PLACE, maintain_order=True).agg(wanted)


def _kept_offsets(
    row: Mapping[str, Any], measured: Mapping[str, Any], pairs: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Keep the offsets of the integer columns that do follow a time column in this window.

    ``offset`` is counted in local time as the window's start gives it, ``offset_wall`` in the column's own clock; a
    change of summer time moves one of them, a wrong zone both.
    """
    kept = {}
    for time, name in pairs:
        if not _is_part(measured, name):
            continue
        varied = min(row[f"\x00hours.{time}"], row[f"\x00values.{name}.{time}"]) >= _OFFSET_VALUES
        hourly = measured[f"max.{name}"] <= 24 and (varied or row[_LENGTH] <= _US)
        unit, period = ("hour", 24) if hourly else ("day", 31)
        for suffix in ("", "_wall"):
            share = row[f"\x00{unit}{suffix}_share.{time}.{name}"]
            if share is not None and share >= _OFFSET_SHARE:
                value = row[f"\x00{unit}{suffix}.{time}.{name}"]
                kept[f"offset{suffix}.{time}.{name}"] = float(value - period if value > period // 2 else value)
    return kept
