"""What the workspace remembers of incidents like one, why the check of last time did not stop it, and the runbook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from headwater.app.line import Line
from headwater.core.names import Ref
from headwater.triage.incidents import Incident
from headwater.triage.memory import recurrence, similar


def remembered(line: Line, incident: Incident) -> dict[str, Any]:
    """Return what is remembered: ``recurrence``, ``similar`` incidents and the ``runbook`` of the fault."""
    known = line.state.incidents.all()
    again = recurrence(incident, known)
    told = None
    if again is not None:
        told = {
            "times": again.times,
            "before": list(again.before),
            "last": again.last,
            "closed": again.closed,
            "remedy": again.remedy,
            "check": None if again.prevention is None else again.prevention["name"],
            "prevention": why_not_stopped(line, incident, again.prevention),
        }
    alike = similar(incident, known, lambda one, other: _steps(line, one, other), lambda item: _alarms(line, item))
    return {
        "recurrence": told,
        "similar": [item.as_dict() for item in alike],
        "runbook": None if incident.verdict is None else runbook(line, incident),
    }


def why_not_stopped(line: Line, incident: Incident, check: Mapping[str, Any] | None) -> str:
    """Say what became of the check that was written when the same fault was closed before."""
    if check is None:
        return "no check was written when it was closed: no metric told its bad windows from the good ones"
    name, asset = str(check["name"]), Ref.parse(str(check["dataset"])).name
    if line.config is None:
        return f"the check `{name}` was proposed, and this project keeps no contracts to put it in"
    contract = line.contracts.get(asset)
    if contract is None or name not in {item.get("name") for _, item in contract.checks()}:
        return (
            f"the check `{name}` is not in the contract of `{asset}`"
            + ("" if contract else ", which has none")
            + (": it was taken out, or never got there")
        )
    assert incident.verdict is not None
    start = incident.verdict.start_window
    ran = {key: item for key, item in line.state.evidence[("contract", line.ref(asset))].items() if key >= start}
    if not ran:
        return f"the check `{name}` did not run: no window of `{asset}` since {start} got as far as its contract"
    failed = sorted(key for key, item in ran.items() if name in {one["name"] for one in item.values["failed"]})
    if failed:
        severity = str(check.get("severity", "warning"))
        let = ", and let the rows pass: its severity is warning" if severity == "warning" else ""
        return f"the check `{name}` failed in window {failed[0]} and said so{let}"
    return f"the check `{name}` ran and passed{_bounds(line, asset, start, check)}"


def _bounds(line: Line, asset: str, start: str, check: Mapping[str, Any]) -> str:
    """Say what was measured beside what the check allows."""
    metric = str(check.get("implementation", {}).get("metric", ""))
    seen = line.state.evidence[("profile", line.ref(asset))].get(start)
    value = None if seen is None else seen.values.get(metric)
    allowed = check.get("mustBeBetween")
    if not isinstance(value, (int, float)) or not allowed:
        return ""
    return f": {metric} was {value:.4g} in window {start}, {allowed[0]:.4g} to {allowed[1]:.4g} is allowed"


def _steps(line: Line, one: str, other: str) -> int | None:
    """Steps of lineage between two subjects, either way."""
    graph = line.state.graph
    if one not in graph or other not in graph:
        return None
    paths = [graph.path(one, other), graph.path(other, one)]
    return min((len(path) - 1 for path in paths if path is not None), default=None)


def _alarms(line: Line, incident: Incident) -> frozenset[str]:
    wanted = set(incident.findings)
    found = (item for items in line.state.findings.values() for item in items if item.id in wanted)
    return frozenset(f"{item.monitor} {item.metric}" for item in found)


def runbook(line: Line, incident: Incident) -> dict[str, Any] | None:
    """Return the runbook of an incident's fault, with its names filled in; None when there is none."""
    verdict = incident.verdict
    assert verdict is not None
    page = page_of(verdict.fault)
    if page is None:
        return None
    subject = verdict.subject or incident.subject
    asset = next((name for name in line.assets if subject in (line.ref(name), line.blame(name))), subject)
    model = next(iter(line.project.models), "")
    held = verdict.remedy.windows if verdict.remedy is not None else ()
    windows = sorted({verdict.start_window, *held})
    names = {
        "INCIDENT": incident.id,
        "ASSET": asset,
        "REF": line.ref(asset) if asset in line.assets else subject,
        "SUBJECT": subject,
        "WINDOW": windows[0],
        "UNTIL": windows[-1],
        "MODEL": f"{line.project.name}/{model}",
    }
    title, steps = parsed(page)
    return {
        "fault": verdict.fault,
        "title": title,
        "steps": [re.sub(rf"\b({'|'.join(names)})\b", lambda found: names[found[1]], step) for step in steps],
    }


def page_of(fault: str) -> str | None:
    """Return the text of a fault's runbook; the family's where it has none of its own."""
    folder = files("headwater.app").joinpath("runbooks")
    family = fault.partition("_")[0]
    names = [fault, *({"loaded": ["loaded_part"], "abnormal": ["abnormal"]}.get(family, []))]
    for name in names:
        page = folder.joinpath(f"{name}.md")
        if re.fullmatch(r"[a-z_0-9]+", name) and page.is_file():
            return page.read_text("utf-8")
    return None


def parsed(page: str) -> tuple[str, list[str]]:
    """Return a runbook's title and its steps, each as one line."""
    title = page.partition("\n")[0].removeprefix("# ").strip()
    steps = re.findall(r"^\d+\. (.*(?:\n   .*)*)", page, re.M)
    return title, [" ".join(step.split()) for step in steps]
