"""Alarms collapse by lineage: one incident per upstream-most subject, whatever alarms when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from headwater.core.ports import Record
from headwater.core.records import Finding, Verdict
from headwater.triage.collapsing import admitted, collapse, placed
from headwater.triage.incidents import MOVES, Incident, Incidents, move

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
DAY = "2024-03-01"


def finding(subject: str, metric: str = "rows", **more: object) -> Finding:
    facts = {"monitor": "structure", "window": DAY, "severity": "alarm", "score": 3.0, "time": NOW, **more}
    return Finding(subject=subject, metric=metric, **facts)  # type: ignore[arg-type]


PARENTS = {"raw": (), "weather": (), "orders": ("raw",), "joined": ("orders", "weather"), "served": ("joined",)}


def ancestors(subject: str, parents: dict[str, tuple[str, ...]] = PARENTS) -> set[str]:
    found: set[str] = set()
    todo = list(parents[subject])
    while todo:
        if (step := todo.pop()) not in found:
            found.add(step)
            todo.extend(parents[step])
    return found


def grouped(*subjects: str) -> dict[str, list[str]]:
    return {root: [item.subject for item in items] for root, items in collapse(list(map(finding, subjects)), ancestors)}


def test_alarms_join_the_upstream_most_of_them():
    assert grouped("served", "orders", "joined") == {"orders": ["served", "orders", "joined"]}
    assert grouped("weather", "raw") == {"weather": ["weather"], "raw": ["raw"]}
    assert grouped("served", "raw", "raw") == {"raw": ["served", "raw", "raw"]}
    assert grouped() == {}


def test_what_lies_below_two_roots_joins_one_of_them():
    found = grouped("weather", "raw", "joined", "orders")
    assert found == {"weather": ["weather", "joined"], "raw": ["raw", "orders"]}


def test_tables_that_feed_each_other_in_a_circle_are_one_group():
    """Predictions that become features: the lineage of real events may close a circle."""
    circle = {"a": ("b",), "b": ("c",), "c": ("a",), "d": ("c",)}
    found = collapse([finding("b"), finding("d"), finding("c")], lambda subject: ancestors(subject, circle))
    assert [(root, [item.subject for item in items]) for root, items in found] == [("b", ["b", "d", "c"])]


@st.composite
def graphs(draw, largest=7):
    names = [f"t{number}" for number in range(draw(st.integers(1, largest)))]
    return {
        name: tuple(draw(st.sets(st.sampled_from(names[:place]), max_size=2))) if place else ()
        for place, name in enumerate(names)
    }


@st.composite
def alarms(draw):
    parents = draw(graphs())
    names = sorted(parents)
    return parents, draw(st.lists(st.sampled_from(names), min_size=1, max_size=8))


@settings(max_examples=100, deadline=None)
@given(alarms())
def test_every_alarm_is_in_one_group_below_its_root(drawn):
    parents, subjects = drawn
    findings = [finding(subject, str(place)) for place, subject in enumerate(subjects)]
    groups = collapse(findings, lambda subject: ancestors(subject, parents))
    assert sorted(item.metric for _, items in groups for item in items) == sorted(item.metric for item in findings)
    roots = [root for root, _ in groups]
    for root, items in groups:
        assert not ancestors(root, parents) & set(subjects)
        assert root in [item.subject for item in items]
        assert all(item.subject == root or root in ancestors(item.subject, parents) for item in items)
    assert len(roots) == len(set(roots))
    assert {item for item in subjects if not ancestors(item, parents) & set(subjects)} == set(roots)


# --- incidents over time ----------------------------------------------------------------------------------------------
def named(subject: str) -> Verdict:
    return Verdict(
        incident="incident:shop/1", status="named", subject=subject, fault="unit", side="data", owner="desk",
        confidence=0.9, text="it failed", start_window=DAY, window=DAY, suspects=(), chain=(), effect=None,
        remedy=None, prevention=None, next_test="", time=NOW,
    )  # fmt: skip


def recorded(incidents: Incidents, entries) -> None:
    for made in entries:
        incidents.add(Record(1, "id", made.kind, made.subject, made.body, made.time, "hash"))


def after(parents, batches) -> Incidents:
    """Let windows of alarms come one after another."""
    incidents = Incidents()
    for number, subjects in enumerate(batches):
        findings = [finding(subject, f"{number}.{place}") for place, subject in enumerate(subjects)]
        for root, group in collapse(findings, lambda subject: ancestors(subject, parents)):
            name, entries = admitted(
                root, group, incidents, lambda subject: ancestors(subject, parents), incidents.next_id("shop"), DAY, NOW
            )
            recorded(incidents, entries)
            assert incidents.get(name).active
    return incidents


def roots_of(incidents: Incidents) -> dict[str, list[str]]:
    return {item.subject: sorted(item.subjects) for item in incidents.active()}


def test_two_causes_are_two_incidents_even_where_they_flow_together():
    assert roots_of(after(PARENTS, [["raw", "joined"], ["weather"]])) == {
        "raw": ["joined", "raw"],
        "weather": ["weather"],
    }


def test_what_alarms_later_below_joins_what_is_there():
    assert roots_of(after(PARENTS, [["orders"], ["served"], ["joined", "orders"]])) == {
        "orders": ["joined", "orders", "served"]
    }


def test_a_late_alarm_further_up_moves_the_incident_there():
    incidents = after(PARENTS, [["served"], ["orders"], ["raw"]])
    assert roots_of(incidents) == {"raw": ["orders", "raw", "served"]}
    notes = [item["note"] for item in incidents.get("1").timeline]
    assert [note for note in notes if "upstream" in note] == [
        "orders is upstream of served and alarmed too", "raw is upstream of orders and alarmed too",
    ]  # fmt: skip


def test_an_alarm_above_two_incidents_makes_them_one():
    parents = {"raw": (), "a": ("raw",), "b": ("raw",)}
    incidents = after(parents, [["a"], ["b"], ["raw"]])
    assert roots_of(incidents) == {"raw": ["a", "b", "raw"]}
    assert incidents.get("2") is incidents.get("1"), "who asks for the second is told of the first"
    assert len(incidents.get("1").findings) == 3
    assert [item.id for item in incidents.all()] == ["incident:shop/1"]
    assert incidents.next_id("shop") == "incident:shop/3", "a number is given once"
    assert "incident:shop/2 is the same: raw is upstream of both" in [
        item["note"] for item in incidents.get("1").timeline
    ]


@pytest.mark.parametrize("state", ["remedied", "verifying"])
def test_what_was_remedied_is_verified_before_it_moves(state):
    incidents = after(PARENTS, [["orders"]])
    for step in ("triaging", "verdict", "remedied", *(["verifying"] if state == "verifying" else [])):
        recorded(incidents, [move(incidents.get("1"), step, DAY, NOW)])
    found, same = placed("raw", incidents.active(), ancestors)
    assert (found, same) == (incidents.get("1"), ())
    name, entries = admitted("raw", [finding("raw")], incidents, ancestors, "incident:shop/2", DAY, NOW)
    recorded(incidents, entries)
    assert (name, incidents.get("1").subject, incidents.get("1").state) == ("incident:shop/1", "orders", state)


@settings(max_examples=400, deadline=None)
@given(graphs(), st.data())
def test_there_is_one_incident_for_each_upstream_most_subject(parents, data):
    names = sorted(parents)
    batches = data.draw(st.lists(st.lists(st.sampled_from(names), min_size=1, max_size=4), min_size=1, max_size=5))
    incidents = after(parents, batches)
    alarmed = {subject for batch in batches for subject in batch}
    highest = {subject for subject in alarmed if not ancestors(subject, parents) & alarmed}
    event(f"{len(highest)} roots")
    active = incidents.active()
    assert {item.subject for item in active} == highest
    assert len(active) == len(highest), "one each"
    findings = [found for item in active for found in item.findings]
    assert len(findings) == len(set(findings)) == sum(map(len, batches)), "every alarm is in one incident"
    assert {subject for item in active for subject in item.subjects} == alarmed
    for item in active:
        below = {subject for subject in alarmed if item.subject in ancestors(subject, parents)} | {item.subject}
        assert set(item.subjects) <= below, "an incident holds its root and what lies below"


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_incidents_in_any_state_take_every_alarm_and_none_is_in_two(parents, data):
    names = sorted(parents)
    incidents, count = Incidents(), 0
    for number in range(data.draw(st.integers(1, 6))):
        subjects = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        count += len(subjects)
        findings = [finding(subject, f"{number}.{place}") for place, subject in enumerate(subjects)]
        for root, group in collapse(findings, lambda subject: ancestors(subject, parents)):
            name = incidents.next_id("shop")
            recorded(
                incidents, admitted(root, group, incidents, lambda one: ancestors(one, parents), name, DAY, NOW)[1]
            )
        for incident in incidents.active():
            steps = [*sorted(MOVES[incident.state] - {"closed", "merged"}), incident.state]
            recorded(incidents, [move(incident, data.draw(st.sampled_from(steps)), DAY, NOW)])
    found = [item for incident in incidents.all() for item in incident.findings]
    assert len(found) == len(set(found)) == count
    roots = [incident.subject for incident in incidents.active()]
    assert len(roots) == len(set(roots))


def test_alarms_below_a_named_culprit_belong_to_it_though_it_did_not_alarm_itself():
    parents = {"raw": (), "a": ("raw",), "b": ("raw",)}
    unnamed = Incident("incident:shop/1", "verdict", "a", DAY, NOW)
    blamed = replace(unnamed, verdict=named("raw"))
    assert placed("b", [blamed], lambda one: ancestors(one, parents)) == (blamed, ())
    assert placed("b", [unnamed], lambda one: ancestors(one, parents)) == (None, ())
