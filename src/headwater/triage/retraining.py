"""What training again would gain at least: the windows of a changed world, recalibrated on one another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import HeadwaterError
from headwater.core.project import Model
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.task_loss import task_loss
from headwater.triage.case import Case

Numbers = npt.NDArray[np.float64]
FEWEST = 3
"""Label-mature windows of the change without which nothing can be said."""
MOST = 28
_CLIP = 1e-6
_RIDGE = 1.0  # rows that speak for leaving predictions as they are
_STEPS = 25


class Retrained(NamedTuple):
    """What a model that knew of the change would have gained on the windows since.

    Attributes:
        money: Cost of the decisions as made less cost of the recalibrated ones, in the model's unit; None without a
            cost function, or where decisions do not follow the predictions by a threshold.
        low: Lower bound of ``money`` (95 %, over windows).
        high: Upper bound.
        nearer: Mean change of the predictions on the scale of a probability, where it lowers the loss; else 0.
        windows: Windows it was tried on.
    """

    money: float | None
    low: float
    high: float
    nearer: float
    windows: int


def retrained(case: Case, model: Model, since: str) -> Retrained | None:
    """Say what training again on the windows since a change would have gained at least.

    Nothing is trained: each window's predictions are recalibrated (a line on the log odds, or on the number) by the
    other windows since the change, and compared on its own labels. So it is a lower bound of sorts: it sees what is
    wrong with the level and the sharpness of predictions, not with their order. Misleads where the windows differ among
    themselves, and for a change that is still going on.

    Args:
        case: The case; its model's outcomes are read.
        model: The model.
        since: First window of the change.

    Returns:
        The gain; None with fewer than three label-mature windows, and for a ranking.
    """
    outcomes = case.outcomes.get(model.name)
    if outcomes is None or model.task == "ranking":
        return None
    found = [rows.drop_nulls([model.outcome, model.predicted]) for key in outcomes.windows
             if key >= since and (rows := outcomes.rows(key)) is not None][-MOST:]  # fmt: skip
    found = [rows for rows in found if rows.height and (model.task != "binary" or "decision" in rows.columns)]
    if len(found) < FEWEST:
        return None
    told = [rows[model.predicted].cast(pl.Float64).to_numpy() for rows in found]
    truth = [rows[model.outcome].cast(pl.Float64).to_numpy() for rows in found]
    again = [_recalibrated(model, told, truth, place) for place in range(len(found))]
    better = [
        float(np.mean(task_loss(model.task, y, new).loss - task_loss(model.task, y, old).loss))
        for y, old, new in zip(truth, told, again, strict=True)
    ]
    scale = 1.0 if model.task == "binary" else max(float(np.std(np.concatenate(told))), _CLIP)
    moved = float(np.mean(np.concatenate([np.abs(new - old) for new, old in zip(again, told, strict=True)]))) / scale
    nearer = min(1.0, moved) if t_interval(np.array(better)).high < 0 else 0.0
    gains = _gains(case, model, found, again)
    if gains is None:
        return Retrained(None, 0.0, 0.0, nearer, len(found))
    mean = t_interval(np.array(gains))
    return Retrained(sum(gains), mean.low * len(gains), mean.high * len(gains), nearer, len(found))


def _recalibrated(model: Model, told: list[Numbers], truth: list[Numbers], place: int) -> Numbers:
    """Recalibrate one window's predictions by the others'."""
    others = [index for index in range(len(told)) if index != place]
    x, y = (np.concatenate([side[index] for index in others]) for side in (told, truth))
    if model.task != "binary":
        design = np.column_stack([np.ones(len(x)), x - x.mean()])
        level, slope = np.linalg.lstsq(design, y, rcond=None)[0]
        return np.asarray(level + slope * (told[place] - x.mean()))
    a, b = _line(_logit(x), y)
    return np.asarray(1 / (1 + np.exp(-np.clip(a + b * _logit(told[place]), -30, 30))))


def _line(z: Numbers, y: Numbers) -> tuple[float, float]:
    """Fit a line on the log odds by Newton's steps, held a little to where predictions stay as they are."""
    design, start = np.column_stack([np.ones(len(z)), z]), np.array([0.0, 1.0])
    weights = start.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (y - p) - _RIDGE * (weights - start)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-8:
            break
    return float(weights[0]), float(weights[1])


def _logit(p: Numbers) -> Numbers:
    held = np.clip(p, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(held / (1 - held)))


def _gains(case: Case, model: Model, found: list[pl.DataFrame], again: list[Numbers]) -> list[float] | None:
    """Price the decisions as made less those that follow from the new predictions, by window."""
    if model.cost is None:
        return None
    limit = _threshold(pl.concat([rows.select("p", "decision") for rows in found])) if model.task == "binary" else 0.0
    if limit is None:
        return None
    log = [model.entity, *model.columns, *model.carry, *model.answers]
    gains = []
    for rows, new in zip(found, again, strict=True):
        made = rows.select([name for name in rows.columns if name in log])
        labels = rows.select(model.entity, *[name for name in rows.columns if name not in log])
        changed = made.with_columns(pl.Series(model.predicted, new))
        if model.task == "binary":
            changed = changed.with_columns((pl.Series(new) >= limit).cast(made.schema["decision"]).alias("decision"))
        truth = rows[model.outcome].cast(pl.Float64)
        try:
            paid = case.price(model, made, truth, labels) - case.price(model, changed, truth, labels)
        except HeadwaterError:
            return None
        gains.append(float(paid.fill_null(0.0).sum()))
    return gains


def _threshold(rows: pl.DataFrame) -> float | None:
    """Return the probability from which the decision is 1; None where no threshold tells decisions apart."""
    low = rows.filter(pl.col("decision") == 0)["p"].cast(pl.Float64).max()
    high = rows.filter(pl.col("decision") == 1)["p"].cast(pl.Float64).min()
    if low is None or high is None or float(low) > float(high):  # type: ignore[arg-type]
        return None
    return (float(low) + float(high)) / 2  # type: ignore[arg-type]
