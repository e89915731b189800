"""Read a workspace and fill the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from headwater.app.closing import cleared
from headwater.app.line import Line
from headwater.app.remembering import remembered
from headwater.app.report.data import (
    AssetRow,
    Book,
    Cell,
    Check,
    Cleared,
    Curve,
    Fact,
    IncidentStory,
    Likeness,
    Lineage,
    Mark,
    Moment,
    Report,
    Touch,
)
from headwater.app.report.page import write
from headwater.app.touching import touched
from headwater.core.project import Model
from headwater.core.records import Finding, Verdict
from headwater.triage.incidents import Incident

LIMIT = 2.0
"""Exceedance ratio at which structural metrics alarm; a cell's strength is the largest ratio to it."""


def write_report(line: Line, seconds: float, changes: Sequence[Mapping[str, str]], story: str) -> Path:
    """Write the workspace's report beside its project and return the file."""
    report = fill(line, seconds, changes, story)
    folder = line.config.folder if line.config is not None else Path.cwd()
    path = folder / "report.html"
    write(report, path)
    return path


def fill(line: Line, seconds: float, changes: Sequence[Mapping[str, str]] = (), story: str = "") -> Report:
    """Collect everything the report shows."""
    windows = _live_windows(line)
    named = {line.ref(asset.name): asset for asset in line.project.ordered()}
    incidents = line.state.incidents.all()
    done = cleared(line)
    return Report(
        project=line.project.name,
        title=f"{line.project.name}: what happened to its decisions",
        generated=line.services.clock.now(),
        windows=tuple(windows),
        assets=tuple(
            AssetRow(ref=ref, layer=asset.layer, side=line.side(asset.name), owner=line.owner(asset.name))
            for ref, asset in named.items()
        ),
        edges=tuple((line.ref(parent), ref) for ref, asset in named.items() for parent in asset.parents),
        cells=_cells(line, windows),
        marks=tuple(_marks(line, incidents, changes, windows)),
        incidents=tuple(_incident(line, incident, windows) for incident in incidents),
        cleared=tuple(
            Cleared(
                subject=str(item["subject"]),
                window=str(item["window"]),
                change=str(item["change"]),
                reason=str(item["reason"]),
                side="ml" if str(item["subject"]).startswith("deployment:") else _side(line, str(item["subject"])),
                command=f"headwater trace {item['subject']}" if str(item["subject"]).startswith("dataset") else "",
            )
            for item in done
        ),
        curves=tuple(_curves(line, windows)),
        facts=(
            Fact(label="windows run", value=len(windows), command="headwater run"),
            Fact(label="datasets", value=len(named), command="headwater datasets"),
            Fact(label="harmless changes cleared", value=len(done), command="headwater why model"),
            Fact(label="incidents", value=len(incidents), command="headwater incidents --all"),
            Fact(label="played in", value=round(seconds, 1), unit="s"),
        ),
        audit=(Fact(label="ledger records", value=line.services.ledger.verify(), command="headwater audit verify"),),
    )


def _side(line: Line, ref: str) -> str:
    name = ref.rsplit("/", 1)[-1]
    return line.side(name) if name in line.assets else "ml"


def _live_windows(line: Line) -> list[str]:
    """The windows that were run one by one; history that came as one range is left out."""
    lone = [model.predictions for model in line.project.models.values()]
    scored = {key for name in lone for key in line.services.tables.keys(name)}
    return sorted(key for key in line.state.runs if key in scored) or sorted(line.state.runs)


def _cells(line: Line, windows: Sequence[str]) -> dict[tuple[str, str], Cell]:
    cells: dict[tuple[str, str], Cell] = {}
    shown = set(windows)
    blame = {line.blame(name): line.ref(name) for name in line.assets}
    models = {line.project.ref(model.name, "model"): line.ref(model.labels) for model in line.project.models.values()}
    for window, findings in line.state.findings.items():
        if window not in shown:
            continue
        for finding in findings:
            asset = blame.get(finding.subject) or models.get(finding.subject) or finding.subject
            strength = _strength(finding)
            present = cells.get((asset, window))
            if present is None or strength > present.strength:
                cells[(asset, window)] = Cell(
                    strength=strength, state=finding.severity, text=finding.detail or finding.metric
                )
    for incident in line.state.incidents.all():
        _mended(line, incident, cells, shown)
    return cells


def _strength(finding: Finding) -> float:
    ratio = min(6.0, finding.score / LIMIT)
    return max(1.0, ratio) if finding.severity == "alarm" else min(0.6, 0.1 + 0.1 * ratio)


def _mended(line: Line, incident: Incident, cells: dict[tuple[str, str], Cell], shown: set[str]) -> None:
    remedy = incident.remedy
    if remedy is None or "asset" not in remedy.parameters:
        return
    state = "quarantined" if remedy.action == "hold" else "backfilled"
    for window in remedy.windows:
        place = (line.ref(str(remedy.parameters["asset"])), window)
        if window in shown and place in cells and remedy.action != "rollback_model":
            cells[place] = Cell(strength=cells[place].strength, state=state, text=cells[place].text)  # type: ignore[arg-type]


def _marks(
    line: Line, incidents: Sequence[Incident], changes: Sequence[Mapping[str, str]], windows: Sequence[str]
) -> list[Mark]:
    marks = [
        Mark(window=item["window"], kind="release" if "release" in item["change"] else "deploy", label=item["change"],
             subject=item["subject"])
        for item in changes
    ]  # fmt: skip
    for incident in incidents:
        label = incident.id.rsplit("/", 1)[-1]
        marks.append(Mark(window=incident.window, kind="incident", label=f"incident {label}", subject=incident.subject))
        for moment in incident.timeline:
            if moment["state"] == "remedied" and incident.remedy is not None:
                window = _run_at(line, str(moment["time"]), windows)
                label = incident.remedy.action.replace("_", " ")
                marks.append(Mark(window=window, kind="remedy", label=label, subject=incident.remedy.target))
    return [mark for mark in marks if mark.window in set(windows)]


def _run_at(line: Line, time: str, windows: Sequence[str]) -> str:
    key = line.calendar.containing(datetime.fromisoformat(time)).key
    return max((window for window in windows if window <= key), default=windows[0] if windows else key)


def _incident(line: Line, incident: Incident, windows: Sequence[str]) -> IncidentStory:
    verdict = incident.verdict
    told = remembered(line, incident)
    return IncidentStory(
        incident=incident.id,
        state=incident.state,
        verdict=verdict,
        headline=_headline(line, incident),
        detected_window=incident.window,
        lineage=None if verdict is None or not verdict.chain else _lineage(line, verdict),
        curves=() if verdict is None else tuple(_culprit_curves(line, verdict, windows)),
        dry_run=() if verdict is None else tuple(_touches(line, incident, verdict)),
        applied=incident.remedy is not None,
        verification=tuple(_checks(line, incident)),
        signoffs=tuple((incident.signoffs or {}).values()),
        timeline=tuple(
            Moment(time=datetime.fromisoformat(str(item["time"])), state=str(item["state"]), by=str(item["by"]),
                   note=str(item["note"]))
            for item in incident.timeline
        ),
        recurrence=_came_back(told["recurrence"]),
        similar=tuple(_like(item) for item in told["similar"]),
        book=None if told["runbook"] is None or not incident.active
        else Book(title=told["runbook"]["title"], steps=tuple(told["runbook"]["steps"])),
        cost=None if incident.priced is None else incident.cost,
        written=incident.prevention,
    )  # fmt: skip


def _came_back(again: Mapping[str, Any] | None) -> str:
    if again is None:
        return ""
    return (
        f"{again['last']} was closed {str(again['closed'])[:10]}; this is time {again['times']}: {again['prevention']}."
    )


def _like(item: Mapping[str, Any]) -> Likeness:
    return Likeness(
        incident=item["incident"],
        likeness=item["likeness"],
        alike_in=tuple(name for name, part in item["parts"].items() if part >= 0.5),
        subject=item["subject"],
        fault=item["fault"],
        window=item["window"],
        remedy=item["remedy"],
        held=item["held"],
    )


def _headline(line: Line, incident: Incident) -> str:
    """One sentence that somebody who knows no pipeline understands; empty when nobody was named."""
    verdict = incident.verdict
    if verdict is None or verdict.status != "named":
        return ""
    culprit = next(item for item in verdict.suspects if item.subject == verdict.subject)
    said = [f"{_name(verdict.subject)} ({verdict.owner}) went wrong on {verdict.start_window}: {culprit.reason}."]
    if verdict.effect is not None:
        effect = verdict.effect
        said.append(f"{effect.affected_predictions:,} of {effect.scored_predictions:,} predictions were affected.")
    done = {
        "repair": "It was repaired and backfilled",
        "rollback_code": "Its code was rolled back and backfilled",
        "rollback_model": "The approved model was loaded again",
        "hold": "Its windows were held until it was delivered again",
    }
    if incident.remedy is not None and incident.remedy.action in done:
        closed = ", and both sides signed" if incident.state == "closed" else ""
        said.append(f"{done[incident.remedy.action]} on {_applied(line, incident)}{closed}.")
    return " ".join(said)


def _applied(line: Line, incident: Incident) -> str:
    times = [str(item["time"]) for item in incident.timeline if item["state"] == "remedied"]
    return line.calendar.containing(datetime.fromisoformat(times[-1])).key if times else "-"


def _lineage(line: Line, verdict: Verdict) -> Lineage:
    path = [step.subject for step in verdict.chain]
    blame = {line.blame(name): line.ref(name) for name in line.assets}
    places = [blame.get(item, item) for item in path]
    near = set(places)
    for ref in list(near):
        name = ref.rsplit("/", 1)[-1]
        near |= {line.ref(parent) for parent in line.assets[name].parents} if name in line.assets else set()
    order = [line.ref(asset.name) for asset in line.project.ordered() if line.ref(asset.name) in near]
    return Lineage(
        nodes=tuple(
            AssetRow(
                ref=ref, layer=line.assets[_name(ref)].layer, side=line.side(_name(ref)), owner=line.owner(_name(ref))
            )
            for ref in order
        ),
        edges=tuple(
            (line.ref(parent), ref)
            for ref in order
            for parent in line.assets[_name(ref)].parents
            if line.ref(parent) in near
        ),
        path=tuple(places),
    )


def _name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def _touches(line: Line, incident: Incident, verdict: Verdict) -> list[Touch]:
    """What the remedy writes, or wrote when it was applied, and what it leaves."""
    remedy = verdict.remedy
    if remedy is None:
        return []
    told = touched(line, remedy, incident.id)
    until = _applied(line, incident) if incident.remedy is not None else "~"
    found = []
    for item, note in (*((one, "") for one in told["datasets"]), *((one, "stays as it was") for one in told["logs"])):
        keys = [key for key in item["windows"] if key < until]
        if keys:
            rows = item["rows"] if len(keys) == len(item["windows"]) else None
            found.append(Touch(ref=item["dataset"], windows=len(keys), rows=rows, note=note))
    found += [Touch(ref=item["dataset"], note=f"held {window_span(item)}") for item in told["held"]]
    found += [Touch(ref=item["deployment"], note=f"loads {', '.join(item['parts'])}") for item in told["deployments"]
              if item["parts"]]  # fmt: skip
    found += [Touch(ref=item["model"], note=f"trained on {len(item['windows'])} of these windows: train it again")
              for item in told["trained"]]  # fmt: skip
    return found


def window_span(item: Mapping[str, str]) -> str:
    """Write a range of windows."""
    return item["first"] if item["first"] == item["last"] else f"{item['first']} to {item['last']}"


def _checks(line: Line, incident: Incident) -> list[Check]:
    found = line.state.evidence[("verification", incident.id)]
    return [
        Check(
            label=f"window {window}",
            passed=bool(item.values["passed"]),
            note="no alarm on the path, exact test passed"
            if item.values["passed"]
            else "; ".join(item.values["alarms"]),
        )
        for window, item in sorted(found.items())[:3]
    ]


def _culprit_curves(line: Line, verdict: Verdict, windows: Sequence[str]) -> list[Curve]:
    name = (verdict.prevention or {}).get("metric", "")
    asset = str((verdict.prevention or {}).get("asset", ""))
    profiles = line.state.evidence[("profile", line.ref(asset))] if asset else {}
    values = tuple(_number(profiles[key].values.get(name)) if key in profiles else None for key in windows)
    if not any(value is not None for value in values):
        return []
    title = f"{name} of {asset}"
    return [Curve(title=title, unit="", windows=tuple(windows), value=values, note="the metric that moved first")]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _curves(line: Line, windows: Sequence[str]) -> list[Curve]:
    curves = []
    for model in line.project.models.values():
        subject = line.project.ref(model.name, "model")
        seen = line.state.evidence[("performance", subject)]
        worth = line.state.evidence[("business", subject)]
        curves.append(_realised(model, seen, windows))
        if worth:
            curves.append(
                Curve(
                    title=f"{model.unit} of delay not announced" if "seat" in model.unit else model.unit,
                    unit=model.unit,
                    windows=tuple(windows),
                    value=_series(worth, windows, "value"),
                    low=_series(worth, windows, "low"),
                    high=_series(worth, windows, "high"),
                )
            )
        moved = line.state.evidence[("mechanism", line.project.ref(model.name, "deployment"))]
        if model.task == "ranking":
            continue
        chance = model.task == "binary"
        curves.append(
            Curve(
                title="mean prediction and outcome",
                unit="probability" if chance else model.outcome,
                windows=tuple(windows),
                value=_series(seen, windows, "mean_p" if chance else "mean_prediction"),
                value_label="mean p" if chance else "mean prediction",
                reference=_series(seen, windows, "base_rate" if chance else "mean_outcome"),
                reference_label="share that came true" if chance else "mean outcome",
                note=f"{len(moved)} windows recomputed",
            )
        )
    return curves


_REALISED = {
    "binary": (
        "realised log loss",
        "nats",
        "log_loss",
        "expected_log_loss",
        "expected from the predictions themselves",
    ),
    "regression": ("mean absolute error", "", "mae", "", ""),
    "ranking": ("NDCG of the first ten", "", "ndcg", "blind", "a random order's"),
}
"""By task: title, unit, metric, metric beside it, and what that is."""


def _realised(model: Model, seen: Mapping[str, Any], windows: Sequence[str]) -> Curve:
    title, unit, metric, beside, label = _REALISED[model.task]
    return Curve(
        title=title,
        unit=unit or (model.outcome if model.task == "regression" else ""),
        windows=tuple(windows),
        value=_series(seen, windows, metric),
        low=_series(seen, windows, f"{metric}_low"),
        high=_series(seen, windows, f"{metric}_high"),
        reference=_series(seen, windows, beside) if beside else (),
        reference_label=label,
        note="bands are 95 % intervals over the window's rows",
    )


def _series(evidence: Mapping[str, Any], windows: Sequence[str], name: str) -> tuple[float | None, ...]:
    told = {key: item.values for key, item in evidence.items() if not item.values.get("frozen")}
    return tuple(_number(told[key].get(name)) if key in told else None for key in windows)
