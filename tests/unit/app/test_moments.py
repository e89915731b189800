"""Times that are missing or absurd are a change of the time column, whatever windows they leave."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

import headwater
from headwater.core.errors import DataError, UsageError


def rows(days: int, start: int, seed: int = 0, each: int = 200) -> pl.DataFrame:
    count = days * each
    step = np.arange(count) * (86_400_000 // each)
    at = np.datetime64("2024-01-01") + np.timedelta64(start, "D") + step.astype("timedelta64[ms]")
    return pl.DataFrame({"at": at.astype("datetime64[us]"), "v": np.random.default_rng(seed).normal(50, 5, count)})


PAST, NOW = rows(30, 0), rows(2, 30, seed=1)


def dated(frame: pl.DataFrame, year: int, some: int = 1) -> pl.DataFrame:
    return frame.with_columns(
        at=pl.when(pl.int_range(pl.len()) < some).then(pl.lit(datetime(year, 12, 31))).otherwise("at")
    )


def told(past: pl.DataFrame, now: pl.DataFrame) -> list[tuple[str, str, str]]:
    found = headwater.compare(past, now, time="at")
    return [(one.column, one.severity, one.metric) for one in found.changes]


@pytest.mark.parametrize(("year", "metric"), [(1970, "min_hours.at"), (2099, "max_hours.at"), (9999, "max_hours.at")])
def test_a_row_far_from_all_others_is_a_notice_and_many_are_an_alarm(year, metric):
    assert told(PAST, dated(NOW, year)) == [("at", "notice", metric)]
    assert ("at", "alarm", metric) in told(PAST, dated(NOW, year, 12))


def test_years_that_no_calendar_has_are_told():
    odd = NOW.with_columns(
        at=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(4 * 10**17).cast(pl.Datetime("us"))).otherwise("at")
    )
    [change] = headwater.compare(PAST, odd, time="at").changes
    assert change.detail == "1 row at 9998-12-31 or later, far from the rest"


@pytest.mark.parametrize("year", [1970, 2099, 9999])
def test_a_row_of_the_reference_far_from_all_others_is_left_out_and_named(year):
    found = headwater.compare(dated(PAST, year), NOW, time="at")
    assert not found.changes and f"its 1 row at {min(year, 9998)}" in found.basis and "is left out" in found.basis


def test_a_current_table_that_is_older_is_still_refused():
    with pytest.raises(UsageError, match="not later than the reference"):
        headwater.compare(NOW, PAST, time="at")


def test_a_gap_between_two_seasons_is_not_astray():
    past = pl.concat([rows(20, 0), rows(20, 200)])
    assert "left out" not in headwater.compare(past, rows(2, 220), time="at").basis


@pytest.mark.parametrize("sort", [False, True])
def test_lost_times_are_lost_values_and_not_missing_rows(sort):
    lost = NOW.with_columns(at=pl.when(pl.int_range(pl.len()) % 5 > 1).then("at"))
    found = headwater.compare(PAST, lost.sort("at") if sort else lost, time="at")
    assert [(one.column, one.severity, one.value) for one in found.changes] == [("at", "alarm", 0.4)]
    assert [(one.fault, one.column) for one in found.diagnoses] == [("null_burst", "at")]
    assert "null in 40% of the rows" in str(found)


def test_a_time_that_is_always_missing_at_times_is_usual():
    past, now = (frame.with_columns(at=pl.when(pl.int_range(pl.len()) % 10 > 0).then("at")) for frame in (PAST, NOW))
    assert told(past, now) == []


def test_a_table_whose_times_are_all_gone_is_a_break_and_so_is_one_without_rows():
    gone = NOW.with_columns(at=pl.lit(None, pl.Datetime("us")))
    assert told(PAST, gone) == [("at", "alarm", "null_share.at")]
    assert told(PAST, NOW.clear()) == [("", "alarm", "rows")]
    with pytest.raises(DataError, match="`at` of the reference has no times"):
        headwater.compare(gone, NOW, time="at")
