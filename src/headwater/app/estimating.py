"""Estimate performance before labels come: keep each model's track, and hide what rests on broken inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headwater.app.frozen import frozen_by
from headwater.app.line import Line
from headwater.app.running import Run
from headwater.core.errors import CorruptTable, HeadwaterError, OutsideError
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.mlops.estimated import CHIEF, Estimates
from headwater.mlops.labels import maturity, realised
from headwater.observe.outcome import MATURE
from headwater.stats.estimates.estimation import MIN_PAST, PAST


def estimates(line: Line, run: Run, findings: Sequence[Finding]) -> list[Evidence]:
    """Estimate the windows that a run scored, and check the estimates of those whose labels it brought.

    Nothing is shown of a model that something upstream is in alarm about, in this run or in an incident that is not
    closed: an estimate from broken inputs looks as sure as any. Windows in alarm are not learned from.
    """
    if run.first != run.last:
        line.estimates.clear()  # windows were written behind the tracks' backs
        return []
    found: list[Evidence] = []
    for model in line.project.models.values():
        if model.task not in CHIEF:
            continue
        try:
            found += _one(line, model, run, findings)
        except (OutsideError, CorruptTable):
            raise
        except HeadwaterError as error:
            line.estimates.pop(model.name, None)
            # no alarm: what fails here fails in scoring or in the business metric too, and those have their own
            values = {"valid": False, "reason": error.message, "withheld": {}}
            found.append(_evidence(line, model, "estimate", run.last, values))
    return found


def _one(line: Line, model: Model, run: Run, findings: Sequence[Finding]) -> Iterable[Evidence]:
    scored, labelled = run.deliveries.get(model.predictions), run.deliveries.get(model.labels)
    if scored is None or scored.state != "COMPLETE" or scored.frame is None or not scored.frame.height:
        return
    key = scored.window.key
    tracked = line.estimates.get(model.name)
    again = tracked is not None and bool(tracked.track.estimated(key))
    if tracked is None or again:
        tracked = _caught_up(line, model, key) or Estimates(model, scored.frame)
    line.estimates[model.name] = tracked
    if labelled is not None and labelled.state == "COMPLETE" and _sound(line, model, labelled.window.key):
        values = _settled(line, model, tracked, labelled.window.key)
        if values:
            yield _evidence(line, model, "estimate", labelled.window.key, values)
    values = tracked.estimate(key, scored.frame, hidden(line, model, findings))
    if values:
        yield _evidence(line, model, "estimate", key, values)
    if any(other > key for other in line.services.tables.keys(model.predictions)):
        del line.estimates[model.name]  # a window of the past was run again: what came after it is learned anew


def _caught_up(line: Line, model: Model, before: str) -> Estimates | None:
    """Go through the last windows as they came, so that a new process knows what the one before it knew."""
    tables, calendar = line.services.tables, line.calendar
    keys = [key for key in tables.keys(model.predictions) if key < before][-PAST - MIN_PAST :]
    lag = line.assets[model.labels].lag - line.assets[model.predictions].lag
    tracked: Estimates | None = None
    waiting: list[str] = []
    for key in keys:
        predictions = tables.read(model.predictions, [key])
        if predictions is None or not predictions.height:
            continue
        if tracked is None:
            tracked = Estimates(model, predictions)
        due = calendar.shift(calendar.window(key), -lag).key
        for other in [item for item in waiting if item <= due]:
            waiting.remove(other)
            if _sound(line, model, other):
                _settled(line, model, tracked, other)
        tracked.estimate(key, predictions)
        waiting.append(key)
    due = calendar.shift(calendar.window(before), -lag - 1).key
    for other in [item for item in waiting if item <= due and tracked is not None and _sound(line, model, item)]:
        _settled(line, model, tracked, other)  # type: ignore[arg-type]
    return tracked


def _settled(line: Line, model: Model, tracked: Estimates, key: str) -> dict[str, object]:
    predictions = line.services.tables.read(model.predictions, [key])
    labels = line.services.tables.read(model.labels, [key])
    if predictions is None or labels is None or not predictions.height:
        return {}
    rows = realised(predictions, labels, model.entity, model.outcome, task=model.task)
    return tracked.settle(key, predictions, labels) if maturity(rows, model.outcome) >= MATURE else {}


def _sound(line: Line, model: Model, key: str) -> bool:
    """Tell whether nothing that a window's predictions or labels are made of was in alarm, and its labels are free."""
    if frozen_by(line, model, key):
        return False
    names = line.above(line.ref(model.predictions)) | line.above(line.ref(model.labels))
    names |= {line.ref(model.predictions), line.ref(model.labels), line.project.ref(model.name, "model")}
    return not any(line.state.history.in_alarm(name, key) for name in names)


def hidden(line: Line, model: Model, findings: Sequence[Finding]) -> str:
    """Say what is wrong upstream of a model's predictions, if anything is: then nothing more is told of them."""
    feeding = line.above(line.ref(model.predictions)) | {
        line.ref(model.predictions),
        line.project.ref(model.name, "deployment"),
    }
    for finding in findings:
        if finding.severity == "alarm" and finding.subject in feeding:
            return f"`{finding.subject}` is in alarm: {finding.detail or finding.metric}"
    for incident in line.state.incidents.active():
        if {incident.subject, *incident.subjects} & feeding:
            return f"incident {incident.id} upstream is not closed"
    return ""


def _evidence(line: Line, model: Model, type: str, window: str, values: Mapping[str, object]) -> Evidence:
    subject = line.project.ref(model.name, "model")
    return Evidence(type=type, subject=subject, window=window, values=values, time=line.services.clock.now())
