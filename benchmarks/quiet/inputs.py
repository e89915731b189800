"""Inputs of models: how often the alarm comes on clean days, and how much of a column must move for it.

The line's own rooms measure and judge: `headwater.app.inputs` measures each day from stored features, `InputsMonitor`
judges it, and what is in alarm is not learned. Nothing upstream alarms here, which in a real line would silence it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from quiet.models import Days
from quiet.rates import SPAN

from headwater.app.inputs import FEWEST, inputs_again
from headwater.app.line import Line
from headwater.app.wiring import Services
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project
from headwater.core.records import Evidence, Finding
from headwater.observe.inputs import RUN
from headwater.observe.monitors import evaluate
from headwater.testing.memory_ledger import MemoryLedger
from headwater.testing.memory_tables import MemoryTables

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHARES = (0.0, 0.1, 0.3, 0.5, 0.8)
"""Of a day's other rows that give way to rows that are alike in one column."""
SITES, SEED = 8, 5
_TOP, _COMMON = 0.8, (0.02, 0.6)


def line_of(days: Days) -> Line:
    """Return a line in memory that holds a model's features, and that every day of them was scored."""
    project = Project("quiet")
    project.features(_nothing, name="cases", key=["row"])
    project.labels(_nothing, name="outcomes", key=["row"])
    model = project.model(
        "model", features="cases", labels="outcomes", entity="row", outcome="_y", columns=days.columns,
        train=_nothing, score=_nothing,
    )  # fmt: skip
    tables = MemoryTables()
    tables.write("cases", {key: frame.drop("_y") for key, frame in days.frames}, run_id="clean")
    scored = {key: pl.DataFrame({"row": range(frame.height)}) for key, frame in days.frames}
    tables.write(model.predictions, scored, run_id="clean")
    unused: Any = None
    return Line(project, Services(MemoryLedger(), tables, unused, unused, unused, SimulatedClock(NOW)), None)


def _nothing() -> None:
    return None


def fork(line: Line, frames: dict[str, pl.DataFrame]) -> Line:
    """Return a copy of a line that goes on with other features in some windows."""
    other, tables = copy.copy(line), line.services.tables.copy()  # type: ignore[attr-defined]
    tables.write("cases", frames, run_id="planted")
    other.services = replace(line.services, tables=tables)
    other.state = copy.copy(line.state)
    other.state.history = copy.deepcopy(line.state.history)
    other.asked = {place: rows for place, rows in line.asked.items() if place[1] not in frames}
    return other


def step(line: Line, key: str) -> list[Finding] | None:
    """Measure and judge a window, and learn from it; None where there is too little history to say anything."""
    values = inputs_again(line, "cases", key)
    if not values:
        return None
    made = Evidence(type="inputs", subject=line.ref("cases"), window=key, values=values, time=NOW)
    history = line.state.history
    history.add_evidence(made)
    findings = evaluate([made], history, line.calendar, NOW)
    for finding in findings:
        history.add_finding(finding)
    return findings


def planted(frame: pl.DataFrame, column: str, value: Any, share: float, random: np.random.Generator) -> pl.DataFrame:
    """Let a share of the other rows give way to rows, drawn anew, that have a value or more in a column.

    Whole rows are replaced, so that what the columns say together stays real.
    """
    alike = _alike(frame, column, value)
    found = np.flatnonzero(alike)
    rows = np.arange(frame.height)
    gone = ~alike & (random.random(frame.height) < share)
    if len(found):
        rows[gone] = random.choice(found, int(gone.sum()))
    return frame[rows.tolist()]


def _alike(frame: pl.DataFrame, column: str, value: Any) -> np.ndarray:
    cell = frame.get_column(column)
    hit = cell >= value if cell.dtype.is_numeric() else cell == value
    found: np.ndarray = hit.fill_null(False).to_numpy()
    return found


def value_of(frames: Sequence[pl.DataFrame], column: str) -> Any:
    """Return what planted rows are alike in: the top fifth of a number, the second of the values of a text.

    None where the column has no such rows in some of the days, or they are few or most of them already.
    """
    cell = pl.concat([frame.get_column(column) for frame in frames]).drop_nulls()
    if cell.n_unique() < 3:
        return None
    value = cell.quantile(_TOP) if cell.dtype.is_numeric() else cell.value_counts(sort=True)[column][1]
    shares = [float(_alike(frame, column, value).mean()) for frame in frames]
    low, high = _COMMON
    return value if min(shares) > 0 and low <= float(np.mean(shares)) <= high else None


def replay(days: Days, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Yield a row for every clean day that is judged, and one for every planted change, in order of days.

    A row of a clean day has ``cluster`` and ``alarm``; a row of a change ``kind``, ``size``, ``column`` and ``delay``.
    """
    random = np.random.default_rng(seed)
    line, keys = line_of(days), [key for key, _ in days.frames]
    first = max(days.trained, FEWEST + 2 * RUN)
    sites = sorted(random.choice(np.arange(first + SPAN, len(keys) - SPAN), SITES, replace=False).tolist())
    common = {"series": days.name, "feed": days.feed}
    for at in range(first - RUN + 1, len(keys)):
        if at in sites:
            yield from ({**common, **case} for case in _cases(line, days, at, random))
        findings = step(line, keys[at])
        if at >= first and findings is not None:
            yield {**common, "window": keys[at], "cluster": days.cluster(keys[at]), "alarm": bool(findings),
                   "says": [one.detail for one in findings]}  # fmt: skip


def _cases(line: Line, days: Days, site: int, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    span = days.frames[site : site + SPAN]
    before = [frame for _, frame in days.frames[site - SPAN : site + SPAN]]
    values = {name: value_of(before, name) for name in days.columns}
    column = str(random.choice([name for name, value in values.items() if value is not None]))
    for share in SHARES:
        frames = {key: planted(frame.drop("_y"), column, values[column], share, random) for key, frame in span}
        other = fork(line, frames)
        delay = next((at for at, key in enumerate(frames) if step(other, key)), None)
        yield {"kind": "rows alike in one column", "size": share, "column": column, "delay": delay}
