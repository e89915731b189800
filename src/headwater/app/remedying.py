"""Carry out a remedy: dry-run it, apply it, backfill what it touches, verify it on fresh data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.app.arrival import reference
from headwater.app.evidence import mechanisms
from headwater.app.line import Line
from headwater.app.running import one
from headwater.core.assets import Asset, Read
from headwater.core.errors import DataError, IncidentError
from headwater.core.ports import Entry, TableVersion
from headwater.core.records import Evidence, Finding, Remedy
from headwater.observe import events
from headwater.stats.signatures.repairs import Repair, apply
from headwater.triage.incidents import Incident, move
from headwater.triage.mechanism import MATERIAL

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Backfill:
    """What a backfill rewrites: windows per dataset in delivery order, and the models that read them."""

    windows: Mapping[str, tuple[str, ...]]
    models: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {"datasets": {name: list(keys) for name, keys in self.windows.items()}, "models": list(self.models)}


def plan_backfill(line: Line, changed: Mapping[str, Iterable[str]]) -> Backfill:
    """Follow changed windows downstream: a child's window is affected when it reads an affected window.

    The prediction log and the features that were served are history: what was decided stays on record, so a backfill
    never reaches them.
    """
    affected: dict[str, set[str]] = {name: set(keys) for name, keys in changed.items()}
    logs = {item for model in line.project.models.values() for item in (model.served, model.predictions)}
    for asset in line.project.ordered():
        if asset.name in logs or not asset.reads:
            continue
        due = _due(line, asset.name)
        for read in asset.reads:
            hit = affected.get(read.parent, set())
            if hit:
                found = {key for key in due if _reads(line, asset, read, key, hit)}
                affected.setdefault(asset.name, set()).update(found)
    order = [asset.name for asset in line.project.ordered()]
    windows = {name: tuple(sorted(affected[name])) for name in order if affected.get(name)}
    models = tuple(
        line.project.ref(model.name, "model")
        for model in line.project.models.values()
        if {model.features, model.labels} & set(windows)
    )
    return Backfill(windows, models)


def _due(line: Line, name: str) -> set[str]:
    """Windows of an asset that are there or were lost, or were to be delivered and failed or were held up."""
    tried = line.state.evidence[("arrival", line.ref(name))].items()
    undelivered = {key for key, item in tried if item.values["state"] != "COMPLETE"}
    return {*line.services.tables.keys(name), *line.delivered(name), *(undelivered if line.assets[name].reads else ())}


def _reads(line: Line, asset: Asset, read: Read, key: str, hit: set[str]) -> bool:
    """Tell whether a window of an asset reads any of these windows of a parent, as far as that had come by then."""
    parent = line.assets[read.parent]
    newest = line.calendar.shift(line.calendar.window(key), -max(0, parent.lag - asset.lag)).key
    if parent.snapshot:
        there = [item for item in line.services.tables.keys(parent.name) if item <= key]
        return not hit.isdisjoint([item for item in there if item <= newest][-1:] or there[:1])
    first = line.calendar.shift(line.calendar.window(key), -read.lookback).key
    return any(first <= item <= newest for item in hit)


def backfill(
    line: Line, plan: Backfill, given: Mapping[tuple[str, str], pl.DataFrame] | None = None,
    progress: Progress = lambda _: None,
) -> list[tuple[str, str]]:  # fmt: skip
    """Deliver the plan's windows again, oldest first per dataset; return what was rewritten.

    Args:
        line: The project.
        plan: What to rewrite.
        given: Frames to write instead of asking the source, by (asset, window).
        progress: Told each dataset.

    Raises:
        DataError: A delivery failed; what was rewritten before it stays, and running the backfill again goes on.
    """
    given = given or {}
    done: list[tuple[str, str]] = []
    for name, keys in plan.windows.items():
        asset = line.assets[name]
        progress(name)
        for key in keys:
            if (name, key) in given:
                _rewrite(line, name, key, given[(name, key)])
            else:
                mechanism = line.mechanism(name)
                if mechanism is None:
                    continue
                delivery = one(line, asset, mechanism, line.calendar.window(key), f"backfill {key}", conflict=False)
                if delivery.state == "SKIP" and line.services.tables.content(name, key) is None:
                    continue  # it was never there, and something else that it reads still is not
                if delivery.state != "COMPLETE":
                    raise DataError(
                        f"the backfill of `{name}` stopped at window {key}",
                        doing=str(delivery.error.message) if delivery.error else None,
                        hint="mend the cause and run it again; it goes on where it stopped",
                    )
            done.append((name, key))
    return done


def _rewrite(line: Line, name: str, key: str, frame: pl.DataFrame) -> None:
    asset, time = line.assets[name], line.services.clock.now()
    made = line.state.graph.run_of(line.ref(name), key)
    version = line.services.tables.write(name, {key: frame}, run_id=f"repair {name} {key}")
    mechanism = line.mechanism(name) if made is None or made.mechanism is None else made.mechanism
    assert mechanism is not None
    event = events.delivery_event(
        line.project.name,
        asset,
        line.calendar.window(key),
        time=time,
        mechanism=mechanism,
        output=version,
        owner=line.owner(name),
        side=line.side(name),
    )
    line.record([Entry("event", line.ref(name), event, time)])


def dry_run(line: Line, incident: Incident) -> dict[str, Any]:
    """Say what the incident's remedy would do and touch, without doing it: nothing once it was applied."""
    remedy = chosen(incident)
    plan = _plan(line, remedy) if incident.state in ("verdict", "disputed") else Backfill({}, ())
    return {
        "incident": incident.id,
        "state": incident.state,
        "remedy": remedy.body(),
        "unit": _unit(incident),
        "rewrites": plan.as_dict(),
        "windows": sum(len(keys) for keys in plan.windows.values()),
        "applied": False,
    }


def _unit(incident: Incident) -> str:
    effect = None if incident.verdict is None else incident.verdict.effect
    return "" if effect is None else effect.unit


def chosen(incident: Incident) -> Remedy:
    """The remedy of an incident's verdict; raise `IncidentError` when there is none to carry out."""
    if incident.verdict is None or incident.verdict.remedy is None:
        raise IncidentError(f"incident `{incident.id}` has no verdict yet", hint=f"headwater why {incident.id}")
    return incident.verdict.remedy


def _plan(line: Line, remedy: Remedy) -> Backfill:
    name = remedy.parameters.get("asset")
    if name is None or remedy.action not in ("repair", "rollback_code"):
        return Backfill({}, ())
    if line.assets[name].layer in ("served", "prediction"):
        return Backfill({}, ())
    return plan_backfill(line, {name: _bad_windows(line, remedy)})


def _bad_windows(line: Line, remedy: Remedy) -> list[str]:
    """The remedy's windows and every one delivered since."""
    name = remedy.parameters["asset"]
    if not remedy.windows:
        return []
    return sorted(key for key in _due(line, name) if key >= min(remedy.windows))


def carry_out(line: Line, incident: Incident, by: str, progress: Progress = lambda _: None) -> dict[str, Any]:
    """Apply an incident's remedy and move it on; return what was done."""
    if incident.state == "disputed":
        raise IncidentError(f"incident `{incident.id}` is disputed", hint="run a window or the next test first")
    if incident.state not in ("verdict",):
        raise IncidentError(f"incident `{incident.id}` is {incident.state}; its remedy was applied already")
    remedy = chosen(incident)
    time = line.services.clock.now()
    plan = _plan(line, remedy)
    parameters = dict(remedy.parameters)
    rewritten: list[tuple[str, str]] = []
    body = {**remedy.body(), "incident": incident.id, "state": "applied", "by": by}
    if remedy.action == "rollback_code":
        name = parameters["asset"]
        bad = line.services.code.put(line.project.functions[name])
        body["parameters"] = {**parameters, "bad": bad}
        line.record([Entry("remedy", incident.id, body, time)])
        rewritten = backfill(line, plan, progress=progress)
    elif remedy.action == "repair" and "repair" in parameters:
        name = parameters["asset"]
        base = _begun_from(line, incident, remedy)
        body["parameters"] = {**parameters, "before": incident.window, "base": base}
        given = _mended(line, name, plan.windows.get(name, ()), parameters["repair"], incident.window, base)
        line.record([Entry("remedy", incident.id, body, time)])
        rewritten = backfill(line, plan, given, progress)
    elif remedy.action == "repair":
        line.record([Entry("remedy", incident.id, body, time)])
        rewritten = backfill(line, plan, progress=progress)
    elif remedy.action == "rollback_model":
        line.record([Entry("remedy", incident.id, body, time), *_redeploy(line, remedy, by)])
    else:
        line.record([Entry("remedy", incident.id, body, time), *_hold(line, remedy, incident)])
    line.record(
        [
            Entry(
                "event",
                remedy.target,
                events.remedy_event(
                    line.project.name,
                    remedy.action,
                    str(remedy.parameters.get("asset", "")),
                    time=time,
                    incident=incident.id,
                    windows=remedy.windows,
                    parameters=body["parameters"],
                ),
                time,
            )
        ]
    )
    _accept_repaired(line, incident, rewritten)
    moved = move(line.state.incidents.get(incident.id), "remedied", incident.window, time, by=by, note=remedy.text)
    line.record([moved])
    return {
        "incident": incident.id,
        "remedy": remedy.body(),
        "unit": _unit(incident),
        "rewrites": plan.as_dict(),
        "windows": len(rewritten),
        "applied": True,
    }


def _begun_from(line: Line, incident: Incident, remedy: Remedy) -> int | None:
    """The version of a source's table that its repair starts from.

    A repair that was cut off half-way has rewritten some windows already; going on from what is stored now would repair
    those twice.
    """
    name, begun = str(remedy.parameters["asset"]), incident.remedy
    done = any(item["state"] == "remedied" for item in incident.timeline)
    if begun is not None and not done and begun.action == remedy.action and begun.parameters.get("asset") == name:
        return int(begun.parameters["base"])
    return line.services.tables.version(name)


def _mended(
    line: Line, name: str, keys: Sequence[str], repair: Mapping[str, Any], before: str, base: int | None
) -> dict[tuple[str, str], pl.DataFrame]:
    learned = reference(line, name, before)
    found = {}
    for key in keys:
        frame = line.services.tables.read(name, [key], base)
        if frame is not None and learned is not None:
            found[(name, key)] = apply(Repair.of(repair), frame, learned)
        elif (arrived := line.services.tables.read(name, [key])) is not None:
            found[(name, key)] = arrived
    return found


def _redeploy(line: Line, remedy: Remedy, by: str) -> list[Entry]:
    from headwater.app.lifecycle import deployed

    model = line.model_of(str(remedy.parameters["asset"]))
    assert model is not None
    name = str(remedy.parameters["asset"])
    entries = deployed(line, model, dict(remedy.parameters["parts"]), by=by, reason="remedy")
    code = line.services.code.put(line.project.functions[name])
    if code != remedy.parameters["code"]:
        pin = {
            **remedy.body(),
            "action": "rollback_code",
            "incident": "",
            "state": "applied",
            "parameters": {"asset": name, "code": remedy.parameters["code"], "bad": code},
        }
        entries.append(Entry("remedy", remedy.target, pin, line.services.clock.now()))
    return entries


def _hold(line: Line, remedy: Remedy, incident: Incident) -> list[Entry]:
    if not remedy.windows or "asset" not in remedy.parameters:
        return []
    plan = plan_backfill(line, {str(remedy.parameters["asset"]): remedy.windows})
    time = line.services.clock.now()
    return [
        Entry(
            "quarantine",
            line.ref(name),
            {
                "dataset": line.ref(name),
                "first": keys[0],
                "last": keys[-1],
                "state": "set",
                "reason": f"held by {incident.id}",
                "incident": incident.id,
            },
            time,
        )
        for name, keys in plan.windows.items()
    ]


def _accept_repaired(line: Line, incident: Incident, rewritten: Sequence[tuple[str, str]]) -> None:
    """Repaired data must pass the exact test downstream before it is accepted.

    Approved code is accepted by name: the predictions that were logged come from before the repair, so that what it
    moves cannot be told from what the fault moved.
    """
    tested = mechanisms(line, rewritten)
    line.record([Entry(item.kind, item.subject, item.body(), item.time) for item in tested])
    wrong = [
        item for item in tested
        if "approved" not in item.values and float(item.values.get("displacement", item.values["share"])) > MATERIAL
    ]  # fmt: skip
    if wrong:
        raise IncidentError(
            f"the repair of `{incident.id}` does not pass the exact test at {wrong[0].subject}, {wrong[0].window}",
            hint="the verdict may be wrong; disagree with a reason: headwater sign --disagree",
        )


def verify(line: Line, run: str, findings: Sequence[Finding]) -> None:
    """Check every remedied incident on the fresh window that was just run, and move it on when it is back in band."""
    time = line.services.clock.now()
    for incident in line.state.incidents.active():
        if incident.state not in ("remedied", "verifying") or incident.verdict is None:
            continue
        about = {incident.verdict.subject, incident.subject, *incident.subjects}
        bad = [
            finding for finding in findings
            if finding.severity == "alarm" and finding.subject in about and finding.monitor not in _LATE
        ]  # fmt: skip
        if not _fresh(line, incident, run):
            continue
        evidence = Evidence(
            type="verification",
            subject=incident.id,
            window=run,
            values={
                "passed": not bad,
                "subjects": sorted(about),
                "alarms": [finding.detail for finding in bad],
            },
            time=time,
        )
        line.record([Entry("evidence", incident.id, evidence.body(), time)])
        if bad and incident.state == "remedied" and chosen(incident).action == "hold":
            continue
        if bad:
            line.record([move(incident, "triaging", incident.window, time, note="not back in band on fresh data")])
        elif incident.state == "remedied":
            note = f"window {run} is back in band"
            line.record([move(incident, "verifying", incident.window, time, note=note, verified=True)])


_LATE = ("performance", "business")


def _fresh(line: Line, incident: Incident, run: str) -> bool:
    """Whether the run is later than the one in which the remedy was applied."""
    applied = [item["time"] for item in incident.timeline if item["state"] == "remedied"]
    return bool(applied) and applied[-1] < line.services.clock.now().isoformat()


def lift_hold(line: Line, dataset: str, keys: Sequence[str], incident: str) -> list[Entry]:
    """Lift the quarantine that an incident set on a dataset's windows."""
    body = {
        "dataset": line.ref(dataset),
        "first": min(keys),
        "last": max(keys),
        "state": "lifted",
        "reason": "delivered again",
        "incident": incident,
    }
    return [Entry("quarantine", line.ref(dataset), body, line.services.clock.now())]


__all__ = ["Backfill", "TableVersion", "backfill", "carry_out", "dry_run", "lift_hold", "plan_backfill", "verify"]
