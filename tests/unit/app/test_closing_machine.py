"""Signing and closing from every state, with every combination of signatures, verification and dispute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from headwater.app.closing import close, sign
from headwater.app.line import Line
from headwater.app.wiring import embedded
from headwater.core.clock import SimulatedClock
from headwater.core.errors import IncidentError
from headwater.core.project import Project
from headwater.core.records import Remedy, Signoff, Suspect, Verdict
from headwater.testing.memory_ledger import MemoryLedger
from headwater.triage.incidents import MOVES, Incident, State, opening

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
NAME, DAY = "incident:shop/1", "2024-03-01"
STATES: tuple[State, ...] = get_args(State)
SIGNED = ("none", "agrees", "disagrees", "agreed to the verdict before")
PEOPLE = {"data": "ann", "ml": "bob"}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder: Path = tmp_path_factory.mktemp("state")
    project = Project("shop")
    project.source(lambda window: None, name="orders")
    made = Line(project, replace(embedded(folder, SimulatedClock(NOW)), ledger=MemoryLedger()), None)
    made.record([opening(NAME, [], "dataset:shop/orders", DAY, NOW)])
    made.state.runs[DAY] = "COMPLETE"
    return made


def verdict(text: str) -> Verdict:
    suspect = Suspect(subject="dataset:shop/orders", fault="unit", side="data", owner="desk", probability=0.8,
                      exonerated=False, reason="", numbers={})  # fmt: skip
    return Verdict(
        incident=NAME, status="world", subject="", fault="world", side="ml", owner="", confidence=0.9, text=text,
        start_window=DAY, window=DAY, suspects=(suspect,), chain=(), effect=None,
        remedy=Remedy(action="hold", target="dataset:shop/orders"), prevention=None, next_test="", time=NOW,
    )  # fmt: skip


BEFORE, PRESENT = verdict("before"), verdict("present")


def signoff(side: str, signed: str, owner: str) -> Signoff:
    about = BEFORE if "before" in signed else PRESENT
    return Signoff(
        incident=NAME, side=side, by=PEOPLE[side], evidence_hash=about.evidence_hash,  # type: ignore[arg-type]
        agrees=signed != "disagrees", reason="", prevention_owner=owner, time=NOW,
    )  # fmt: skip


def standing(line: Line) -> Iterator[Incident]:
    """Every incident there can be: state, verdict, verified, and what each side said last."""
    opened = line.state.incidents.get(NAME)
    for state, judged, verified, data, ml, owner in product(
        STATES, (None, PRESENT), (False, True), SIGNED, SIGNED, ("", "ann")
    ):
        signed = {side: signoff(side, told, owner if side == "data" else "")
                  for side, told in (("data", data), ("ml", ml)) if told != "none"}  # fmt: skip
        yield replace(opened, state=state, verdict=judged, verified=verified, signoffs=signed)


def put(line: Line, incident: Incident) -> None:
    line.services.clock.move_to(line.services.clock.now() + timedelta(seconds=1))  # the ledger keeps no entry twice
    line.state.incidents._found[NAME] = incident


def may_close(incident: Incident) -> bool:
    """What closing takes, said once more without the code under test."""
    signed = incident.signoffs or {}
    return (
        incident.state == "verifying"
        and incident.verified
        and incident.verdict is not None
        and set(signed) == {"data", "ml"}
        and all(item.agrees and item.evidence_hash == incident.verdict.id for item in signed.values())
        and {item.prevention_owner for item in signed.values()} - {""} == {"ann"}
    )


def test_closing_is_refused_everywhere_but_where_both_keys_agree_on_what_is_verified(line: Line) -> None:
    tried = closed = 0
    for incident in standing(line):
        put(line, incident)
        tried += 1
        try:
            close(line, incident, "ann")
        except IncidentError as error:
            assert not may_close(incident)
            assert error.hint
            assert line.state.incidents.get(NAME).state == incident.state
        else:
            assert may_close(incident)
            assert line.state.incidents.get(NAME).state == "closed"
            closed += 1
    assert (tried, closed) == (8 * 2 * 2 * 4 * 4 * 2, 1)


@pytest.mark.parametrize("disagree", [None, "the feed was late"])
def test_no_signature_closes_and_a_disagreement_disputes_or_is_refused(line: Line, disagree: str | None) -> None:
    for incident in standing(line):
        for side in ("data", "ml"):
            put(line, replace(incident, signoffs={**incident.signoffs, side: signoff(side, "agrees", "")}))
            try:
                answer = sign(line, line.state.incidents.get(NAME), side, PEOPLE[side], disagree, None)
            except IncidentError as error:
                left = line.state.incidents.get(NAME).state
                assert error.hint or "is closed" in error.message
                assert left == incident.state
                unsigned = incident.verdict is None or not incident.active
                assert unsigned or "disputed" not in MOVES[incident.state]
                continue
            after = line.state.incidents.get(NAME)
            assert after.verdict == incident.verdict is not None
            if disagree is None:
                assert after.state == incident.state != "closed"
                assert answer["next_test"] == after.next_test
            else:
                assert after.state == "disputed"
                assert answer["next_test"].startswith("`orders` failed if window 2024-03-01 comes with other rows")
                assert not may_close(after)
                with pytest.raises(IncidentError):
                    close(line, after, "ann")


def test_a_dispute_is_left_only_by_a_verdict_or_another_incident() -> None:
    assert MOVES["disputed"] == {"triaging", "merged"}
    assert all("closed" not in following for state, following in MOVES.items() if state != "verifying")
