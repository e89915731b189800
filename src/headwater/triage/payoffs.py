"""What each act would gain under each cause that may be true, by replaying exactly that act."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError
from headwater.core.project import Model
from headwater.stats.outcomes.intervals import t_quantile
from headwater.triage.case import Case
from headwater.triage.mechanism import moved
from headwater.triage.replay import Plan
from headwater.triage.residuals import Residuals
from headwater.triage.scales import on_scale

LOOKED_AT = 14
"""Acts are compared on so many of an incident's newest windows."""
AS_IT_IS = ""
"""Name of the belief that no asset failed: what was observed is right."""
_WINDOWS = 3  # from so many on, the spread between windows is known
_SURE = 0.975


class Payoff(NamedTuple):
    """What an act gains if a cause is true.

    Attributes:
        money: Cost of the decisions as made less cost of the decisions under the act, in the model's unit; None
            without a cost function.
        spread: Half of the 95 % interval of ``money``: outcomes still open, and how rows and windows vary.
        moved: How much nearer it brings predictions and labels to what they should be, as a share of a probability.
    """

    money: float | None
    spread: float
    moved: float


@dataclass(frozen=True)
class _Gaps:
    """By row: what an act's decision saves where the outcome is 0 and where it is 1 (or for each error, see `_Scene`).

    Attributes:
        entities: The rows, in order.
        saved: One row of numbers for each assumed outcome.
    """

    entities: pl.Series
    saved: np.ndarray


@dataclass
class _Scene:
    """One window of one model: what was predicted and labelled, and what it would be under each plan."""

    model: Model
    key: str
    observed: pl.DataFrame
    replayed: Mapping[str, pl.DataFrame | None]
    labels: pl.DataFrame | None
    gaps: dict[tuple[str, str], _Gaps | None] = field(default_factory=dict)


class Payoffs:
    """The payoff of acts under causes, measured over an incident's newest windows.

    Decisions are priced under one truth for both sides (of large logs for a sample that stands for all): the label
    where it is known and not itself in question, else the prediction that the supposed cause's repair gives. So an act
    against an innocent asset shows as the loss that it would be. Misleads where the repaired model is miscalibrated,
    and says nothing of windows after the incident's.

    Args:
        case: The case.
        plans: How each suspect's fault is undone in a replay, by the suspect's asset.
    """

    def __init__(self, case: Case, plans: Mapping[str, Plan]) -> None:
        self._case = case
        self._plans = plans
        self._caches: dict[str, dict[tuple[str, str], pl.DataFrame | None]] = {name: {} for name in plans}
        self._scenes: list[_Scene] | None = None
        self._labelled: list[tuple[Model, str, pl.DataFrame, Mapping[str, pl.DataFrame | None]]] = []
        self._distances: dict[tuple[int, str, str], float] = {}
        self.problems: dict[str, str] = {}

    def of(self, act: str, cause: str) -> Payoff:
        """Return what undoing suspect ``act`` gains if suspect ``cause`` failed; `AS_IT_IS` stands for none."""
        told = [self._money(scene, act, cause) for scene in self.scenes()]
        priced = [item for item in told if item is not None]
        money = sum(float(rows.sum()) for rows, _ in priced) if priced else None
        return Payoff(money, _spread(priced), self._moved(act, cause))

    def reaches(self, act: str) -> bool:
        """Tell whether an act changes a prediction or a label at all."""
        return self._moved(act, act) > 0

    def scenes(self) -> list[_Scene]:
        """Replay every plan over the windows that were scored, once."""
        if self._scenes is None:
            self._scenes = list(self._replayed())
        return self._scenes

    def _replayed(self) -> Iterator[_Scene]:
        case, disputed = self._case, self._disputed()
        for model in case.models:
            for place, run in enumerate(case.windows[-LOOKED_AT:]):
                lag = case.assets[model.predictions].lag
                key = case.replay.calendar.shift(case.replay.calendar.window(run), -lag).key
                truth = case.keys(model.labels)[-LOOKED_AT:][place]
                known = case.replay.observed(model.labels, truth)
                if known is not None and model.labels in disputed:
                    self._labelled.append((model, truth, known, self._under_plans(model.labels, truth)))
                observed = case.replay.observed(model.predictions, key)
                if observed is None or model.entity not in observed.columns:
                    continue
                told = model.labels not in disputed and case.trusted(model, key)
                labels = case.replay.observed(model.labels, key) if told else None
                yield _Scene(model, key, observed, self._under_plans(model.predictions, key), labels)

    def _disputed(self) -> set[str]:
        """The labels that a suspect's fault reaches: they are no witness."""
        touched = {name for plan in self._plans.values() for name in plan.touched}
        reach = touched | {below for name in touched for below in self._case.replay.descendants(name)}
        return {model.labels for model in self._case.models} & reach

    def _under_plans(self, asset: str, key: str) -> dict[str, pl.DataFrame | None]:
        found: dict[str, pl.DataFrame | None] = {}
        for name, plan in self._plans.items():
            try:
                found[name] = self._case.replay.value(asset, key, plan, self._caches[name])
            except DataError as error:
                self.problems.setdefault(name, error.message)
                found[name] = None
        return found

    def _moved(self, act: str, cause: str) -> float:
        predicted = [
            (self._nearer(index, scene.model, scene.model.predictions, scene.key, scene.observed, scene.replayed,
                          act, cause), scene.observed.height)
            for index, scene in enumerate(self.scenes())
        ]  # fmt: skip
        told = [
            (self._nearer(-1 - index, model, model.labels, key, observed, replayed, act, cause), observed.height)
            for index, (model, key, observed, replayed) in enumerate(self._labelled)
        ]
        return _mean(predicted) + _mean(told)

    def _nearer(
        self, place: int, model: Model, target: str, key: str, observed: pl.DataFrame,
        replayed: Mapping[str, pl.DataFrame | None], act: str, cause: str,
    ) -> float:  # fmt: skip
        """By how much an act brings a window nearer to what it would be with the cause undone."""

        def apart(one: str, other: str) -> float:
            left, right = (observed if name == AS_IT_IS else replayed[name] for name in (one, other))
            if left is right or one == other:
                return 0.0
            if left is None or right is None:
                return 0.0  # what cannot be replayed gains nothing; its problem is a veto
            first, second = sorted((one, other))
            if (place, first, second) not in self._distances:
                before, after, columns = on_scale(self._case.replay, model, target, key, left, right)
                self._distances[place, first, second] = max(moved(before, after, model.entity, columns))
            return self._distances[place, first, second]

        return apart(AS_IT_IS, cause) - apart(act, cause)

    def _money(self, scene: _Scene, act: str, cause: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return, by row, what an act saves in expectation and the variance of that from outcomes still open."""
        model, after = scene.model, scene.replayed[act]
        if model.cost is None or after is None:
            return None
        if after is scene.observed:
            return np.zeros(scene.observed.height), np.zeros(scene.observed.height)
        truth = scene.observed if cause == AS_IT_IS else scene.replayed[cause]
        weight = self._case.replay.weight(model.predictions, scene.key)
        kept = cause if model.task == "regression" else AS_IT_IS
        if (act, kept) not in scene.gaps:
            scene.gaps[act, kept] = self._gaps(scene, after, truth)
        found = scene.gaps[act, kept]
        if found is None:
            return None
        if model.task != "binary":
            return weight * found.saved.mean(axis=0), weight * found.saved.var(axis=0)
        p = _aligned(found.entities, scene.observed if truth is None else truth, model, scene.observed)
        never, sure = found.saved
        return weight * (p * sure + (1 - p) * never), weight * p * (1 - p) * (sure - never) ** 2

    def _gaps(self, scene: _Scene, after: pl.DataFrame, truth: pl.DataFrame | None) -> _Gaps | None:
        """Price both sides' decisions for each outcome that may come; None where the cost function fails."""
        model, case = scene.model, self._case
        left = scene.observed.unique(model.entity, keep="last", maintain_order=True)
        right = after.unique(model.entity, keep="last", maintain_order=True)
        try:
            both = left.select(model.entity).join(right.select(model.entity), on=model.entity)
            left, right = (both.join(side, on=model.entity, how="left", maintain_order="left")
                           for side in (left, right))  # fmt: skip
        except pl.exceptions.SchemaError:
            return None
        none = pl.Series([0.0]).new_from_index(0, both.height)
        outcomes = [none, none + 1]
        if model.task == "regression":
            told = _aligned(both[model.entity], scene.observed if truth is None else truth, model, scene.observed)
            outcomes = [pl.Series(told + float(error)) for error in Residuals.of(case, model).quantiles()]
        try:
            saved = [
                case.price(model, left, outcome, scene.labels) - case.price(model, right, outcome, scene.labels)
                for outcome in outcomes
            ]
        except HeadwaterError:
            return None
        if model.task == "ranking":  # an outcome that is assumed for every row says nothing of an order
            known = set() if scene.labels is None else set(scene.labels.drop_nulls(model.outcome)[model.entity])
            mask = both[model.entity].is_in(list(known))
            saved = [item * mask for item in saved[:1]]
        numbers = np.stack([item.fill_null(0.0).to_numpy() for item in saved])
        return _Gaps(both[model.entity], numbers)


def _aligned(entities: pl.Series, truth: pl.DataFrame, model: Model, observed: pl.DataFrame) -> np.ndarray:
    """Return what was predicted for these rows; as observed where the truth says nothing of a row."""
    found = pl.DataFrame({model.entity: entities})
    for name, frame in (("\0told", truth), ("\0seen", observed)):
        own = frame.select(model.entity, pl.col(model.predicted).cast(pl.Float64).fill_nan(None).alias(name))
        try:
            found = found.join(own.unique(model.entity, keep="last"), on=model.entity, how="left",
                               maintain_order="left")  # fmt: skip
        except pl.exceptions.SchemaError:
            found = found.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    return found.select(pl.coalesce("\0told", "\0seen", 0.5)).to_series().to_numpy()


def _spread(priced: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Half of the 95 % interval of the sum: the outcomes that are open, and how much windows (or rows) vary."""
    if not priced:
        return 0.0
    still_open = sum(float(variance.sum()) for _, variance in priced)
    if len(priced) >= _WINDOWS:
        totals = np.array([rows.sum() for rows, _ in priced])
        between = len(totals) * float(totals.var(ddof=1))
        return t_quantile(_SURE, len(totals) - 1) * math.sqrt(still_open + between)
    rows = np.concatenate([item for item, _ in priced])
    between = len(rows) * float(rows.var(ddof=1)) if len(rows) > 1 else 0.0
    return 1.96 * math.sqrt(still_open + between)


def _mean(told: list[tuple[float, int]]) -> float:
    rows = sum(count for _, count in told)
    return sum(value * count for value, count in told) / rows if rows else 0.0
