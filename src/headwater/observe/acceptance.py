"""What somebody accepted as the new normal: from which window on a subject's metric has another level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from headwater.core.ports import Record
from headwater.core.records import Finding
from headwater.stats.alarms.forms import LEVEL, Forms, kind

_RECENT = 14  # windows before a change of level that say where it was


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One person's word that what a subject shows from a window on is normal now.

    It covers what has alarmed until it was given, and no more: a further change alarms as ever.

    Attributes:
        subject: What it was asked for.
        subjects: What it covers: the subject, and what was in alarm below it.
        metric: A metric, or a column for all of its metrics; empty for all that was out of its band.
        first: The window in which the new level begins.
        by: Who accepted it.
        reason: Why.
        time: When.
    """

    subject: str
    subjects: tuple[str, ...]
    metric: str
    first: str
    by: str
    reason: str
    time: datetime

    @property
    def text(self) -> str:
        """The acceptance as a sentence's worth of words."""
        what = f"{self.metric} of {self.subject}" if self.metric else self.subject
        return f"{what} accepted as the new normal from {self.first} by {self.by}: {self.reason}"

    def covers(self, finding: Finding, columns: Iterable[str] = ()) -> bool:
        """Tell whether a finding that was there when it was given is about what it accepts.

        Args:
            finding: The finding.
            columns: The columns that a finding of several, a signature, is about; see `touches`.
        """
        about = finding.subject in self.subjects and finding.window >= self.first
        return about and touches(self.metric, finding, columns)

    def body(self, state: str) -> dict[str, Any]:
        """Return the body of its ledger record; ``state`` is ``set`` or ``lifted``."""
        return {
            "subject": self.subject,
            "subjects": list(self.subjects),
            "metric": self.metric,
            "first": self.first,
            "by": self.by,
            "reason": self.reason,
            "state": state,
        }


def touches(metric: str, finding: Finding, columns: Iterable[str] = ()) -> bool:
    """Tell whether a finding is about a metric, or about a column for all of its metrics; about all when it is empty.

    The metric of a signature is a kind of fault, of the columns that it names.
    """
    named = [finding.metric, *(f"{finding.metric}.{column}" for column in columns)]
    return not metric or any(alike(metric, name) for name in named)


def alike(accepted: str, metric: str) -> bool:
    """Tell whether a metric is what was accepted: that metric, one of that column, or another of its levels.

    Example:
        >>> alike("mean.fare", "q50.fare"), alike("fare", "null_share.fare"), alike("mean.fare", "null_share.fare")
        (True, True, False)
    """
    column = metric.partition(".")[2]
    if accepted in (metric, column):
        return True
    same = column and accepted.partition(".")[2] == column
    return bool(same and kind(accepted) == kind(metric) == LEVEL)


class Acceptances:
    """What is accepted now, folded from ledger records of kind ``acceptance``."""

    def __init__(self) -> None:
        self._given: list[tuple[Acceptance, frozenset[str], frozenset[str]]] = []

    def add(self, record: Record, findings: Iterable[tuple[Finding, Iterable[str]]]) -> None:
        """Fold one record, given the findings that are there and the columns they name."""
        body = record.body
        if body["state"] == "lifted":
            same = [item for item in self._given if _named(item[0]) == (body["subject"], body["metric"], body["first"])]
            self._given = [item for item in self._given if item not in same[-1:]]
            return
        made = Acceptance(
            subject=body["subject"], subjects=tuple(body["subjects"]), metric=body["metric"], first=body["first"],
            by=body["by"], reason=body["reason"], time=record.time,
        )  # fmt: skip
        covered = [finding for finding, columns in findings if made.covers(finding, columns)]
        metrics = frozenset(finding.metric for finding in covered)
        self._given.append((made, frozenset(finding.id for finding in covered), metrics))

    def all(self) -> list[Acceptance]:
        """Return what is accepted, oldest first."""
        return [made for made, _, _ in self._given]

    def about(self, subjects: Iterable[str]) -> list[Acceptance]:
        """Return what is accepted of any of these subjects, oldest first."""
        wanted = set(subjects)
        return [made for made in self.all() if wanted & {made.subject, *made.subjects}]

    def covered(self) -> frozenset[str]:
        """Return the ids of all findings that are accepted."""
        return frozenset().union(*(findings for _, findings, _ in self._given))

    def levels(self, subject: str, metrics: Iterable[str]) -> dict[str, str]:
        """Return the window in which the present level of each metric of a subject begins, where one was accepted."""
        found: dict[str, str] = {}
        for metric in metrics:
            for made, _, seen in self._given:
                told = {made.metric} if made.metric else seen
                if subject in made.subjects and any(alike(one, metric) for one in told):
                    found[metric] = max(made.first, found.get(metric, ""))
        return found


def releveled(history: Mapping[str, Mapping[str, float]], levels: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Move the windows before a change of level to where the metric lies since: they say how it varies, not where.

    Until a window at the new level is there, they say nothing about the metric. The move is a shift on the scale on
    which the metric is compared, so that a count keeps its relative and a share its log-odds variation.

    Args:
        history: Metrics by window.
        levels: First window at the new level, by metric.

    Example:
        >>> old, new = {"1": {"mean.x": 1.0}, "2": {"mean.x": 3.0}}, {"3": {"mean.x": 12.0}}
        >>> releveled(old | new, {"mean.x": "3"})
        {'1': {'mean.x': 11.0}, '2': {'mean.x': 13.0}, '3': {'mean.x': 12.0}}
    """
    found = {window: dict(values) for window, values in history.items()}
    for metric, first in levels.items():
        known = [window for window in sorted(found) if metric in found[window]]
        before = [window for window in known if window < first]
        after = [window for window in known if window >= first][:_RECENT]
        if not after:
            for window in before:
                del found[window][metric]
            continue
        form = Forms([metric])
        old, new = (form.forward(np.array([[found[key][metric]] for key in keys])) for keys in (before, after))
        moved = form.backward(old + (np.median(new) - np.median(old[-_RECENT:]))) if before else old
        for window, value in zip(before, moved[:, 0].tolist(), strict=True):
            found[window][metric] = value
    return found


def _named(made: Acceptance) -> tuple[str, str, str]:
    return made.subject, made.metric, made.first
