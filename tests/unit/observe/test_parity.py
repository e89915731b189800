"""Exact mechanism tests and releases: what matters and what does not."""

import pytest

from headwater.observe.history import History
from headwater.observe.parity import MechanismMonitor, ReleaseMonitor
from unit.observe.worlds import CALENDAR, DAYS, NOW, evidence

SERVER = "deployment:nyc/delay"


def mechanism(**values):
    return [
        (item.metric, item.severity)
        for item in MechanismMonitor().evaluate([evidence(DAYS[0], values, "mechanism")], History(), CALENDAR, NOW)
    ]


@pytest.mark.parametrize("changed", [True, False])
def test_the_same_rows_are_no_finding(changed):
    assert mechanism(share=0.0, changed=changed, code_changed=changed) == []


def test_any_difference_without_a_change_alarms():
    assert mechanism(share=0.0001, changed=False) == [("share", "alarm")]


@pytest.mark.parametrize(
    ("effect", "metric"),
    [
        ({"displacement": 0.003}, "displacement"),
        ({"lost_share": 0.002}, "lost_share"),
        ({"extra_share": 0.01}, "extra_share"),
        ({"label_flips": 0.05, "displacement": 0.0}, "label_flips"),
    ],
)
def test_a_change_that_matters_alarms(effect, metric):
    assert mechanism(share=0.1, changed=True, code_changed=True, **effect) == [(metric, "alarm")]


def test_a_change_that_moves_nothing_is_a_notice():
    assert mechanism(share=0.1, changed=True, code_changed=True, displacement=0.0005) == [("displacement", "notice")]
    assert mechanism(share=1.0, changed=True, code_changed=True, error="no column x") == [("error", "notice")]


def release(moved, approved=0.01, mismatch=()):
    items = [
        evidence(DAYS[0], {"mismatch": list(mismatch), "displacement": approved}, "release", SERVER),
        evidence(
            DAYS[0], {"share": 0.5, "changed": True, "parts": ["model"], "displacement": moved}, "mechanism", SERVER
        ),
    ]
    assert MechanismMonitor().evaluate(items, History(), CALENDAR, NOW) == []
    found = ReleaseMonitor().evaluate(items, History(), CALENDAR, NOW)
    return [(item.metric, item.severity) for item in found]


def test_an_approved_release_that_moves_what_was_approved_is_a_notice():
    assert release(0.02) == [("displacement", "notice")]
    assert release(0.0) == []


def test_far_more_than_approved_alarms():
    assert release(0.05) == [("displacement", "alarm")]


def test_other_parts_than_approved_alarm():
    assert ("mismatch", "alarm") in release(0.02, mismatch=["calibrator"])


def test_an_unapproved_change_of_parts_is_held_to_nothing():
    item = evidence(
        DAYS[0], {"share": 0.5, "changed": True, "parts": ["model"], "displacement": 0.02}, "mechanism", SERVER
    )
    (found,) = ReleaseMonitor().evaluate([item], History(), CALENDAR, NOW)
    assert found.severity == "alarm"
