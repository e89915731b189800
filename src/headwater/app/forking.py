"""Workspaces in memory, and forks of them: what would happen if, without living the past again.

A fork shares what cannot change (written windows, ledger rows, stored code and model parts) and copies the rest. What
happens in it is not seen by what it was forked from.
"""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from headwater.app.line import Line
from headwater.app.wiring import Services, embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import MissingExtra
from headwater.core.ports import Tracking
from headwater.core.project import Project
from headwater.testing.memory_ledger import MemoryLedger
from headwater.testing.memory_tables import MemoryTables
from headwater.testing.memory_tracking import MemoryTracking


def in_memory(project: Project, folder: Path, start: datetime) -> Workspace:
    """Open a workspace whose ledger, tables and registry live in memory.

    Args:
        project: The pipeline.
        folder: Where code and model parts are kept; they are named by content, so that many workspaces can share it.
        start: What its simulated clock says at first.
    """
    clock, tracking = SimulatedClock(start), MemoryTracking()
    services = replace(embedded(folder, clock), ledger=MemoryLedger(), tables=MemoryTables(), tracking=lambda: tracking)
    return Workspace(Line(project, services, None))


@dataclass(frozen=True)
class Standing:
    """A workspace in memory as it stands at a moment; pickles, and forks as often as wanted.

    Attributes:
        state: What its line had folded and learned, pickled.
        ledger: Its ledger.
        tables: Its tables.
        tracking: Its model registry.
        references: What it knows of each source's normal rows.
        folder: Where code and model parts lie.
        time: What its clock said.
    """

    state: bytes
    ledger: MemoryLedger
    tables: MemoryTables
    tracking: Tracking
    references: dict[str, list[Any]]
    folder: Path
    time: datetime


def stand(workspace: Workspace, folder: Path) -> Standing:
    """Remember how a workspace made by `in_memory` stands."""
    try:
        import cloudpickle  # what is folded holds functions of no name
    except ModuleNotFoundError as error:
        raise MissingExtra.of("cloudpickle", "flow") from error

    line = workspace.line
    services = line.services
    assert isinstance(services.ledger, MemoryLedger) and isinstance(services.tables, MemoryTables)
    tracking = services.tracking()
    assert isinstance(tracking, MemoryTracking)
    return Standing(
        cloudpickle.dumps((line.state, line.estimates), protocol=5),
        services.ledger.copy(),
        services.tables.copy(),
        tracking.copy(),
        {name: list(known) for name, known in line.references.items()},
        folder,
        services.clock.now(),
    )


def fork(standing: Standing, project: Project, services: Services | None = None) -> Workspace:
    """Open a workspace that goes on from where another stood.

    Args:
        standing: Where to go on from.
        project: The pipeline as it was then: equal functions, its own object (changes to it stay in this fork).
        services: Services of an earlier fork, whose stores of code and parts are then shared and not opened again.
    """
    clock = SimulatedClock(standing.time)
    tracking = standing.tracking.copy()  # type: ignore[attr-defined]
    opened = services or embedded(standing.folder, clock)
    mine = replace(
        opened,
        ledger=standing.ledger.copy(),
        tables=standing.tables.copy(),
        tracking=lambda: tracking,
        clock=clock,
    )
    line = Line(project, replace(mine, ledger=MemoryLedger()), None)
    line.services = mine
    line.state, line.estimates = pickle.loads(standing.state)
    line.references = defaultdict(list, {name: list(known) for name, known in standing.references.items()})
    return Workspace(line)


REMEMBERED = 6
"""How many references of a source a standing keeps."""


def learned(standing: Standing, workspace: Workspace) -> None:
    """Keep what a fork learned of the past that it shares with the standing, for the next fork."""
    tables = workspace.line.services.tables
    for name, known in workspace.line.references.items():
        kept = standing.references.setdefault(name, [])
        for keys, reference in known:
            shared = all(standing.tables.content(name, key) == tables.content(name, key) for key in keys)
            if shared and not any(keys == other for other, _ in kept):
                kept.append((keys, reference))
        del kept[:-REMEMBERED]


def own(project: Project) -> Project:
    """Return a project of its own with the same functions: replacing one does not touch the first."""
    made = copy.copy(project)
    for name, value in vars(project).items():
        if isinstance(value, (dict, list)):
            setattr(made, name, value.copy())
    return made
