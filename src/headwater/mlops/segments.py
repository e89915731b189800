"""Search the newest labelled windows for segments that do otherwise than before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.project import Model
from headwater.mlops.labels import realised
from headwater.stats.outcomes.displacement import places
from headwater.stats.outcomes.performance import expected_log_loss, log_loss
from headwater.stats.outcomes.segments import Column, Segment, cut, find

RECENT, EARLIER = 14, 42
"""Windows that are compared with the windows before them."""
LEVEL = 0.05
"""Wanted false discovery rate of one search."""
_GROWS = ("loss", "error_size", "relevant_place")
"""Targets of which only a rise is told."""
MOST_ROWS = 400_000
"""Rows beyond which windows are thinned evenly: more rows tell no more of windows."""


def segments(model: Model, windows: Sequence[tuple[str, pl.DataFrame, pl.DataFrame | None]]) -> dict[str, Any]:
    """Return the values of ``segment`` evidence: what `stats.outcomes.segments.find` finds in the newest windows.

    Compared are, for a binary model, ``error`` (outcome - p, both ways) and ``loss`` (log loss beyond what p leads to
    expect); for a regression ``error`` and its ``error_size``; for a ranking the ``relevant_place`` (0 first, 1 last).
    Segments are made of the features, carried columns and groups: values, or fifths of the earlier windows' numbers.

    Args:
        model: The model.
        windows: (key, prediction log, labels) of label-mature windows, oldest first; the last `RECENT` are compared
            with those before.

    Returns:
        ``windows`` and ``earlier`` (their numbers), ``rows``, ``tested`` (segments that were candidates) and
        ``segments``, the clearest first, each with ``name``, ``target``, ``change``, ``error``, ``shrunk``, ``p``,
        ``rows`` and ``share``.
    """
    frames = [
        realised(log, labels, model.entity, model.outcome, task=model.task).with_columns(
            pl.lit(index, dtype=pl.Int32).alias("\0window")
        )
        for index, (_, log, labels) in enumerate(windows)
    ]
    rows = pl.concat(frames, how="diagonal_relaxed").filter(pl.col(model.outcome).is_not_null())
    since = max(0, len(windows) - RECENT)
    if rows.height > MOST_ROWS:
        rows = rows.gather_every(-(-rows.height // MOST_ROWS))
    values: dict[str, Any] = {"windows": len(windows) - since, "earlier": since, "rows": rows.height}
    if not rows.height:
        return values | {"tested": 0, "segments": []}
    at = rows["\0window"].to_numpy()
    columns = _columns(model, rows, at < since)
    found = find(_targets(model, rows), columns, at, range(since, len(windows)), level=LEVEL)
    told = [one for one in found if one.target not in _GROWS or one.change > 0]
    return values | {"tested": max((one.tested for one in found), default=0), "segments": [_plain(one) for one in told]}


def _plain(one: Segment) -> dict[str, Any]:
    numbers = ("target", "change", "error", "shrunk", "p", "rows", "share")
    return {"name": one.name, **{name: getattr(one, name) for name in numbers}}


def _columns(model: Model, rows: pl.DataFrame, before: Any) -> list[Column]:
    found = []
    for name in dict.fromkeys([*model.groups, *model.carry, *model.columns]):
        if name not in rows.columns or name in (model.entity, model.query) or rows[name].dtype.is_temporal():
            continue
        values = rows[name]
        if values.dtype.is_numeric() and not values.dtype.is_decimal():
            number = values.cast(pl.Float64).to_numpy()
            known = number[before & np.isfinite(number)]
            few = len(np.unique(known[:5000])) <= 12
            edges = None if few or not len(known) else np.quantile(known, np.arange(1, 5) / 5).tolist()
            found.append(cut(name, number, edges))
        elif values.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
            found.append(_texts(name, values.cast(pl.String)))
    return found


def _texts(name: str, values: pl.Series) -> Column:
    """Cut a column of texts; as `cut`, but without a Python object per row."""
    known = values.fill_null("null")
    most = known.value_counts(sort=True).sort("count", name, descending=[True, False]).head(40)[name].to_list()
    codes = known.replace_strict(most, list(range(len(most))), default=-1, return_dtype=pl.Int16)
    return Column(name, codes.to_numpy(), tuple(most))


def _targets(model: Model, rows: pl.DataFrame) -> Mapping[str, np.ndarray]:
    y, told = (rows[name].cast(pl.Float64).to_numpy() for name in (model.outcome, model.predicted))
    if model.task == "binary":
        return {"error": y - told, "loss": log_loss(y, told) - expected_log_loss(told)}
    if model.task == "regression":
        return {"error": y - told, "error_size": np.abs(y - told)}
    queries = rows.select(pl.format("{} {}", "\0window", model.query)).to_series().to_list()
    return {"relevant_place": np.where(y > 0, places(told, queries), np.nan)}
