"""Running windows: in order, once, and what is held up when something fails."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import UsageError, WindowConflict
from headwater.core.project import Project
from headwater.stats.frames.tables import compare
from headwater.testing.memory_tracking import MemoryTracking
from unit.app.small_shop import FIRST, LEARNED, Shop, written


def contents(shop):
    tables = shop.line.services.tables
    return {name: {key: tables.content(name, key) for key in tables.keys(name)} for name in tables.datasets()}


def test_the_next_window_is_the_one_after_the_last(shop):
    shop.wait(days=3)
    assert shop.workspace.run()["window"] == shop.day(3)
    assert shop.workspace.run()["window"] == shop.day(4)


def test_a_window_that_failed_is_tried_again_before_the_next(shop):
    shop.wait(days=3)
    shop.feed(d3={"missing": True})
    failed = shop.workspace.run()
    assert (failed["window"], failed["retried"]) == (shop.day(3), [])
    assert "raw_orders" in {item["dataset"] for item in failed["failed"]}
    shop.wait(minutes=1)
    again = shop.workspace.run()
    assert again["window"] == shop.day(3) and {"raw_orders", "orders"} <= set(again["retried"])
    shop.feed(d3={})
    shop.wait(minutes=1)
    mended = shop.opened().run()
    assert (mended["window"], mended["failed"]) == (shop.day(3), []) and "raw_orders" in mended["retried"]
    assert shop.opened().run()["window"] == shop.day(4)


def test_a_failed_window_can_be_gone_past_by_naming_the_next(shop):
    shop.feed(d3={"missing": True})
    shop.run(3)
    assert shop.run(4)["window"] == shop.day(4)
    shop.wait(days=1)
    assert shop.workspace.run()["window"] == shop.day(5)
    shop.feed(d3={})
    shop.wait(minutes=1)
    assert shop.workspace.run(shop.day(3))["failed"] == []


def test_what_a_backfill_has_brought_since_is_not_tried_again(shop):
    shop.wait(days=3)
    shop.edit('euros=pl.col("amount"))', 'euros=pl.col("amuont"))')
    assert {item["dataset"] for item in shop.workspace.run()["failed"]} >= {"orders"}
    shop.edit('euros=pl.col("amuont"))', 'euros=pl.col("amount"))')
    shop.wait(minutes=1)
    shop.workspace.backfill("raw_orders", shop.day(3), shop.day(3))
    left = shop.line.undelivered(shop.day(3))
    assert "orders" not in left and "history" not in left


def test_a_rerun_changes_no_table_and_opens_nothing(shop):
    shop.run(3)
    before = contents(shop)
    shop.wait(minutes=1)
    again = shop.workspace.run(shop.day(3))
    assert (again["failed"], again["alarms"]) == ([], [])
    assert contents(shop) == before


def test_a_window_that_was_left_out_is_refused_once_later_ones_were_run(shop):
    shop.run(5)
    for number in (3, 4):
        with pytest.raises(
            WindowConflict, match=f"window {shop.day(number)} comes after {shop.day(5)} was run"
        ) as told:
            shop.workspace.run(shop.day(number))
        assert "backfill" in told.value.hint
    assert shop.day(3) not in shop.line.state.runs
    with pytest.raises(WindowConflict):
        shop.workspace.run_range("2023-12-01", "2023-12-31")


def test_a_window_delivered_again_with_other_content_is_a_conflict_and_nothing_is_overwritten(shop):
    shop.run(3)
    before = contents(shop)
    shop.feed(d3={"scale": 1.1})
    shop.wait(minutes=1)
    answer = shop.workspace.run(shop.day(3))
    conflict = next(item for item in answer["failed"] if item["dataset"] == "raw_orders")
    assert (conflict["state"], conflict["error"]["code"]) == ("FAIL", "window-conflict")
    assert f"headwater backfill raw_orders --from {shop.day(3)}" in conflict["error"]["hint"]
    assert contents(shop) == before


def test_a_range_does_not_overwrite_what_is_there_with_other_content_either(shop):
    before = contents(shop)
    shop.feed(**{"d-4": {"scale": 1.1}})
    shop.wait(minutes=1)
    answer = shop.workspace.run_range(shop.day(-6), shop.day(2))
    assert answer["failed"][0]["error"]["code"] == "window-conflict"
    assert f"window {shop.day(-4)} of `raw_orders`" in answer["failed"][0]["error"]["message"]
    assert contents(shop)["raw_orders"] == before["raw_orders"]


def test_a_range_delivered_again_changes_nothing(shop):
    tables = shop.line.services.tables
    before = {(name, key): tables.read(name, [key]) for name in tables.datasets() for key in tables.keys(name)}
    shop.wait(minutes=1)
    assert shop.workspace.run_range(shop.day(-6), shop.day(-1))["failed"] == []
    for (name, key), frame in before.items():
        assert compare(tables.read(name, [key]), frame, shop.line.assets[name].key).share == 0


def test_rows_in_another_order_are_no_conflict_and_a_changed_type_is_one(shop):
    shop.run(3)
    shop.edit('euros=pl.col("amount"))', 'euros=pl.col("amount")).reverse()')
    shop.wait(minutes=1)
    assert shop.workspace.run(shop.day(3))["failed"] == []
    shop.edit('euros=pl.col("amount")).reverse()', 'euros=pl.col("amount").cast(pl.Float32))')
    shop.wait(minutes=1)
    assert shop.workspace.run(shop.day(3))["failed"][0]["error"]["code"] == "window-conflict"


def test_a_failed_feed_holds_up_what_reads_it_and_can_be_run_again_when_it_comes(shop):
    shop.feed(d3={"missing": True})
    answer = shop.run(3)
    states = {item["dataset"]: item["state"] for item in answer["failed"]}
    assert states == {
        "raw_orders": "FAIL", "orders": "SKIP", "history": "SKIP", "order_features": "SKIP",
        "refund_served": "SKIP", "refund_predictions": "SKIP",
    }  # fmt: skip
    assert shop.line.state.runs[shop.day(3)] == "FAIL"
    assert answer["accepted"] is False
    shop.feed(d3={})
    shop.run(4)  # the lookback over the hole does not hold up the next day
    shop.wait(minutes=1)
    assert shop.workspace.run(shop.day(3))["failed"] == []
    assert shop.line.state.runs[shop.day(3)] == "COMPLETE"


def test_labels_that_contradict_themselves_stop_no_run(shop):
    shop.feed(d2={"returns": "contradict"})
    answer = shop.run(3)
    assert answer["window"] == shop.day(3)
    assert shop.day(3) in shop.line.state.runs
    assert shop.only()["verdict"]["subject"] == "dataset:shop/raw_returns"


def test_a_refused_contract_writes_nothing(shop):
    shop.edit('euros=pl.col("amount"))', 'euros=pl.when(pl.col("age") > 30).then(pl.col("amount")))')
    answer = shop.run(3)
    broken = answer["failed"][0]
    assert (broken["dataset"], broken["error"]["code"]) == ("orders", "contract-broken")
    assert shop.frame("orders", 3) is None
    assert shop.only()["verdict"]["subject"] == "dataset:shop/orders"


def test_scoring_that_fails_is_a_failed_delivery_not_a_crash(shop):
    shop.edit('    a, b, c = parts["weights"]\n', '    a, b = parts["weights"]\n')
    answer = shop.run(3)
    assert [item["dataset"] for item in answer["failed"]] == ["refund_predictions"]
    assert shop.only()["verdict"]["subject"].endswith(("refund_predictions", "refund"))


@pytest.mark.parametrize("key", ["yesterday", "2024-3-1", "2024-13-01", "", "2024-03-18T05"])
def test_what_is_no_window_is_refused(shop, key):
    if not key:
        return
    with pytest.raises(UsageError):
        shop.workspace.run(key)


def test_the_first_run_must_be_named(grown, tmp_path):
    from unit.app.small_shop import Shop, written

    fresh = Shop(written(tmp_path / "new"), grown.tracking, grown.clock.now())
    with pytest.raises(UsageError, match="nothing was run yet"):
        fresh.workspace.run()


def untidy():
    """Functions that write to what is not theirs: the array of the window before, and the frame they were given."""
    project, numbers = Project("untidy"), np.zeros(3)

    @project.source(key=["id"])
    def raw(window):
        numbers[:] = window.start.day
        return pl.DataFrame({"id": [1, 2, 3], "x": numbers})

    @project.dataset(key=["id"])
    def spoilt(raw):
        raw.insert_column(0, pl.lit(1).alias("more"))
        raw[0, "x"] = 1e9
        return raw.drop("more")

    @project.dataset(key=["id"], lookback={"raw": 1})
    def seen(raw):
        return raw.group_by("id").agg(pl.col("x").sum()).sort("id")

    return project


def test_what_a_function_does_to_frames_reaches_nobody_else(tmp_path):
    clock = SimulatedClock(datetime(2024, 3, 31, tzinfo=UTC))
    workspace = Workspace.of(untidy(), tmp_path, clock)
    assert workspace.run_range("2024-03-01", "2024-03-05")["failed"] == []
    answer = workspace.run("2024-03-06")
    assert (answer["failed"], answer["alarms"]) == ([], [])
    for day in range(2, 7):
        read = [
            workspace.line.services.tables.read(name, [f"2024-03-{day:02}"])["x"].to_list() for name in ("raw", "seen")
        ]
        assert read == [[day] * 3, [2 * day - 1] * 3]


@pytest.fixture
def unreleased(tmp_path):
    """The shop with six weeks of history and a model of which no version is released yet."""
    shop = Shop(written(tmp_path / "project"), MemoryTracking(), datetime(2024, 3, 16, 6, tzinfo=UTC))
    shop.workspace.run_range(FIRST, LEARNED)
    return shop


def test_tables_are_watched_before_a_model_is_released(unreleased):
    report = unreleased.run(1)
    assert (report["failed"], report["alarms"], report["accepted"]) == ([], [], True)
    assert "refund_predictions" not in unreleased.line.services.tables.datasets()


def test_a_fault_is_found_and_remedied_before_a_model_is_released(unreleased):
    unreleased.feed(d2={"scale": 100})
    for number in (1, 2):
        unreleased.run(number)
    verdict = unreleased.workspace.why("incident:shop/1")
    assert (verdict["status"], verdict["subject"], verdict["fault"]) == ("named", "dataset:shop/raw_orders", "unit")
    unreleased.wait(minutes=1)
    assert unreleased.workspace.remedy("1", apply=True, by="ann")
    unreleased.run(3)
    assert unreleased.only()["state"] == "verifying"


def test_changed_code_is_found_before_a_model_is_released(unreleased):
    unreleased.run(1)
    unreleased.edit('euros=pl.col("amount"))', 'euros=pl.col("amount") * 1.5)')
    unreleased.run(2)
    verdict = unreleased.workspace.why("incident:shop/1")
    assert (verdict["status"], verdict["subject"]) == ("named", "dataset:shop/orders")
