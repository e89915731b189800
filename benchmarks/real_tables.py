"""Real tables cut into windows, and what may plausibly go wrong with each.

They are read from the folder named by HEADWATER_DATA, by default ../shared/data beside the repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headwater.core.windows import Calendar, Window

DATA = Path(os.environ.get("HEADWATER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
Frames = list[tuple[Window, pl.DataFrame]]


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
