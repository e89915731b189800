"""Read a column of an Ibis table as the kernel stores it: whole numbers, floats, texts, with the kernel's field."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from headwater.stats.profiling.fields import Field, read_field

_FORMATS = {
    "Int8": "c",
    "UInt8": "C",
    "Int16": "s",
    "UInt16": "S",
    "Int32": "i",
    "UInt32": "I",
    "Int64": "l",
    "UInt64": "L",
    "Float16": "e",
    "Float32": "f",
    "Float64": "g",
    "Boolean": "b",
    "String": "u",
    "Date": "tdD",
    "Time": "ttu",
    "Null": "n",
}
_UNITS = {0: "s", 3: "m", 9: "n"}
_TIME_NS = "TIME_NS"
_LONGEST = 38
Expression = Any


def field_of(name: str, dtype: Any, past: Field | None = None) -> Field:
    """Return the kernel's field for an Ibis type; times take the unit of ``past`` where that is finer.

    Intervals, lists, structs, JSON, binary and the like are counted and nothing more.
    """
    kind = type(dtype).__name__
    text = _FORMATS.get(kind, f"ibis:{dtype}")
    if kind == "Timestamp":
        text = f"ts{_UNITS.get(dtype.scale, 'u')}:{dtype.timezone or ''}"
        if past is not None and past.kind == "time" and past.per_second > read_field(name, text).per_second:
            unit = {Fraction(10**3): "m", Fraction(10**6): "u"}.get(past.per_second, "n")
            text = f"ts{unit}:{dtype.timezone or ''}"
    elif kind == "Unknown" and getattr(dtype, "raw_type", None) is not None and str(dtype.raw_type) == _TIME_NS:
        text = "ttn"  # DuckDB's, as which it takes a time of day of Polars
    elif kind == "Decimal":
        whole = dtype.precision is not None and dtype.scale is not None and dtype.precision <= _LONGEST
        text = f"d:{dtype.precision},{dtype.scale}" if whole else "g"
    return read_field(name, text)


def stored(column: Expression, field: Field, backend: str) -> Expression:
    """Return the expression of a column's stored numbers: int64, float64, boolean or text."""
    if field.kind == "text":
        return column.cast("string")
    if field.kind == "boolean":
        return column
    if field.kind == "time":
        return _instant(column, field, backend)
    if field.dtype == "time[ns]":
        return _called("epoch_ns", column)
    if field.dtype.startswith("time["):
        parts = column.hour() * 3600 + column.minute() * 60 + column.second()
        return parts.cast("int64") * 1_000_000 + column.microsecond().cast("int64") % 1_000_000
    if field.form == "decimal":
        scale = field.factor.denominator
        if not field.is_whole:
            return column.cast("float64") * float(scale)
        # In a type with room for the product: DuckDB calls it an error where it leaves the column's own.
        places = len(str(scale)) - 1
        return (column.cast(f"decimal({field.digits + places + 1}, {places})") * scale).cast("int64")
    if field.shift:
        import ibis

        return (column.cast("decimal(38, 0)") - ibis.literal(field.shift, "decimal(38, 0)")).cast("int64")
    return column.cast("int64" if field.is_whole else "float64")


def _instant(column: Expression, field: Field, backend: str) -> Expression:
    """Days, or units since 1970 in UTC; a time without a zone is read as UTC."""
    if field.dtype == "date32":
        return column.epoch_days().cast("int64")
    per = int(field.per_second)
    if backend == "duckdb" and per > 10**6:
        return _called("epoch_ns", column)
    if backend in ("duckdb", "pyspark"):
        micros = _called("epoch_us" if backend == "duckdb" else "unix_micros", column)
    else:
        seconds = column.truncate("s").epoch_seconds().cast("int64")
        micros = seconds * 1_000_000 + column.microsecond().cast("int64") % 1_000_000
    # Coarser units divide without a rest: the engine's type says that it holds no more.
    return micros * (per // 10**6) if per >= 10**6 else (micros / (10**6 // per)).floor().cast("int64")


def _called(name: str, column: Expression) -> Expression:
    """Call a function that the engine has and Ibis does not name."""
    import ibis

    def function(moment): ...

    function.__name__ = name
    function.__annotations__ = {"return": int}
    return ibis.udf.scalar.builtin(function, name=name)(column)
