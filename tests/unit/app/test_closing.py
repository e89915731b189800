"""Two people, one piece of evidence: signatures, disagreement, and the end of an incident."""

from dataclasses import replace

import pytest

from headwater.app.closing import close
from headwater.core.errors import IncidentError, UsageError
from unit.app.conftest import remedied, signed


def refused(action, said, error=IncidentError):
    with pytest.raises(error, match=said) as told:
        action()
    return told.value


def test_an_incident_is_closed_by_two_people_over_one_evidence(recoded, closed):
    done = closed(recoded, 4)
    assert (done["state"], done["signed"], done["prevention_owner"]) == ("closed", {"data": "ann", "ml": "bob"}, "ann")
    assert done["evidence_hash"] == recoded.workspace.why("1")["evidence_hash"]
    assert recoded.workspace.incidents() == []
    assert recoded.workspace.why("1")["written"] == done["prevention"] != {}
    states = [line["state"] for line in recoded.only(all=True)["timeline"]]
    assert states == ["open", "triaging", "verdict", "remedied", "verifying", "closed"]


def test_what_is_signed_is_the_verdict(recoded):
    shown = recoded.workspace.why("1")
    answer = recoded.workspace.sign("1", "data", "ann")
    assert answer["evidence_hash"] == shown["evidence_hash"]
    assert answer["agrees"] is True


@pytest.mark.parametrize("name", ["ann", " ann", "ann ", "Ann", "ANN"])
def test_one_person_cannot_sign_for_both_sides(recoded, name):
    recoded.workspace.sign("1", "data", "ann")
    refused(lambda: recoded.workspace.sign("1", "ml", name), "signed for the data side already")
    recoded.workspace.sign("1", "ml", "bob")
    refused(lambda: recoded.workspace.sign("1", "data", "bob"), "signed for the ml side already")
    recoded.workspace.sign("1", "data", "ann", prevention_owner="ann")  # signing again for the same side is fine


@pytest.mark.parametrize("name", ["", "  ", "\t"])
def test_a_signature_needs_a_name(recoded, name):
    refused(lambda: recoded.workspace.sign("1", "data", name), "needs a name", UsageError)


def test_there_are_two_sides(recoded):
    refused(lambda: recoded.workspace.sign("1", "ops", "ann"), "`ops` is not a side", UsageError)  # type: ignore[arg-type]


def test_closing_waits_for_everything(recoded):
    close = lambda: recoded.workspace.close("1", "ann")  # noqa: E731
    refused(close, "is in state `verdict`, not verified")
    recoded.wait(minutes=1)
    recoded.workspace.remedy("1", apply=True, by="ann")
    refused(close, "is in state `remedied`, not verified")
    recoded.run(4)
    refused(close, "misses the signature of the data side")
    recoded.workspace.sign("1", "data", "ann")
    refused(close, "misses the signature of the ml side")
    recoded.workspace.sign("1", "ml", "bob")
    refused(close, "no owner of the prevention work")
    recoded.wait(minutes=1)
    recoded.workspace.sign("1", "ml", "bob", prevention_owner="ann")
    assert close()["prevention_owner"] == "ann"
    refused(close, "is in state `closed`, not verified")
    refused(lambda: recoded.workspace.sign("1", "data", "ann"), "is closed")


def test_a_remedy_is_verified_on_fresh_data_alone(recoded):
    recoded.wait(minutes=1)
    recoded.workspace.remedy("1", apply=True, by="ann")
    assert (recoded.only()["state"], recoded.only()["verified"]) == ("remedied", False)
    recoded.run(4)
    assert (recoded.only()["state"], recoded.only()["verified"]) == ("verifying", True)


def test_a_remedy_that_did_not_help_goes_back_to_triage_and_voids_the_signatures(in_cents):
    remedied(in_cents, 5)
    signed(in_cents)
    in_cents.feed(d6={"scale": 3.0})  # another fault of the same table: the standing repair does not fit it
    in_cents.run(6)
    assert in_cents.only()["verified"] is False
    assert in_cents.only()["state"] in ("triaging", "verdict")
    refused(lambda: in_cents.workspace.close("1", "ann"), "not verified")
    in_cents.run(7)
    assert in_cents.only()["signoffs"] == {}


def test_a_disagreement_disputes_and_the_next_window_judges_again(recoded):
    answer = recoded.workspace.sign("1", "ml", "bob", disagree="the feed was late too")
    assert (answer["agrees"], answer["state"], recoded.only()["state"]) == (False, "disputed", "disputed")
    assert answer["next_test"]
    refused(lambda: recoded.workspace.remedy("1", apply=True), "is disputed")
    refused(lambda: recoded.workspace.close("1", "ann"), "is in state `disputed`, not verified")
    before = recoded.only()["verdict"]
    recoded.run(4)
    assert recoded.only()["state"] == "verdict"
    assert recoded.only()["signoffs"] == {}
    assert recoded.only()["verdict"] != before


def test_a_disputed_incident_is_judged_again_even_when_the_next_window_is_quiet(recoded):
    """The fault is gone by itself; the promise to judge again holds all the same."""
    recoded.workspace.sign("1", "ml", "bob", disagree="not convinced")
    recoded.edit('euros=pl.col("amount") * 1.5)', 'euros=pl.col("amount"))')
    assert recoded.run(4)["alarms"] == []
    assert recoded.only()["state"] == "verdict"
    assert recoded.only()["verdict"]["window"] == recoded.day(4)
    assert recoded.only()["signoffs"] == {}


def test_a_disagreement_over_nothing_judged_yet_is_refused(shop):
    refused(lambda: shop.workspace.sign("1", "data", "ann"), "incident `1` is not in this workspace", UsageError)


def test_closing_accepts_the_world_as_it_is_now(recoded, closed):
    accepted = dict(recoded.line.state.accepted)
    closed(recoded, 4)
    assert recoded.line.state.accepted["orders"] == accepted["orders"]  # the culprit's new code was not accepted
    recoded.run(5)
    assert recoded.line.state.accepted["orders"] == accepted["orders"]


def test_closing_and_accepting_the_world_are_recorded_at_once(recoded, monkeypatch):
    """Whoever is killed while closing must not leave an incident closed whose world was never accepted."""
    signed(remedied(recoded, 4)).wait(minutes=1)
    incident = recoded.line.state.incidents.get("1")
    world = replace(incident.verdict, status="world")
    agreed = {side: replace(item, evidence_hash=world.evidence_hash) for side, item in incident.signoffs.items()}
    ledger, appended = recoded.line.services.ledger, []
    append = ledger.append
    monkeypatch.setattr(ledger, "append", lambda entries: appended.append(len(entries)) or append(entries))
    close(recoded.line, replace(incident, verdict=world, signoffs=agreed), "ann")
    assert appended == [2]
    assert recoded.line.state.accepted["orders"] == recoded.line.mechanism("orders")
