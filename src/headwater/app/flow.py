"""The line, from a window to a verdict. Read this first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from headwater.app.approving import explained
from headwater.app.declared import unmuted
from headwater.app.estimating import estimates
from headwater.app.evidence import measure, on_probation
from headwater.app.freezing import freeze
from headwater.app.inputs import inputs
from headwater.app.judging import awaited, further_causes, look_for_signatures, merge_causes, open_or_merge, triage
from headwater.app.line import Line
from headwater.app.profiling import vocabulary
from headwater.app.remedying import verify
from headwater.app.running import Run, run
from headwater.core.ports import Entry
from headwater.core.records import Evidence, Finding, Verdict
from headwater.observe.monitors import evaluate


@dataclass(frozen=True)
class Report:
    """What one run of a window brought to light."""

    run: Run
    evidence: list[Evidence]
    findings: list[Finding]
    verdicts: list[Verdict] = field(default_factory=list)
    accepted: bool = False

    @property
    def alarms(self) -> list[Finding]:
        """The findings that woke somebody."""
        return [finding for finding in self.findings if finding.severity == "alarm"]


def advance(line: Line, first: str, last: str, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Run the windows first..last and follow every fact to its end: delivered, measured, monitored, judged."""
    delivered = run(line, first, last, progress)
    evidence = measure(line, delivered)
    _record(line, evidence)

    findings = watch(line, evidence) if first == last else []
    _record(line, findings)
    if first == last:
        signed, found = look_for_signatures(line, last, findings)
        _record(line, signed)
        _record(line, found)
        evidence, findings = evidence + signed, findings + found

    if told := [*inputs(line, delivered, findings), *estimates(line, delivered, findings)]:
        _record(line, told)
        unusual = watch(line, told)
        _record(line, unusual)
        evidence, findings = evidence + told, findings + unusual

    verdicts = []
    touched = [item.id for item in open_or_merge(line, last, findings)]
    for incident in line.state.incidents.active() if first == last else ():
        # What is disputed, was cut off before its verdict, or waits for a test is judged again even if nothing new is
        # out of its band.
        if incident.state in ("open", "triaging", "disputed") or (
            incident.state == "verdict" and (incident.id in touched or awaited(line, incident, last))
        ):
            verdicts.append(triage(line, incident, last))
    verdicts = merge_causes(line, verdicts)
    verdicts += [triage(line, incident, last) for incident in further_causes(line, verdicts, last)]
    verify(line, last, findings)
    freeze(line)

    alarmed = any(finding.severity == "alarm" for finding in findings)
    quiet = not alarmed and not delivered.failures and not line.state.incidents.active()
    with line.together():
        if quiet:
            accept(line, delivered)
        finish(line, delivered)
    return Report(delivered, evidence, findings, verdicts, quiet)


def finish(line: Line, delivered: Run) -> None:
    """Remember that the windows were run, and whether everything in them was delivered."""
    state, time = "FAIL" if delivered.failures else "COMPLETE", line.services.clock.now()
    windows = line.calendar.between(delivered.first, delivered.last)
    line.record([Entry("run", line.project.name, {"window": item.key, "state": state}, time) for item in windows])


def watch(line: Line, evidence: list[Evidence]) -> list[Finding]:
    """Let every monitor look at new evidence; what an approved change explains wakes nobody."""
    findings = evaluate(evidence, line.state.history, line.calendar, line.services.clock.now())
    return explained(line, evidence, unmuted(line, findings))


def accept(line: Line, delivered: Run) -> None:
    """Remember the mechanisms of a window without alarm as the last accepted ones, new code after its probation."""
    mechanisms = {
        name: {"code": item.mechanism.code, "parts": dict(item.mechanism.parts)}
        for name, item in delivered.deliveries.items()
        if item.mechanism is not None and item.state == "COMPLETE" and not on_probation(line, name, item.mechanism)
    }
    body = {"window": delivered.last, "mechanisms": mechanisms}
    line.record([Entry("accepted", line.project.name, body, line.services.clock.now())])
    learned = [
        vocabulary(line, line.assets[name], item.marked)
        for name, item in delivered.deliveries.items()
        if item.state == "COMPLETE"
    ]
    _record(line, [item for item in learned if item is not None])


def _record(line: Line, items: Iterable[Evidence | Finding]) -> None:
    line.record([Entry(item.kind, item.subject, item.body(), item.time) for item in items])
