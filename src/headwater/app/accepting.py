"""Accept what a subject shows as the new normal, or take that back."""

from __future__ import annotations

from typing import Any

from headwater.app.judging import triage
from headwater.app.line import Line
from headwater.core.errors import DataError, UsageError
from headwater.core.ports import Entry
from headwater.core.records import Finding
from headwater.observe.acceptance import Acceptance, touches
from headwater.triage.incidents import move


def accept(
    line: Line, subject: str, metric: str, first: str | None, by: str, reason: str, *, dry_run: bool
) -> dict[str, Any]:
    """Accept the level that a subject's metric has from a window on.

    Its windows since then are learned although they are in alarm, and what was before says how it varies, but no longer
    where it lies. With no metric everything counts that was out of its band, at the subject and, because it follows
    from there, at what alarmed below it. Incidents that this explains are judged again. That a table had no rows is
    accepted as an exception and sets no level: see `headwater.observe.closures`.

    Args:
        line: The project.
        subject: Reference of a dataset, model or deployment.
        metric: A metric, or a column for all of its metrics; empty for all.
        first: The window in which the new level begins; None for where its alarms began. What merely was unusual
            before the last acceptance is not looked at then: asked every night, it would walk back into the past.
        by: Who accepts it.
        reason: Why.
        dry_run: Only say what would be covered.

    Raises:
        UsageError: No name, no reason, or no such window.
        DataError: Nothing of it is in alarm since then.
    """
    _signed(by, reason, dry_run=dry_run)
    if first is not None:
        line.calendar.window(first)
    columns = line.state.history.columns
    own = [item for item in _open(line) if item.subject == subject and touches(metric, item, columns(item))]
    given = _given(line, subject, metric)
    fresh = [item for item in own if item.window >= given or line.state.history.in_alarm(subject, item.window)]
    alarms = [item for item in fresh if item.severity == "alarm"]
    since = first or min((item.window for item in _newest_run(line, alarms or fresh)), default=None)
    if since is None or not any(item.window >= since for item in own):
        raise _nothing(line, subject, metric, first or given)
    alarmed = [item for item in _open(line) if item.severity == "alarm" and item.window >= since]
    following = [item for item in alarmed if subject in line.above(item.subject)]
    below = sorted({item.subject for item in following}) if not metric else []
    made = Acceptance(subject, (subject, *below), metric, since, by, reason, line.services.clock.now())
    covered = [item for item in _open(line) if made.covers(item, columns(item))]
    beside = [item for item in alarmed if item.subject == subject]
    left = {(item.subject, item.metric) for item in [*beside, *following] if item not in covered}
    judged = [] if dry_run else _record(line, made, covered)
    return {
        "subject": subject,
        "metric": metric or "all that was out of its band",
        "from": since,
        "by": by,
        "reason": reason,
        "below": below,
        "findings": [{"window": item.window, "subject": item.subject, "metric": item.metric, "severity": item.severity,
                      "detail": item.detail} for item in covered],
        "not_covered": [{"subject": one, "metric": other, "why": _why(subject, metric, one)}
                        for one, other in sorted(left)],
        "judged_again": judged,
        "accepted": not dry_run,
    }  # fmt: skip


def _why(subject: str, metric: str, other: str) -> str:
    if other == subject:
        return f"it is not about `{metric}`; accept it by its own name"
    return f"only `{metric}` was accepted; without --metric what follows from {subject} is accepted with it"


def undo(line: Line, subject: str, metric: str, by: str, reason: str) -> dict[str, Any]:
    """Take the newest acceptance of a subject's metric back: its windows are no longer learned."""
    _signed(by, reason, dry_run=False)
    given = [made for made in line.state.history.acceptances.all() if (made.subject, made.metric) == (subject, metric)]
    if not given:
        what = f"`{metric}` of `{subject}`" if metric else f"`{subject}`"
        known = line.state.history.acceptances.about([subject])
        told = ", ".join(f"`{made.metric or 'all'}`" for made in known)
        raise DataError(f"nothing of {what} is accepted", hint=f"accepted there: {told}" if told else None)
    made, time = given[-1], line.services.clock.now()
    line.record([Entry("acceptance", subject, {**made.body("lifted"), "by": by, "reason": reason}, time)])
    _note(line, made, f"no longer accepted, says {by}: {reason}")
    return {"subject": subject, "metric": metric or "all", "from": made.first, "by": by, "accepted": False}


def _signed(by: str, reason: str, *, dry_run: bool) -> None:
    for text, what, option in ((by, "name", "--by NAME"), (reason, "reason", "--reason TEXT")):
        if not text.strip() and not dry_run:
            raise UsageError(f"accepting a new normal needs a {what}", hint=option)


def _open(line: Line) -> list[Finding]:
    """The findings that nobody has settled."""
    history = line.state.history
    return [item for found in line.state.findings.values() for item in found if not history.settled(item.id)]


def _given(line: Line, subject: str, metric: str) -> str:
    """The window from which on the same was accepted before; empty where it never was."""
    made = line.state.history.acceptances.about([subject])
    return max((item.first for item in made if item.metric in ("", metric)), default="")


def _newest_run(line: Line, findings: list[Finding]) -> list[Finding]:
    """The findings of the newest windows that follow each other without a gap."""
    found: list[Finding] = []
    for item in sorted(findings, key=lambda finding: finding.window, reverse=True):
        if found and line.calendar.shift(line.calendar.window(item.window), 1).key < found[-1].window:
            break
        found.append(item)
    return found


def _nothing(line: Line, subject: str, metric: str, first: str | None) -> DataError:
    told = sorted({item.metric for item in _open(line) if item.subject == subject and item.metric})
    what = f"`{metric}` of `{subject}`" if metric else f"`{subject}`"
    when = f" since {first}" if first else ""
    return DataError(
        f"nothing of {what} is out of its band{when}",
        hint=f"out of its band there: {', '.join(told[:8])}" if told else "there is nothing to accept",
    )


def _record(line: Line, made: Acceptance, covered: list[Finding]) -> list[str]:
    """Record an acceptance and judge the incidents again that it explains."""
    line.record([Entry("acceptance", made.subject, made.body("set"), made.time)])
    touched = _note(line, made, made.text, {item.id for item in covered})
    if line.state.runs:
        for name in touched:
            incident = line.state.incidents.get(name)
            if incident.unsettled:
                triage(line, incident, max(line.state.runs))
    return touched


def _note(line: Line, made: Acceptance, note: str, findings: set[str] | None = None) -> list[str]:
    """Write a note to the timeline of each active incident that an acceptance is about."""
    covered = line.state.history.acceptances.covered() if findings is None else findings
    touched = [
        item for item in line.state.incidents.active()
        if covered & set(item.findings) or (findings is None and set(made.subjects) & {item.subject, *item.subjects})
    ]  # fmt: skip
    time = line.services.clock.now()
    line.record([move(item, item.state, item.window, time, by=made.by, note=note) for item in touched])
    return [item.id for item in touched]
