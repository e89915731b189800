"""What one window cannot judge: code that is wrong on few rows or by and by, and days on which more happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window

DAYS = Calendar("1d", "UTC")
ROWS = 40
RARE = 5
"""Every so many days one row in four is of a rare kind, and none on the others."""


def raw_parcels(window: Window) -> pl.DataFrame:
    first, _, last = window.key.partition("..")
    days = [day for day in DAYS.between(first, last or first)]
    return pl.concat(_parcels(day) for day in days)


def _parcels(day: Window) -> pl.DataFrame:
    number = day.start.toordinal()
    kinds = ["rare" if number % RARE == 0 and row % 4 == 0 else "usual" for row in range(ROWS)]
    return pl.DataFrame(
        {
            "parcel": [f"{day.key}-{row}" for row in range(ROWS)],
            "day": [day.start.date()] * ROWS,
            "kind": kinds,
            "grams": [100.0 + (row * 37 + number * 11) % 400 for row in range(ROWS)],
        }
    )


def parcels(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    return raw_parcels.with_columns(kilos=pl.col("grams") / 1000)


def without_rare(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    return raw_parcels.filter(pl.col("kind") == "usual").with_columns(kilos=pl.col("grams") / 1000)


def rewritten(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    return raw_parcels.select("parcel", "day", "kind", "grams", (pl.col("grams") * 0.001).alias("kilos"))


def creeping(since: str) -> Callable[..., Any]:
    begin = DAYS.window(since).start

    def parcels(raw_parcels: pl.DataFrame, window: Window) -> pl.DataFrame:
        share = min(1.0, max(0, (window.start - begin).days) / 7)
        lost = int(share * raw_parcels.height)
        return raw_parcels.tail(raw_parcels.height - lost).with_columns(kilos=pl.col("grams") / 1000)

    return parcels


class Post:
    """A small project without a model, run day by day."""

    def __init__(self, folder: Path) -> None:
        self.project = Project("post")
        self.project.source(raw_parcels, key=["parcel"], time="day")
        self.project.dataset(parcels, key=["parcel"], time="day")
        self.clock = SimulatedClock(DAYS.window("2024-03-01").start)
        self.workspace = Workspace.of(self.project, folder, self.clock)
        self.workspace.run_range("2024-03-01", "2024-03-28")
        self.day = DAYS.window("2024-03-29")

    def run(self) -> dict[str, Any]:
        self.clock.move_to(self.day.end + timedelta(hours=1))
        report = self.workspace.run(self.day.key)
        self.day = DAYS.shift(self.day, 1)
        return report

    def run_until_rare(self) -> None:
        self.run()
        while self.day.start.toordinal() % RARE != 1:
            self.run()


def test_a_change_that_this_window_hides_is_seen_on_the_windows_before(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.run_until_rare()
    assert "rare" not in _parcels(post.day)["kind"].to_list()
    post.project.replace("parcels", without_rare)
    report = post.run()
    assert [(item["subject"], item["monitor"]) for item in report["alarms"]] == [("dataset:post/parcels", "mechanism")]
    assert [(item["subject"], item["status"]) for item in report["verdicts"]] == [("dataset:post/parcels", "named")]
    assert post.workspace.incidents()[0]["verdict"]["remedy"]["action"] == "rollback_code"


def test_a_rewrite_with_the_same_rows_is_no_alarm(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.run()
    post.project.replace("parcels", rewritten)
    assert post.run()["alarms"] == []
    cleared = post.workspace.line.state.evidence[("mechanism", "dataset:post/parcels")]
    newest = cleared[max(cleared)].values
    assert newest["share"] == 0 and newest["past_share"] == 0 and newest["past_windows"] > 14


def test_code_that_goes_wrong_by_and_by_is_still_compared_with_the_code_before(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.run()
    post.project.replace("parcels", creeping(post.day.key))
    reports = [post.run() for _ in range(3)]
    assert not reports[0]["alarms"] and reports[0]["accepted"]
    named = [verdict for report in reports for verdict in report["verdicts"] if verdict["status"] == "named"]
    assert named and named[0]["subject"] == "dataset:post/parcels" and named[0]["fault"] == "transform_code"


def busy(day: str, *, copies: bool) -> Callable[[Window], pl.DataFrame]:
    def feed(window: Window) -> pl.DataFrame:
        frame = raw_parcels(window)
        if window.key != day:
            return frame
        others = [_parcels(DAYS.shift(window, 100 + wave)) for wave in range(3)]
        new = [other.with_columns(day=pl.lit(window.start.date())) for other in others]
        return pl.concat([frame, *([frame] * 3 if copies else new)])

    return feed


def test_a_busy_day_is_nobodys_fault(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.run()
    post.project.replace("raw_parcels", busy(post.day.key, copies=False))
    report = post.run()
    assert all(item["metric"] == "rows" for item in report["alarms"])
    assert [item["status"] for item in report["verdicts"]] in ([], ["world"])


def test_a_day_that_was_loaded_again_and_again_is(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.run()
    post.project.replace("raw_parcels", busy(post.day.key, copies=True))
    report = post.run()
    assert [(item["subject"], item["status"]) for item in report["verdicts"]] == [("dataset:post/raw_parcels", "named")]


def sparse(every: int) -> Callable[[Window], pl.DataFrame]:
    """A feed of notes with rows on every so many days; 0 for never."""

    def feed(window: Window) -> pl.DataFrame:
        first, _, last = window.key.partition("..")
        days = [day.start for day in DAYS.between(first, last or first)]
        told = [day.date() for day in days if every and day.toordinal() % every == 0]
        return pl.DataFrame({"day": told, "note": ["slow"] * len(told)}, schema={"day": pl.Date, "note": pl.String})

    return feed


@pytest.mark.parametrize("every", [0, 3])
def test_a_feed_that_often_has_no_rows_is_not_blamed_for_what_another_did(tmp_path: Path, every: int) -> None:
    def noted(raw_parcels: pl.DataFrame, raw_notes: pl.DataFrame) -> pl.DataFrame:
        return raw_parcels.join(raw_notes, on="day", how="left")

    def noted_usual(raw_parcels: pl.DataFrame, raw_notes: pl.DataFrame) -> pl.DataFrame:
        return noted(raw_parcels, raw_notes).head(30)

    post = Post(tmp_path)
    post.project.source(sparse(every), name="raw_notes", key=["day"], time="day")
    post.project.dataset(noted, key=["parcel"], time="day")
    post.workspace = Workspace.of(post.project, tmp_path / "again", post.clock)
    post.workspace.run_range("2024-03-01", "2024-03-28")
    while post.day.start.toordinal() % 3 == 0:
        post.run()
    post.project.replace("noted", noted_usual)
    report = post.run()
    assert [(item["subject"], item["status"]) for item in report["verdicts"]] == [("dataset:post/noted", "named")]


def test_a_stand_in_for_nothing_in_a_column_without_nulls_is_held_not_turned_into_nulls(tmp_path: Path) -> None:
    def feed(window: Window) -> pl.DataFrame:
        stand_in = pl.when(pl.int_range(pl.len()) % 3 == 0).then(-999.0).otherwise("grams")
        return raw_parcels(window).with_columns(grams=stand_in)

    post = Post(tmp_path)
    post.run()
    post.project.replace("raw_parcels", feed)
    post.run()
    verdict = post.workspace.incidents()[0]["verdict"]
    assert (verdict["subject"], verdict["fault"]) == ("dataset:post/raw_parcels", "sentinel")
    assert verdict["remedy"]["action"] == "hold"


def test_columns_that_come_back_after_a_rollback_are_no_alarm(tmp_path: Path) -> None:
    """The window in alarm is not what the next one is compared with."""

    def renamed(raw_parcels: pl.DataFrame) -> pl.DataFrame:
        return parcels(raw_parcels).rename({"kilos": "weight"})

    post = Post(tmp_path)
    post.project.dataset(lambda parcels: parcels.select("parcel", "day", "kilos"), name="scale", key=["parcel"])
    post.workspace = Workspace.of(post.project, tmp_path / "again", post.clock)
    post.workspace.run_range("2024-03-01", "2024-03-28")
    post.run()
    post.project.replace("parcels", renamed)
    assert post.run()["verdicts"][0]["subject"] == "dataset:post/parcels"
    name = post.workspace.incidents()[0]["incident"]
    post.workspace.remedy(name, apply=True, by="dana")
    report = post.run()
    assert report["alarms"] == [] and report["failed"] == []
    assert post.workspace.incidents()[0]["state"] == "verifying"


def test_a_repair_delivers_what_could_not_be_delivered(tmp_path: Path) -> None:
    """A column that is called otherwise stops what reads it; put right, the window must not stay a hole."""

    def feed(window: Window) -> pl.DataFrame:
        return raw_parcels(window).rename({"grams": "weight"})

    post = Post(tmp_path)
    post.run()
    post.project.replace("raw_parcels", feed)
    hole = post.day.key
    assert {item["dataset"] for item in post.run()["failed"]} == {"parcels"}
    (incident,) = post.workspace.incidents()
    assert incident["verdict"]["subject"] == "dataset:post/raw_parcels"
    assert incident["verdict"]["remedy"]["action"] == "repair"
    done = post.workspace.remedy(incident["incident"], apply=True, by="dana")
    assert done["rewrites"]["datasets"] == {"raw_parcels": [hole], "parcels": [hole]}
    stored = post.workspace.line.services.tables.read("parcels", [hole])
    assert stored is not None and stored.height == ROWS
