"""Execute a contract on a frame: every column promise and every quality check, one result each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from headwater.dataops.contract_columns import column_results, counted, kind_fits
from headwater.dataops.contract_sql import QueryRefused, ask
from headwater.dataops.contract_terms import (
    OPERATORS,
    SEVERITIES,
    CheckResult,
    Contract,
    check_type,
    holds,
    operators_of,
)

_DIMENSION = {
    "nullValues": "completeness",
    "missingValues": "completeness",
    "invalidValues": "conformity",
    "duplicateValues": "uniqueness",
    "rowCount": "completeness",
}


_Metrics = Mapping[str, Mapping[str, float]]
"""Metrics by window; by an empty name where the frame is of one window."""


class _NotThere(Exception):
    """What a check is about is not in the frame or the metrics."""


def execute(
    contract: Contract,
    frame: pl.DataFrame,
    *,
    window: Any = None,
    metrics: Mapping[str, float] | None = None,
    each: Mapping[str, Mapping[str, float]] | None = None,
) -> list[CheckResult]:
    """Execute a contract on one window's frame, or on a range of windows at once.

    A declared column that is missing or of another type fails with severity ``error``: such a partition breaks the
    schema. Columns that the contract does not name are allowed. NaN counts as null. Checks in words, and checks of
    other engines, come back as not executed.

    Args:
        contract: What was promised.
        frame: The rows of one window.
        window: The window, for the sentences in the results.
        metrics: The window's profile metrics by name, for checks of ``engine: headwater``; a check of a metric that is
            not here fails.
        each: Where the frame is a range: the metrics of each of its windows, ``rows`` at least. Checks of metrics and
            of the number of rows are of a window, so they must hold in every one in which the metric was measured.

    Returns:
        One result per promise, in the document's order; see `broken`.

    Example:
        >>> import polars as pl
        >>> promised = Contract("trips", "t", "1.0.0", "team", "data", "", ({"name": "id", "required": True},))
        >>> [(item.name, item.passed) for item in execute(promised, pl.DataFrame({"id": [1, None]}))]
        [('id.required', False)]
    """
    clean = frame.with_columns(pl.col(name).fill_nan(None) for name, dtype in frame.schema.items() if dtype.is_float())
    where = f" in window {window}" if window is not None else ""
    told: _Metrics = {"": metrics or {}} if each is None else each
    results = list(_keys(contract, clean))
    for item in contract.properties:
        name = str(item["name"])
        results.extend(column_results(item, clean[name] if name in clean.columns else None, contract.raw))
        results.extend(_quality(contract, clean, told, name, item.get("quality") or ()))
        results.extend(_inner(contract, clean, told, item))
    results.extend(_quality(contract, clean, told, None, contract.quality))
    return [_told(result, where) for result in results]


def broken(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the failures that refuse a write: executed, failed, and of severity ``error``."""
    return [result for result in results if result.executed and not result.passed and result.severity == "error"]


def _told(result: CheckResult, where: str) -> CheckResult:
    """Give a failure without a sentence one."""
    if result.passed or result.detail:
        return result
    subject = f"column `{result.column}`: " if result.column else ""
    sentence = f"{subject}{result.check} is {_short(result.actual)}{where}, promised {result.expected}"
    return replace(result, detail=sentence)


def _keys(contract: Contract, frame: pl.DataFrame) -> Iterator[CheckResult]:
    keys = [item for item in contract.properties if item.get("primaryKey")]
    keys.sort(key=lambda item: item.get("primaryKeyPosition") or 0)
    names = [str(item["name"]) for item in keys]
    if not names or any(name not in frame.columns for name in names):
        return  # a missing column has its own result
    nulls = int(frame.select(pl.any_horizontal(pl.col(names).is_null()).sum()).item()) if frame.height else 0
    twice = frame.height - frame.select(names).n_unique() if frame.height else 0
    detail = ""
    if nulls or twice:
        detail = f"primary key ({', '.join(names)}): {twice} rows repeat one, {nulls} rows have a null in it"
    column = names[0] if len(names) == 1 else None
    yield CheckResult(
        "primary_key", "primaryKey", column, "uniqueness", "error", not detail, twice + nulls, "= 0 rows", detail
    )


def _inner(
    contract: Contract, frame: pl.DataFrame, metrics: _Metrics, item: Mapping[str, Any], prefix: str = ""
) -> Iterator[CheckResult]:
    """Execute the quality checks of columns inside objects."""
    path = f"{prefix}{item['name']}"
    for inner in item.get("properties") or ():
        name = f"{path}.{inner['name']}"
        yield from _quality(contract, frame, metrics, name, inner.get("quality") or ())
        yield from _inner(contract, frame, metrics, inner, f"{path}.")


def _quality(
    contract: Contract,
    frame: pl.DataFrame,
    metrics: _Metrics,
    column: str | None,
    checks: Iterable[Mapping[str, Any]],
) -> Iterator[CheckResult]:
    for check in checks:
        kind = check_type(check)
        if kind == "text":
            yield _skipped(check, column, "text", "it is written for people")
        elif kind == "custom" and check.get("engine") != "headwater":
            yield _skipped(check, column, str(check.get("engine")), f"it is for the engine {check.get('engine')}")
        elif kind == "custom":
            made = check.get("implementation")
            metric = str(made.get("metric") if isinstance(made, Mapping) else made)
            yield _in_each(check, column, metric, metrics, metric)
        elif kind == "sql":
            yield _compared(check, column, "sql", partial(ask, str(check["query"]), frame, contract.dataset, column))
        else:
            metric = str(check.get("metric") or check.get("rule"))
            if metric == "rowCount" and "" not in metrics:
                yield _in_each(check, column, metric, metrics, "rows")
                continue
            yield _compared(check, column, metric, partial(_measured, frame, check, metric, column))


def _compared(check: Mapping[str, Any], column: str | None, what: str, measure: Callable[[], Any]) -> CheckResult:
    wanted = operators_of(check)
    unit = f" {check['unit']}" if check.get("unit") else ""
    expected = " and ".join(f"{OPERATORS[name]} {value}{unit}" for name, value in wanted.items())
    actual, detail = None, ""
    try:
        actual = measure()
    except (_NotThere, QueryRefused, pl.exceptions.PolarsError) as error:
        detail = f"{_name(check, column, what)} cannot be measured: {str(error).splitlines()[0]}"
    passed = not detail and all(holds(name, actual, value) for name, value in wanted.items())
    return CheckResult(
        _name(check, column, what), what, column, _dimension(check, what), _severity(check), passed, actual, expected,
        detail,
    )  # fmt: skip


def _in_each(check: Mapping[str, Any], column: str | None, what: str, metrics: _Metrics, metric: str) -> CheckResult:
    """Compare a metric of each window; of a range, say in which window it fails first, and in how many."""
    told = {key: values for key, values in metrics.items() if metric in values} or {"": {}}
    results = {key: _compared(check, column, what, partial(_profiled, told[key], metric)) for key in told}
    failed = {key: result for key, result in results.items() if not result.passed}
    if not failed or "" in failed:
        return next(iter(failed.values() or results.values()))
    first = next(_told(result, f" in window {key}") for key, result in failed.items())
    more = f", and fails in {len(failed) - 1} more of {len(told)} windows" if len(failed) > 1 else ""
    return replace(first, detail=first.detail + more)


def _skipped(check: Mapping[str, Any], column: str | None, what: str, why: str) -> CheckResult:
    text = f"not executed, {why}: {check.get('description') or check.get('name') or ''}".rstrip(": ")
    name = _name(check, column, what)
    return CheckResult(name, what, column, _dimension(check, what), _severity(check), True, None, None, text, False)


def _profiled(metrics: Mapping[str, float], metric: str) -> float:
    if metric not in metrics:
        raise _NotThere(f"metric `{metric}` is not in this window's profile")
    return metrics[metric]


def _measured(frame: pl.DataFrame, check: Mapping[str, Any], metric: str, column: str | None) -> float:
    if metric == "rowCount":
        return frame.height
    arguments = {**check, **(check.get("arguments") or {})}
    names = [column] if column is not None else [str(name) for name in arguments.get("properties") or ()]
    bad = counted(metric, [_column(frame, name) for name in names], arguments)
    if check.get("unit") == "percent":
        return 100.0 * bad / frame.height if frame.height else 0.0
    return bad


def _column(frame: pl.DataFrame, path: str) -> pl.Series:
    """Return a column, or a field inside of one by its dotted path."""
    if path in frame.columns:
        return frame[path]
    first, *rest = path.split(".")
    if first not in frame.columns:
        raise _NotThere(f"column `{path}` is not in the frame")
    series = frame[first]
    for name in rest:
        if not kind_fits("object", series.dtype) or name not in [item.name for item in series.dtype.fields]:  # type: ignore[attr-defined]
            raise _NotThere(f"column `{path}` is not in the frame")
        series = series.struct.field(name)
    return series


def _name(check: Mapping[str, Any], column: str | None, what: str) -> str:
    return str(check.get("name") or check.get("id") or (f"{column}.{what}" if column else what))


def _dimension(check: Mapping[str, Any], what: str) -> str:
    return str(check.get("dimension") or _DIMENSION.get(what, "conformity"))


def _severity(check: Mapping[str, Any]) -> str:
    return SEVERITIES[str(check.get("severity") or "error").lower()]


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
