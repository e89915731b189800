"""Will this flight out of New York arrive late? From raw feeds to a model that is scored every morning.

Windows are local days. Schedules, weather and reference tables arrive on the day, outcomes a day later.
"""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from headwater import Project

NEW_YORK = "America/New_York"
FEEDS = Path(__file__).resolve().parent / "feeds"
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ORIGINS = ["EWR", "JFK", "LGA"]
WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
HISTORY = ["carrier_late_rate", "carrier_delay", "route_late_rate", "route_delay"]
COLUMNS = ["minute_of_day", "weekday", "carrier_code", "origin_code", "distance", "zone", "load"]
COLUMNS += ["seats", "plane_age", *WEATHER, *HISTORY]
HOLIDAYS = ["2013-01-01", "2013-05-27", "2013-07-04", "2013-09-02", "2013-11-28", "2013-12-25"]

project = Project("nyc", every="1d", timezone=NEW_YORK, holidays=tuple(HOLIDAYS))


def landed(feed, window):
    """Read the files of a feed for every day of the window; a day that has not landed is an error."""
    first, _, last = window.key.partition("..")
    days = pl.date_range(pl.lit(first).str.to_date(), pl.lit(last or first).str.to_date(), eager=True)
    files = [FEEDS / feed / f"{day}.parquet" for day in days]
    missing = [file.stem for file in files if not file.exists()]
    if missing:
        raise FileNotFoundError(f"feed {feed}: nothing has landed for {', '.join(missing[:3])} in {FEEDS / feed}")
    return pl.concat([pl.read_parquet(file) for file in files])


def newest(feed, window):
    """Read the newest snapshot of a feed that had landed by the end of the window."""
    files = sorted(file for file in (FEEDS / feed).glob("*.parquet") if file.stem <= window.key.split("..")[-1])
    if not files:
        raise FileNotFoundError(f"feed {feed}: no snapshot has landed by {window.key} in {FEEDS / feed}")
    return pl.read_parquet(files[-1])


# --- sources: as they come from outside -------------------------------------------------------------------------------
@project.source(key=["carrier", "flight", "origin", "time_hour"], time="time_hour")
def raw_flights(window):
    return landed("raw_flights", window)


@project.source(key=["carrier", "flight", "origin", "time_hour"], time="time_hour", lag=1)
def raw_arrivals(window):
    return landed("raw_arrivals", window)


@project.source(key=["origin", "time_hour"], time="time_hour")
def raw_weather(window):
    return landed("raw_weather", window)


@project.source(key=["tailnum"], snapshot=True)
def raw_planes(window):
    return newest("raw_planes", window)


@project.source(key=["faa"], snapshot=True)
def raw_airports(window):
    return newest("raw_airports", window)


@project.source(key=["carrier"], snapshot=True)
def raw_airlines(window):
    return newest("raw_airlines", window)


# --- staged: typed, cleaned, one key per thing, time in UTC -----------------------------------------------------------
@project.dataset(layer="staged", key=["flight_id"], time="time")
def schedule(raw_flights):
    # A flight without an aircraft was withdrawn before the day began: there is nothing to foretell, and in this feed
    # the gap would give the outcome away.
    flights = raw_flights.filter(pl.col("tailnum").is_not_null()).with_columns(
        day=pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.date(),
        time=pl.col("time_hour") + pl.duration(minutes="minute"),
        tailnum=pl.col("tailnum").str.strip_chars().str.to_uppercase(),
    )
    return (
        flights.select(
            "time", "time_hour", "day", "carrier", "flight", "tailnum", "origin", "dest", "distance",
            flight_id=pl.format("{}{} {} {}", "carrier", "flight", "origin", "day"),
        )
        .unique("flight_id", keep="first")
        .sort("time", "flight_id")
    )  # fmt: skip


@project.dataset(layer="staged", key=["flight_id"], time="time_hour", lag=1)
def arrivals(raw_arrivals):
    day = pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.date()
    reports = raw_arrivals.with_columns(flight_id=pl.format("{}{} {} {}", "carrier", "flight", "origin", day))
    reports = reports.with_columns(cancelled=pl.col("arr_delay").is_null())  # diverted flights too: they never arrived
    return reports.select("flight_id", "time_hour", "dep_delay", "arr_delay", "cancelled").sort("flight_id")


@project.dataset(layer="staged", key=["origin", "time"], time="time")
def weather(raw_weather):
    sane = pl.when(pl.col("wind_speed") < 150).then(pl.col("wind_speed"))  # EWR once reported 1048 mph
    return raw_weather.select("origin", time="time_hour", *WEATHER).with_columns(wind_speed=sane).sort("origin", "time")


@project.dataset(layer="staged", key=["tailnum"], snapshot=True)
def planes(raw_planes):
    tailnum = pl.col("tailnum").str.strip_chars().str.to_uppercase()
    return raw_planes.select(tailnum=tailnum, built="year", seats="seats").sort("tailnum")


@project.dataset(layer="staged", key=["dest"], snapshot=True)
def airports(raw_airports):
    return raw_airports.select(dest="faa", zone=pl.col("tz").cast(pl.Float64)).sort("dest")


@project.dataset(layer="staged", key=["carrier"], snapshot=True)
def airlines(raw_airlines):
    return raw_airlines.select("carrier", airline=pl.col("name").str.strip_chars()).sort("carrier")


# --- modeled: joined; every join keeps every flight -------------------------------------------------------------------
@project.dataset(key=["flight_id"], time="time")
def flight_weather(schedule, weather):
    # The observation of the departure hour stands in for the forecast that would be known in the morning.
    hourly = weather.rename({"time": "time_hour"})
    return schedule.join(hourly, on=["origin", "time_hour"], how="left").sort("time", "flight_id")


@project.dataset(key=["flight_id"], time="time")
def flight_fleet(flight_weather, planes):
    # 15 % of flights carry a fleet number that the registry does not know: their plane stays unknown (null).
    known = flight_weather.join(planes, on="tailnum", how="left")
    age = (pl.col("day").dt.year() - pl.col("built")).cast(pl.Float64)
    return known.with_columns(plane_age=age).drop("built").sort("time", "flight_id")


@project.dataset(key=["origin", "time_hour"], time="time_hour")
def airport_load(schedule):
    return schedule.group_by("origin", "time_hour").agg(load=pl.len().cast(pl.Int64)).sort("origin", "time_hour")


@project.dataset(key=["flight_id"], time="time")
def departures(flight_fleet, airport_load, airports, airlines):
    joined = flight_fleet.join(airport_load, on=["origin", "time_hour"], how="left")
    joined = joined.join(airports, on="dest", how="left").join(airlines, on="carrier", how="left")
    return joined.sort("time", "flight_id")


@project.dataset(key=["flight_id"], time="time", lag=1)
def outcomes(schedule, arrivals):
    reported = schedule.join(arrivals.drop("time_hour"), on="flight_id", how="left")
    delay = pl.when("cancelled").then(180).otherwise(pl.col("arr_delay").clip(lower_bound=0))
    kept = reported.select("flight_id", "time", "day", "carrier", "origin", "dest", "cancelled", delay_minutes=delay)
    return kept.sort("time", "flight_id")


def trailing(outcomes, window, by, days):
    """Count flights, late flights and minutes of delay over the days up to and including each day of the window.

    Sums of whole numbers: the same whether a day is computed alone or inside a range.
    """
    minutes = pl.col("delay_minutes")
    daily = outcomes.drop_nulls("delay_minutes").group_by("day", *by)
    daily = daily.agg(flights=pl.len().cast(pl.Int64), late=(minutes > 15).sum().cast(pl.Int64), minutes=minutes.sum())
    offsets = pl.DataFrame({"offset": list(range(days))})
    moved = daily.join(offsets, how="cross").with_columns(pl.col("day") + pl.duration(days="offset"))
    sums = moved.group_by("day", *by).agg(pl.col("flights", "late", "minutes").sum())

    def midnight(day):
        return day.cast(pl.Datetime("us")).dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC")

    stamped = sums.with_columns(time=midnight(pl.col("day")), known_at=midnight(pl.col("day") + pl.duration(days=1)))
    inside = (pl.col("time") >= window.start) & (pl.col("time") < window.end)
    return stamped.filter(inside).sort("time", *by)


@project.dataset(key=["carrier", "day"], time="time", lag=1, lookback={"outcomes": 6})
def carrier_history(outcomes, window):
    week = trailing(outcomes, window, by=["carrier"], days=7)
    rate, delay = pl.col("late") / pl.col("flights"), pl.col("minutes") / pl.col("flights")
    return week.select("carrier", "day", "time", "known_at", carrier_late_rate=rate, carrier_delay=delay)


@project.dataset(key=["origin", "dest", "day"], time="time", lag=1, lookback={"outcomes": 6})
def route_history(outcomes, window):
    week = trailing(outcomes, window, by=["origin", "dest"], days=7)
    rate, delay = pl.col("late") / pl.col("flights"), pl.col("minutes") / pl.col("flights")
    return week.select("origin", "dest", "day", "time", "known_at", route_late_rate=rate, route_delay=delay)


# --- features and labels ----------------------------------------------------------------------------------------------
@project.features(key=["flight_id"], time="time", lookback={"carrier_history": 3, "route_history": 3})
def delay_features(departures, carrier_history, route_history):
    local = pl.col("time").dt.convert_time_zone(NEW_YORK)
    flights = departures.with_columns(
        as_of=local.dt.truncate("1d").dt.convert_time_zone("UTC"),  # a day is scored before it begins
        minute_of_day=local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute().cast(pl.Int64),
        weekday=local.dt.weekday().cast(pl.Int64),
        carrier_code=pl.col("carrier").replace_strict(CARRIERS, range(len(CARRIERS)), default=None),
        origin_code=pl.col("origin").replace_strict(ORIGINS, range(len(ORIGINS)), default=None),
    ).sort("as_of")
    for history, by in ((carrier_history, ["carrier"]), (route_history, ["origin", "dest"])):
        known = history.drop("day", "time").sort("known_at")
        flights = flights.join_asof(
            known, left_on="as_of", right_on="known_at", by=by, strategy="backward",
            tolerance=timedelta(days=2, hours=12), coalesce=True, check_sortedness=False,
        ).drop("known_at", strict=False)  # fmt: skip
    return flights.select("flight_id", "time", "carrier", "origin", "dest", *COLUMNS).sort("time", "flight_id")


@project.labels(key=["flight_id"], time="time", lag=1)
def delay_labels(outcomes):
    known = outcomes.drop_nulls("delay_minutes")
    return known.select("flight_id", "time", late=(pl.col("delay_minutes") > 15).cast(pl.Int64), delay_minutes="delay_minutes")


# --- the model: four parts that can fail one by one -------------------------------------------------------------------
def matrix(frame):
    return frame.select(COLUMNS).cast(pl.Float64).to_numpy()


def train(frame, seed):
    from lightgbm import LGBMClassifier
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import StandardScaler

    frame = frame.sort("time", "flight_id")
    last_month = pl.col("time") >= frame["time"].max() - timedelta(days=30)
    past, recent = frame.filter(~last_month), frame.filter(last_month)
    scaler = StandardScaler().fit(matrix(past))
    model = LGBMClassifier(
        n_estimators=120, learning_rate=0.07, num_leaves=31, min_child_samples=200, colsample_bytree=0.6,
        subsample=0.7, subsample_freq=1, random_state=seed, n_jobs=2, deterministic=True, force_row_wise=True, verbose=-1,
    ).fit(scaler.transform(matrix(past)), past["late"].to_numpy())  # fmt: skip
    raw = model.predict_proba(scaler.transform(matrix(recent)))[:, 1]
    calibrator = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip").fit(raw, recent["late"].to_numpy())
    threshold = float(np.quantile(calibrator.predict(raw), 0.75))  # passengers bear one warning in four flights
    return {"scaler": scaler, "model": model, "calibrator": calibrator, "threshold": threshold}


def delay_served(delay_features):
    """What the online store hands to the server."""
    return delay_features.select("flight_id", "time", "carrier", "origin", "dest", *COLUMNS)


def score(parts, served):
    p = parts["model"].predict_proba(parts["scaler"].transform(matrix(served)))[:, 1]
    if parts.get("calibrator") is not None:
        p = parts["calibrator"].predict(p)
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})


def seat_minutes(rows):
    """Seat-minutes of delay that no passenger was told of; where a plane or a delay is unknown, what is usual."""
    missed = rows["late"] * (1 - rows["decision"])
    return missed * rows["seats"].fill_null(150) * rows["delay_minutes"].fill_null(60)


project.model(
    "delay", features="delay_features", labels="delay_labels", entity="flight_id", outcome="late", columns=COLUMNS,
    train=train, score=score, serve=delay_served, cost=seat_minutes, unit="seat-minutes",
    carry=["time", "carrier", "origin", "dest"],
)  # fmt: skip
