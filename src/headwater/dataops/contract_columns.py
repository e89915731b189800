"""What a contract promises about one column, counted on a Polars series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from headwater.dataops.contract_terms import CheckResult

_FORMATS = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "uuid": r"(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "ipv4": r"^((25[0-5]|2[0-4]\d|1?\d?\d)(\.|$)){4}$",
}
_BOUNDS = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_TYPES: dict[str, tuple[Any, ...]] = {
    "string": _TEXT,
    "boolean": (pl.Boolean,),
    "date": (pl.Date,),
    "timestamp": (pl.Datetime,),
    "time": (pl.Time,),
    "object": (pl.Struct,),
    "array": (pl.List, pl.Array),
    "vector": (pl.List, pl.Array),
    "map": (pl.Struct, pl.List),
}


def column_results(item: Mapping[str, Any], series: pl.Series | None, raw: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Check one declared column; ``series`` is None when the frame lacks it, ``raw`` the contract's document."""
    yield from _results(item, series, str(item["name"]), raw)


def _results(
    item: Mapping[str, Any], series: pl.Series | None, path: str, raw: Mapping[str, Any]
) -> Iterator[CheckResult]:
    wanted = item.get("logicalType")
    if series is None:
        yield _result(path, "present", "completeness", False, "missing", "present", f"column `{path}` is missing")
        return
    if item.get("required"):
        yield _count(path, "required", "completeness", series.null_count(), "= 0 nulls", "nulls")
    if wanted:
        fits = kind_fits(str(wanted), series.dtype, str(raw.get("apiVersion") or ""))
        detail = "" if fits else f"column `{path}` is {series.dtype}, promised {wanted}"
        yield _result(path, "logicalType", "conformity", fits, str(series.dtype), str(wanted), detail)
        if not fits:
            return
    if item.get("unique"):
        yield _count(path, "unique", "uniqueness", _repeats([series]), "= 0 duplicates", "rows repeat an earlier value")
    allowed = [entry["value"] for entry in item.get("enum") or ()]
    if allowed:
        yield _count(path, "enum", "conformity", _outside(series, allowed), f"in {allowed}", "values are not allowed")
    yield from _options(item, series, path)
    yield from _parts(item, series, path, raw)


def _parts(item: Mapping[str, Any], series: pl.Series, path: str, raw: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Check what is inside: an object's fields, an array's items."""
    if isinstance(series.dtype, pl.Struct):
        known = {field.name for field in series.dtype.fields}
        present = series.drop_nulls()
        for inner in item.get("properties") or ():
            name = str(inner["name"])
            yield from _results(inner, present.struct.field(name) if name in known else None, f"{path}.{name}", raw)
    elif isinstance(series.dtype, (pl.List, pl.Array)) and item.get("items"):
        lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
        items = lists.filter(lists.list.len().fill_null(0) > 0).list.explode()
        yield from _results(item["items"], items, f"{path}[]", raw)


def kind_fits(logical: str, dtype: Any, api: str = "") -> bool:
    """Tell whether a Polars type is what a logical type means; a column of nothing but nulls fits any.

    In ODCS 3.0 ``date`` also stands for timestamps: ``timestamp`` came with 3.1.
    """
    if isinstance(dtype, pl.Null):
        return True
    if logical == "integer":
        return bool(dtype.is_integer())
    if logical == "number":
        return bool(dtype.is_numeric())
    if logical == "date" and api.startswith("v3.0"):
        return isinstance(dtype, (pl.Date, pl.Datetime))
    return isinstance(dtype, _TYPES.get(logical, ()))


def counted(metric: str, columns: Sequence[pl.Series], arguments: Mapping[str, Any]) -> int:
    """Count the rows that one of the standard's library metrics is about.

    ``duplicateValues`` counts the rows beyond the first of each value, nulls left out. ``invalidValues`` leaves out
    nulls. Over several columns, a row counts once.
    """
    if metric == "duplicateValues":
        return _repeats(columns)
    masks = [_mask(metric, series, arguments) for series in columns]
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return int(found.sum())


def _mask(metric: str, series: pl.Series, arguments: Mapping[str, Any]) -> pl.Series:
    if metric == "nullValues":
        return series.is_null()
    if metric == "missingValues":
        values = arguments.get("missingValues") or [None]
        named = [value for value in values if value is not None]
        mask = _among(series, named)
        return mask | series.is_null() if None in values else mask
    mask = pl.Series([False] * len(series), dtype=pl.Boolean)
    if arguments.get("validValues"):
        mask = mask | ~(_among(series, arguments["validValues"]) | series.is_null())
    if arguments.get("pattern"):
        mask = mask | ~_matches(series, str(arguments["pattern"])).fill_null(True)
    return mask


def _options(item: Mapping[str, Any], series: pl.Series, path: str) -> Iterator[CheckResult]:
    options = dict(item.get("logicalTypeOptions") or {})
    zone = options.pop("timezone", None)
    if zone is not None and isinstance(series.dtype, pl.Datetime):
        has = series.dtype.time_zone is not None
        detail = (
            ""
            if has == zone
            else f"column `{path}` has {'a' if has else 'no'} time zone, promised {'one' if zone else 'none'}"
        )
        yield _result(path, "timezone", "conformity", has == zone, series.dtype.time_zone, zone, detail)
    default_zone = options.pop("defaultTimezone", None)
    for name, value in options.items():
        try:
            bad = _breaking(name, value, series, default_zone)
        except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
            text = f"column `{path}`: {name} {value} cannot be compared with {series.dtype}: {error}".splitlines()[0]
            yield _result(path, name, "conformity", False, None, value, text)
            continue
        if bad is None:
            yield CheckResult(
                f"{path}.{name}", name, path, "conformity", "warning", True, None, value, "not executed: unknown", False
            )
        else:
            yield _count(path, name, "conformity", bad, f"{_BOUNDS.get(name, name)} {value}", "values break it")


def _breaking(name: str, value: Any, series: pl.Series, default_zone: str | None) -> int | None:
    """Count the values that break an option; None for an option that is not known here."""
    if name in _BOUNDS:
        zoned = isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone is not None
        moments = series.dt.convert_time_zone("UTC") if zoned else series
        return _beyond(moments, name, _bound(value, series.dtype, default_zone))
    if name == "enum":
        return _outside(series, value)
    if name == "multipleOf":
        ratio = series.drop_nulls().cast(pl.Float64) / float(value)
        return int(((ratio - ratio.round()).abs() > 1e-9 * ratio.abs().clip(lower_bound=1.0)).sum())
    if name == "pattern" or (name == "format" and value in _FORMATS):
        return int((~_matches(series, _FORMATS[value] if name == "format" else str(value))).sum())
    if name == "format" and isinstance(value, str) and re.fullmatch(r"[iu]\d+", value) and series.dtype.is_integer():
        bits = int(value[1:]) - (value[0] == "i")
        low, high = (-(1 << bits) if value[0] == "i" else 0), (1 << bits) - 1
        ends = [end for end in (series.min(), series.max()) if isinstance(end, int)]
        return int(any(not low <= end <= high for end in ends))
    if name in ("minLength", "maxLength"):
        return _beyond(series.cast(pl.String).str.len_chars(), name.replace("Length", "imum"), value)
    if name in ("minItems", "maxItems"):
        lengths = series.arr.to_list().list.len() if isinstance(series.dtype, pl.Array) else series.list.len()
        return _beyond(lengths, name.replace("Items", "imum"), value)
    if name == "uniqueItems" and isinstance(series.dtype, pl.List):
        return int((series.list.n_unique() != series.list.len()).sum()) if value else 0
    return None


def _beyond(series: pl.Series, name: str, bound: Any) -> int:
    beyond = {
        "minimum": lambda: series < bound,
        "maximum": lambda: series > bound,
        "exclusiveMinimum": lambda: series <= bound,
        "exclusiveMaximum": lambda: series >= bound,
    }[name]()
    return int(beyond.sum())


def _bound(value: Any, dtype: Any, default_zone: str | None) -> Any:
    """Read a limit as the column's type. A time without an offset needs `defaultTimezone`: none is assumed."""
    if not isinstance(value, str) or not dtype.is_temporal():
        return value
    if isinstance(dtype, pl.Date):
        return date.fromisoformat(value[:10])
    if isinstance(dtype, pl.Time):
        return time.fromisoformat(value)
    moment = datetime.fromisoformat(value)
    if dtype.time_zone is None:
        if moment.tzinfo is not None:
            raise ValueError("the column has no time zone, the limit has one")
        return moment
    if moment.tzinfo is None:
        if default_zone is None:
            raise ValueError("the limit has no offset; write one, or defaultTimezone")
        moment = moment.replace(tzinfo=ZoneInfo(default_zone))
    return moment.astimezone(UTC)


def _repeats(columns: Sequence[pl.Series]) -> int:
    frame = pl.DataFrame({str(index): series for index, series in enumerate(columns)}).drop_nulls()
    return frame.height - frame.n_unique() if frame.height else 0


def _outside(series: pl.Series, allowed: Sequence[Any]) -> int:
    return int((~_among(series, allowed) & series.is_not_null()).sum())


def _among(series: pl.Series, values: Sequence[Any]) -> pl.Series:
    """Tell which values are in a list; one that is of another kind than the column is in no row."""
    text = isinstance(series.dtype, _TEXT)
    plain = series.cast(pl.String) if text else series
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        values = [value for value in values if isinstance(value, (int, float))]
    elif text:
        values = [str(value) for value in values]
    else:
        plain, values = series.cast(pl.String), [str(value) for value in values]
    return plain.is_in(values).fill_null(False) if values else pl.Series([False] * len(series), dtype=pl.Boolean)


def _matches(series: pl.Series, pattern: str) -> pl.Series:
    """Search a pattern (JSON Schema semantics: anywhere, unless anchored)."""
    text = series.cast(pl.String)
    try:
        return text.str.contains(pattern)
    except pl.exceptions.ComputeError:  # look-around, which the fast engine does not have
        try:
            made = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"the pattern is not a regular expression ({error})") from error
        return pl.Series([None if value is None else bool(made.search(value)) for value in text], dtype=pl.Boolean)


def _count(path: str, check: str, dimension: str, bad: int, expected: str, what: str) -> CheckResult:
    detail = f"column `{path}`: {bad} {what}, promised {expected}" if bad else ""
    return _result(path, check, dimension, not bad, bad, expected, detail)


def _result(
    path: str, check: str, dimension: str, passed: bool, actual: Any, expected: Any, detail: str
) -> CheckResult:
    return CheckResult(f"{path}.{check}", check, path, dimension, "error", passed, actual, expected, detail)
