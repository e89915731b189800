"""The web shop through the whole line: every planted fault to its verdict, and a quiet world that stays quiet."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.app.closing import cleared
from headwater.core.errors import IncidentError
from headwater.testing import webshop
from headwater.testing.webshop import FAULTS, ShopFault
from line.shop import Live

QUIET_HOURS = 72
PEOPLE = {"data": "dana", "ml": "milo"}


def planted(live: Live, fault: ShopFault) -> tuple[dict[str, Any], Any]:
    healthy = fault.plant(live.project)
    return live.run(), healthy


def only_incident(live: Live) -> dict[str, Any]:
    (incident,) = live.workspace.incidents()
    return incident


def subjects(fault: ShopFault) -> set[str]:
    """What may be named: the asset; for scoring code also the deployment that runs it."""
    return {f"dataset:shop/{fault.asset}"} | (
        {"deployment:shop/refund"} if fault.asset == "refund_predictions" else set()
    )


def remedied(live: Live, fault: ShopFault, healthy: Any) -> None:
    """Carry out the remedy; where that is to hold, the owner mends the feed and delivers again."""
    incident = only_incident(live)
    name, remedy = incident["incident"], incident["verdict"]["remedy"]
    records = live.workspace.audit()["records"]
    said = live.workspace.remedy(name)
    assert live.workspace.audit()["records"] == records, "a dry run writes nothing"
    done = live.workspace.remedy(name, apply=True, by=PEOPLE[fault.side])
    assert (said["rewrites"], said["windows"]) == (done["rewrites"], done["windows"])
    assert not {"refund_served", "refund_predictions"} & set(done["rewrites"]["datasets"]), "what was decided stays"
    if remedy["action"] == "hold":
        assert live.workspace.quarantine_list()
        live.project.replace(fault.asset, healthy)
        live.workspace.backfill(fault.asset, remedy["windows"][0], remedy["windows"][-1])
        assert not live.workspace.quarantine_list()


def closed(live: Live, name: str) -> dict[str, Any]:
    with pytest.raises(IncidentError):
        live.workspace.close(name, by="dana")
    live.workspace.sign(name, "data", "dana", prevention_owner="dana")
    with pytest.raises(IncidentError):
        live.workspace.close(name, by="dana")
    live.workspace.sign(name, "ml", "milo")
    return live.workspace.close(name, by="dana")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_named_in_its_first_hour_and_its_incident_closed(fault: ShopFault, live: Live) -> None:
    report, healthy = planted(live, fault)
    assert [verdict["status"] for verdict in report["verdicts"]] == ["named"], report["alarms"]
    verdict = only_incident(live)["verdict"]
    assert verdict["subject"] in subjects(fault)
    assert verdict["side"] == fault.side
    assert verdict["remedy"]["action"] in fault.remedies
    assert verdict["suspects"][0]["subject"] == verdict["subject"] and verdict["confidence"] > 0.5
    assert verdict["chain"] and verdict["chain"][0]["subject"] == verdict["subject"]

    remedied(live, fault, healthy)
    report = live.run()
    assert not report["alarms"] and not report["failed"]
    incident = only_incident(live)
    assert (incident["state"], incident["verified"]) == ("verifying", True)
    answer = closed(live, incident["incident"])
    assert answer["state"] == "closed" and answer["prevention"]["name"]
    assert live.workspace.incidents() == []


def state(live: Live) -> dict[str, Any]:
    """Everything that is true now, as its readers see it."""
    workspace, folded = live.workspace, live.workspace.line.state
    return {
        "incidents": workspace.incidents(all=True),
        "why": workspace.why("model:shop/refund"),
        "quarantine": workspace.quarantine_list(),
        "datasets": workspace.datasets(),
        "trace": workspace.trace("model:shop/refund@champion"),
        "accepted": folded.accepted,
        "runs": folded.runs,
        "pins": folded.pins,
        "repairs": folded.repairs,
        "evidence": {key: found for key, found in folded.evidence.items() if found},
        "findings": {key: found for key, found in folded.findings.items() if found},
    }


def test_another_process_finds_everything_as_it_was_and_goes_on(live: Live) -> None:
    """The faulty code is still deployed there, and the accepted code stays in force."""
    planted(live, FAULTS["discount_percent"])
    live.workspace.remedy(only_incident(live)["incident"], apply=True, by="milo")
    live.workspace.quarantine_add("raw_orders", "2024-01-06T00", "2024-01-06T05", reason="a trial")
    again = Live(live.folder, live.hour.key)
    assert state(again) == state(live)
    FAULTS["discount_percent"].plant(again.project)
    assert not again.run()["alarms"]
    (incident,) = again.workspace.incidents()
    assert incident["state"] == "verifying"


def test_a_quiet_world_blames_nobody(live: Live) -> None:
    """Three days with a promotion that history has never seen and a harmless rewrite."""
    blamed = []
    for hour in range(QUIET_HOURS):
        if hour == 9:
            live.project.replace("basket", webshop.refactored_basket)
        report = live.run()
        assert not report["failed"]
        blamed += [verdict for verdict in report["verdicts"] if verdict["status"] == "named"]
    assert blamed == []
    incidents = live.workspace.incidents(all=True)
    assert len(incidents) <= 1 and all(incident["verdict"]["status"] == "world" for incident in incidents)
    assert [item["subject"] for item in cleared(live.workspace.line)] == ["dataset:shop/basket"]


@pytest.mark.parametrize(
    "pair",
    [
        ("basket_join_inner", "served_default_zero"),
        ("amount_in_cents", "history_window"),
        ("catalogue_truncated", "label_definition"),
        ("discount_percent", "batch_misaligned"),
    ],
)
def test_two_faults_at_once_are_two_incidents_that_name_them(pair: tuple[str, str], live: Live) -> None:
    faults = [FAULTS[name] for name in pair]
    for fault in faults:
        fault.plant(live.project)
    live.run()
    if len(live.workspace.incidents()) < 2:
        live.run()
    incidents = live.workspace.incidents()
    named = [incident["verdict"]["subject"] for incident in incidents]
    assert len(named) == 2, incidents
    assert all(any(subject in subjects(fault) for subject in named) for fault in faults), named
    for incident in incidents:
        first = [item["subject"] for item in incident["verdict"]["suspects"][:3]]
        assert all(any(subject in subjects(fault) for subject in first) for fault in faults), first
        assert incident["verdict"]["confidence"] > 0.5
