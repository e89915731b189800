"""Tables are cut by time, or into blocks that are as large as what they are compared with."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from headwater.app.pieces import LEAST, LOOKED_AT, MOST, cut, sample
from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.windows import Calendar

DAYS = Calendar()


def daily(first: date, days: int, rows: int = 4) -> pl.DataFrame:
    return pl.DataFrame({"day": [first + timedelta(days=n) for n in range(days) for _ in range(rows)]})


def test_days_are_cut_by_time():
    found = cut(daily(date(2024, 1, 1), 30), daily(date(2024, 1, 31), 2), "day", DAYS)
    assert found.timed and found.banded
    assert [piece.label for piece in found.current] == ["2024-01-31", "2024-02-01"]
    assert [piece.frame.height for piece in found.reference] == [4] * 30


def test_days_are_local_days():
    zone = Calendar("1d", "America/New_York")
    hours = pl.datetime_range(datetime(2024, 1, 1, 5), datetime(2024, 2, 10, 4), "1h", time_zone="UTC", eager=True)
    frame = pl.DataFrame({"at": hours})
    found = cut(frame[: 24 * 30], frame[24 * 30 :], "at", zone)
    assert {piece.frame.height for piece in found.reference} == {24} and found.reference[0].label == "2024-01-01"


def test_a_window_that_is_not_over_gets_no_verdict():
    hours = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 2, 10, 9), "10m", eager=True)
    frame = pl.DataFrame({"at": hours})
    found = cut(frame[: 144 * 30], frame[144 * 30 :], "at", DAYS)
    assert found.current[-1].label == "2024-02-09" and "2024-02-10 is not over" in found.basis
    late = frame.filter((pl.col("at").dt.hour() < 23) | (pl.col("at").dt.day() % 3 > 0))
    ended = cut(late[: 144 * 30 - 60], late[144 * 30 - 60 : -60], "at", DAYS)
    assert ended.current[-1].label == "2024-02-09", "windows that end an hour early at times are over"


def test_a_short_reference_is_cut_into_blocks_in_the_order_of_time():
    old = daily(date(2024, 1, 1), 5, rows=100).reverse()
    found = cut(old, daily(date(2024, 1, 6), 1, rows=10), "day", DAYS)
    assert not found.timed and found.banded and "5 windows of the reference are too few" in found.basis
    assert found.reference[0].frame["day"][0] == date(2024, 1, 1)


@pytest.mark.parametrize(
    ("old", "new"), [(10_000, 500), (10_000, 10_000), (1000, 5000), (10**6, 7), (40, 40), (200, 100_000)]
)
def test_all_blocks_are_of_one_size_and_reach_from_the_first_row_to_the_last(old, new):
    found = cut(pl.DataFrame({"x": range(old)}), pl.DataFrame({"x": range(new)}), None, DAYS)
    assert len({piece.frame.height for piece in (*found.reference, *found.current)}) == 1
    assert LEAST <= len(found.reference) <= MOST and len(found.current) <= LOOKED_AT
    for pieces, rows in ((found.reference, old), (found.current, new)):
        assert pieces[0].frame["x"][0] == 0
        assert pieces[-1].frame["x"][-1] == rows - 1 or len(pieces) == 1
    keys = [piece.window.key for piece in (*found.reference, *found.current)]
    assert keys == sorted(set(keys))
    assert ("are looked at" in found.basis) == (new > LOOKED_AT * found.current[0].frame.height)


def test_no_row_of_the_current_table_is_left_out_where_all_blocks_are_looked_at():
    found = cut(pl.DataFrame({"x": range(1000)}), pl.DataFrame({"x": range(1234)}), None, DAYS)
    assert set().union(*(piece.frame["x"].to_list() for piece in found.current)) == set(range(1234))


def test_too_few_rows_have_no_band():
    found = cut(pl.DataFrame({"x": range(19)}), pl.DataFrame({"x": range(5)}), None, DAYS)
    assert not found.banded and "too few" in found.basis
    assert not cut(pl.DataFrame({"x": []}), pl.DataFrame({"x": []}), None, DAYS).banded


def test_the_window_in_which_the_two_meet_is_left_out():
    found = cut(daily(date(2024, 1, 1), 30), daily(date(2024, 1, 30), 3), "day", DAYS)
    assert found.reference[-1].label == "2024-01-29"
    assert [piece.label for piece in found.current] == ["2024-01-31", "2024-02-01"]


def test_what_cannot_be_cut_is_refused():
    old, new = daily(date(2024, 1, 1), 30), daily(date(2024, 1, 31), 2)
    with pytest.raises(UnknownName):
        cut(old, new, "dya", DAYS)
    with pytest.raises(UsageError, match="not later"):
        cut(new, old, "day", DAYS)
    with pytest.raises(UsageError, match="window 2024-01-29 is in the reference and in the current table, and 1 more"):
        cut(old, daily(date(2024, 1, 29), 4), "day", DAYS)
    with pytest.raises(UsageError, match="no dates or times"):
        cut(pl.DataFrame({"day": [1]}), new, "day", DAYS)
    gone = pl.lit(None, pl.Date)
    for timeless in (old.with_columns(day=gone), old.clear()):
        with pytest.raises(DataError, match="`day` of the reference has no times") as told:
            cut(timeless, new, "day", DAYS)
        assert "give one with values in `day`" in told.value.hint
    assert cut(old, new.with_columns(day=gone), "day", DAYS).current == ()


def test_a_sample_keeps_every_nth_row():
    found = cut(pl.DataFrame({"x": range(1000)}), pl.DataFrame({"x": range(50)}), None, DAYS)
    [(window, frame)] = sample(found.current, 10)
    assert frame["x"].to_list() == list(range(0, 50, 5)) and window == found.current[0].window
    assert datetime(2000, 1, 1, tzinfo=UTC) == found.reference[0].window.start
