"""A deadline is a time on a clock: it is due once a day in any zone, whatever the clock does that day."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import ProjectInvalid
from headwater.core.windows import Calendar
from headwater.dataops.contract_files import load_contracts
from headwater.dataops.contract_times import awaited, due
from headwater.dataops.time_of_day import TimeOfDay, time_of_day

DOCUMENT = """
apiVersion: v3.1.0
kind: DataContract
id: trips
version: 1.0.0
status: active
schema:
  - name: trips
    properties:
      - {{name: at, logicalType: timestamp, logicalTypeOptions: {{defaultTimezone: Asia/Tokyo}}}}
slaProperties: [{levels}]
"""
ZONES = (
    "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Europe/Berlin", "Europe/London",
    "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe",
    "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Chatham", "UTC",
)  # fmt: skip
zones = st.sampled_from(ZONES)
days = st.dates(dt.date(2005, 1, 1), dt.date(2026, 12, 30))
clocks = st.times().map(lambda made: made.replace(microsecond=0))


def contract(tmp_path, levels):
    (tmp_path / "trips.yaml").write_text(DOCUMENT.format(levels=levels))
    return load_contracts(tmp_path)["trips"]


def window(calendar, day):
    return calendar.containing(dt.datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(calendar.timezone)))


def local(text, zone):
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


@settings(max_examples=300, deadline=None)
@given(zones, zones, days, clocks)
def test_a_time_of_day_comes_within_a_day_of_the_windows_end_and_shows_on_the_clock(zone, clock_zone, day, clock):
    calendar = Calendar("1d", zone)
    made = window(calendar, day)
    moment = TimeOfDay(clock, clock_zone).after(made.end, zone)
    assert made.end < moment <= made.end + dt.timedelta(hours=26), "a day, and what a clock change adds to it"
    shown = moment.astimezone(ZoneInfo(clock_zone)).time()
    missing = dt.datetime.combine(dt.date.min, shown) - dt.datetime.combine(dt.date.min, clock)
    assert (
        shown == clock
        or moment.astimezone(ZoneInfo(clock_zone)).utcoffset()
        != (moment - dt.timedelta(hours=24)).astimezone(ZoneInfo(clock_zone)).utcoffset()
    ), missing


@settings(max_examples=200, deadline=None)
@given(zones, days, clocks)
def test_the_deadline_of_a_later_window_is_later(zone, day, clock):
    calendar = Calendar("1d", zone)
    first = window(calendar, day)
    moments = [TimeOfDay(clock).after(calendar.shift(first, step).end, zone) for step in range(3)]
    assert moments[0] < moments[1] < moments[2]


@settings(max_examples=200, deadline=None)
@given(zones, days, clocks, st.integers(0, 23))
def test_hours_of_a_day_are_due_at_the_same_time_whatever_the_clock_does(zone, day, clock, hour):
    """Windows of an hour over a clock change: each ends once, and none is due before it ends."""
    calendar = Calendar("1h", zone)
    made = calendar.containing(dt.datetime(day.year, day.month, day.day, hour, tzinfo=dt.UTC))
    moment = TimeOfDay(clock).after(made.end, zone)
    following = calendar.shift(made, 1)
    assert moment > made.end
    assert TimeOfDay(clock).after(following.end, zone) >= moment


@pytest.mark.parametrize(
    ("day", "clock", "moment"),
    [
        ("2013-03-08", "02:30", "2013-03-09T07:30+00:00"),
        ("2013-03-09", "02:30", "2013-03-10T07:30+00:00"),  # there is no 02:30 that day: two and a half hours in
        ("2013-03-09", "06:00", "2013-03-10T10:00+00:00"),
        ("2013-11-02", "01:30", "2013-11-03T05:30+00:00"),  # there are two: the first
        ("2013-11-02", "06:00", "2013-11-03T11:00+00:00"),
        ("2013-11-03", "01:30", "2013-11-04T06:30+00:00"),
        ("2013-07-01", "00:00", "2013-07-03T04:00+00:00"),  # nothing can be there the moment its window ends
    ],
)
def test_new_york_when_the_clock_changes(tmp_path, day, clock, moment):
    made = contract(tmp_path, f"{{property: timeOfAvailability, value: '{clock} America/New_York'}}")
    calendar = Calendar("1d", "America/New_York")
    assert due(made, calendar, calendar.window(day)) == dt.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("level", "moment"),
    [
        ("value: '06:00'", local("2013-07-02T06:00", "America/New_York")),
        ("value: 10:30", local("2013-07-02T10:30", "America/New_York")),  # the number 630 to YAML
        ("value: '06:00-05:00'", dt.datetime(2013, 7, 2, 11, tzinfo=dt.UTC)),
        ("value: '06:00Z'", dt.datetime(2013, 7, 2, 6, tzinfo=dt.UTC)),
        ("value: '06:00 Europe/Berlin'", local("2013-07-03T06:00", "Europe/Berlin") - dt.timedelta(days=1)),
        ("value: '06:00', element: trips.at", local("2013-07-03T06:00", "Asia/Tokyo")),
        ("value: '06:00', customProperties: [{property: timezone, value: Europe/Paris}]",
         local("2013-07-02T06:00", "Europe/Paris")),
    ],
)  # fmt: skip
def test_the_zone_of_a_deadline_is_its_own_or_its_columns_or_the_projects(tmp_path, level, moment):
    calendar = Calendar("1d", "America/New_York")
    made = contract(tmp_path, f"{{property: timeOfAvailability, {level}}}")
    while moment <= calendar.window("2013-07-01").end:
        moment += dt.timedelta(days=1)
    while moment - dt.timedelta(days=1) > calendar.window("2013-07-01").end:
        moment -= dt.timedelta(days=1)
    assert due(made, calendar, calendar.window("2013-07-01")) == moment


def test_the_earliest_promise_counts_and_a_time_of_day_waits_for_the_lag(tmp_path):
    calendar = Calendar("1d", "UTC")
    day = calendar.window("2013-07-01")
    both = contract(tmp_path, "{property: latency, value: 4, unit: h}, {property: timeOfAvailability, value: '06:00'}")
    assert due(both, calendar, day) == day.end + dt.timedelta(hours=4)
    clock = contract(tmp_path, "{property: timeOfAvailability, value: '09:00'}, "
                               "{property: timeOfAvailability, value: '08:00', driver: analytics}")  # fmt: skip
    assert due(clock, calendar, day) == day.end + dt.timedelta(hours=8)
    assert due(clock, calendar, day, lag=7) == day.end + dt.timedelta(days=7, hours=8)
    assert due(contract(tmp_path, ""), calendar, day) is due(None, calendar, day) is None


def test_what_comes_once_a_week_is_awaited_for_a_week(tmp_path):
    calendar = Calendar("1d", "UTC")
    day = calendar.window("2013-07-01")
    for level, key in (("value: 1, unit: d", "2013-07-02"), ("value: 7, unit: d", "2013-07-08"),
                       ("value: 6, unit: h", "2013-07-02")):  # fmt: skip
        assert awaited(contract(tmp_path, f"{{property: frequency, {level}}}"), calendar, day).key == key
    assert awaited(None, calendar, day).key == "2013-07-02"


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("value: '25:00'", "`25:00` is not a time of day"),
        ("value: 6", "`6` is not a time of day"),
        ("value: noon", "`noon` is not a time of day"),
        ("value: '06:00 Mars/Olympus'", "`Mars/Olympus` is not an IANA time zone"),
        ("value: '06:00Z Europe/Berlin'", "is not a time of day"),
        ("value: '06:00', customProperties: [{property: timezone, value: EST5}]", "`EST5` is not an IANA time zone"),
        ("unit: h", "`None` is not a time of day"),
    ],
)
def test_a_time_of_day_that_is_none_is_refused_with_its_line(tmp_path, level, said):
    with pytest.raises(ProjectInvalid, match="timeOfAvailability") as told:
        contract(tmp_path, f"{{property: timeOfAvailability, {level}}}")
    assert said in told.value.message
    assert "trips.yaml:" in told.value.message
    assert "06:00 America/New_York" in (told.value.hint or "")


def test_a_bare_time_has_no_zone_of_its_own():
    assert time_of_day("T06:00:30") == TimeOfDay(dt.time(6, 0, 30))
    assert time_of_day("06:00+05:30").offset == 330
