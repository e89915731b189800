"""Two signatures, the prevention check, and the end of an incident."""

from __future__ import annotations

import unicodedata
from typing import Any

from headwater.app.line import Line
from headwater.app.prevention import prevent
from headwater.app.repricing import record_price
from headwater.core.errors import IncidentError, UsageError
from headwater.core.ports import Entry
from headwater.core.records import SIDES, Side, Signoff
from headwater.triage.incidents import Incident, closing, move
from headwater.triage.settling import Ground, next_test


def _person(name: str) -> str:
    """Write a name so that two spellings of it are one, unseen characters left out."""
    seen = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    return "".join(seen).strip().casefold()


def sign(
    line: Line, incident: Incident, side: Side, by: str, disagree: str | None, prevention_owner: str | None
) -> dict[str, Any]:
    """Record one side's signature under the evidence hash, or its disagreement, which reopens triage."""
    if side not in SIDES:
        raise UsageError(f"`{side}` is not a side", hint="--side data or --side ml")
    if not by.strip():
        raise UsageError("a signature needs a name", hint="--as NAME")
    if not incident.active:
        raise IncidentError(f"incident `{incident.id}` is closed")
    if incident.verdict is None:
        raise IncidentError(f"incident `{incident.id}` has no verdict to sign", hint=f"headwater why {incident.id}")
    other = (incident.signoffs or {}).get("ml" if side == "data" else "data")
    if other is not None and _person(other.by) == _person(by):
        raise IncidentError(f"`{by}` signed for the {other.side} side already", hint="the two keys are two people")
    time = line.services.clock.now()
    signoff = Signoff(
        incident=incident.id,
        side=side,
        by=by,
        evidence_hash=incident.verdict.evidence_hash,
        agrees=disagree is None,
        reason=disagree or "",
        prevention_owner=prevention_owner or "",
        time=time,
    )
    entries = [Entry("signoff", incident.id, signoff.body(), time)]
    if disagree is not None:
        test = next_test(incident.verdict.suspects, ground(line, incident.verdict.window), incident.id)
        entries.append(move(incident, "disputed", incident.window, time, by=by, note=disagree, next_test=test))
    line.record(entries)
    told = line.state.incidents.get(incident.id)
    return {**signoff.body(), "state": told.state, "next_test": told.next_test}


def ground(line: Line, run: str) -> Ground:
    """Say what a test that settles a dispute needs to know: assets, their windows in a run, and when labels come."""
    window = line.calendar.window(run)
    lags = [line.assets[model.labels].lag for model in line.project.models.values()]
    return Ground(
        assets=line.assets,
        named={ref: name for name in line.assets for ref in (line.ref(name), line.blame(name))},
        window=lambda name: line.calendar.shift(window, -line.assets[name].lag).key,
        due=line.calendar.shift(window, max(lags)).key if lags else "",
    )


def close(line: Line, incident: Incident, by: str) -> dict[str, Any]:
    """Close an incident and write the check that would have caught it to the culprit's contract."""
    signoffs = closing(incident)
    verdict = incident.verdict
    assert verdict is not None
    time = line.services.clock.now()
    owner = next(item.prevention_owner for item in signoffs if item.prevention_owner)
    record_price(line, incident, max(line.state.runs))
    check = prevent(line, incident) if verdict.status == "named" else None
    note = f"prevention owned by {owner}" + (f": {check['name']}" if check else "")
    entries = [move(incident, "closed", incident.window, time, by=by, note=note, prevention=check)]
    if verdict.status in ("none", "world"):
        now = {
            name: {"code": made.code, "parts": dict(made.parts)}
            for name in line.assets
            if (made := line.mechanism(name)) is not None
        }
        body = {"window": max(line.state.runs), "mechanisms": now}
        entries.append(Entry("accepted", line.project.name, body, time))
    line.record(entries)
    return {
        "incident": incident.id,
        "state": "closed",
        "evidence_hash": verdict.evidence_hash,
        "signed": {item.side: item.by for item in signoffs},
        "prevention_owner": owner,
        "prevention": check,
    }


def cleared(line: Line) -> list[dict[str, Any]]:
    """List the changes that were tested and cleared by name: new code or a new model, same decisions."""
    found = []
    for (kind, subject), by_window in line.state.evidence.items():
        if kind != "mechanism":
            continue
        seen: set[str] = set()
        for window, evidence in sorted(by_window.items()):
            values = evidence.values
            if not values.get("changed") or values["observed_mechanism"] in seen or _blamed(line, subject):
                continue
            seen.add(values["observed_mechanism"])
            moved = float(values.get("displacement", 0.0))
            share = float(values.get("share", 0.0))
            reason = (
                "same rows as the version before, cell for cell" if share == 0 else f"moves predictions by {moved:.4f}"
            )
            if values.get("parts") and not values.get("code_changed"):
                reason = f"an approved release: moves predictions by {moved:.4f}, as its gate measured"
            if values.get("approved"):
                if not values["approved"]["within"]:
                    continue
                reason = values["approved"]["text"]
            found.append(
                {
                    "subject": subject,
                    "window": window,
                    "change": "model release" if values.get("parts") else "new code",
                    "reason": reason,
                    "evidence": evidence.id,
                }
            )
    return sorted(found, key=lambda item: str(item["window"]))


def _blamed(line: Line, subject: str) -> bool:
    return any(item.verdict is not None and item.verdict.subject == subject for item in line.state.incidents.all())
