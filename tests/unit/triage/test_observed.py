"""Triage without replay: what metrics, lineage and changes can tell, and what they cannot."""

from dataclasses import replace

import polars as pl

from headwater.triage.case import unreplayed
from headwater.triage.verdict import judge
from headwater.triage.weighing import weigh
from unit.triage.shop import NOW, Shop, finding, ref


def blind(case, **changes):
    return replace(unreplayed(case, changes=True), changes=changes)


def by_name(case):
    return {item.asset: item for item in weigh(case)}


def test_an_unusual_table_under_normal_parents_is_named():
    findings = [
        finding("orders", metric="null_share.x", score=20.0),
        finding("features", metric="null_share.x", score=20.0),
    ]
    found = judge(blind(Shop().days(0, 5).case(5, findings=findings)), NOW)
    assert (found.status, found.subject) == ("named", ref("orders"))
    assert found.remedy.action == "hold"


def test_what_came_in_is_not_blamed_on_the_table_that_carries_it_on():
    findings = [finding(name, metric="mean.x", score=9.0) for name in ("raw_orders", "orders", "features")]
    found = by_name(blind(Shop().days(0, 5).case(5, findings=findings)))
    assert found["raw_orders"].weight > found["orders"].weight + 2
    assert found["raw_orders"].weight > found["features"].weight + 2


def test_a_change_of_code_speaks_against_an_unusual_table():
    case = Shop().days(0, 5).case(5, findings=[finding("orders"), finding("history")])
    before, after = by_name(blind(case))["history"], by_name(blind(case, history="2024-03-30"))["history"]
    assert after.weight == before.weight + 2.0
    assert after.reason.endswith("its code changed in window 2024-03-30")


def test_whose_code_changed_is_not_cleared_and_not_named_while_its_tables_look_normal():
    case = Shop().days(0, 5).case(5, findings=[finding("raw_orders", score=20.0)])
    found = by_name(blind(case, orders="2024-03-30"))["orders"]
    assert not found.exonerated and found.weight < 0 and not found.proven


def test_nothing_of_the_replay_is_left():
    shop = Shop().days(0, 3)
    shop.change("orders", lambda raw_orders: raw_orders.with_columns(pl.col("x") * 0))
    case = shop.days(4, 5).case(4, 5, findings=[finding("orders", "mechanism", "displacement")])
    seen = unreplayed(case, changes=False)
    assert not seen.tests and not seen.accepted and not seen.findings and not seen.changes
    assert not any(asset.recomputable for asset in seen.assets.values())
    assert judge(case, NOW).subject == ref("orders")
    assert judge(seen, NOW).status == "none"
