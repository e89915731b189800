"""Real series for the A/A replay: tables cut in windows, which of them are clean, and the same days with more rows.

A window is left out for one reason alone: the data's own SOURCE.md documents a fault in it. Storms, holidays and peaks
stay in, because a monitor meets them as well; nothing is left out because something alarms there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl
from real_tables import DATA, Frames, cut, flights, weather

from headwater.core.windows import Calendar, Window

LEFT_OUT = (
    *("year", "month", "day", "arrival_date_year", "arrival_date_month", "arrival_date_day_of_month"),
    *("arrival_date_week_number", "reservation_status_date", "source_month"),
    *("flight", "tailnum", "Invoice", "Description", "Customer ID"),
)
"""Columns that only name the day or the row. Rules on rows alarm on them in every window, so for fairness the peers
do not see them; ours does, because nobody tells it which columns these are."""
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
"""Rows of a window in the replay by size."""


class Weeks(Calendar):
    """Weeks that begin on Monday, named by it; for monitors they are days that last seven times as long.

    The product's calendar has days and hours only. Named by Mondays, weeks all fall into one slot of the baseline,
    which then works on them as it is.
    """

    def window(self, key: str) -> Window:
        """Return the week that begins on a day."""
        first = Calendar(self.every, self.timezone).window(key)
        after = Calendar(self.every, self.timezone).shift(first, 7)
        return Window(first.start, after.start, key)


@dataclass
class Series:
    """One table's clean windows in order.

    Attributes:
        name: Table and length of window.
        frames: Windows with their rows.
        calendar: What names the windows.
        start: Place of the first window that is judged; those before it are history, and the peers' reference.
        key: Columns that identify a row.
        time: Event-time column.
        part: ``fit`` or ``report``: constants of ours may be set on the first, and never on the second.
        excluded: Window left out, and the documented fault that it holds.
    """

    name: str
    frames: Frames
    calendar: Calendar
    start: int
    key: tuple[str, ...] = ()
    time: str | None = None
    part: str = "report"
    excluded: Mapping[str, str] = field(default_factory=dict)


def _days(first: str, last: str, reason: str) -> dict[str, str]:
    return {window.key: reason for window in Calendar().between(first, last)}


def _place(frames: Frames, key: str) -> int:
    return next(at for at, (window, _) in enumerate(frames) if window.key >= key)


def _daily(
    name: str,
    frames: Frames,
    zone: str,
    start: str,
    part: str,
    excluded: Mapping[str, str] | None = None,
    **more: object,
) -> Series:
    kept = [(window, frame) for window, frame in frames if window.key not in (excluded or {})]
    place = _place(kept, start)
    return Series(name, kept, Calendar("1d", zone), place, part=part, excluded=excluded or {}, **more)  # type: ignore[arg-type]


def _taxi() -> Series:
    """Trips up to the day on which congestion_surcharge stopped being null; later months hold one fault or another."""
    frame = pl.read_parquet(DATA / "nyc_taxi/trips.parquet").filter(
        (pl.col("pickup_datetime") >= datetime(2018, 1, 1)) & (pl.col("pickup_datetime") < datetime(2019, 1, 21))
    )
    dear = frame.filter(pl.col("fare_amount") > 400_000).get_column("pickup_datetime")[0]
    first = frame.filter(pl.col("vendor_id") == 4).get_column("pickup_datetime").min()
    assert isinstance(first, datetime)
    excluded = {
        f"{dear:%Y-%m-%d}": "a fare of $429,490.20",
        f"{first:%Y-%m-%d}": "vendor_id 4 appears",
    }
    frames = cut(frame, "pickup_datetime", "America/New_York", local=True)
    return _daily("taxi", frames, "America/New_York", "2018-05-01", "fit", excluded, time="pickup_datetime")


def _hotel() -> Series:
    frame = pl.read_parquet(DATA / "hotel_bookings/hotel_bookings.parquet").with_columns(
        arrival=pl.concat_str(
            "arrival_date_year", "arrival_date_month", "arrival_date_day_of_month", separator=" "
        ).str.to_datetime("%Y %B %d", time_unit="us", time_zone="UTC")
    )
    return _daily("hotel", cut(frame, "arrival", "UTC"), "UTC", "2016-07-01", "report", time="arrival")


def _retail() -> Series:
    frame = pl.read_parquet(DATA / "online_retail_ii/online_retail_ii.parquet")
    excluded = _days("2010-12-01", "2010-12-09", "loaded twice")
    frames = cut(frame, "InvoiceDate", "Europe/London", local=True)
    return _daily("retail", frames, "Europe/London", "2010-06-01", "report", excluded, time="InvoiceDate")


def _flights(year: int, part: str) -> Series:
    table = flights(year)
    return _daily(f"flights{year}", table.frames, table.zone, f"{year}-07-01", part, time="time_hour")


def _weather(year: int, part: str) -> Series:
    table = weather(year)
    more: dict[str, object] = {"time": "time_hour", "key": ("origin", "time_hour")}
    return _daily(f"weather{year}", table.frames, table.zone, f"{year}-07-01", part, **more)


DAILY = {
    "flights2013": lambda: _flights(2013, "fit"),
    "weather2013": lambda: _weather(2013, "fit"),
    "taxi": _taxi,
    "flights2023": lambda: _flights(2023, "report"),
    "weather2023": lambda: _weather(2023, "report"),
    "hotel": _hotel,
    "retail": _retail,
}
WEEKLY = ("flights2013", "taxi", "flights2023", "hotel", "retail")


def series(name: str) -> Series:
    """Return a series by its name: a table, or a table with ``/week``."""
    table, _, length = name.partition("/")
    found = DAILY[table]()
    return weekly(found) if length == "week" else found


def names() -> list[str]:
    """Return the names of all series."""
    return [*DAILY, *(f"{name}/week" for name in WEEKLY)]


def weekly(daily: Series) -> Series:
    """Put the days of a series together to whole weeks; a week that misses an excluded day is left out."""
    calendar = Weeks(daily.calendar.every, daily.calendar.timezone)
    groups: dict[str, list[pl.DataFrame]] = {}
    for window, frame in daily.frames:
        groups.setdefault(_monday(window.key), []).append(frame)
    hurt = {_monday(key): reason for key, reason in daily.excluded.items()}
    edges = {min(groups), max(groups)}
    frames = [
        (calendar.window(key), pl.concat(parts))
        for key, parts in groups.items()
        if key not in hurt and key not in edges
    ]
    start = _place(frames, daily.frames[daily.start][0].key)
    return Series(
        f"{daily.name}/week", frames, calendar, max(start, 16), daily.key, daily.time, daily.part, hurt
    )  # fmt: skip


def _monday(key: str) -> str:
    day = date.fromisoformat(key)
    return (day - timedelta(days=day.weekday())).isoformat()
