"""Expected arrivals of foreign jobs, each kind told from real run events, as official clients send them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from headwater.core.windows import Calendar
from headwater.observe.intake import parse
from headwater.observe.journeys import HORIZON, KINDS, JourneyMonitor
from headwater.observe.lineage import Graph

CALENDAR = Calendar("1d", "America/New_York")
DAYS = [window.key for window in CALENDAR.between("2013-02-01", "2013-03-31")]
LAST = 40
"""The day in question; all before it went well, and in between the clock changed."""


def event(state: str, day: str, hours: float, job: str = "load_trips", run: str = "", **more: Any) -> dict[str, Any]:
    """An event so many hours after a day's end."""
    window = CALENDAR.window(day)
    name = run or f"{job}/{day}"
    nominal = {"nominalStartTime": window.start.isoformat(), "nominalEndTime": window.end.isoformat()}
    told = {} if more.get("untold") else {"nominalTime": {**nominal, "_producer": "p", "_schemaURL": "u"}}
    return {
        "eventType": state,
        "eventTime": (window.end + timedelta(hours=hours)).isoformat(),
        "producer": "https://github.com/apache/airflow",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "facets": {**told, **more.get("facets", {})}},
        "job": {"namespace": "airflow", "name": job},
        "inputs": more.get("inputs", []),
        "outputs": more.get("outputs", [{"namespace": "dwh", "name": job.removeprefix("load_")}]),
    }


def table(name: str, **facets: Any) -> dict[str, Any]:
    return {"namespace": "dwh", "name": name, **facets}


def rows(name: str, count: int) -> dict[str, Any]:
    return table(name, outputFacets={"outputStatistics": {"_producer": "p", "_schemaURL": "u", "rowCount": count}})


def past(until: int = LAST, job: str = "load_trips", began: float = 1.0, **more: Any) -> list[dict[str, Any]]:
    """Days that went as ever: started about an hour after midnight, ended half an hour later."""
    found = []
    for index, day in enumerate(DAYS[:until]):
        shift = began + index % 4 * 0.1
        found += [event("START", day, shift, job, **more), event("COMPLETE", day, shift + 0.5, job, **more)]
    return found


def judged(events: list[dict[str, Any]], hours: float, day: int = LAST, **options: Any) -> list[tuple[str, str, str]]:
    """What is wrong so many hours after the end of the day in question: window, kind and severity."""
    graph = Graph()
    for made in events:
        graph.add(parse(made))
    now = CALENDAR.window(DAYS[day]).end + timedelta(hours=hours)
    found = JourneyMonitor(CALENDAR, **options).evaluate(graph.courses(besides="own"), now)
    assert all(item.detail and item.time == now for item in found)
    return [(item.window, item.metric, item.severity) for item in found]


def today(kind: str, severity: str = "alarm", day: int = LAST) -> list[tuple[str, str, str]]:
    return [(DAYS[day], kind, severity)]


def test_what_goes_as_ever_is_quiet_at_any_hour():
    for hours in (-23, -1, 0, 0.5, 1.0, 2.0, 23):
        assert judged(past(LAST + 1), hours) == []


def test_missing_by_the_clock_and_not_before_it_is_due():
    assert judged(past(), -1) == judged(past(), 0.5) == []
    assert judged(past(), 2.8) == today("late_start", "notice")
    assert judged(past(), 5) == today("missing")
    assert judged(past(), 24.5) == today("missing"), "the day after is not due yet"


def test_late_start_and_late_end():
    started = [*past(), event("START", DAYS[LAST], 4.0)]
    assert judged(started, 4.1) == [(DAYS[LAST], "late_end", "alarm"), (DAYS[LAST], "late_start", "notice")]
    ended = [*past(), event("START", DAYS[LAST], 1.0), event("COMPLETE", DAYS[LAST], 6.0)]
    assert judged(ended, 7) == today("late_end", "notice")
    assert judged([*past(), event("START", DAYS[LAST], 1.0)], 5) == today("late_end"), "it still runs"


@pytest.mark.parametrize("state", ["FAIL", "ABORT"])
def test_unexpected_status_until_it_was_made_good(state):
    wrong = [*past(), event("START", DAYS[LAST], 1.0, run="first"), event(state, DAYS[LAST], 1.2, run="first")]
    assert judged(wrong, 1.3) == today("unexpected_status")
    again = [*wrong, event("START", DAYS[LAST], 1.4, run="second"), event("COMPLETE", DAYS[LAST], 1.9, run="second")]
    assert judged(again, 2) == []


def test_the_message_of_a_failure_is_told_on_one_line():
    facets = {"errorMessage": {"message": "disk full\nTraceback", "_producer": "p", "_schemaURL": "u"}}
    graph = Graph()
    for made in [*past(), event("FAIL", DAYS[LAST], 1.2, facets=facets)]:
        graph.add(parse(made))
    now = CALENDAR.window(DAYS[LAST]).end + timedelta(hours=1.5)
    (found,) = JourneyMonitor(CALENDAR).evaluate(graph.courses(besides="own"), now)
    assert (found.detail, found.subject) == ("it ended as FAIL: disk full", "dataset:dwh/trips")


def test_tests_that_failed_by_both_facets_and_severities():
    failed = {"assertion": "not_null", "success": False, "column": "fare"}
    for severity, told in ((None, "alarm"), ("error", "alarm"), ("warn", "notice")):
        made = {**failed, **({"severity": severity} if severity else {}), "name": "fare is there"}
        facet = {"dataQualityAssertions": {"assertions": [made], "_producer": "p", "_schemaURL": "u"}}
        checked = event("COMPLETE", DAYS[LAST], 1.6, inputs=[table("raw", inputFacets=facet)])
        assert judged([*past(), event("START", DAYS[LAST], 1.0), checked], 2) == today("tests_failed", told)
    run = {"test": {"tests": [{"name": "unique", "status": "fail"}], "_producer": "p", "_schemaURL": "u"}}
    assert judged([*past(LAST + 1), event("COMPLETE", DAYS[LAST], 1.6, facets=run)], 2) == today("tests_failed")


def test_out_of_sequence_when_a_window_comes_before_the_one_that_precedes_it():
    skipped = [*past(LAST - 1), event("START", DAYS[LAST], 1.0), event("COMPLETE", DAYS[LAST], 1.5)]
    assert judged(skipped, 2) == [(DAYS[LAST - 1], "missing", "alarm"), (DAYS[LAST], "out_of_sequence", "notice")]
    late = [*skipped, event("START", DAYS[LAST - 1], 30.0), event("COMPLETE", DAYS[LAST - 1], 30.5)]
    assert (DAYS[LAST], "out_of_sequence", "notice") in judged(late, 20)


def test_a_backfill_of_an_old_window_is_not_out_of_sequence():
    again = [event("START", DAYS[30], 240.0, run="again"), event("COMPLETE", DAYS[30], 240.5, run="again")]
    assert judged([*past(LAST + 1), *again], 20) == [(DAYS[30], "duplicate", "notice")]


def test_dataset_not_ready_when_a_job_begins_before_its_input_lands():
    reads = {"inputs": [table("raw")]}
    upper = past(LAST, job="load_raw", began=0.1)
    lower = past(LAST, job="load_trips", began=1.0, **reads)
    soon = [event("START", DAYS[LAST], 1.0, **reads), event("COMPLETE", DAYS[LAST], 1.2, **reads)]
    landed = [event("START", DAYS[LAST], 0.2, "load_raw"), event("COMPLETE", DAYS[LAST], 1.1, "load_raw")]
    assert (DAYS[LAST], "not_ready", "alarm") in judged([*upper, *lower, *soon, *landed], 1.3)
    assert (DAYS[LAST], "not_ready", "alarm") in judged([*upper, *lower, *soon], 1.3), "it never came at all"
    habit = past(LAST + 1, job="load_raw", began=1.2)
    assert judged([*habit, *past(LAST + 1, **reads)], 3) == [], "it has always read what was there the day before"


def test_a_child_that_read_an_older_version_than_its_parents_newest_is_stale():
    reads = {"inputs": [table("raw")]}
    upper, lower = past(LAST + 1, job="load_raw", began=0.1), past(LAST + 1, began=1.0, **reads)
    again = [
        event("START", DAYS[LAST], 5.0, "load_raw", "again"),
        event("COMPLETE", DAYS[LAST], 5.2, "load_raw", "again"),
    ]
    assert (DAYS[LAST], "stale_input", "alarm") in judged([*upper, *lower, *again], 6)
    fresh = [event("START", DAYS[LAST], 5.5, run="b", **reads), event("COMPLETE", DAYS[LAST], 5.8, run="b", **reads)]
    assert "stale_input" not in {kind for _, kind, _ in judged([*upper, *lower, *again, *fresh], 6)}


def test_a_window_that_comes_twice_is_loud_only_when_its_content_differs():
    def twice(first: int, second: int) -> list[tuple[str, str, str]]:
        made = [
            event("COMPLETE", DAYS[LAST], 1.5, run="a", outputs=[rows("trips", first)]),
            event("COMPLETE", DAYS[LAST], 1.7, run="b", outputs=[rows("trips", second)]),
        ]
        return judged([*past(), *made], 3)

    assert twice(100, 100) == today("duplicate", "notice")
    assert twice(100, 200) == today("duplicate", "alarm")


def test_events_of_one_run_that_come_twice_or_in_any_order_are_one_run():
    events = past(LAST + 1)
    assert judged([*events, *events], 3) == judged(events[::-1], 3) == []


def test_days_on_which_nobody_works_are_not_missed():
    working = [made for made in past() if _started(made).weekday() < 5]
    saturday = next(
        index for index, day in enumerate(DAYS) if day > DAYS[33] and datetime.fromisoformat(day).weekday() == 5
    )
    known = [made for made in working if _started(made).date().isoformat() < DAYS[saturday]]
    assert judged(known, 20, day=saturday) == []
    monday = saturday + 2
    assert judged(known, 20, day=monday) == today("missing", day=monday)
    assert judged(known, 20, day=monday, holidays=[DAYS[monday]]) == []


def _started(made: dict[str, Any]) -> datetime:
    start = datetime.fromisoformat(made["run"]["facets"]["nominalTime"]["nominalStartTime"])
    return start.astimezone(ZoneInfo(CALENDAR.timezone))


def test_a_job_that_is_new_is_judged_by_its_own_words_alone():
    new = [event("START", DAYS[LAST], 20.0, "load_new"), event("FAIL", DAYS[LAST], 21.0, "load_new")]
    assert judged(new, 22) == today("unexpected_status")
    assert judged(past(10), 400, day=9) == [], "ten days are too few to expect an eleventh"


def test_without_a_nominal_time_it_is_judged_by_the_day_it_ran_in():
    events = past(LAST, untold=True)
    assert judged(events, 1.0, day=LAST - 1) == []
    assert ("missing" in {kind for _, kind, _ in judged(events, 12, day=LAST + 1)}) is True
    hourly = [event("COMPLETE", DAYS[LAST], hours, run=f"{hours}", untold=True) for hours in (-5, -4, -3)]
    assert "duplicate" not in {kind for _, kind, _ in judged([*events, *hourly], 2)}


def test_history_that_is_read_in_at_once_is_not_judged():
    failed = [event("FAIL", day, 1.0, run=f"f{day}") for day in DAYS[:5]]
    assert len(DAYS[:5]) < len(DAYS[: LAST - HORIZON["1d"]])
    assert judged([*failed, *past(LAST + 1)], 3) == []
    assert judged([], 3) == []


def test_what_a_foreign_hand_wrote_wrongly_into_facets_is_left_out():
    facets = {"nominalTime": {"nominalStartTime": "soon", "nominalEndTime": 5}, "test": {"tests": "all"}}
    odd = event("FAIL", DAYS[LAST], 1.0, "odd", facets=facets)
    odd["inputs"] = [table("raw", inputFacets={"dataQualityAssertions": {"assertions": [7, None]}})]
    assert {kind for _, kind, _ in judged([odd], 3)} == {"unexpected_status"}


def test_every_kind_has_its_loudness():
    assert set(KINDS) == {
        "missing", "late_start", "late_end", "unexpected_status", "tests_failed", "not_ready", "stale_input",
        "out_of_sequence", "duplicate",
    }  # fmt: skip


def test_hours_over_a_clock_change_go_as_ever():
    hours = Calendar("1h", "America/New_York")
    graph = Graph()
    for window in hours.between("2013-10-30T00", "2013-11-03T12"):
        for state, minutes in (("START", 5), ("COMPLETE", 8)):
            made = event(state, DAYS[0], 0, run=window.key)
            made["eventTime"] = (window.end + timedelta(minutes=minutes)).isoformat()
            nominal = {"nominalStartTime": window.start.isoformat(), "nominalEndTime": window.end.isoformat()}
            made["run"]["facets"] = {"nominalTime": nominal}
            graph.add(parse(made))
    courses = graph.courses(besides="own")
    assert JourneyMonitor(hours).evaluate(courses, datetime(2013, 11, 3, 13, 9, tzinfo=UTC)) == []
    late = JourneyMonitor(hours).evaluate(courses, datetime(2013, 11, 3, 14, 30, tzinfo=UTC))
    assert [(item.window, item.metric) for item in late] == [("2013-11-03T13", "missing")]
