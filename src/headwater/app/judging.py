"""From findings to a verdict: open or merge incidents, look for signatures at the sources, build the case, judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from headwater.app.approving import explained
from headwater.app.arrival import SURE, diagnosis, repeats, telling, twice
from headwater.app.filling import provisional
from headwater.app.frozen import Frozen
from headwater.app.inputs import REACH
from headwater.app.lifecycle import earlier_champion, version_of
from headwater.app.line import Line
from headwater.app.outcomes import outcomes_of
from headwater.app.succession import faulted, successions
from headwater.core.assets import Mechanism
from headwater.core.errors import ModelError
from headwater.core.ports import Entry
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding, Verdict
from headwater.mlops.outcome import row_costs
from headwater.triage.case import DECLARED, REALISED, Case, Diagnosed, Failed, Sight, unreplayed
from headwater.triage.chain import Keep
from headwater.triage.collapsing import admitted, collapse, merging
from headwater.triage.incidents import Incident, move, opening
from headwater.triage.mechanism import HARM_WINDOWS, harm
from headwater.triage.replay import Replay
from headwater.triage.verdict import CERTAIN, judge


def look_for_signatures(line: Line, run: str, findings: Sequence[Finding]) -> tuple[list[Evidence], list[Finding]]:
    """Diagnose each source of a run that is unusual itself, repeats itself or feeds something structurally wrong.

    A sure signature is an alarm where it speaks by itself, stands beside one, or came in the window before as well.
    """
    feeding: set[str] = set()
    for alarmed in {finding.subject for finding in findings if finding.severity == "alarm"}:
        feeding |= line.above(alarmed)
    unusual = {finding.subject for finding in findings}
    evidence: list[Evidence] = []
    extra: list[Finding] = []
    for name, asset in line.assets.items():
        subject = line.ref(name)
        if asset.recomputable:
            continue
        key = line.calendar.shift(line.calendar.window(run), -asset.lag).key
        if subject not in unusual | feeding and not repeats(line, asset, key):
            continue
        if provisional(line, asset, key):
            continue  # what is not whole yet looks like what came in part
        pressing = subject in feeding or any(
            finding.subject == subject and finding.severity == "alarm" for finding in findings
        )
        made = signature(line, name, key, _start(line, subject, key), newest=pressing)
        if made is None:
            continue
        evidence.append(made)
        if made.values["confidence"] >= SURE and (telling(made.values) or pressing or twice(line, made)):
            extra.append(signature_finding(made))
    return evidence, extra


def signature(line: Line, asset: str, key: str, since: str, *, newest: bool) -> Evidence | None:
    """Diagnose one window of a source as evidence; None when no signature fires."""
    found = diagnosis(line, asset, key, since, newest=newest)
    return None if found is None else _signature(line, asset, key, found.values(since, newest))


def signed(line: Line, asset: str, key: str, since: str) -> tuple[Diagnosed, Evidence] | None:
    """Diagnose a window of an incident; the last windows before may be hit as well, so they are left out if need be."""
    for newest in (True, False):
        found = diagnosis(line, asset, key, since, newest=newest)
        if found is not None:
            return found, _signature(line, asset, key, found.values(since, newest))
    return None


def _signature(line: Line, asset: str, key: str, values: Mapping[str, Any]) -> Evidence:
    time = line.services.clock.now()
    return Evidence(type="signature", subject=line.ref(asset), window=key, values=values, time=time)


def signature_finding(evidence: Evidence) -> Finding:
    """Say of a signature that it is a finding by itself."""
    values = evidence.values
    return Finding(
        monitor="signature",
        subject=evidence.subject,
        window=evidence.window,
        metric=values["fault"],
        severity="alarm",
        score=values["before"],
        value=values["before"],
        expected=values["after"],
        detail=values["detail"],
        time=evidence.time,
        causes=(evidence.id,),
    )


def _start(line: Line, subject: str, key: str) -> str:
    """The window before which a source was normal: where an active incident on it began, else this one."""
    starts = [
        incident.window for incident in line.state.incidents.active()
        if subject in line.above(incident.subject) | set(incident.subjects) | {incident.subject}
    ]  # fmt: skip
    return min([key, *starts])


def open_or_merge(line: Line, run: str, findings: Sequence[Finding]) -> list[Incident]:
    """Collapse a run's alarms by lineage; add each group to the incident it belongs to or open one for it."""
    alarms = [finding for finding in findings if finding.severity == "alarm" and not _settled(line, finding)]
    touched: list[str] = []
    time = line.services.clock.now()

    def above(subject: str) -> set[str]:
        return _above(line, subject)

    for subject, group in collapse(alarms, above):
        name = line.state.incidents.next_id(line.project.name)
        name, entries = admitted(subject, group, line.state.incidents, above, name, run, time)
        line.record(entries)
        touched.append(name)
    return [line.state.incidents.get(name) for name in dict.fromkeys(touched)]


def _above(line: Line, subject: str) -> set[str]:
    """Everything upstream of what a finding is about: a model's outcomes show in its predictions and its labels."""
    found = line.above(subject)
    for model in line.project.models.values():
        if subject == line.project.ref(model.name, "model"):
            seen = {line.ref(model.predictions), line.ref(model.labels)}
            found |= seen | {item for ref in seen for item in line.above(ref)}
    return found - {subject}


def merge_causes(line: Line, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Merge incidents that turned out to have one cause: the same culprit, or the world. Return what is left."""
    time = line.services.clock.now()
    left: list[Verdict] = []
    for verdict in verdicts:
        incident = line.state.incidents.get(verdict.incident)
        if incident.id != verdict.incident:
            continue
        active = [other for other in line.state.incidents.active() if other.id != incident.id and other.unsettled]
        same = [other for other in active if other.verdict is not None and _one_cause(other.verdict, verdict)]
        if incident.unsettled and same and _number(same[0]) < _number(incident):
            cause = verdict.subject if verdict.status == "named" else "the world"
            line.record(merging(same[0], incident, time, f"both come from {cause}"))
        else:
            left.append(verdict)
    return left


def further_causes(line: Line, verdicts: Sequence[Verdict], run: str) -> list[Incident]:
    """Open an incident for each further culprit that a verdict is sure of: two causes are two incidents.

    What is opened needs an alarm of its own and no active incident that is about it or names it.
    """
    opened: list[Incident] = []
    time = line.services.clock.now()
    for verdict in verdicts:
        for item in verdict.suspects if verdict.status == "named" else ():
            about = _written(line, item.subject)
            taken = {root for incident in line.state.incidents.active() for root in incident.roots}
            if item.probability < CERTAIN or item.exonerated or about & taken:
                continue
            first = line.state.incidents.get(verdict.incident).window
            if alarms := _alarms(line, about, first, max(first, run)):
                name = line.state.incidents.next_id(line.project.name)
                line.record([opening(name, alarms, item.subject, first, time)])
                opened.append(line.state.incidents.get(name))
    return opened


def _written(line: Line, subject: str) -> set[str]:
    """All references of the asset that a subject stands for: its dataset and, for predictions, the deployment."""
    return next(
        ({line.ref(name), line.blame(name)} for name in line.assets if subject in (line.ref(name), line.blame(name))),
        {subject},
    )


def _alarms(line: Line, about: set[str], first: str, last: str) -> list[Finding]:
    """The alarms of the runs first..last about an asset, in its own windows."""
    lag = next((line.assets[name].lag for name in line.assets if line.ref(name) in about), 0)
    keys = [line.calendar.shift(window, -lag).key for window in line.calendar.between(first, last)]
    return [
        finding for key in keys for finding in line.state.findings.get(key, ())
        if finding.subject in about and finding.severity == "alarm" and not _settled(line, finding)
    ]  # fmt: skip


def _one_cause(one: Verdict, other: Verdict) -> bool:
    """Tell whether two verdicts say the same: a sale that no asset is to blame for moves many sources at once."""
    if one.status != other.status or one.status not in ("named", "world"):
        return False
    return one.status == "world" or (one.subject, one.fault) == (other.subject, other.fault)


def _number(incident: Incident) -> int:
    return int(incident.id.rpartition("/")[2])


WAITED = 14
"""Windows after an incident opened in which a verdict that waits for a test is given anew with every run."""


def awaited(line: Line, incident: Incident, run: str) -> bool:
    """Tell whether an incident's verdict named a test that this run may have answered, as by labels that came."""
    verdict = incident.verdict
    if verdict is None or verdict.status == "named" or not verdict.next_test or run <= verdict.window:
        return False
    return run <= line.calendar.shift(line.calendar.window(incident.window), WAITED).key


def _settled(line: Line, finding: Finding) -> bool:
    """Labels come late: a loss or a landing inside the windows of an incident that has its verdict is that incident's.

    It must not open a second one after the first was remedied.
    """
    if finding.monitor not in (*REALISED, "succession", "business", "inputs"):
        return False
    window = finding.window
    if finding.monitor == "inputs":  # it looks back over windows of which some were hit
        window = line.calendar.shift(line.calendar.window(window), -REACH).key
    for incident in line.state.incidents.all():
        verdict = incident.verdict
        if verdict is None or verdict.status != "named":
            continue
        upstream = _above(line, finding.subject) | {finding.subject}
        if not _written(line, verdict.subject) & upstream:
            continue
        remedied = next((item["window"] for item in incident.timeline if item["state"] == "remedied"), "~")
        if verdict.start_window <= finding.window and window <= remedied:
            return True
    return False


def assess(line: Line, incident: Incident, run: str, sight: Sight = "replay") -> Verdict:
    """Judge an incident and record nothing: what the verdict would be, by as much as ``sight`` allows to look at."""
    return judge(case(line, incident, max(run, incident.window), sight=sight), line.services.clock.now())


def triage(line: Line, incident: Incident, run: str) -> Verdict:
    """Judge an incident on everything known by now and record the verdict."""
    time = line.services.clock.now()
    if incident.state != "triaging":
        line.record([move(incident, "triaging", incident.window, time)])
        incident = line.state.incidents.get(incident.id)
    measured: list[Evidence] = []
    run = max(run, incident.window)  # a window that never came is known by the clock before any run reaches it
    verdict = judge(case(line, incident, run, measured.append), time, measured.append)
    line.record(
        [
            *(Entry("evidence", item.subject, item.body(), item.time) for item in measured),
            Entry("verdict", incident.id, verdict.body(), time),
            move(incident, "verdict", incident.window, time, note=verdict.text),
        ]
    )
    return verdict


def case(line: Line, incident: Incident, run: str, keep: Keep = lambda _: None, sight: Sight = "replay") -> Case:
    """Collect what is known about an incident.

    Args:
        line: The project.
        incident: What is judged.
        run: The newest run window.
        keep: Told of the evidence that is measured anew.
        sight: What is looked at: ``replay`` (everything), ``changes`` (metrics, lineage and when code or models
            changed) or ``metrics`` (metrics and lineage), as where nothing can be run again.
    """
    replay = line.replay()
    windows = tuple(window.key for window in line.calendar.between(incident.window, run))
    tests: dict[tuple[str, str], Evidence] = {}
    diagnosed_at: dict[tuple[str, str], Diagnosed] = {}
    failed: dict[str, Failed] = {}
    findings: list[Finding] = []
    for name, asset in line.assets.items():
        keys = [line.calendar.shift(line.calendar.window(key), -asset.lag).key for key in windows]
        for key in keys:
            if test := line.state.evidence[("mechanism", line.blame(name))].get(key):
                tests[(name, key)] = _approved_since(line, name, test, keep)
            arrival = line.state.evidence[("arrival", line.ref(name))].get(key)
            if arrival is not None and arrival.values["state"] == "FAIL":
                first = Failed(key, arrival.values["error"], bool(arrival.values["changed"]), arrival.id)
                failed.setdefault(name, first)
            if key in line.state.evidence[("signature", line.ref(name))]:
                again = signed(line, name, key, keys[0])
                if again is not None:
                    found, told_of = again
                    keep(told_of)
                    diagnosed_at[(name, key)] = replace(found, evidence=told_of.id)
            told = [
                item for item in line.state.findings.get(key, ())
                if item.subject in (line.ref(name), line.blame(name)) and item not in findings
            ]  # fmt: skip
            findings += told
            absent = next((item for item in told if (item.monitor, item.metric) == ("arrival", "missing")), None)
            if absent is not None and arrival is None:
                failed.setdefault(name, Failed(key, absent.detail, False, absent.id))
    findings += _elsewhere(line, incident, windows, findings)
    findings = [item for item in findings if not (line.state.history.settled(item.id) or _taken_out(line, item))]
    findings = explained(line, tests.values(), [_unless_approved(tests.values(), item) for item in findings])
    related = {incident.subject, *incident.subjects}
    related |= {item for subject in list(related) for item in line.above(subject)}
    labelled = _labelled(line, incident.window)
    models = tuple(line.project.models.values())
    frozen = {model.name: Frozen(line, model) for model in models}

    collected = Case(
        incident=incident.id,
        windows=windows,
        findings=tuple(item for item in findings if item.subject in related),
        tests=tests,
        releases={
            model.name: list(line.state.evidence[("release", line.project.ref(model.name, "deployment"))].values())
            for model in models
        },
        diagnosed=diagnosed_at,
        accepted={name: good for name in line.state.accepted if (good := _good(line, replay, name, run)) is not None},
        failed=failed,
        labelled=tuple(labelled),
        replay=replay,
        models=models,
        ref=line.ref,
        blame=line.blame,
        owner=line.owner,
        side=line.side,
        price=_price,
        harm=partial(_graded, replay, models, labelled),
        subject=incident.subject,
        changes=_changes(line, replay, windows),
        outcomes={model.name: outcomes_of(line, model) for model in models},
        successions=successions(line, replay, run),
        unfit=partial(_unfit, line),
        trusted=lambda model, key: key not in frozen[model.name],
    )
    return collected if sight == "replay" else unreplayed(collected, changes=sight == "changes")


def _taken_out(line: Line, finding: Finding) -> bool:
    """Tell whether a finding is of a monitor that the project declared then and does not any more."""
    if finding.monitor not in DECLARED or finding.subject.startswith("model:"):
        return False
    return finding.metric.partition("[")[0] not in line.project.watches


def _changes(line: Line, replay: Replay, windows: Sequence[str]) -> dict[str, str]:
    """Return the first window of each asset that other code or parts made than the window before it."""
    found: dict[str, str] = {}
    for name, asset in line.assets.items():
        shifted = [line.calendar.shift(line.calendar.window(key), -asset.lag) for key in windows]
        for window in shifted:
            made, before = (replay.made(name, key) for key in (window.key, line.calendar.shift(window, -1).key))
            if made is not None and before is not None and made.id != before.id:
                found.setdefault(name, window.key)
    return found


def _graded(
    replay: Replay, models: Sequence[Model], labelled: Sequence[str], asset: str, since: str, suspect: Mechanism
) -> Mapping[str, float]:
    """Grade a changed mechanism over the labelled windows before an incident; see `headwater.triage.mechanism.harm`."""
    below = {asset, *replay.descendants(asset)}
    return next((harm(replay, model, asset, suspect, labelled) for model in models if model.predictions in below), {})


def _elsewhere(line: Line, incident: Incident, windows: Sequence[str], known: Sequence[Finding]) -> list[Finding]:
    """The findings about models, and about what is of no asset here, in an incident's windows."""
    found: list[Finding] = []
    for model in line.project.models.values():
        subject = line.project.ref(model.name, "model")
        lag = line.assets[model.labels].lag
        for key in windows:
            own = line.calendar.shift(line.calendar.window(key), -lag).key
            found += [item for item in line.state.findings.get(own, ()) if item.subject == subject]
    ours = {item for name in line.assets for item in (line.ref(name), line.blame(name))}
    ours |= {line.project.ref(name, "model") for name in line.project.models}
    foreign = {incident.subject, *incident.subjects} - ours
    return found + [
        item for key in windows for item in line.state.findings.get(key, ())
        if item.subject in foreign and item not in [*known, *found]
    ]  # fmt: skip


def _approved_since(line: Line, name: str, test: Evidence, keep: Keep) -> Evidence:
    """Judge a test of new code by an approval that came after it: what is intended may be approved when it alarms."""
    made = line.replay().made(name, test.window)
    approval = None if made is None else line.approval(name, made.code)
    if approval is None or not test.values["code_changed"] or test.values.get("approved"):
        return test
    values = {**test.values, "approved": approval.judged(test.values)}
    judged = replace(test, values=values, time=line.services.clock.now())
    keep(judged)
    return judged


def _unless_approved(tests: Iterable[Evidence], finding: Finding) -> Finding:
    """Make a notice of the mechanism's own alarm about code that is approved by now."""
    cleared = any(
        item.subject == finding.subject and item.window == finding.window and item.values["approved"]["within"]
        for item in tests
        if finding.monitor == "mechanism" and item.values.get("approved")
    )
    return replace(finding, severity="notice") if cleared else finding


def _good(line: Line, replay: Replay, name: str, run: str) -> Mechanism | None:
    """The mechanism to go back to from what an asset last ran with."""
    key = line.calendar.shift(line.calendar.window(run), -line.assets[name].lag).key
    made = replay.made(name, key) or line.mechanism(name)
    return line.state.accepted[name] if made is None else line.baseline(name, made.code)


def _unfit(line: Line, asset: str, good: Mechanism) -> str:
    """Say why a server must not go back to some parts: they are lost, or an earlier version's that learned a fault.

    What is approved now may always be loaded: the gate has judged it.
    """
    model = line.model_of(asset)
    if model is None:
        return ""
    lost = [name for name, part in good.parts.items() if line.services.parts.flaw(part)]
    if lost:
        return f"its part `{lost[0]}` is not stored any more"
    version = earlier_champion(line, model, good.parts)
    if version is None:
        return ""
    told = next(iter(faulted(line, model, version, version_of(line, model, version))), None)
    return "" if told is None else f"version {version} was trained on {told[0]}"


def _labelled(line: Line, before: str) -> list[str]:
    models = list(line.project.models.values())
    if not models:
        return []
    scored, frozen = set(line.services.tables.keys(models[0].predictions)), Frozen(line, models[0])
    keys = [key for key in line.services.tables.keys(models[0].labels) if key < before and key in scored]
    return [key for key in keys if key not in frozen][-HARM_WINDOWS:]


def _price(model: Model, predictions: pl.DataFrame, p: pl.Series, labels: pl.DataFrame | None) -> pl.Series:
    try:
        return row_costs(model, predictions, p, labels)
    except ModelError:  # a cost function that fails is a finding of its own; the case is judged without a price
        return pl.Series("cost", [None] * predictions.height, dtype=pl.Float64)
