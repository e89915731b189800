"""Measure what a run delivered: profiles, exact mechanism tests, the loaded model, realised performance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from headwater.app.arrival import normal_keys
from headwater.app.declared import watched
from headwater.app.filling import fillings, opened
from headwater.app.frozen import frozen_by
from headwater.app.line import Line
from headwater.app.profiling import profile_of, profiles_of
from headwater.app.readers import readers
from headwater.app.running import Run, contract_results
from headwater.app.succession import succession, trial
from headwater.core.assets import Mechanism
from headwater.core.errors import CorruptTable, DataError, HeadwaterError, ModelError, OutsideError
from headwater.core.project import Model
from headwater.core.records import Evidence
from headwater.dataops.contract_times import due
from headwater.dataops.delivery import Delivery, read_parents
from headwater.dataops.schema import changes
from headwater.mlops.fairness import POOLED, fairness
from headwater.mlops.outcome import business, latency, performance, reliability
from headwater.mlops.segments import EARLIER, RECENT, segments
from headwater.mlops.serving import identity
from headwater.observe.outcome import MATURE
from headwater.stats.frames.stacking import stack
from headwater.triage.mechanism import examine, look_back
from headwater.triage.replay import Replay

PROBATION = {"1d": 14, "1h": 48}
"""Windows that new code is compared with the code before it, by the length of a window."""


SEARCHED = {"1d": 7, "1h": 24}
"""After how many windows the segments are searched again, by the length of a window."""
_FEWEST = 14  # earlier windows without which nothing is searched


def measure(line: Line, run: Run) -> list[Evidence]:
    """Measure everything that one run delivered."""
    found: list[Evidence] = []
    for name, delivery in run.deliveries.items():
        for look in OF_DELIVERIES.values():
            found.extend(look(line, name, delivery, run.deliveries))
    if run.first == run.last:
        found.extend(mechanisms(line, [(name, item.window.key) for name, item in run.deliveries.items()
                                       if item.state == "COMPLETE"]))  # fmt: skip
        for model in line.project.models.values():
            found.extend(release(line, model, run.last))
            found.extend(trial(line, model, run.last))
    for model in line.project.models.values():
        if model.latency and model.predictions in run.deliveries:
            found.extend(latencies(line, model, run.deliveries[model.predictions]))
    for model in line.project.models.values():
        if model.labels in run.deliveries and run.deliveries[model.labels].state == "COMPLETE":
            first, _, last = run.deliveries[model.labels].window.key.partition("..")
            for span in line.calendar.between(first, last or first):
                found.extend(outcomes(line, model, span.key))
    return found


def _arrival(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    accepted = line.state.accepted.get(name)
    changed = accepted is not None and delivery.mechanism is not None and accepted.id != delivery.mechanism.id
    last = line.calendar.window(delivery.window.key.split("..")[-1])
    moment = due(line.contracts.get(name), line.calendar, last, line.assets[name].lag)
    deadline = {} if moment is None else {"deadline_hours": (moment - last.end).total_seconds() / 3600}
    yield Evidence(
        type="arrival",
        subject=line.ref(name),
        window=last.key,
        values={
            "state": delivery.state,
            "error": "" if delivery.error is None else delivery.error.message,
            "changed": changed,
            "rows": 0 if delivery.frame is None else delivery.frame.height,
            "landed_hours": round((line.services.clock.now() - delivery.window.end).total_seconds() / 3600, 3),
            "backfill": ".." in delivery.window.key,
            **deadline,
            **({"open": True} if opened(line, name, delivery, delivered) else {}),
        },
        time=line.services.clock.now(),
    )


def _checks(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    if delivery.checks and delivery.state == "COMPLETE":
        yield Evidence(
            type="contract",
            subject=line.ref(name),
            window=delivery.window.key.split("..")[-1],
            values={
                "executed": len(delivery.checks),
                "failed": [{"name": item.name, "detail": item.detail} for item in delivery.checks if not item.passed],
            },
            time=line.services.clock.now(),
        )


def _schema(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    """Compare a delivered window's columns with the last window before it that was in order."""
    asset = line.assets[name]
    if delivery.frame is None or ".." in delivery.window.key:
        return
    before = [key for key in reversed(line.services.tables.keys(asset.name)) if key < delivery.window.key]
    sound = next((key for key in before if line.state.history.learnable(line.ref(asset.name), key)), None)
    previous = None if sound is None else line.services.tables.read(asset.name, [sound])
    if previous is None or previous.schema == delivery.frame.schema:
        return
    old, new = ({name: str(kind) for name, kind in frame.schema.items()} for frame in (previous, delivery.frame))
    who = readers(line, asset, old)
    told = [
        {
            "column": item.column,
            "kind": item.kind,
            "severity": item.severity,
            "text": item.text + (f"; read by {', '.join(who[item.column])}" if item.column in who else ""),
        }
        for item in changes(old, new, who)
    ]
    if told:
        time = line.services.clock.now()
        yield Evidence(
            type="schema", subject=line.ref(name), window=delivery.window.key, values={"changes": told}, time=time
        )


def _profiles(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    asset, frame, window = line.assets[name], delivery.frame, delivery.window
    if delivery.state != "COMPLETE" or frame is None:
        return
    time = line.services.clock.now()
    if ".." not in window.key:
        values = profile_of(line, asset, frame, window, delivery.parents)
        measured = {window.key: values}
    else:
        measured = profiles_of(line, asset, delivery.pieces, delivered)
    for key, values in measured.items():
        yield Evidence(type="profile", subject=line.ref(asset.name), window=key, values=values, time=time)


OF_DELIVERIES: Mapping[str, Callable[[Line, str, Delivery, Mapping[str, Delivery]], Iterable[Evidence]]] = {
    "arrival": _arrival,
    "filling": fillings,
    "contract": _checks,
    "schema": _schema,
    "profile": _profiles,
    "watch": watched,
}
"""What is measured of each delivery, by the type of evidence, given its run's other deliveries."""


def mechanisms(line: Line, delivered: Iterable[tuple[str, str]]) -> list[Evidence]:
    """Test delivered windows of recomputable assets against their last accepted mechanism."""
    replay = line.replay()
    models = list(line.project.models.values())
    found = []
    for name, key in delivered:
        made = replay.made(name, key)
        accepted = None if made is None else line.baseline(name, made.code)
        if made is None or not line.assets[name].recomputable or accepted is None or ".." in key:
            continue
        values = examine(replay, models, name, key, accepted)
        if values is not None:
            if values["code_changed"]:
                values |= _past(line, replay, name, key, made, accepted)
                if approval := line.approval(name, made.code):
                    values["approved"] = approval.judged(values)
            found.append(
                Evidence(
                    type="mechanism",
                    subject=line.blame(name),
                    window=key,
                    values=values,
                    time=line.services.clock.now(),
                )
            )
    return found


def on_probation(line: Line, name: str, mechanism: Mechanism) -> bool:
    """Tell whether an asset's code is so new that windows still have to be compared with the code before it.

    Code can go wrong by and by, or wait for a kind of row that comes once a week; the very code that is to be judged
    must not become the one it is compared with.
    """
    accepted = line.state.accepted.get(name)
    if accepted is None or accepted.code == mechanism.code or not line.assets[name].recomputable:
        return False
    tests = line.state.evidence[("mechanism", line.blame(name))].values()
    seen = sum(item.values.get("observed_mechanism") == mechanism.id for item in tests)
    return seen < PROBATION[line.calendar.every]


def _past(line: Line, replay: Replay, name: str, key: str, made: Mechanism, accepted: Mechanism) -> dict[str, float]:
    """Look back with code that is new in this window; once for each code."""
    tested = line.state.evidence[("mechanism", line.blame(name))]
    if any(item.values.get("observed_mechanism") == made.id for item in tested.values()):
        return {}
    past = normal_keys(line, line.assets[name], key)
    return look_back(replay, list(line.project.models.values()), name, past, made, accepted)


def release(line: Line, model: Model, window: str) -> Iterable[Evidence]:
    """Compare what a model's server loaded with what was approved."""
    deployment = line.state.deployments.get(model.name)
    if deployment is not None:
        yield Evidence(
            type="release",
            subject=line.project.ref(model.name, "deployment"),
            window=window,
            values=identity(deployment),
            time=line.services.clock.now(),
        )


def outcomes(line: Line, model: Model, window: str) -> Iterable[Evidence]:
    """Measure what became of one window's predictions, in performance and in money; frozen labels leave their mark."""
    time = line.services.clock.now()
    subject = line.project.ref(model.name, "model")
    predictions = line.services.tables.read(model.predictions, [window])
    labels = line.services.tables.read(model.labels, [window])
    if predictions is None or labels is None or not predictions.height:
        return
    frozen = frozen_by(line, model, window)
    mark = {"frozen": frozen} if frozen else {}
    measures: dict[str, Callable[..., dict[str, Any]]] = {"performance": performance}
    if model.cost is not None:
        measures["business"] = business
    if model.task == "binary":
        measures["calibration"] = reliability
    if model.groups:
        measures["fairness"] = _of_groups(line, model, window)
    for kind, measure_of in measures.items():
        try:
            values = measure_of(model, predictions, labels)
        except (OutsideError, CorruptTable):
            raise
        except HeadwaterError as error:
            kind, values = "unmeasured", {"metric": kind, "error": error.message}
        yield Evidence(type=kind, subject=subject, window=window, values={**values, **mark}, time=time)
        if kind == "performance" and _mature(values) and not frozen:
            yield from _segments(line, model, window)
            yield from succession(line, model, window)


def _segments(line: Line, model: Model, window: str) -> Iterable[Evidence]:
    """Search for segments after every `SEARCHED`-th label-mature window, in it and in those before it."""
    subject = line.project.ref(model.name, "model")
    known = line.state.evidence[("performance", subject)]
    keys = [key for key in sorted(known) if key < window and _mature(known[key].values)]
    keys = [key for key in keys if not known[key].values.get("frozen")]
    if (len(keys) + 1) % SEARCHED[line.calendar.every] or len(keys) < RECENT + _FEWEST:
        return
    recent, before = [*keys[1 - RECENT :], window], keys[: 1 - RECENT]
    learnable = [key for key in before if line.state.history.learnable(subject, key)]
    read = line.services.tables.read
    rows = [
        (key, log, read(model.labels, [key]))
        for key in (*learnable[-EARLIER:], *recent)
        if (log := read(model.predictions, [key])) is not None
    ]
    try:
        values = segments(model, rows)
    except (DataError, ModelError):  # what cannot be joined is said as unmeasured, in its own window
        return
    yield Evidence(type="segment", subject=subject, window=window, values=values, time=line.services.clock.now())


def latencies(line: Line, model: Model, delivery: Delivery) -> Iterable[Evidence]:
    """Measure how long the predictions of each delivered window took, where the log says."""
    deployment = line.state.deployments.get(model.name)
    version = "unknown" if deployment is None else deployment.version
    for key, frame in delivery.pieces.items():
        if model.latency in frame.columns and frame.height:
            yield Evidence(
                type="latency",
                subject=line.project.ref(model.name, "deployment"),
                window=key,
                values=latency(model, frame, version),
                time=line.services.clock.now(),
            )


def _mature(values: Mapping[str, Any]) -> bool:
    return float(values.get("maturity", 0.0)) >= MATURE


def _of_groups(line: Line, model: Model, window: str) -> Callable[..., dict[str, Any]]:
    known = line.state.evidence[("fairness", line.project.ref(model.name, "model"))]
    sound = [key for key in sorted(known) if key < window and not known[key].values.get("frozen")]
    past = [known[key].values for key in sound][1 - POOLED :]
    return partial(fairness, past=past)


def stored(line: Line, name: str, key: str) -> Delivery | None:
    """Put the delivery of a window together again from what is stored; None when it is not there."""
    asset, tables = line.assets[name], line.services.tables
    run = line.writer(name, key)
    if run is None:
        return None
    keys = list(run.windows) if len(run.windows) > 1 else [key]
    pieces = {item: frame for item in keys if (frame := tables.read(name, [item])) is not None}
    if not pieces:
        return None
    if len(keys) > 1:
        window = line.calendar.span(keys[0], keys[-1])
        return Delivery(name, window, "COMPLETE", run.mechanism, frame=stack(list(pieces.values())), pieces=pieces)
    window = line.calendar.window(key)
    parents, inputs = read_parents(line.calendar, asset, line.assets, tables, window)
    made = Delivery(name, window, "COMPLETE", run.mechanism, inputs, frame=pieces[key], parents=parents, pieces=pieces)
    return replace(made, checks=tuple(contract_results(line, asset, pieces[key], window, parents, pieces)))
