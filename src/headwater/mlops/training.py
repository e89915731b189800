"""Train a model version: which windows may be read, what is held out, what comes back, how good it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError, ModelError, Quarantined, UsageError
from headwater.core.project import Model, Project
from headwater.mlops.labels import SOUND, WANTED
from headwater.mlops.quarantine import Quarantine
from headwater.mlops.serving import scored
from headwater.stats.outcomes import ranking, regression
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.performance import auc, brier, calibration_line, log_loss

HELD_OUT = 0.2
_TEXT = 200


@dataclass(frozen=True, slots=True)
class Trained:
    """A freshly trained model.

    Attributes:
        parts: The parts that the project's train function returned.
        params: Seed, row counts, the windows trained on and held out, and the settings of each part, as plain values.
        metrics: ``log_loss``, ``auc``, ``brier``, ``slope`` (of calibration), ``base_rate`` and ``n`` on the held-out
            windows, ``log_loss_low`` and ``log_loss_high`` (95 % t interval over windows); what is not defined is left
            out. For other tasks what `stats.outcomes.regression.measure` or `stats.outcomes.ranking.measure` returns,
            with windows as blocks.
        columns: Feature columns, in the model's order.
        rows: Number of rows trained on.
        holdout: The windows that were held out, in order; the trainer has not seen them.
    """

    parts: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    columns: tuple[str, ...]
    rows: int
    holdout: tuple[str, ...]


WINDOW = "_window"
"""Column that holds a row's window key where rows of several windows are in one frame."""


def train(
    project: Project,
    model: Model,
    frame: pl.DataFrame,
    seed: int,
    windows: Sequence[str] | pl.Series | None = None,
) -> Trained:
    """Train on the first 80 % of the windows and measure on the last 20 %.

    The metrics are of windows after the training windows, as in life; they still flatter when the project's train
    function was tuned on these very windows.

    Args:
        project: The project.
        model: The model of it to train.
        frame: Features joined with labels, a row per entity. Rows without an outcome are left out.
        seed: Passed to the project's train function.
        windows: The window key of each row; None: the frame's ``_window`` column, or else cut by the event-time column
            of the feature view.

    Raises:
        ModelError: too little to train on, the train function fails, or what it returns cannot score.
        DataError: a column is missing or the outcome is none of the model's task.
    """
    rows, keys = _prepared(project, model, frame, windows)
    held = sorted(keys.unique())[-max(1, round(HELD_OUT * keys.n_unique())) :]
    late = keys.is_in(held)
    past, recent = rows.filter(~late), rows.filter(late)
    parts = _parts(model, past, seed)
    served = _served(model, recent.drop(model.outcome))
    answers = scored(model.score, parts, served, model.task)
    metrics = _metrics(model, recent, answers, keys.filter(late).to_list())
    params = {
        "seed": seed,
        "rows": past.height,
        "held_out_rows": recent.height,
        "first_window": keys.min(),
        "last_window": keys.filter(~late).max(),
        "held_out_first": held[0],
        "held_out_last": held[-1],
        **_settings(parts),
    }
    if model.task == "binary":
        metrics["decision_rate"] = float(answers[1].mean())  # type: ignore[arg-type]
    return Trained(parts, params, metrics, model.columns, past.height, tuple(held))


def training_windows(
    requested: Sequence[str], quarantine: Quarantine, datasets: Sequence[str], *, skip_quarantined: bool = False
) -> list[str]:
    """Return the windows that may be trained on.

    Args:
        requested: Window keys asked for, sorted.
        quarantine: What is quarantined.
        datasets: Everything that training would read, upstream included, by reference or bare name.
        skip_quarantined: Leave quarantined windows out instead of refusing.

    Raises:
        Quarantined: a requested window is quarantined, or every one is and all were to be skipped.

    Example:
        >>> from headwater.mlops.quarantine import Range
        >>> held = Quarantine()
        >>> held.set(Range("weather", "2013-03-02", "2013-03-03"))
        >>> training_windows(["2013-03-01", "2013-03-02"], held, ["weather"], skip_quarantined=True)
        ['2013-03-01']
    """
    bad = quarantine.windows(datasets, requested)
    if not bad:
        return list(requested)
    named = [str(held) for held in dict.fromkeys(bad.values())]
    if not skip_quarantined:
        raise Quarantined(
            f"{len(bad)} of {len(requested)} windows to train on are quarantined: {'; '.join(named)}",
            doing=f"reading {requested[0]}..{requested[-1]} for training",
            hint="leave them out with --skip-quarantined, or repair them and lift the quarantine",
        )
    kept = [key for key in requested if key not in bad]
    if not kept:
        raise Quarantined(
            f"every window to train on is quarantined: {'; '.join(named)}",
            hint="train on other windows, or repair these and lift the quarantine",
        )
    return kept


def _prepared(
    project: Project, model: Model, frame: pl.DataFrame, windows: Sequence[str] | pl.Series | None
) -> tuple[pl.DataFrame, pl.Series]:
    missing = [name for name in _needed(model) if name not in frame.columns]
    if missing:
        raise DataError(
            f"the training frame of model `{model.name}` lacks `{'`, `'.join(missing)}`",
            hint=f"it has {', '.join(frame.columns)}",
        )
    keys = _keys(project, model, frame) if windows is None else pl.Series("window", list(windows), dtype=pl.String)
    frame = frame.drop(WINDOW, strict=False)
    if len(keys) != frame.height:
        raise UsageError(f"{len(keys)} window keys do not fit {frame.height} rows")
    usable = frame[model.outcome].is_not_null() & keys.is_not_null()
    rows, keys = frame.filter(usable), keys.filter(usable)
    wrong = ~rows.select(SOUND[model.task](pl.col(model.outcome).cast(pl.Float64))).to_series()
    if wrong.any():
        what = WANTED[model.task]
        raise DataError(f"the outcome `{model.outcome}` is not {what} in {int(wrong.sum())} of {rows.height} rows")
    if rows[model.outcome].n_unique() < 2 or keys.n_unique() < 2:
        raise ModelError(
            f"model `{model.name}` cannot be trained on {rows.height} labelled rows of {keys.n_unique()} windows "
            f"with {rows[model.outcome].n_unique()} kinds of outcome",
            hint="train on a longer range, or deliver its labels first",
        )
    return rows, keys


def _needed(model: Model) -> list[str]:
    return [model.entity, model.outcome, *model.columns, *([model.query] if model.query else [])]


def _keys(project: Project, model: Model, frame: pl.DataFrame) -> pl.Series:
    if WINDOW in frame.columns:
        return frame[WINDOW]
    time = project.assets[model.features].time
    if time is None or time not in frame.columns:
        raise UsageError(
            f"the windows of model `{model.name}`'s training rows are not known",
            hint=f"give feature view `{model.features}` an event-time column, or pass a window key for each row",
        )
    daily = project.every == "1d"
    local = pl.col(time).dt.convert_time_zone(project.timezone if daily else "UTC")
    return frame.select(local.dt.strftime("%Y-%m-%d" if daily else "%Y-%m-%dT%H").alias("window")).to_series()


def _parts(model: Model, frame: pl.DataFrame, seed: int) -> Mapping[str, Any]:
    try:
        parts = model.train(frame, seed)
    except HeadwaterError:
        raise
    except Exception as error:
        raise ModelError(
            f"training model `{model.name}` fails: {type(error).__name__}: {error}",
            doing=f"training on {frame.height} rows with seed {seed}",
        ) from error
    if not isinstance(parts, Mapping) or not parts or not all(isinstance(name, str) and name for name in parts):
        raise ModelError(
            f"the train function of model `{model.name}` returned {_described(parts)}",
            hint="return its parts by name, e.g. {'model': model, 'threshold': 0.3}",
        )
    return parts


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a mapping with the names {list(value)}"
    return "nothing" if value is None else f"a {type(value).__name__}"


def _served(model: Model, features: pl.DataFrame) -> pl.DataFrame:
    try:
        served = features if model.serve is None else model.serve(features)
    except HeadwaterError:
        raise
    except Exception as error:
        raise ModelError(
            f"serving the features of model `{model.name}` fails: {type(error).__name__}: {error}"
        ) from error
    if served.height != features.height:
        raise ModelError(
            f"serving turns {features.height} feature rows into {served.height}", hint="serve one row per entity"
        )
    return served


def _metrics(model: Model, rows: pl.DataFrame, answers: Sequence[pl.Series], keys: Sequence[str]) -> dict[str, float]:
    outcome, told = rows[model.outcome].cast(pl.Float64).to_numpy(), answers[0].to_numpy()
    if model.task == "binary":
        return _of_classes(outcome, told, keys)
    windows = {"windows": float(len(set(keys))), "n": float(len(keys))}
    if model.task == "ranking":
        return ranking.measure(outcome, told, rows[model.query].to_list(), blocks=keys) | windows
    ends = [column.to_numpy() for column in answers[1:]]
    low, high = ends if ends else (None, None)
    return regression.measure(outcome, told, low=low, high=high, interval=model.interval, blocks=keys) | windows


def _of_classes(outcome: np.ndarray, p: np.ndarray, keys: Sequence[str]) -> dict[str, float]:
    y = outcome
    loss = log_loss(y, p)
    by_window = (
        pl.DataFrame({"key": list(keys), "loss": loss}).group_by("key", maintain_order=True).agg(pl.mean("loss"))
    )
    spread = t_interval(by_window["loss"].to_numpy())
    found = {
        "log_loss": float(loss.mean()),
        "log_loss_low": spread.low,
        "log_loss_high": spread.high,
        "auc": auc(y, p),
        "brier": brier(y, p),
        "slope": calibration_line(y, p)[1],
        "base_rate": float(y.mean()),
        "n": float(len(y)),
        "windows": float(by_window.height),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _settings(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return each part's settings: the value of a plain part, ``get_params()`` of an estimator."""
    found: dict[str, Any] = {}
    for name, part in parts.items():
        settings = part.get_params() if callable(getattr(part, "get_params", None)) else None
        if isinstance(settings, Mapping):
            found |= {f"{name}.{key}": value for key, value in sorted(settings.items()) if _plain(value)}
        elif _plain(part):
            found[name] = part
    return found


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= _TEXT)
