"""Will this flight out of New York arrive late? Scored every morning, from feeds to seat-minutes of delay."""

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
FLIGHT = ["minute_of_day", "weekday", "carrier_code", "origin_code", "distance", "zone", "load", "seats", "plane_age"]
COLUMNS = [*FLIGHT, *WEATHER, *HISTORY]
HOLIDAYS = ("2013-01-01", "2013-05-27", "2013-07-04", "2013-09-02", "2013-11-28", "2013-12-25")

project = Project("nyc", every="1d", timezone=NEW_YORK, holidays=HOLIDAYS)


def landed(feed, window, snapshot=False):
    """Read the files of a feed for every day of the window, or its newest snapshot; what is missing is an error."""
    first, _, last = window.key.partition("..")
    files = sorted(file for file in (FEEDS / feed).glob("*.parquet") if file.stem <= (last or first))
    files = files[-1:] if snapshot else [file for file in files if file.stem >= first]
    days = 1 if snapshot else round((window.end - window.start) / timedelta(days=1))
    if len(files) < days:
        raise FileNotFoundError(f"{len(files)} of {days} files for {window.key} have landed in {FEEDS / feed}")
    return pl.concat([pl.read_parquet(file) for file in files])


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
    return landed("raw_planes", window, snapshot=True)


@project.source(key=["faa"], snapshot=True)
def raw_airports(window):
    return landed("raw_airports", window, snapshot=True)


@project.source(key=["carrier"], snapshot=True)
def raw_airlines(window):
    return landed("raw_airlines", window, snapshot=True)


# --- staged: typed, cleaned, one key per thing, time in UTC -----------------------------------------------------------
@project.dataset(layer="staged", key=["flight_id"], time="time")
def schedule(raw_flights):
    # No aircraft: withdrawn before the day began. There is nothing to foretell, and the gap would give it away.
    flights = raw_flights.filter(pl.col("tailnum").is_not_null()).select(
        *("time_hour", "carrier", "flight", "origin", "dest", "distance"),
        day=pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.date(),
        time=pl.col("time_hour") + pl.duration(minutes="minute"),
        tailnum=pl.col("tailnum").str.strip_chars().str.to_uppercase(),
    )
    named = flights.with_columns(flight_id=pl.format("{}{} {} {}", "carrier", "flight", "origin", "day"))
    return named.unique("flight_id", keep="first", maintain_order=True).sort("time", "flight_id")


@project.dataset(layer="staged", key=["flight_id"], time="time_hour", lag=1)
def arrivals(raw_arrivals):
    day = pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.date()
    reports = raw_arrivals.with_columns(flight_id=pl.format("{}{} {} {}", "carrier", "flight", "origin", day))
    reports = reports.with_columns(cancelled=pl.col("arr_delay").is_null())  # diverted flights too: they never arrived
    return reports.select("flight_id", "time_hour", "dep_delay", "arr_delay", "cancelled").sort("flight_id")


@project.dataset(layer="staged", key=["origin", "time"], time="time")
def weather(raw_weather):
    sane = pl.when(pl.col("wind_speed") < 150).then(pl.col("wind_speed"))  # EWR once reported 1048 mph
    observed = raw_weather.select("origin", pl.col("time_hour").alias("time"), *WEATHER)
    return observed.with_columns(wind_speed=sane).sort("origin", "time")


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
    """Average lateness over the days up to each day of the window; whole sums, so a range gives what its days give."""
    minutes = pl.col("delay_minutes")
    daily = outcomes.drop_nulls("delay_minutes").group_by("day", *by)
    daily = daily.agg(flights=pl.len().cast(pl.Int64), late=(minutes > 15).sum().cast(pl.Int64), minutes=minutes.sum())
    offsets = pl.DataFrame({"offset": list(range(days))})
    moved = daily.join(offsets, how="cross").with_columns(pl.col("day") + pl.duration(days="offset"))
    sums = moved.group_by("day", *by).agg(pl.col("flights", "late", "minutes").sum())
    day, a_day = pl.col("day").cast(pl.Datetime("us")), pl.duration(days=1)
    stamped = sums.with_columns(
        time=day.dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC"),
        known_at=(day + a_day).dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC"),
        late_rate=pl.col("late") / pl.col("flights"),
        delay=pl.col("minutes") / pl.col("flights"),
    )
    inside = pl.col("time").is_between(window.start, window.end, closed="left")
    return stamped.filter(inside).drop("flights", "late", "minutes").sort("time", *by)


@project.dataset(key=["carrier", "day"], time="time", lag=1, lookback={"outcomes": 6}, side="ml")
def carrier_history(outcomes, window):
    week = trailing(outcomes, window, by=["carrier"], days=7)
    return week.rename({"late_rate": "carrier_late_rate", "delay": "carrier_delay"})


@project.dataset(key=["origin", "dest", "day"], time="time", lag=1, lookback={"outcomes": 6}, side="ml")
def route_history(outcomes, window):
    week = trailing(outcomes, window, by=["origin", "dest"], days=7)
    return week.rename({"late_rate": "route_late_rate", "delay": "route_delay"})


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
    asof = {"left_on": "as_of", "right_on": "known_at", "tolerance": timedelta(days=2, hours=12)}
    for history, by in ((carrier_history, ["carrier"]), (route_history, ["origin", "dest"])):
        known = history.drop("day", "time").sort("known_at")
        flights = flights.join_asof(known, by=by, check_sortedness=False, **asof).drop("known_at", strict=False)
    return flights.select("flight_id", "time", "carrier", "origin", "dest", *COLUMNS).sort("time", "flight_id")


@project.labels(key=["flight_id"], time="time", lag=1)
def delay_labels(outcomes):
    known = outcomes.drop_nulls("delay_minutes").select("flight_id", "time", "delay_minutes")
    return known.with_columns(late=(pl.col("delay_minutes") > 15).cast(pl.Int64))


# --- the model: four parts that can fail one by one -------------------------------------------------------------------
def matrix(frame):
    return frame.select(COLUMNS).cast(pl.Float64).to_numpy()


def train(frame, seed):
    from lightgbm import LGBMClassifier
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import StandardScaler

    frame = frame.sort("time", "flight_id")
    first, last = frame["time"].min(), frame["time"].max()
    last_month = pl.col("time") > last - min(timedelta(days=30), (last - first) / 4)
    past, recent = frame.filter(~last_month), frame.filter(last_month)
    scaler = StandardScaler().fit(matrix(past))
    trees = {"n_estimators": 150, "learning_rate": 0.05, "num_leaves": 12, "min_child_samples": 1000, "reg_lambda": 50}
    sample = {"random_state": seed, "subsample": 0.9, "subsample_freq": 1, "colsample_bytree": 0.8}
    model = LGBMClassifier(**trees, **sample, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)
    model.fit(scaler.transform(matrix(past)), past["late"].to_numpy())
    raw = model.predict_proba(scaler.transform(matrix(recent)))[:, 1]
    calibrator = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip").fit(raw, recent["late"].to_numpy())
    threshold = float(np.quantile(calibrator.predict(raw), 0.75))  # passengers bear one warning in four flights
    return {"scaler": scaler, "model": model, "calibrator": calibrator, "threshold": threshold}


def delay_served(delay_features):  # what the online store hands to the server
    return delay_features.select("flight_id", "time", "carrier", "origin", "dest", *COLUMNS)


def score(parts, served):
    p = parts["model"].predict_proba(parts["scaler"].transform(matrix(served)))[:, 1]
    if parts.get("calibrator") is not None:
        p = parts["calibrator"].predict(p)
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})


def seat_minutes(rows):
    """Seat-minutes of delay that nobody was told of; where seats or minutes are unknown, what is usual."""
    missed = rows["late"] * (1 - rows["decision"])
    return missed * rows["seats"].fill_null(150) * rows["delay_minutes"].fill_null(60)


project.model(
    "delay",
    features="delay_features", labels="delay_labels", entity="flight_id", outcome="late", columns=COLUMNS,
    train=train, score=score, serve=delay_served, cost=seat_minutes, unit="seat-minutes",
    carry=["time", "carrier", "origin", "dest"],
)  # fmt: skip
