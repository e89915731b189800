"""The hotel bookings split into the tables that a booking office would receive, each dated as it would come.

The source is one wide file without ids (Antonio, Almeida, Nunes 2019, Data in Brief 22): 119,390 bookings of a city
hotel and a resort in Portugal. Here a booking, its guest, its rate and its sales channel are four feeds, agents are a
directory, and what became of a booking is a fifth feed that comes `HORIZON` days later.

What the file knows too late is left out: assigned room, booking changes, days on the waiting list. Status and its date
are in the outcomes alone. The file is a sample by arrival (2015-07 to 2017-08), so of bookings made late in it only
those with a short lead are there; bookings made more than `REACH` days ahead are left out, and every day up to
`LAST_DAY` is whole. Ids are surrogates: numbers shuffled within a day, so that they tell nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import polars as pl

from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.pipelines.landing import by_day, data_folder, landed

CALENDAR = Calendar("1d", "Europe/Lisbon")
HORIZON = 30
"""Days after booking at which the outcomes of a day's bookings are reported: what is open then counts as kept."""
REACH = 150
"""Bookings are made at most so many days before arrival."""
FIRST_DAY, LAST_DAY = "2015-07-01", "2017-03-31"
FILE = "hotel_bookings.parquet"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

Feed = Callable[[Window], pl.DataFrame]


@functools.lru_cache(maxsize=2)
def tables(folder: str) -> Mapping[str, Mapping[str, pl.DataFrame]]:
    """Return each feed's rows by the day of booking; the directory of agents is under ``raw_agents``, key empty."""
    rows = _numbered(pl.read_parquet(f"{folder}/{FILE}"))
    known = pl.col("reservation_status_date").dt.date()
    told = known <= pl.col("booked_on") + pl.duration(days=HORIZON)
    feeds = {
        "raw_bookings": rows.select(
            "booking_id", "booked_on", "guest_id", "hotel", pl.col("arrival").cast(pl.String),
            weekend_nights="stays_in_weekend_nights", week_nights="stays_in_week_nights", adults="adults",
            children="children", babies="babies", room_type="reserved_room_type", deposit="deposit_type",
            customer_type="customer_type", parking_spaces="required_car_parking_spaces",
            special_requests="total_of_special_requests",
        ),
        "raw_guests": rows.select(
            "guest_id", "booked_on", "country", repeated="is_repeated_guest",
            previous_cancellations="previous_cancellations", previous_stays="previous_bookings_not_canceled",
        ),
        "raw_rates": rows.select("booking_id", "booked_on", "adr", "meal", currency=pl.lit("EUR")),
        "raw_channels": rows.select(
            "booking_id", "booked_on", segment="market_segment", channel="distribution_channel",
            agent=pl.col("agent").cast(pl.Int64).cast(pl.String).fill_null("NULL"),
            company=pl.col("company").cast(pl.Int64).cast(pl.String).fill_null("NULL"),
        ),
        "raw_outcomes": rows.select(
            "booking_id", "booked_on", status=pl.when(told).then("reservation_status").otherwise(pl.lit("Booked")),
            status_on=pl.when(told).then(known),
        ),
    }  # fmt: skip
    split = {name: by_day(frame, "booked_on") for name, frame in feeds.items()}
    return {**split, "raw_agents": {"": _directory(rows)}}


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Date each booking and give it and its guest an id."""
    month = pl.col("arrival_date_month").replace_strict(MONTHS, range(1, 13), return_dtype=pl.Int64)
    arrival = pl.date("arrival_date_year", month, "arrival_date_day_of_month")
    dated = rows.with_columns(arrival=arrival, booked_on=arrival - pl.duration(days="lead_time"))
    first, last = (pl.lit(day).str.to_date() for day in (FIRST_DAY, LAST_DAY))
    kept = dated.filter(pl.col("booked_on").is_between(first, last) & (pl.col("lead_time") <= REACH))
    mixed = kept.sample(fraction=1.0, shuffle=True, seed=20150701).sort("booked_on", maintain_order=True)
    place = pl.int_range(pl.len()).over("booked_on") + 1
    named = mixed.with_columns(
        booking_id=pl.format("B{}-{}", pl.col("booked_on").dt.strftime("%y%m%d"), place.cast(pl.String).str.zfill(4))
    )
    number = pl.int_range(pl.len()).shuffle(seed=7) + 100_000
    return named.with_columns(guest_id=pl.format("G{}", number))


def _directory(rows: pl.DataFrame) -> pl.DataFrame:
    """Describe each agent by what it mostly sells; an outcome plays no part in it."""
    sold = rows.drop_nulls("agent").with_columns(agent=pl.col("agent").cast(pl.Int64).cast(pl.String))
    party = pl.col("customer_type").is_in(["Transient-Party", "Group"])
    mostly = sold.group_by("agent").agg(
        kind=pl.col("market_segment").mode().sort().first(),
        desk=pl.col("hotel").mode().sort().first(),
        party_share=party.mean().round(3),
        usual_lead=pl.col("lead_time").median(),
    )
    return mostly.sort(pl.col("agent").cast(pl.Int64))


def feeds(data: str | None = None) -> dict[str, Feed]:
    """Return the six feeds as functions of a window.

    Raises:
        OutsideError: The data is not there.
    """
    folder = str(data_folder("hotel_bookings", (FILE,), data))

    def raw_bookings(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_bookings"], CALENDAR, window)

    def raw_guests(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_guests"], CALENDAR, window)

    def raw_rates(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_rates"], CALENDAR, window)

    def raw_channels(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_channels"], CALENDAR, window)

    def raw_outcomes(window: Window) -> pl.DataFrame:
        return landed(tables(folder)["raw_outcomes"], CALENDAR, window)

    def raw_agents(window: Window) -> pl.DataFrame:
        return tables(folder)["raw_agents"][""]

    made = (raw_bookings, raw_guests, raw_rates, raw_channels, raw_agents, raw_outcomes)
    return {feed.__name__: feed for feed in made}
