"""Changes planted into one window of a real table: every kind that fits it, with what would be the right answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl
from real_tables import Table

Plant = tuple[str, set[str], str, pl.DataFrame, pl.DataFrame | None]
"""Name, faults that would be right, column, planted frame, and the frame that a repair should give, if known."""


def plants(table: Table, place: int, rng: random.Random) -> Iterator[Plant]:
    """Yield one planted change of every kind that fits the table, at one window."""
    frame = table.frames[place][1]
    yield from _units(table, frame, rng)
    if table.time is not None and frame.schema[table.time] != pl.Date and table.name not in ("bookings", "parkweather"):
        yield from _times(table, place, rng)
    yield from _rows(table, place, rng)
    yield from _names(table, frame, rng)
    yield from _values(table, frame, rng)
    yield from _nulls(table, frame, rng)
    for one, other in table.swaps:
        if frame.get_column(one).equals(frame.get_column(other)):
            continue
        yield f"swap {one}", {"column_swap"}, one, frame.rename({one: other, other: one}).select(frame.columns), frame
    for column in table.moved:
        moved = frame.with_columns(pl.concat([pl.col(column).slice(1), pl.col(column).head(1)]).alias(column))
        yield f"misaligned {column}", {"misaligned"}, column, moved, frame
    for column in table.outcomes:
        top = frame.get_column(column).drop_nulls().value_counts(sort=True).get_column(column).to_list()
        if len(top) > 1:
            value = top[1]
            yield "outcomes dropped", {"missing_outcomes"}, column, frame.filter(pl.col(column).ne_missing(value)), None
            yield "outcomes null", {"missing_outcomes", "null_burst"}, column, frame.with_columns(
                pl.when(pl.col(column) == value).then(None).otherwise(pl.col(column)).alias(column)), None  # fmt: skip
            yield "outcomes default", {"missing_outcomes", "default_fill"}, column, frame.with_columns(
                pl.when(pl.col(column) == value).then(pl.lit(top[0])).otherwise(pl.col(column)).alias(column)
            ), None  # fmt: skip


def _units(table: Table, frame: pl.DataFrame, rng: random.Random) -> Iterator[Plant]:
    for named, factors in table.units.items():
        columns = named.split(",")
        if not all(frame.get_column(one).drop_nulls().n_unique() > 1 for one in columns) and frame.height > 1:
            continue
        scale, shift = rng.choice(factors)
        exact = frame.with_columns(pl.col(one).cast(pl.Float64) * scale + shift for one in columns)
        yield "unit", {"unit"}, columns[0], exact, frame
        rounded = exact.with_columns(pl.col(one).round(2) for one in columns)
        yield "unit rounded", {"unit"}, columns[0], rounded, None
    if table.amounts:
        column = rng.choice(table.amounts)
        if frame.get_column(column).drop_nulls().n_unique() > 1:
            power = rng.choice([0.001, 0.01, 0.1, 10, 100, 1000])
            yield "power of ten", {"unit"}, column, frame.with_columns(pl.col(column).cast(pl.Float64) * power), frame
            factor = rng.choice([0.55, 0.74, 0.83, 1.27, 1.36, 4.3, 18.9, 110.0])
            scaled = frame.with_columns(pl.col(column).cast(pl.Float64) * factor)
            yield "odd factor", {"unit"}, column, scaled, frame


def _times(table: Table, place: int, rng: random.Random) -> Iterator[Plant]:
    window, frame = table.frames[place]
    name = str(table.time)
    zone = int((window.start.replace(tzinfo=None) - datetime.strptime(window.key, "%Y-%m-%d")).total_seconds() // 3600)
    for label, hours in (
        ("hours", rng.choice([-8, -6, -5, -3, -2, 2, 3, 4, 6, 7])),
        ("zone", zone or 5),
        ("half", 5.5),
    ):
        step = pl.duration(minutes=int(hours * 60))
        shifted = frame.with_columns(pl.col(name) + step)
        yield f"time {label}", {"time_offset"}, name, shifted, frame
        near = pl.concat([table.frames[one][1] for one in (place - 1, place, place + 1)])
        naive = getattr(near.schema[name], "time_zone", None) is None
        start, end = window.start, window.end
        if naive:
            start = datetime.strptime(window.key, "%Y-%m-%d")
            end = start + (window.end - window.start)
        inside = (pl.col(name) >= start) & (pl.col(name) < end)
        yield f"recut {label}", {"time_offset"}, name, near.with_columns(pl.col(name) + step).filter(inside), None
        if table.calendar:
            zone_name = table.zone
            whole = _calendar(near.with_columns(pl.col(name) + step), name, zone_name).filter(inside)
            yield f"recut with calendar {label}", {"time_offset"}, name, whole, None
            yield f"time with calendar {label}", {"time_offset"}, name, _calendar(shifted, name, zone_name), frame


def _calendar(frame: pl.DataFrame, name: str, zone: str) -> pl.DataFrame:
    local = pl.col(name).dt.convert_time_zone(zone)
    parts = {"year": local.dt.year(), "month": local.dt.month(), "day": local.dt.day(), "hour": local.dt.hour()}
    return frame.with_columns(
        part.cast(frame.schema[one]).alias(one) for one, part in parts.items() if one in frame.columns
    )


def _rows(table: Table, place: int, rng: random.Random) -> Iterator[Plant]:
    window, frame = table.frames[place]
    if frame.height < 8:
        return
    yield "doubled", {"duplicate_load"}, "", pl.concat([frame, frame]), frame
    part = frame.sample(fraction=0.4, seed=rng.randrange(1000))
    yield "partly doubled", {"duplicate_load"}, "", pl.concat([frame, part]), frame
    short = {"truncated", "late_partition"}
    yield "half", short, "", frame.head(frame.height // 2), None
    yield "sampled", short, "", frame.sample(fraction=0.4, seed=rng.randrange(1000)), None
    yield "empty", short, "", frame.head(0), None
    if table.categories:
        column = table.categories[0]
        value = frame.get_column(column).value_counts(sort=True).get_column(column)[0]
        kept = frame.filter(pl.col(column) != value)
        if 0 < kept.height < 0.9 * frame.height:
            yield "category missing", {*short, "missing_outcomes"}, column, kept, None
    if table.snapshot:
        return
    previous = table.frames[place - rng.choice([1, 2, 5])][1]
    yield "frozen", {"frozen"}, "", previous, None
    if table.time is None:
        return
    name = str(table.time)
    if (window.start - table.frames[place - 1][0].start).days == 1:
        earlier = table.frames[place - 1][1]
        today = earlier.with_columns(pl.col(name) + pl.duration(days=1))
        if {"year", "month", "day", "hour"} <= set(frame.columns):
            today = _calendar(today, name, table.zone)
        yield "replayed as today", {"frozen"}, "", today, None
        yield "earlier rows too", {"duplicate_load"}, "", pl.concat([frame, earlier]), frame
    ordered = frame.sort(name)
    span = ordered.get_column(name)
    if span.n_unique() > 10:
        yield "late", {"late_partition"}, "", ordered.head(int(0.7 * frame.height)).filter(
            pl.col(name) < span[int(0.7 * frame.height)]), None  # fmt: skip


def _names(table: Table, frame: pl.DataFrame, rng: random.Random) -> Iterator[Plant]:
    columns = [*table.amounts, *table.categories]
    if not columns:
        return
    column = rng.choice(columns)
    if frame.get_column(column).drop_nulls().n_unique() > 1:
        new = rng.choice([column.upper() + "_X", f"{column}_value", "c7", f"src_{column}"])
        yield "renamed", {"rename"}, column, frame.rename({column: new}), frame
        yield "column gone", {"missing_column"}, column, frame.drop(column), None
    if table.amounts:
        column = rng.choice(table.amounts)
        if frame.get_column(column).drop_nulls().len():
            yield "number as text", {"type_change"}, column, frame.with_columns(pl.col(column).cast(pl.String)), frame
            yield "decimal comma", {"type_change"}, column, frame.with_columns(
                pl.col(column).cast(pl.Float64).cast(pl.String).str.replace(".", ",", literal=True)), frame  # fmt: skip
    if table.time:
        text = pl.col(table.time).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
        yield "time as text", {"type_change"}, table.time, frame.with_columns(text.alias(table.time)), frame
        epoch = pl.col(table.time).dt.epoch("s")
        yield "time as epoch", {"type_change"}, table.time, frame.with_columns(epoch.alias(table.time)), frame
    everything = frame.with_columns(pl.all().cast(pl.String))
    if frame.height > 8:
        yield "all as text", {"type_change"}, "", everything, frame


def _values(table: Table, frame: pl.DataFrame, rng: random.Random) -> Iterator[Plant]:
    if not table.categories:
        return
    column = rng.choice(table.categories)
    series = frame.get_column(column).drop_nulls()
    text = pl.col(column).cast(pl.String)
    if frame.schema[column] == pl.String and series.len() and series.n_unique() < frame.height + 1:
        forms = {
            "case": text.str.to_lowercase() if series[0] != series[0].lower() else text.str.to_uppercase(),
            "space": text + " ", "prefix": pl.lit("X_") + text, "suffix": text + ".0",
        }  # fmt: skip
        rule = rng.choice(list(forms))
        yield f"recode {rule}", {"enum_recode"}, column, frame.with_columns(forms[rule].alias(column)), frame
    low = [one for one in table.categories if 2 <= frame.get_column(one).drop_nulls().n_unique() <= 30]
    if not low:
        return
    column = rng.choice(low)
    kinds = frame.get_column(column).drop_nulls().value_counts(sort=True).get_column(column).to_list()
    new = [f"K{100 + place}" for place in range(len(kinds))] if isinstance(kinds[0], str) else [
        101 + place for place in range(len(kinds))]  # fmt: skip
    rng.shuffle(new)
    coded = frame.with_columns(pl.col(column).replace(kinds, new).alias(column))
    yield "recode all", {"enum_recode"}, column, coded, frame
    one = frame.with_columns(pl.col(column).replace([kinds[0]], [new[0]]).alias(column))
    yield "recode one", {"enum_recode"}, column, one, frame
    exchanged = frame.with_columns(pl.col(column).replace(kinds[:2], kinds[:2][::-1]).alias(column))
    yield "recode exchanged", {"enum_recode"}, column, exchanged, frame


def _nulls(table: Table, frame: pl.DataFrame, rng: random.Random) -> Iterator[Plant]:
    if not table.amounts or frame.height < 8:
        return
    column = rng.choice(table.amounts)
    if frame.get_column(column).drop_nulls().n_unique() < 4:
        return
    for share in (0.15, 0.5, 1.0):
        hit = pl.Series(np.random.default_rng(rng.randrange(9999)).random(frame.height) < share)
        gone = frame.with_columns(pl.when(hit).then(None).otherwise(pl.col(column)).alias(column))
        yield f"nulls {share:.0%}", {"null_burst"}, column, gone, None
        if share < 1:
            stand_in = rng.choice([-999, -9999, -1e6, 99999])
            value = frame.with_columns(
                pl.when(hit).then(stand_in).otherwise(pl.col(column).cast(pl.Float64)).alias(column)
            )
            yield f"sentinel {share:.0%}", {"sentinel"}, column, value, gone
    fill = rng.choice([0, frame.get_column(column).drop_nulls()[0]])
    constant = frame.with_columns(pl.lit(fill).cast(frame.schema[column]).alias(column))
    yield "constant", {"default_fill"}, column, constant, None
    if table.categories and frame.schema[table.categories[0]] == pl.String:
        category = table.categories[0]
        hit = pl.Series(np.random.default_rng(rng.randrange(9999)).random(frame.height) < 0.3)
        blank = rng.choice(["N/A", "", "unknown", "null"])
        put = frame.with_columns(pl.when(hit).then(pl.lit(blank)).otherwise(pl.col(category)).alias(category))
        want = frame.with_columns(pl.when(hit).then(None).otherwise(pl.col(category)).alias(category))
        yield "blank text", {"sentinel"}, category, put, want
    other = [one for one in table.amounts if one != column]
    if other:
        source = rng.choice(other)
        copied = frame.with_columns((pl.col(source).cast(pl.Float64) * 1.15).alias(column))
        yield "copied column", {"dependency"}, column, copied, None
