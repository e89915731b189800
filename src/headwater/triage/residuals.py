"""What predictions missed in the last labelled windows: how outcomes vary that are still open, alone and together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.project import Model, Task
from headwater.triage.case import Case
from headwater.triage.mechanism import HARM_WINDOWS

Numbers = npt.NDArray[np.float64]
FEWEST = 7
"""Labelled windows below which nothing is known of how whole windows lean."""
_ENOUGH = 200_000  # rows that tell enough
_LEVELS = (np.arange(9) + 0.5) / 9


@dataclass(frozen=True)
class Residuals:
    """Outcomes and predictions of the last labelled windows before an incident, one pair of arrays for each.

    Attributes:
        task: What is predicted.
        windows: Outcome and prediction of each row, by window.
    """

    task: Task
    windows: tuple[tuple[Numbers, Numbers], ...]

    @classmethod
    def of(cls, case: Case, model: Model) -> Residuals:
        """Collect them; windows whose labels do not join are left out, and so is all beyond enough rows."""
        return cls(model.task, tuple(_pairs(case, model)))

    @property
    def shock(self) -> float:
        """The variance of what moves a whole window's outcomes away from its predictions.

        Of a binary model on the scale of the log odds: in a window whose outcomes lean by d, each probability is off by
        about p (1 - p) d. Of a regression in the outcome's unit. By the method of moments: the square of what the
        predictions missed in sum, less what independent rows would have missed; 0 with fewer than `FEWEST` windows
        and for a ranking.

        References:
            DerSimonian and Laird (1986), Meta-analysis in clinical trials, Controlled Clinical Trials 7, sec. 3.
        """
        if len(self.windows) < FEWEST or self.task == "ranking":
            return 0.0
        if self.task == "binary":
            spread = [float((told * (1 - told)).sum()) for _, told in self.windows]
            missed = [float((y - told).sum()) for y, told in self.windows]
            excess = [(gap**2 - size) / max(size, 1e-12) ** 2 for gap, size in zip(missed, spread, strict=True)]
            return max(0.0, float(np.mean(excess)))
        means = np.array([float((y - told).mean()) for y, told in self.windows])
        within = [float((y - told).var()) / max(1, len(y) - 1) for y, told in self.windows]
        return max(0.0, float(means.var(ddof=1)) - float(np.mean(within)))

    def quantiles(self) -> Numbers:
        """Return nine quantiles of ``outcome - prediction`` that stand for all; 0 alone where nothing is known."""
        errors = self._errors()
        return np.quantile(errors, _LEVELS) if len(errors) else np.zeros(1)

    def tails(self, quantiles: Numbers) -> float:
        """Return how much more the errors vary than those few quantiles, which leave out the tails."""
        errors, inner = self._errors(), float(quantiles.var())
        return max(1.0, float(errors.var()) / inner) if len(errors) > 1 and inner > 0 else 1.0

    def _errors(self) -> Numbers:
        return np.concatenate([y - told for y, told in self.windows]) if self.windows else np.zeros(0)


def _pairs(case: Case, model: Model) -> Iterator[tuple[Numbers, Numbers]]:
    rows = 0
    for key in reversed(case.labelled[-HARM_WINDOWS:]):
        told, labels = case.replay.observed(model.predictions, key), case.replay.observed(model.labels, key)
        if told is None or labels is None or rows > _ENOUGH:
            continue
        truth = labels.select(model.entity, model.outcome).unique(model.entity, keep="last").drop_nulls()
        try:
            pairs = told.select(model.entity, model.predicted).join(truth, on=model.entity).drop_nulls()
        except pl.exceptions.SchemaError:
            continue
        rows += pairs.height
        if pairs.height:
            yield (
                pairs[model.outcome].cast(pl.Float64).to_numpy(),
                pairs[model.predicted].cast(pl.Float64).to_numpy(),
            )
