"""What to do about a verdict."""

from dataclasses import replace

import polars as pl
import pytest

from headwater.core.assets import Mechanism
from headwater.core.records import Effect
from headwater.stats.signatures.repairs import Repair
from headwater.triage.case import Diagnosed
from headwater.triage.effect import effect
from headwater.triage.posterior import Posterior
from headwater.triage.remedies import Beliefs, choose
from headwater.triage.suspects import Weighed
from headwater.triage.verdict import judge
from headwater.triage.weighing import weigh
from unit.triage.pipelines import day
from unit.triage.shop import NOW, Shop, finding, ref


def doubled(raw_orders):
    return raw_orders.with_columns(pl.col("x") * 2)


def broken(asset="orders", function=doubled, parts=None):
    shop = Shop().days(0, 2)
    shop.change(asset, function, parts)
    return shop.days(3, 5)


def culprit(case, asset):
    return next(item for item in weigh(case) if item.asset == asset)


def believed(case, item, probability=0.95):
    """One suspect with a probability of its own; what is left is that nothing is wrong."""
    others = [(other, 0.0) for other in weigh(case) if other.asset != item.asset]
    chances = tuple(chance for _, chance in others)
    return Beliefs([(item, probability), *others], Posterior((probability, *chances), 0.0, 1 - probability, 0.0))


def decided(case, item, probability=0.95):
    return choose(case, item, believed(case, item, probability))


def chosen(shop, asset, *numbers, probability=0.95, **known):
    case = shop.case(*numbers, findings=[finding(asset, "mechanism", "displacement")], **known)
    return decided(case, culprit(case, asset), probability)


def test_changed_code_is_rolled_back_to_what_was_accepted():
    shop = broken()
    found = chosen(shop, "orders", 3, 4, 5)
    assert (found.action, found.target) == ("rollback_code", ref("orders"))
    assert found.parameters == {"code": "orders", "asset": "orders"}
    assert found.windows == (day(3), day(4), day(5))
    assert found.touches == (ref("history"), ref("features"))  # what was served and decided stays on record
    assert "backfill 3 window(s)" in found.text


def test_windows_before_the_change_are_left_alone():
    assert chosen(broken(), "orders", 1, 2, 3, 4).windows == (day(3), day(4))


def test_a_late_label_build_is_rolled_back_for_its_own_windows():
    found = chosen(broken("returns", lambda raw_returns: raw_returns.select("id", returned=pl.lit(1))), "returns", 3, 4)
    assert (found.action, found.windows, found.touches) == ("rollback_code", (day(2), day(3)), ())


@pytest.mark.parametrize(
    ("asset", "function", "parts", "action", "target"),
    [
        ("refund_predictions", None, {"threshold": "t2"}, "rollback_model", "deployment:shop/refund"),
        ("refund_predictions", None, {"model": "m2"}, "rollback_model", "deployment:shop/refund"),
        ("refund_served", lambda features: features.with_columns(x=pl.lit(0.0)), None, "rollback_code",
         ref("refund_served")),
    ],
)  # fmt: skip
def test_what_a_server_runs_is_put_back_and_its_log_is_not_rewritten(asset, function, parts, action, target):
    shop = broken(asset, function, parts)
    found = chosen(shop, asset, 4, 5)
    good = shop.made[asset, day(0)]
    assert (found.action, found.target, found.touches) == (action, target, ())
    assert found.parameters == {"code": good.code, "parts": dict(good.parts), "asset": asset}


def test_a_stale_run_is_run_again():
    shop = Shop().days(0, 5)
    shop.tables.write("features", {day(5): shop.tables.read("features", [day(4)])}, run_id="stale")
    found = chosen(shop, "features", 5)
    assert (found.action, found.parameters) == ("repair", {"asset": "features", "rerun": True})
    assert found.touches == ()


def signature(shop, number, repaired):
    repair = Repair("affine", "unit", {"columns": {"x": {"scale": 0.01, "shift": 0.0}}})
    frame = shop.tables.read("raw_orders", [day(number)]).with_columns(pl.col("x") / 2) if repaired else None
    return Diagnosed(repair, frame, 9.0, 0.5, 0.9, "x doubled", repaired, "e1")


def test_a_source_that_can_be_repaired_is():
    shop = Shop().days(0, 5)
    known = {("raw_orders", day(number)): signature(shop, number, True) for number in (4, 5)}
    found = chosen(shop, "raw_orders", 3, 4, 5, diagnosed=known)
    assert (found.action, found.target, found.windows) == ("repair", ref("raw_orders"), (day(4), day(5)))
    assert found.parameters["repair"] == known["raw_orders", day(4)].repair.as_dict()
    assert found.touches == (ref("orders"), ref("history"), ref("features"))


def test_a_source_that_cannot_be_repaired_is_held():
    shop = Shop().days(0, 5)
    known = {("raw_orders", day(5)): signature(shop, 5, False)}
    found = chosen(shop, "raw_orders", 5, diagnosed=known)
    assert (found.action, found.parameters, found.windows) == ("hold", {"asset": "raw_orders"}, (day(5),))
    assert found.touches == (ref("orders"), ref("history"), ref("features"))


def test_code_that_was_never_accepted_cannot_be_rolled_back():
    case = broken().case(5, findings=[finding("orders")])
    item = replace(culprit(case, "orders"), plan=None)
    object.__setattr__(case, "accepted", {})
    assert decided(case, item).action not in ("rollback_code", "rollback_model")


def test_a_delivery_that_failed_with_its_old_code_is_not_rolled_back_to_that_code():
    shop = Shop().days(0, 5)
    case = shop.case(5, findings=[finding("orders", "arrival", "missing")], failed={"orders": (day(5), "no x", False)})
    found = decided(case, culprit(case, "orders"), 0.6)
    assert found.action == "hold"
    fresh = shop.case(5, findings=[finding("orders", "arrival", "missing")], failed={"orders": (day(5), "no x", True)})
    assert decided(fresh, culprit(fresh, "orders")).action == "rollback_code"


@pytest.mark.parametrize(("probability", "automatic"), [(0.95, True), (0.9, True), (0.89, False), (0.5, False)])
def test_only_what_is_nearly_certain_may_run_by_itself(probability, automatic):
    assert chosen(broken(), "orders", 5, probability=probability).automatic is automatic


def test_the_gain_is_the_measured_effect():
    shop = broken()
    case = shop.case(3, 4, 5, findings=[finding("orders", "mechanism", "displacement")])
    item = culprit(case, "orders")
    priced = effect(case, item.plan)
    found = decided(case, item)
    assert isinstance(priced, Effect)
    assert found.gain == pytest.approx(priced.value)
    assert found.gain_low < priced.low <= priced.high < found.gain_high, "rows and windows vary besides"


def test_every_act_is_listed_with_what_it_gains_and_one_is_chosen():
    shop = broken()
    case = shop.case(3, 4, 5, findings=[finding("orders", "mechanism", "displacement")])
    found = decided(case, culprit(case, "orders"))
    assert [option.action for option in found.options] == ["rollback_code", "hold", "retrain", "none"]
    assert [option.action for option in found.options if option.chosen] == ["rollback_code"]
    best, held, trained, nothing = found.options
    assert best.utility > held.utility == 0.0
    assert best.displacement > 0.003
    assert "some asset failed" in trained.veto and "an asset failed" in nothing.veto


def test_the_plan_that_is_priced_is_the_act_that_is_proposed():
    """Rolling back and backfilling gives the very tables that the replay promised."""
    shop = broken()
    case = shop.case(3, 4, 5, findings=[finding("orders", "mechanism", "displacement")])
    plan = culprit(case, "orders").plan
    good = Shop().days(0, 5)
    for number in (3, 4, 5):
        promised = case.replay.value("refund_predictions", day(number), plan)
        assert promised.equals(good.tables.read("refund_predictions", [day(number)]))


def test_retraining_is_never_the_remedy_for_an_asset_that_failed():
    kinds = ("code", "release", "source")
    case = broken().case(5, findings=[finding("orders")])
    for kind in kinds:
        for asset in case.assets:
            item = Weighed(asset, "any", 3.0, False, "", since=day(5), kind=kind)
            assert decided(case, item, 0.99).action != "retrain"


def test_a_verdict_carries_the_remedy_of_its_culprit():
    shop = broken()
    shop.change("features", lambda orders, history: orders.select("id", "x", mean_x=pl.lit(0.0)))
    verdict = judge(shop.case(3, 4, 5, findings=[finding("orders", "mechanism", "displacement")]), NOW)
    assert verdict.remedy.target == verdict.subject == ref("orders")
    assert verdict.remedy.windows[0] == verdict.start_window == day(3)
    assert verdict.prevention["asset"] == "orders"
    assert Mechanism(verdict.remedy.parameters["code"]) == shop.made["orders", day(0)]
