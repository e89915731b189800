"""Many alarms, one incident per cause: alarms collapse by lineage to the upstream-most subject that alarmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from headwater.core.ports import Entry
from headwater.core.records import Finding
from headwater.triage.incidents import Incident, Incidents, move, opening

Ancestors = Callable[[str], set[str]]


def collapse(findings: Sequence[Finding], ancestors: Ancestors) -> list[tuple[str, tuple[Finding, ...]]]:
    """Group alarms by lineage: one group per upstream-most subject, with everything downstream of it.

    A subject that lies downstream of several upstream-most subjects joins the first of them. Subjects that feed each
    other in a circle, through time, stand for each other: the first of them to alarm is their root.
    """
    subjects = list(dict.fromkeys(finding.subject for finding in findings))
    above = {subject: ancestors(subject) & set(subjects) - {subject} for subject in subjects}
    roots: list[str] = []
    for subject in subjects:
        highest = all(subject in above[upper] for upper in above[subject])
        if highest and not above[subject] & set(roots):
            roots.append(subject)
    groups: dict[str, list[Finding]] = {root: [] for root in roots}
    for finding in findings:
        root = next(item for item in roots if item == finding.subject or item in above[finding.subject])
        groups[root].append(finding)
    return [(root, tuple(items)) for root, items in groups.items()]


def placed(
    subject: str, incidents: Sequence[Incident], ancestors: Ancestors
) -> tuple[Incident | None, tuple[Incident, ...]]:
    """Say which active incident alarms with an upstream-most subject belong to, and which it shows to be the same.

    Alarms belong to an incident at or above their subject: the one about this very subject first, else the oldest.
    Alarms above incidents whose cause is still looked for take these over: the oldest is moved up to the subject, and
    the others are merged into it. Where a remedy was applied already, alarms above join it as they are, because it has
    to be verified first. Anything else is a cause of its own, even where both flow into the same table.

    Args:
        subject: The upstream-most subject of a group of alarms.
        incidents: The active incidents, oldest first.
        ancestors: What lies upstream of a subject.

    Returns:
        The incident to join (None: open one) and the others that become part of it; it has to be moved up to the
        subject when its own lies below.
    """
    above = ancestors(subject)
    exact = [incident for incident in incidents if subject in incident.roots]
    upper = [incident for incident in incidents if incident.roots & above]
    if exact or upper:
        return (exact or upper)[0], ()
    below = [incident for incident in incidents if subject in ancestors(incident.subject)]
    unsettled = [incident for incident in below if incident.unsettled]
    if unsettled:
        return unsettled[0], tuple(unsettled[1:])
    return (below[0] if below else None), ()


def admitted(
    subject: str, findings: Sequence[Finding], incidents: Incidents, ancestors: Ancestors, name: str, run: str,
    time: datetime,
) -> tuple[str, list[Entry]]:  # fmt: skip
    """Build the ledger entries by which a group of alarms enters the incident it belongs to, or opens one.

    Args:
        subject: The upstream-most subject of the group.
        findings: The group's alarms.
        incidents: All incidents as they stand.
        ancestors: What lies upstream of a subject.
        name: The id of an incident that is opened.
        run: Key of the window that was run.
        time: When.

    Returns:
        The incident's id, and the entries in their order.
    """
    incident, same = placed(subject, incidents.active(), ancestors)
    if incident is None:
        return name, [opening(name, findings, subject, run, time)]
    entries = []
    if incident.unsettled and incident.roots.isdisjoint({subject, *ancestors(subject)}):
        entries.append(rerooting(incident, subject, time))
        incident = replace(incident, subject=subject)
    for other in same:
        entries += merging(incident, other, time, f"{subject} is upstream of both")
    return incident.id, [*entries, move(incident, incident.state, incident.window, time, findings=findings)]


def merging(survivor: Incident, absorbed: Incident, time: datetime, note: str = "") -> list[Entry]:
    """Build the ledger entries that make an incident part of another, with all it has collected."""
    told = f"merged into {survivor.id}" + (f": {note}" if note else "")
    taken = {
        "subjects": sorted({absorbed.subject, *absorbed.subjects}),
        "findings": list(absorbed.findings),
        "note": f"{absorbed.id} is the same" + (f": {note}" if note else ""),
    }
    return [
        move(absorbed, "merged", absorbed.window, time, note=told, into=survivor.id),
        Entry("incident", survivor.id, {**move(survivor, survivor.state, survivor.window, time).body, **taken}, time),
    ]


def rerooting(incident: Incident, subject: str, time: datetime) -> Entry:
    """Build the ledger entry that moves an incident to a subject further up that alarmed later."""
    note = f"{subject} is upstream of {incident.subject} and alarmed too"
    made = move(incident, incident.state, incident.window, time, note=note)
    return Entry("incident", incident.id, {**made.body, "subject": subject}, time)
