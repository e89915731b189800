"""What an incident cost: the decisions as made against the decisions as repaired, under one truth."""

import math
from dataclasses import replace

import polars as pl
import pytest

from headwater.core.assets import Mechanism
from headwater.core.errors import DataError
from headwater.triage.effect import effect
from headwater.triage.replay import Plan
from unit.triage.pipelines import day
from unit.triage.shop import PER_DAY, Shop, cost, finding


def cautious():
    """A server that warns at 5 % instead of 50 %, for the last two of six days; the labels of day 5 are still out."""
    shop = Shop().days(0, 3)
    shop.change("refund_predictions", parts={"threshold": "t2"})
    return shop.days(4, 5)


GOOD = Plan(mechanisms={"refund_predictions": Mechanism("refund_predictions", {"model": "m1", "threshold": "t1"})})


def logged(shop, number):
    return shop.tables.read("refund_predictions", [day(number)])


def truth(shop, number):
    return shop.tables.read("returns", [day(number)])


def test_known_outcomes_are_priced_exactly():
    shop, well = cautious(), Shop().days(0, 5)
    made, repaired = (logged(line, 4).join(truth(shop, 4), on="id") for line in (shop, well))
    found = effect(shop.case(4, findings=[finding("features")]), GOOD)
    assert found.value == pytest.approx(cost(made).sum() - cost(repaired).sum())
    assert found.value != 0
    assert (found.low, found.high) == (found.value, found.value)
    assert found.unit == "euro"
    assert found.windows == (day(4),)


def test_without_a_cost_function_predictions_are_counted_and_nothing_is_priced():
    case = cautious().case(4, findings=[finding("features")])
    free = replace(case, models=tuple(replace(model, cost=None) for model in case.models))
    found, priced = effect(free, GOOD), effect(case, GOOD)
    assert (found.unit, found.value) == ("", 0.0)
    assert found.affected_predictions == priced.affected_predictions > 0


@pytest.mark.parametrize("parts", [{"threshold": "t2"}, {"model": "m2"}])
def test_open_outcomes_are_priced_at_the_repaired_probability_with_an_interval(parts):
    shop, well = Shop().days(0, 3), Shop().days(0, 5)
    shop.change("refund_predictions", parts=parts)
    shop.days(4, 5)
    assert truth(shop, 5) is None
    value = variance = 0.0
    for bad, good in zip(logged(shop, 5).to_dicts(), logged(well, 5).to_dicts(), strict=True):
        kept, returned = (
            7 * outcome * (good["decision"] - bad["decision"]) + 2 * (bad["decision"] - good["decision"])
            for outcome in (0, 1)
        )
        value += good["p"] * returned + (1 - good["p"]) * kept
        variance += good["p"] * (1 - good["p"]) * (returned - kept) ** 2
    found = effect(shop.case(5, findings=[finding("features")]), GOOD)
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == pytest.approx(
        (value - 1.96 * math.sqrt(variance), value + 1.96 * math.sqrt(variance))
    )
    assert found.low < found.value < found.high


def test_labels_that_came_later_leave_nothing_open():
    shop, later = cautious(), Shop().days(0, 6)
    case = shop.case(4, 5, findings=[finding("features")])
    first, now = effect(case, GOOD), effect(case, GOOD, lambda model, key: later.tables.read(model.labels, [key]))
    made, repaired = (
        sum(cost(logged(line, number).join(truth(later, number), on="id")).sum() for number in (4, 5))
        for line in (shop, later)
    )
    assert now.value == pytest.approx(made - repaired)
    assert (now.low, now.high) == (now.value, now.value)
    assert 0 < first.known_outcomes < now.known_outcomes == now.affected_predictions == first.affected_predictions
    assert first.low <= now.value <= first.high


def test_labels_that_may_not_be_read_leave_all_of_it_open():
    case = cautious().case(4, 5, findings=[finding("features")])
    found = effect(case, GOOD, lambda model, key: None)
    assert found.known_outcomes == 0 < found.affected_predictions
    assert found.high - found.low > effect(case, GOOD).high - effect(case, GOOD).low


def test_only_some_outcomes_are_known():
    shop, later = cautious(), Shop().days(0, 6)
    case = shop.case(5, findings=[finding("features")])
    half = truth(later, 5).with_columns(returned=pl.when(pl.col("id") % 2 == 0).then("returned"))
    found = effect(case, GOOD, lambda model, key: half)
    log, well = logged(shop, 5), logged(later, 5)
    moved = log.filter(log["decision"] != well["decision"])["id"]
    assert found.known_outcomes == sum(number % 2 == 0 for number in moved)
    assert found.low < found.value < found.high


def test_windows_add_up():
    shop = cautious()
    whole, first, second = (
        effect(shop.case(*days, findings=[finding("features")]), GOOD) for days in ((4, 5), (4,), (5,))
    )
    assert whole.value == pytest.approx(first.value + second.value)
    assert whole.high - whole.value == pytest.approx(second.high - second.value)
    assert whole.affected_predictions == first.affected_predictions + second.affected_predictions
    assert whole.scored_predictions == 2 * PER_DAY


def test_a_prediction_is_affected_when_it_moves_or_its_decision_flips():
    shop, well = cautious(), Shop().days(0, 5)
    flipped = int((logged(shop, 4)["decision"] != logged(well, 4)["decision"]).sum())
    found = effect(shop.case(4, findings=[finding("features")]), GOOD)
    assert 0 < found.affected_predictions == flipped < PER_DAY
    shop = Shop().days(0, 3)
    shop.change("refund_predictions", parts={"model": "m1b"})  # moves p by less than 0.01
    nudged = effect(shop.days(4, 4).case(4, findings=[finding("features")]), GOOD)
    close = logged(shop, 4)["decision"] != logged(well, 4)["decision"]
    assert nudged is None or nudged.affected_predictions == int(close.sum())


def test_rows_that_are_lost_are_affected():
    shop = Shop().days(0, 3)
    shop.change("orders", lambda raw_orders: raw_orders.head(30))
    found = effect(
        shop.days(4, 4).case(4, findings=[finding("features")]), Plan(mechanisms={"orders": Mechanism("orders")})
    )
    assert found.affected_predictions >= 10
    assert found.scored_predictions == 30


def test_nothing_to_price():
    shop = cautious()
    case = shop.case(4, 5, findings=[finding("features")])
    assert effect(case, None) is None
    assert effect(shop.case(4, 5, findings=[finding("features")], modelled=False), GOOD) is None
    assert effect(shop.case(9, findings=[finding("features")]), GOOD) is None
    assert effect(case, Plan()) is None
    assert effect(case, Plan(mechanisms={"returns": Mechanism("returns")})) is None


def test_a_plan_that_cannot_be_replayed_is_not_priced():
    shop = cautious()
    shop.code["failing"] = lambda frames, window, parts: frames["gone"]
    assert (
        effect(shop.case(4, 5, findings=[finding("features")]), Plan(mechanisms={"orders": Mechanism("failing")}))
        is None
    )


def test_a_model_without_a_cost_has_affected_predictions_all_the_same():
    shop = Shop(priced=False).days(0, 3)
    shop.change("refund_predictions", parts={"threshold": "t2"})
    found = effect(shop.days(4, 5).case(4, 5, findings=[finding("features")]), GOOD)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.affected_predictions > 0


def test_labels_that_contradict_each_other_leave_the_expectation():
    """A label build that doubles its rows is a fault to be judged, not a reason to fail while judging."""
    shop = cautious()
    labels = truth(shop, 4)
    twice = pl.concat([labels, labels.with_columns(returned=1 - pl.col("returned"))])
    shop.tables.write("returns", {day(4): twice}, run_id="twice")
    found = effect(shop.case(4, findings=[finding("features")]), GOOD)
    assert found.low < found.value < found.high


def test_a_cost_that_fails_prices_nothing_but_counts():
    shop = cautious()
    case = shop.case(4, findings=[finding("features")])

    def refuse(*_):
        raise DataError("no price today")

    object.__setattr__(case, "price", refuse)
    found = effect(case, GOOD)
    assert found.value == 0.0
    assert found.affected_predictions > 0


def test_ids_of_another_type_are_all_affected():
    shop = Shop().days(0, 3)
    shop.change(
        "features", lambda orders, history: orders.select(pl.col("id").cast(pl.String), "x", mean_x=pl.lit(0.5))
    )
    plan = Plan(mechanisms={"features": Mechanism("features")})
    found = effect(shop.days(4, 4).case(4, findings=[finding("features")]), plan)
    assert found.affected_predictions == found.scored_predictions == PER_DAY
