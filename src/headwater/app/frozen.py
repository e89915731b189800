"""Which labels are in question: what every reader of labels asks before it reads."""

from __future__ import annotations

from headwater.app.line import Line
from headwater.core.project import Model
from headwater.core.records import Verdict
from headwater.mlops.quarantine import Range
from headwater.triage.incidents import Incident

REASON = "labels in question"
"""The reason of a quarantine that freezes labels."""
FLIPS = 0.002
"""Share of labels from which a fault that also reaches predictions puts labels in question."""
_UNREMEDIED = ("verdict", "disputed", "triaging")


class Frozen:
    """The windows of a model whose labels must not be read, as they stand now.

    A window is frozen while its labels, or anything that feeds only them, are quarantined, and from the first faulty
    window on while a fault on their path is blamed and not remedied, windows to come included.

    Args:
        line: The project.
        model: The model that the labels judge.
    """

    def __init__(self, line: Line, model: Model) -> None:
        path = {line.ref(name) for name in label_path(line, model.labels)}
        self._held: list[Range] = [held for held in line.state.quarantine.ranges if held.dataset in path]
        self._since: list[tuple[str, str]] = []
        for incident in line.state.incidents.active():
            if model.labels in (found := blamed(line, incident)):
                self._since.append((found[model.labels], incident.id))

    def by(self, key: str) -> str:
        """Say what freezes a window: an incident, or a quarantine's reason; empty when nothing does."""
        for first, incident in self._since:
            if first <= key:
                return incident
        return next((held.incident or held.reason for held in self._held if held.first <= key <= held.last), "")

    def __contains__(self, key: object) -> bool:
        return bool(self.by(str(key)))


def frozen_by(line: Line, model: Model, key: str) -> str:
    """Say what freezes the labels of one window of a model; empty when they may be read."""
    return Frozen(line, model).by(key)


def blamed(line: Line, incident: Incident) -> dict[str, str]:
    """Return the label builds that an incident's unremedied fault puts in question, with the first faulty window.

    To hold mends nothing: what comes is in question until a fresh window is in order.
    """
    verdict, remedy = incident.verdict, incident.remedy
    waiting = incident.state == "remedied" and remedy is not None and remedy.action == "hold"
    if verdict is None or not (incident.state in _UNREMEDIED or waiting):
        return {}
    labels = {model.labels for model in line.project.models.values()}
    return {name: verdict.start_window for name in sorted(labels) if questions(line, verdict, name)}


def questions(line: Line, verdict: Verdict, labels: str) -> bool:
    """Whether a verdict puts labels in question: it blames what feeds only them, or its replay flips some of them."""
    if verdict.status != "named":
        return False
    above = {line.ref(name): name for name in _above(line, {labels}, set())}
    if verdict.subject not in above:
        return False
    flips = next(
        (item.numbers.get("label_flips", 0.0) for item in verdict.suspects if item.subject == verdict.subject), 0
    )
    return flips >= FLIPS or above[verdict.subject] in label_path(line, labels)


def label_path(line: Line, labels: str) -> set[str]:
    """Return a label build and what feeds only it: nothing of that reaches a prediction but through labels.

    History that is made from labels is a feature like any other; what comes by way of labels does not count.
    """
    outcomes = {model.labels for model in line.project.models.values()}
    outcomes |= {name for name, asset in line.assets.items() if asset.layer == "label"}
    deciding = _above(line, {model.predictions for model in line.project.models.values()}, outcomes)
    return _above(line, {labels}, set()) - deciding


def _above(line: Line, starts: set[str], closed: set[str]) -> set[str]:
    """Return some assets and everything they are made from, without what comes by way of a closed one."""
    seen, waiting = set(starts), list(starts)
    while waiting:
        for parent in line.assets[waiting.pop()].parents:
            if parent not in seen | closed:
                seen.add(parent)
                waiting.append(parent)
    return seen
