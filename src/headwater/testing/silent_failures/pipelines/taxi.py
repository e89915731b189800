"""How many minutes will a taxi ride take? Yellow cabs of New York with zones and weather, in dollars of waiting.

Four feeds (see `taxi_tables`), 18 assets. A window is a day of about 330 rides; the outcome, the minutes that the meter
ran, is known a day later. A regression: of the two questions that the table can answer it is the one with a signal (the
model explains about four fifths of the variance; a tip of a fifth or more can hardly be foretold).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from headwater.core.project import Project
from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Entry
from headwater.testing.silent_failures.pipelines.landing import summed
from headwater.testing.silent_failures.pipelines.taxi_faults import DECOYS, FAULTS, WORLDS
from headwater.testing.silent_failures.pipelines.taxi_tables import CALENDAR, NEW_YORK, feeds

BOROUGHS = ("manhattan", "queens", "brooklyn", "bronx", "staten_island", "ewr")
VENDORS = {1: "cmt", 2: "vts", 4: "ddc"}
RATES = {1: "standard", 2: "jfk", 3: "newark", 4: "nassau", 5: "negotiated", 6: "group"}
RIDE = (
    "distance", "minute_of_day", "weekday", "pickup_zone", "dropoff_zone", "pickup_borough_code",
    "dropoff_borough_code", "airport", "rate_code", "vendor_code", "passengers",
)  # fmt: skip
WEATHER = ("high", "low", "rain", "snow", "snow_depth")
HISTORY = ("zone_pace", "route_pace", "hour_pace")
COLUMNS = (*RIDE, *WEATHER, *HISTORY)
CARRY = ("pickup_at", "pickup_borough", "dropoff_borough", "vendor")
ZONE_DAYS, ROUTE_DAYS, HOUR_DAYS = 28, 28, 14
REPORTED = 2
"""Days after a ride's day on which its outcome is used: reported the day after, used from the next on."""
SHORTEST, LONGEST = 0.5, 180.0
"""Minutes between which a meter is believed."""
CAP = 120.0
"""Minutes beyond which no ride is promised."""
TARIFF = 0.5
"""Dollars a minute that a waiting taxi costs (the city's tariff of 2018 to 2020: 50 cents for 60 seconds)."""
CALIBRATED_DAYS = 45
HOLIDAYS = (
    "2018-01-01", "2018-05-28", "2018-07-04", "2018-09-03", "2018-11-22", "2018-12-25", "2019-01-01", "2019-05-27",
    "2019-07-04", "2019-09-02", "2019-11-28", "2019-12-25", "2020-01-01", "2020-05-25", "2020-07-04", "2020-09-07",
    "2020-11-26", "2020-12-25",
)  # fmt: skip


def local(column: str) -> pl.Expr:
    """Read a moment by New York's clocks."""
    return pl.col(column).dt.convert_time_zone(NEW_YORK)


# --- staged: typed, cleaned, one row per key --------------------------------------------------------------------------
def trips(raw_trips: pl.DataFrame) -> pl.DataFrame:
    """Typed rides; a distance of nothing or beyond 60 miles, and a ride without passengers, are not known."""
    sane = (pl.col("trip_distance") > 0) & (pl.col("trip_distance") < 60)
    typed = raw_trips.select(
        "trip_id",
        "pickup_at",
        day=local("pickup_at").dt.date(),
        pickup_zone="pickup_location_id",
        dropoff_zone="dropoff_location_id",
        distance=pl.when(sane).then("trip_distance"),
        passengers=pl.when(pl.col("passenger_count") > 0).then("passenger_count"),
        vendor=pl.col("vendor_id").replace_strict(VENDORS, default=None, return_dtype=pl.String),
        rate=pl.col("rate_code_id").replace_strict(RATES, default=None, return_dtype=pl.String),
    )
    return typed.unique("trip_id", keep="first", maintain_order=True).sort("trip_id")


def meters(raw_meters: pl.DataFrame) -> pl.DataFrame:
    """What the meter said; minutes that cannot be are not known."""
    ran = (pl.col("dropoff_at") - pl.col("pickup_at")).dt.total_seconds() / 60
    typed = raw_meters.select(
        "trip_id",
        "pickup_at",
        minutes=pl.when(ran.is_between(SHORTEST, LONGEST)).then(ran),
        fare=pl.when(pl.col("fare_amount").is_between(0, 500)).then("fare_amount"),
        card=(pl.col("payment_type") == 1).cast(pl.Int64),
    )
    return typed.unique("trip_id", keep="first", maintain_order=True).sort("trip_id")


def zones(raw_zones: pl.DataFrame) -> pl.DataFrame:
    """The city's taxi zones; the two that stand for no known place are none."""
    borough = pl.col("Borough").str.strip_chars().str.to_lowercase().str.replace_all(" ", "_")
    airport = pl.col("Zone").str.to_lowercase().str.contains("airport").cast(pl.Int64)
    made = raw_zones.select(zone="LocationID", borough=borough, airport=airport)
    return made.filter(pl.col("borough") != "unknown").unique("zone", keep="first").sort("zone")


def weather(raw_weather: pl.DataFrame) -> pl.DataFrame:
    """The day's weather in Central Park: degrees Fahrenheit and inches, which stand in for the morning's forecast."""
    degrees = [pl.col(name).cast(pl.Float64).alias(to) for name, to in (("TMAX", "high"), ("TMIN", "low"))]
    return raw_weather.select(
        *degrees, day="DATE", rain="PRCP", snow=pl.col("SNOW").fill_null(0.0), snow_depth="SNWD"
    ).sort("day")


# --- modeled: every join keeps every ride -----------------------------------------------------------------------------
def trip_zones(trips: pl.DataFrame, zones: pl.DataFrame) -> pl.DataFrame:
    """Rides with the boroughs they begin and end in."""
    named = trips
    for end in ("pickup", "dropoff"):
        columns = {"zone": f"{end}_zone", "borough": f"{end}_borough", "airport": f"{end}_airport"}
        named = named.join(zones.rename(columns), on=f"{end}_zone", how="left")
    airport = pl.max_horizontal("pickup_airport", "dropoff_airport").fill_null(0)
    return named.with_columns(airport=airport).drop("pickup_airport", "dropoff_airport").sort("trip_id")


def trip_weather(trip_zones: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """Rides with the weather of their day."""
    return trip_zones.join(weather, on="day", how="left").sort("trip_id")


def outcomes(trip_zones: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Rides with the minutes they took."""
    kept = trip_zones.select(
        "trip_id", "pickup_at", "day", "pickup_zone", "pickup_borough", "dropoff_borough", "distance"
    )
    return kept.join(meters.drop("pickup_at"), on="trip_id", how="left").sort("trip_id")


def paces(outcomes: pl.DataFrame, by: Mapping[str, pl.Expr], days: int, window: Window) -> pl.DataFrame:
    """Minutes per mile of groups of rides over the days up to each day of the window.

    Seconds and hundredths of a mile are added as whole numbers.
    """
    usable = outcomes.drop_nulls(["minutes", "distance"]).with_columns(**by).drop_nulls(list(by))
    seconds = (pl.col("minutes") * 60).round().cast(pl.Int64)
    miles = (pl.col("distance") * 100).round().cast(pl.Int64)
    daily = usable.group_by("day", *by).agg(rides=pl.len().cast(pl.Int64), seconds=seconds.sum(), miles=miles.sum())
    sums = summed(daily, tuple(by), days, window)
    pace = (pl.col("seconds") + 5 * 300) / 60 / (pl.col("miles") / 100 + 5)  # five miles at five minutes count along
    known_on = pl.col("day") + pl.duration(days=REPORTED)
    return sums.select("day", *by, "rides", known_on=known_on, pace=pace)


def zone_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Minutes per mile from each zone, over `ZONE_DAYS` days."""
    return paces(outcomes, {"pickup_zone": pl.col("pickup_zone")}, ZONE_DAYS, window).rename({"pace": "zone_pace"})


def route_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Minutes per mile between boroughs, over `ROUTE_DAYS` days."""
    by = {name: pl.col(name) for name in ("pickup_borough", "dropoff_borough")}
    return paces(outcomes, by, ROUTE_DAYS, window).rename({"pace": "route_pace"})


def hour_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Minutes per mile at each hour of working days and of weekends, over `HOUR_DAYS` days."""
    by = {"hour": local("pickup_at").dt.hour().cast(pl.Int64), "weekend": (pl.col("day").dt.weekday() > 5)}
    return paces(outcomes, by, HOUR_DAYS, window).rename({"pace": "hour_pace"})


# --- features and labels ----------------------------------------------------------------------------------------------
def code(column: str, known: tuple[str, ...]) -> pl.Expr:
    """Number the values of an enumeration by their place in what is known; -1 for all others."""
    return pl.col(column).replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64)


def duration_features(
    trip_weather: pl.DataFrame, zone_history: pl.DataFrame, route_history: pl.DataFrame, hour_history: pl.DataFrame
) -> pl.DataFrame:
    """One row per ride, with what is known at the kerb."""
    moment = local("pickup_at")
    rides = trip_weather.with_columns(
        hour=moment.dt.hour().cast(pl.Int64),
        minute_of_day=moment.dt.hour().cast(pl.Int64) * 60 + moment.dt.minute().cast(pl.Int64),
        weekday=pl.col("day").dt.weekday().cast(pl.Int64),
        weekend=pl.col("day").dt.weekday() > 5,
        pickup_borough_code=code("pickup_borough", BOROUGHS),
        dropoff_borough_code=code("dropoff_borough", BOROUGHS),
        rate_code=code("rate", tuple(RATES.values())),
        vendor_code=code("vendor", tuple(VENDORS.values())),
    )
    for history, by in (
        (zone_history, ["pickup_zone"]),
        (route_history, ["pickup_borough", "dropoff_borough"]),
        (hour_history, ["hour", "weekend"]),
    ):
        known = history.drop("day", "rides").rename({"known_on": "day"})
        rides = rides.join(known, on=[*by, "day"], how="left")
    return rides.select("trip_id", *CARRY, *COLUMNS).sort("trip_id")


def duration_labels(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The rides whose minutes are known."""
    return outcomes.drop_nulls("minutes").select("trip_id", "pickup_at", "minutes", "fare").sort("trip_id")


# --- the model: four parts that can fail one by one -------------------------------------------------------------------
def matrix(frame: pl.DataFrame) -> Any:
    """Features as the model wants them, in its order."""
    return frame.select(pl.col(name).cast(pl.Float64) for name in COLUMNS).to_numpy()


def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Fit scaler and boosted trees on logarithms; the calibrator turns what is usual into minutes on average."""
    from lightgbm import LGBMRegressor
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import StandardScaler

    frame = frame.sort("pickup_at", "trip_id")
    newest = pl.col("pickup_at") > pl.col("pickup_at").max() - pl.duration(days=CALIBRATED_DAYS)
    past, recent = frame.filter(~newest), frame.filter(newest)
    scaler = StandardScaler().fit(matrix(past))
    trees: dict[str, Any] = {
        "n_estimators": 150,
        "learning_rate": 0.08,
        "num_leaves": 24,
        "min_child_samples": 100,
        "reg_lambda": 5,
    }
    sample: dict[str, Any] = {"random_state": seed, "subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8}
    model = LGBMRegressor(**trees, **sample, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)
    model.fit(scaler.transform(matrix(past)), np.log(past["minutes"].to_numpy()))
    usual = np.exp(model.predict(scaler.transform(matrix(recent))))
    calibrator = IsotonicRegression(y_min=SHORTEST, y_max=LONGEST, out_of_bounds="clip")
    calibrator.fit(usual, recent["minutes"].to_numpy())
    return {"scaler": scaler, "model": model, "calibrator": calibrator, "cap": CAP}


def duration_served(duration_features: pl.DataFrame) -> pl.DataFrame:
    """What the online store hands to the server."""
    return duration_features.select("trip_id", *CARRY, *COLUMNS)


def score(parts: Mapping[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    """Minutes that a ride is promised to take."""
    if not served.height:
        return pl.DataFrame(schema={"prediction": pl.Float64})
    minutes = np.exp(parts["model"].predict(parts["scaler"].transform(matrix(served))))
    if parts.get("calibrator") is not None:
        minutes = parts["calibrator"].predict(minutes)
    return pl.DataFrame({"prediction": np.minimum(minutes, parts["cap"])})


def waiting_dollars(rows: pl.DataFrame) -> pl.Series:
    """What a wrong promise costs: the next rider waits when a ride takes longer, a taxi idles when it is shorter."""
    late = rows["minutes"] - rows["prediction"]
    return TARIFF * late.clip(lower_bound=0) - TARIFF / 2 * late.clip(upper_bound=0)


def build(data: str | None = None) -> Project:
    """Put the project together.

    Args:
        data: Where the folder ``nyc_taxi`` is; None: see `landing.data_folder`.

    Raises:
        OutsideError: The data is not there.
    """
    project = Project("taxi", every=CALENDAR.every, timezone=CALENDAR.timezone, holidays=HOLIDAYS)
    sources, at, trip = feeds(data), "pickup_at", ["trip_id"]
    project.source(sources["raw_trips"], name="raw_trips", key=trip, time=at)
    project.source(sources["raw_meters"], name="raw_meters", key=trip, time=at, lag=1)
    project.source(sources["raw_weather"], name="raw_weather", key=["STATION", "DATE"], time="DATE")
    project.source(sources["raw_zones"], name="raw_zones", key=["LocationID"], snapshot=True)
    project.dataset(trips, layer="staged", key=trip, time=at)
    project.dataset(meters, layer="staged", key=trip, time=at, lag=1)
    project.dataset(zones, layer="staged", key=["zone"], snapshot=True)
    project.dataset(weather, layer="staged", key=["day"], time="day")
    project.dataset(trip_zones, key=trip, time=at)
    project.dataset(trip_weather, key=trip, time=at)
    project.dataset(outcomes, key=trip, time=at, lag=1)
    for history, by, days in (
        (zone_history, ["pickup_zone"], ZONE_DAYS),
        (route_history, ["pickup_borough", "dropoff_borough"], ROUTE_DAYS),
        (hour_history, ["hour", "weekend"], HOUR_DAYS),
    ):
        back = {"outcomes": days - 1}
        project.dataset(history, key=[*by, "day"], time="day", lag=1, lookback=back, side="ml")
    back = {name: REPORTED + 5 for name in ("zone_history", "route_history", "hour_history")}
    project.features(duration_features, key=trip, time=at, lookback=back)
    project.labels(duration_labels, key=trip, time=at, lag=1)
    project.model(
        "duration", features="duration_features", labels="duration_labels", entity="trip_id", outcome="minutes",
        columns=COLUMNS, train=train, score=score, serve=duration_served, cost=waiting_dollars, unit="dollar",
        carry=CARRY, task="regression",
    )  # fmt: skip
    return project


ENTRY = Entry(
    name="taxi",
    build=build,
    history=("2018-10-01", "2019-08-31"),
    live=("2019-09-01", "2020-03-31"),
    onsets=("2019-10-08", "2019-11-05", "2019-12-10", "2020-01-07", "2020-02-04", "2020-02-18"),
    faults=FAULTS,
    decoys=DECOYS,
    worlds=WORLDS,
    storms=("2019-10-16", "2019-11-28", "2019-12-02", "2019-12-25", "2020-01-18", "2020-03-05", "2020-03-16"),
    describe="yellow cabs of New York, minutes of a ride, 2019-09 to the spring of 2020",
)
