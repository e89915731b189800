"""A model that orders rows, through the line: measured by query, and a change of its scoring code named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.wiring import embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.testing.memory_tracking import MemoryTracking
from line import parcels
from line.parcels import CALENDAR, COLUMNS, FIRST, HISTORY


def delivered(raw_deliveries: pl.DataFrame) -> pl.DataFrame:
    """Which parcels of a depot were the slow ones?"""
    return raw_deliveries.select("parcel", "sent", hours=(pl.col("hours") > 36).cast(pl.Int64))


def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"score": parcels.score(parts, served)["prediction"]})


def doubled(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    return score(parts, served) * 2


def by_weight(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    return served.select(score=pl.col("weight_kg"))


def test_a_ranking_is_measured_and_only_another_order_is_a_fault(tmp_path: Path) -> None:
    project = parcels.build(task="ranking", score=score, query="depot", cost=None, latency="")
    project.replace("delivered", delivered)
    day = CALENDAR.window(FIRST)
    clock, tracking = SimulatedClock(day.start), MemoryTracking()
    services = replace(embedded(tmp_path, clock), tracking=lambda: tracking)
    workspace = Workspace.of(project, tmp_path, clock, services)
    workspace.run_range(*HISTORY)
    workspace.release(workspace.train(seed=1)["version"], by="ann")

    def run() -> dict[str, Any]:
        nonlocal day
        clock.move_to(day.end + timedelta(hours=1))
        report = workspace.run(day.key)
        day = CALENDAR.shift(day, 1)
        return report

    assert not any(run()["alarms"] for _ in range(2))
    values = workspace.line.state.evidence[("performance", "model:post/hours")][FIRST].values
    assert values["queries"] == 5 and values["ndcg"] > values["blind"] and "log_loss" not in values
    assert "gap.place.service=express" in workspace.line.state.evidence[("fairness", "model:post/hours")][FIRST].values
    project.replace("hours_predictions", doubled)
    assert not run()["alarms"], "twice every score is the same order"
    project.replace("hours_predictions", by_weight)
    (verdict,) = run()["verdicts"]
    assert verdict["status"] == "named"
    assert verdict["subject"] in ("deployment:post/hours", "dataset:post/hours_predictions")
    assert set(COLUMNS) <= set(workspace.line.services.tables.read("hours_predictions", [FIRST]).columns)
