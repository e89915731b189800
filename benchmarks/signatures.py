"""How well source-table signatures work on real tables: false firing on clean windows, recall on planted changes.

    python benchmarks/signatures.py clean   [--tables weather2013,flights2013] [--every 1] [--part held-out]
    python benchmarks/signatures.py planted [--tables ...] [--windows 8] [--kinds unit,time_offset] [--part development]

Windows in odd ISO weeks are for development, those in even weeks are held out, and the held-out numbers are the ones to
report. Reads the data folder named by HEADWATER_DATA, by default ../shared/data beside the repository.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headwater.core.windows import Calendar, Window
from headwater.stats.signatures import Reference, diagnose

DATA = Path(os.environ.get("HEADWATER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
Frames = list[tuple[Window, pl.DataFrame]]
Plant = tuple[str, set[str], str, pl.DataFrame, pl.DataFrame | None]
"""Name, faults that would be right, column, planted frame, and the frame that a repair should give, if known."""


@dataclass
class Table:
    """A real table cut into windows, and what may plausibly go wrong with it."""

    name: str
    frames: Frames
    key: tuple[str, ...] = ()
    time: str | None = None
    snapshot: bool = False
    trailing: int = 28
    calendar: tuple[str, ...] = ()
    units: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    amounts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    moved: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    zone: str = "UTC"


def cut(frame: pl.DataFrame, time_column: str, zone: str, local: bool = False) -> Frames:
    """Cut a frame into days of a zone."""
    calendar = Calendar("1d", zone)
    column = pl.col(time_column)
    day = column.dt.strftime("%Y-%m-%d") if local else column.dt.convert_time_zone(zone).dt.strftime("%Y-%m-%d")
    keyed = frame.with_columns(day.alias("_day")).drop_nulls("_day").sort("_day", maintain_order=True)
    return [
        (calendar.window(str(key[0])), part.drop("_day")) for key, part in keyed.group_by("_day", maintain_order=True)
    ]


_MI, _KMH, _KN, _MS = 1.609344, 1.609344, 0.868976, 0.44704
_F = (1 / 1.8, -32 / 1.8)


def weather(year: int) -> Table:
    """Hourly weather of three airports."""
    zone = "America/New_York" if year == 2013 else "UTC"
    frame = pl.read_parquet(DATA / f"nycflights/weather_{year}.parquet")
    return Table(
        f"weather{year}", cut(frame, "time_hour", zone), key=("origin", "time_hour"), time="time_hour", zone=zone,
        calendar=("year", "month", "day", "hour"),
        units={
            "temp": [_F], "dewp": [_F], "temp,dewp": [_F], "wind_speed": [(_KMH, 0), (_KN, 0), (_MS, 0)],
            "wind_speed,wind_gust": [(_KMH, 0), (_MS, 0)], "pressure": [(0.02953, 0), (0.1, 0), (0.750062, 0)],
            "visib": [(_MI, 0)], "humid": [(0.01, 0)],
        },
        amounts=("temp", "dewp", "humid", "wind_speed", "pressure", "visib"), categories=("origin",),
        swaps=(("temp", "dewp"), ("humid", "pressure"), ("wind_dir", "wind_speed")), moved=("temp", "humid"),
    )  # fmt: skip


def flights(year: int) -> Table:
    """Scheduled flights."""
    zone = "America/New_York" if year == 2013 else "UTC"
    frame = pl.read_parquet(DATA / f"nycflights/flights_{year}.parquet")
    return Table(
        f"flights{year}", cut(frame, "time_hour", zone), time="time_hour", zone=zone,
        calendar=("year", "month", "day", "hour"),
        units={
            "distance": [(_MI, 0), (0.868976, 0)], "air_time": [(1 / 60, 0), (60, 0)],
            "dep_delay": [(60, 0), (1 / 60, 0)], "dep_delay,arr_delay": [(60, 0), (1 / 60, 0)],
        },
        amounts=("distance", "air_time", "dep_delay", "arr_delay", "sched_dep_time"),
        categories=("origin", "carrier", "dest", "tailnum"),
        swaps=(("dep_delay", "arr_delay"), ("origin", "dest"), ("dep_time", "sched_dep_time")),
        moved=("distance", "carrier", "air_time"),
    )  # fmt: skip


def labels() -> Table:
    """Whether flights came late."""
    frame = pl.read_parquet(DATA / "nycflights/flights_2013.parquet").select(
        "time_hour", "carrier", "flight", "origin", late=(pl.col("arr_delay") > 15).cast(pl.Int64)
    )
    return Table(
        "labels2013", cut(frame, "time_hour", "America/New_York"), time="time_hour", categories=("carrier", "origin"),
        outcomes=("late",), zone="America/New_York",
    )  # fmt: skip


def trips() -> Table:
    """Taxi trips of 2018."""
    frame = pl.read_parquet(DATA / "nyc_taxi/trips.parquet").filter(
        (pl.col("pickup_datetime") >= datetime(2018, 1, 1)) & (pl.col("pickup_datetime") < datetime(2019, 1, 1))
    )
    return Table(
        "trips2018", cut(frame, "pickup_datetime", "America/New_York", local=True), time="pickup_datetime",
        units={
            "trip_distance": [(_MI, 0)], "fare_amount": [(0.83, 0), (100, 0)], "total_amount": [(0.83, 0), (1.27, 0)],
            "tip_amount": [(100, 0)],
        },
        amounts=("trip_distance", "fare_amount", "total_amount"),
        categories=("payment_type", "vendor_id", "store_and_fwd_flag"),
        swaps=(("fare_amount", "total_amount"), ("trip_distance", "fare_amount")),
        moved=("total_amount", "fare_amount", "trip_distance"), outcomes=("payment_type",), zone="America/New_York",
    )  # fmt: skip


def bookings() -> Table:
    """Hotel bookings by day of arrival."""
    frame = pl.read_parquet(DATA / "hotel_bookings/hotel_bookings.parquet").with_columns(
        arrival=pl.concat_str(
            "arrival_date_year", "arrival_date_month", "arrival_date_day_of_month", separator=" "
        ).str.to_datetime("%Y %B %d", time_unit="us", time_zone="UTC")
    )
    return Table(
        "bookings", cut(frame, "arrival", "UTC"), time="arrival",
        calendar=("arrival_date_year", "arrival_date_month", "arrival_date_day_of_month"),
        units={"adr": [(0.84, 0), (1.17, 0), (100, 0)], "lead_time": [(24, 0), (1 / 7, 0)]},
        amounts=("adr", "lead_time"), categories=("hotel", "market_segment", "customer_type", "country", "meal"),
        swaps=(("reserved_room_type", "assigned_room_type"), ("adults", "stays_in_week_nights"), ("adr", "lead_time")),
        moved=("assigned_room_type",), outcomes=("is_canceled",),
    )  # fmt: skip


def retail() -> Table:
    """Lines of invoices."""
    frame = pl.read_parquet(DATA / "online_retail_ii/online_retail_ii.parquet").filter(
        (pl.col("InvoiceDate") >= datetime(2010, 3, 1)) & (pl.col("InvoiceDate") < datetime(2010, 11, 20))
    )
    return Table(
        "retail", cut(frame, "InvoiceDate", "Europe/London", local=True), time="InvoiceDate", zone="Europe/London",
        units={"Price": [(1.27, 0), (100, 0)], "Quantity": [(12, 0)]}, amounts=("Price", "Quantity"),
        categories=("Country", "StockCode"), swaps=(("Quantity", "Price"), ("Invoice", "StockCode")),
        moved=("Price",),
    )  # fmt: skip


def daily_weather() -> Table:
    """One row of weather a day."""
    frame = pl.read_parquet(DATA / "nyc_taxi/central_park_weather_daily.parquet")
    return Table(
        "parkweather", cut(frame, "DATE", "America/New_York", local=True), time="DATE", trailing=56,
        units={"TMAX,TMIN": [_F]}, categories=("STATION",), swaps=(("TMAX", "TMIN"),), zone="America/New_York",
    )  # fmt: skip


def snapshot(name: str, path: str, key: str, units: dict[str, list[tuple[float, float]]], **more: Any) -> Table:
    """A dimension delivered whole every day, with a little real-looking churn: rows come and go."""
    frame = pl.read_parquet(DATA / path)
    calendar = Calendar("1d", "UTC")
    days = list(calendar.between("2013-01-01", "2013-05-30"))
    frames = []
    for place, day in enumerate(days):
        chosen = np.random.default_rng(7).random(frame.height)
        late = np.random.default_rng(8).integers(0, len(days) * 4, frame.height)
        frames.append((day, frame.filter(pl.Series((chosen < 0.995) & (late <= place + 3 * len(days))))))
    return Table(name, frames, key=(key,), snapshot=True, trailing=5, units=units, **more)


TABLES: dict[str, Callable[[], Table]] = {
    "weather2013": lambda: weather(2013),
    "flights2013": lambda: flights(2013),
    "weather2023": lambda: weather(2023),
    "flights2023": lambda: flights(2023),
    "labels2013": labels,
    "trips2018": trips,
    "bookings": bookings,
    "retail": retail,
    "parkweather": daily_weather,
    "planes": lambda: snapshot(
        "planes", "nycflights/planes_2013.parquet", "tailnum", {"seats": [(10, 0)]}, amounts=("seats", "year"),
        categories=("type", "engine", "manufacturer", "tailnum"), swaps=(("engines", "seats"), ("type", "engine")),
    ),
    "airports": lambda: snapshot(
        "airports", "nycflights/airports_2013.parquet", "faa", {"alt": [(0.3048, 0)]}, amounts=("lat", "alt"),
        categories=("faa", "dst", "tzone"), swaps=(("lat", "lon"),),
    ),
}  # fmt: skip


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


def clean(arguments: argparse.Namespace) -> None:
    """Count the clean windows on which anything fires."""
    print("| table | windows | abnormal | fired | share |  |\n|---|---|---|---|---|---|")
    for name in arguments.tables:
        table = TABLES[name]()
        fired: list[str] = []
        windows = abnormal = 0
        for place in range(table.trailing, len(table.frames), arguments.every):
            window, frame = table.frames[place]
            if not in_part(window, arguments.part):
                continue
            windows += 1
            reference = learn(table, place)
            found = diagnose(frame, reference, window=window)
            abnormal += reference.score(frame, window).total > 2
            if found:
                best = found[0]
                fired.append(f"{window.key} {best.fault} {best.column} {best.before:.1f} {best.after:.1f}")
                if arguments.verbose:
                    print("   ", fired[-1], best.detail, [(one.fault, one.column) for one in found[1:]], flush=True)
        kinds = collections.Counter(one.split()[1] for one in fired)
        share = len(fired) / max(windows, 1)
        print(f"| {name} | {windows} | {abnormal} | {len(fired)} | {share:.1%} | {dict(kinds)} |", flush=True)


def planted(arguments: argparse.Namespace) -> None:
    """Measure firing, naming and restoring on planted changes."""
    rows: list[dict[str, Any]] = []
    for name in arguments.tables:
        table = TABLES[name]()
        places = [
            place
            for place in range(table.trailing, len(table.frames) - 1)
            if in_part(table.frames[place][0], arguments.part)
        ]
        rng = random.Random(f"{name}{arguments.seed}")
        for place in rng.sample(places, min(arguments.windows, len(places))):
            window = table.frames[place][0]
            reference = learn(table, place)
            for kind, right, column, frame, wanted in plants(table, place, rng):
                if arguments.kinds and not (set(arguments.kinds) & right):
                    continue
                start = time.process_time()
                found = diagnose(frame, reference, window=window)
                rows.append(_judge(table, window, kind, right, column, found, frame, wanted, reference))
                rows[-1]["seconds"] = time.process_time() - start
                one = rows[-1]
                if arguments.verbose and (not one["named"] or (wanted is not None and one["restored"] < 0.99)):
                    print("   ", name, window.key, kind, column, "restored", round(one["restored"], 3), [
                        (d.fault, d.column, d.repair.operator, d.before, d.after, d.confidence) for d in found[:3]
                    ], list(reference.score(frame, window).abnormal().items())[:8], flush=True)  # fmt: skip
        print(name, sum(row["table"] == name for row in rows), flush=True)
    _report(rows)


def _judge(
    table: Table,
    window: Window,
    kind: str,
    right: set[str],
    column: str,
    found: list[Any],
    frame: pl.DataFrame,
    wanted: pl.DataFrame | None,
    reference: Reference,
) -> dict[str, Any]:
    from headwater.stats.repairs import apply

    best = found[0] if found else None
    share = np.nan
    if wanted is not None:
        share = 0.0
        if best is not None and best.invertible:
            share = restored(apply(best.repair, frame, reference), wanted)
    return {
        "table": table.name,
        "kind": kind,
        "fault": "/".join(sorted(right)),
        "fired": bool(found),
        "named": best is not None and best.fault in right,
        "listed": any(one.fault in right for one in found),
        "column": best is not None and (not column or column in best.column or not best.column),
        "restored": share,
    }


def _report(rows: list[dict[str, Any]]) -> None:
    table = pl.DataFrame(rows)
    for by in ("table", "kind", "fault"):
        summary = (
            table.with_columns(pl.col("restored").fill_nan(None))
            .group_by(by)
            .agg(
                pl.len().alias("n"), pl.col("fired").mean(), pl.col("named").mean(), pl.col("listed").mean(),
                pl.col("column").mean(), (pl.col("restored") > 0.99).mean().alias("restored"),
                (pl.col("seconds").quantile(0.95) * 1000).round(0).alias("p95 ms"),
            )
            .sort(by)
        )  # fmt: skip
        print(f"\n| {' | '.join(summary.columns)} |\n|{'---|' * summary.width}")
        for row in summary.iter_rows():
            print("| " + " | ".join(f"{one:.2f}" if isinstance(one, float) else str(one) for one in row) + " |")


def main() -> None:
    """Run one of the two sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", choices=("clean", "planted"))
    parser.add_argument("--tables", type=lambda text: text.split(","), default=list(TABLES))
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=[])
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="development")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}; set HEADWATER_DATA")
    (clean if arguments.sweep == "clean" else planted)(arguments)


if __name__ == "__main__":
    main()
