"""What earlier incidents teach about this one: whether it came back, which were like it, and what helped then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from headwater.triage.incidents import Incident

MOST = 3
"""Similar incidents that are told."""
LEAST = 0.25
"""Likeness below which an incident teaches nothing about another."""
WEIGHTS: Mapping[str, float] = {"fault": 3.0, "subject": 3.0, "alarms": 2.0, "side": 1.0}
"""What each part of the likeness counts; it is their weighted mean, from 0 to 1."""
_FAMILIES = (
    ("loaded_", "released_version", "label_leak", "trained_on_faulted_snapshot"),
    ("transform_code", "feature_code", "label_code", "serving_features", "scoring_code", "stale_run"),
    ("missing", "late_partition", "truncated", "frozen", "duplicate_load"),
    ("world", "covariate", "concept"),
)
"""Faults that are kinds of the same thing, by how their names begin; alike by half."""
_CERTAIN_STATES = ("verdict", "remedied", "verifying", "disputed", "closed")

Distance = Callable[[str, str], "int | None"]
"""``distance(one, other)``: steps of lineage from one subject to the other, either way; None when there is no path."""
Alarms = Callable[[Incident], "frozenset[str]"]
"""``alarms(incident)``: what alarmed in it, each as monitor and metric."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The same culprit with the same fault, after an incident about just that was closed.

    Attributes:
        times: How often it happened, this time included.
        before: The closed incidents, oldest first.
        last: The newest of them.
        closed: When that was closed.
        remedy: What was done about it.
        prevention: The check that was written then; None when there was none.
    """

    times: int
    before: tuple[str, ...]
    last: str
    closed: str
    remedy: str
    prevention: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Similar:
    """An earlier incident like this one.

    Attributes:
        incident: Its id.
        likeness: From 0 to 1, the weighted mean of ``parts``.
        parts: How alike they are in fault, subject, alarms and side, each from 0 to 1.
        subject: Who was named then.
        fault: For what.
        window: When it began.
        state: How far it came.
        remedy: What was done; empty when nothing was.
        held: Whether that held: True when it was closed and did not come back, False when it failed its verification
            or came back, None when that is not known yet.
    """

    incident: str
    likeness: float
    parts: Mapping[str, float]
    subject: str
    fault: str
    window: str
    state: str
    remedy: str
    held: bool | None

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {**asdict(self), "parts": dict(self.parts)}


def recurrence(incident: Incident, incidents: Iterable[Incident]) -> Recurrence | None:
    """Say whether an incident's culprit failed in the same way before; None when it did not, or nobody is named.

    An incident that is still open is not a recurrence of another one: it may be the same.
    """
    if incident.verdict is None or incident.verdict.status != "named":
        return None
    before = [
        other for other in incidents
        if other.state == "closed" and _came_before(other, incident) and _same(other, incident)
    ]  # fmt: skip
    if not before:
        return None
    last = before[-1]
    return Recurrence(
        times=len(before) + 1,
        before=tuple(other.id for other in before),
        last=last.id,
        closed=str(last.timeline[-1]["time"]),
        remedy=_done(last),
        prevention=last.prevention,
    )


def similar(incident: Incident, incidents: Iterable[Incident], distance: Distance, alarms: Alarms) -> list[Similar]:
    """Return the earlier incidents that are most like this one, the likest first.

    The likeness is the mean of four parts, weighted by `WEIGHTS`: the fault (1 for the same, one half for the same
    family), the subject (1 for the same, else 1 / (1 + steps of lineage)), what alarmed (shared metrics over all
    metrics, by Jaccard), and the side. It finds what looks alike; it knows nothing of causes.

    Args:
        incident: The incident, judged.
        incidents: All of them.
        distance: Steps of lineage between two subjects.
        alarms: What alarmed in an incident.

    References:
        Jaccard (1912), The distribution of the flora in the alpine zone, New Phytologist 11.
    """
    known = list(incidents)
    if incident.verdict is None:
        return []
    own = alarms(incident)
    found = []
    for other in known:
        if other.verdict is None or not _came_before(other, incident):
            continue
        if other.state not in _CERTAIN_STATES or other.verdict.status == "undetermined":
            continue
        parts = _parts(incident, other, distance, own, alarms(other))
        likeness = sum(WEIGHTS[name] * value for name, value in parts.items()) / sum(WEIGHTS.values())
        if likeness >= LEAST:
            found.append(_told(other, round(likeness, 3), parts, known))
    return sorted(found, key=lambda item: (-item.likeness, item.incident))[:MOST]


def _parts(
    one: Incident, other: Incident, distance: Distance, own: frozenset[str], theirs: frozenset[str]
) -> dict[str, float]:
    assert one.verdict is not None and other.verdict is not None
    left, right = one.verdict.subject or one.subject, other.verdict.subject or other.subject
    steps = 0 if left == right else distance(left, right)
    together = own | theirs
    return {
        "fault": _alike(one.verdict.fault, other.verdict.fault),
        "subject": 0.0 if steps is None else round(1 / (1 + steps), 3),
        "alarms": round(len(own & theirs) / len(together), 3) if together else 0.0,
        "side": float(one.verdict.side == other.verdict.side != ""),
    }


def _alike(one: str, other: str) -> float:
    if one == other:
        return 1.0
    families = (family for family in _FAMILIES if one.startswith(family) and other.startswith(family))
    return 0.5 if next(families, None) else 0.0


def _told(other: Incident, likeness: float, parts: Mapping[str, float], known: Iterable[Incident]) -> Similar:
    assert other.verdict is not None
    return Similar(
        incident=other.id,
        likeness=likeness,
        parts=parts,
        subject=other.verdict.subject,
        fault=other.verdict.fault,
        window=other.verdict.start_window,
        state=other.state,
        remedy=_done(other),
        held=held(other, known),
    )


def held(incident: Incident, incidents: Iterable[Incident]) -> bool | None:
    """Say whether what was done about an incident held; None while that is not known."""
    states = [str(item["state"]) for item in incident.timeline]
    failed = any(before in ("remedied", "verifying") and after == "triaging" for before, after in pairwise(states))
    again = any(_came_before(incident, other) and _same(other, incident) for other in incidents)
    if incident.state == "closed":
        return not again
    return False if failed else None


def _done(incident: Incident) -> str:
    return "" if incident.remedy is None else incident.remedy.action


def _same(one: Incident, other: Incident) -> bool:
    """Whether two incidents name the same culprit for the same fault."""
    if one.verdict is None or other.verdict is None or one.verdict.status != "named":
        return False
    return (one.verdict.subject, one.verdict.fault) == (other.verdict.subject, other.verdict.fault)


def _came_before(one: Incident, other: Incident) -> bool:
    return (one.opened, int(one.id.rpartition("/")[2])) < (other.opened, int(other.id.rpartition("/")[2]))
