"""The list of affected predictions is the count that the verdict tells, before and after the remedy."""

import polars as pl
import pytest

from headwater.app.affected import affected_by
from headwater.core.errors import DataError, IncidentError
from unit.app.conftest import remedied


def listed(shop):
    return affected_by(shop.line, shop.line.state.incidents.get("1"))


def test_it_is_as_long_and_as_dear_as_the_verdict_says(in_cents):
    effect = in_cents.only()["verdict"]["effect"]
    found = listed(in_cents)
    assert found.height == effect["affected_predictions"] > 50
    assert found["cost"].sum() == pytest.approx(effect["value"])
    assert set(found["window"]) == {in_cents.day(3), in_cents.day(4)}
    log = in_cents.frame("refund_predictions", 3)
    row = found.filter(pl.col("entity") == log["order"][0]).row(0, named=True)
    assert (row["model"], row["window"]) == ("refund", in_cents.day(3))
    assert (row["predicted"], row["decision"]) == (log["p"][0], log["decision"][0])
    truth = in_cents.frame("returns", 3)
    assert row["outcome"] == truth.filter(pl.col("order") == row["entity"])["returned"][0]
    late = found.filter(pl.col("window") == in_cents.day(4))
    assert late["outcome"].null_count() == late.height, "its labels are still to come"


def test_what_would_have_been_is_what_a_healthy_shop_decided(in_cents, shop):
    shop.run(3)
    good = shop.frame("refund_predictions", 3).select(entity="order", p="p", sound="decision")
    both = listed(in_cents).join(good, on="entity")
    assert both.height > 50
    assert (both["repaired"] - both["p"]).abs().max() < 1e-9
    assert both["repaired_decision"].to_list() == both["sound"].to_list()


def test_it_stays_the_same_after_the_repair(in_cents):
    before = listed(in_cents)
    remedied(in_cents, 5)
    assert listed(in_cents).equals(before)


def test_a_part_that_flips_decisions_lists_those_it_flipped(shop):
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    shop.run(3)
    found = listed(shop)
    assert found.height == shop.only()["verdict"]["effect"]["affected_predictions"]
    assert (found["decision"] != found["repaired_decision"]).all()


def test_a_file_is_written_and_said(in_cents, tmp_path):
    path = tmp_path / "affected.csv"
    answer = in_cents.workspace.affected("1", path)
    found = pl.read_csv(path)
    assert (answer["listed"], answer["affected"]) == (found.height, found.height)
    assert answer["unit"] == "euro" and answer["low"] <= answer["cost"] <= answer["high"]
    assert found.columns == ["model", "window", "entity", "predicted", "repaired", "decision", "repaired_decision",
                             "outcome", "cost"]  # fmt: skip


def test_rows_that_are_lost_are_not_made_up(shop, tmp_path):
    shop.feed(d3={"keep": 0.3})
    shop.run(3)
    with pytest.raises(DataError, match="cannot be replayed") as told:
        shop.workspace.affected("1", tmp_path / "none.csv")
    assert shop.day(3) in told.value.hint
    assert not (tmp_path / "none.csv").exists()


def test_where_nobody_is_named_there_is_no_list(recoded, tmp_path):
    recoded.workspace.approve("orders", by="ann", reason="meant")
    recoded.workspace.sign("1", "ml", "bob", disagree="it was meant")
    recoded.run(4)
    assert recoded.only()["verdict"]["status"] != "named"
    with pytest.raises(IncidentError, match="names no asset"):
        recoded.workspace.affected("1", tmp_path / "none.csv")
