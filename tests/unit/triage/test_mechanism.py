"""The exact test of a mechanism, and what its change does to decisions."""

import math

import polars as pl
import pytest

from headwater.core.assets import Mechanism
from headwater.triage.mechanism import examine, harm, impact, look_back, moved
from headwater.triage.replay import Plan
from unit.triage.pipelines import DAYS, day
from unit.triage.shop import Shop

NAN = math.nan
PREDICTIONS = Mechanism("refund_predictions", {"model": "m1", "threshold": "t1"})


def doubled(raw_orders):
    return raw_orders.with_columns(pl.col("x") * 2)


def refactored(raw_orders):
    x = raw_orders["x"].to_numpy().copy()
    x[x > 1] = 1
    return raw_orders.with_columns(pl.Series("x", x)).reverse()


def halved(raw_orders):
    return raw_orders.filter(pl.col("id") % 2 == 0)


def after(asset, function=None, parts=None, days=5):
    """Run some days well and the last day with a change."""
    shop = Shop().days(0, days - 1)
    before = shop.current[asset]
    shop.change(asset, function, parts)
    return shop.days(days, days), before


def test_an_unchanged_mechanism_differs_in_nothing():
    shop = Shop().days(0, 3)
    for name, asset in shop.assets.items():
        if asset.recomputable:
            key = DAYS.shift(DAYS.window(day(3)), -asset.lag).key
            found = examine(shop.replay(), [shop.model], name, key, shop.current[name])
            assert (found["changed"], found["code_changed"], found["parts"]) == (False, False, [])
            assert (found["share"], found["lost_share"], found["extra_share"], found["columns"]) == (0.0, 0.0, 0.0, {})
            assert "displacement" not in found


def test_a_refactor_is_a_change_without_a_difference():
    shop, before = after("orders", refactored)
    found = examine(shop.replay(), [shop.model], "orders", day(5), before)
    assert (found["changed"], found["code_changed"], found["share"]) == (True, True, 0.0)
    assert found["observed_mechanism"] != found["accepted_mechanism"] == before.id


def test_a_change_is_measured_down_to_the_decisions():
    shop, before = after("orders", doubled)
    found = examine(shop.replay(), [shop.model], "orders", day(5), before)
    assert found["share"] == pytest.approx(1 / 3)
    assert found["columns"] == {"x": 1.0}
    good = Shop().days(0, 5)
    bad, well = shop.tables.read("refund_predictions", [day(5)]), good.tables.read("refund_predictions", [day(5)])
    assert found["displacement"] == pytest.approx((bad["p"] - well["p"]).abs().mean())
    assert found["decisions"] == pytest.approx((bad["decision"] - well["decision"]).abs().mean())
    assert "label_flips" not in found


def test_what_comes_after_a_change_is_not_blamed_for_it():
    shop, _ = after("orders", doubled)
    for name in ("history", "features", "refund_served", "refund_predictions"):
        assert examine(shop.replay(), [shop.model], name, day(5), shop.current[name])["share"] == 0.0


def test_lost_rows_are_told_apart_from_changed_ones():
    shop, before = after("orders", halved)
    found = examine(shop.replay(), [shop.model], "orders", day(5), before)
    assert (found["lost_share"], found["extra_share"], found["share"]) == (0.5, 0.0, 0.5)
    assert found["displacement"] >= 0.5  # every lost order is a decision that was not made


def test_loaded_parts_are_named():
    shop, before = after("refund_predictions", parts={"model": "m1b"})
    found = examine(shop.replay(), [shop.model], "refund_predictions", day(5), before)
    assert (found["changed"], found["code_changed"], found["parts"]) == (True, False, ["model"])
    assert 0 < found["displacement"] < 0.01
    shop, before = after("refund_predictions", parts={"threshold": "t2"})
    found = examine(shop.replay(), [shop.model], "refund_predictions", day(5), before)
    assert found["displacement"] == 0.0
    assert found["decisions"] > 0.2


def test_a_changed_label_build_flips_labels():
    def all_returned(raw_returns):
        return raw_returns.select("id", pl.lit(1).alias("returned"))

    shop, before = after("returns", all_returned)
    found = examine(shop.replay(), [shop.model], "returns", day(4), before)
    truth = Shop().days(0, 5).tables.read("returns", [day(4)])["returned"]
    assert found["label_flips"] == pytest.approx(1 - truth.mean())
    assert "displacement" not in found


def test_rows_that_were_tampered_with_differ_under_the_very_same_version():
    shop = Shop().days(0, 5)
    stale = shop.tables.read("features", [day(4)])
    shop.tables.write("features", {day(5): stale}, run_id="stale")
    found = examine(shop.replay(), [shop.model], "features", day(5), shop.current["features"])
    assert (found["changed"], found["share"], found["lost_share"], found["extra_share"]) == (False, 1.0, 1.0, 1.0)


def test_without_a_model_the_rows_are_all_there_is():
    shop, before = after("orders", doubled)
    found = examine(shop.replay(), [], "orders", day(5), before)
    assert found["unmodelled_share"] == found["share"] > 0
    assert "displacement" not in found


def test_nothing_to_compare():
    shop = Shop().days(0, 1)
    assert examine(shop.replay(), [shop.model], "orders", day(9), shop.current["orders"]) is None
    del shop.made[("orders", day(1))]
    assert examine(shop.replay(), [shop.model], "orders", day(1), shop.current["orders"]) is None


def test_accepted_code_that_cannot_run_on_the_new_inputs_is_said():
    def renamed(raw_orders):
        return raw_orders.rename({"x": "amount"})

    def adapted(orders, history):
        return orders.select("id", pl.col("amount").alias("x"), pl.lit(0.5).alias("mean_x"))

    shop = Shop().days(0, 3)
    before = shop.current["features"]
    shop.change("orders", renamed)
    shop.change("features", adapted)
    shop.run(day(4))
    found = examine(shop.replay(), [shop.model], "features", day(4), before)
    assert found["share"] == 1.0
    assert "amount" in found["error"] or "x" in found["error"]
    assert "displacement" not in found


def test_a_key_that_became_text_is_a_total_change_not_a_crash():
    """Joining orders with an id of another type is the fault, not a reason to stop looking."""
    shop, before = after(
        "features",
        lambda orders, history: orders.select(pl.col("id").cast(pl.String), "x", pl.lit(0.5).alias("mean_x")),
    )
    found = examine(shop.replay(), [shop.model], "features", day(5), before)
    assert (found["share"], found["displacement"], found["decisions"]) == (1.0, 1.0, 1.0)


# --- impact -----------------------------------------------------------------------------------------------------------
def test_impact_is_nothing_where_nothing_is_reached():
    shop = Shop().days(0, 3)
    plan = Plan(mechanisms={"returns": shop.current["returns"]})
    assert impact(shop.replay(), [shop.model], "returns", day(2), plan) == {"label_flips": 0.0}
    assert impact(shop.replay(), [], "orders", day(2), plan) == {}
    assert impact(shop.replay(), [shop.model], "orders", day(9), Plan(mechanisms={"orders": Mechanism("x")})) == {}


def test_impact_looks_at_the_predictions_of_the_same_run_whatever_the_lags():
    shop = Shop().days(0, 3)
    assert shop.assets["raw_returns"].lag == 1
    flipped = shop.tables.read("raw_returns", [day(2)]).with_columns(returned=1 - pl.col("returned"))
    plan = Plan(frames={("raw_returns", day(2)): flipped})
    assert impact(shop.replay(), [shop.model], "raw_returns", day(2), plan) == {"label_flips": 1.0}
    raised = shop.tables.read("raw_orders", [day(3)]).with_columns(x=pl.lit(1.0))
    found = impact(shop.replay(), [shop.model], "raw_orders", day(3), Plan(frames={("raw_orders", day(3)): raised}))
    assert set(found) == {"displacement", "decisions"}
    assert found["displacement"] > 0.05


def test_a_plan_that_cannot_be_replayed_has_no_impact_to_tell():
    shop = Shop().days(0, 3)
    shop.code["failing"] = lambda frames, window, parts: frames["gone"]
    assert (
        impact(shop.replay(), [shop.model], "orders", day(3), Plan(mechanisms={"orders": Mechanism("failing")})) == {}
    )


# --- moved ------------------------------------------------------------------------------------------------------------
def log(ids, p, **more):
    return pl.DataFrame({"id": ids, "p": p, **more}, strict=False)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (log([1, 2], [0.1, 0.2]), log([2, 1], [0.2, 0.1]), 0.0),
        (log([1, 2], [0.1, 0.2]), log([1, 2], [0.2, 0.4]), 0.15),
        (log([1, 2], [0.4, 0.2]), log([1, 2], [0.2, 0.4]), 0.2),
        (log([1, 2], [0.1, 0.2]), log([1], [0.1]), 0.5),
        (log([1], [0.1]), log([1, 2, 3], [0.1, 0.5, 0.5]), 2 / 3),
        (log([1], [0.1]), log([2], [0.1]), 1.0),
        (log([1, 1], [0.9, 0.1]), log([1], [0.1]), 0.0),
        (log([1, 2], [None, 0.2]), log([1, 2], [None, 0.2]), 0.0),
        (log([1, 2], [NAN, 0.2]), log([1, 2], [None, 0.2]), 0.0),
        (log([1, 2], [NAN, NAN]), log([1, 2], [NAN, 0.2]), 0.5),
        (log([1, 2], [None, 0.2]), log([1, 2], [0.3, 0.2]), 0.5),
        (log([1, 2], [None, 1]), log([1], [None]).cast(pl.Int64), 0.5),
        (log([1, 2], [None, 1]), log([2], [1]), 0.5),
        (log([None, 2], [0.5, 1]), log([None, 2], [0.5, 1]), 0.0),
        (log([1, 2], [True, False]), log([1, 2], [1, 1]), 0.5),
        (log(["1"], [0.1]), log([1], [0.1]), 1.0),
        (log([1], [0.1]), log([1], [0.1]).cast({"id": pl.Int32}), 0.0),
        (log([], []), log([], []), 0.0),
        (log([1], [0.1]), pl.DataFrame({"id": [1]}), 1.0),
        (log([1], [0.1]), pl.DataFrame({"p": [0.1]}), 1.0),
        (log([1], ["high"]), log([1], [0.1]), 1.0),
    ],
)
def test_moved(before, after, change):
    assert moved(before, after, "id", ("p",)) == [pytest.approx(change)]
    assert moved(after, before, "id", ("p",)) == [pytest.approx(change)]


def test_moved_answers_for_each_column():
    before, after = log([1, 2], [0.1, 0.2], decision=[0, 1]), log([1, 2], [0.1, 0.4], decision=[1, 0])
    assert moved(before, after, "id", ("p", "decision")) == [pytest.approx(0.1), 1.0]


# --- harm -------------------------------------------------------------------------------------------------------------
LAST = 15


@pytest.fixture(scope="module")
def fortnight():
    return Shop().days(0, LAST)


def labelled(days=LAST):
    return [day(number) for number in range(days)]


def test_worse_parts_do_harm_and_the_same_parts_none(fortnight):
    inverse = Mechanism("refund_predictions", {"model": "m2", "threshold": "t1"})
    found = harm(fortnight.replay(), fortnight.model, "refund_predictions", inverse, labelled())
    assert found["harm_windows"] == 14
    assert 0 < found["harm_low"] < found["harm"] < found["harm_high"]
    same = harm(fortnight.replay(), fortnight.model, "refund_predictions", PREDICTIONS, labelled())
    assert (same["harm"], same["harm_low"], same["harm_high"]) == (0.0, 0.0, 0.0)


def test_harm_of_code_far_upstream_and_the_gain_of_a_better_model(fortnight):
    fortnight.code["doubled"] = fortnight.adapted("orders", doubled)
    assert harm(fortnight.replay(), fortnight.model, "orders", Mechanism("doubled"), labelled())["harm_low"] > 0
    worse = Shop()
    worse.change("refund_predictions", parts={"model": "m2"})
    worse.days(0, 8)
    better = harm(worse.replay(), worse.model, "refund_predictions", PREDICTIONS, labelled(8))
    assert better["harm_high"] < 0
    assert better["harm_windows"] == 8


def test_harm_is_the_mean_over_windows_of_the_rise_in_loss(fortnight):
    inverse = Mechanism("refund_predictions", {"model": "m2", "threshold": "t1"})
    replay, gaps = fortnight.replay(), []
    for key in labelled()[-14:]:
        truth = fortnight.tables.read("returns", [key])["returned"].to_list()
        before = fortnight.tables.read("refund_predictions", [key])["p"].to_list()
        after = replay.rerun("refund_predictions", key, inverse)["p"].to_list()
        kept = [(b if y else 1 - b) / (a if y else 1 - a) for a, b, y in zip(after, before, truth, strict=True)]
        gaps.append(sum(map(math.log, kept)) / len(kept))
    assert harm(replay, fortnight.model, "refund_predictions", inverse, labelled())["harm"] == pytest.approx(
        sum(gaps) / len(gaps)
    )


def test_harm_needs_three_windows_and_a_way_to_the_predictions(fortnight):
    inverse = Mechanism("refund_predictions", {"model": "m2", "threshold": "t1"})
    replay = fortnight.replay()
    assert harm(replay, fortnight.model, "refund_predictions", inverse, labelled(2)) == {}
    assert harm(replay, fortnight.model, "refund_predictions", inverse, [day(90 + n) for n in range(9)]) == {}
    assert harm(replay, fortnight.model, "returns", Mechanism("returns"), labelled()) == {}
    fortnight.code["failing"] = lambda frames, window, parts: frames["gone"]
    assert harm(replay, fortnight.model, "orders", Mechanism("failing"), labelled()) == {}


def test_code_that_changes_the_type_of_the_id_cannot_be_graded(fortnight):
    fortnight.code["text"] = lambda frames, window, parts: frames["orders"].select(
        pl.col("id").cast(pl.String), "x", pl.lit(0.5).alias("mean_x")
    )
    assert harm(fortnight.replay(), fortnight.model, "features", Mechanism("text"), labelled()) == {}


# --- looking back -----------------------------------------------------------------------------------------------------
def rarely(raw_orders):
    """Code that treats one order in forty otherwise."""
    return raw_orders.with_columns(x=pl.when(pl.col("id") % 1000 == 7).then(0.0).otherwise("x"))


def test_code_is_tried_on_the_windows_before_it_came(fortnight):
    fortnight.code["rarely"] = fortnight.adapted("orders", rarely)
    replay, keys = fortnight.replay(), labelled(10)
    good = fortnight.current["orders"]
    found = look_back(replay, [fortnight.model], "orders", keys, Mechanism("rarely"), good)
    assert found["past_windows"] == 10
    assert found["past_share"] == pytest.approx(1 / 40 / 3)
    assert found["past_lost_share"] == found["past_extra_share"] == 0.0
    assert 0 < found["past_displacement"] < 0.02
    fortnight.code["same"] = fortnight.adapted("orders", refactored)
    harmless = look_back(replay, [fortnight.model], "orders", keys, Mechanism("same"), good)
    assert harmless == {"past_windows": 10.0, "past_share": 0.0, "past_lost_share": 0.0, "past_extra_share": 0.0}


def test_looking_back_finds_nothing_where_nothing_can_be_run(fortnight):
    fortnight.code["failing"] = lambda frames, window, parts: frames["gone"]
    replay, good = fortnight.replay(), fortnight.current["orders"]
    assert look_back(replay, [fortnight.model], "orders", labelled(), Mechanism("failing"), good) == {}
    assert look_back(replay, [fortnight.model], "orders", [day(99)], Mechanism("orders"), good) == {}
    assert look_back(replay, [], "orders", [], Mechanism("orders"), good) == {}


def test_the_newest_windows_are_tried_until_enough_rows_were_seen(fortnight, monkeypatch):
    monkeypatch.setattr("headwater.triage.mechanism.PAST_ROWS", 100)
    fortnight.code["same"] = fortnight.adapted("orders", refactored)
    replay = fortnight.replay()
    found = look_back(replay, [fortnight.model], "orders", labelled(), Mechanism("same"), fortnight.current["orders"])
    assert found["past_windows"] == 3
    assert {key for _, key, _ in fortnight.computed} == set(labelled()[-3:])


def test_new_scoring_code_is_tried_with_the_accepted_parts(fortnight):
    fortnight.code["rewritten"] = fortnight.code["refund_predictions"]
    suspect = Mechanism("rewritten", {"model": "m2", "threshold": "t2"})
    replay = fortnight.replay()
    found = look_back(replay, [fortnight.model], "refund_predictions", labelled(), suspect, PREDICTIONS)
    assert found["past_windows"] == 14 + 1
    assert found["past_share"] == 0.0
