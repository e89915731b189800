"""Large tables are tested on a sample of their keys, and nothing that fails is lost by it."""

import polars as pl
import pytest

from headwater.stats.frames import sampling
from headwater.triage.mechanism import examine
from headwater.triage.verdict import judge
from unit.triage.pipelines import day
from unit.triage.shop import NOW, Shop, finding, ref


@pytest.fixture
def small(monkeypatch):
    """Every table of more than 20 rows counts as large."""
    monkeypatch.setattr(sampling, "LARGE", 20)
    monkeypatch.setattr(sampling, "TAKEN", 10)


def test_the_sample_is_of_keys_whatever_their_order_and_company():
    frame = pl.DataFrame({"id": range(5000), "x": 1.0})
    kept = sampling.thinned(frame, ["id"], 5)
    assert 800 < kept.height < 1200
    other = frame.sample(fraction=1, shuffle=True, seed=1).with_columns(y=pl.lit("other"))
    assert set(sampling.thinned(other, ["id"], 5)["id"]) == set(kept["id"])
    assert sampling.thinned(frame, ["nobody"], 5) is frame
    assert sampling.thinned(frame, [], 5) is frame


def test_small_tables_are_taken_whole():
    assert sampling.one_in(sampling.LARGE) == 1
    assert sampling.one_in(10 * sampling.LARGE) == 10 * sampling.LARGE // sampling.TAKEN


def changed(asset, function):
    shop = Shop().days(0, 3)
    shop.change(asset, function)
    return shop.days(4, 4)


@pytest.mark.usefixtures("small")
def test_what_did_not_change_is_cleared_on_a_sample():
    shop = Shop().days(0, 4)
    replay = shop.replay()
    for name in ("orders", "features", "refund_served", "refund_predictions"):
        values = examine(replay, (shop.model,), name, day(4), shop.made[name, day(4)])
        assert values["share"] == 0.0 and values["lost_share"] == 0.0
        assert 0 < values["compared_rows"] < 40


@pytest.mark.usefixtures("small")
def test_a_mean_over_the_rows_of_many_keys_is_computed_from_all_of_them():
    shop = Shop().days(0, 4)

    def centred(raw_orders):
        return raw_orders.with_columns(pl.col("x") - pl.col("x").mean())

    shop.change("orders", centred)
    shop.days(5, 5)
    values = examine(shop.replay(), (shop.model,), "orders", day(5), shop.made["orders", day(5)])
    assert values["share"] == 0.0, "the sample's own mean is another one"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("asset", "function", "scored"),
    [
        ("orders", lambda raw_orders: raw_orders.with_columns(pl.col("x") * 2), 40),
        ("orders", lambda raw_orders: raw_orders.head(20), 20),
        ("refund_served", lambda features: features.with_columns(x=pl.col("x").shift(3)).fill_null(0), 40),
    ],
)
def test_a_fault_is_named_and_priced_as_on_all_rows(asset, function, scored):
    case = changed(asset, function).case(4, findings=[finding(asset, "mechanism", "displacement", number=4)])
    found = judge(case, NOW)
    assert (found.status, found.subject) == ("named", ref(asset))
    assert found.effect is not None and found.effect.scored_predictions == pytest.approx(scored, abs=1)
