"""Labels in question are frozen: every reader of labels asks, and all is measured anew once they are right again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headwater.app.frozen import REASON, Frozen, frozen_by, label_path, questions
from headwater.app.judging import _labelled, case
from headwater.app.outcomes import outcomes_of
from headwater.app.workspace import Workspace
from headwater.core.errors import GateRefused, Quarantined
from headwater.core.project import Project
from line.shop import Live
from unit.app.conftest import remedied
from unit.app.report_samples import verdict
from unit.app.small_shop import Shop

SUBJECT = "model:shop/refund"
KINDS = ("performance", "business", "calibration")


def model(shop):
    return shop.line.project.models["refund"]


def told(shop, kind, number):
    return shop.line.state.evidence[(kind, SUBJECT)].get(shop.day(number))


def learned(shop, kind):
    return set(shop.line.state.history.windows(kind, SUBJECT))


def flip(shop, number):
    """Somebody turns the label around; it shows in the run of a day, in the labels of the day before."""
    shop.edit('return raw_returns.select("order", "at", "returned")',
              'return raw_returns.select("order", "at", returned=1 - pl.col("returned"))')  # fmt: skip
    shop.run(number)
    assert shop.only()["verdict"]["subject"] == "dataset:shop/returns"


@pytest.fixture
def flipped(shop: Shop) -> Shop:
    flip(shop, 3)
    return shop


# --- which labels are in question -------------------------------------------------------------------------------------
def test_the_label_path_is_what_feeds_only_labels(shop):
    assert label_path(shop.line, "returns") == {"returns", "raw_returns"}


def test_what_reaches_features_only_by_way_of_labels_is_on_the_path(tmp_path: Path):
    project = Project("shop")
    for name in ("raw_sales", "raw_refunds"):
        project.source(lambda window: None, name=name, key=["id"])
    project.labels(lambda raw_refunds: raw_refunds, name="refunds", key=["id"])
    project.dataset(lambda refunds: refunds, name="history", key=["id"])
    project.features(lambda raw_sales, history: raw_sales, name="facts", key=["id"])
    project.model("refund", features="facts", labels="refunds", entity="id", outcome="refunded", columns=["x"],
                  train=len, score=len)  # fmt: skip
    line = Workspace.of(project, tmp_path).line
    assert label_path(line, "refunds") == {"refunds", "raw_refunds"}, "the history made of labels is a feature"


@pytest.mark.parametrize(("flips", "frozen"), [(0.0, False), (0.001, False), (0.3, True)])
def test_a_fault_that_reaches_predictions_too_freezes_what_it_flips(flips, frozen, tmp_path):
    """Refunds of the web shop feed a history that decides, too: there the replay says whether labels are hurt."""
    line = Live(tmp_path / "shop", "2024-01-11T17").workspace.line
    assert label_path(line, "refund_labels") == {"refund_labels"}
    blamed = replace(verdict(), status="named", subject="dataset:shop/outcomes")
    suspect = replace(blamed.suspects[0], subject="dataset:shop/outcomes", numbers={"label_flips": flips})
    assert questions(line, replace(blamed, suspects=(suspect,)), "refund_labels") is frozen
    beside = replace(
        blamed, subject="dataset:shop/sessions", suspects=(replace(suspect, subject="dataset:shop/sessions"),)
    )
    assert not questions(line, beside, "refund_labels")


def test_quarantines_of_the_path_freeze_and_others_do_not(shop):
    for dataset, number, frozen in (("raw_returns", -5, True), ("returns", -7, True), ("raw_orders", -9, False)):
        shop.workspace.quarantine_add(dataset, shop.day(number), shop.day(number), "a trial")
        assert frozen_by(shop.line, model(shop), shop.day(number)) == ("a trial" if frozen else "")
    assert frozen_by(shop.line, model(shop), shop.day(-6)) == ""


def test_a_quarantine_by_hand_marks_at_once_and_lifting_it_unmarks(shop):
    shop.run(3)
    assert shop.day(1) in learned(shop, "performance")
    shop.workspace.quarantine_add("raw_returns", shop.day(1), shop.day(1), "late positives")
    for kind in KINDS:
        assert told(shop, kind, 1).values["frozen"] == "late positives"
        assert shop.day(1) not in learned(shop, kind)
    shop.wait(minutes=1)
    shop.workspace.quarantine_lift("raw_returns", shop.day(1), shop.day(1))
    for kind in KINDS:
        assert "frozen" not in told(shop, kind, 1).values
        assert shop.day(1) in learned(shop, kind)


# --- a fault on the label path ----------------------------------------------------------------------------------------
def test_its_windows_are_frozen_and_those_to_come(flipped):
    assert flipped.workspace.quarantine_list() == [
        {"dataset": "dataset:shop/returns", "first": flipped.day(2), "last": flipped.day(2), "reason": REASON,
         "incident": "incident:shop/1"}
    ]  # fmt: skip
    frozen = Frozen(flipped.line, model(flipped))
    assert [frozen.by(flipped.day(number)) for number in (1, 2, 9)] == ["", "incident:shop/1", "incident:shop/1"]
    flipped.run(4)
    spans = [(item["first"], item["last"]) for item in flipped.workspace.quarantine_list()]
    assert spans == [(flipped.day(2), flipped.day(2)), (flipped.day(3), flipped.day(3))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_measured_by_them_is_marked_and_not_learned(kind, flipped):
    flipped.run(4)
    for number in (2, 3):
        assert told(flipped, kind, number).values["frozen"] == "incident:shop/1"
        assert flipped.day(number) not in learned(flipped, kind)
    assert "frozen" not in told(flipped, kind, 1).values
    assert flipped.day(1) in learned(flipped, kind)


def test_no_monitor_alarms_about_what_is_frozen(flipped):
    for number in range(4, 8):
        flipped.run(number)
        found = flipped.line.state.findings.get(flipped.day(number - 1), [])
        about = [item.monitor for item in found if item.subject == SUBJECT]
        assert not {"performance", "business", "calibration", "fairness", "segments"} & set(about)
    assert [item["incident"] for item in flipped.workspace.incidents()] == ["incident:shop/1"]


def test_nothing_is_trained_or_released_on_them(shop):
    shop.wait(minutes=1)
    flip(shop, 3)
    shop.wait(minutes=1)
    with pytest.raises(Quarantined, match="returns"):
        shop.workspace.train(seed=7)
    made = shop.workspace.train(seed=7, skip_quarantined=True)
    assert made["windows"][1] < shop.day(2)
    shop.wait(minutes=1)
    shop.workspace.release(made["version"], by="ann")  # what it read is in order


def test_a_version_that_was_trained_before_the_fault_was_found_is_not_released(shop):
    shop.edit('return raw_returns.select("order", "at", "returned")',
              'return raw_returns.select("order", "at", returned=1 - pl.col("returned"))')  # fmt: skip
    shop.line.refresh()
    shop.run(3)
    shop.workspace.quarantine_lift("returns", shop.day(2), shop.day(2))
    shop.wait(minutes=1)
    made = shop.workspace.train(seed=7)
    shop.run(4)
    with pytest.raises(GateRefused, match="training windows: trained on"):
        shop.workspace.release(made["version"], by="ann")


def test_the_gate_does_not_judge_by_them(shop):
    made = shop.workspace.train(seed=7, last=shop.day(1))
    low = made["held_out"][0]
    shop.workspace.quarantine_add("raw_returns", low, low, "late positives")
    with pytest.raises(GateRefused, match="training windows"):
        shop.workspace.release(made["version"], by="ann")


def test_estimates_do_not_recalibrate_on_them(flipped):
    flipped.run(4)
    for number in (2, 3):
        found = told(flipped, "estimate", number)
        assert found is None or not any(name.startswith("error.") for name in found.values)


def test_triage_reads_none_of_them(flipped):
    flipped.run(4)
    line = flipped.line
    incident = line.state.incidents.get("1")
    made = case(line, incident, flipped.day(4))
    assert not made.trusted(model(flipped), flipped.day(2))
    assert made.trusted(model(flipped), flipped.day(1))
    assert flipped.day(2) not in _labelled(line, flipped.day(9))
    assert flipped.day(1) in _labelled(line, flipped.day(9))
    assert not {flipped.day(2), flipped.day(3)} & set(outcomes_of(line, model(flipped)).windows)


# --- and its end ------------------------------------------------------------------------------------------------------
def test_after_the_remedy_all_is_measured_as_if_labels_had_always_been_right(flipped, grown, tmp_path):
    right = grown.at(tmp_path / "right")
    for number in (3, 4):
        right.run(number)
    remedied(flipped, 4)
    assert flipped.workspace.quarantine_list() == []
    for kind in KINDS:
        for number in (2, 3):
            found = told(flipped, kind, number)
            assert found.values == told(right, kind, number).values
            assert flipped.day(number) in learned(flipped, kind)
    assert flipped.workspace.train(seed=7)["windows"][1] == flipped.day(3)


def test_a_verdict_that_is_taken_back_thaws(flipped):
    flipped.wait(minutes=1)
    flipped.workspace.approve("returns", by="ann", reason="the definition changed")
    flipped.workspace.sign("1", "ml", "bob", disagree="it was meant")
    flipped.run(4)
    assert flipped.only()["verdict"]["subject"] != "dataset:shop/returns"
    assert flipped.workspace.quarantine_list() == []
    assert "frozen" not in told(flipped, "performance", 2).values
    assert flipped.day(2) in learned(flipped, "performance")


def test_another_process_knows_what_is_frozen(flipped):
    flipped.workspace = flipped.opened()
    assert frozen_by(flipped.line, model(flipped), flipped.day(2)) == "incident:shop/1"
    assert flipped.day(2) not in learned(flipped, "performance")
    flipped.run(4)
    assert told(flipped, "performance", 3).values["frozen"] == "incident:shop/1"
