"""Labels that are in question: their windows are frozen, so that nobody measures, learns or trains by them.

A fault on the label path says nothing about decisions, and everything that is measured by labels is wrong until they
are right again. So as long as such a fault is blamed, windows of its labels are quarantined from training, the gate and
triage do not read them, and what is measured of them is marked: no monitor alarms about it or learns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from headwater.app.evidence import outcomes
from headwater.app.frozen import REASON, blamed, label_path, questions
from headwater.app.line import Line
from headwater.core.ports import Entry
from headwater.mlops.quarantine import Range

MARKED = ("performance", "business", "calibration", "fairness", "unmeasured")
"""Evidence that says by a mark that it was measured by frozen labels."""


def freeze(line: Line) -> None:
    """Freeze the label windows of faults on a label path that are blamed now; thaw those of faults that are not.

    Called after every run: windows that came since are frozen with the others, until the remedy is applied.
    """
    entries: list[Entry] = []
    touched: list[Range] = []
    wanted = list(_wanted(line))
    for held in line.state.quarantine.ranges:
        if held.reason == REASON and not _stands(line, held):
            touched.append(held)
            entries.append(_entry(line, held, "lifted"))
    for made in wanted:
        touched.append(made)
        entries.append(_entry(line, made, "set"))
    if entries:
        line.record(entries)
        measure_again(line, touched)


def _wanted(line: Line) -> Iterable[Range]:
    """The windows of labels that faults blamed now put in question, and that are not frozen for them yet."""
    for incident in line.state.incidents.active():
        for labels, first in blamed(line, incident).items():
            held = [item for item in line.state.quarantine.covering(labels, first, "~")
                    if (item.reason, item.incident) == (REASON, incident.id)]  # fmt: skip
            fresh = [
                key for key in line.services.tables.keys(labels)
                if key >= first and not any(item.first <= key <= item.last for item in held)
            ]  # fmt: skip
            if fresh:
                yield Range(line.ref(labels), fresh[0], fresh[-1], REASON, incident.id)


def _stands(line: Line, held: Range) -> bool:
    """Whether the fault for which labels were frozen is still the one that is blamed, or was when it was closed."""
    incident = line.state.incidents.get(held.incident)
    labels = held.dataset.rsplit("/", 1)[-1]
    if incident.id != held.incident or incident.verdict is None or labels not in line.assets:
        return False
    return questions(line, incident.verdict, labels)


def release_labels(line: Line, windows: Mapping[str, Iterable[str]], incident: str) -> None:
    """Lift what an incident holds of labels that were delivered again, and measure by them anew.

    Args:
        line: The project.
        windows: What was delivered again, by asset.
        incident: The incident whose remedy that was.
    """
    labels = {model.labels for model in line.project.models.values()}
    lifted: list[Range] = []
    for name in labels & set(windows):
        keys, ref = sorted(windows[name]), line.ref(name)
        if any((item.dataset, item.incident) == (ref, incident) for item in line.state.quarantine.ranges):
            lifted.append(Range(ref, keys[0], keys[-1], "delivered again", incident))
    line.record([_entry(line, item, "lifted") for item in lifted])
    measure_again(line, lifted)


def mark(line: Line, held: Range) -> None:
    """Measure anew what a quarantine that somebody set or lifted by hand freezes or thaws."""
    for model in line.project.models.values():
        if held.dataset in {line.ref(name) for name in label_path(line, model.labels)}:
            measure_again(line, [replace(held, dataset=line.ref(model.labels))])


def measure_again(line: Line, ranges: Iterable[Range]) -> None:
    """Measure anew what was measured by labels that have been frozen, or thawed, or delivered again since.

    Its monitors are not asked: what came of these windows was said when they came.
    """
    for model in line.project.models.values():
        told = line.state.evidence[("performance", line.project.ref(model.name, "model"))]
        mine = [held for held in ranges if held.dataset == line.ref(model.labels)]
        keys = [key for key in sorted(told) if any(held.first <= key <= held.last for held in mine)]
        found = [item for key in keys for item in outcomes(line, model, key) if item.type in MARKED]
        if found:
            line.record([Entry(item.kind, item.subject, item.body(), item.time) for item in found])
            line.estimates.pop(model.name, None)


def _entry(line: Line, held: Range, state: str) -> Entry:
    body = {
        "dataset": held.dataset,
        "first": held.first,
        "last": held.last,
        "state": state,
        "reason": held.reason,
        "incident": held.incident,
    }
    return Entry("quarantine", held.dataset, body, line.services.clock.now())
