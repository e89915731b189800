"""An intended change of code is approved as it was measured; everything else is blamed as before."""

from __future__ import annotations

import pytest

from headwater.core.errors import DataError, UnknownName, UsageError
from unit.app.conftest import signed

NOW = 'euros=pl.col("amount"))'
INTENDED = 'euros=pl.col("amount") * 1.04)'
OTHER = 'euros=pl.col("amount") * 1.5)'
FEW = 'euros=pl.col("amount") * pl.when(pl.len() < 40).then(1.5).otherwise(1.04))'


@pytest.fixture
def intended(shop):
    shop.edit(NOW, INTENDED)
    return shop


def approved(shop):
    shop.wait(minutes=1)
    return shop.workspace.approve("orders", by="ann", reason="VAT included")


def test_without_an_approval_it_is_an_incident(intended):
    assert intended.run(3)["verdicts"][0]["subject"] == "dataset:shop/orders"


def test_an_approved_change_is_no_incident_and_cleared_by_name(intended):
    told = approved(intended)
    assert told["approved"] is True
    assert told["windows"] > 1
    assert told["displacement"] > 0.003
    for number in (3, 4, 5):
        report = intended.run(number)
        assert (report["alarms"], report["accepted"]) == ([], True)
    assert intended.workspace.incidents(all=True) == []
    (cleared,) = intended.workspace.why("model:shop/refund")["cleared"]
    assert cleared["subject"] == "dataset:shop/orders"
    for part in ("approved by ann on 2024-03-18 (VAT included)", f"{told['displacement']:.4f}", "it moved predictions"):
        assert part in cleared["reason"]


def test_an_approval_after_the_alarm_clears_the_change_when_the_verdict_is_disputed(intended):
    intended.run(3)
    (incident,) = intended.workspace.incidents()
    approved(intended)
    intended.workspace.sign(incident["incident"], "data", "ann", disagree="VAT is included on purpose")
    report = intended.run(4)
    (incident,) = intended.workspace.incidents()
    verdict = incident["verdict"]
    assert (verdict["status"], report["alarms"]) == ("none", [])
    assert "dataset:shop/orders" in {item["subject"] for item in verdict["suspects"] if item["exonerated"]}
    intended.workspace.remedy(incident["incident"], apply=True, by="ann")
    intended.run(5)
    signed(intended)
    assert intended.workspace.close(incident["incident"], by="ann")["state"] == "closed"
    assert intended.run(6)["accepted"] is True


def test_an_approved_change_of_much_is_cleared_in_every_table_that_it_reaches(shop):
    """Its own monitors see it too, and those of the tables below; the change explains them."""
    shop.edit(NOW, OTHER)
    approved(shop)
    report = shop.run(3)
    assert [item for item in report["alarms"] if item["monitor"] not in ("performance", "business")] == []
    assert report["notices"] > 0
    assert shop.workspace.incidents(all=True) == []
    for record in list(shop.line.services.ledger.read(kind="finding")):
        if record.body["window"] == shop.day(3) and "gone without" in record.body["detail"]:
            assert shop.workspace.recompute(record.id)["same"]


def test_a_fault_beside_an_approved_change_is_still_found(intended):
    approved(intended)
    intended.feed(d3={"scale": 100})
    intended.run(3)
    verdict = intended.only()["verdict"]
    assert (verdict["subject"], verdict["status"]) == ("dataset:shop/raw_orders", "named")
    (cleared,) = [item for item in verdict["suspects"] if item["subject"] == "dataset:shop/orders"]
    assert cleared["exonerated"] or cleared["probability"] < 0.1


def test_another_change_afterwards_is_blamed_and_rolled_back_to_what_was_approved(intended):
    told = approved(intended)
    intended.run(3)
    intended.edit(INTENDED, OTHER)
    intended.run(4)
    verdict = intended.only()["verdict"]
    assert (verdict["subject"], verdict["fault"]) == ("dataset:shop/orders", "transform_code")
    assert verdict["remedy"]["parameters"]["code"] == told["code"]


def test_a_return_to_the_code_before_is_no_fault(intended):
    approved(intended)
    intended.run(3)
    intended.edit(INTENDED, NOW)
    assert intended.run(4)["alarms"] == []


def test_approved_code_that_moves_far_more_than_was_approved_is_blamed(shop):
    shop.edit(NOW, FEW)
    approved(shop)
    assert shop.run(3)["alarms"] == []
    shop.feed(d4={"keep": 0.5})  # a day as the approval was never tried on
    shop.run(4)
    tests = shop.line.state.evidence["mechanism", "dataset:shop/orders"]
    assert [tests[shop.day(number)].values["approved"]["within"] for number in (3, 4)] == [True, False]
    cut_off, moved = shop.workspace.incidents()  # half of the rows did not come: that is a cause of its own
    assert cut_off["verdict"]["subject"] == "dataset:shop/raw_orders"
    (orders,) = [item for item in moved["verdict"]["suspects"] if item["subject"] == "dataset:shop/orders"]
    assert not orders["exonerated"]
    assert orders["probability"] > 0.5


def test_an_approval_during_the_incident_lifts_the_rollback(recoded, closed):
    closed(recoded, 4)
    recoded.run(5)
    told = recoded.workspace.approve("orders", by="ann", reason="it was intended after all")
    assert told["lifts_rollback"] is True
    assert recoded.line.mechanism("orders").code == told["code"]
    report = recoded.run(6)
    assert [item for item in report["alarms"] if item["monitor"] not in ("performance", "business")] == []
    assert report["failed"] == []  # nor does the check that the incident left behind refuse it


def test_a_repair_beside_an_approved_change_passes_the_exact_test(intended):
    approved(intended)
    intended.feed(d3={"scale": 100})
    intended.run(3)
    intended.wait(minutes=1)
    assert intended.workspace.remedy("1", apply=True, by="ann")["applied"]


def test_a_rollback_takes_the_approval_back_and_what_was_in_force_before_is_good_again(intended):
    first = approved(intended)
    intended.run(3)
    intended.edit(INTENDED, OTHER)
    intended.run(4)
    second = approved(intended)  # during the incident that names it
    intended.wait(minutes=1)
    intended.workspace.remedy("1", apply=True, by="ann")
    report = intended.run(5)
    assert [item for item in report["alarms"] if item["monitor"] == "mechanism"] == []
    assert intended.only()["state"] == "verifying"
    assert intended.line.mechanism("orders").code == first["code"]
    again = approved(intended)
    assert (again["code"], again["replaces"], again["lifts_rollback"]) == (second["code"], first["code"], True)
    assert intended.line.mechanism("orders").code == second["code"]


def test_a_dry_run_shows_what_changes_and_approves_nothing(intended):
    before = intended.line.state.seq
    shown = intended.workspace.approve("orders", by="ann", reason="VAT", dry_run=True)
    assert (shown["approved"], intended.line.state.seq) == (False, before)
    assert 0 < shown["share"] <= 1
    assert intended.run(3)["alarms"]


@pytest.mark.parametrize(
    ("asset", "by", "reason", "said", "error"),
    [
        ("orders", " ", "VAT", "needs a name", UsageError),
        ("orders", "ann", " ", "needs a reason", UsageError),
        ("raw_orders", "ann", "VAT", "is a source", UsageError),
        ("order", "ann", "VAT", "`order` is not in this workspace", UnknownName),
        ("history", "ann", "VAT", "is the accepted one", DataError),
    ],
)
def test_what_cannot_be_approved_is_refused(intended, asset, by, reason, said, error):
    with pytest.raises(error, match=said):
        intended.workspace.approve(asset, by=by, reason=reason)


def test_code_that_does_not_run_cannot_be_approved(shop):
    shop.edit(NOW, 'euros=pl.col("price"))')
    with pytest.raises(DataError, match="the replay of `orders` failed"):
        shop.workspace.approve("orders", by="ann", reason="VAT")


def test_the_same_code_is_approved_once(intended):
    approved(intended)
    with pytest.raises(DataError, match="was approved by ann already"):
        approved(intended)
