"""Estimated performance: never an alarm, a notice when worse than usual, one when it stops being valid."""

import numpy as np
import pytest

from headwater.observe.estimated import EstimatedMonitor
from headwater.observe.history import History
from unit.observe.worlds import CALENDAR, DAYS, MODEL, NOW, evidence

LOST = "outcomes no longer follow the estimate: off by +2.0 half bands where labels have come"


def played(values):
    """Let windows pass one by one; return the findings of the monitor."""
    history, found = History(CALENDAR), []
    for at, item in enumerate(values):
        made = evidence(DAYS[at], item, "estimate", MODEL)
        history.add_evidence(made)
        for finding in EstimatedMonitor().evaluate([made], history, CALENDAR, NOW):
            history.add_finding(finding)
            found.append(finding)
    return found


def usual(seed, count=80):
    random = np.random.default_rng(seed)
    return [
        {"log_loss": float(x), "accuracy": 0.8, "valid": True, "reason": ""} for x in random.normal(0.5, 0.05, count)
    ]


def test_usual_windows_are_quiet():
    assert sum(len(played(usual(seed))) for seed in range(10)) <= 2


@pytest.mark.parametrize(
    ("metric", "value", "told"), [("log_loss", 1.4, 1), ("log_loss", 0.01, 0), ("accuracy", 0.3, 1)]
)
def test_worse_than_usual_is_a_notice_and_better_is_nothing(metric, value, told):
    windows = usual(3, 60)
    windows[-1] = {**windows[-1], metric: value}
    found = [item for item in played(windows) if item.window == DAYS[59]]
    assert [(item.metric, item.severity) for item in found] == [(metric, "notice")] * told


def test_what_is_withheld_is_not_looked_at():
    windows = usual(3, 60)
    windows[-1] = {"valid": False, "reason": "`x` is in alarm", "withheld": {"log_loss": {"value": 9.0, "reason": ""}}}
    assert [item for item in played(windows) if item.window == DAYS[59]] == []


def test_losing_validity_is_said_once_in_a_spell():
    lost = {"valid": False, "reason": LOST}
    windows = usual(4, 40) + [lost] * 3 + usual(5, 10) + [lost]
    found = [item for item in played(windows) if item.metric == "valid"]
    assert [item.window for item in found] == [DAYS[40], DAYS[53]]
    assert found[0].severity == "notice" and found[0].detail == LOST


def test_a_checked_window_is_no_news():
    windows = usual(3, 60)
    windows[-1] = {**windows[-1], "log_loss": 1.4, "error.log_loss": 0.2}
    assert [item for item in played(windows) if item.window == DAYS[59]] == []
