"""A table that a job elsewhere makes: taken as it comes, known by its lineage, and judged without running it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project

PER_DAY = 200


class Warehouse:
    """The outside: a source table, and a job that makes another of it; ``broken`` drops the join's other side."""

    def __init__(self) -> None:
        self.broken = False

    def raw_orders(self, window):
        random = np.random.default_rng(window.start.toordinal())
        first = window.start.toordinal() * 1000
        return pl.DataFrame(
            {
                "id": [first + number for number in range(PER_DAY)],
                "amount": random.gamma(2.0, 20.0, PER_DAY).round(2),
                "placed": [window.start + timedelta(minutes=7 * number) for number in range(PER_DAY)],
            }
        )

    def enriched(self, window):
        random = np.random.default_rng(window.start.toordinal() + 7)
        region = random.choice(["north", "south", "west"], PER_DAY, p=[0.5, 0.3, 0.2])
        made = self.raw_orders(window).with_columns(pl.Series("region", region))
        return made.with_columns(region=pl.lit(None, pl.String)) if self.broken else made


@pytest.fixture
def world(tmp_path: Path):
    outside = Warehouse()
    project = Project("depot")
    project.source(outside.raw_orders, key=["id"], time="placed")
    project.source(outside.enriched, key=["id"], time="placed", parents=["raw_orders"], layer="modeled")

    @project.dataset(key=["region"])
    def regions(enriched):
        return enriched.group_by("region").agg(pl.col("amount").sum()).sort("region")

    clock = SimulatedClock(project.calendar.window("2024-03-01").start)
    return outside, project, clock, Workspace.of(project, tmp_path, clock)


def live(project, clock, workspace, first, last):
    reports = []
    for window in project.calendar.between(first, last):
        clock.move_to(window.end + timedelta(hours=1))
        reports.append(workspace.run(window.key))
    return reports


def test_a_foreign_job_is_in_the_lineage_and_quiet(world):
    _, project, clock, workspace = world
    reports = live(project, clock, workspace, "2024-03-01", "2024-03-20")
    assert not any(report["alarms"] for report in reports)
    assert "dataset:depot/raw_orders" in workspace.line.above("dataset:depot/enriched")


def test_its_failure_is_named_by_its_tables_and_nothing_of_it_is_run_again(world):
    outside, project, clock, workspace = world
    live(project, clock, workspace, "2024-03-01", "2024-03-20")
    outside.broken = True
    (report,) = live(project, clock, workspace, "2024-03-21", "2024-03-21")
    assert report["alarms"]
    (incident,) = workspace.incidents()
    verdict = incident["verdict"]
    assert (verdict["status"], verdict["subject"]) == ("named", "dataset:depot/enriched")
    assert verdict["remedy"]["action"] == "hold"
    assert [item["subject"] for item in verdict["suspects"] if item["exonerated"]] == ["dataset:depot/raw_orders"]
