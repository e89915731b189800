"""What was expected of the last labelled windows and what came: how far open outcomes may lie from expectation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import HeadwaterError
from headwater.core.project import Model
from headwater.triage.case import Case
from headwater.triage.mechanism import HARM_WINDOWS

Numbers = npt.NDArray[np.float64]
FEWEST = 7
"""Labelled windows below which nothing is known of how whole windows lean."""
LONGEST = 5
"""Windows in a row over which leaning together is measured; longer incidents are taken to lean as much."""
_ENOUGH = 200_000  # rows that tell enough
_LEVELS = (np.arange(9) + 0.5) / 9


class Missed(NamedTuple):
    """What was missed in one labelled window.

    Attributes:
        sum: What came less what was expected, over its rows.
        variance: Variance of that were rows independent.
        scale: What it would be if all rows leaned by one unit.
    """

    sum: float
    variance: float
    scale: float


@dataclass(frozen=True)
class Residuals:
    """How the last labelled windows before an incident turned out, oldest first.

    Attributes:
        windows: What was missed in each.
        errors: Outcome less prediction of all their rows; empty where the task predicts no number.
    """

    windows: tuple[Missed, ...]
    errors: Numbers

    @classmethod
    def of(cls, case: Case, model: Model) -> Residuals:
        """Measure them; windows whose labels do not join are left out, and so is all beyond enough rows.

        Of a binary model in money: what the opposite decision would have cost more on each row, by its label less by
        expectation. So it holds what probabilities miss and what amounts do (a late flight costs more in a storm).
        """
        pairs = list(_pairs(case, model))
        if model.task == "binary":
            return cls(tuple(_of_decisions(case, model, pairs)), np.zeros(0))
        told = [_errors(model, log, labels) for log, labels in pairs]
        errors = np.concatenate(told) if told else np.zeros(0)
        level = float(errors.mean()) if len(errors) else 0.0
        windows = (
            Missed(float((item - level).sum()), float(len(item) * item.var()), float(len(item)))
            for item in told
            if len(item)
        )
        return cls(tuple(windows), errors)

    def shock(self, span: int) -> float:
        """Return the variance of what moves all rows of some windows in a row together, by the square of their scale.

        By the method of moments: the square of what windows in a row missed together, less what independent rows
        would have missed. 0 with fewer than `FEWEST` windows: then rows count as independent, which is far too good.

        Args:
            span: Over how many windows in a row; they lean together when what drives them lasts.

        References:
            DerSimonian and Laird (1986), Meta-analysis in clinical trials, Controlled Clinical Trials 7, sec. 3.
        """
        if len(self.windows) < FEWEST:
            return 0.0
        length = max(1, min(span, LONGEST))
        blocks = [self.windows[start : start + length] for start in range(len(self.windows) - length + 1)]
        excess = [
            (sum(item.sum for item in block) ** 2 - sum(item.variance for item in block))
            / max(sum(item.scale for item in block), 1e-12) ** 2
            for block in blocks
        ]
        return max(0.0, float(np.mean(excess)))

    def quantiles(self) -> Numbers:
        """Return nine quantiles of ``outcome - prediction`` that stand for all; 0 alone where nothing is known."""
        return np.quantile(self.errors, _LEVELS) if len(self.errors) else np.zeros(1)

    def tails(self, quantiles: Numbers) -> float:
        """Return how much more the errors vary than those few quantiles, which leave out the tails."""
        inner = float(quantiles.var())
        return max(1.0, float(self.errors.var()) / inner) if len(self.errors) > 1 and inner > 0 else 1.0


def _pairs(case: Case, model: Model) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Prediction log and labels of the last labelled windows, oldest first, as many as have enough rows."""
    found: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    rows = 0
    for key in reversed(case.labelled[-HARM_WINDOWS:]):
        log, labels = case.replay.observed(model.predictions, key), case.replay.observed(model.labels, key)
        if log is None or labels is None or not log.height or rows > _ENOUGH:
            continue
        rows += log.height
        found.append((log.unique(model.entity, keep="last", maintain_order=True), labels))
    yield from reversed(found)


def _of_decisions(case: Case, model: Model, pairs: Sequence[tuple[pl.DataFrame, pl.DataFrame]]) -> list[Missed]:
    """What the opposite of each decision would have cost more than expected, by window; where that can be priced.

    All windows are priced at once; one by one where an entity comes back with another outcome.
    """
    if model.cost is None or not pairs:
        return []
    try:
        logs, labels = (pl.concat(list(side), how="vertical_relaxed") for side in zip(*pairs, strict=True))
        edges = np.cumsum([log.height for log, _ in pairs])[:-1]
        told = zip(*(np.split(numbers, edges) for numbers in _opposite(case, model, logs, labels)), strict=True)
        found = [Missed(float(gap.sum()), float(spread.sum()), float(np.sqrt(spread).sum())) for gap, spread in told]
    except (HeadwaterError, pl.exceptions.PolarsError):
        return [missed for pair in pairs for missed in _of_decisions(case, model, [pair])] if len(pairs) > 1 else []
    return [missed for missed in found if missed.scale > 0 and math.isfinite(missed.sum)]


def _opposite(case: Case, model: Model, log: pl.DataFrame, labels: pl.DataFrame) -> tuple[Numbers, Numbers]:
    """By row: what deciding otherwise cost more than was to be expected, and its variance; 0 where no label is."""
    kind, p = log.schema["decision"], log["p"].cast(pl.Float64)
    yes, no = (log.with_columns(pl.lit(value).cast(kind).alias("decision")) for value in (1, 0))

    def apart(truth: pl.Series, known: pl.DataFrame | None) -> Numbers:
        paid = case.price(model, yes, truth, known) - case.price(model, no, truth, known)
        return paid.fill_null(0.0).cast(pl.Float64).to_numpy()

    there = log[model.entity].is_in(labels.drop_nulls(model.outcome)[model.entity].to_list()).to_numpy()
    sure, never, came = apart(p * 0 + 1, None), apart(p * 0, None), apart(p, labels)
    share = np.nan_to_num(p.to_numpy())
    spread = there * share * (1 - share) * (sure - never) ** 2
    return there * (came - share * sure - (1 - share) * never), spread


def _errors(model: Model, log: pl.DataFrame, labels: pl.DataFrame) -> Numbers:
    truth = labels.select(model.entity, model.outcome).unique(model.entity, keep="last").drop_nulls()
    try:
        pairs = log.select(model.entity, model.predicted).join(truth, on=model.entity).drop_nulls()
    except pl.exceptions.SchemaError:
        return np.zeros(0)
    return (pairs[model.outcome].cast(pl.Float64) - pairs[model.predicted].cast(pl.Float64)).to_numpy()
