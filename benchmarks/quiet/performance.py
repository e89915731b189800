"""Performance of models: how often the alarm comes on clean days, and how far outcomes must leave the predictions.

The line's own rooms measure and judge: `headwater.mlops.outcome.performance` measures each day from predictions and
labels, `PerformanceMonitor` judges it, and what is in alarm is not learned. All labels of a day are there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from labelfree.series import Scored, trained
from quiet.models import Days
from quiet.rates import SPAN

from headwater.core.project import Model, Project
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.mlops.outcome import performance
from headwater.observe.history import History
from headwater.observe.monitors import evaluate

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CALENDAR = Calendar()
SUBJECT = "model:quiet/model"
CHIEF = {"binary": "excess", "regression": "mae"}
"""What the size of a change is told in: the metric that is watched for every kind of change."""
WARM, SITES, SEED = 14, 8, 5
"""Windows that the monitor asks for before it judges; sites of each model; seed."""


def model_of(task: Any) -> Model:
    """Declare the model whose outcomes are measured."""
    project = Project("quiet")
    project.features(_nothing, name="cases", key=["row"])
    project.labels(_nothing, name="outcomes", key=["row"])
    return project.model(
        "model", features="cases", labels="outcomes", entity="row", outcome="_y", columns=(), train=_nothing,
        score=_nothing, task=task,
    )  # fmt: skip


def _nothing() -> None:
    return None


def measured(model: Model, prediction: np.ndarray, outcome: np.ndarray) -> dict[str, float]:
    """Measure a window whose labels have all come."""
    rows = pl.Series("row", range(len(outcome)))
    told = {"p": prediction, "decision": prediction >= 0.5} if model.task == "binary" else {"prediction": prediction}
    labels = pl.DataFrame({"row": rows, "_y": outcome})
    return performance(model, pl.DataFrame({"row": rows, **told}).with_columns(pl.col(pl.Boolean).cast(int)), labels)


def step(history: History, key: str, values: Mapping[str, float]) -> list[Finding]:
    """Judge a window by the monitor, and learn from it."""
    made = Evidence(type="performance", subject=SUBJECT, window=key, values=dict(values), time=NOW)
    history.add_evidence(made)
    findings = [one for one in evaluate([made], history, CALENDAR, NOW) if one.monitor == "performance"]
    for finding in findings:
        history.add_finding(finding)
    return findings


def exchanged(outcome: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Let a share of the outcomes change places: they follow nothing any more, and are as many as before."""
    made, places = outcome.copy(), np.flatnonzero(random.random(len(outcome)) < share)
    made[places] = outcome[random.permutation(places)]
    return made


def raised(outcome: np.ndarray, deviations: float, random: np.random.Generator, task: str) -> np.ndarray:
    """Move the mean outcome by so many of its rows' standard deviations.

    Of classes, rows of the commoner one become the other until the mean has moved so far or none is left.
    """
    spread = float(outcome.std())
    if task != "binary":
        return outcome + deviations * spread
    rarer = float(outcome.mean() < 0.5)
    common = np.flatnonzero(outcome != rarer)
    turned = min(len(common), round(deviations * spread * len(outcome)))
    made = outcome.copy()
    made[random.choice(common, turned, replace=False)] = rarer
    return made


def shifted(values: Mapping[str, float], metric: str, deviations: float, past: np.ndarray) -> dict[str, float]:
    """Move the chief metric of a window for the worse, by so many of its day-to-day standard deviations.

    Args:
        values: What was measured.
        metric: ``excess``, or ``mae``, which is moved by its logarithm, as it is watched.
        deviations: How far.
        past: The metric in earlier windows.
    """
    if metric == "mae":
        return {**values, metric: values[metric] * float(np.exp(deviations * np.log(past).std(ddof=1)))}
    return {**values, metric: values[metric] + deviations * float(past.std(ddof=1))}


CHANGES: dict[str, tuple[float, ...]] = {
    "none": (0,),
    "outcomes exchanged, share of rows": (0.1, 0.25, 0.5, 1),
    "mean outcome, row sd": (0.1, 0.25, 0.5, 1),
    "excess or mae, day-to-day sd": (1, 2, 3, 4),
}


def replay(days: Days, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Yield a row for every clean day that is judged, and one for every planted change, in order of days.

    A row of a clean day has ``cluster`` and ``alarm``; a row of a change ``kind``, ``size``, ``delay`` and ``moved``:
    how far it moved the chief metric, in its day-to-day deviations.
    """
    random, model = np.random.default_rng(seed), model_of(days.task)
    cut = [(key, float(at), at + 1.0, frame) for at, (key, frame) in enumerate(days.frames)]
    windows = trained(days.name, days.task, "tune", cut, days.trained, "").windows
    values = [measured(model, one.prediction, one.outcome) for one in windows]
    history, chief = History(CALENDAR), CHIEF[days.task]
    places = np.arange(2 * WARM, len(windows) - SPAN)
    sites = sorted(random.choice(places, SITES, replace=False).tolist())
    common = {"series": days.name, "feed": days.feed}
    for at, (window, told) in enumerate(zip(windows, values, strict=True)):
        if at in sites:
            past = np.array([one[chief] for one in values[:at]])
            for case in _cases(history, model, windows[at : at + SPAN], past, random):
                yield {**common, **case}
        findings = step(history, window.key, told)
        if at >= WARM:
            yield {**common, "window": window.key, "cluster": days.cluster(window.key), "alarm": bool(findings),
                   "says": [f"{one.metric}: {one.detail}" for one in findings]}  # fmt: skip


def _cases(
    history: History, model: Model, windows: list[Scored], past: np.ndarray, random: np.random.Generator
) -> Iterator[dict[str, Any]]:
    chief = CHIEF[model.task]
    usual = [measured(model, one.prediction, one.outcome) for one in windows]
    makers: dict[str, Callable[[Scored, dict[str, float], float], dict[str, float]]] = {
        "none": lambda one, told, size: told,
        "outcomes exchanged, share of rows": lambda one, told, size: measured(
            model, one.prediction, exchanged(one.outcome, size, random)
        ),
        "mean outcome, row sd": lambda one, told, size: measured(
            model, one.prediction, raised(one.outcome, size, random, model.task)
        ),
        "excess or mae, day-to-day sd": lambda one, told, size: shifted(told, chief, size, past),
    }
    for kind, sizes in CHANGES.items():
        for size in sizes:
            changed = [makers[kind](one, told, size) for one, told in zip(windows, usual, strict=True)]
            other = copy.deepcopy(history)
            delay = next(
                (at for at, (one, told) in enumerate(zip(windows, changed, strict=True)) if step(other, one.key, told)),
                None,
            )
            yield {"kind": kind, "size": size, "delay": delay, "moved": _moved(chief, usual, changed, past)}


def _moved(chief: str, usual: list[dict[str, float]], changed: list[dict[str, float]], past: np.ndarray) -> float:
    scale = np.log if chief == "mae" else np.asarray
    one, other = (np.mean([scale(told[chief]) for told in side]) for side in (usual, changed))
    return float((other - one) / np.std(scale(past), ddof=1))
