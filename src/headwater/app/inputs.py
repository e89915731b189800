"""Watch what models are asked about: inputs that moved further than they ever did, long before any label comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from headwater.app.line import Line
from headwater.app.running import Run
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.observe.inputs import EXCEEDANCE, LASTING, SHARED
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.moved import climbs, moved, shared

LENGTH, PAST, FEWEST = 3, 42, 28
"""Newest windows that are looked at together, earlier ones that they are compared with, and how many there must be."""
REACH = LENGTH + LASTING - 1
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
    told: dict[tuple[str, str], dict[str, float]] = {}
    for model in line.project.models.values():
        made, scored = run.deliveries.get(model.features), run.deliveries.get(model.predictions)
        if scored is None or made is None or made.state != "COMPLETE" or made.frame is None or not made.frame.height:
            continue
        key = made.window.key
        line.asked[model.name, key] = _sample(model, made.frame)
        if scored.state != "COMPLETE" or _in_alarm(line, model, findings):
            continue
        values = _moved(line, model, key)
        if values is not None:  # models that share a view are asked about the same cases
            told.setdefault((line.ref(model.features), key), {}).update(values)
    time = line.services.clock.now()
    return [
        Evidence(type="inputs", subject=subject, window=key, values=values, time=time)
        for (subject, key), values in told.items()
    ]


def inputs_again(line: Line, name: str, key: str) -> dict[str, float]:
    """Measure the inputs at a window again, from what the tables hold of it; empty where there is too little."""
    told: dict[str, float] = {}
    for model in line.project.models.values():
        if model.features == name and line.services.tables.content(model.predictions, key) is not None:
            told |= _moved(line, model, key) or {}
    return told


def _upstream(line: Line, model: Model) -> set[str]:
    """Return the references of all that a model's predictions are made of, as this project declares it."""
    found, left = {model.features}, [model.features]
    while left:
        parents = set(line.assets[left.pop()].parents) - found
        found |= parents
        left += parents
    refs = {line.ref(name) for name in (*found, model.served, model.predictions)}
    return refs | {line.project.ref(model.name, "deployment")}


def _in_alarm(line: Line, model: Model, findings: Sequence[Finding]) -> bool:
    """Tell whether something upstream of a model's predictions alarms now, or has an incident that is not closed.

    Labels that are in alarm do not count: that is when inputs alone can tell.
    """
    upstream = _upstream(line, model)
    alarms = any(finding.severity == "alarm" and finding.subject in upstream for finding in findings)
    return alarms or any({item.subject, *item.subjects} & upstream for item in line.state.incidents.active())


def _moved(line: Line, model: Model, key: str) -> dict[str, float] | None:
    """Return the exceedance of each feature that moved; None where there is too little to compare."""
    subject = line.ref(model.features)
    known = [item for item in line.services.tables.keys(model.features) if item <= key]
    recent, before = known[-LENGTH:], known[:-LENGTH]
    if any(line.state.history.in_alarm(ref, item) for ref in _upstream(line, model) for item in recent[:-1]):
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
    """Measure by how many times columns moved further than they ever did, and which of them rows of a window share.

    See `headwater.stats.estimates.moved`.
    """
    frames = list(kept.values())
    found: dict[str, float] = {}
    for name, kind in frames[-1].schema.items():
        alike = [frame.select(name) for frame in frames if frame.schema.get(name) == kind]
        if len(alike) < FEWEST + newest or not all(frame.schema.get(name) == kind for frame in frames[-newest:]):
            continue  # a column that is gone or became another kind is a finding of its own
        windows = np.repeat(np.arange(len(alike)), [frame.height for frame in alike])
        recent = np.arange(len(alike)) >= len(alike) - newest
        encoding, column = Encoding.of(pl.concat(alike[:-newest])), pl.concat(alike)
        if not encoding.columns:
            continue
        try:
            codes, size = encoding.codes(column), encoding.sizes[0]
        except DataError:
            continue
        if not climbs(codes[:, 0], size, windows, recent):
            told = moved(codes, [size], np.zeros(len(windows)), windows, recent)
            found |= {f"{EXCEEDANCE}{name}": item.exceedance for item in told}
            if told and shared(codes[:, 0], size, windows):
                found[f"{SHARED}{name}"] = 1.0
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
