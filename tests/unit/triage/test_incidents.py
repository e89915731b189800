"""The life of an incident: every reachable state is visited, and none is closed without what closing takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from headwater.core.errors import IncidentError, UnknownName
from headwater.core.ports import Entry, Record
from headwater.core.records import Finding, Remedy, Signoff, Verdict
from headwater.testing.memory_ledger import MemoryLedger
from headwater.triage.incidents import MOVES, Incident, Incidents, State, closing, move, opening

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
NAME, DAY = "incident:shop/1", "2024-03-01"
STATES: tuple[State, ...] = get_args(State)


def finding(subject: str, metric: str = "rows", **more: object) -> Finding:
    facts = {"monitor": "structure", "window": DAY, "severity": "alarm", "score": 3.0, "time": NOW, **more}
    return Finding(subject=subject, metric=metric, **facts)  # type: ignore[arg-type]


def verdict(text: str = "orders failed", incident: str = NAME) -> Verdict:
    return Verdict(
        incident=incident, status="named", subject="dataset:shop/orders", fault="transform_code", side="data",
        owner="desk", confidence=0.9, text=text, start_window=DAY, window=DAY, suspects=(), chain=(), effect=None,
        remedy=Remedy(action="hold", target="dataset:shop/orders"), prevention=None, next_test="", time=NOW,
    )  # fmt: skip


FIRST, SECOND = verdict("first"), verdict("second")


def signoff(side: str, made: Verdict = FIRST, agrees: bool = True, owner: str = "", by: str = "") -> Signoff:
    return Signoff(
        incident=made.incident, side=side, by=by or f"{side}-person", evidence_hash=made.evidence_hash,  # type: ignore[arg-type]
        agrees=agrees, reason="" if agrees else "no", prevention_owner=owner, time=NOW,
    )  # fmt: skip


def entry(record: Verdict | Signoff) -> Entry:
    return Entry(record.kind, record.incident, record.body(), NOW)


def folded(incident: Incident, made: Entry) -> Incident:
    """Fold one ledger entry into an incident as it stands."""
    incidents = Incidents()
    incidents._found[incident.id] = incident
    incidents.add(Record(1, "id", made.kind, made.subject, made.body, made.time, "hash"))
    return incidents.get(incident.id)


def opened() -> Incident:
    made = opening(NAME, [finding("dataset:shop/orders")], "dataset:shop/orders", DAY, NOW)
    incidents = Incidents([Record(1, "id", made.kind, made.subject, made.body, made.time, "hash")])
    return incidents.get(NAME)


# --- the whole machine ------------------------------------------------------------------------------------------------
RECORDS = [
    *(entry(made) for made in (FIRST, SECOND)),
    *(entry(signoff("data", made, owner=owner)) for made in (FIRST, SECOND) for owner in ("", "ann")),
    *(entry(signoff("ml", made, owner=owner)) for made in (FIRST, SECOND) for owner in ("", "ann", "bob")),
    *(entry(signoff(side, agrees=False, owner="ann")) for side in ("data", "ml")),
]
"""Everything that can be recorded about an incident besides its transitions."""


def essence(incident: Incident) -> tuple[object, ...]:
    """What decides about an incident's future."""
    signed = incident.signoffs or {}
    sides = ((s.agrees, s.evidence_hash, s.prevention_owner) if (s := signed.get(n)) else None for n in ("data", "ml"))
    return incident.state, incident.verified, incident.verdict and incident.verdict.evidence_hash, *sides


def steps(incident: Incident) -> Iterator[tuple[str, Incident]]:
    """Everything that can happen to an incident next: each transition, with and without verification, and record."""
    for state in STATES:
        for more in ({}, {"verified": True}) if state == "verifying" else ({},):
            try:
                made = move(incident, state, DAY, NOW, **more)
            except IncidentError:
                continue
            yield f"to {state}", folded(incident, made)
    for made in RECORDS:
        yield made.kind, folded(incident, made)


@pytest.fixture(scope="module")
def machine() -> list[tuple[Incident, str, Incident]]:
    """Every step from every reachable state: the search ends because the states are finitely many."""
    start = opened()
    seen, waiting, found = {essence(start)}, [start], []
    while waiting:
        incident = waiting.pop()
        for what, after in steps(incident):
            after = replace(after, timeline=(), findings=(), subjects=())
            found.append((incident, what, after))
            if essence(after) not in seen:
                seen.add(essence(after))
                waiting.append(after)
    return found


def ready(incident: Incident) -> bool:
    """What closing takes, said once more and without the code under test."""
    signed = incident.signoffs or {}
    if incident.state != "verifying" or not incident.verified or incident.verdict is None or len(signed) < 2:
        return False
    current = {item.evidence_hash for item in signed.values()} == {incident.verdict.id}
    owners = {item.prevention_owner for item in signed.values()} - {""}
    return current and all(item.agrees for item in signed.values()) and len(owners) == 1


def test_every_state_is_reached(machine):
    assert {after.state for _, _, after in machine} >= set(STATES) - {"open"}
    assert len({essence(incident) for incident, _, _ in machine}) > 500


def test_no_route_leads_to_closed_but_the_one(machine):
    closings = [incident for incident, _, after in machine if after.state == "closed" != incident.state]
    assert closings
    assert all(ready(incident) for incident in closings)


def test_whatever_has_all_it_takes_can_be_closed(machine):
    closed = {essence(incident) for incident, what, _ in machine if what == "to closed"}
    assert closed == {essence(incident) for incident, _, _ in machine if ready(incident)}


def test_transitions_are_those_of_the_table_and_records_move_nothing(machine):
    for incident, what, after in machine:
        if what.startswith("to "):
            assert what == f"to {after.state}"
            assert after.state == incident.state or after.state in MOVES[incident.state]
        else:
            assert after.state == incident.state


def test_nothing_leads_out_of_closed(machine):
    assert MOVES["closed"] == frozenset()
    assert all(after.state == "closed" for incident, _, after in machine if incident.state == "closed")


def test_nothing_leads_out_of_merged_and_nothing_that_was_done_about_gets_there(machine):
    assert all(after.state == "merged" for incident, _, after in machine if incident.state == "merged")
    before = {incident.state for incident, _, after in machine if after.state == "merged" != incident.state}
    assert before == {"open", "triaging", "verdict", "disputed"}


def test_closed_is_entered_from_verifying_alone():
    assert [state for state, following in MOVES.items() if "closed" in following] == ["verifying"]


def test_a_dispute_leads_back_to_triage(machine):
    left = {after.state for incident, _, after in machine if incident.state == "disputed"} - {"disputed"}
    assert left == {"triaging", "merged"}, "or it turns out to be another incident"


def test_a_verdict_voids_every_signature_and_nothing_else_does(machine):
    for incident, what, after in machine:
        if what == "verdict":
            assert after.signoffs == {}
        else:
            assert set(after.signoffs or {}) >= set(incident.signoffs or {})


def test_verification_ends_when_triage_begins_anew(machine):
    for incident, what, after in machine:
        if what.startswith("to ") and after.state not in ("verifying", "closed"):
            assert not after.verified
        if incident.verified != after.verified and after.verified:
            assert what == "to verifying"


# --- refusals are said ------------------------------------------------------------------------------------------------
def standing(**changes: object) -> Incident:
    whole: dict[str, object] = {
        "state": "verifying", "verified": True, "verdict": FIRST,
        "signoffs": {"data": signoff("data", owner="ann"), "ml": signoff("ml")},
    }  # fmt: skip
    return replace(opened(), **{**whole, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [state for state in STATES if state != "verifying"])
def test_closing_asks_for_the_state(state):
    with pytest.raises(IncidentError, match=f"is in state `{state}`, not verified"):
        closing(standing(state=state))


def test_closing_what_is_closed_asks_for_no_remedy():
    with pytest.raises(IncidentError, match="is in state `closed`") as told:
        closing(standing(state="closed"))
    assert "remedy" not in str(told.value.hint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verified": False}, "not verified on fresh data"),
        ({"verdict": None}, "not verified"),
        ({"signoffs": {}}, "misses the signature of the data side"),
        ({"signoffs": None}, "misses the signature of the data side"),
        ({"signoffs": {"data": signoff("data", owner="ann")}}, "misses the signature of the ml side"),
        ({"signoffs": {"data": signoff("data", owner="ann"), "ml": signoff("ml", agrees=False)}}, "of the ml side"),
        ({"verdict": SECOND}, "the data side signed other evidence"),
        ({"signoffs": {"data": signoff("data"), "ml": signoff("ml", SECOND, owner="ann")}}, "the ml side signed other"),
        ({"signoffs": {"data": signoff("data"), "ml": signoff("ml")}}, "no owner of the prevention work"),
        (
            {"signoffs": {"data": signoff("data", owner="ann"), "ml": signoff("ml", owner="bob")}},
            "different owners of the prevention work: ann, bob",
        ),
    ],
)
def test_closing_says_what_is_missing(changes, said):
    with pytest.raises(IncidentError, match=said) as told:
        closing(standing(**changes))
    assert told.value.hint
    with pytest.raises(IncidentError):
        move(standing(**changes), "closed", DAY, NOW)


def test_closing_returns_both_signatures():
    assert [item.side for item in closing(standing())] == ["data", "ml"]
    agreed = {"data": signoff("data", owner="ann"), "ml": signoff("ml", owner="ann")}
    assert len(closing(standing(signoffs=agreed))) == 2


def test_a_move_that_is_not_in_the_table_names_those_that_are():
    with pytest.raises(IncidentError, match="is open and cannot become closed") as told:
        move(opened(), "closed", DAY, NOW)
    assert told.value.hint == "from open it can become merged, triaging"
    with pytest.raises(IncidentError) as told:
        move(standing(state="closed"), "triaging", DAY, NOW)
    assert "nothing more" in told.value.hint


# --- folding ----------------------------------------------------------------------------------------------------------
def life() -> list[Entry]:
    """A whole life, with a dispute in it."""
    ledger, incidents = MemoryLedger(), Incidents()
    minute = iter(range(100))

    def say(made: Entry) -> None:
        for record in ledger.append([replace(made, time=NOW + timedelta(minutes=next(minute)))]):
            incidents.add(record)

    def go(state: State, **more: object) -> None:
        say(move(incidents.get(NAME), state, DAY, NOW, **more))

    say(opening(NAME, [finding("dataset:shop/orders")], "dataset:shop/orders", DAY, NOW))
    for made in (FIRST, SECOND):
        go("triaging", findings=[finding("dataset:shop/features")])
        say(entry(made))
        go("verdict", note="said")
        if made is FIRST:
            say(entry(signoff("data", made, agrees=False)))
            go("disputed", by="data-person")
    say(Entry("remedy", NAME, {**SECOND.remedy.body(), "incident": NAME, "state": "planned"}, NOW))
    assert incidents.get(NAME).remedy is None
    say(Entry("remedy", NAME, {**SECOND.remedy.body(), "incident": NAME, "state": "applied"}, NOW))
    go("remedied")
    go("verifying", verified=True)
    say(entry(signoff("data", SECOND, owner="ann")))
    say(entry(signoff("ml", SECOND)))
    go("closed")
    return list(ledger.read())  # type: ignore[arg-type]


def test_a_life_is_folded_from_its_records():
    found = Incidents(life()).get(NAME)
    assert (found.state, found.verified, found.active) == ("closed", True, False)
    assert [line["state"] for line in found.timeline] == [
        "open", "triaging", "verdict", "disputed", "triaging", "verdict", "remedied", "verifying", "closed",
    ]  # fmt: skip
    assert found.subjects == ("dataset:shop/orders", "dataset:shop/features")
    assert found.verdict == SECOND
    assert found.remedy == SECOND.remedy
    assert set(found.signoffs) == {"data", "ml"}
    assert found.opened == NOW
    assert found.timeline[3]["by"] == "data-person"


def test_folding_is_the_same_at_once_and_one_by_one_and_leaves_the_records_alone():
    records = life()
    bodies = [dict(record.body) for record in records]
    whole, slowly = Incidents(records), Incidents()
    for record in records:
        slowly.add(record)
    assert whole.all() == slowly.all() == Incidents(records).all()
    assert [dict(record.body) for record in records] == bodies
    assert whole.get(NAME).as_dict() == slowly.get(NAME).as_dict()


def test_records_about_nothing_known_are_passed_over():
    other = replace(verdict(), incident="incident:shop/9")
    records = [Record(1, "i", made.kind, made.subject, made.body, NOW, "h") for made in (
        entry(other), Entry("evidence", "x", {}, NOW), Entry("signoff", "x", signoff("ml", other).body(), NOW),
    )]  # fmt: skip
    assert Incidents(records).all() == []


def test_incidents_are_found_by_reference_or_number():
    incidents = Incidents(life())
    assert incidents.get(NAME) is incidents.get("1")
    assert incidents.next_id("shop") == "incident:shop/2"
    assert incidents.active() == []
    for wrong in ("2", "incident:shop/2", ""):
        with pytest.raises(UnknownName) as told:
            incidents.get(wrong)
        assert "headwater incidents" in told.value.hint
