"""How a Polars frame lies in a Delta table's parquet file, so that it comes back exactly as it was.

Delta knows fewer types than Polars, and one type per column for the whole table. Every file therefore says in its own
footer which logical schema it stands for; a column whose type Delta does not have is stored in the nearest one that
loses nothing, and a column whose type differs from the table's goes to a column of its own (``temp__string``).
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.core.canonical import digest
from headwater.core.errors import DataError

FOOTER = "headwater.layout"
PARTITION = "_window"
_ROWS = "_rows"
_MS_LIMIT = 2**63 // 1000 - 1
_PRIMITIVE: dict[Any, str] = {
    pl.Boolean: "boolean",
    pl.Int8: "byte",
    pl.Int16: "short",
    pl.Int32: "integer",
    pl.Int64: "long",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.String: "string",
    pl.Binary: "binary",
    pl.Date: "date",
}
_NEAREST: dict[Any, Any] = {
    pl.UInt8: pl.Int16,
    pl.UInt16: pl.Int32,
    pl.UInt32: pl.Int64,
    pl.UInt64: pl.Decimal(20, 0),
    pl.Float16: pl.Float32,
    pl.Time: pl.Int64,
    pl.Duration: pl.Int64,
    pl.Categorical: pl.String,
    pl.Enum: pl.String,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each logical column lies in a file.

    Attributes:
        schema: The logical schema.
        columns: Per logical column its physical name and how it is stored: ``cast``, ``blob`` (the whole column as
            Arrow IPC in the first row, for types Delta has nothing near to) or ``none`` (nothing but nulls).
        text: Both as text, for the parquet footer.
        id: A short hash that names the layout.
    """

    schema: pl.Schema
    columns: tuple[tuple[str, str], ...]
    text: str
    id: str

    @classmethod
    def of(cls, schema: pl.Schema, columns: tuple[tuple[str, str], ...]) -> Layout:
        """Name and spell a layout."""
        buffer = io.BytesIO()
        pl.DataFrame(schema=schema).write_ipc(buffer)
        return cls.parse(json.dumps({"schema": base64.b64encode(buffer.getvalue()).decode(), "columns": columns}))

    @classmethod
    def parse(cls, text: str) -> Layout:
        """Read a layout back from a parquet footer."""
        body = json.loads(text)
        schema = pl.read_ipc(base64.b64decode(body["schema"])).schema
        columns = tuple((name, way) for name, way in body["columns"])
        return cls(schema, columns, text, digest(text.encode())[:12])

    def fits(self, frame: pl.DataFrame) -> bool:
        """Tell whether another frame can be laid out the same way, which milliseconds leave to their values."""
        same = list(frame.schema.items()) == list(self.schema.items())
        return same and not any(_in_ms(dtype) for dtype in self.schema.values())


def lay_out(frame: pl.DataFrame, table: Mapping[str, Any], *, local_times: bool) -> tuple[Layout, dict[str, Any]]:
    """Choose where a frame's columns go in a table.

    Args:
        frame: The frame to store.
        table: The table's present columns, Delta types by name; empty for a new table.
        local_times: Whether the table may hold times without a zone (a Delta feature fixed at its creation).

    Returns:
        The layout, and the table's columns afterwards.
    """
    fields = dict(table)
    columns: list[tuple[str, str]] = []
    taken: set[str] = {PARTITION}
    for name, dtype in frame.schema.items():
        stored, way = _stored(frame, name, dtype, local_times)
        if stored is None:
            columns.append(("", "none"))
            continue
        place = _place(name, delta_type(stored), fields, taken)
        taken.add(place.lower())
        columns.append((place, way))
    if all(way == "none" for _, way in columns):
        fields[_ROWS] = "boolean"
    return Layout.of(frame.schema, tuple(columns)), fields


def encode(frame: pl.DataFrame, layout: Layout, *, local_times: bool) -> pl.DataFrame:
    """Turn a logical frame into the one that is written to parquet."""
    stored: list[pl.Series] = []
    for series, (place, way) in zip(frame.iter_columns(), layout.columns, strict=True):
        if way == "cast":
            dtype = storable(series.dtype, local_times)
            stored.append((series if series.dtype == dtype else series.cast(dtype)).alias(place))
        elif way == "blob":
            stored.append(_blob(series).alias(place))
    if not stored:
        return pl.DataFrame({_ROWS: pl.Series([None] * frame.height, dtype=pl.Boolean)})
    return pl.DataFrame(stored)


def decode(stored: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Turn a frame read from parquet into the logical one."""
    columns: dict[str, pl.Series] = {}
    for (name, dtype), (place, way) in zip(layout.schema.items(), layout.columns, strict=True):
        if way == "none":
            series = pl.Series(name, [None] * stored.height, dtype=pl.Null)
        elif way == "blob":
            series = _unblob(stored[place], dtype)
        else:
            series = stored[place]
            series = series if series.dtype == dtype else series.cast(dtype)
        columns[name] = series
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=stored.height)


def has_blobs(layout: Layout) -> bool:
    """Tell whether files of this layout must be decoded one by one."""
    return any(way == "blob" for _, way in layout.columns)


def storable(dtype: Any, local_times: bool, nested: bool = False) -> Any:
    """Return the Polars type that Delta can hold and that loses nothing; None when there is none."""
    kind = type(dtype) if isinstance(dtype, pl.DataType) else dtype
    if kind in _PRIMITIVE or kind is pl.Decimal:
        return dtype
    if kind in _NEAREST:
        return _NEAREST[kind]
    if kind is pl.Datetime:
        if dtype.time_unit == "ns" or (nested and dtype.time_unit == "ms"):
            return pl.Int64
        if dtype.time_zone is None:
            return pl.Datetime("us") if local_times else pl.Int64
        return pl.Datetime("us", "UTC")
    if kind in (pl.List, pl.Array):
        inner = storable(dtype.inner, local_times, True)
        return None if inner is None or getattr(dtype, "size", 1) == 0 else pl.List(inner)
    if kind is pl.Struct:
        fields = {field.name: storable(field.dtype, local_times, True) for field in dtype.fields}
        legal = bool(fields) and all(_legal(name) for name in fields)
        return pl.Struct(fields) if legal and None not in fields.values() else None
    return None


def delta_type(dtype: Any) -> Any:
    """Write a storable Polars type as Delta's schema JSON."""
    kind = type(dtype) if isinstance(dtype, pl.DataType) else dtype
    if kind in _PRIMITIVE:
        return _PRIMITIVE[kind]
    if kind is pl.Decimal:
        return f"decimal({dtype.precision},{dtype.scale})"
    if kind is pl.Datetime:
        return "timestamp" if dtype.time_zone else "timestamp_ntz"
    if kind is pl.List:
        return {"type": "array", "elementType": delta_type(dtype.inner), "containsNull": True}
    return {"type": "struct", "fields": [delta_field(field.name, delta_type(field.dtype)) for field in dtype.fields]}


def delta_field(name: str, kind: Any) -> dict[str, Any]:
    """Write one column of Delta's schema JSON."""
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}


def _stored(frame: pl.DataFrame, name: str, dtype: Any, local_times: bool) -> tuple[Any, str]:
    if isinstance(dtype, pl.Object):
        raise DataError(
            f"column `{name}` holds Python objects and cannot be stored",
            hint="give it a type: numbers, text, times, lists or structs",
        )
    if isinstance(dtype, pl.Null):
        return None, "none"
    stored = storable(dtype, local_times)
    if stored is None or (_in_ms(dtype) and _overflows(frame[name])):
        return pl.Binary, "blob"
    return stored, "cast"


def _in_ms(dtype: Any) -> bool:
    return isinstance(dtype, pl.Datetime) and dtype.time_unit == "ms"


def _overflows(series: pl.Series) -> bool:
    ticks = series.to_physical()
    low, high = ticks.min(), ticks.max()
    return isinstance(low, int) and isinstance(high, int) and (low < -_MS_LIMIT or high > _MS_LIMIT)


def _place(name: str, kind: Any, fields: dict[str, Any], taken: set[str]) -> str:
    """Find a column of this type under this name, or make one; Delta names are equal when only their case differs."""
    wanted = name if _legal(name) else re.sub(r"[^\w.-]", "_", name) or "_"
    slug = re.sub(r"\W+", "_", kind if isinstance(kind, str) else str(kind["type"])).strip("_")
    for place in (wanted, *(f"{wanted}__{slug}{number or ''}" for number in range(len(fields) + len(taken) + 2))):
        present = {known.lower(): known for known in fields}.get(place.lower())
        if place.lower() in taken or (present is not None and (present != place or fields[present] != kind)):
            continue
        fields[place] = kind
        return place
    raise DataError(f"column `{name}` finds no place in its table")


def _legal(name: str) -> bool:
    return bool(name) and not re.search(r"[ ,;{}()\n\t=]", name)


def _blob(series: pl.Series) -> pl.Series:
    buffer = io.BytesIO()
    series.alias("x").to_frame().write_ipc(buffer)
    return pl.Series([buffer.getvalue(), *([None] * (len(series) - 1))][: len(series)], dtype=pl.Binary)


def _unblob(stored: pl.Series, dtype: Any) -> pl.Series:
    return pl.read_ipc(stored[0])["x"] if len(stored) else pl.Series([], dtype=dtype)
