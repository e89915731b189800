"""What an incident cost, priced again by the labels that came after its verdict.

The case and the plan are those of the verdict; only the labels are newer. So the first estimate and the last are of the
same predictions, and an incident whose outcomes are all known costs what it cost, without an interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from headwater.app.affected import as_judged
from headwater.app.frozen import Frozen
from headwater.app.line import Line
from headwater.core.errors import HeadwaterError
from headwater.core.ports import Entry
from headwater.core.project import Model
from headwater.core.records import Evidence
from headwater.triage.effect import effect
from headwater.triage.incidents import Incident


def record_price(line: Line, incident: Incident, run: str) -> None:
    """Record what an incident costs by the labels known by now, where they tell more than the last price."""
    made = price_again(line, incident, run)
    if made is not None:
        line.record([Entry(made.kind, made.subject, made.body(), made.time)])


def price_again(line: Line, incident: Incident, run: str) -> Evidence | None:
    """Price an incident by the labels known by now, as ``cost`` evidence.

    Args:
        line: The project.
        incident: The incident, remedied: what is stored of its labels is right, or frozen.
        run: The newest run window.

    Returns:
        The new price; None where no more outcomes are known than when it was priced last, or where the case as it was
        judged cannot be put together any more. Then the last price stands.
    """
    known = incident.cost
    if known is None or incident.verdict is None or known.known_outcomes == known.affected_predictions:
        return None
    if incident.priced is not None and _Labels(line).still(incident.priced.values["labels"]):
        return None
    try:
        values = prices(line, incident)
    except HeadwaterError:  # an old price that cannot be made again must not keep an incident from its end
        return None
    if values is None or values["known_outcomes"] <= (known.known_outcomes or 0):
        return None
    return Evidence(
        type="cost",
        subject=incident.id,
        window=run,
        values=values,
        time=line.services.clock.now(),
        causes=(incident.verdict.id,),
    )


def prices(line: Line, incident: Incident) -> dict[str, Any] | None:
    """Return the values of ``cost`` evidence: the effect by the labels of now, and which those were.

    ``labels`` has the content hash of each window of each model's labels; empty where they may not be read, or are not
    there.
    """
    assert incident.verdict is not None
    case, plan = as_judged(line, incident, incident.verdict)
    labels = _Labels(line)
    found = effect(case, plan, labels)
    return None if found is None else {**found.body(), "labels": labels.read}


class _Labels:
    """The labels as they are stored now, without those that are frozen."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._frozen = {model.name: Frozen(line, model) for model in line.project.models.values()}
        self.read: dict[str, dict[str, str]] = {}

    def __call__(self, model: Model, key: str) -> pl.DataFrame | None:
        """Read one window; None where it is frozen or not there."""
        content = self._content(model, key)
        self.read.setdefault(model.name, {})[key] = content
        return self._line.services.tables.read(model.labels, [key]) if content else None

    def still(self, read: Mapping[str, Mapping[str, str]]) -> bool:
        """Tell whether nothing but what was read once can be read now."""
        models = self._line.project.models
        return all(
            name in models and self._content(models[name], key) == content
            for name, windows in read.items()
            for key, content in windows.items()
        )

    def _content(self, model: Model, key: str) -> str:
        frozen = key in self._frozen[model.name]
        return "" if frozen else self._line.services.tables.content(model.labels, key) or ""
