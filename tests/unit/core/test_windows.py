"""Windows follow each other without gap or overlap in every zone, over clock changes and skipped days."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.core.errors import UsageError
from headwater.core.windows import Calendar

ZONES = (
    "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Europe/Berlin", "Asia/Tokyo",
    "Asia/Kolkata", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
    "Pacific/Chatham", "UTC",
)  # fmt: skip
zones = st.sampled_from(ZONES)
days = st.dates(date(1990, 1, 2), date(2030, 12, 30))


def containing(calendar, day, hour=12):
    return calendar.containing(datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(calendar.timezone)))


@settings(max_examples=400, deadline=None)
@given(zones, days, st.integers(1, 40))
@example("Pacific/Apia", date(2011, 12, 29), 1)
@example("Pacific/Apia", date(2011, 12, 29), 30)
def test_days_follow_each_other_and_come_back(zone, day, count):
    calendar = Calendar("1d", zone)
    window = containing(calendar, day)
    later = window
    for _ in range(count):
        following = calendar.shift(later, 1)
        assert following.start == later.end, "no gap and no overlap"
        assert following.key > later.key
        later = following
    assert calendar.shift(window, count) == later
    assert calendar.shift(later, -count) == window
    assert calendar.window(window.key) == window


@settings(max_examples=300, deadline=None)
@given(zones, st.datetimes(datetime(1990, 1, 2), datetime(2030, 12, 30)))
def test_every_moment_is_in_one_day_of_23_to_25_hours(zone, moment):
    calendar = Calendar("1d", zone)
    window = calendar.containing(moment.replace(tzinfo=UTC))
    assert window.start <= moment.replace(tzinfo=UTC) < window.end
    assert timedelta(hours=23) <= window.end - window.start <= timedelta(hours=25)
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    assert window.key == f"{local:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2013-03-10", 23), ("America/New_York", "2013-11-03", 25), ("UTC", "2013-03-10", 24),
        ("Australia/Lord_Howe", "2013-04-07", 24.5), ("America/Sao_Paulo", "2017-10-15", 23),
    ],
)  # fmt: skip
def test_days_with_a_clock_change(zone, day, hours):
    window = Calendar("1d", zone).window(day)
    assert (window.end - window.start).total_seconds() / 3600 == hours


def test_a_day_that_a_place_skipped_is_no_window():
    calendar = Calendar("1d", "Pacific/Apia")
    with pytest.raises(UsageError, match="2011-12-30"):
        calendar.window("2011-12-30")
    assert [item.key for item in calendar.between("2011-12-28", "2012-01-01")] == [
        "2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01",
    ]  # fmt: skip


def test_hours_over_a_clock_change_are_named_in_utc_and_none_is_doubled():
    calendar = Calendar("1h", "America/New_York")
    keys = [item.key for item in calendar.between("2013-11-03T04", "2013-11-03T07")]
    assert keys == ["2013-11-03T04", "2013-11-03T05", "2013-11-03T06", "2013-11-03T07"]
