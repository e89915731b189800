"""Why an act must not be done, though it would undo the fault that is blamed."""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.core.errors import DataError
from headwater.core.project import Model
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
    if failed <= RETRAINING:
        return ""
    return f"some asset failed with a probability of {percent(failed)}: it would be learned"


def percent(probability: float) -> str:
    """Write a probability so that it never rounds up to certainty."""
    return "over 99 %" if 0.995 <= probability < 1 else f"{probability:.0%}"


def unfit(case: Case, asset: str, plan: Plan) -> str:
    """Say why a predecessor cannot take over: it must not, or it cannot serve the features that there are now."""
    good = plan.mechanisms.get(asset)
    if good is not None and (reason := case.unfit(asset, good)):
        return reason
    for key in case.keys(asset)[-_TRIED:]:
        try:
            case.replay.value(asset, key, plan)
        except DataError as error:
            return f"the version before cannot serve the features there are now: {error.message}"
    return ""


def worse(case: Case, plan: Plan) -> str:
    """Say that predictions become worse where labels tell: the replayed gain is clearly negative.

    Judged on the incident's own labelled windows by the task's loss, the paired difference with windows as blocks;
    fewer than three windows tell nothing, and labels that the act itself changes are no witness. Money alone is none
    either: as long as labels are open, decisions are priced by the repaired predictions, so an act that loses money
    under them only shows that the decision rule is not where the cost is lowest.
    """
    reach = plan.touched | {below for name in plan.touched for below in case.replay.descendants(name)}
    for model in case.models:
        if model.predictions not in reach or model.labels in reach:
            continue
        gaps = [gap for key in case.keys(model.predictions) if (gap := _gap(case, model, plan, key)) is not None]
        if len(gaps) < _WINDOWS:
            continue
        found = t_interval(np.array(gaps))
        if found.low > 0:
            return f"by its replay predictions become worse by {found.value:.4f} in {len(gaps)} labelled windows"
    return ""


def _gap(case: Case, model: Model, plan: Plan, key: str) -> float | None:
    """By how much a window's loss rises under a plan; None where labels do not tell."""
    before, labels = case.replay.observed(model.predictions, key), case.replay.observed(model.labels, key)
    try:
        after = case.replay.value(model.predictions, key, plan)
    except DataError:
        return None
    if before is None or after is None or labels is None or not case.trusted(model, key):
        return None
    return loss_gap(model, before, after, labels)


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
