"""What each group of entities got: mergeable sums of a window, its gaps, and what may lie behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from headwater.core.project import Model
from headwater.mlops.labels import realised
from headwater.stats.outcomes.displacement import places
from headwater.stats.outcomes.fairness import NONE, Cells, Sums, gaps, groups, merge, standard_error

METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": ("selection", "tpr", "fpr", "calibration"),
    "regression": ("bias", "mae"),
    "ranking": ("place", "relevant_place"),
}
"""What is compared between groups, by task.

``selection`` is the share with decision 1, ``tpr`` and ``fpr`` that share among outcomes 1 and 0, ``calibration`` the
mean of outcome - p; ``bias`` the mean of prediction - outcome, ``mae`` of its size; ``place`` is the mean place in the
query from 0 (first) to 1 (last), ``relevant_place`` that of what is relevant.
"""
CAUSES = ("null", "late")
"""What may lie behind a gap, per group: null feature cells (a key that misses leaves nulls), rows without a label."""
POOLED = 14
"""Windows over which intersections are counted together."""
MOST = 20
"""Values of a group column that are followed, the most frequent ones."""
_LEAST = 10  # rows of a group in one window below which the window says nothing of it
_SHOWN = 5


def fairness(
    model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None, past: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the values of ``fairness`` evidence for one window.

    ``n``, ``matured``, ``maturity``; ``columns`` and ``cells``, the sums from which any later question is answered;
    for each group of at least 10 rows and each metric ``gap.<metric>.<column>=<value>``, the group less the rest, and
    ``se.<metric>.<column>=<value>``, its standard error; ``intersections``, the five groups or intersections over this
    and the past windows whose shrunk gap is largest among those whose interval leaves out 0; ``nulls``, the feature
    with the largest gap in nulls for each group that has one.

    Args:
        model: The model, with ``groups``.
        predictions: The window's prediction log.
        labels: The label build's rows; None when none have come.
        past: Values of the evidence of earlier windows, for the intersections.

    Raises:
        DataError: see `headwater.mlops.labels.realised`.
    """
    rows = realised(predictions, labels, model.entity, model.outcome, task=model.task)
    matured = int(rows[model.outcome].is_not_null().sum())
    cells = cells_of(model, rows)
    columns = list(model.groups)
    values: dict[str, Any] = {"n": rows.height, "matured": matured, "columns": columns}
    if rows.height:
        values["maturity"] = matured / rows.height
    values |= _gaps(model, cells)
    pooled = merge([cells, *(parsed(item) for item in past if item.get("columns") == columns)])
    clear = [gap for gap in gaps(pooled, columns, METRICS[model.task]) if gap.gap.low > 0 or gap.gap.high < 0]
    values["intersections"] = [
        {"group": gap.name, "metric": gap.metric, "rows": gap.rows, "rate": gap.rate.value, "gap": gap.gap.value,
         "low": gap.gap.low, "high": gap.gap.high, "shrunk": gap.shrunk}
        for gap in sorted(clear, key=lambda gap: -abs(gap.shrunk))[:_SHOWN]
    ]  # fmt: skip
    values["nulls"] = _nulls(model, rows)
    values["cells"] = [[list(cell), {name: list(sums) for name, sums in own.items()}] for cell, own in cells.items()]
    return values


def parsed(values: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, Sums]]:
    """Read the cells of ``fairness`` evidence back."""
    return {tuple(cell): {name: Sums(*sums) for name, sums in own.items()} for cell, own in values.get("cells", ())}


def cells_of(model: Model, rows: pl.DataFrame) -> dict[tuple[str, ...], dict[str, Sums]]:
    """Sum up a window's rows (prediction log with outcomes) for each combination of the group columns' values.

    A value beyond the 20 most frequent of its column counts as ``(other)``, a null as ``(null)``.
    """
    if not rows.height:
        return {}
    keys = [_named(rows[name]).alias(f"\0{index}") for index, name in enumerate(model.groups)]
    series = _series(model, rows)
    sums = [
        expr
        for name in series.columns
        for expr in (
            pl.col(name).count().alias(f"{name}\0n"),
            pl.col(name).sum().alias(f"{name}\0total"),
            (pl.col(name) ** 2).sum().alias(f"{name}\0squares"),
        )
    ]
    found = series.with_columns(keys).group_by([key.name for key in keys], maintain_order=True).agg(sums)
    cells = {}
    for row in found.sort([key.name for key in keys]).iter_rows(named=True):
        cell = tuple(row[key.name] for key in keys)
        cells[cell] = {
            name: Sums(*(float(row[f"{name}\0{part}"]) for part in ("n", "total", "squares")))
            for name in series.columns
            if row[f"{name}\0n"]
        }
    return cells


def _series(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """One column per metric, null in rows that the metric is not of."""
    y = pl.col(model.outcome).cast(pl.Float64)
    told = pl.col(model.predicted).cast(pl.Float64)
    late, features = y.is_null().cast(pl.Float64), [pl.col(name).is_null() for name in model.columns]
    common = {"null": pl.mean_horizontal(features) if features else pl.lit(0.0), "late": late}
    if model.task == "binary":
        chosen = pl.col("decision").cast(pl.Float64)
        found = {
            "selection": chosen,
            "tpr": pl.when(y == 1).then(chosen),
            "fpr": pl.when(y == 0).then(chosen),
            "calibration": y - told,
        }
    elif model.task == "regression":
        found = {"bias": told - y, "mae": (told - y).abs()}
    else:
        place = pl.Series(places(rows[model.predicted].to_numpy(), rows[model.query].to_list()))
        found = {"place": pl.lit(place), "relevant_place": pl.when(y > 0).then(place)}
    return rows.select(**found, **common)


def _named(values: pl.Series) -> pl.Series:
    text = values.cast(pl.String, strict=False).fill_null("(null)")
    if text.n_unique() <= MOST:
        return text
    most = text.value_counts(sort=True).head(MOST)[text.name]
    return text.zip_with(text.is_in(most.implode()), pl.Series(["(other)"]).new_from_index(0, len(text)))


def _gaps(model: Model, cells: Cells) -> dict[str, float]:
    found: dict[str, float] = {}
    whole = merge({(): own} for own in cells.values()).get((), {})
    for ((column, value),), sums in groups(cells, model.groups).items():
        for metric in (*METRICS[model.task], *CAUSES):
            one = sums.get(metric, NONE)
            rest = whole.get(metric, NONE).minus(one)
            if one.n >= _LEAST and rest.n >= _LEAST:
                name = f"{metric}.{column}={value}"
                found[f"gap.{name}"] = one.mean - rest.mean
                if math.isfinite(error := standard_error(one, rest)):
                    found[f"se.{name}"] = error
    return found


def _nulls(model: Model, rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """For each group with more nulls than the rest, the feature in which the difference is largest."""
    holed = [name for name in model.columns if name in rows.columns and rows[name].null_count()]
    found: dict[str, dict[str, Any]] = {}
    for column in model.groups if holed else ():
        key = _named(rows[column]).alias("\0key")
        counts = rows.select(pl.col(holed).is_null().cast(pl.Float64), key).group_by("\0key").agg(
            pl.len().alias("\0rows"), pl.col(holed).sum()
        )  # fmt: skip
        whole, total = counts.select(pl.col(holed).sum()).row(0, named=True), rows.height
        for row in counts.sort("\0key").iter_rows(named=True):
            size = row["\0rows"]
            if size < _LEAST or total - size < _LEAST:
                continue
            gap = {name: row[name] / size - (whole[name] - row[name]) / (total - size) for name in holed}
            worst = max(gap, key=lambda name: gap[name])
            if gap[worst] > 0:
                found[f"{column}={row[chr(0) + 'key']}"] = {"feature": worst, "gap": gap[worst]}
    return found
