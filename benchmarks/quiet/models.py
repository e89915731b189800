"""What models are asked about, day by day, and what became of it: real cases for the monitors of models.

Each is trained on its early days and never again. A day is left out for one reason alone: SOURCE.md documents a fault
in what this model reads or is judged by. Days of less than 20 cases are left out as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl
from labelfree import series as feeds

FEWEST = 20
"""Cases a day must have."""
_VENDOR = "2018-07-03"  # on which vendor_id 4 appears
_SURCHARGE, _NULLS = date(2019, 1, 21), date(2019, 7, 1)
_SETTLED = date(2016, 9, 1)
"""Bookings made later may arrive after the data end, so that only short lead times are left of them."""


@dataclass(frozen=True)
class Days:
    """The days of one model.

    Attributes:
        name: What is predicted, of which feed.
        feed: Models of one feed see the same days, and are no independent evidence.
        task: What kind of outcome.
        frames: Day and its cases in order, features and the outcome ``_y``.
        trained: How many of the first days the model is trained on; they are history and are not judged.
    """

    name: str
    feed: str
    task: Literal["binary", "regression"]
    frames: list[tuple[str, pl.DataFrame]]
    trained: int

    @property
    def columns(self) -> list[str]:
        """The features."""
        return [name for name in self.frames[0][1].columns if name != "_y"]

    def cluster(self, key: str) -> str:
        """Return the group of windows that a day belongs to: feed and month."""
        return f"{self.feed} {key[:7]}"


def _daily(
    name: str, feed: str, task: Literal["binary", "regression"], frame: pl.DataFrame, day: str, trained: int,
    without: Sequence[str] = (),
) -> Days:  # fmt: skip
    parts = {str(key[0]): part.drop(day) for key, part in frame.drop_nulls(day).group_by(day, maintain_order=True)}
    kept = [(key, parts[key]) for key in sorted(parts) if parts[key].height >= FEWEST and key not in without]
    return Days(name, feed, task, kept, trained)


def _flights(name: str, task: Literal["binary", "regression"], year: int) -> Days:
    frame = feeds.flights(year)
    if task == "binary":
        frame = frame.with_columns(_y=(pl.col("arr_delay") > 15) | pl.col("arr_delay").is_null())
    else:
        frame = frame.with_columns(_y=pl.col("arr_delay").clip(-60, 240)).drop_nulls("_y")
    return _daily(f"{name} {year}", f"flights {year}", task, frame.select(*feeds.FLIGHT, "_y"), "date", 150)


def _taxi(
    name: str, task: Literal["binary", "regression"], target: pl.Expr, kept: pl.Expr, end: date, extra: Sequence[str]
) -> Days:
    frame = feeds._trips().filter(kept).with_columns(_y=target, date=pl.col("day").dt.date())
    columns = [column for column in feeds._RIDE if column != "day"]
    frame = frame.filter(pl.col("date") < end).select("date", *columns, *extra, "_y").drop_nulls("_y")
    return _daily(name, "taxi", task, frame, "date", 180, [_VENDOR])


def _hotel(name: str, task: Literal["binary", "regression"]) -> Days:
    frame = feeds._bookings()
    if task == "binary":
        frame = frame.with_columns(_y="is_canceled")
    else:
        frame = frame.filter(pl.col("adr").is_between(1, 400)).with_columns(_y="adr").drop("adr")
    return _daily(name, "hotel", task, frame.drop("is_canceled", "booked"), "arrival", 240)


def _booked() -> Days:
    frame = feeds._bookings().with_columns(_y="is_canceled").drop("is_canceled", "arrival")
    frame = frame.filter(pl.col("booked").is_between(date(2015, 7, 1), _SETTLED, closed="left"))
    return _daily("cancellation, by day of booking", "hotel, booked", "binary", frame, "booked", 150)


_TIPPED = pl.col("tip_amount") / pl.col("fare_amount") >= 0.2
_CARD = pl.col("payment_type") == 1
MODELS: dict[str, Callable[[], Days]] = {
    "late2013": lambda: _flights("late", "binary", 2013),
    "late2023": lambda: _flights("late", "binary", 2023),
    "delay2013": lambda: _flights("delay", "regression", 2013),
    "delay2023": lambda: _flights("delay", "regression", 2023),
    "tip": lambda: _taxi("tip", "binary", _TIPPED, _CARD, _SURCHARGE, ["fare_amount"]),
    "card": lambda: _taxi("card", "binary", _CARD, pl.col("payment_type").is_in([1, 2]), _NULLS, []),
    "minutes": lambda: _taxi("minutes", "regression", pl.col("minutes"), pl.lit(True), _NULLS, []),
    "arrivals": lambda: _hotel("cancellation, by day of arrival", "binary"),
    "rate": lambda: _hotel("daily rate", "regression"),
    "cancel": _booked,
}
ASKED = ("late2013", "late2023", "tip", "card", "arrivals", "cancel")
"""Models whose cases differ: a second model of the same cases has the same inputs."""
