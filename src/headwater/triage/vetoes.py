"""Why an act must not be done, though it would undo the fault that is blamed."""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.core.errors import DataError
from headwater.stats.frames.tables import compare
from headwater.stats.outcomes.intervals import t_interval
from headwater.triage.case import Case
from headwater.triage.mechanism import MATERIAL, loss_gap, moved
from headwater.triage.replay import Plan
from headwater.triage.scales import on_scale

RETRAINING = 0.1
"""Retraining is vetoed while some asset failed with a greater probability than this: it would learn the fault."""
_TRIED = 3
"""Windows on which what is downstream of a repair is tried, the newest."""
_WINDOWS = 3


def retraining(failed: float) -> str:
    """Say why nothing is to be trained now; ``failed`` is the probability that some asset failed."""
    return "" if failed <= RETRAINING else f"some asset failed with a probability of {failed:.0%}: it would be learned"


def worse(case: Case, asset: str, plan: Plan) -> str:
    """Say why a predecessor cannot take over: it cannot serve what is served now, or does worse where labels came.

    Worse is judged on the incident's own label-mature windows (neither version has seen them), by the task's loss, the
    paired difference with windows as blocks; fewer than three windows tell nothing.
    """
    model = next((item for item in case.models if item.predictions == asset), None)
    if model is None:
        return ""
    good = plan.mechanisms.get(asset)
    if good is not None and (unfit := case.unfit(asset, good)):
        return unfit
    gaps: list[float] = []
    for key in case.keys(asset):
        try:
            before, after = case.replay.observed(asset, key), case.replay.value(asset, key, plan)
        except DataError as error:
            return f"the version before cannot serve the features there are now: {error.message}"
        labels = case.replay.observed(model.labels, key)
        if before is not None and after is not None and labels is not None:
            gap = loss_gap(model, before, after, labels)
            gaps += [] if gap is None else [gap]
    if len(gaps) < _WINDOWS:
        return ""
    found = t_interval(np.array(gaps))
    return "" if found.low <= 0 else f"the version before does worse by {found.value:.4f} in {len(gaps)} windows"


def failing(case: Case, asset: str, plan: Plan) -> str:
    """Say what does not work downstream of repaired rows: what cannot run on them, or gives other rows than it should.

    An asset whose own code differs anyway is a suspect of its own; here counts what differs only on repaired rows.
    """
    below = [item for item in case.assets if item in case.replay.descendants(asset) and case.assets[item].recomputable]
    for name in below:
        for key in case.keys(name)[-_TRIED:]:
            try:
                repaired = case.replay.value(name, key, plan)
            except DataError as error:
                return f"`{name}` cannot be made from the repaired rows: {error.message}"
            if problem := _differs(case, name, key, plan, repaired):
                return problem
    return ""


def _differs(case: Case, name: str, key: str, plan: Plan, repaired: pl.DataFrame | None) -> str:
    made, good = case.replay.made(name, key), case.accepted.get(name)
    if repaired is None or made is None or good is None or made.id == good.id:
        return ""
    tested = case.tests.get((name, key))
    if tested is not None and float(tested.values.get("share", 0.0)) > 0:
        return ""
    try:
        wanted = case.replay.value(name, key, Plan({**plan.mechanisms, name: good}, plan.frames, plan.frozen))
    except DataError:
        return ""  # the accepted code may be too old for what the repair gives; its successor has run on it
    if wanted is None or not compare(repaired, wanted, case.assets[name].key).share:
        return ""
    if _apart(case, plan, Plan({**plan.mechanisms, name: good}, plan.frames, plan.frozen), name, key) <= MATERIAL:
        return ""
    return f"`{name}` gives other rows than its accepted code on the repaired rows of {key}"


def _apart(case: Case, one: Plan, other: Plan, name: str, key: str) -> float:
    """How far two plans lie apart in the predictions and labels below an asset; 1 where there are none."""
    run = case.replay.calendar.shift(case.replay.calendar.window(key), case.assets[name].lag)
    found: list[float] = []
    for model in case.models:
        for target in (model.predictions, model.labels):
            if target not in {name, *case.replay.descendants(name)}:
                continue
            at = case.replay.calendar.shift(run, -case.assets[target].lag).key
            left, right = (case.replay.value(target, at, plan) for plan in (one, other))
            if left is not None and right is not None:
                left, right, columns = on_scale(case.replay, model, target, at, left, right)
                found += moved(left, right, model.entity, columns)
    return max(found, default=1.0)
