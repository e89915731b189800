"""Carrying out remedies: what a backfill reaches, and that it leaves things as if they had been right at once."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from headwater.app.remedying import plan_backfill
from headwater.app.wiring import embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import DataError, IncidentError
from headwater.core.project import Project
from headwater.testing.memory_ledger import MemoryLedger
from headwater.testing.memory_tables import MemoryTables
from unit.app.conftest import remedied


def day(number):
    return f"2024-05-{number:02d}"


def pipeline(feed: Path) -> Project:
    """Everything a reader can be: a lookback, a snapshot that comes now and then, a parent that comes late."""
    project = Project("plan")

    def told(name, window):
        found = json.loads(feed.read_text()).get(f"{name} {window.key}", 0)
        if found == "missing":
            raise FileNotFoundError(window.key)
        return pl.DataFrame({"id": [1], "x": [window.start.day * 100 + found]})

    def raw(window):
        return told("raw", window)

    def dimension(window):
        return told("dimension", window)

    def late(window):
        return told("late", window)

    def summed(*frames):
        return pl.concat(frames).group_by("id").agg(pl.col("x").sum())

    project.source(raw, key=["id"])
    project.source(dimension, key=["id"], snapshot=True)
    project.source(late, key=["id"], lag=1)
    project.dataset(lambda raw: summed(raw), name="rolling", key=["id"], lookback={"raw": 2})
    project.dataset(lambda raw, dimension: summed(raw, dimension), name="joined", key=["id"])
    project.dataset(lambda raw, late: summed(raw, late), name="history", key=["id"], lookback={"late": 2})
    project.dataset(lambda rolling, history: summed(rolling, history), name="last", key=["id"], lookback={"history": 1})
    return project


class Plan:
    """The pipeline run for seven days; the dimension came on days 1, 2 and 5 alone."""

    def __init__(self, folder: Path, **feed) -> None:
        folder.mkdir()
        self.feed = folder / "feed.json"
        missing = {f"dimension {day(number)}": "missing" for number in (3, 4, 6, 7)}
        self.feed.write_text(json.dumps(missing | feed))
        self.clock = SimulatedClock(datetime(2024, 5, 2, tzinfo=UTC))
        services = replace(embedded(folder / "state", self.clock), tables=MemoryTables(), ledger=MemoryLedger())
        self.workspace = Workspace.of(pipeline(self.feed), folder / "state", services=services)
        for number in range(1, 8):
            self.clock.move_to(datetime(2024, 5, 1, 6, tzinfo=UTC) + timedelta(days=number))
            self.workspace.run(day(number))

    def tell(self, **feed) -> None:
        self.feed.write_text(json.dumps(json.loads(self.feed.read_text()) | feed))
        self.clock.move_to(self.clock.now() + timedelta(minutes=1))

    def windows(self, name, *numbers) -> dict[str, list[int]]:
        found = plan_backfill(self.workspace.line, {name: [day(number) for number in numbers]}).windows
        return {dataset: [int(key[-2:]) for key in keys] for dataset, keys in found.items()}

    def contents(self) -> dict[str, dict[str, str | None]]:
        tables = self.workspace.line.services.tables
        return {name: {key: tables.content(name, key) for key in tables.keys(name)} for name in tables.datasets()}


@pytest.fixture
def plan(tmp_path) -> Plan:
    return Plan(tmp_path / "one")


def test_a_plan_follows_each_way_of_reading(plan):
    assert plan.windows("raw", 3) == {
        "raw": [3], "rolling": [3, 4, 5], "joined": [3], "history": [3], "last": [3, 4, 5],
    }  # fmt: skip
    assert plan.windows("dimension", 2) == {"dimension": [2], "joined": [2, 3, 4]}
    assert plan.windows("dimension", 5) == {"dimension": [5], "joined": [5, 6, 7]}
    assert plan.windows("late", 3) == {"late": [3], "history": [4, 5], "last": [4, 5, 6]}
    assert plan.windows("last", 7) == {"last": [7]}
    assert plan.windows("raw") == {}


def test_a_plan_is_in_delivery_order_and_stays_within_what_is_there(plan):
    found = plan_backfill(plan.workspace.line, {"raw": [day(6), day(7)]}).windows
    order = [asset.name for asset in plan.workspace.project.ordered()]
    assert list(found) == [name for name in order if name in found]
    assert found["rolling"] == (day(6), day(7))


@pytest.mark.parametrize(
    ("name", "number"),
    [("raw", 3), ("raw", 1), ("raw", 7), ("dimension", 2), ("dimension", 5), ("late", 3), ("late", 6)],
)
def test_a_backfill_leaves_everything_as_if_it_had_been_right_at_once(tmp_path, name, number):
    right = {f"{name} {day(number)}": 7}
    restated, fresh = Plan(tmp_path / "restated"), Plan(tmp_path / "fresh", **right)
    before = restated.contents()
    restated.tell(**right)
    answer = restated.workspace.backfill(name, day(number), day(number))
    after = restated.contents()
    assert after == fresh.contents()
    changed = {(table, key) for table, found in after.items() for key in found if found[key] != before[table][key]}
    assert changed == {(table, key) for table, found in answer["datasets"].items() for key in found}


def test_a_backfill_without_any_change_makes_no_version(plan):
    tables = plan.workspace.line.services.tables
    before = {name: tables.version(name) for name in tables.datasets()}
    plan.tell()
    plan.workspace.backfill("raw", day(2), day(5))
    assert {name: tables.version(name) for name in tables.datasets()} == before


def test_a_dry_run_writes_nothing(plan):
    before, records = plan.contents(), plan.workspace.audit()["records"]
    plan.tell(**{f"raw {day(3)}": 7})
    answer = plan.workspace.backfill("raw", day(3), day(3), dry_run=True)
    assert answer["applied"] is False
    assert answer["datasets"]["rolling"] == [day(3), day(4), day(5)]
    assert (plan.contents(), plan.workspace.audit()["records"]) == (before, records)


def test_a_backfill_of_what_was_never_delivered_is_refused(plan):
    with pytest.raises(DataError, match="window 2024-05-03 of `dimension` was never delivered"):
        plan.workspace.backfill("dimension", day(2), day(4))


def test_a_backfill_that_stops_goes_on_where_it_stopped(tmp_path, plan):
    plan.tell(**{f"raw {day(3)}": 7, f"raw {day(4)}": "missing"})
    with pytest.raises(DataError, match="the backfill of `raw` stopped at window 2024-05-04"):
        plan.workspace.backfill("raw", day(3), day(4))
    plan.tell(**{f"raw {day(4)}": 8})
    plan.workspace.backfill("raw", day(3), day(4))
    fresh = Plan(tmp_path / "fresh", **{f"raw {day(3)}": 7, f"raw {day(4)}": 8})
    assert plan.contents() == fresh.contents()


# --- remedies of the shop ---------------------------------------------------------------------------------------------
LOGS = ("refund_served", "refund_predictions")


def test_a_dry_run_of_a_remedy_says_what_applying_does(in_cents):
    promised = in_cents.workspace.remedy("1")
    in_cents.wait(minutes=1)
    done = in_cents.workspace.remedy("1", apply=True, by="ann")
    assert (promised["applied"], done["applied"]) == (False, True)
    assert promised["rewrites"] == done["rewrites"]
    assert promised["windows"] == done["windows"] == sum(map(len, done["rewrites"]["datasets"].values()))
    assert not set(LOGS) & set(done["rewrites"]["datasets"])
    assert done["rewrites"]["models"] == ["model:shop/refund"]


def test_a_repaired_source_holds_what_it_would_have_held(in_cents, shop):
    served = {name: in_cents.frame(name, 3) for name in LOGS}
    remedied(in_cents, 5)
    for number in (3, 4, 5):
        shop.run(number)
    for name in ("raw_orders", "orders", "history", "order_features"):
        for number in (3, 4, 5):
            left, right = in_cents.frame(name, number), shop.frame(name, number)
            numeric = [column for column, dtype in left.schema.items() if dtype.is_numeric()]
            assert left.drop(numeric).equals(right.drop(numeric))
            for column in numeric:
                assert (left[column] - right[column]).abs().max() < 1e-9
    assert all(in_cents.frame(name, 3).equals(served[name]) for name in LOGS)  # what was decided stays on record


def test_a_repair_goes_on_until_the_source_is_right_again(in_cents):
    in_cents.feed(d5={"scale": 100})
    remedied(in_cents, 5)
    assert in_cents.frame("raw_orders", 5)["amount"].max() < 31
    assert in_cents.only()["state"] == "verifying"
    in_cents.run(6)  # right by itself: nothing is divided
    assert in_cents.frame("raw_orders", 6)["amount"].min() >= 20


def test_code_is_rolled_back_and_stays_so_until_it_is_edited(recoded):
    assert recoded.frame("orders", 3)["euros"].max() > 35
    remedied(recoded, 4)
    for number in (3, 4):
        assert recoded.frame("orders", number)["euros"].max() < 31
    recoded.edit('euros=pl.col("amount") * 1.5)', 'euros=pl.col("amount") + 0.0)')
    recoded.run(5)
    made = recoded.line.state.graph.run_of("dataset:shop/orders", recoded.day(5)).mechanism
    pin = recoded.line.state.pins["orders"]
    assert made.code not in (pin["good"], pin["bad"])


def test_a_server_gets_its_approved_parts_back(shop):
    approved = shop.line.state.deployments.get("refund").parts
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    shop.run(3)
    decided = shop.frame("refund_predictions", 3)
    remedied(shop, 4)
    now = shop.line.state.deployments.get("refund")
    assert (now.parts, now.mismatch) == (approved, ())
    assert shop.frame("refund_predictions", 3).equals(decided)


def test_a_held_source_is_kept_out_of_training_until_it_is_delivered_again(shop):
    shop.feed(d3={"keep": 0.3})
    shop.run(3)
    if shop.only()["verdict"]["remedy"]["action"] != "hold":
        pytest.fail(shop.only()["verdict"]["text"])
    shop.wait(minutes=1)
    shop.workspace.remedy("1", apply=True, by="ann")
    held = {item["dataset"]: (item["first"], item["last"]) for item in shop.workspace.quarantine_list()}
    assert held["dataset:shop/raw_orders"] == (shop.day(3), shop.day(3))
    assert "dataset:shop/order_features" in held
    shop.feed(d3={})
    shop.wait(minutes=1)
    shop.workspace.backfill("raw_orders", shop.day(3), shop.day(3))
    assert shop.workspace.quarantine_list() == []


def test_a_remedy_is_applied_once(recoded):
    recoded.wait(minutes=1)
    recoded.workspace.remedy("1", apply=True, by="ann")
    with pytest.raises(IncidentError, match="its remedy was applied already"):
        recoded.workspace.remedy("1", apply=True, by="ann")
