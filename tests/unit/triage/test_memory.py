"""What earlier incidents teach: recurrence, likeness, and whether what was done held."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headwater.core.records import Remedy, Verdict
from headwater.triage.incidents import Incident
from headwater.triage.memory import LEAST, MOST, WEIGHTS, held, recurrence, similar

START = datetime(2024, 5, 1, tzinfo=UTC)
LINE = ["raw", "orders", "features", "predictions"]


def verdict(subject="orders", fault="transform_code", side="data", status="named"):
    return Verdict(
        incident="", status=status, subject=f"dataset:x/{subject}" if status == "named" else "", fault=fault, side=side,
        owner="desk", confidence=0.9, text="", start_window="2024-05-01", window="2024-05-01", suspects=(), chain=(),
        effect=None, remedy=None, prevention=None, next_test="", time=START,
    )  # fmt: skip


def incident(number, states=("open", "triaging", "verdict"), findings=("a",), action="rollback_code", **told):
    opened = START + timedelta(days=number)
    return Incident(
        f"incident:x/{number}", states[-1], "dataset:x/orders", "2024-05-01", opened, findings=tuple(findings),
        verdict=verdict(**told),
        remedy=Remedy(action=action, target="dataset:x/orders") if "remedied" in states else None,
        timeline=tuple({"state": state, "time": opened.isoformat()} for state in states),
        prevention={"name": "check", "dataset": "dataset:x/orders"} if states[-1] == "closed" else None,
    )  # fmt: skip


CLOSED = ("open", "triaging", "verdict", "remedied", "verifying", "closed")


def steps(one, other):
    places = [LINE.index(name.rsplit("/", 1)[-1]) if name.rsplit("/", 1)[-1] in LINE else None for name in (one, other)]
    return None if None in places else abs(places[0] - places[1])


def alarms(item):
    return frozenset(item.findings)


def likest(new, *others):
    return similar(new, [*others, new], steps, alarms)


# --- recurrence -------------------------------------------------------------------------------------------------------
def test_the_same_culprit_with_the_same_fault_came_back():
    first, second, new = incident(1, CLOSED), incident(2, CLOSED), incident(3)
    found = recurrence(new, [first, second, new])
    assert (found.times, found.last, found.before) == (3, second.id, (first.id, second.id))
    assert found.prevention == second.prevention
    assert found.remedy == "rollback_code"
    assert found.closed == second.timeline[-1]["time"]


@pytest.mark.parametrize(
    "before",
    [
        incident(1, ("open", "triaging", "verdict", "remedied")),  # still open: perhaps the same
        incident(1, CLOSED, subject="raw"),
        incident(1, CLOSED, fault="label_code"),
        incident(1, CLOSED, status="world", fault="world"),
        incident(5, CLOSED),  # later
        replace(incident(1, CLOSED), verdict=None),
    ],
)
def test_what_is_no_recurrence(before):
    new = incident(3)
    assert recurrence(new, [before, new]) is None


def test_nobody_named_is_no_recurrence():
    new = incident(3, status="world", fault="world")
    assert recurrence(new, [incident(1, CLOSED, status="world", fault="world"), new]) is None
    assert recurrence(replace(new, verdict=None), [new]) is None


# --- likeness ---------------------------------------------------------------------------------------------------------
def test_the_same_is_wholly_alike():
    (found,) = likest(incident(2), incident(1, CLOSED))
    assert found.likeness == 1.0
    assert found.parts == {"fault": 1.0, "subject": 1.0, "alarms": 1.0, "side": 1.0}
    assert (found.remedy, found.state) == ("rollback_code", "closed")


@pytest.mark.parametrize(
    ("told", "findings", "parts"),
    [
        ({"fault": "feature_code"}, "a", {"fault": 0.5}),
        ({"fault": "unit"}, "a", {"fault": 0.0}),
        ({"subject": "raw"}, "a", {"subject": 0.5}),
        ({"subject": "predictions"}, "a", {"subject": 0.333}),
        ({"subject": "elsewhere"}, "a", {"subject": 0.0}),
        ({}, "ab", {"alarms": 0.5}),
        ({}, "b", {"alarms": 0.0}),
        ({"side": "ml"}, "a", {"side": 0.0}),
    ],
)
def test_likeness_is_the_weighted_mean_of_its_parts(told, findings, parts):
    (found,) = likest(incident(2), incident(1, CLOSED, findings, **told))
    whole = {"fault": 1.0, "subject": 1.0, "alarms": 1.0, "side": 1.0} | parts
    assert found.parts == whole
    expected = sum(WEIGHTS[name] * value for name, value in whole.items()) / sum(WEIGHTS.values())
    assert found.likeness == pytest.approx(expected, abs=1e-3)


def test_the_likest_come_first_and_no_more_than_a_few():
    others = [incident(number, CLOSED, fault="unit") for number in range(1, 6)] + [incident(6, CLOSED)]
    found = likest(incident(7), *others)
    assert [item.incident for item in found] == ["incident:x/6", "incident:x/1", "incident:x/2"]
    assert len(found) == MOST


def test_what_is_not_alike_later_or_not_judged_teaches_nothing():
    strange = incident(1, CLOSED, "z", subject="elsewhere", fault="unit", side="ml")
    unknown = incident(1, ("open", "triaging", "verdict"), status="undetermined", fault="undetermined")
    merged = replace(incident(1), state="merged")
    assert likest(incident(2), strange, unknown, merged, incident(4), replace(incident(1), verdict=None)) == []
    assert LEAST > 0


def test_a_world_is_like_a_world():
    (found,) = likest(incident(2, status="world", fault="concept", side="ml"),
                      incident(1, CLOSED, status="world", fault="covariate", side="ml"))  # fmt: skip
    assert found.parts["fault"] == 0.5 and found.parts["subject"] == 1.0


# --- whether it held --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (CLOSED, True),
        (("open", "triaging", "verdict", "remedied", "triaging", "verdict"), False),
        (("open", "triaging", "verdict", "remedied", "verifying", "triaging"), False),
        (("open", "triaging", "verdict", "remedied"), None),
        (("open", "triaging", "verdict"), None),
    ],
)
def test_what_was_done_held_or_did_not(states, expected):
    made = incident(1, states)
    assert held(made, [made]) is expected


def test_what_came_back_did_not_hold():
    first = incident(1, CLOSED)
    assert held(first, [first, incident(2, subject="raw")]) is True
    assert held(first, [first, incident(2)]) is False
    (found,) = likest(incident(2), first)
    assert found.held is False
