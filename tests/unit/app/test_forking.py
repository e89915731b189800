"""Forks of a workspace in memory: they go on from where it stood, and it never hears of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.app.forking import Standing, fork, in_memory, own, stand
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project

DAYS = ["2024-05-01", "2024-05-02", "2024-05-03"]


def build() -> Project:
    project = Project("shop")

    @project.source(key=["id"])
    def raw_orders(window: Any) -> pl.DataFrame:
        return pl.DataFrame({"id": list(range(20)), "day": [window.key] * 20})

    @project.dataset(key=["id"])
    def orders(raw_orders: pl.DataFrame) -> pl.DataFrame:
        return raw_orders.with_columns(pl.col("id") * 2)

    return project


@pytest.fixture
def standing(tmp_path: Path) -> tuple[Workspace, Standing]:
    project = build()
    workspace = in_memory(project, tmp_path, project.calendar.window(DAYS[0]).start)
    run(workspace, DAYS[0])
    return workspace, stand(workspace, tmp_path)


def run(workspace: Workspace, key: str) -> dict[str, Any]:
    clock = workspace.line.services.clock
    assert isinstance(clock, SimulatedClock)
    clock.move_to(workspace.project.calendar.window(key).end)
    return workspace.run(key)


def records(workspace: Workspace) -> list[tuple[str, str]]:
    return [(record.id, record.hash) for record in workspace.line.services.ledger.read()]


def test_a_fork_goes_on_as_the_workspace_itself_would(standing: tuple[Workspace, Standing]) -> None:
    workspace, stood = standing
    forked = fork(stood, own(workspace.project))
    assert records(forked) == records(workspace)
    assert run(forked, DAYS[1]) == run(workspace, DAYS[1])
    assert records(forked) == records(workspace)
    assert forked.line.services.ledger.verify() == len(records(workspace))


def test_what_happens_in_a_fork_stays_there(standing: tuple[Workspace, Standing]) -> None:
    workspace, stood = standing
    before = records(workspace)
    one, other = fork(stood, own(workspace.project)), fork(stood, own(workspace.project))
    one.project.replace("orders", lambda raw_orders: raw_orders.with_columns(pl.col("id") * 3))
    run(one, DAYS[1])
    assert records(workspace) == before == records(other)
    run(other, DAYS[1])
    ids = [w.line.services.tables.read("orders", [DAYS[1]])["id"].to_list() for w in (one, other)]
    assert ids[0][1] == 3 and ids[1][1] == 2
    assert workspace.line.services.tables.keys("orders") == DAYS[:1]


def test_a_standing_can_be_written_down(standing: tuple[Workspace, Standing]) -> None:
    workspace, stood = standing
    forked = fork(pickle.loads(pickle.dumps(stood)), own(workspace.project))
    assert run(forked, DAYS[1])["delivered"] == 2
    assert forked.line.services.ledger.verify() > len(records(workspace))


def test_a_project_of_its_own_shares_functions_until_one_is_replaced() -> None:
    project = build()
    made = own(project)
    assert made.functions == project.functions
    replaced: Callable[..., Any] = lambda raw_orders: raw_orders  # noqa: E731
    made.replace("orders", replaced)
    assert project.functions["orders"] is not replaced
