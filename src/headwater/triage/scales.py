"""Predictions and outcomes of any task on the scale of a probability, so that one limit tells what matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from headwater.core.project import Model
from headwater.stats.outcomes.displacement import places, span
from headwater.triage.replay import Replay

REFERENCE_WINDOWS, REFERENCE_ROWS = 14, 1000
"""The span of predictions is taken over so many windows before, or until so many rows were seen."""
_LEAST = 30
_NOISE = 1e-9


def on_scale(
    replay: Replay, model: Model, target: str, key: str, before: pl.DataFrame, after: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Return both frames with what they predict (or tell) put on the scale, and the columns to compare.

    A probability and a class stay as they are. A number is divided by the span (1st to 99th percentile) of the same
    column in the windows before, a score becomes its place within the query.

    Args:
        replay: Where the windows before are read.
        model: The model.
        target: Its prediction log, or its label build.
        key: The window.
        before: The window as observed.
        after: The window as replayed.
    """
    columns = model.answers if target == model.predictions else (model.outcome,)
    column = columns[0]
    if model.task == "binary" or not all(column in frame.columns for frame in (before, after)):
        return before, after, columns
    if model.task == "ranking" and column == model.predicted:
        return _placed(model, before), _placed(model, after), columns
    unit = unit_of(replay, target, key, column, (before, after))
    left, right = (frame.with_columns(_number(column) / unit) for frame in (before, after))
    return left, right, columns


def unit_of(replay: Replay, target: str, key: str, column: str, own: Sequence[pl.DataFrame]) -> float:
    """Return the span of a column in the windows before ``key``; of the window itself where they are too few."""
    seen: list[np.ndarray] = []
    window = replay.calendar.window(key)
    for _ in range(REFERENCE_WINDOWS):
        if sum(map(len, seen)) >= REFERENCE_ROWS:
            break
        window = replay.calendar.shift(window, -1)
        frame = replay.observed(target, window.key)
        if frame is not None and column in frame.columns:
            seen.append(_values(frame, column))
    if sum(map(len, seen)) < _LEAST:
        seen += [_values(frame, column) for frame in own]
    values = np.concatenate(seen) if seen else np.zeros(0)
    unit = span(values)
    # Where all were alike, any difference beyond rounding is a whole one.
    return unit if unit > 0 else max(_NOISE * float(np.abs(values).max(initial=0.0)), _NOISE)


def _placed(model: Model, frame: pl.DataFrame) -> pl.DataFrame:
    if model.query not in frame.columns:
        return frame
    score = frame[model.predicted].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return frame.with_columns(pl.Series(model.predicted, places(score, frame[model.query].to_list())))


def _values(frame: pl.DataFrame, column: str) -> np.ndarray:
    found = frame.select(_number(column)).to_series().drop_nulls()
    return found.filter(found.is_finite()).to_numpy()


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64, strict=False)
