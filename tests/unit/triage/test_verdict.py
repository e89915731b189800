"""Judging small cases made by hand: who is named, who is cleared, and when nobody is."""

from dataclasses import fields, replace

import polars as pl
import pytest

from headwater.core.assets import Mechanism
from headwater.core.records import Verdict
from headwater.stats.signatures.repairs import Repair
from headwater.triage.case import Diagnosed
from headwater.triage.verdict import judge
from headwater.triage.weighing import weigh
from unit.triage.pipelines import day, made, source
from unit.triage.shop import NOW, Shop, finding, ref


def doubled(raw_orders):
    return raw_orders.with_columns(pl.col("x") * 2)


def shuffled(raw_orders):
    return raw_orders.reverse()


def changed(asset="orders", function=doubled, parts=None, since=4, last=5, shop=None):
    """Run the shop with a change in force from a day on."""
    shop = (shop or Shop()).days(0, since - 1)
    shop.change(asset, function, parts)
    return shop.days(since, last)


def suspect(verdict, name):
    return next(item for item in verdict.suspects if item.subject in (ref(name), name))


ALARM = finding("orders", "mechanism", "displacement")


# --- code -------------------------------------------------------------------------------------------------------------
def test_a_change_of_code_with_an_effect_is_named():
    found = judge(changed().case(4, 5, findings=[ALARM]), NOW)
    assert (found.status, found.subject, found.fault, found.side) == ("named", ref("orders"), "transform_code", "data")
    assert found.owner == "owner of orders"
    assert found.confidence > 0.9
    assert found.start_window == day(4)
    assert found.window == day(5)
    assert {item.subject for item in found.suspects if item.exonerated} >= {
        ref("history"), ref("features"), ref("refund_served"), ref("refund_predictions"),
    }  # fmt: skip
    assert found.causes == (ALARM.id,)


def levelled(orders):
    return orders.group_by("shop").agg(mean_x=pl.lit(9.0)).sort("shop")


def mirrored(orders, history):
    return orders.select("id", x=1 - pl.col("x"), mean_x=pl.lit(0.5))


def misaligned(features):
    return features.with_columns(x=pl.col("x").shift(3)).fill_null(0)


@pytest.mark.parametrize(
    ("asset", "function", "fault", "side"),
    [
        ("orders", lambda raw_orders: raw_orders.head(10), "transform_code", "data"),
        ("history", levelled, "transform_code", "data"),
        ("features", mirrored, "feature_code", "ml"),
        ("refund_served", misaligned, "serving_features", "ml"),
        ("returns", lambda raw_returns: raw_returns.select("id", returned=1 - pl.col("returned")), "label_code", "ml"),
    ],
)
def test_the_fault_is_named_after_the_layer(asset, function, fault, side):
    found = judge(changed(asset, function).case(4, 5, findings=[finding(asset, "mechanism", "displacement")]), NOW)
    assert (found.status, found.subject, found.fault, found.side) == ("named", ref(asset), fault, side)


def test_a_harmless_refactor_is_cleared_by_name_beside_the_culprit():
    shop = Shop().days(0, 3)
    shop.change("orders", shuffled)
    shop.change("refund_served", lambda features: features.with_columns(x=pl.lit(0.0)))
    found = judge(shop.days(4, 5).case(4, 5, findings=[finding("refund_served", "mechanism", "displacement")]), NOW)
    assert found.subject == ref("refund_served")
    cleared = suspect(found, "orders")
    assert cleared.exonerated
    assert cleared.reason == "its new code gives the same rows as the last accepted one: no difference in 2 window(s)"
    assert cleared.probability == 0.0


def test_a_change_too_small_to_matter_is_cleared():
    def nudged(raw_orders):
        return raw_orders.with_columns(pl.col("x") + 0.001)

    found = judge(changed(function=nudged).case(4, 5, findings=[finding("orders", "mechanism", "share")]), NOW)
    assert suspect(found, "orders").exonerated
    assert "too little to matter" in suspect(found, "orders").reason
    assert found.status != "named"


def test_a_change_that_did_good_where_labels_are_known_is_suspected_less():
    def bettered(raw_orders):
        return raw_orders.with_columns(pl.col("x").clip(0, 1))

    shop = Shop()
    shop.change("orders", lambda raw_orders: raw_orders.with_columns(x=1 - pl.col("x")))
    shop.days(0, 15)
    shop.change("orders", bettered)
    shop.days(16, 16)
    worse = changed(since=16, last=16)
    good, bad = (
        next(item for item in weigh(line.case(16, findings=[ALARM])) if item.asset == "orders")
        for line in (shop, worse)
    )
    assert good.numbers["harm_high"] < 0 < bad.numbers["harm_low"]
    assert good.weight < bad.weight - 2


def test_rows_that_no_version_gives_are_a_stale_run():
    shop = Shop().days(0, 5)
    shop.tables.write("features", {day(5): shop.tables.read("features", [day(4)])}, run_id="stale")
    found = judge(shop.case(5, findings=[finding("features", "mechanism", "share")]), NOW)
    assert (found.status, found.subject, found.fault) == ("named", ref("features"), "stale_run")
    assert "the very same version" in found.text


def test_a_change_that_was_tried_on_past_windows_alone_can_be_named():
    """Its own window is too small to show it; that of the days before it shows what it does."""
    shop = changed(function=shuffled)
    case = shop.case(4, 5, findings=[ALARM])
    past = {"past_share": 0.02, "past_windows": 28.0, "past_displacement": 0.03}
    tests = {
        place: replace(test, values={**test.values, **past}) if place[0] == "orders" else test
        for place, test in case.tests.items()
    }
    found = judge(replace(case, tests=tests), NOW)
    assert (found.status, found.subject) == ("named", ref("orders"))
    assert "would have changed 2.0% of the cells of its last 28 windows" in found.text


# --- releases and what was loaded -------------------------------------------------------------------------------------
APPROVED = {"mismatch": [], "displacement": 0.01, "version": "2", "approved_version": "2"}


def test_an_approved_release_is_cleared():
    shop = changed("refund_predictions", None, {"model": "m1b"})
    found = judge(shop.case(5, findings=[finding("features")], release=APPROVED), NOW)
    cleared = suspect(found, "deployment:shop/refund")
    assert cleared.exonerated
    assert "version 2 was approved with a mean |dp| of 0.010" in cleared.reason


@pytest.mark.parametrize(
    "release",
    [
        {**APPROVED, "mismatch": ["model"]},  # another file than the approved one
        APPROVED,  # approved, but it moves predictions far more than at the gate
        None,  # nobody approved anything
    ],
)
def test_a_release_that_is_not_what_was_approved_is_named_as_the_deployment(release):
    shop = changed("refund_predictions", None, {"model": "m2"})
    alarm = finding("deployment:shop/refund", "release", "displacement")
    found = judge(shop.case(5, findings=[alarm], release=release), NOW)
    assert (found.status, found.subject, found.fault) == ("named", "deployment:shop/refund", "loaded_model")
    assert (found.side, found.owner) == ("ml", "owner of refund_predictions")
    assert found.chain[0].subject == "deployment:shop/refund"


def test_an_unapproved_part_is_named_even_if_it_moves_no_probability():
    shop = changed("refund_predictions", None, {"threshold": "t2"})
    release = {**APPROVED, "mismatch": ["threshold"]}
    alarm = finding("deployment:shop/refund", "release", "mismatch")
    found = judge(shop.case(5, findings=[alarm], release=release), NOW)
    assert (found.status, found.subject, found.fault) == ("named", "deployment:shop/refund", "loaded_threshold")
    assert suspect(found, "deployment:shop/refund").numbers["decisions"] > 0.2


def test_a_part_that_nobody_approved_is_named_however_little_it_moves():
    shop = changed("refund_predictions", None, {"model": "m1b"})
    alarm = finding("deployment:shop/refund", "release", "mismatch")
    found = judge(shop.case(5, findings=[alarm], release={**APPROVED, "mismatch": ["model"]}), NOW)
    assert (found.status, found.subject, found.fault) == ("named", "deployment:shop/refund", "loaded_model")
    assert "the server loaded another model than was approved" in found.text


# --- sources ----------------------------------------------------------------------------------------------------------
def signed(shop, number=5, confidence=0.9):
    """Cents for euros: the repair divides by 100."""
    frame = shop.tables.read("raw_orders", [day(number)])
    return Diagnosed(
        Repair("affine", "unit", {"columns": {"x": {"scale": 0.01, "shift": 0.0}}}),
        frame.with_columns(pl.col("x") / 100), 9.0, 0.4, confidence, "x is 100 times what it was", True, "e1",
    )  # fmt: skip


def in_cents(since=4, last=5):
    shop = Shop().days(0, since - 1)
    feed = shop.code["raw_orders"]
    shop.code["raw_orders"] = lambda *given: feed(*given).with_columns(pl.col("x") * 100)
    return shop.days(since, last)


def test_a_source_with_a_signature_is_named_and_its_repair_proposed():
    shop = in_cents()
    diagnosed = {("raw_orders", day(number)): signed(shop, number) for number in (4, 5)}
    alarm = finding("raw_orders", "signature", "unit")
    found = judge(shop.case(4, 5, findings=[alarm], diagnosed=diagnosed), NOW)
    assert (found.status, found.subject, found.fault) == ("named", ref("raw_orders"), "unit")
    assert found.start_window == day(4)
    assert "x is 100 times what it was" in found.text
    assert found.chain[0].test == "source signature"
    assert found.chain[-1].subject == ref("refund_predictions")
    assert suspect(found, "raw_orders").numbers["displacement"] > 0.1
    assert all(item.exonerated for item in found.suspects if item.subject != ref("raw_orders"))


def test_a_table_that_did_not_come_is_named():
    alarm = finding("raw_returns", "arrival", "missing", 4, detail="no file")
    found = judge(Shop().days(0, 5).case(5, findings=[alarm]), NOW)
    assert (found.status, found.subject, found.fault) == ("named", ref("raw_returns"), "missing")


def test_a_failed_delivery_with_new_code_is_named_and_one_with_old_code_is_not():
    shop = Shop().days(0, 5)
    alarm = finding("features", "arrival", "missing")
    new, old = (
        judge(shop.case(5, findings=[alarm], failed={"features": (day(5), "KeyError: 'x'", fresh)}), NOW)
        for fresh in (True, False)
    )
    assert (new.status, new.subject) == ("named", ref("features"))
    assert "it was not delivered: KeyError: 'x'" in new.text
    assert old.status == "undetermined"


def test_a_failed_delivery_points_at_the_source_that_is_abnormal():
    alarms = [finding("orders", "arrival", "missing"), finding("raw_orders", "structure", "column.x", score=5.0)]
    shop = Shop().days(0, 5)
    found = judge(shop.case(5, findings=alarms, failed={"orders": (day(5), "no column x", False)}), NOW)
    assert (found.status, found.subject) == ("named", ref("raw_orders"))


# --- nobody -----------------------------------------------------------------------------------------------------------
def test_a_structural_alarm_that_two_sources_may_have_caused_stays_undetermined():
    found = judge(Shop().days(0, 5).case(5, findings=[finding("features", "structure", "duplicate_share")]), NOW)
    assert (found.status, found.subject, found.owner, found.side) == ("undetermined", "", "", "")
    assert found.confidence < 0.5
    assert found.remedy.action == "hold"
    assert found.next_test
    assert found.chain == ()


def test_a_structural_alarm_that_one_source_alone_can_have_caused_names_it():
    found = judge(Shop().days(0, 5).case(5, findings=[finding("orders", "structure", "null_share.x")]), NOW)
    assert (found.status, found.subject, found.fault) == ("named", ref("raw_orders"), "missing_rows")
    assert "its own table looks in order, but 100% of what is wrong downstream came in by it" in found.text


def test_rows_without_a_partner_are_rather_of_the_odd_table_than_missing_in_one_that_is_in_order():
    unmatched = finding("features", "structure", "key_match.raw_shops", value=0.8, expected=1.0)
    lost = judge(Shop().days(0, 5).case(5, findings=[unmatched]), NOW)
    assert (lost.status, lost.subject, lost.fault) == ("named", ref("raw_shops"), "missing_rows")
    caught = {"asset": "features", "metric": "key_match.raw_shops", "expected": 1.0, "observed": 0.8}
    assert lost.prevention == caught
    odd = finding("raw_orders", "distribution", "std.x", severity="notice", score=54.0)
    extra = judge(Shop().days(0, 5).case(5, findings=[unmatched, odd]), NOW)
    assert (extra.status, extra.subject) == ("named", ref("raw_orders"))
    usual = finding("raw_orders", "distribution", "std.x", severity="notice", score=2.5)
    assert judge(Shop().days(0, 5).case(5, findings=[unmatched, usual]), NOW).subject == ref("raw_shops")


def test_a_table_that_holds_the_rows_it_held_before_has_lost_none():
    unmatched = finding("features", "structure", "key_match.raw_shops", value=0.8, expected=1.0)
    odd = finding("raw_orders", "distribution", "std.x", severity="notice", score=4.3)
    shop = Shop().days(0, 5)
    assert judge(shop.case(5, findings=[unmatched, odd]), NOW).subject == ref("raw_orders")
    fewer = shop.tables.read("raw_shops", [day(5)]).head(3)
    shop.tables.write("raw_shops", {day(5): fewer}, run_id="cut")
    assert judge(shop.case(5, findings=[unmatched, odd]), NOW).subject == ref("raw_shops")


@pytest.mark.parametrize("score", [2.1, 3.0, 5.0])
def test_a_storm_blames_nobody(score):
    notices = [
        finding(name, "distribution", "mean.x", severity="notice", score=score)
        for name in ("raw_orders", "orders", "history", "features", "refund_predictions")
    ]
    found = judge(Shop().days(0, 5).case(5, findings=notices), NOW)
    assert found.status != "named"
    assert found.subject == ""
    assert found.remedy.action in ("hold", "none")


def test_a_burst_of_new_rows_is_the_world():
    busy = finding("raw_orders", "structure", "rows", value=900.0, expected=40.0)
    found = judge(Shop().days(0, 5).case(5, findings=[busy]), NOW)
    assert (found.status, found.subject) == ("world", "")


def with_report():
    """The shop with a report beside the model: raw_visits -> visits -> report. No decision rests on it."""
    shop = Shop()
    beside = (source("raw_visits", key=("id",)), made("visits", "raw_visits"), made("report", "visits"))
    shop.assets |= {asset.name: asset for asset in beside}
    shop.code |= {
        "raw_visits": lambda frames, window, parts: pl.DataFrame({"id": range(9), "day": [window.key] * 9}),
        "visits": lambda frames, window, parts: frames["raw_visits"],
        "visits-2": lambda frames, window, parts: frames["raw_visits"].head(4),
        "report": lambda frames, window, parts: frames["visits"],
    }
    shop.current |= {asset.name: Mechanism(asset.name) for asset in beside}
    shop.days(0, 4)
    shop.current["visits"] = Mechanism("visits-2")
    return shop.days(5, 5)


def test_no_path_no_blame():
    """What nothing is decided on and nobody complains of is not a suspect, whatever changed in it."""
    shop = with_report()
    quiet = judge(shop.case(5, findings=[finding("features", "structure", "duplicate_share")]), NOW)
    assert not {ref("visits"), ref("report")} & {item.subject for item in quiet.suspects}
    assert quiet.status == "undetermined"


def test_a_report_that_alarms_leads_up_to_what_changed_although_no_decision_rests_on_it():
    loud = judge(with_report().case(5, findings=[finding("report", "structure", "rows", value=4.0, expected=9.0)]), NOW)
    assert (loud.status, loud.subject, loud.fault) == ("named", ref("visits"), "transform_code")
    assert [step.subject for step in loud.chain] == [ref("visits"), ref("report")]


def raised(*numbers):
    return [finding("model:shop/refund", "performance", "excess", number) for number in numbers]


@pytest.mark.parametrize("numbers", [(3, 4, 5), (4, 5)])
def test_alarms_of_the_loss_with_every_asset_cleared_are_the_world_and_retraining_waits_for_its_tests(numbers):
    found = judge(Shop().days(0, 6).case(4, 5, 6, findings=raised(*numbers)), NOW)
    assert (found.status, found.subject, found.fault, found.side) == ("world", "", "world", "ml")
    assert found.remedy.action == "hold"
    assert found.next_test
    assert all(item.exonerated for item in found.suspects)


def test_the_world_is_not_claimed_while_something_structural_is_unexplained():
    alarms = [*raised(4, 5, 6), finding("features", "structure", "duplicate_share", 6)]
    assert judge(Shop().days(0, 6).case(4, 5, 6, findings=alarms), NOW).status == "undetermined"


def test_the_world_is_never_claimed_while_an_asset_failed():
    case = changed(last=6).case(4, 5, 6, findings=[*raised(4, 5, 6), ALARM])
    found = judge(case, NOW)
    assert (found.status, found.subject) == ("named", ref("orders"))
    assert found.remedy.action != "retrain"


def test_with_everything_cleared_and_nothing_moved_nothing_is_wrong():
    found = judge(Shop().days(0, 5).case(5, findings=[finding("model:shop/refund", "business", "value", 4)]), NOW)
    assert (found.status, found.subject, found.fault, found.remedy.action) == ("none", "", "none", "none")
    assert all(item.exonerated for item in found.suspects)


def test_a_case_without_any_finding_or_model_is_still_judged():
    case = Shop().days(0, 5).case(5, modelled=False)
    found = judge(case, NOW)
    assert found.status in ("none", "undetermined")


# --- the record -------------------------------------------------------------------------------------------------------
def test_probabilities_are_shared_among_suspects_world_nothing_and_the_unseen():
    found = judge(changed().case(4, 5, findings=[ALARM]), NOW)
    assert 0.9 < sum(item.probability for item in found.suspects) <= 1.0
    assert found.suspects[0].probability == found.confidence == max(item.probability for item in found.suspects)


def test_the_same_case_gives_the_same_verdict_and_it_survives_storage():
    shop = changed()
    first, second = (judge(shop.case(4, 5, findings=[ALARM]), NOW) for _ in range(2))
    assert first == second
    assert first.evidence_hash == second.evidence_hash
    assert Verdict.of(first.body()) == first
    assert Verdict.of(first.body()).evidence_hash == first.evidence_hash


def test_any_change_of_the_verdict_changes_what_is_signed():
    found = judge(changed().case(4, 5, findings=[ALARM]), NOW)
    other = judge(Shop().days(0, 5).case(5, findings=[finding("features")]), NOW)
    hashes = {found.evidence_hash}
    for item in fields(Verdict):
        value = getattr(other, item.name)
        if value == getattr(found, item.name):
            value = {"incident": "incident:shop/2", "window": day(9), "time": NOW.replace(hour=1)}[item.name]
        hashes.add(replace(found, **{item.name: value}).evidence_hash)
    deeper = [
        replace(found, suspects=(replace(found.suspects[0], probability=0.01), *found.suspects[1:])),
        replace(found, suspects=found.suspects[::-1]),
        replace(found, chain=(replace(found.chain[0], value=0.5), *found.chain[1:])),
        replace(found, chain=(replace(found.chain[0], versions={"mechanism": "other"}), *found.chain[1:])),
        replace(found, effect=replace(found.effect, value=found.effect.value + 0.01)),
        replace(found, remedy=replace(found.remedy, windows=())),
        replace(found, remedy=replace(found.remedy, parameters={**found.remedy.parameters, "code": "x"})),
        replace(found, prevention={**found.prevention, "expected": 0.1}),
    ]
    hashes |= {item.evidence_hash for item in deeper}
    assert len(hashes) == 1 + len(fields(Verdict)) + len(deeper)
