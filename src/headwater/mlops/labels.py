"""Join the prediction log to labels that come late, in parts, twice, or corrected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from headwater.core.errors import DataError
from headwater.core.project import Task

SOUND: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "binary": lambda number: number.is_in([0.0, 1.0]),
    "regression": lambda number: number.is_finite(),
    "ranking": lambda number: number.is_finite() & (number >= 0),
}
WANTED = {"binary": "0 or 1", "regression": "a finite number", "ranking": "a relevance of 0 or more"}
"""What an outcome of each task must be, as a test of its number and in words."""


def known(
    labels: pl.DataFrame, entity: str, outcome: str, received: str | None = None, task: Task = "binary"
) -> pl.DataFrame:
    """Return one row per entity whose outcome is known, with the outcome as Int64 (Float64 where it is no class).

    The same label twice is one label. Rows without an outcome are labels still to come.

    Args:
        labels: The label build's rows.
        entity: The column that identifies a row.
        outcome: The label column: 0, 1, true, false, or null; for regression any finite number or null, for ranking a
            relevance of 0 or more.
        received: A column to order by when an entity has several labels: the last one is the correction and counts.
            None: labels that contradict each other are an error.
        task: What the outcome is an outcome of.

    Raises:
        DataError: a column is missing, an outcome is none of its task, or labels contradict each other.
    """
    for name in (entity, outcome, *([received] if received else [])):
        if name not in labels.columns:
            raise DataError(f"labels have no column `{name}`", hint=f"they have {', '.join(labels.columns)}")
    if not (labels[outcome].dtype.is_numeric() or labels[outcome].dtype in (pl.Boolean, pl.Null)):
        wanted = "0, 1 or null" if task == "binary" else "a number or null"
        raise DataError(f"the outcome `{outcome}` is {labels[outcome].dtype}", hint=f"make it {wanted}")
    there = labels.filter(pl.col(outcome).is_not_null() & pl.col(entity).is_not_null())
    number = pl.col(outcome).cast(pl.Float64)
    strange = there.filter(~SOUND[task](number))
    if strange.height:
        raise DataError(
            f"the outcome `{outcome}` is not {WANTED[task]} in {strange.height} of {there.height} labels, "
            f"e.g. {strange[outcome][0]} for {strange[entity][0]}"
        )
    there = there.with_columns(number.cast(pl.Int64) if task == "binary" else number)
    if received:
        return there.sort(received, maintain_order=True).unique(entity, keep="last", maintain_order=True)
    values = there.group_by(entity, maintain_order=True).agg(pl.col(outcome).n_unique())
    torn = values.filter(pl.col(outcome) > 1)
    if torn.height:
        raise DataError(
            f"{torn.height} of {values.height} entities have labels that contradict each other, "
            f"e.g. `{entity}` {torn[entity][0]} is both {_both(there, entity, outcome, torn[entity][0])}",
            doing=f"joining labels on `{entity}`",
            hint="deliver the label window again with one label per entity; a corrected label replaces the first",
        )
    return there.unique(entity, keep="last", maintain_order=True)


def realised(
    predictions: pl.DataFrame,
    labels: pl.DataFrame | None,
    entity: str,
    outcome: str,
    received: str | None = None,
    task: Task = "binary",
) -> pl.DataFrame:
    """Join predictions to what became of them.

    Every prediction is kept, in order, once; the outcome and the label's other columns are null where no label has
    come. A column that both have is the prediction log's. Labels of entities that were not scored are left out.

    Args:
        predictions: The prediction log's rows.
        labels: The label build's rows; None: none have come.
        entity: The column that joins them.
        outcome: The label column.
        received: See `known`.
        task: See `known`.

    Raises:
        DataError: see `known`; also when the entity's types cannot be joined or the log holds the outcome itself.
    """
    if entity not in predictions.columns:
        raise DataError(f"predictions have no column `{entity}`")
    if outcome in predictions.columns:
        raise DataError(
            f"the prediction log holds the outcome `{outcome}`", hint="a served feature must not be the label"
        )
    if labels is None:
        return predictions.with_columns(pl.lit(None, dtype=pl.Int64 if task == "binary" else pl.Float64).alias(outcome))
    truth = known(labels, entity, outcome, received, task)
    extra = [name for name in truth.columns if name not in predictions.columns]
    try:
        return predictions.join(truth.select(entity, *extra), on=entity, how="left", maintain_order="left")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"predictions and labels do not join: `{entity}` is {predictions[entity].dtype} in predictions "
            f"and {labels[entity].dtype} in labels",
            hint="give both the same type",
        ) from error


def _both(labels: pl.DataFrame, entity: str, outcome: str, one: Any) -> str:
    values = labels.filter(pl.col(entity) == one)[outcome].unique().sort().head(2)
    return " and ".join(f"{value:g}" for value in values)


def maturity(rows: pl.DataFrame, outcome: str) -> float:
    """Return the share of rows whose outcome is known, 0 to 1; NaN when there are no rows."""
    return float(rows[outcome].is_not_null().mean()) if rows.height else float("nan")  # type: ignore[arg-type]
