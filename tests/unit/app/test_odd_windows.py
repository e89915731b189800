"""Windows gone wrong, through the workspace: columns that go or change, naive times, empty, twice, out of order."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import WindowConflict
from headwater.core.windows import Calendar

PIPELINE = """
from pathlib import Path

import polars as pl

from headwater import Project

project = Project("odd", timezone="Europe/Berlin")
FEED = Path(__file__).parent / "feed"


@project.source(key=["id"], time="at")
def raw(window):
    first, _, last = window.key.partition("..")
    files = sorted(file for file in FEED.glob("*.parquet") if first <= file.stem <= (last or first))
    return pl.concat([pl.read_parquet(file) for file in files])


@project.dataset(layer="staged", key=["id"], time="at", lookback={"raw": 2})
def kept(raw, window):
    inside = pl.col("at").is_between(window.start, window.end, closed="left")
    return raw.filter(inside).select("id", "at", "amount")


@project.dataset(key=["day"], lookback={"raw": 2})
def totals(raw):
    return raw.select(day=pl.lit(1), rows=pl.len())
"""
CALENDAR = Calendar("1d", "Europe/Berlin")
FIRST, LEARNED = "2024-03-10", "2024-04-10"


def rows(day: str, count: int = 80) -> pl.DataFrame:
    random = np.random.default_rng(int(day.replace("-", "")))
    count = int(count * random.uniform(0.97, 1.03)) if count > 10 else count
    start = CALENDAR.window(day).start + timedelta(hours=8)
    return pl.DataFrame(
        {
            "id": [f"{day}-{n}" for n in range(count)],
            "at": pl.Series([start + timedelta(minutes=n) for n in range(count)], dtype=pl.Datetime("us", "UTC")),
            "amount": random.normal(20, 3, count).round(2),
            "kind": [("a", "b", "c")[n % 3] for n in range(count)],
        }
    )


class Odd:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SimulatedClock(CALENDAR.window(LEARNED).end + timedelta(hours=5))
        self.workspace = Workspace.open(folder, self.clock)

    def day(self, number: int) -> str:
        return CALENDAR.shift(CALENDAR.window(LEARNED), number).key

    def feed(self, number: int, frame: pl.DataFrame | None = None) -> None:
        day = self.day(number)
        (rows(day) if frame is None else frame).write_parquet(self.folder / f"feed/{day}.parquet")

    def run(self, number: int, frame: pl.DataFrame | None = None) -> dict[str, Any]:
        self.feed(number, frame)
        self.clock.move_to(max(CALENDAR.window(self.day(number)).end + timedelta(hours=5), self.clock.now()))
        return self.workspace.run(self.day(number))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Odd:
    folder = tmp_path_factory.mktemp("odd") / "p"
    (folder / "feed").mkdir(parents=True)
    (folder / "headwater.yaml").write_text("module: pipeline.py\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    for window in CALENDAR.between(FIRST, LEARNED):
        rows(window.key).write_parquet(folder / f"feed/{window.key}.parquet")
    odd = Odd(folder)
    assert not odd.workspace.run_range(FIRST, LEARNED)["failed"]
    assert odd.run(1)["alarms"] == []
    return odd


@pytest.fixture
def odd(begun: Odd, tmp_path: Path) -> Odd:
    shutil.copytree(begun.folder, tmp_path / "p")
    return Odd(tmp_path / "p")


def alarms(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(item["subject"].rpartition("/")[2], item["monitor"], item["metric"]) for item in report["alarms"]}


def only(odd: Odd) -> dict[str, Any]:
    (incident,) = odd.workspace.incidents()
    return incident


def test_a_column_that_disappears_breaks_whoever_reads_it_and_is_one_incident_at_the_source(odd):
    report = odd.run(2, rows(odd.day(2)).drop("amount"))
    assert ("raw", "schema", "schema.amount") in alarms(report)
    assert only(odd)["subject"] == "dataset:odd/raw"
    (told,) = [item["detail"] for item in report["alarms"] if item["monitor"] == "schema"]
    assert told == "column `amount` is gone (was Float64); read by dataset:odd/kept"
    assert report["failed"] == [], "beside older windows that have it, it is read as null"
    assert ("kept", "structure", "null_share.amount") in alarms(report)


def test_a_column_that_nobody_reads_may_go(odd):
    report = odd.run(2, rows(odd.day(2)).drop("kind"))
    assert ("raw", "schema", "schema.kind") not in alarms(report)
    assert not report["failed"]


def test_columns_in_another_order_are_no_change(odd):
    report = odd.run(2, rows(odd.day(2)).select("kind", "amount", "at", "id"))
    assert (alarms(report), report["failed"], report["notices"]) == (set(), [], 0)
    assert odd.run(3)["alarms"] == []


def test_a_column_that_changes_its_type_alarms_until_it_is_itself_again(odd):
    report = odd.run(2, rows(odd.day(2)).with_columns(pl.col("amount").cast(pl.String)))
    assert ("raw", "schema", "schema.amount") in alarms(report)
    assert only(odd)["subject"] == "dataset:odd/raw"
    report = odd.run(3)
    assert ("raw", "schema", "schema.amount") not in alarms(report), "the window before is no standard: it was in alarm"
    assert len(odd.workspace.incidents()) == 1


@pytest.mark.parametrize(("kind", "loud"), [(pl.Float32, True), (pl.Int64, True)])
def test_a_narrower_type_alarms_whoever_reads_it(odd, kind, loud):
    report = odd.run(2, rows(odd.day(2)).with_columns(pl.col("amount").cast(kind)))
    assert (("raw", "schema", "schema.amount") in alarms(report)) is loud


def test_naive_times_among_aware_ones_are_told_and_never_taken_for_utc(odd):
    report = odd.run(2, rows(odd.day(2)).with_columns(pl.col("at").dt.replace_time_zone(None)))
    assert ("raw", "schema", "schema.at") in alarms(report)
    assert only(odd)["subject"] == "dataset:odd/raw"
    assert {item["dataset"] for item in report["failed"]} <= {"kept", "totals"}, "and what reads both says so"
    assert all(item["error"]["message"] for item in report["failed"])
    odd.feed(3)
    odd.clock.move_to(CALENDAR.window(odd.day(3)).end + timedelta(hours=5))
    ranged = odd.workspace.run_range(odd.day(2), odd.day(3))
    assert ranged["failed"], "a range that mixes both cannot be cut into windows"


@pytest.mark.parametrize("typed", [True, False])
def test_an_empty_window_alarms_once_at_its_source(odd, typed):
    empty = rows(odd.day(2)).clear()
    report = odd.run(2, empty if typed else pl.DataFrame({name: [] for name in empty.columns}))
    assert ("raw", "structure", "rows") in alarms(report)
    assert only(odd)["subject"] == "dataset:odd/raw"
    assert "schema" not in {monitor for name, monitor, _ in alarms(report) if name == "raw"}, "it is empty, not retyped"


def test_one_row_where_there_were_eighty(odd):
    report = odd.run(2, rows(odd.day(2), 1))
    assert ("raw", "structure", "rows") in alarms(report)
    assert only(odd)["subject"] == "dataset:odd/raw"


def test_windows_of_one_row_each_are_a_history_like_any(tmp_path):
    folder = tmp_path / "p"
    (folder / "feed").mkdir(parents=True)
    (folder / "headwater.yaml").write_text("module: pipeline.py\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    for window in CALENDAR.between(FIRST, LEARNED):
        rows(window.key, 1).write_parquet(folder / f"feed/{window.key}.parquet")
    odd = Odd(folder)
    assert not odd.workspace.run_range(FIRST, LEARNED)["failed"]
    for number in range(1, 4):
        report = odd.run(number, rows(odd.day(number), 1))
        assert (report["failed"], alarms(report)) == ([], set())


def test_a_window_twice_with_the_same_rows_is_quiet_and_with_others_refused(odd):
    assert odd.run(2)["failed"] == []
    again = odd.run(2, rows(odd.day(2)).sample(fraction=1.0, shuffle=True, seed=1))
    assert (again["failed"], alarms(again)) == ([], set())
    other = odd.run(2, rows(odd.day(2)).with_columns(pl.col("amount") + 1))
    assert next(item["error"]["code"] for item in other["failed"]) == "window-conflict"
    kept = odd.workspace.line.services.tables.read("raw", [odd.day(2)])
    assert kept["amount"].sum() == pytest.approx(rows(odd.day(2))["amount"].sum()), "what is there stays"


def test_windows_out_of_order_are_refused_whole(odd):
    odd.feed(2)
    assert odd.run(3)["delivered"] >= 1
    with pytest.raises(WindowConflict, match="comes after") as told:
        odd.workspace.run(odd.day(2))
    assert "backfill" in (told.value.hint or "")


def test_nan_infinity_and_nulls_only_have_a_verdict_and_no_crash(odd):
    frame = rows(odd.day(2)).with_columns(
        amount=pl.when(pl.int_range(pl.len()) % 2 == 0).then(float("nan")).otherwise(float("inf")),
        kind=pl.lit(None, dtype=pl.String),
    )
    report = odd.run(2, frame)
    assert {metric for _, _, metric in alarms(report)} & {"nan_share.amount", "null_share.amount", "null_share.kind"}
    assert only(odd)["subject"] == "dataset:odd/raw"
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert all(item.time > now for item in odd.workspace.line.state.findings[odd.day(2)])
