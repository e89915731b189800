"""The identity of a frame: one hash of what it means, whatever way it lies in memory."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError

_FORMAT = b"headwater-content-1\n"
_ROWS = 1 << 16
_FEW = 1 << 12
_AS_STRING = (pl.Decimal, pl.Categorical, pl.Enum, pl.Int128, pl.UInt128)


def content_hash(frame: pl.DataFrame) -> str:
    """Hash a frame's column names, types and values in row order.

    Two frames have the same hash when a reader could not tell them apart: memory layout, chunks, slices and whatever
    lies under a null do not count; ``-0.0`` is ``0.0`` and every NaN is the same NaN. Null and NaN do differ, and so
    do types (``Int32`` and ``Int64``, two time zones), column order and row order. It says nothing about how near two
    frames are: a float that differs in its last bit gives another hash.

    Args:
        frame: Any frame without Python objects in it.

    Returns:
        SHA-256 as 64 hexadecimal digits.

    Raises:
        DataError: A column holds Python objects, which have no stable bytes.

    Example:
        >>> import polars as pl
        >>> one = pl.DataFrame({"x": [0.0, None]})
        >>> content_hash(one) == content_hash(pl.concat([pl.DataFrame({"x": [-0.0]}), one[1:]], rechunk=False))
        True
        >>> content_hash(one) == content_hash(one.reverse())
        False
    """
    hasher = hashlib.sha256(_FORMAT)
    hasher.update(f"{frame.width} {frame.height}\n".encode())
    for series in frame.iter_columns():
        hasher.update(json.dumps([series.name, dtype_text(series.dtype)], ensure_ascii=True).encode() + b"\n")
        _feed(hasher, series)
    return hasher.hexdigest()


def dtype_text(dtype: pl.DataType | Any) -> str:
    """Write a Polars type as text that does not change with the Polars version.

    Example:
        >>> import polars as pl
        >>> dtype_text(pl.List(pl.Datetime("ms", "Europe/Berlin")))
        'list[datetime[ms,Europe/Berlin]]'
    """
    if isinstance(dtype, pl.Datetime):
        return f"datetime[{dtype.time_unit},{dtype.time_zone or ''}]"
    if isinstance(dtype, pl.Duration):
        return f"duration[{dtype.time_unit}]"
    if isinstance(dtype, pl.Decimal):
        return f"decimal[{dtype.precision},{dtype.scale}]"
    if isinstance(dtype, pl.Categorical):
        return "categorical"
    if isinstance(dtype, pl.Enum):
        return f"enum{json.dumps(dtype.categories.to_list())}"
    if isinstance(dtype, pl.List):
        return f"list[{dtype_text(dtype.inner)}]"
    if isinstance(dtype, pl.Array):
        return f"array[{dtype_text(dtype.inner)},{dtype.size}]"
    if isinstance(dtype, pl.Struct):
        return f"struct{json.dumps([[field.name, dtype_text(field.dtype)] for field in dtype.fields])}"
    return type(dtype).__name__.lower() if isinstance(dtype, pl.DataType) else str(dtype).lower()


def _feed(hasher: Any, series: pl.Series) -> None:
    """Add one column's null mask and values; the caller has added its type and length is known to both."""
    dtype = series.dtype
    if isinstance(dtype, pl.Object):
        raise DataError(
            f"column `{series.name}` holds Python objects",
            hint="give it a type: numbers, text, times, lists or structs",
        )
    nulls = _feed_nulls(hasher, series)
    if isinstance(dtype, pl.Null) or series.null_count() == len(series):
        return
    if isinstance(dtype, (pl.List, pl.Array)):
        _feed_lists(hasher, series)
    elif isinstance(dtype, pl.Struct):
        present = series.drop_nulls()
        for field in dtype.fields:
            _feed(hasher, present.struct.field(field.name))
    elif isinstance(dtype, _AS_STRING):
        _feed_text(hasher, series.cast(pl.String))
    elif isinstance(dtype, (pl.String, pl.Binary)):
        _feed_text(hasher, series)
    elif dtype.is_float():
        _feed_floats(hasher, series, nulls)
    elif dtype == pl.Boolean:
        _feed_array(hasher, np.packbits(_filled(series, False).to_numpy(), bitorder="little"))
    else:
        whole = series if dtype.is_integer() else series.to_physical()
        _feed_array(hasher, _filled(whole, 0).to_numpy())


def _feed_nulls(hasher: Any, series: pl.Series) -> np.ndarray[Any, Any] | None:
    """Add where nulls are, and return that when some values are and some are not."""
    nulls = series.null_count()
    hasher.update(f"{len(series)} {nulls}\n".encode())
    if not 0 < nulls < len(series):
        return None
    mask = series.is_null().to_numpy()
    hasher.update(np.packbits(mask, bitorder="little").tobytes())
    return mask


def _filled(series: pl.Series, value: float) -> pl.Series:
    return series.fill_null(value) if series.null_count() else series


def _feed_array(hasher: Any, values: np.ndarray[Any, Any]) -> None:
    hasher.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))


def _feed_floats(hasher: Any, series: pl.Series, nulls: np.ndarray[Any, Any] | None) -> None:
    values = series.to_numpy()
    for start in range(0, len(values), _ROWS):
        block = values[start : start + _ROWS] + values.dtype.type(0)  # turns -0.0 into 0.0, and copies
        if nulls is not None:
            block[nulls[start : start + _ROWS]] = 0.0
        odd = block != block
        if odd.any():
            block[odd] = math.nan
        _feed_array(hasher, block)


def _feed_text(hasher: Any, series: pl.Series) -> None:
    """Add byte lengths, then all bytes; a length of 0 under a null is told apart by the null mask."""
    binary = isinstance(series.dtype, pl.Binary)
    if binary or len(series) < _FEW:  # a Polars expression costs as much as some thousand Python strings
        pieces = [b"" if text is None else text if binary else text.encode() for text in series.to_list()]
        _feed_array(hasher, np.fromiter(map(len, pieces), np.uint32, len(pieces)))
        hasher.update(b"".join(pieces))
        return
    _feed_array(hasher, series.str.len_bytes().fill_null(0).cast(pl.UInt32).to_numpy())
    for start in range(0, len(series), _ROWS):
        hasher.update((series.slice(start, _ROWS).str.join("").item() or "").encode())


def _feed_lists(hasher: Any, series: pl.Series) -> None:
    """Add lengths, then the items of all lists that have any, as one column."""
    lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    lengths = lists.list.len().fill_null(0)
    _feed_array(hasher, lengths.cast(pl.UInt32).to_numpy())
    _feed(hasher, lists.filter(lengths > 0).list.explode())
