"""Incidents: one state machine, folded from the ledger. There is no route to closed without both signatures.

What was merged into another incident (see `headwater.triage.collapsing`) lives on there, and only there is it closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from headwater.core.errors import IncidentError, UnknownName
from headwater.core.ports import Entry, Record
from headwater.core.records import SIDES, Effect, Evidence, Finding, Remedy, Signoff, Verdict

State = Literal["open", "triaging", "verdict", "remedied", "verifying", "disputed", "closed", "merged"]

MOVES: Mapping[State, frozenset[State]] = {
    "open": frozenset({"triaging", "merged"}),
    "triaging": frozenset({"verdict", "merged"}),
    "verdict": frozenset({"triaging", "remedied", "verifying", "disputed", "merged"}),
    "remedied": frozenset({"verifying", "triaging", "disputed"}),
    "verifying": frozenset({"closed", "triaging", "disputed"}),
    "disputed": frozenset({"triaging", "merged"}),
    "closed": frozenset(),
    "merged": frozenset(),
}
"""Which state may follow which. ``closed`` is reached only from ``verifying``, and only by `closing`."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as it stands.

    Attributes:
        id: ``incident:<namespace>/<n>``.
        state: Where it stands.
        subject: The upstream-most subject that alarmed first.
        window: The window in which it opened.
        subjects: All subjects that alarmed.
        findings: Ids of the findings it collects.
        verdict: The newest verdict.
        remedy: The remedy that was applied.
        signoffs: The newest signature of each side.
        verified: Whether fresh data after the remedy are back in their band.
        timeline: Every transition {state, time, by, note, window}.
        into: The incident it was merged into; empty for one that stands for itself.
        next_test: What would settle a dispute between the sides; empty when there is none.
        prevention: The check that was written when it was closed, with the asset it is of; None when there is none.
        priced: What the verdict's fault cost by labels that came since; None while the verdict's estimate stands.
    """

    id: str
    state: State
    subject: str
    window: str
    opened: datetime
    subjects: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    verdict: Verdict | None = None
    remedy: Remedy | None = None
    signoffs: Mapping[str, Signoff] | None = None
    verified: bool = False
    timeline: tuple[Mapping[str, Any], ...] = ()
    into: str = ""
    next_test: str = ""
    prevention: Mapping[str, Any] | None = None
    priced: Evidence | None = None

    @property
    def cost(self) -> Effect | None:
        """What it cost by the newest price, which is the verdict's estimate until more labels are known."""
        if self.priced is not None:
            return Effect.of(self.priced.values)
        return None if self.verdict is None else self.verdict.effect

    @property
    def active(self) -> bool:
        """Whether somebody still has to do something."""
        return self.state not in ("closed", "merged")

    @property
    def unsettled(self) -> bool:
        """Whether its cause is still looked for: nothing was done about it yet."""
        return "merged" in MOVES[self.state]

    @property
    def roots(self) -> frozenset[str]:
        """What it is about: the upstream-most subject that alarmed, and the culprit above it if one is named."""
        named = self.verdict is not None and self.verdict.status == "named"
        return frozenset({self.subject, self.verdict.subject} if named and self.verdict else {self.subject})

    def bill(self) -> dict[str, Any] | None:
        """The newest price as plain data, with the run window it is of and, once it was priced again, its evidence."""
        if self.cost is None or self.verdict is None:
            return None
        window, evidence = (self.verdict.window, "") if self.priced is None else (self.priced.window, self.priced.id)
        return {**self.cost.body(), "window": window, "evidence": evidence}

    def as_dict(self) -> dict[str, Any]:
        """The incident as plain data."""
        return {
            "incident": self.id,
            "state": self.state,
            "subject": self.subject,
            "window": self.window,
            "opened": self.opened.isoformat(),
            "subjects": list(self.subjects),
            "verified": self.verified,
            "next_test": self.next_test,
            "verdict": None if self.verdict is None else self.verdict.body(),
            "remedy": None if self.remedy is None else self.remedy.body(),
            "cost": self.bill(),
            "signoffs": {side: item.body() for side, item in (self.signoffs or {}).items()},
            "timeline": [dict(item) for item in self.timeline],
        }


class Lineage(Protocol):
    """The part of the lineage graph that collapsing findings needs."""

    def ancestors(self, ref: str) -> set[str]:
        """Everything upstream of a subject."""
        ...


class Incidents:
    """All incidents of a workspace, folded from ledger records.

    They are of the kinds incident, verdict, remedy and signoff, and evidence of what an incident cost.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._found: dict[str, Incident] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Fold one record; kinds that are not about incidents are passed over."""
        body = record.body
        if record.kind == "incident":
            self._transition(record, body)
        elif record.kind in ("verdict", "remedy", "signoff") and body.get("incident") in self._found:
            incident = self._found[body["incident"]]
            if record.kind == "verdict":
                incident = replace(incident, verdict=Verdict.of(body), signoffs={}, verified=False, priced=None)
            elif record.kind == "remedy" and body.get("state") == "applied":
                incident = replace(incident, remedy=Remedy.of(body))
            elif record.kind == "signoff":
                signoff = Signoff.of(body)
                incident = replace(incident, signoffs={**(incident.signoffs or {}), signoff.side: signoff})
            self._found[incident.id] = incident
        elif record.kind == "evidence" and body.get("type") == "cost" and body["subject"] in self._found:
            self._found[body["subject"]] = replace(self._found[body["subject"]], priced=Evidence.of(body))

    def _transition(self, record: Record, body: Mapping[str, Any]) -> None:
        line = {
            "state": body["state"],
            "time": record.time.isoformat(),
            "by": body.get("by", "headwater"),
            "note": body.get("note", ""),
            "window": body["window"],
        }
        incident = self._found.get(body["incident"])
        if incident is None:
            incident = Incident(body["incident"], "open", body["subject"], body["window"], record.time)
        self._found[incident.id] = replace(
            incident,
            state=body["state"],
            subject=body["subject"],
            subjects=tuple(dict.fromkeys((*incident.subjects, *body.get("subjects", ())))),
            findings=tuple(dict.fromkeys((*incident.findings, *body.get("findings", ())))),
            verified=bool(body.get("verified", incident.verified and body["state"] in ("verifying", "closed"))),
            timeline=(*incident.timeline, line),
            into=str(body.get("into", incident.into)),
            next_test=str(body.get("next_test", incident.next_test)) if body["state"] == "disputed" else "",
            prevention=body.get("prevention") or incident.prevention,
        )

    def all(self) -> list[Incident]:
        """Every incident, oldest first; what was merged is in the one it was merged into."""
        return [incident for incident in self._found.values() if incident.state != "merged"]

    def active(self) -> list[Incident]:
        """The incidents that are not closed."""
        return [incident for incident in self._found.values() if incident.active]

    def get(self, name: str) -> Incident:
        """Find an incident by its reference, its number or a unique tail of its id; a merged one by what it is in."""
        found = [key for key in self._found if name in (key, key.rsplit("/", 1)[-1])]
        if name in found or len(found) == 1:
            incident = self._found[name if name in found else found[0]]
            while incident.into:
                incident = self._found[incident.into]
            return incident
        raise UnknownName.of("incident", name, self._found, command="headwater incidents --all")

    def next_id(self, namespace: str) -> str:
        """The id that the next incident will have."""
        return f"incident:{namespace}/{len(self._found) + 1}"


def move(
    incident: Incident,
    state: State,
    window: str,
    time: datetime,
    *,
    by: str = "headwater",
    note: str = "",
    findings: Sequence[Finding] = (),
    **more: Any,
) -> Entry:
    """Build the ledger entry of a transition; raise `IncidentError` when the machine has no such move.

    Staying in the same state is allowed for adding findings and notes.
    """
    if state != incident.state and state not in MOVES[incident.state]:
        raise IncidentError(
            f"incident `{incident.id}` is {incident.state} and cannot become {state}",
            hint=f"from {incident.state} it can become {', '.join(sorted(MOVES[incident.state])) or 'nothing more'}",
        )
    if state == "closed":
        closing(incident)
    body = {
        "incident": incident.id,
        "state": state,
        "subject": incident.subject,
        "subjects": sorted({finding.subject for finding in findings}),
        "findings": [finding.id for finding in findings],
        "window": window,
        "by": by,
        "note": note,
        **more,
    }
    return Entry("incident", incident.id, body, time)


def opening(name: str, findings: Sequence[Finding], subject: str, window: str, time: datetime) -> Entry:
    """Build the ledger entry that opens an incident."""
    body = {
        "incident": name,
        "state": "open",
        "subject": subject,
        "subjects": sorted({finding.subject for finding in findings}),
        "findings": [finding.id for finding in findings],
        "window": window,
        "by": "headwater",
        "note": "; ".join(finding.detail for finding in findings[:3] if finding.detail),
    }
    return Entry("incident", name, body, time)


_BEFORE: Mapping[State, str] = {
    "closed": "nothing is left to do",
    "merged": "the incident it was merged into is closed in its place",
    "remedied": "run a fresh window first: headwater run",
    "disputed": "run the next window, the case is judged again: headwater run",
}
"""What an incident needs before it can be closed, where that is not its remedy."""


def closing(incident: Incident) -> tuple[Signoff, ...]:
    """Check that an incident may close and return both signatures; raise `IncidentError` saying what is missing."""
    if incident.state != "verifying":
        raise IncidentError(
            f"incident `{incident.id}` is in state `{incident.state}`, not verified",
            hint=_BEFORE.get(incident.state, "apply its remedy and run a fresh window first"),
        )
    if not incident.verified or incident.verdict is None:
        raise IncidentError(
            f"incident `{incident.id}` is not verified on fresh data yet", hint="run the next window: headwater run"
        )
    signoffs = incident.signoffs or {}
    for side in SIDES:
        signed = signoffs.get(side)
        if signed is None or not signed.agrees:
            raise IncidentError(
                f"incident `{incident.id}` misses the signature of the {side} side",
                hint=f"headwater sign {incident.id} --side {side} --as NAME",
            )
        if signed.evidence_hash != incident.verdict.evidence_hash:
            raise IncidentError(
                f"the {side} side signed other evidence than the verdict stands on now",
                hint=f"read it again and sign: headwater why {incident.id}",
            )
    if not any(signoffs[side].prevention_owner.strip() for side in SIDES):
        raise IncidentError(
            f"incident `{incident.id}` has no owner of the prevention work",
            hint=f"headwater sign {incident.id} --side data --as NAME --prevention-owner NAME",
        )
    owners = {signoffs[side].prevention_owner for side in SIDES if signoffs[side].prevention_owner}
    if len(owners) > 1:
        raise IncidentError(
            f"the sides name different owners of the prevention work: {', '.join(sorted(owners))}",
            hint="sign again naming one",
        )
    return tuple(signoffs[side] for side in SIDES)
