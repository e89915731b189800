"""Compute a recorded number again, from the data, code and ledger as they stood when it was recorded.

Nothing is computed in another way here than by the line: the project is put back to that moment and asked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from headwater.app.approving import explained
from headwater.app.declared import watched
from headwater.app.evidence import OF_DELIVERIES, latencies, mechanisms, outcomes, release, stored
from headwater.app.inputs import inputs_again
from headwater.app.judging import case, signature, signature_finding, signed
from headwater.app.line import Line
from headwater.app.repricing import prices
from headwater.app.running import one
from headwater.app.succession import trial
from headwater.core.assets import Mechanism
from headwater.core.canonical import digest, plain
from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.ports import Record
from headwater.core.records import Evidence, Finding
from headwater.dataops.delivery import Delivery
from headwater.observe.monitors import evaluate
from headwater.triage.chain import replayed
from headwater.triage.replay import Plan
from headwater.triage.weighing import weigh
from headwater.triage.worlds import of_model

SHORTEST = 4
"""Characters of an id that must be given at least."""
_EXACT = 1e-9
_JUDGED = ("severity", "score", "value", "expected")


def recompute(line: Line, name: str, value: str | None = None) -> dict[str, Any]:
    """Compute the values of a piece of evidence, or of a finding, again and lay them beside the recorded ones.

    Args:
        line: The project.
        name: The id of the evidence or finding, or an unambiguous beginning of it.
        value: The one value to compare; all of them unless said otherwise.

    Raises:
        UnknownName: There is no such record, or no such value in it.
        LedgerBroken: There is no such record, and the ledger was tampered with.
        DataError: It cannot be computed again, and why.
    """
    records = [record for record in line.services.ledger.read() if record.kind in ("evidence", "finding")]
    record, whole = _find(line, records, name)
    line.refresh()
    if record.kind == "finding":
        finding = Finding.of(record.body)
        recorded = {key: record.body[key] for key in _JUDGED}
        now = _finding(line, records, record, finding)
        again = {} if now is None else {key: now.body()[key] for key in _JUDGED}
        what, window, type_ = finding.subject, finding.window, f"{finding.monitor} {finding.metric}".strip()
    else:
        evidence = Evidence.of(record.body)
        recorded = dict(record.body["values"])
        again = _again(line, _begin(records, record), evidence)
        what, window, type_ = evidence.subject, evidence.window, evidence.type
    lines = _compared(recorded, again, value)
    return {
        "id": whole,
        "kind": record.kind,
        "type": type_,
        "subject": what,
        "window": window,
        "time": record.time.isoformat(),
        "values": lines,
        "same": all(item["same"] for item in lines),
    }


def _find(line: Line, records: Sequence[Record], name: str) -> tuple[Record, str]:
    if len(name) < SHORTEST:
        raise UsageError(f"`{name}` is too short an id", hint=f"give at least {SHORTEST} characters of it")
    low = name.lower()
    named = [(digest({"kind": record.kind, **record.body}), record) for record in records]
    found = {whole: record for whole, record in named if whole.startswith(low) or record.id.startswith(low)}
    if len(found) > 1:
        some = ", ".join(whole[: len(name) + 4] for whole in list(found)[:4])
        raise UsageError(f"`{name}` fits {len(found)} records: {some}", hint="give more characters of it")
    if not found:
        line.services.ledger.verify()  # evidence that was tampered with has another id now
        raise UnknownName(
            f"no evidence or finding `{name}` is in this workspace",
            hint="each step of `headwater why INCIDENT` names one, and `headwater why INCIDENT --json` all",
        )
    ((whole, record),) = found.items()
    return record, whole


def _begin(records: Sequence[Record], record: Record) -> int:
    """Return the place of the first of the records that were made together with this one, without knowing of it."""
    same = {item.seq for item in records if item.kind == record.kind}
    seq = record.seq
    while seq - 1 in same:
        seq -= 1
    return seq


def _again(line: Line, seq: int, evidence: Evidence) -> dict[str, Any]:
    measure = _MEASURES.get(evidence.type)
    if measure is None:
        raise DataError(
            f"evidence of the type {evidence.type} cannot be computed again",
            doing=f"recomputing {evidence.id[:12]}, {evidence.subject} at {evidence.window}",
            hint="it sums up other records; recompute those",
        )
    past = line.then(seq, evidence.time)
    found: dict[str, Any] = plain(measure(past, evidence) or {})
    return found


def _of_delivery(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    name = _asset(past, evidence.subject)
    if evidence.type == "arrival" and evidence.values["state"] != "COMPLETE":
        return _failed(past, name, evidence)
    delivered = _run(past, name, evidence.window)
    if name not in delivered:
        raise DataError(f"window {evidence.window} of `{name}` is not stored", doing=f"recomputing {evidence.id[:12]}")
    look = OF_DELIVERIES[evidence.type]
    return _picked(look(past, name, delivered[name], delivered), evidence)


def _failed(past: Line, name: str, evidence: Evidence) -> Mapping[str, Any] | None:
    """Run again what failed. What a source did cannot be: there its run's event and its table are read instead."""
    asset, window = past.assets[name], past.calendar.window(evidence.window)
    failed = [run for run in past.state.graph.runs(evidence.subject) if run.state == "FAIL"]
    run = next((run for run in reversed(failed) if evidence.window in run.windows), None)
    if run is None or run.mechanism is None:
        raise DataError(f"no run of `{name}` failed at {window.key}", doing=f"recomputing {evidence.id[:12]}")
    if asset.recomputable:
        delivery = one(past, asset, run.mechanism, window, "recompute", conflict=True)
    elif past.services.tables.content(name, window.key) is not None:
        return None
    else:
        said = str(run.facets.get("errorMessage", {}).get("message", ""))
        error = DataError(said.partition("\n  while: ")[0].partition("\nhint: ")[0])
        delivery = Delivery(name, window, "FAIL", run.mechanism, error=error)
    return _picked(OF_DELIVERIES["arrival"](past, name, delivery, {}), evidence)


def _run(past: Line, name: str, key: str) -> dict[str, Delivery]:
    """Put the delivery of a window together again from what is stored, and those of its parents in the same run."""
    own = stored(past, name, key)
    if own is None:
        return {}
    found = {name: own}
    if ".." in own.window.key:
        last = own.window.key.split("..")[-1]
        for parent in past.assets[name].parents:
            there = [item for item in past.services.tables.keys(parent) if item <= last]
            if there and (made := stored(past, parent, there[-1])) is not None:
                found[parent] = made
    return found


def _mechanism(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    return _picked(mechanisms(past, [(_asset(past, evidence.subject), evidence.window)]), evidence)


def _release(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    models = past.project.models.values()
    return _picked((item for model in models for item in release(past, model, evidence.window)), evidence)


def _trial(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    models = past.project.models.values()
    return _picked((item for model in models for item in trial(past, model, evidence.window)), evidence)


def _outcome(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    models = past.project.models.values()
    return _picked((item for model in models for item in outcomes(past, model, evidence.window)), evidence)


def _unmeasured(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    """What could not be measured is an outcome of a model, or a number that the project declares of a dataset."""
    if evidence.subject.startswith("model:"):
        return _outcome(past, evidence)
    name = _asset(past, evidence.subject)
    delivered = _run(past, name, evidence.window)
    return _picked(watched(past, name, delivered[name], delivered), evidence) if name in delivered else None


def _inputs(past: Line, evidence: Evidence) -> Mapping[str, Any]:
    return inputs_again(past, _asset(past, evidence.subject), evidence.window)


def _latency(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    models = past.project.models.values()
    logs = ((model, stored(past, model.predictions, evidence.window)) for model in models)
    return _picked((item for model, log in logs if log is not None for item in latencies(past, model, log)), evidence)


def _signature(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    since, newest = str(evidence.values["since"]), bool(evidence.values["newest"])
    made = signature(past, _asset(past, evidence.subject), evidence.window, since, newest=newest)
    if made is None:
        return None
    return {name: value for name, value in made.values.items() if name != "columns" or name in evidence.values}


def _replay(past: Line, evidence: Evidence) -> Mapping[str, Any]:
    told = evidence.values["plan"]
    replay = past.replay()
    made = {name: Mechanism(**item) for name, item in told["mechanisms"].items()}
    frames = {}
    for name, key in told["frames"]:
        if name in made:
            frames[(name, key)] = replay.rerun(name, key, made[name])
        elif (found := signed(past, name, key, told["since"])) is not None and found[0].frame is not None:
            frames[(name, key)] = found[0].frame
    plan = Plan(mechanisms=made, frames=frames)
    return {**replayed(replay, _asset(past, evidence.subject), evidence.window, plan), "plan": told}


def _elimination(past: Line, evidence: Evidence) -> Mapping[str, Any]:
    incident = past.state.incidents.get(evidence.values["incident"])
    judged = weigh(case(past, incident, evidence.window))
    name = _asset(past, evidence.subject)
    votes = next((item.numbers["votes"] for item in judged if item.asset == name and "votes" in item.numbers), None)
    return {"votes": votes, "incident": incident.id}


def _world(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    incident = past.state.incidents.get(evidence.values["incident"])
    made = of_model(case(past, incident, evidence.window), past.model(evidence.values["model"]))
    return None if made is None else made.values(incident.id)


def _cost(past: Line, evidence: Evidence) -> Mapping[str, Any] | None:
    return prices(past, past.state.incidents.get(evidence.subject))


_MEASURES: Mapping[str, Callable[[Line, Evidence], Mapping[str, Any] | None]] = {
    **dict.fromkeys(OF_DELIVERIES, _of_delivery),
    **dict.fromkeys(("performance", "business", "calibration", "fairness", "segment", "succession"), _outcome),
    "unmeasured": _unmeasured,
    "latency": _latency,
    "inputs": _inputs,
    "mechanism": _mechanism,
    "release": _release,
    "trial": _trial,
    "signature": _signature,
    "replay": _replay,
    "elimination": _elimination,
    "world": _world,
    "cost": _cost,
}


def _asset(past: Line, subject: str) -> str:
    found = next((name for name in past.assets if subject in (past.ref(name), past.blame(name))), None)
    if found is None:
        raise DataError(
            f"{subject} is not in this project any more", hint="put it back to recompute what was said of it"
        )
    return found


def _picked(made: Iterable[Evidence], evidence: Evidence) -> Mapping[str, Any] | None:
    wanted = (evidence.type, evidence.subject, evidence.window)
    return next((item.values for item in made if (item.type, item.subject, item.window) == wanted), None)


def _finding(line: Line, records: Sequence[Record], record: Record, finding: Finding) -> Finding | None:
    """Measure what a finding was made from again, and let its monitor look at it."""
    begin = _begin(records, record)
    named = {digest({"kind": item.kind, **item.body}): item for item in records if item.seq < begin}
    causes = [named[cause] for cause in finding.causes if cause in named]
    if not causes:
        raise DataError(f"the evidence of finding {finding.id[:12]} is not in the ledger")
    again = {}
    for cause in causes:
        evidence = Evidence.of(cause.body)
        again[evidence.id] = replace(evidence, values=_again(line, _begin(records, cause), evidence))
    if finding.monitor == "signature":
        return signature_finding(next(iter(again.values())))
    first = min(_begin(records, cause) for cause in causes)
    seen = [Evidence.of(item.body) for item in records if item.kind == "evidence" and first <= item.seq < begin]
    past = line.then(begin, finding.time)
    told = [again.get(item.id, item) for item in seen]
    place = (finding.monitor, finding.subject, finding.window, finding.metric)
    found = explained(past, told, evaluate(told, past.state.history, past.calendar, finding.time))
    return next((item for item in found if (item.monitor, item.subject, item.window, item.metric) == place), None)


def _compared(recorded: Mapping[str, Any], again: Mapping[str, Any], value: str | None) -> list[dict[str, Any]]:
    names = [*recorded, *(name for name in again if name not in recorded)]
    if value is not None and value not in names:
        raise UnknownName.of("value", value, names)
    return [
        {
            "value": name,
            "recorded": recorded.get(name),
            "recomputed": again.get(name),
            "same": name in recorded and name in again and _same(recorded[name], again[name]),
        }
        for name in names
        if value in (None, name)
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=_EXACT, abs_tol=_EXACT)
    return bool(one == other)
