"""Will a booking be cancelled within a month? A booking office in Portugal, scored booking by booking, in euros.

Six feeds (see `hotel_tables`), 21 assets. A window is a day of bookings (about 105 of them, 45 on a quiet Sunday). The
outcome is whether a booking was cancelled, or its guest did not show up, within `HORIZON` days of being made: the true
date of every cancellation decides, and after `HORIZON` days every label of a day is known. The eventual outcome is no
label to monitor by: 95 % of a day's are known after 262 days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from headwater.core.project import Project
from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Entry
from headwater.testing.silent_failures.pipelines.hotel_faults import DECOYS, FAULTS, WORLDS
from headwater.testing.silent_failures.pipelines.hotel_tables import CALENDAR, HORIZON, feeds
from headwater.testing.silent_failures.pipelines.landing import summed

HOTELS = ("city", "resort")
ROOMS = ("A", "B", "C", "D", "E", "F", "G", "H", "L", "P")
MEALS = ("bb", "hb", "fb", "sc")
DEPOSITS = ("no_deposit", "non_refund", "refundable")
CUSTOMERS = ("transient", "transient_party", "contract", "group")
SEGMENTS = (
    "online_ta", "offline_ta_to", "groups", "direct", "corporate", "complementary", "aviation", "undefined",
)  # fmt: skip
CHANNELS = ("ta_to", "direct", "corporate", "gds", "undefined")
COUNTRIES = ("PRT", "GBR", "FRA", "ESP", "DEU", "ITA", "IRL", "BEL", "BRA", "NLD", "USA", "CHE")
STAY = (
    "lead_days", "weekend_nights", "nights", "adults", "children", "parking_spaces", "special_requests",
    "arrival_month", "weekday",
)  # fmt: skip
CODES = (
    "hotel_code", "room_code", "meal_code", "deposit_code", "customer_code", "segment_code", "channel_code",
    "kind_code", "country_code",
)  # fmt: skip
NUMBERS = ("adr", "revenue", "repeated", "previous_cancellations", "previous_stays", "party_share", "usual_lead")
HISTORY = ("agent_cancel_rate", "agent_bookings", "pickup")
COLUMNS = (*STAY, *CODES, *NUMBERS, *HISTORY)
CARRY = ("booked_on", "hotel", "segment", "country")
AGENT_DAYS, PICKUP_DAYS = 28, 14
WALK_NIGHTS = 1.0
"""What it costs to walk a guest whose room was sold again, in nights of the booking's rate."""
CALIBRATED_DAYS = 45


def plain(column: str) -> pl.Expr:
    """Write an enumeration in lower case with underscores."""
    return pl.col(column).str.strip_chars().str.to_lowercase().str.replace_all(r"[^a-z0-9]+", "_")


# --- staged: typed, cleaned, one row per key --------------------------------------------------------------------------
def bookings(raw_bookings: pl.DataFrame) -> pl.DataFrame:
    """Typed bookings; those for nobody (no adult, child or baby) are test entries of the office."""
    arrival = pl.col("arrival").str.to_date("%Y-%m-%d")
    typed = raw_bookings.with_columns(
        arrival=arrival,
        hotel=plain("hotel").str.replace("_hotel", ""),
        deposit=plain("deposit"),
        customer_type=plain("customer_type"),
        children=pl.col("children").fill_null(0).cast(pl.Int64) + pl.col("babies"),
        lead_days=(arrival - pl.col("booked_on")).dt.total_days(),
        nights=pl.col("weekend_nights") + pl.col("week_nights"),
    )
    somebody = typed.filter(pl.col("adults") + pl.col("children") > 0).drop("babies", "week_nights")
    return somebody.unique("booking_id", keep="first", maintain_order=True).sort("booking_id")


def guests(raw_guests: pl.DataFrame) -> pl.DataFrame:
    """Guests with a country that is a code or unknown."""
    country = pl.col("country").str.strip_chars().str.to_uppercase()
    known = pl.when(country.str.len_chars().is_between(2, 3)).then(country)
    return raw_guests.with_columns(country=known).unique("guest_id", keep="first").sort("guest_id")


def rates(raw_rates: pl.DataFrame) -> pl.DataFrame:
    """Rates per night in euros; what is below nothing or above a thousand is an entry error and unknown."""
    sane = (pl.col("currency") == "EUR") & pl.col("adr").is_between(0, 1000)
    meal = plain("meal").replace({"undefined": "sc"})  # the article: both mean that no meal is booked
    made = raw_rates.select("booking_id", "booked_on", adr=pl.when(sane).then("adr"), meal=meal)
    return made.sort("booking_id")


def channels(raw_channels: pl.DataFrame) -> pl.DataFrame:
    """Through whom a booking came; without an agent or a company the text NULL becomes a null."""
    known = [pl.when(pl.col(name) != "NULL").then(pl.col(name).str.strip_chars()).alias(name) for name in ("agent",)]
    typed = raw_channels.with_columns(*known, segment=plain("segment"), channel=plain("channel"))
    return (
        typed.with_columns(by_company=(pl.col("company") != "NULL").cast(pl.Int64)).drop("company").sort("booking_id")
    )


def agents(raw_agents: pl.DataFrame) -> pl.DataFrame:
    """The directory of agents, one row each."""
    typed = raw_agents.select(pl.col("agent").str.strip_chars(), "party_share", "usual_lead", kind=plain("kind"))
    return typed.unique("agent", keep="first").sort("agent")


# --- modeled: every join keeps every booking --------------------------------------------------------------------------
def stays(bookings: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Bookings with what they are worth; a day room is charged like a night."""
    priced = bookings.join(rates.drop("booked_on"), on="booking_id", how="left")
    revenue = pl.col("adr") * pl.max_horizontal("nights", pl.lit(1))
    return priced.with_columns(revenue=revenue.round(2)).sort("booking_id")


def sales(channels: pl.DataFrame, agents: pl.DataFrame) -> pl.DataFrame:
    """Channels with what the directory says of the agent; a booking without an agent has no kind."""
    return channels.join(agents, on="agent", how="left").sort("booking_id")


def reservations(stays: pl.DataFrame, guests: pl.DataFrame, sales: pl.DataFrame) -> pl.DataFrame:
    """Everything that is known of a booking when it is made."""
    who = stays.join(guests.drop("booked_on"), on="guest_id", how="left")
    return who.join(sales.drop("booked_on"), on="booking_id", how="left").sort("booking_id")


def outcomes(bookings: pl.DataFrame, sales: pl.DataFrame, raw_outcomes: pl.DataFrame) -> pl.DataFrame:
    """What became of each booking within `HORIZON` days: a guest who did not show up counts as cancelled."""
    reported = raw_outcomes.with_columns(status=plain("status")).select("booking_id", "status", "status_on")
    known = bookings.select("booking_id", "booked_on", "hotel", "nights").join(reported, on="booking_id", how="left")
    named = known.join(sales.select("booking_id", "agent"), on="booking_id", how="left")
    gone = pl.col("status").is_in(["canceled", "no_show"]).cast(pl.Int64)
    waited = (pl.col("status_on") - pl.col("booked_on")).dt.total_days()
    return named.with_columns(cancelled=gone, days_to_status=waited).drop("status_on").sort("booking_id")


def agent_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Share of each agent's bookings that were cancelled, over `AGENT_DAYS` days; bookings without agent are one."""
    named = outcomes.with_columns(pl.col("agent").fill_null("none"), day="booked_on")
    daily = named.drop_nulls("cancelled").group_by("day", "agent")
    counts = summed(
        daily.agg(booked=pl.len().cast(pl.Int64), gone=pl.col("cancelled").sum()), ("agent",), AGENT_DAYS, window
    )
    known_on = pl.col("day") + pl.duration(days=HORIZON + 1)
    rate = (pl.col("gone") + 2) / (pl.col("booked") + 10)  # a fifth of all bookings, as if of ten more
    return (
        counts.with_columns(known_on=known_on, agent_cancel_rate=rate).rename({"booked": "agent_bookings"}).drop("gone")
    )


def pickup(bookings: pl.DataFrame, window: Window) -> pl.DataFrame:
    """How many bookings a hotel took for a day of arrival over `PICKUP_DAYS` days; known the day after."""
    daily = bookings.rename({"booked_on": "day"}).group_by("day", "hotel", "arrival")
    counts = summed(daily.agg(pickup=pl.len().cast(pl.Int64)), ("hotel", "arrival"), PICKUP_DAYS, window)
    return counts.with_columns(known_on=pl.col("day") + pl.duration(days=1))


# --- features and labels ----------------------------------------------------------------------------------------------
def code(column: str, known: tuple[str, ...]) -> pl.Expr:
    """Number the values of an enumeration by their place in what is known; -1 for all others."""
    return pl.col(column).replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64)


def cancel_features(reservations: pl.DataFrame, agent_history: pl.DataFrame, pickup: pl.DataFrame) -> pl.DataFrame:
    """One row per booking, with what was known the moment it was made."""
    named = reservations.with_columns(pl.col("agent").fill_null("none"))
    known = named.join(
        agent_history.drop("day"), left_on=["agent", "booked_on"], right_on=["agent", "known_on"], how="left"
    )
    on, at = ["hotel", "arrival", "booked_on"], ["hotel", "arrival", "known_on"]
    joined = known.join(pickup.drop("day"), left_on=on, right_on=at, how="left")
    made = joined.with_columns(
        pl.col("pickup").fill_null(0),
        pl.col("agent_bookings").fill_null(0),
        arrival_month=pl.col("arrival").dt.month().cast(pl.Int64),
        weekday=pl.col("booked_on").dt.weekday().cast(pl.Int64),
        hotel_code=code("hotel", HOTELS),
        room_code=code("room_type", ROOMS),
        meal_code=code("meal", MEALS),
        deposit_code=code("deposit", DEPOSITS),
        customer_code=code("customer_type", CUSTOMERS),
        segment_code=code("segment", SEGMENTS),
        channel_code=code("channel", CHANNELS),
        kind_code=code("kind", SEGMENTS),
        country_code=code("country", COUNTRIES),
    )
    return made.select("booking_id", *CARRY, *COLUMNS).sort("booking_id")


def cancel_labels(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The outcomes that are known."""
    known = outcomes.drop_nulls("cancelled")
    return known.select("booking_id", "booked_on", "cancelled", "days_to_status").sort("booking_id")


# --- the model: four parts that can fail one by one -------------------------------------------------------------------
def matrix(frame: pl.DataFrame) -> Any:
    """Features as the model wants them, in its order."""
    return frame.select(pl.col(name).cast(pl.Float64) for name in COLUMNS).to_numpy()


def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Fit scaler and boosted trees, then calibrator and threshold on the newest `CALIBRATED_DAYS` days."""
    from lightgbm import LGBMClassifier
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import StandardScaler

    frame = frame.sort("booked_on", "booking_id")
    newest = pl.col("booked_on") > pl.col("booked_on").max() - pl.duration(days=CALIBRATED_DAYS)
    past, recent = frame.filter(~newest), frame.filter(newest)
    scaler = StandardScaler().fit(matrix(past))
    trees: dict[str, Any] = {
        "n_estimators": 120,
        "learning_rate": 0.05,
        "num_leaves": 12,
        "min_child_samples": 150,
        "reg_lambda": 20,
    }
    sample: dict[str, Any] = {"random_state": seed, "subsample": 0.9, "subsample_freq": 1, "colsample_bytree": 0.8}
    model = LGBMClassifier(**trees, **sample, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)
    model.fit(scaler.transform(matrix(past)), past["cancelled"].to_numpy())
    raw = np.asarray(model.predict_proba(scaler.transform(matrix(recent))))[:, 1]
    calibrator = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip")
    calibrator.fit(raw, recent["cancelled"].to_numpy())
    threshold = float(np.quantile(calibrator.predict(raw), 0.8))
    return {"scaler": scaler, "model": model, "calibrator": calibrator, "threshold": threshold}


def cancel_served(cancel_features: pl.DataFrame) -> pl.DataFrame:
    """What the online store hands to the server."""
    return cancel_features.select("booking_id", *CARRY, *COLUMNS)


def score(parts: Mapping[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    """Probability that a booking is cancelled within a month, and whether its room is offered again."""
    if not served.height:
        return pl.DataFrame(schema={"p": pl.Float64, "decision": pl.Int64})
    p = parts["model"].predict_proba(parts["scaler"].transform(matrix(served)))[:, 1]
    if parts.get("calibrator") is not None:
        p = parts["calibrator"].predict(p)
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})


def lost_euros(rows: pl.DataFrame) -> pl.Series:
    """Revenue of cancelled bookings whose room was not offered again, and what walking a guest costs otherwise."""
    adr, revenue = rows["adr"].fill_null(95.0), rows["revenue"].fill_null(300.0)
    walked = WALK_NIGHTS * adr * rows["decision"] * (1 - rows["cancelled"])
    return revenue * rows["cancelled"] * (1 - rows["decision"]) + walked


def build(data: str | None = None) -> Project:
    """Put the project together.

    Args:
        data: Where the folder ``hotel_bookings`` is; None: see `landing.data_folder`.

    Raises:
        OutsideError: The data is not there.
    """
    project, sources = Project("hotel", every=CALENDAR.every, timezone=CALENDAR.timezone), feeds(data)
    day, booking = "booked_on", ["booking_id"]
    for name, key in (("raw_bookings", "booking_id"), ("raw_guests", "guest_id"), ("raw_rates", "booking_id"),
                      ("raw_channels", "booking_id")):  # fmt: skip
        project.source(sources[name], name=name, key=[key], time=day)
    project.source(sources["raw_agents"], name="raw_agents", key=["agent"], snapshot=True)
    project.source(sources["raw_outcomes"], name="raw_outcomes", key=booking, time=day, lag=HORIZON)
    project.dataset(bookings, layer="staged", key=booking, time=day)
    project.dataset(guests, layer="staged", key=["guest_id"], time=day)
    project.dataset(rates, layer="staged", key=booking, time=day)
    project.dataset(channels, layer="staged", key=booking, time=day)
    project.dataset(agents, layer="staged", key=["agent"], snapshot=True)
    project.dataset(stays, key=booking, time=day)
    project.dataset(sales, key=booking, time=day)
    project.dataset(reservations, key=booking, time=day)
    project.dataset(outcomes, key=booking, time=day, lag=HORIZON)
    back = {"outcomes": AGENT_DAYS - 1}
    project.dataset(agent_history, key=["agent", "day"], time="day", lag=HORIZON, lookback=back, side="ml")
    back = {"bookings": PICKUP_DAYS - 1}
    project.dataset(pickup, key=["hotel", "arrival", "day"], time="day", lookback=back, side="ml")
    project.features(cancel_features, key=booking, time=day, lookback={"agent_history": HORIZON + 8, "pickup": 8})
    project.labels(cancel_labels, key=booking, time=day, lag=HORIZON)
    project.model(
        "cancel", features="cancel_features", labels="cancel_labels", entity="booking_id", outcome="cancelled",
        columns=COLUMNS, train=train, score=score, serve=cancel_served, cost=lost_euros, unit="euro", carry=CARRY,
    )  # fmt: skip
    return project


ENTRY = Entry(
    name="hotel",
    build=build,
    history=("2015-09-01", "2016-07-31"),
    live=("2016-08-01", "2017-03-20"),
    onsets=("2016-10-11", "2016-11-08", "2016-12-14", "2017-01-11", "2017-02-14", "2017-03-07"),
    faults=FAULTS,
    decoys=DECOYS,
    worlds=WORLDS,
    storms=("2016-10-14", "2016-11-25", "2016-12-07", "2016-12-24", "2016-12-31", "2017-01-24", "2017-02-02"),
    describe="bookings of two Portuguese hotels, cancelled within a month or not, 2016-08 to 2017-03",
)
