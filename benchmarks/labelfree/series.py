"""Real series of scored windows whose labels came later: what estimates without labels are measured on.

Each series is one model, trained by LightGBM on its early windows and never again, and the windows it scored after. A
window knows when it was scored and when its labels were all there; nothing may use labels before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
from real_tables import DATA

SEED = 7
CATEGORIES = 30  # most frequent values of a text feature that are told apart


@dataclass(frozen=True)
class Scored:
    """One scored window.

    Attributes:
        key: Its name.
        at: When it was scored, in windows of the series.
        known: When the last of its labels had come, likewise.
        features: What the model was given.
        outcome: What became of it.
        prediction: Probability of 1, or the predicted number.
    """

    key: str
    at: float
    known: float
    features: pl.DataFrame
    outcome: np.ndarray
    prediction: np.ndarray


@dataclass(frozen=True)
class Series:
    """One model and the windows that it scored after its training."""

    name: str
    task: Literal["binary", "regression"]
    half: Literal["tune", "report"]
    trained: str
    windows: list[Scored]


Cut = list[tuple[str, float, float, pl.DataFrame]]  # key, scored at, known at, features with `_y`


def trained(name: str, task: Literal["binary", "regression"], half: Literal["tune", "report"], cut: Cut, n: int,
             trained: str, train: pl.DataFrame | None = None) -> Series:  # fmt: skip
    """Train on the first n windows of a cut (or on a frame) and score the others."""
    import lightgbm

    early = pl.concat([frame for *_, frame in cut[:n]]) if train is None else train
    columns = [column for column in early.columns if column != "_y"]
    known = {
        column: early[column].drop_nulls().value_counts(sort=True)[column].head(CATEGORIES).to_list()
        for column in columns
        if early[column].dtype == pl.String
    }

    def matrix(frame: pl.DataFrame) -> np.ndarray:
        coded = [
            pl.col(column).replace_strict(known[column], list(range(len(known[column]))), default=None,
                                          return_dtype=pl.Float64)
            if column in known else pl.col(column).cast(pl.Float64)
            for column in columns
        ]  # fmt: skip
        return frame.select(coded).to_numpy()

    kind = lightgbm.LGBMClassifier if task == "binary" else lightgbm.LGBMRegressor
    model = kind(n_estimators=150, num_leaves=31, learning_rate=0.05, min_child_samples=50, subsample=0.8,
                 subsample_freq=1, n_jobs=1, random_state=SEED, verbose=-1,
                 **({} if task == "binary" else {"objective": "regression"}))  # fmt: skip
    model.fit(matrix(early), early["_y"].cast(pl.Float64).to_numpy())
    windows = []
    for key, at, due, frame in cut[n if train is None else 0 :]:
        given = matrix(frame)
        found = model.predict_proba(given)[:, 1] if task == "binary" else model.predict(given)
        outcome = frame["_y"].cast(pl.Float64).to_numpy()
        windows.append(Scored(key, at, due, frame.select(columns), outcome, np.asarray(found, dtype=np.float64)))
    return Series(name, task, half, trained, windows)


def _months(frame: pl.DataFrame, column: str, first: date, last: date, delay: float) -> Cut:
    """Cut a frame into months; labels of a month are there ``delay`` months after its end."""
    keyed = frame.with_columns(pl.col(column).dt.strftime("%Y-%m").alias("_m")).drop(column)
    keys = [f"{year}-{month:02}" for year in range(first.year, last.year + 1) for month in range(1, 13)]
    keys = [key for key in keys if f"{first:%Y-%m}" <= key <= f"{last:%Y-%m}"]
    parts = {str(key[0]): part.drop("_m") for key, part in keyed.group_by("_m", maintain_order=True)}
    return [(key, float(at), at + delay, parts[key]) for at, key in enumerate(keys) if key in parts]


# --- taxi -------------------------------------------------------------------------------------------------------------
def _trips() -> pl.DataFrame:
    frame = pl.read_parquet(DATA / "nyc_taxi/trips.parquet").filter(
        pl.col("pickup_datetime").is_between(datetime(2018, 1, 1), datetime(2021, 1, 1), closed="left")
    )
    minutes = (pl.col("dropoff_datetime") - pl.col("pickup_datetime")).dt.total_seconds() / 60
    return frame.with_columns(
        minutes=minutes,
        hour=pl.col("pickup_datetime").dt.hour(),
        weekday=pl.col("pickup_datetime").dt.weekday(),
        day=pl.col("pickup_datetime"),
    ).filter(minutes.is_between(1, 120) & pl.col("trip_distance").is_between(0.1, 50)
             & pl.col("fare_amount").is_between(2.5, 200))  # fmt: skip


_RIDE = ["day", "hour", "weekday", "passenger_count", "trip_distance", "pickup_location_id", "dropoff_location_id",
         "vendor_id"]  # fmt: skip
_TAXI = (date(2018, 1, 1), date(2020, 12, 1))


def _taxi(name: str, task: Literal["binary", "regression"], target: pl.Expr, kept: pl.Expr, extra: list[str]) -> Series:
    frame = _trips().filter(kept).with_columns(_y=target).select(*_RIDE, *extra, "_y").drop_nulls("_y")
    return trained(name, task, "report", _months(frame, "day", *_TAXI, delay=1.0), 6, "2018-01..2018-06")


def taxi_tip() -> Series:
    """Will a card trip tip a fifth of the fare or more?"""
    share = pl.col("tip_amount") / pl.col("fare_amount")
    return _taxi("taxi_tip", "binary", share >= 0.2, pl.col("payment_type") == 1, ["fare_amount"])


def taxi_card() -> Series:
    """Is a trip paid by card?"""
    return _taxi("taxi_card", "binary", pl.col("payment_type") == 1, pl.col("payment_type").is_in([1, 2]), [])


def taxi_minutes() -> Series:
    """How many minutes does a trip take?"""
    return _taxi("taxi_minutes", "regression", pl.col("minutes"), pl.lit(True), [])


def taxi_total() -> Series:
    """What does a trip cost in all? The surcharge of 2019-02 is in the total."""
    kept = pl.col("total_amount").is_between(2.5, 250)
    return _taxi("taxi_total", "regression", pl.col("total_amount"), kept, [])


# --- hotel ------------------------------------------------------------------------------------------------------------
_LEAKS = ["reservation_status", "reservation_status_date", "assigned_room_type", "booking_changes",
          "days_in_waiting_list"]  # fmt: skip


def _bookings() -> pl.DataFrame:
    frame = pl.read_parquet(DATA / "hotel_bookings/hotel_bookings.parquet").with_columns(
        arrival=pl.concat_str(
            "arrival_date_year", "arrival_date_month", "arrival_date_day_of_month", separator=" "
        ).str.to_date("%Y %B %d")
    )
    return frame.with_columns(
        booked=pl.col("arrival") - pl.duration(days="lead_time"), month=pl.col("arrival").dt.month(),
        agent=pl.col("agent").cast(pl.String), company=pl.col("company").is_not_null().cast(pl.Float64),
    ).drop(*_LEAKS, "arrival_date_year", "arrival_date_month", "arrival_date_week_number",
           "arrival_date_day_of_month")  # fmt: skip


def hotel_cancel() -> Series:
    """Will a booking be cancelled? By month of booking; 95 % of labels are there ten months later."""
    frame = _bookings().with_columns(_y="is_canceled").drop("is_canceled", "arrival")
    cut = _months(frame, "booked", date(2015, 7, 1), date(2017, 3, 1), delay=10.0)
    return trained("hotel_cancel", "binary", "tune", cut, 4, "2015-07..2015-10")


def hotel_arrivals() -> Series:
    """Was a booking cancelled? By month of arrival, listed when the month begins, settled when it ends."""
    frame = _bookings().with_columns(_y="is_canceled").drop("is_canceled", "booked", "month")
    cut = _months(frame, "arrival", date(2015, 7, 1), date(2017, 8, 1), delay=1.0)
    return trained("hotel_arrivals", "binary", "tune", cut, 6, "2015-07..2015-12")


def hotel_rate() -> Series:
    """What is the daily rate of a booking?"""
    frame = _bookings().filter(pl.col("adr").is_between(1, 400)).with_columns(_y="adr")
    frame = frame.drop("adr", "booked", "is_canceled")
    cut = _months(frame, "arrival", date(2015, 7, 1), date(2017, 8, 1), delay=1.0)
    return trained("hotel_rate", "regression", "tune", cut, 6, "2015-07..2015-12")


# --- flights ----------------------------------------------------------------------------------------------------------
_WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]


def flights(year: int) -> pl.DataFrame:
    """Flights of a year with their hour's weather, joined by local calendar columns: the zone of 2023 is wrong."""
    frame = pl.read_parquet(DATA / f"nycflights/flights_{year}.parquet").filter(pl.col("tailnum").is_not_null())
    weather = pl.read_parquet(DATA / f"nycflights/weather_{year}.parquet")
    weather = weather.unique(["origin", "month", "day", "hour"], keep="first").select(
        "origin", "month", "day", "hour", *_WEATHER
    )
    joined = frame.join(weather, on=["origin", "month", "day", "hour"], how="left", maintain_order="left")
    return joined.with_columns(
        date=pl.date("year", "month", "day"), minute_of_day=pl.col("hour") * 60 + pl.col("minute"),
        weekday=pl.date("year", "month", "day").dt.weekday(),
    ).with_columns(load=pl.len().over("date", "origin", "hour"))  # fmt: skip


FLIGHT = ["date", "minute_of_day", "weekday", "carrier", "origin", "dest", "distance", "load", *_WEATHER]


def _weeks(frame: pl.DataFrame, year: int, delay: float) -> Cut:
    week = (pl.col("date").dt.ordinal_day() - 1) // 7
    keyed = frame.with_columns(week.alias("_w"))
    parts = {int(key[0]): part for key, part in keyed.group_by("_w", maintain_order=True)}  # type: ignore[call-overload]
    return [
        (f"{date(year, 1, 1) + timedelta(days=7 * at)}", float(at), at + delay, parts[at].drop("_w", "date"))
        for at in sorted(parts)
        if at < 52
    ]


def _air(name: str, task: Literal["binary", "regression"], half: Literal["tune", "report"], year: int) -> Series:
    frame = flights(year)
    if task == "binary":
        frame = frame.with_columns(_y=((pl.col("arr_delay") > 15) | pl.col("arr_delay").is_null()))
    else:
        frame = frame.with_columns(_y=pl.col("arr_delay").clip(-60, 240)).drop_nulls("_y")
    cut = _weeks(frame.select(*FLIGHT, "_y"), year, delay=1.0)
    return trained(name, task, half, cut, 22, f"{year}, weeks 1-22")


def flights_ahead() -> Series:
    """A model of 2013 on the months of 2023; labels of the second half of 2013 are all there ever is."""
    late = ((pl.col("arr_delay") > 15) | pl.col("arr_delay").is_null()).alias("_y")
    old, new = (flights(year).with_columns(late).select(*FLIGHT, "_y") for year in (2013, 2023))
    weeks = _weeks(old, 2013, 1.0)
    months = _months(new, "date", date(2023, 1, 1), date(2023, 12, 1), 0.0)
    cut = weeks + [(key, 60.0 + at, float("inf"), frame) for key, at, _, frame in months]
    return trained("flights_2013_on_2023", "binary", "report", cut, 22, "2013, weeks 1-22")


# --- learning ---------------------------------------------------------------------------------------------------------
_DAY = 60


def _students() -> pl.DataFrame:
    student = pl.read_parquet(DATA / "oulad/student.parquet")
    marks = pl.read_parquet(DATA / "oulad/student_assessment.parquet").filter(pl.col("date_submitted") <= _DAY)
    courses = pl.read_parquet(DATA / "oulad/assessment.parquet").select("id_assessment", "code_module",
                                                                        "code_presentation")  # fmt: skip
    key = ["code_module", "code_presentation", "id_student"]
    told = marks.join(courses, on="id_assessment").group_by(key).agg(
        handed_in=pl.len(), mark=pl.col("score").mean(), worst=pl.col("score").min(),
        last_day=pl.col("date_submitted").max(),
    )  # fmt: skip
    enrolled = pl.read_parquet(DATA / "oulad/student_registration.parquet")
    frame = student.join(told, on=key, how="left").join(enrolled, on=key, how="left")
    gone = pl.col("date_unregistration").fill_null(999) <= _DAY
    return frame.filter(~gone).with_columns(
        handed_in=pl.col("handed_in").fill_null(0), disability=pl.col("disability").cast(pl.Float64),
        _y=pl.col("final_result").is_in(["Fail", "Withdrawn"]),
    ).drop("id_student", "final_result", "date_unregistration")  # fmt: skip


_TERMS = {"2013B": (0.0, 1.0), "2013J": (1.0, 2.0), "2014B": (1.5, 2.4), "2014J": (2.5, 3.5)}


def _learning(name: str, by: str) -> Series:
    frame = _students()
    early = frame.filter(pl.col("code_presentation") == "2013B").drop("code_presentation")
    cut: Cut = []
    for term in ("2013J", "2014B", "2014J"):
        part = frame.filter(pl.col("code_presentation") == term).drop("code_presentation")
        for key, group in sorted(part.group_by(by), key=lambda item: str(item[0][0])):
            if group.height >= 100:
                cut.append((f"{term} {key[0]}", *_TERMS[term], group))
    return trained(name, "binary", "report", cut, 0, "2013B", early)


def oulad_module() -> Series:
    """Will a student fail or leave? By course; CCC first appears in 2014."""
    return _learning("oulad_module", "code_module")


def oulad_region() -> Series:
    """Will a student fail or leave? By region."""
    return _learning("oulad_region", "region")


# --- retail -----------------------------------------------------------------------------------------------------------
def _customers() -> pl.DataFrame:
    """Customers at the first of each month, and what they buy in the 30 days after it."""
    lines = pl.read_parquet(DATA / "online_retail_ii/online_retail_ii.parquet").unique(maintain_order=True)
    lines = lines.filter(pl.col("Customer ID").is_not_null() & (pl.col("Quantity") > 0) & (pl.col("Price") > 0))
    orders = lines.group_by("Customer ID", "Invoice").agg(
        time=pl.col("InvoiceDate").min(), money=(pl.col("Quantity") * pl.col("Price")).sum(), lines=pl.len(),
        country=pl.col("Country").first(),
    )  # fmt: skip
    found = []
    for year, month in [(2010, month) for month in range(3, 13)] + [(2011, month) for month in range(1, 12)]:
        start = datetime(year, month, 1)
        past = orders.filter(pl.col("time") < start)
        age = (pl.lit(start) - pl.col("time")).dt.total_days()
        told = past.group_by("Customer ID").agg(
            recency=age.min(), tenure=age.max(), orders=pl.len(), money=pl.col("money").sum(),
            mean_money=pl.col("money").mean(), lines=pl.col("lines").mean(), country=pl.col("country").last(),
            orders_90=(age <= 90).sum(), money_90=pl.col("money").filter(age <= 90).sum(),
        ).filter(pl.col("recency") <= 180)  # fmt: skip
        ahead = orders.filter((pl.col("time") >= start) & (pl.col("time") < start + timedelta(days=30)))
        bought = ahead.group_by("Customer ID").agg(spent=pl.col("money").sum())
        found.append(told.join(bought, on="Customer ID", how="left").with_columns(
            spent=pl.col("spent").fill_null(0.0), day=pl.lit(start), calendar_month=pl.lit(month)))  # fmt: skip
    return pl.concat(found).sort("day", "Customer ID").drop("Customer ID", "calendar_month")


def retail_buys() -> Series:
    """Does a customer buy within 30 days?"""
    frame = _customers().with_columns(_y=pl.col("spent") > 0).drop("spent")
    cut = _months(frame, "day", date(2010, 3, 1), date(2011, 11, 1), delay=2.0)
    return trained("retail_buys", "binary", "tune", cut, 4, "2010-03..2010-06")


def retail_spend() -> Series:
    """How much does a customer spend within 30 days? Pounds, cut at 2,000."""
    frame = _customers().with_columns(_y=pl.col("spent").clip(0, 2000)).drop("spent")
    cut = _months(frame, "day", date(2010, 3, 1), date(2011, 11, 1), delay=2.0)
    return trained("retail_spend", "regression", "tune", cut, 4, "2010-03..2010-06")


SERIES: dict[str, Callable[[], Series]] = {
    "flights_2013_late": lambda: _air("flights_2013_late", "binary", "tune", 2013),
    "flights_2013_delay": lambda: _air("flights_2013_delay", "regression", "tune", 2013),
    "hotel_cancel": hotel_cancel,
    "hotel_arrivals": hotel_arrivals,
    "hotel_rate": hotel_rate,
    "retail_buys": retail_buys,
    "retail_spend": retail_spend,
    "taxi_tip": taxi_tip,
    "taxi_card": taxi_card,
    "taxi_minutes": taxi_minutes,
    "taxi_total": taxi_total,
    "oulad_module": oulad_module,
    "oulad_region": oulad_region,
    "flights_2023_late": lambda: _air("flights_2023_late", "binary", "report", 2023),
    "flights_2023_delay": lambda: _air("flights_2023_delay", "regression", "report", 2023),
    "flights_2013_on_2023": flights_ahead,
}


def load(half: Iterable[str]) -> list[Series]:
    """Build the series of some halves, in order."""
    wanted = set(half)
    made = (make() for make in SERIES.values())
    return [series for series in made if series.half in wanted]
