"""The identity of a frame: one hash of what it means, whatever way it lies in memory."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError

Span = tuple[int, int]
Values = np.ndarray[Any, Any]
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
    return _hashes(frame, [(0, frame.height)])[0]


def content_hashes(frames: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """Hash many frames, mostly of one schema, faster than one after the other; see `content_hash`."""
    found: dict[str, str] = {}
    alike: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for name, frame in frames.items():
        alike.setdefault(tuple(frame.schema.items()), []).append(name)
    for names in alike.values():
        ends = np.cumsum([frames[name].height for name in names]).tolist()
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        whole = pl.concat([frames[name] for name in names], rechunk=False) if len(names) > 1 else frames[names[0]]
        found.update(zip(names, _hashes(whole, spans), strict=True))
    return {name: found[name] for name in frames}


def _hashes(frame: pl.DataFrame, spans: Sequence[Span]) -> list[str]:
    """Hash slices of a frame, each as a frame of its own."""
    hashers = [hashlib.sha256(_FORMAT) for _ in spans]
    for hasher, (start, stop) in zip(hashers, spans, strict=True):
        hasher.update(f"{frame.width} {stop - start}\n".encode())
    for series in frame.iter_columns():
        head = json.dumps([series.name, dtype_text(series.dtype)], ensure_ascii=True).encode() + b"\n"
        for hasher in hashers:
            hasher.update(head)
        _feed(hashers, series, spans)
    return [hasher.hexdigest() for hasher in hashers]


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


def _feed(hashers: Sequence[Any], series: pl.Series, spans: Sequence[Span]) -> None:
    """Add the null mask and values of each span of a column; its type is added, and its length known, before."""
    dtype = series.dtype
    if isinstance(dtype, pl.Object):
        raise DataError(
            f"column `{series.name}` holds Python objects",
            hint="give it a type: numbers, text, times, lists or structs",
        )
    nulls = series.is_null().to_numpy() if series.null_count() else None
    filled = [
        (hasher, span)
        for hasher, span in zip(hashers, spans, strict=True)
        if _feed_nulls(hasher, nulls, *span) and not isinstance(dtype, pl.Null)
    ]
    if not filled:
        return
    if isinstance(dtype, (pl.List, pl.Array, pl.Struct)):
        for hasher, (start, stop) in filled:
            _feed_nested(hasher, series[start:stop])
    elif isinstance(dtype, (pl.String, pl.Binary, *_AS_STRING)):
        text = series.cast(pl.String) if isinstance(dtype, _AS_STRING) else series
        for hasher, (start, stop) in filled:
            _feed_text(hasher, text[start:stop])
    elif dtype.is_float():
        values = series.to_numpy()
        for hasher, (start, stop) in filled:
            _feed_floats(hasher, values[start:stop], None if nulls is None else nulls[start:stop])
    elif dtype == pl.Boolean:
        values = _filled(series, False).to_numpy()
        for hasher, (start, stop) in filled:
            _feed_array(hasher, np.packbits(values[start:stop], bitorder="little"))
    else:
        values = _filled(series if dtype.is_integer() else series.to_physical(), 0).to_numpy()
        for hasher, (start, stop) in filled:
            _feed_array(hasher, values[start:stop])


def _feed_nulls(hasher: Any, nulls: Values | None, start: int, stop: int) -> bool:
    """Add where nulls are; tell whether there is any value to add."""
    mask = None if nulls is None else nulls[start:stop]
    count = 0 if mask is None else int(mask.sum())
    hasher.update(f"{stop - start} {count}\n".encode())
    if mask is not None and 0 < count < stop - start:
        hasher.update(np.packbits(mask, bitorder="little").tobytes())
    return count < stop - start


def _filled(series: pl.Series, value: float) -> pl.Series:
    return series.fill_null(value) if series.null_count() else series


def _feed_array(hasher: Any, values: Values) -> None:
    hasher.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))


def _feed_floats(hasher: Any, values: Values, nulls: Values | None) -> None:
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
    if isinstance(series.dtype, pl.Binary):
        _feed_bytes(hasher, [piece or b"" for piece in series.to_list()])
        return
    if len(series) < _FEW:  # a Polars expression costs as much as some thousand Python strings
        texts = [text or "" for text in series.to_list()]
        whole = "".join(texts)
        if whole.isascii():  # then there are as many bytes as letters
            _feed_array(hasher, np.fromiter(map(len, texts), np.uint32, len(texts)))
            hasher.update(whole.encode())
        else:
            _feed_bytes(hasher, [text.encode() for text in texts])
        return
    _feed_array(hasher, series.str.len_bytes().fill_null(0).cast(pl.UInt32).to_numpy())
    for start in range(0, len(series), _ROWS):
        hasher.update((series.slice(start, _ROWS).str.join("").item() or "").encode())


def _feed_bytes(hasher: Any, pieces: Sequence[bytes]) -> None:
    _feed_array(hasher, np.fromiter(map(len, pieces), np.uint32, len(pieces)))
    hasher.update(b"".join(pieces))


def _feed_nested(hasher: Any, series: pl.Series) -> None:
    """Add the fields of structs; of lists their lengths, then the items of all that have any, as one column."""
    if isinstance(series.dtype, pl.Struct):
        present = series.drop_nulls()
        for field in series.dtype.fields:
            _feed([hasher], present.struct.field(field.name), [(0, len(present))])
        return
    lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    lengths = lists.list.len().fill_null(0)
    _feed_array(hasher, lengths.cast(pl.UInt32).to_numpy())
    items = lists.filter(lengths > 0).list.explode()
    _feed([hasher], items, [(0, len(items))])
