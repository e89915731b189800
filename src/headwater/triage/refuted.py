"""Signatures that outcomes refute: where labels follow the rows as they came, these rows were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.task_loss import NAMES
from headwater.triage.case import Case
from headwater.triage.mechanism import loss_gap
from headwater.triage.replay import Plan
from headwater.triage.suspects import Weighed

FEWEST, MOST = 3, 7
"""Label-mature windows of the incident that tell something, and of which the newest are tried."""
CLEARED = -4.0


def refuted(case: Case, found: Sequence[Weighed]) -> list[Weighed]:
    """Clear the sources whose repair would make the predictions worse on the rows whose outcomes are known by now.

    A price that rose by half looks like one in another currency. What tells them apart is what became of the rows: the
    model foretells it well from the right ones only. So the predictions as served are compared with those that the
    repaired rows would have given, on the incident's own label-mature windows, as the unit. It tells nothing where the
    model makes little of the column, and before labels come.
    """
    return [_tried(case, item) for item in found]


def _tried(case: Case, item: Weighed) -> Weighed:
    if item.exonerated or item.kind != "source" or item.plan is None or not item.plan.frames:
        return item
    below = case.replay.descendants(item.asset)
    for model in case.models:
        if model.predictions not in below or model.labels in below:
            continue  # what makes the labels as well cannot be judged by them
        gaps = _gaps(case, item.asset, model, item.plan)
        bound = t_interval(np.array(gaps)) if len(gaps) >= FEWEST else None
        if bound is not None and bound.low > 0:
            reason = (
                f"the outcomes follow its rows as they came: {item.reason}; but repaired, the {NAMES[model.task]} "
                f"would be {bound.value:+.4g} ({bound.low:+.4g} to {bound.high:+.4g}) over {len(gaps)} labelled windows"
            )
            numbers = {**item.numbers, "repaired_loss": bound.value, "repaired_windows": float(len(gaps))}
            return replace(item, fault="", weight=CLEARED, exonerated=True, reason=reason, numbers=numbers)
    return item


def _gaps(case: Case, asset: str, model: Model, plan: Plan) -> list[float]:
    """Return by how much the repaired rows would raise the loss, by window."""
    outcomes = case.outcomes.get(model.name)
    if outcomes is None:
        return []
    calendar, lag = case.replay.calendar, case.assets[asset].lag - case.assets[model.predictions].lag
    touched = [calendar.shift(calendar.window(key), lag).key for name, key in plan.frames if name == asset]
    gaps = []
    for key in [key for key in outcomes.windows if key in touched][-MOST:]:
        before, labels = (case.replay.observed(name, key) for name in (model.predictions, model.labels))
        try:
            after = case.replay.value(model.predictions, key, plan)
        except DataError:
            continue
        if before is None or after is None or labels is None:
            continue
        gap = loss_gap(model, before, after, labels)
        gaps += [] if gap is None else [gap]
    return gaps
