"""What an incident cost: affected predictions, and the business metric with an interval."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError
from headwater.core.project import Model
from headwater.core.records import Effect
from headwater.triage.case import Case
from headwater.triage.mechanism import HARM_WINDOWS
from headwater.triage.replay import Plan
from headwater.triage.scales import on_scale

AFFECTED = 0.01
"""A prediction counts as affected when the repair moves it by more than this (on the scale of a probability), or flips
its decision."""
_QUANTILES = tuple((index + 0.5) / 9 for index in range(9))


def effect(case: Case, plan: Plan | None) -> Effect | None:
    """Price an incident: the cost of the decisions as made less the cost of the decisions as repaired.

    Every scored row of the incident's windows is priced twice under the same truth: the label where it is known,
    otherwise the repaired probability, so the number is an expectation and misleads when the repaired model is itself
    miscalibrated. Of large logs a sample of the rows is priced and stands for all. A regression's truth is its
    repaired prediction plus the errors of the last labelled windows; of a ranking only labelled rows are priced. Rows
    that only one side scored count as affected and are not priced. The interval is 95 %, from the outcomes that are
    still unknown (rows taken as independent given their prediction, so it is too narrow when one storm moves many rows
    together); known outcomes add nothing to it.

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
            labels = _labels(case, model, key, plan, cache)
            value, spread, count, varied = _priced(case, model, key, before, after, labels)
            weight = case.replay.weight(model.predictions, key)
            scored += round(weight * before.height)
            affected += round(weight * count)
            total += weight * value
            variance += weight * spread + weight * (weight - 1) * varied
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


def _labels(
    case: Case, model: Model, key: str, plan: Plan, cache: dict[tuple[str, str], pl.DataFrame | None]
) -> pl.DataFrame | None:
    """Return a window's labels as the repair leaves them; None where they are in question or cannot be told."""
    if not case.trusted(model, key):
        return None
    try:
        return case.replay.value(model.labels, key, plan, cache)
    except DataError:
        return None


def _priced(
    case: Case, model: Model, key: str, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[float, float, int, float]:
    """Price one window; by expectation where its labels contradict themselves, not at all where the cost fails."""
    if model.cost is not None:
        for known in (labels, None):
            try:
                return _gap(case, model, key, before, after, known)
            except HeadwaterError:
                continue
    return _gap(case, replace(model, cost=None), key, before, after, None)


def _gap(
    case: Case, model: Model, key: str, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[float, float, int, float]:
    """Return the expected gap in cost, its variance, the affected predictions, and how the gap varies between rows.

    The last is the sum of squares about the mean, for rows that are a sample of a log.
    """
    right = after.unique(model.entity, keep="last", maintain_order=True)
    left = before.unique(model.entity, keep="last", maintain_order=True)
    try:
        both = left.select(model.entity).join(right.select(model.entity), on=model.entity)
    except pl.exceptions.SchemaError:
        return 0.0, 0.0, before.height, 0.0  # where the id is of another type, nothing finds its rows again
    left = both.join(left, on=model.entity, how="left", maintain_order="left")
    right = both.join(right, on=model.entity, how="left", maintain_order="left")
    count = _affected(case, model, key, left, right) + (before.height - both.height) + (after.height - both.height)
    if model.cost is None or not both.height:
        return 0.0, 0.0, count, 0.0

    def gap(truth: pl.Series) -> pl.Series:
        return (case.price(model, left, truth, labels) - case.price(model, right, truth, labels)).fill_null(0.0)

    if model.task == "binary":
        p = right["p"].cast(pl.Float64)
        certain, never = gap(p * 0 + 1), gap(p * 0)
        rows = p * certain + (1 - p) * never
        return float(rows.sum()), float((p * (1 - p) * (certain - never) ** 2).sum()), count, _varied(rows)
    told = right[model.predicted].cast(pl.Float64)
    if model.task == "ranking":
        known = [] if labels is None else labels.drop_nulls(model.outcome)[model.entity].to_list()
        rows = gap(told * 0).filter(left[model.entity].is_in(known))
        return float(rows.sum()), 0.0, count, _varied(rows)
    gaps = np.stack([gap(told + error).to_numpy() for error in open_errors(case, model)])
    return float(gaps.mean(axis=0).sum()), float(gaps.var(axis=0).sum()), count, _varied(pl.Series(gaps.mean(axis=0)))


def _varied(rows: pl.Series) -> float:
    return float(((rows - rows.mean()) ** 2).sum()) if len(rows) > 1 else 0.0


def _affected(case: Case, model: Model, key: str, left: pl.DataFrame, right: pl.DataFrame) -> int:
    one, other, columns = on_scale(case.replay, model, model.predictions, key, left, right)
    moved = (one[columns[0]] - other[columns[0]]).abs() > AFFECTED
    for name in columns[1:]:
        moved = moved | (one[name] != other[name])
    return int(moved.fill_null(True).sum())


def open_errors(case: Case, model: Model) -> list[float]:
    """Return quantiles of ``outcome - prediction`` over the last labelled windows before the incident."""
    seen = []
    for key in case.labelled[-HARM_WINDOWS:]:
        told, labels = case.replay.observed(model.predictions, key), case.replay.observed(model.labels, key)
        if told is None or labels is None:
            continue
        truth = labels.select(model.entity, model.outcome).unique(model.entity, keep="last").drop_nulls()
        try:
            pairs = told.select(model.entity, model.predicted).join(truth, on=model.entity)
        except pl.exceptions.SchemaError:
            continue
        seen.append((pairs[model.outcome].cast(pl.Float64) - pairs[model.predicted].cast(pl.Float64)).drop_nulls())
    errors = pl.concat(seen) if seen else pl.Series([], dtype=pl.Float64)
    return [float(errors.quantile(level) or 0.0) for level in _QUANTILES] if len(errors) else [0.0]
