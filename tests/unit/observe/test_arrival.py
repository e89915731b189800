"""Absence is told by the run and by the clock, window by window."""

import datetime as dt

import pytest

from headwater.observe.arrival import ArrivalMonitor, overdue
from headwater.observe.history import History
from unit.observe.worlds import CALENDAR, DAYS, NOW, TABLE, evidence


def arrival(day, state="COMPLETE", subject=TABLE, **values):
    return evidence(day, {"state": state, **values}, "arrival", subject)


def judge(*items, history=None):
    return ArrivalMonitor().evaluate(items, history or History(CALENDAR), CALENDAR, NOW)


def test_a_delivery_in_time_is_no_finding():
    assert judge(arrival(DAYS[0])) == []


def test_a_failed_delivery_alarms_and_what_waits_for_it_does_not():
    found = judge(arrival(DAYS[0], "FAIL", error="disk full"), arrival(DAYS[0], "SKIP", subject="dataset:nyc/child"))
    assert [(item.metric, item.severity) for item in found] == [("missing", "alarm"), ("missing", "notice")]
    assert found[0].detail == "disk full"


def test_a_table_whose_parent_never_came_alarms_itself():
    (found,) = judge(arrival(DAYS[0], "SKIP"))
    assert found.severity == "alarm"


def test_past_its_deadline_it_is_late():
    (found,) = judge(arrival(DAYS[0], landed_hours=7.0, deadline_hours=6.0))
    assert (found.metric, found.severity) == ("late", "alarm")
    assert judge(arrival(DAYS[0], landed_hours=5.0, deadline_hours=6.0)) == []


@pytest.mark.parametrize(("landed", "backfill", "late"), [(3.0, False, 0), (9.0, False, 1), (900.0, True, 0)])
def test_without_a_deadline_history_says_what_is_late_and_a_backfill_never_is(landed, backfill, late):
    history = History(CALENDAR)
    for index, day in enumerate(DAYS[:40]):
        history.add_evidence(arrival(day, landed_hours=2.0 + index % 3 * 0.5))
    found = judge(arrival(DAYS[40], landed_hours=landed, backfill=backfill), history=history)
    assert [item.severity for item in found] == ["notice"] * late


def test_overdue_goes_by_the_clock_and_each_window_answers_for_itself():
    history = History(CALENDAR)
    history.add_evidence(arrival(DAYS[0]))
    end = CALENDAR.window(DAYS[1]).end

    def asked(hours):
        return overdue({TABLE: 2.0}, DAYS[:3], history, CALENDAR, end + dt.timedelta(hours=hours))

    assert asked(1) == []
    assert [item.window for item in asked(3)] == [DAYS[1]]
    history.add_evidence(arrival(DAYS[0], backfill=True))
    assert [item.window for item in asked(3)] == [DAYS[1]]
    history.add_evidence(arrival(DAYS[1], "FAIL"))
    assert [item.window for item in asked(3)] == [DAYS[1]], "a failed delivery is no delivery"
    history.add_evidence(arrival(DAYS[1]))
    assert asked(3) == []
