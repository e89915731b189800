"""Carry out a remedy: dry-run it, apply it, backfill what it touches, verify it on fresh data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from headwater.app.arrival import reference
from headwater.app.backfilling import Backfill, Progress, backfill, plan_backfill
from headwater.app.evidence import mechanisms
from headwater.app.freezing import release_labels
from headwater.app.lifecycle import deployed, reinstated, train
from headwater.app.line import Line
from headwater.app.repricing import record_price
from headwater.app.touching import held_by, plan_of, touched
from headwater.core.errors import IncidentError
from headwater.core.ports import Entry
from headwater.core.records import Evidence, Finding, Remedy
from headwater.observe import events
from headwater.stats.signatures.repairs import Repair, apply
from headwater.triage.incidents import Incident, move
from headwater.triage.mechanism import MATERIAL


def dry_run(line: Line, incident: Incident) -> dict[str, Any]:
    """Say what the incident's remedy would do and touch, without doing it: nothing once it was applied."""
    remedy = chosen(incident)
    ahead = incident.state in ("verdict", "disputed")
    plan = plan_of(line, remedy) if ahead else Backfill({}, ())
    return {
        "incident": incident.id,
        "state": incident.state,
        "remedy": remedy.body(),
        "unit": _unit(incident),
        "rewrites": plan.as_dict(),
        "windows": sum(len(keys) for keys in plan.windows.values()),
        "touches": touched(line, remedy, incident.id) if ahead else {},
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


def carry_out(line: Line, incident: Incident, by: str, progress: Progress = lambda _: None) -> dict[str, Any]:
    """Apply an incident's remedy and move it on; return what was done."""
    if incident.state == "disputed":
        raise IncidentError(f"incident `{incident.id}` is disputed", hint="run a window or the next test first")
    if incident.state not in ("verdict",):
        raise IncidentError(f"incident `{incident.id}` is {incident.state}; its remedy was applied already")
    remedy = chosen(incident)
    time = line.services.clock.now()
    plan, told = plan_of(line, remedy), touched(line, remedy, incident.id)
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
    elif remedy.action == "retrain" and "model" in parameters:
        made = train(line, line.model(str(parameters["model"])), 0, None, None, skip_quarantined=True)
        body["parameters"] = {**parameters, "version": made["version"]}
        line.record([Entry("remedy", incident.id, body, time)])
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
    release_labels(line, plan.windows, incident.id)
    return {
        "incident": incident.id,
        "remedy": remedy.body(),
        "unit": _unit(incident),
        "rewrites": plan.as_dict(),
        "windows": len(rewritten),
        "touches": told,
        "version": body["parameters"].get("version"),
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
    """Load approved parts again; where they are an earlier champion's, make that champion again."""
    name = str(remedy.parameters["asset"])
    model = line.model_of(name)
    assert model is not None
    parts = dict(remedy.parameters["parts"])
    earlier = reinstated(line, model, parts, by)
    entries = earlier or deployed(line, model, parts, by=by, reason="remedy")
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
        for name, keys in held_by(line, remedy).windows.items()
    ]


def _accept_repaired(line: Line, incident: Incident, rewritten: Sequence[tuple[str, str]]) -> None:
    """Repaired data must pass the exact test downstream before it is accepted.

    Approved code is accepted by name: the predictions that were logged come from before the repair, so that what it
    moves cannot be told from what the fault moved. What differed before the repair too is another fault, with an
    incident of its own.
    """
    known = {
        (line.blame(name), key)
        for name, key in rewritten
        if (test := line.state.evidence[("mechanism", line.blame(name))].get(key)) is not None
        and line.blame(name) != ("" if incident.verdict is None else incident.verdict.subject)
        and float(test.values.get("share", 0.0)) > 0
    }
    tested = mechanisms(line, rewritten)
    line.record([Entry(item.kind, item.subject, item.body(), item.time) for item in tested])
    wrong = [
        item for item in tested
        if "approved" not in item.values and (item.subject, item.window) not in known
        and float(item.values.get("displacement", item.values["share"])) > MATERIAL
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
            record_price(line, line.state.incidents.get(incident.id), run)


_LATE = ("performance", "succession", "business", "inputs")


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


__all__ = ["Backfill", "backfill", "carry_out", "dry_run", "lift_hold", "plan_backfill", "verify"]
