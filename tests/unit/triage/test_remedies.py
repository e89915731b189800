"""What to do about a verdict."""

from dataclasses import replace

import polars as pl
import pytest

from headwater.core.assets import Mechanism
from headwater.core.records import Effect, Remedy
from headwater.stats.signatures.repairs import Repair
from headwater.triage.case import Diagnosed
from headwater.triage.effect import effect
from headwater.triage.payoffs import AS_IT_IS, Payoffs
from headwater.triage.posterior import Posterior
from headwater.triage.remedies import Beliefs, choose, stand_by
from headwater.triage.replay import Plan
from headwater.triage.suspects import Weighed
from headwater.triage.verdict import judge
from headwater.triage.weighing import weigh
from unit.triage.pipelines import day
from unit.triage.shop import NOW, Shop, features, finding, ref, score


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


# --- options, payoffs, vetoes -----------------------------------------------------------------------------------------
def believing(case, **chances):
    """Suspects by name with their probabilities; the rest is that nothing is wrong."""
    found = {item.asset: item for item in weigh(case)}
    told = [(item, chances.get(name, 0.0)) for name, item in found.items()]
    rest = max(0.0, 1 - sum(chances.values()))
    return found, Beliefs(told, Posterior(tuple(chance for _, chance in told), 0.0, rest, 0.0))


def two_changes():
    """The orders are doubled from day 3 on, and the shop's mean is levelled at the same time."""
    shop = Shop().days(0, 2)
    shop.change("orders", doubled)
    shop.change("history", lambda orders: orders.group_by("shop").agg(mean_x=pl.lit(2.0)).sort("shop"))
    shop.days(3, 5)
    return shop.case(3, 4, 5, findings=[finding("orders", "mechanism", "displacement")])


def test_an_act_against_the_wrong_asset_is_priced_as_the_loss_it_would_be():
    case = two_changes()
    found = {item.asset: item for item in weigh(case)}
    payoffs = Payoffs(case, {name: found[name].plan for name in ("orders", "history")})
    for name, other in (("orders", "history"), ("history", "orders")):
        assert payoffs.of(name, name).moved > 0.01
        assert payoffs.of(name, AS_IT_IS).moved == pytest.approx(-payoffs.of(name, name).moved)
        assert payoffs.of(name, other).moved < payoffs.of(other, other).moved
    assert payoffs.of("orders", "orders").money != payoffs.of("orders", AS_IT_IS).money
    assert payoffs.of("orders", "orders").spread > 0


def test_the_acts_against_other_suspects_are_listed_and_not_chosen():
    case = two_changes()
    found, beliefs = believing(case, orders=0.7, history=0.25)
    made = choose(case, found["orders"], beliefs)
    assert [(option.action, option.target) for option in made.options[:2]] == [
        ("rollback_code", ref("orders")), ("rollback_code", ref("history")),
    ]  # fmt: skip
    assert made.options[1].veto == "its fault is less probable (25%) than not"
    assert made.options[0].loss > 0
    sure = choose(case, found["orders"], believing(case, orders=0.99)[1])
    assert sure.options[0].utility > made.options[0].utility


def test_an_act_whose_fault_is_less_probable_than_not_gives_way_to_holding():
    found = chosen(broken(), "orders", 3, 4, 5, probability=0.4)
    assert found.action == "hold"
    assert found.options[0].veto


def test_what_makes_predictions_worse_where_labels_tell_is_not_done():
    """The change that is blamed did good: going back would do harm, and the labels say so."""
    shop = Shop()
    shop.change("orders", lambda raw_orders: raw_orders.with_columns(x=1 - pl.col("x")))
    shop.days(0, 5)
    shop.change("orders", lambda raw_orders: raw_orders)
    shop.days(6, 14)
    found = chosen(shop, "orders", *range(6, 15))
    assert "predictions become worse by" in found.options[0].veto
    assert "8 labelled windows" in found.options[0].veto
    assert (found.action, found.automatic) == ("hold", True)


def test_labels_that_are_frozen_are_no_witness():
    shop = Shop()
    shop.change("orders", lambda raw_orders: raw_orders.with_columns(x=1 - pl.col("x")))
    shop.days(0, 5)
    shop.change("orders", lambda raw_orders: raw_orders)
    shop.days(6, 14)
    case = shop.case(*range(6, 15), findings=[finding("orders", "mechanism", "displacement")])
    case = replace(case, trusted=lambda model, key: False)
    assert decided(case, culprit(case, "orders")).action == "rollback_code"


def test_a_predecessor_that_must_not_serve_is_no_way_back():
    shop = broken("refund_predictions", None, {"model": "m2"})
    case = shop.case(4, 5, findings=[finding("features")])
    item = culprit(case, "refund_predictions")
    barred = replace(case, unfit=lambda asset, made: f"{asset} was trained on quarantined windows")
    assert decided(case, item).action == "rollback_model"
    found = decided(barred, item)
    assert (found.action, found.options[0].veto) == ("hold", "refund_predictions was trained on quarantined windows")


def test_a_predecessor_that_cannot_serve_the_features_there_are_is_no_way_back():
    def picky(parts, served):
        return score(parts, served.select("id", "x", "mean_x", "size"))

    shop = Shop()
    shop.change("refund_predictions", picky)
    shop.days(0, 2)
    shop.change("features", lambda orders, history, raw_shops: features(orders, history, raw_shops).drop("size"))
    shop.change("refund_predictions", score, {"model": "m2"})
    shop.days(3, 5)
    case = shop.case(4, 5, findings=[finding("refund_predictions", "mechanism", "displacement")])
    item = Weighed(
        "refund_predictions", "loaded_model", 3.0, False, "", {},
        Plan(mechanisms={"refund_predictions": shop.made["refund_predictions", day(0)]}), since=day(3), kind="release",
    )  # fmt: skip
    found = choose(case, item, Beliefs([(item, 0.95)], Posterior((0.95,), 0.0, 0.05, 0.0)))
    assert found.options[0].veto.startswith("the version before cannot serve the features there are now")
    assert found.action == "hold"


def test_a_repair_that_nothing_downstream_can_run_on_is_not_made():
    shop = Shop().days(0, 5)
    known = {("raw_orders", day(5)): signature(shop, 5, True)}
    broken_frame = replace(known["raw_orders", day(5)], frame=shop.tables.read("raw_orders", [day(5)]).drop("x"))
    found = chosen(shop, "raw_orders", 5, diagnosed={("raw_orders", day(5)): broken_frame})
    assert found.options[0].veto.startswith("`orders` cannot be made from the repaired rows")
    assert found.action == "hold"


def test_a_repair_on_which_new_code_goes_wrong_is_not_made():
    """The code was changed to live with the fault: on the faulty rows it gives what the old one gave."""

    def guarded(raw_orders):
        low = raw_orders["x"].mean() < 0.3
        return raw_orders.with_columns(pl.col("x").clip(0, 1) * (0.1 if low else 1.0))

    shop = Shop().days(0, 2)
    shop.change("orders", guarded)
    shop.days(3, 5)
    frame = shop.tables.read("raw_orders", [day(5)]).with_columns(pl.col("x") / 2)
    made = replace(signature(shop, 5, True), frame=frame)
    found = chosen(shop, "raw_orders", 5, diagnosed={("raw_orders", day(5)): made})
    assert "`orders` gives other rows than its accepted code on the repaired rows" in found.options[0].veto
    assert found.action == "hold"


def test_an_act_that_costs_money_is_proposed_and_says_so_but_never_done_by_itself():
    """A server that warns of everyone happens to be cheaper: what failed is put right, and somebody has to look."""
    shop = Shop().days(0, 2)
    shop.change("refund_predictions", parts={"threshold": "t2"})
    shop.days(3, 14)
    found = chosen(shop, "refund_predictions", *range(3, 15), probability=0.99)
    assert found.gain_high < 0
    assert (found.action, found.automatic) == ("rollback_model", False)
    assert "see whether the decision rule" in found.text
    assert found.options[0].measure == "displacement"


def test_without_a_cost_function_utility_is_what_comes_nearer():
    shop = Shop(priced=False).days(0, 2)
    shop.change("orders", doubled)
    found = chosen(shop.days(3, 5), "orders", 3, 4, 5)
    assert (found.gain, found.options[0].gain) == (None, None)
    assert found.options[0].measure == "displacement"
    assert found.options[0].utility == pytest.approx(0.95 * found.options[0].displacement
                                                     - 0.05 * found.options[0].loss, rel=1e-4)  # fmt: skip
    assert found.action == "rollback_code"


def test_a_label_fault_is_put_right_though_no_decision_moves():
    shop = broken("returns", lambda raw_returns: raw_returns.select("id", returned=1 - pl.col("returned")))
    found = chosen(shop, "returns", 3, 4, 5)
    assert found.action == "rollback_code"
    assert found.options[0].displacement == pytest.approx(1.0)


def test_options_are_read_back_and_an_old_remedy_keeps_its_id():
    made = chosen(broken(), "orders", 5)
    assert Remedy.of(made.body()) == made
    old = {name: value for name, value in made.body().items() if name != "options"}
    assert Remedy.of(old).body() == old


def test_nobody_named_nothing_retrained_while_an_asset_is_in_question():
    case = broken().case(5, findings=[finding("orders")])
    _, beliefs = believing(case, orders=0.3)
    made = stand_by("retrain", "model:shop/refund", "Watch.", case, beliefs)
    assert made.action == "hold"
    assert [option.action for option in made.options if option.chosen] == ["hold"]
    assert next(option for option in made.options if option.action == "retrain").veto
    _, quiet = believing(case, orders=0.05)
    assert stand_by("retrain", "model:shop/refund", "Watch.", case, quiet).action == "retrain"
