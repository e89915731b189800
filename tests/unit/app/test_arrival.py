"""A source's standing repair: applied while it brings fresh windows nearer to normal, and no longer."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from headwater.app.arrival import diagnosed, mend, reference
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project
from headwater.core.records import Evidence

FAULTY = "2013-08-01"


def hours(start: datetime, low: float, high: float) -> pl.DataFrame:
    """A day of hourly temperatures between two bounds, in degrees Fahrenheit."""
    swing = (1 - np.cos(np.arange(24) / 24 * 2 * np.pi)) / 2
    return pl.DataFrame({"hour": [start + timedelta(hours=at) for at in range(24)], "temp": low + swing * (high - low)})


def in_celsius(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns((pl.col("temp") - 32) / 1.8)


@pytest.fixture(scope="module")
def summer(tmp_path_factory):
    """Four weeks of July, between 70 and 85 °F, and the repair of a source that has come in Celsius since."""
    project = Project("weather")

    @project.source(key=["hour"], time="hour")
    def raw_weather(window):
        days = range((window.end - window.start).days)
        starts = [window.start + timedelta(days=day) for day in days]
        return pl.concat([hours(start, 70 + start.day % 5, 81 + start.day % 5) for start in starts])

    clock = SimulatedClock(datetime(2013, 8, 2, tzinfo=UTC))
    made = Workspace.of(project, tmp_path_factory.mktemp("weather"), clock)
    made.run_range("2013-07-01", "2013-07-31")
    to_fahrenheit = {"columns": {"temp": {"scale": 1.8, "shift": 32.0}}}
    return made, {
        "before": FAULTY,
        "repair": {"operator": "affine", "fault": "unit", "parameters": to_fahrenheit},
    }


@pytest.mark.parametrize(
    ("low", "high"),
    [pytest.param(71, 83, id="usual"), pytest.param(64, 71, id="cold"), pytest.param(88, 99, id="hot")],
)
def test_a_day_in_the_wrong_unit_is_repaired_however_odd_it_is_in_itself(summer, low, high):
    made, repair = summer
    window = made.line.calendar.window(FAULTY)
    right = hours(window.start, low, high)
    mended = mend(made.line, "raw_weather", in_celsius(right), repair, window)
    assert mended["temp"].to_list() == pytest.approx(right["temp"].to_list())


@pytest.mark.parametrize(("low", "high"), [(71, 83), (64, 71), (88, 99)])
def test_a_day_in_the_right_unit_is_left_alone_however_odd_it_is_in_itself(summer, low, high):
    made, repair = summer
    window = made.line.calendar.window(FAULTY)
    right = hours(window.start, low, high)
    assert mend(made.line, "raw_weather", right, repair, window).equals(right)


def test_an_empty_day_is_left_alone(summer):
    made, repair = summer
    window = made.line.calendar.window(FAULTY)
    nothing = hours(window.start, 71, 83).clear()
    assert mend(made.line, "raw_weather", nothing, repair, window).equals(nothing)


def signed(line, days, **values):
    told = {"confidence": 0.9, "invertible": True, "fault": "unit", **values}
    subject, time = line.ref("raw_weather"), line.services.clock.now()
    return {day: Evidence(type="signature", subject=subject, window=day, values=told, time=time) for day in days}


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({}, 26),
        ({"invertible": False}, 26),
        ({"invertible": False, "fault": "truncated"}, 28),  # a holiday looks like that
        ({"confidence": 0.3}, 28),
    ],
)
def test_windows_that_carry_a_signature_are_not_what_is_normal(summer, values, left):
    line = summer[0].line
    place = line.state.evidence[("signature", line.ref("raw_weather"))]
    place.update(signed(line, ["2013-07-20", "2013-07-22"], **values))
    try:
        assert len(reference(line, "raw_weather", FAULTY).frames) == left
    finally:
        place.clear()


def test_what_carries_a_signature_most_of_the_time_is_normal(summer):
    line = summer[0].line
    place = line.state.evidence[("signature", line.ref("raw_weather"))]
    place.update(signed(line, [f"2013-07-{day:02}" for day in range(10, 30)]))
    try:
        assert len(reference(line, "raw_weather", FAULTY).frames) == 28
    finally:
        place.clear()


def test_a_missing_column_is_a_fault_where_somebody_reads_it(tmp_path):
    project = Project("depot")

    @project.source(key=["id"], time="at")
    def raw_parcels(window):
        random = np.random.default_rng(window.start.toordinal())
        days = (window.end - window.start).days
        return pl.DataFrame(
            {
                "id": [window.start.toordinal() * 100 + number for number in range(50 * days)],
                "at": [window.start + timedelta(days=number // 50, minutes=number) for number in range(50 * days)],
                "weight": random.gamma(2.0, 3.0, 50 * days),
                "batch": ["b"] * 50 * days,
            }
        )

    @project.dataset(key=["id"])
    def parcels(raw_parcels):
        return raw_parcels.select("id", kilos=pl.col("weight"))

    workspace = Workspace.of(project, tmp_path, SimulatedClock(datetime(2013, 8, 2, tzinfo=UTC)))
    for window in project.calendar.between("2013-07-01", "2013-07-10"):
        workspace.run(window.key)
    line, window = workspace.line, project.calendar.window("2013-07-11")
    learned, frame = reference(line, "raw_parcels", window.key), raw_parcels(window)
    read = diagnosed(line, "raw_parcels", frame.drop("weight"), window, learned)
    assert read is not None and read.repair.fault == "missing_column"
    assert diagnosed(line, "raw_parcels", frame.drop("batch"), window, learned) is None
