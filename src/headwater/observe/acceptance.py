"""What somebody accepted as the new normal: from which window on a subject's metric has another level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from headwater.core.ports import Record
from headwater.core.records import Finding
from headwater.observe.closures import ROWS
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


@dataclass(frozen=True, slots=True)
class _Given:
    """An acceptance, the ids and metrics of what it covers, and the subjects that only had no rows by that."""

    made: Acceptance
    findings: frozenset[str]
    metrics: frozenset[str]
    closed: frozenset[str]


class Acceptances:
    """What is accepted now, folded from ledger records of kind ``acceptance``."""

    def __init__(self) -> None:
        self._given: list[_Given] = []

    def add(
        self, record: Record, findings: Iterable[tuple[Finding, Iterable[str]]], empty: Callable[[str, str], bool]
    ) -> None:
        """Fold one record.

        Args:
            record: The record.
            findings: The findings that are there, and the columns they name.
            empty: Tells of a subject and a window whether it had no rows: that is no level of their number.
        """
        body = record.body
        if body["state"] == "lifted":
            told = (body["subject"], body["metric"], body["first"])
            same = [item for item in self._given if _named(item.made) == told]
            self._given = [item for item in self._given if item not in same[-1:]]
            return
        made = Acceptance(
            subject=body["subject"], subjects=tuple(body["subjects"]), metric=body["metric"], first=body["first"],
            by=body["by"], reason=body["reason"], time=record.time,
        )  # fmt: skip
        covered = [finding for finding, columns in findings if made.covers(finding, columns)]
        counted = [finding for finding in covered if finding.metric == ROWS]
        some = {finding.subject for finding in counted if not empty(finding.subject, finding.window)}
        self._given.append(
            _Given(
                made,
                frozenset(finding.id for finding in covered),
                frozenset(finding.metric for finding in covered),
                frozenset(finding.subject for finding in counted) - some,
            )
        )

    def all(self) -> list[Acceptance]:
        """Return what is accepted, oldest first."""
        return [item.made for item in self._given]

    def about(self, subjects: Iterable[str]) -> list[Acceptance]:
        """Return what is accepted of any of these subjects, oldest first."""
        wanted = set(subjects)
        return [made for made in self.all() if wanted & {made.subject, *made.subjects}]

    def covered(self) -> frozenset[str]:
        """Return the ids of all findings that are accepted."""
        return frozenset().union(*(item.findings for item in self._given))

    def levels(self, subject: str, metrics: Iterable[str]) -> dict[str, str]:
        """Return the window in which the present level of each metric of a subject begins, where one was accepted.

        That a table had no rows says nothing of how many come when some do: see `headwater.observe.closures`.
        """
        found: dict[str, str] = {}
        for metric in metrics:
            for item in self._given:
                made, told = item.made, {item.made.metric} if item.made.metric else item.metrics
                if metric == ROWS and subject in item.closed:
                    continue
                if subject in made.subjects and any(alike(one, metric) for one in told):
                    found[metric] = max(made.first, found.get(metric, ""))
        return found


def releveled(history: Mapping[str, Mapping[str, float]], levels: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Move the windows before a change of level to where the metric lies since: they say how it varies, not where.

    Until a window at the new level is there, they say nothing about the metric. The move is a shift on the scale on
    which the metric is compared, so that a count keeps its relative and a share its log-odds variation. Windows without
    rows stay as they are and say nothing of the level: who rests on Saturdays sells nothing then at any level.

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
        told = [window for window in known if metric != ROWS or found[window][metric]]
        before = [window for window in told if window < first]
        after = [window for window in told if window >= first][:_RECENT]
        if not after:
            for window in known:
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
