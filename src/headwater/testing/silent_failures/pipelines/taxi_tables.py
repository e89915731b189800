"""New York's yellow cabs split into the tables that a dispatcher would receive, each dated as it would come.

The trips are 10,000 a month, drawn from the city's open data (TLC, 2018 to 2020), so the volume of a month says nothing
and that of a day says only how it stands in its month. What is known at the kerb is the feed of trips; what the meter
says at the end (when, how much) is a feed of its own that comes a day later. Wind is left out of the weather: it was
not measured in 9 of 38 months. Ids are surrogates: numbers shuffled within a day, so that they tell nothing.

The distance driven stands in for the distance of the planned route.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import polars as pl

from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.pipelines.landing import by_day, data_folder, landed

NEW_YORK = "America/New_York"
CALENDAR = Calendar("1d", NEW_YORK)
FIRST_DAY, LAST_DAY = "2018-01-01", "2020-12-31"
TRIPS, ZONES, WEATHER = "trips.parquet", "zones.parquet", "central_park_weather_daily.parquet"

Feed = Callable[[Window], pl.DataFrame]


@functools.lru_cache(maxsize=2)
def tables(folder: str) -> Mapping[str, Mapping[str, pl.DataFrame]]:
    """Return each feed's rows by local day of pick-up; the table of zones is under ``raw_zones``, key empty."""
    rows = _numbered(pl.read_parquet(f"{folder}/{TRIPS}"))
    feeds = {
        "raw_trips": rows.select(
            "day", "trip_id", "pickup_at", "vendor_id", "passenger_count", "rate_code_id", "store_and_fwd_flag",
            "pickup_location_id", "dropoff_location_id", "trip_distance",
        ),
        "raw_meters": rows.select(
            "day", "trip_id", "pickup_at", "dropoff_at", "payment_type", "fare_amount", "tip_amount", "tolls_amount",
            "total_amount",
        ),
    }  # fmt: skip
    split = {
        name: {key: part.drop("day") for key, part in by_day(frame, "day").items()} for name, frame in feeds.items()
    }
    zones = pl.read_parquet(f"{folder}/{ZONES}").sort("LocationID")
    return {**split, "raw_weather": by_day(_weather(folder), "DATE"), "raw_zones": {"": zones}}


def _weather(folder: str) -> pl.DataFrame:
    rows = pl.read_parquet(f"{folder}/{WEATHER}").drop("AWND", "NAME")
    return rows.with_columns(pl.col("DATE").dt.date()).sort("DATE")


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Put clock times on the world's clock, and give each trip an id; hours that a clock skips count as one later."""
    made = rows.with_columns(
        pl.coalesce(
            pl.col(name).dt.replace_time_zone(NEW_YORK, ambiguous="earliest", non_existent="null"),
            (pl.col(name) + pl.duration(hours=1)).dt.replace_time_zone(
                NEW_YORK, ambiguous="earliest", non_existent="null"
            ),
        ).alias(to)
        for name, to in (("pickup_datetime", "pickup_at"), ("dropoff_datetime", "dropoff_at"))
    ).with_columns(day=pl.col("pickup_at").dt.date())
    first, last = (pl.lit(day).str.to_date() for day in (FIRST_DAY, LAST_DAY))
    kept = made.filter(pl.col("day").is_between(first, last))
    mixed = kept.sample(fraction=1.0, shuffle=True, seed=20180101).sort("day", maintain_order=True)
    place = (pl.int_range(pl.len()).over("day") + 1).cast(pl.String).str.zfill(4)
    named = mixed.with_columns(trip_id=pl.format("T{}-{}", pl.col("day").dt.strftime("%y%m%d"), place))
    return named.with_columns(
        pl.col("pickup_at", "dropoff_at").dt.convert_time_zone("UTC"),
        pl.col(pl.Int16).cast(pl.Int64),
    )


def feeds(data: str | None = None) -> dict[str, Feed]:
    """Return the four feeds as functions of a window.

    Raises:
        OutsideError: The data is not there.
    """
    folder = str(data_folder("nyc_taxi", (TRIPS, ZONES, WEATHER), data))

    def raw_trips(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_trips"], CALENDAR, window)

    def raw_meters(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_meters"], CALENDAR, window)

    def raw_weather(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_weather"], CALENDAR, window)

    def raw_zones(window: Window) -> pl.DataFrame:
        return tables(folder)["raw_zones"][""]

    return {feed.__name__: feed for feed in (raw_trips, raw_meters, raw_weather, raw_zones)}
