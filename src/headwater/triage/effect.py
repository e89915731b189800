"""What an incident cost: affected predictions, and the business metric with an interval."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl

from headwater.core.errors import DataError, HeadwaterError
from headwater.core.project import Model
from headwater.core.records import Effect
from headwater.triage.case import Case
from headwater.triage.replay import Plan

AFFECTED = 0.01
"""A prediction counts as affected when the repair moves it by more than this, or flips its decision."""


def effect(case: Case, plan: Plan | None) -> Effect | None:
    """Price an incident: the cost of the decisions as made less the cost of the decisions as repaired.

    Every scored row of the incident's windows is priced twice under the same truth: the label where it is known,
    otherwise the repaired probability, so the number is an expectation and misleads when the repaired model is itself
    miscalibrated. Rows that only one side scored count as affected and are not priced. The interval is 95 %, from the
    outcomes that are still unknown (rows taken as independent given their probability, so it is too narrow when one
    storm moves many rows together); known outcomes add nothing to it.

    Returns:
        The effect over the models together, in the first model's unit; None when nothing was scored or the plan
        changes no prediction.
    """
    if plan is None or not case.models:
        return None
    total, variance, affected, scored = 0.0, 0.0, 0, 0
    for model in case.models:
        cache: dict[tuple[str, str], pl.DataFrame | None] = {}
        for run in case.windows:
            window = case.replay.calendar.window(run)
            key = case.replay.calendar.shift(window, -case.assets[model.predictions].lag).key
            before = case.replay.observed(model.predictions, key)
            if before is None:
                continue
            try:
                after = case.replay.value(model.predictions, key, plan, cache)
            except DataError:
                continue
            if after is None:
                continue
            scored += before.height
            labels = case.replay.observed(model.labels, key)
            value, spread, count = _priced(case, model, before, after, labels)
            affected += count
            total += value
            variance += spread
    if not affected and not total:
        return None
    half = 1.96 * math.sqrt(variance)
    return Effect(
        metric="more than the repaired decisions would have cost",
        unit=case.models[0].unit,
        value=total,
        low=total - half,
        high=total + half,
        affected_predictions=affected,
        scored_predictions=scored,
        windows=case.windows,
    )


def _priced(
    case: Case, model: Model, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[float, float, int]:
    """Price one window; by expectation where its labels contradict themselves, not at all where the cost fails."""
    if model.cost is not None:
        for known in (labels, None):
            try:
                return _gap(case, model, before, after, known)
            except HeadwaterError:
                continue
    return _gap(case, replace(model, cost=None), before, after, None)


def _gap(
    case: Case, model: Model, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[float, float, int]:
    """Return the expected gap in cost, its variance, and the number of affected predictions of one window."""
    right = after.unique(model.entity, keep="last", maintain_order=True)
    left = before.unique(model.entity, keep="last", maintain_order=True)
    try:
        both = left.select(model.entity).join(right.select(model.entity), on=model.entity)
    except pl.exceptions.SchemaError:
        return 0.0, 0.0, before.height  # where the id is of another type, nothing finds its rows again
    left = both.join(left, on=model.entity, how="left", maintain_order="left")
    right = both.join(right, on=model.entity, how="left", maintain_order="left")
    moved = (left["p"] - right["p"]).abs() > AFFECTED
    flipped = left["decision"] != right["decision"]
    count = int((moved | flipped).fill_null(True).sum()) + (before.height - both.height) + (after.height - both.height)
    p = right["p"].cast(pl.Float64)

    def gap(truth: pl.Series) -> pl.Series:
        return (case.price(model, left, truth, labels) - case.price(model, right, truth, labels)).fill_null(0.0)

    if model.cost is None or not both.height:
        return 0.0, 0.0, count
    certain, never = gap(p * 0 + 1), gap(p * 0)
    value = float((p * certain + (1 - p) * never).sum())
    variance = float((p * (1 - p) * (certain - never) ** 2).sum())
    return value, variance, count
