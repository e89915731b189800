"""Absence is told by the run and by the clock, window by window."""

import datetime as dt

import pytest

from headwater.observe.arrival import ArrivalMonitor, overdue, usual_hours
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
    assert [(item.metric, item.severity) for item in found] == [("missing", "alarm"), ("not_ready", "notice")]
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
        due = {(TABLE, day): CALENDAR.window(day).end + dt.timedelta(hours=2) for day in DAYS[:3]}
        return overdue(due, history, CALENDAR, end + dt.timedelta(hours=hours))

    assert asked(1) == []
    assert [item.window for item in asked(3)] == [DAYS[1]]
    history.add_evidence(arrival(DAYS[0], backfill=True))
    assert [item.window for item in asked(3)] == [DAYS[1]]
    history.add_evidence(arrival(DAYS[1], "FAIL"))
    assert [item.window for item in asked(3)] == [DAYS[1]], "a failed delivery is no delivery"
    history.add_evidence(arrival(DAYS[1]))
    assert asked(3) == []
    history.add_evidence(arrival(DAYS[1], open=True))
    assert [item.window for item in asked(3)] == [DAYS[1]], "what was delivered of an open window is not the window"


def test_an_open_window_is_not_overdue_even_when_it_was_due_before_its_end():
    end = CALENDAR.window(DAYS[1]).end
    due = {(TABLE, DAYS[1]): end - dt.timedelta(hours=6)}
    assert overdue(due, History(CALENDAR), CALENDAR, end - dt.timedelta(seconds=1)) == []
    assert [item.metric for item in overdue(due, History(CALENDAR), CALENDAR, end)] == ["missing"]


def landed(hours):
    history = History(CALENDAR)
    for day, lag in zip(DAYS, hours, strict=False):
        history.add_evidence(arrival(day, landed_hours=lag))
    return usual_hours(history, TABLE, CALENDAR, DAYS[len(hours)])


def test_windows_that_are_caught_up_with_at_a_stroke_do_not_say_what_is_usual():
    usual = [2.0 + index % 3 * 0.5 for index in range(40)]
    assert landed(usual) == pytest.approx(2.5 + 2 * 0.5 * (1 + 10 / 40) + 1)
    assert landed([1000.0 - 24 * index for index in range(40)]) is None, "history that was run on one evening"
    outage = [*usual[:30], 98.0, 74.0, 50.0, 26.0, *usual[30:]]
    assert landed(outage) == pytest.approx(landed(usual), abs=0.2)


def test_what_is_usual_is_never_told_from_too_few_windows():
    assert landed([2.0] * 19) is None
    assert landed([2.0] * 20) == pytest.approx(3.0)


def test_a_landing_in_alarm_is_not_learned():
    history = History(CALENDAR)
    for day in DAYS[:30]:
        history.add_evidence(arrival(day, landed_hours=2.0))
    item = arrival(DAYS[30], landed_hours=9.0, deadline_hours=6.0)
    history.add_evidence(item)
    before = usual_hours(history, TABLE, CALENDAR, DAYS[30])
    (late,) = judge(item, history=history)
    history.add_finding(late)
    assert usual_hours(history, TABLE, CALENDAR, DAYS[31]) == before
