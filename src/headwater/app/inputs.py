"""Watch what models are asked about: inputs that moved further than they ever did, long before any label comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from headwater.app.estimating import hidden
from headwater.app.line import Line
from headwater.app.running import Run
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.observe.inputs import RUN
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.moved import climbs, moved

LENGTH, PAST, FEWEST = 3, 42, 28
"""Newest windows that are looked at together, earlier ones that they are compared with, and how many there must be."""
REACH = LENGTH + RUN - 1
"""Windows that a finding looks back over."""
ROWS = 300
"""Rows of a window that stand for all: windows differ far more than rows of one window do."""


def inputs(line: Line, run: Run, findings: Sequence[Finding]) -> list[Evidence]:
    """Compare the newest windows of each model's features with the windows before them, those it learned among them.

    Nothing is said of a model that something upstream is in alarm about: that has an incident of its own.
    """
    if run.first != run.last:
        line.asked.clear()  # windows were written since
        return []
    found = []
    for model in line.project.models.values():
        made, scored = run.deliveries.get(model.features), run.deliveries.get(model.predictions)
        if scored is None or made is None or made.state != "COMPLETE" or made.frame is None or not made.frame.height:
            continue
        key = made.window.key
        line.asked[model.name, key] = _sample(model, made.frame)
        if scored.state != "COMPLETE" or hidden(line, model, findings):
            continue
        values = _moved(line, model, key)
        if values is not None:
            subject, time = line.ref(model.features), line.services.clock.now()
            found.append(Evidence(type="inputs", subject=subject, window=key, values=values, time=time))
    return found


def _moved(line: Line, model: Model, key: str) -> dict[str, float] | None:
    """Return the exceedance of each feature that moved; None where there is too little to compare."""
    subject = line.ref(model.features)
    known = [item for item in line.services.tables.keys(model.features) if item <= key]
    recent, before = known[-LENGTH:], known[:-LENGTH]
    if any(line.state.history.in_alarm(ref, item) for ref in line.above(subject) | {subject} for item in recent[:-1]):
        return None
    learnable = [item for item in before if line.state.history.learnable(subject, item)][-PAST:]
    kept = {item: rows for item in (*learnable, *recent) if (rows := _asked(line, model, item)) is not None}
    for stale in [place for place in line.asked if place[0] == model.name and place[1] not in kept]:
        del line.asked[stale]
    earlier = [item for item in learnable if item in kept]
    if len(earlier) < FEWEST or not all(item in kept for item in recent):
        return None
    return {"windows": float(len(earlier)), **_exceedances(kept, len(recent))}


def _exceedances(kept: Mapping[str, pl.DataFrame], newest: int) -> dict[str, float]:
    """Measure by how many times columns moved further than they ever did; see `headwater.stats.estimates.moved`."""
    frames = list(kept.values())
    windows = np.repeat(np.arange(len(frames)), [frame.height for frame in frames])
    recent = np.arange(len(frames)) >= len(frames) - newest
    try:
        encoding = Encoding.of(pl.concat(frames[:-newest], how="vertical_relaxed"))
        codes = encoding.codes(pl.concat(frames, how="vertical_relaxed"))
    except (DataError, pl.exceptions.PolarsError):
        return {}  # a column is gone or became another kind, which is a finding of its own
    found: dict[str, float] = {}
    for at, (name, size) in enumerate(zip(encoding.columns, encoding.sizes, strict=True)):
        if not climbs(codes[:, at], size, windows, recent):
            told = moved(codes[:, [at]], [size], np.zeros(len(windows)), windows, recent)
            found |= {f"exceedance.{name}": item.exceedance for item in told}
    return found


def _asked(line: Line, model: Model, key: str) -> pl.DataFrame | None:
    """Return a sample of a window's features, read once."""
    if (model.name, key) not in line.asked:
        frame = line.services.tables.read(model.features, [key])
        if frame is None or not frame.height:
            return None
        line.asked[model.name, key] = _sample(model, frame)
    return line.asked[model.name, key]


def _sample(model: Model, frame: pl.DataFrame) -> pl.DataFrame:
    columns = [name for name in model.columns if name in frame.columns]
    return frame.select(columns).gather_every(max(1, frame.height // ROWS)).head(ROWS)
