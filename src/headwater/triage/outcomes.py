"""What became of a model's predictions, window by window: changes of the world are read from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.project import Model
from headwater.stats.alarms.eprocess import STEEP
from headwater.stats.outcomes.performance import expected_log_loss, log_loss
from headwater.stats.outcomes.regression import Sizes, difficulty, pooled
from headwater.stats.outcomes.segments import Column, cut
from headwater.stats.outcomes.task_loss import task_loss

Floats = npt.NDArray[np.float64]

DOWNWARD = tuple(-bet for bet in STEEP)
BOTH = (*DOWNWARD, *STEEP)
STREAMS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "binary": {"excess": STEEP, "error": BOTH},
    "regression": {"mae": STEEP, "bias": BOTH},
    "ranking": {"ndcg": DOWNWARD},
}
"""Residuals of a window by task, and the bets on how they may shift."""
TOLD: Mapping[str, str] = {
    "excess": "the loss beyond what the predictions lead to expect",
    "error": "outcomes less predictions",
    "mae": "the mean absolute error",
    "bias": "predictions less outcomes",
    "ndcg": "the NDCG",
}
MOST_ROWS = 40_000
"""Rows of all windows together beyond which windows are thinned evenly."""
_TINY = 1e-12


def _no_rows(key: str) -> pl.DataFrame | None:
    return None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A model's past and present as far as it is known.

    Attributes:
        windows: Label-mature windows, oldest first.
        values: Performance by window, see `headwater.mlops.outcome.performance`.
        accepted: Those of the windows that the past may be learned from.
        scored: All windows that were scored and may be learned from, oldest first, labelled or not.
        rows: The prediction log of a window with the outcome, null where it is not known; None where there is none, or
            where rows are out of sight.
    """

    windows: tuple[str, ...]
    values: Mapping[str, Mapping[str, Any]]
    accepted: frozenset[str]
    scored: tuple[str, ...] = ()
    rows: Callable[[str], pl.DataFrame | None] = _no_rows

    def out_of_sight(self) -> Outcomes:
        """Return what a tool knows that sees metrics and no rows."""
        return replace(self, rows=_no_rows)

    def stream(self, metric: str, keys: Sequence[str]) -> Floats:
        """Return a residual by window; NaN where it was not measured.

        Sizes of errors come as logarithms, as they would be were predictions of the usual sizes.
        """
        found = [_residual(metric, self.values.get(key, {})) for key in keys]
        if metric == "mae":
            usual = pooled(self._errors(key) for key in self.accepted)
            found = [
                value - math.log(difficulty(self._errors(key), usual)) for value, key in zip(found, keys, strict=True)
            ]
        return np.array(found, dtype=np.float64)

    def _errors(self, key: str) -> Sizes:
        return self.values.get(key, {}).get("errors") or {}


def _residual(metric: str, values: Mapping[str, Any]) -> float:
    if metric == "error":
        return float(values.get("base_rate", math.nan)) - float(values.get("mean_p", math.nan))
    value = float(values.get(metric, math.nan))
    return math.log(max(value, _TINY)) if metric == "mae" and math.isfinite(value) else value


def in_own_unit(metric: str, shift: float, usual: float) -> tuple[float, float]:
    """Return how far a residual moved and from where, in the unit that its metric is told in everywhere else.

    Example:
        >>> shift, usual = in_own_unit("mae", math.log(20 / 4), math.log(4))
        >>> round(shift, 6), round(usual, 6), in_own_unit("bias", 0.5, -1.0)
        (16.0, 4.0, (0.5, -1.0))
    """
    if metric != "mae":
        return shift, usual
    return math.exp(usual + shift) - math.exp(usual), math.exp(usual)


@dataclass(frozen=True, slots=True)
class Table:
    """Judged rows of some windows, one after another.

    Attributes:
        frame: The prediction log's rows.
        told: What was predicted.
        outcome: What became of it; NaN where that is not known.
        windows: Window of each row, numbered from 0 in order of ``keys``.
        keys: The windows.
        recent: By window: whether it is one of those in question.
    """

    frame: pl.DataFrame
    told: Floats
    outcome: Floats
    windows: npt.NDArray[np.intp]
    keys: tuple[str, ...]
    recent: npt.NDArray[np.bool_]

    @property
    def in_question(self) -> npt.NDArray[np.bool_]:
        """By row: whether its window is one of those in question."""
        return np.asarray(self.recent[self.windows])

    def known(self) -> Table:
        """Return the rows whose outcome is known."""
        there = np.isfinite(self.outcome) & np.isfinite(self.told)
        return replace(
            self,
            frame=self.frame.filter(pl.Series(there)),
            told=self.told[there],
            outcome=self.outcome[there],
            windows=self.windows[there],
        )


def table(outcomes: Outcomes, model: Model, earlier: Sequence[str], recent: Sequence[str]) -> Table | None:
    """Put the rows of windows together, thinned evenly where they are many; None where a side has none."""
    each = max(1, MOST_ROWS // max(1, len(earlier) + len(recent)))
    frames: list[pl.DataFrame] = []
    keys: list[str] = []
    flags: list[bool] = []
    for key, new in [*((key, False) for key in earlier), *((key, True) for key in recent)]:
        rows = outcomes.rows(key)
        if rows is None or not rows.height or model.predicted not in rows.columns or model.outcome not in rows.columns:
            continue
        if model.task != "ranking":
            rows = rows.gather_every(max(1, -(-rows.height // each)))
        frames.append(rows.with_columns(pl.lit(len(keys), dtype=pl.Int64).alias("\0window")))
        keys.append(key)
        flags.append(new)
    if not any(flags) or all(flags):
        return None
    frame = pl.concat(frames, how="diagonal_relaxed")
    told, outcome = (_numbers(frame[name]) for name in (model.predicted, model.outcome))
    windows = frame["\0window"].to_numpy().astype(np.intp)
    return Table(frame.drop("\0window"), told, outcome, windows, tuple(keys), np.array(flags))


def _numbers(column: pl.Series) -> Floats:
    number = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return np.asarray(number, dtype=np.float64)


def losses(model: Model, rows: Table) -> tuple[Table, Floats, Floats]:
    """Return the rows that are judged (one of each query for a ranking), their loss, and its part that was expected.

    Only probabilities say what loss to expect; for other tasks that part is 0.
    """
    queries = rows.frame[model.query].to_list() if model.task == "ranking" else None
    if queries is not None:
        queries = [f"{window} {query}" for window, query in zip(rows.windows.tolist(), queries, strict=True)]
    loss, at = task_loss(model.task, rows.outcome, rows.told, queries)
    judged = replace(rows, frame=rows.frame[at], told=rows.told[at], outcome=rows.outcome[at], windows=rows.windows[at])
    expected = expected_log_loss(judged.told) if model.task == "binary" else np.zeros(len(loss))
    return judged, loss, expected


def score_of(model: Model, metric: str, rows: Table) -> tuple[Floats, Floats]:
    """Return each row's score for a shift of a residual, and its information; see `stats.outcomes.slices`."""
    if model.task == "binary":
        p = np.clip(rows.told, 1e-6, 1 - 1e-6)
        spread = p * (1 - p)
        if metric == "error":
            return rows.outcome - p, spread
        return log_loss(rows.outcome, p) - expected_log_loss(p), spread * np.log(p / (1 - p)) ** 2 + 1e-6
    if metric == "bias":
        return rows.told - rows.outcome, np.ones(len(rows.told))
    loss = np.abs(rows.told - rows.outcome)
    return loss, np.ones(len(loss))


def columns_of(model: Model, rows: Table) -> list[Column]:
    """Cut what a slice may be made of: groups, carried columns, features; numbers into fifths of the earlier rows."""
    found = []
    old = ~rows.in_question
    for name in dict.fromkeys([*model.groups, *model.carry, *model.columns]):
        if name not in rows.frame.columns or name in (model.entity, model.query):
            continue
        values = rows.frame[name]
        if values.dtype.is_temporal():
            continue
        if values.dtype.is_numeric() and not values.dtype.is_decimal():
            number = _numbers(values)
            known = number[old & np.isfinite(number)]
            few = len(np.unique(known[:5000])) <= 12
            edges = None if few or not len(known) else np.quantile(known, np.arange(1, 5) / 5).tolist()
            found.append(cut(name, number, edges))
        elif values.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
            found.append(_texts(name, values.cast(pl.String)))
    return found


def _texts(name: str, values: pl.Series) -> Column:
    known = values.fill_null("null")
    most = known.value_counts(sort=True).sort("count", name, descending=[True, False]).head(40)[name].to_list()
    codes = known.replace_strict(most, list(range(len(most))), default=-1, return_dtype=pl.Int16)
    return Column(name, codes.to_numpy(), tuple(most))
