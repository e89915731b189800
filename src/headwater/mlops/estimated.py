"""Performance of a model's windows before their labels come: the prediction log as windows of an estimator's track."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from headwater.core.project import Model
from headwater.mlops.labels import realised
from headwater.mlops.outcome import assumed_costs, row_costs
from headwater.stats.estimates import cbpe, dle
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.estimation import Estimate, Track

CHIEF = {"binary": "log_loss", "regression": "mae"}
"""The metric that estimators are chosen by, for each task that can be estimated. Ranking is none of them."""


class Estimates:
    """What is estimated of one model, window after window.

    Args:
        model: The model; its task must be in `CHIEF`.
        first: Predictions of an early window: their values show how to cut columns into cells.
    """

    def __init__(self, model: Model, first: pl.DataFrame) -> None:
        self.model = model
        self.track: Track[Any]
        told = _told(model, first)
        if model.task == "binary":
            self._encoding = Encoding.of(told.select(model.columns))
            self.track = Track([cbpe.Cbpe(memory) for memory in cbpe.MEMORIES], CHIEF["binary"])
        else:
            self._encoding = dle.encoding_of(told.select(model.columns), told[model.predicted].to_numpy())
            self.track = Track(dle.candidates(), CHIEF["regression"])

    def estimate(self, key: str, predictions: pl.DataFrame, hidden: str = "") -> dict[str, Any]:
        """Estimate a window and return the values of its ``estimate`` evidence; empty before any labels have come.

        Of each metric that may be shown: its value, ``_low`` and ``_high``; ``withheld`` keeps the others with their
        reasons, for later comparison and for nobody's eyes. ``valid``, ``reason``, ``method``, ``windows`` and
        ``errors`` are those of the chief metric; ``n`` scored rows, ``skipped`` of them without a prediction.

        Args:
            key: The window.
            predictions: Its prediction log.
            hidden: Why nothing is to be shown, e.g. a parity check that fails.
        """
        told = _told(self.model, predictions)
        found = self.track.estimate(key, self._window(told, None), hidden) if told.height else {}
        return {} if not found else values(found, CHIEF[self.model.task], predictions.height - told.height)

    def settle(self, key: str, predictions: pl.DataFrame, labels: pl.DataFrame) -> dict[str, Any]:
        """Learn a window whose labels have come; return its evidence anew if it was estimated, with ``error.`` values.

        ``error.<metric>`` is realised minus estimated, shown or not: what concept shift shows in.
        """
        rows = realised(predictions, labels, self.model.entity, self.model.outcome, task=self.model.task)
        known = _told(self.model, rows.filter(pl.col(self.model.outcome).is_not_null()))
        if not known.height:
            return {}
        self.track.settle(key, self._window(known, labels))
        found = self.track.estimated(key)
        if not found:
            return {}
        n = rows.height - _told(self.model, rows).height
        errors = {f"error.{name}": self.track.errors(name)[key] for name in found if key in self.track.errors(name)}
        return values(found, CHIEF[self.model.task], n) | errors

    def _window(self, rows: pl.DataFrame, labels: pl.DataFrame | None) -> Any:
        model = self.model
        predicted = rows[model.predicted].cast(pl.Float64).to_numpy()
        outcome = None if labels is None else rows[model.outcome].cast(pl.Float64).to_numpy()
        if model.task != "binary":
            return dle.Losses.of(self._encoding, rows.select(model.columns), predicted, outcome)
        log = rows.select([name for name in (model.entity, *model.columns, *model.carry, "p", "decision")])
        costs = None if model.cost is None else assumed_costs(model, log, labels)
        decision = rows["decision"].cast(pl.Float64).to_numpy()
        window = cbpe.Tally.of(predicted, decision, outcome, costs, given=(self._encoding, rows.select(model.columns)))
        if labels is None or model.cost is None:
            return window
        cost = float(row_costs(model, log, log["p"], labels).sum())
        return dataclasses.replace(window, realised={**window.realised, "cost": cost})


def values(found: Mapping[str, Estimate], chief: str, skipped: int) -> dict[str, Any]:
    """Write estimates as values of evidence; see `Estimates.estimate`."""
    about = found.get(chief) or next(iter(found.values()))
    shown: dict[str, float] = {}
    withheld: dict[str, dict[str, Any]] = {}
    for name, item in found.items():
        if item.valid:
            shown |= {name: item.value, f"{name}_low": item.low, f"{name}_high": item.high}
        else:
            withheld[name] = {"value": item.value, "reason": item.reason}
    return {
        **{name: value for name, value in shown.items() if math.isfinite(value)},
        "valid": about.valid,
        "reason": about.reason,
        "method": about.method,
        "n": about.n,
        "skipped": skipped,
        "windows": about.windows,
        "errors": about.errors,
        "withheld": withheld,
    }


def _told(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that have a prediction."""
    number = pl.col(model.predicted).cast(pl.Float64)
    return rows.filter(number.is_not_null() & number.is_finite())
