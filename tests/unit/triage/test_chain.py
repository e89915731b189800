"""The chain: from the culprit to the decisions, a number per hop and what computes it again."""

from dataclasses import replace

import pytest

from headwater.core.assets import Read
from headwater.triage.verdict import judge
from unit.triage.pipelines import day
from unit.triage.shop import NOW, Shop, finding, ref


def changed():
    shop = Shop().days(0, 3)
    shop.change("orders", lambda raw_orders: raw_orders.with_columns(raw_orders["x"] * 2))
    return shop.days(4, 5)


ALARM = finding("orders", "mechanism", "displacement")


def test_the_chain_leads_from_the_culprit_to_the_decisions_and_each_hop_has_its_number():
    kept = {}
    found = judge(changed().case(4, 5, findings=[ALARM]), NOW, lambda item: kept.update({item.id: item}))
    assert [step.subject for step in found.chain] == [
        ref("orders"), ref("features"), ref("refund_served"), ref("refund_predictions"),
    ]  # fmt: skip
    first, *hops = found.chain
    assert first.test == "exact mechanism test"
    assert first.value == pytest.approx(1 / 3)
    assert first.causes
    for step in hops:
        assert step.test == "replay with the culprit repaired"
        assert 0 < step.value < 1
        assert "given its parents it did what it always did" in step.text
        assert step.versions["window"] == day(5)
    for step in hops:
        (made,) = [kept[cause] for cause in step.causes]
        assert step.command == f"headwater recompute {made.id[:12]} share"
        assert (made.type, made.subject, made.window) == ("replay", step.subject, day(5))
        assert made.values["share"] == step.value
    assert first.command.removesuffix(" share").rpartition(" ")[2] in {cause[:12] for cause in first.causes}


def test_the_chain_leads_to_what_the_fault_moves_although_the_labels_read_the_culprit_at_first_hand():
    shop = Shop()
    labels = shop.assets["returns"]
    shop.assets["returns"] = replace(labels, reads=(*labels.reads, Read("orders")))
    shop.days(0, 3).change("orders", lambda raw_orders: raw_orders.with_columns(raw_orders["x"] * 2))
    shop.made["returns", day(-1)] = shop.current["returns"]
    found = judge(shop.days(4, 5).case(4, 5, findings=[ALARM]), NOW)
    assert [step.subject for step in found.chain] == [
        ref("orders"), ref("features"), ref("refund_served"), ref("refund_predictions"),
    ]  # fmt: skip


def test_the_chain_leads_to_the_labels_when_it_is_they_that_flip():
    shop = Shop().days(0, 3)
    shop.change("returns", lambda raw_returns: raw_returns.select("id", returned=1 - raw_returns["returned"]))
    found = judge(shop.days(4, 6).case(4, 5, findings=[finding("returns", "mechanism", "label_flips")]), NOW)
    assert [step.subject for step in found.chain] == [ref("returns")]


def test_a_hop_that_was_not_tested_has_no_number_and_names_what_shows_it():
    shop = Shop().days(0, 5)
    case = shop.case(5, findings=[finding("orders", "arrival", "missing")], failed={"orders": (day(5), "no x", True)})
    kept = []
    first, *_ = judge(case, NOW, kept.append).chain
    assert (first.test, first.value, first.command) == ("delivery", None, f"headwater trace {ref('orders')}")
    assert {item.type for item in kept} <= {"replay"}


def test_a_hop_that_was_not_delivered_says_so():
    shop = Shop().days(0, 4)
    gone = finding("raw_orders", "structure", "column.x")
    case = shop.case(4, 5, findings=[gone], failed={"features": (day(5), "unable to find column x", False, "f" * 64)})
    first, orders, features, *rest = judge(case, NOW).chain
    assert first.subject == ref("raw_orders")
    assert "was not delivered, for what it reads was not there" in orders.text and orders.command == ""
    assert features.text == f"window {day(5)} was not delivered: unable to find column x"
    assert features.command == f"headwater recompute {'f' * 12} state"
    assert not [step for step in (first, orders, features, *rest) if step.command.startswith("headwater why")]
