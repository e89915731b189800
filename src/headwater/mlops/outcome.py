"""What became of predictions: performance of a window with intervals, and the business metric, realised or expected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError, ModelError
from headwater.core.project import Model
from headwater.mlops.labels import realised
from headwater.stats.outcomes import ranking, regression
from headwater.stats.outcomes.calibration import calibration, confidence
from headwater.stats.outcomes.intervals import Interval, t_interval, wilson
from headwater.stats.outcomes.latency import Latencies
from headwater.stats.outcomes.performance import auc, calibration_line, expected_log_loss, log_loss

_Z95 = 1.959963984540054
_MAX_LABEL_COLUMNS = 30


def performance(model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None) -> dict[str, Any]:
    """Return the values of ``performance`` evidence for one window.

    ``n`` scored rows, ``matured`` of them with an outcome, ``maturity`` their share. Over the matured rows:
    ``log_loss`` and ``expected_log_loss`` (what it would be were p right), their difference ``excess``, ``brier``,
    ``auc``, ``slope`` of calibration, ``accuracy``, ``precision``, ``recall``, ``base_rate``, ``mean_p``, their
    difference ``bias`` and ``decision_rate``; ``_low`` and ``_high`` of most are 95 % bounds. What is not defined (an
    AUC of one class) is left out. For other tasks the measures are those of `stats.outcomes.regression.measure`
    (``mae``, ``rmse``, ``bias``, ``r2``, ``slope`` ...), with ``errors`` by the size of the prediction
    (`errors_by_size` there), and `stats.outcomes.ranking.measure` (``ndcg``, ``map`` ...; bounds over queries).

    The bounds take rows as independent. Windows differ from each other by far more than that (27 times in the variance,
    measured on a year of flights), so they say how well this window was measured, not whether it is unusual.

    Args:
        model: The model; its entity and outcome columns are used.
        predictions: The window's prediction log with ``p`` and ``decision``, or what its task predicts.
        labels: The label build's rows; None when none have come.

    Raises:
        DataError: labels contradict each other or do not join; see `headwater.mlops.labels.realised`.
    """
    rows = realised(predictions, labels, model.entity, model.outcome, task=model.task)
    there = rows.filter(pl.col(model.outcome).is_not_null() & pl.col(model.predicted).is_not_null())
    values: dict[str, float] = {"n": float(rows.height), "matured": float(there.height)}
    if rows.height:
        values["maturity"] = there.height / rows.height
    if there.height:
        values |= _MEASURES[model.task](model, there)
    found: dict[str, Any] = {name: value for name, value in values.items() if math.isfinite(value)}
    if model.task == "regression" and there.height:
        found["errors"] = regression.errors_by_size(*_pair(model, there))
    return found


def _of_numbers(model: Model, there: pl.DataFrame) -> dict[str, float]:
    ends = [there[name].cast(pl.Float64).to_numpy() for name in ("low", "high") if name in there.columns]
    low, high = ends if len(ends) == 2 and not {"low", "high"} & {*model.columns, *model.carry} else (None, None)
    return regression.measure(*_pair(model, there), low=low, high=high, interval=model.interval)


def _of_rankings(model: Model, there: pl.DataFrame) -> dict[str, float]:
    return ranking.measure(*_pair(model, there), there[model.query].to_list())


def _pair(model: Model, there: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    outcome, told = (there[name].cast(pl.Float64).to_numpy() for name in (model.outcome, model.predicted))
    return outcome, told


def _of_classes(model: Model, there: pl.DataFrame) -> dict[str, float]:
    values: dict[str, float] = {}
    y, p = _pair(model, there)
    decision = there["decision"].cast(pl.Float64).to_numpy()
    loss, expected = log_loss(y, p), expected_log_loss(p)
    values["expected_log_loss"] = float(expected.mean())
    _bounded(values, "log_loss", t_interval(loss))
    _bounded(values, "excess", t_interval(loss - expected))
    _bounded(values, "brier", t_interval((y - p) ** 2))
    values["auc"], values["slope"] = auc(y, p), calibration_line(y, p)[1]
    _bounded(values, "base_rate", wilson(float(y.sum()), len(y)))
    values["mean_p"], values["decision_rate"] = float(p.mean()), float(decision.mean())
    values["bias"] = float((p - y).mean())
    _bounded(values, "accuracy", wilson(float((y == decision).sum()), len(y)))
    caught, warned, positive = float((y * decision).sum()), float(decision.sum()), float(y.sum())
    if warned:
        _bounded(values, "precision", wilson(caught, warned))
    if positive:
        _bounded(values, "recall", wilson(caught, positive))
    return values


_MEASURES = {"binary": _of_classes, "regression": _of_numbers, "ranking": _of_rankings}


def reliability(model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None) -> dict[str, Any]:
    """Return the values of ``calibration`` evidence for one window of a binary model.

    ``n``, ``matured``, ``maturity``; of all rows what `stats.outcomes.calibration.confidence` says, of the matured
    ones what `stats.outcomes.calibration.calibration` says.

    Raises:
        DataError: see `headwater.mlops.labels.realised`.
    """
    rows = realised(predictions, labels, model.entity, model.outcome)
    there = rows.filter(pl.col(model.outcome).is_not_null() & pl.col("p").is_not_null())
    values: dict[str, Any] = {"n": rows.height, "matured": there.height}
    if rows.height:
        values["maturity"] = there.height / rows.height
    return values | confidence(rows["p"].cast(pl.Float64).to_numpy()) | calibration(*_pair(model, there))


def latency(model: Model, predictions: pl.DataFrame, version: str) -> dict[str, Any]:
    """Return the values of ``latency`` evidence: ``n``, ``mean``, ``p50``, ``p95`` and ``p99`` with 95 % bounds.

    ``failed`` rows have no valid latency; ``version`` is what served; ``histogram`` adds up with other windows'.
    Infinite bounds are left out.
    """
    found = Latencies.of(predictions[model.latency].cast(pl.Float64, strict=False).to_numpy())
    values: dict[str, float] = {"mean": found.mean}
    for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        _bounded(values, name, found.quantile(level))
    kept = {name: value for name, value in values.items() if math.isfinite(value)}
    return {"n": found.rows, "failed": found.failed, "version": version, **kept, "histogram": found.body()}


def business(model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None) -> dict[str, Any]:
    """Return the values of ``business`` evidence for one window.

    ``value``: the cost of the matured rows, summed, with ``low`` and ``high`` (95 %, normal approximation over rows
    taken as independent; too narrow when one storm moves many rows). ``expected``: the cost that was to be expected of
    all ``n`` rows when they were scored, with bounds that hold if p is right; left out where the task predicts no
    probability. ``matured`` rows and ``unit``.

    Raises:
        ModelError: the model has no cost function, or it fails.
    """
    rows = realised(predictions, labels, model.entity, model.outcome, task=model.task)
    there = rows.filter(pl.col(model.outcome).is_not_null())
    extra = _label_schema(model, predictions, labels)
    total = _sum(_realised_costs(model, there, extra)) if there.height else Interval(0.0, 0.0, 0.0)
    values: dict[str, Any] = {"value": total.value, "low": total.low, "high": total.high}
    if model.task == "binary":
        ahead = _expected(model, predictions, predictions["p"], extra)
        values |= {"expected": ahead.value, "expected_low": ahead.low, "expected_high": ahead.high}
    return values | {"n": rows.height, "matured": there.height, "unit": model.unit}


def expected_business(model: Model, rows: pl.DataFrame, p: pl.Series | np.ndarray) -> Interval:
    """Return the cost to expect of rows whose outcome is not known: ``p cost(1) + (1 - p) cost(0)``, summed.

    The label's other columns are null in both. The 95 % bounds come from the variance of the outcomes given p, rows
    independent: they misjudge when p is not calibrated, which is the very thing that goes wrong in an incident.

    Args:
        model: The model with its cost function.
        rows: The prediction log's rows; label columns are allowed and made null.
        p: A probability for each row, e.g. a repaired one.

    Raises:
        ModelError: the model predicts no probability.
    """
    if model.task != "binary":
        raise ModelError(f"model `{model.name}` predicts no probability, so no cost can be expected of its rows")
    log = [model.entity, *model.columns, *model.carry, "p", "decision"]
    extra = {name: dtype for name, dtype in rows.schema.items() if name not in {*log, model.outcome}}
    own = rows.drop([*extra, *([model.outcome] if model.outcome in rows.columns else [])])
    return _expected(model, own, pl.Series("p", p), extra)


def row_costs(model: Model, predictions: pl.DataFrame, p: pl.Series, labels: pl.DataFrame | None) -> pl.Series:
    """Return the cost of each logged decision: realised where the label is known, otherwise expected under ``p``.

    For a task without probabilities ``p`` is the outcome to assume. Rows come back in the order of ``predictions``.
    """
    rows = realised(predictions, labels, model.entity, model.outcome, task=model.task)
    extra = _label_schema(model, predictions, labels)
    share = pl.Series("p", p).cast(pl.Float64)
    if model.task == "binary":
        certain, hoped = _both(model, predictions, extra)
        costs = share * certain + (1 - share) * hoped
    else:
        costs = _assuming(model, predictions, share, extra)
    matured = rows[model.outcome].is_not_null()
    if matured.any():
        known = _realised_costs(model, rows.filter(matured), extra)
        costs = costs.scatter(matured.arg_true(), known)
    return costs.alias("cost")


def assumed_costs(
    model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each row costs if its outcome is 0 and if it is 1, with nothing else known of the label.

    Raises:
        ModelError: the model has no cost function, it fails, or it says nothing of some rows.
    """
    one, none = _both(model, predictions, _label_schema(model, predictions, labels))
    return none.to_numpy(), one.to_numpy()


def _bounded(values: dict[str, float], name: str, interval: Interval) -> None:
    values[name], values[f"{name}_low"], values[f"{name}_high"] = interval


def _sum(costs: pl.Series) -> Interval:
    total = float(costs.sum())
    spread = float(costs.std() or 0.0) if len(costs) > 1 else 0.0  # type: ignore[arg-type]
    half = _Z95 * spread * math.sqrt(len(costs))
    return Interval(total, total - half, total + half)


def _expected(model: Model, rows: pl.DataFrame, p: pl.Series, extra: Mapping[str, Any]) -> Interval:
    certain, hoped = _both(model, rows, extra)
    share = p.cast(pl.Float64)
    total = float((share * certain + (1 - share) * hoped).sum())
    half = _Z95 * math.sqrt(float((share * (1 - share) * (certain - hoped) ** 2).sum()))
    return Interval(total, total - half, total + half)


def _realised_costs(model: Model, rows: pl.DataFrame, extra: Mapping[str, Any]) -> pl.Series:
    """Price rows whose outcome is known; where the label's other columns leave the cost open, as if they were null."""
    costs = _price(model, rows)
    if costs.null_count():
        log = rows.drop([name for name in (model.outcome, *extra) if name in rows.columns])
        if model.task == "binary":
            certain, hoped = _both(model, log, extra)
            usual = pl.select(pl.when(rows[model.outcome] == 1).then(certain).otherwise(hoped)).to_series()
        else:
            usual = _assuming(model, log, rows[model.outcome], extra)
        costs = costs.fill_null(usual)
    return costs


def _both(model: Model, rows: pl.DataFrame, extra: Mapping[str, Any]) -> tuple[pl.Series, pl.Series]:
    """Price rows as if the outcome were 1, and as if it were 0, with nothing else known of the label."""
    one, none = (_assuming(model, rows, pl.Series([value]).new_from_index(0, rows.height), extra) for value in (1, 0))
    return one, none


def _assuming(model: Model, rows: pl.DataFrame, outcome: pl.Series, extra: Mapping[str, Any]) -> pl.Series:
    """Price rows as if the outcome were given, with nothing else known of the label."""
    blank = rows.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in extra.items())
    costs = _price(model, blank.with_columns(outcome.alias(model.outcome)))
    if costs.null_count():
        raise ModelError(
            f"the cost of model `{model.name}` is null in {costs.null_count()} of {len(costs)} rows "
            "when only the outcome is known",
            hint="fill the label's other columns with what is usual, e.g. rows['minutes'].fill_null(60)",
        )
    return costs


def _price(model: Model, rows: pl.DataFrame) -> pl.Series:
    if model.cost is None:
        raise ModelError(f"model `{model.name}` has no cost function", hint="pass cost= to project.model")
    for _ in range(_MAX_LABEL_COLUMNS):
        try:
            costs = model.cost(rows)
            break
        except pl.exceptions.ColumnNotFoundError as error:
            # no label has come yet, so its columns are not known: the cost function tells which it wants
            name = re.search(r'"([^"]+)"', str(error))
            if name is None or name[1] in rows.columns:
                raise _failing(model, error) from error
            rows = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(name[1]))
        except HeadwaterError:
            raise
        except Exception as error:
            raise _failing(model, error) from error
    else:
        raise ModelError(f"the cost of model `{model.name}` asks for more and more columns")
    if isinstance(costs, pl.Expr):
        costs = rows.select(costs.alias("cost")).to_series()
    costs = pl.Series("cost", costs)
    if len(costs) != rows.height or not (costs.dtype.is_numeric() or costs.dtype in (pl.Boolean, pl.Null)):
        raise ModelError(
            f"the cost of model `{model.name}` gave {len(costs)} values of {costs.dtype} for {rows.height} rows",
            hint="return one number per row",
        )
    return costs.cast(pl.Float64).fill_nan(None)


def _failing(model: Model, error: Exception) -> ModelError:
    return ModelError(f"the cost of model `{model.name}` fails: {type(error).__name__}: {error}")


def _label_schema(model: Model, predictions: pl.DataFrame, labels: pl.DataFrame | None) -> dict[str, Any]:
    if labels is None:
        return {}
    if model.entity not in labels.columns:
        raise DataError(f"labels have no column `{model.entity}`")
    known = {*predictions.columns, model.entity, model.outcome}
    return {name: dtype for name, dtype in labels.schema.items() if name not in known}
