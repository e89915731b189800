"""Compare two versions of a table, cell by cell, after canonicalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

_RTOL = 1e-5
_ATOL = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """How an observed table differs from the expected one.

    Attributes:
        share: Differing cells over all cells of the larger table; a lost or an extra row differs in every cell.
        lost: Expected rows that are not there.
        extra: Rows that were not expected.
        rows: Rows of the larger table.
        columns: Share of differing rows per column, only those that differ.
    """

    share: float
    lost: int
    extra: int
    rows: int
    columns: Mapping[str, float] = field(default_factory=dict)


def compare(observed: pl.DataFrame, expected: pl.DataFrame, key: Sequence[str] = ()) -> Difference:
    """Compare two frames after canonicalisation: NULL = NaN, floats to a relative 1e-5, row order ignored.

    Rows are paired by ``key`` where it is unique on both sides, otherwise by sorted position, which can call two rows
    different that only moved past each other; give a key where there is one.

    Example:
        >>> a = pl.DataFrame({"id": [1, 2], "x": [1.0, None]})
        >>> b = pl.DataFrame({"id": [2, 1], "x": [float("nan"), 1.0]})
        >>> compare(a, b, ["id"]).share
        0.0
    """
    observed, expected = _without_nan(observed), _without_nan(expected)
    rows = max(observed.height, expected.height)
    if rows == 0:
        return Difference(0.0 if set(observed.columns) == set(expected.columns) else 1.0, 0, 0, 0)
    if observed.schema == expected.schema and observed.equals(expected):
        return Difference(0.0, 0, 0, rows)
    names = list(dict.fromkeys([*expected.columns, *observed.columns]))
    keys = [name for name in key if name in observed.columns and name in expected.columns]
    paired = bool(keys) and len(keys) == len(key)
    if paired and _unique(observed, keys) and _unique(expected, keys):
        left, right, lost, extra = _pair(observed, expected, keys)
    else:
        left, right, lost, extra = _by_position(observed, expected)
    differing: dict[str, float] = {}
    total = 0.0
    for name in names:
        if name not in left.columns or name not in right.columns:
            count = left.height
        else:
            count = int(_different(left[name], right[name]).sum())
        if count:
            differing[name] = min(1.0, (count + lost + extra) / rows)
        total += count + lost + extra
    return Difference(min(1.0, total / (rows * max(1, len(names)))), lost, extra, rows, differing)


def _without_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).fill_nan(None) for name, dtype in frame.schema.items() if dtype.is_float())


def _unique(frame: pl.DataFrame, keys: Sequence[str]) -> bool:
    return not bool(frame.select(keys).is_duplicated().any())


def _pair(
    observed: pl.DataFrame, expected: pl.DataFrame, keys: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    both = {name: _alike(observed[name], expected[name]) or (observed[name], expected[name]) for name in keys}
    left, right = (pl.DataFrame({name: pair[side] for name, pair in both.items()}) for side in (0, 1))
    if left.equals(right):
        return observed, expected, 0, 0
    try:
        places = left.with_row_index("\0o").join(
            right.with_row_index("\0e"), on=keys, how="inner", nulls_equal=True, maintain_order="left"
        )
    except (pl.exceptions.SchemaError, pl.exceptions.ComputeError):
        return observed.clear(), expected.clear(), expected.height, observed.height
    lost, extra = expected.height - places.height, observed.height - places.height
    return observed[places["\0o"]], expected[places["\0e"]], lost, extra


def _by_position(observed: pl.DataFrame, expected: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    pairs = [
        _comparable(observed[name], expected[name])
        for name in expected.columns
        if name in observed.columns and _plain(observed.schema[name]) and _plain(expected.schema[name])
    ]
    known = [pair for pair in pairs if pair is not None]
    left, right = _ordered(observed, [pair[0] for pair in known]), _ordered(expected, [pair[1] for pair in known])
    rows = min(left.height, right.height)
    return left.head(rows), right.head(rows), max(0, right.height - rows), max(0, left.height - rows)


def _plain(dtype: pl.DataType) -> bool:
    return not dtype.is_nested() and not isinstance(dtype, pl.Object)


def _ordered(frame: pl.DataFrame, by: Sequence[pl.Series]) -> pl.DataFrame:
    if not by or not frame.height:
        return frame
    columns = pl.DataFrame(by)
    return frame[columns.select(pl.arg_sort_by(columns.columns, nulls_last=True)).to_series()]


def _different(left: pl.Series, right: pl.Series) -> pl.Series:
    """Mark the rows in which two columns differ."""
    if isinstance(left.dtype, pl.Struct) and isinstance(right.dtype, pl.Struct):
        return _different_structs(left, right)
    if left.dtype.is_nested() and right.dtype.is_nested():
        lists = [one.arr.to_list() if isinstance(one.dtype, pl.Array) else one for one in (left, right)]
        if all(isinstance(one.dtype, pl.List) for one in lists):
            return _different_lists(*lists)
    pair = None if left.dtype.is_nested() or right.dtype.is_nested() else _comparable(left, right)
    if pair is None:
        return left.is_not_null() | right.is_not_null()
    a, b = pair
    if not a.dtype.is_float():
        return a.ne_missing(b)
    a, b = a.fill_nan(None), b.fill_nan(None)
    gap = (a - b).abs()
    near = (gap <= _ATOL + _RTOL * a.abs()) | (gap <= _ATOL + _RTOL * b.abs())
    near = (near & a.is_finite() & b.is_finite()) | (a == b)
    return ~near.fill_null(False) & ~(a.is_null() & b.is_null())


def _different_structs(left: pl.Series, right: pl.Series) -> pl.Series:
    fields, others = left.struct.fields, right.struct.fields
    if set(fields) != set(others):
        return left.is_not_null() | right.is_not_null()
    differ = left.is_null() != right.is_null()
    for name in fields:
        differ = differ | _different(left.struct.field(name), right.struct.field(name))
    return differ


def _different_lists(left: pl.Series, right: pl.Series) -> pl.Series:
    differ = left.list.len().ne_missing(right.list.len())
    same = (~differ & (left.list.len() > 0)).fill_null(False)
    rows = pl.Series("row", range(len(left)), dtype=pl.Int64).filter(same)
    one, other = left.filter(same), right.filter(same)
    owner = pl.DataFrame({"row": rows, "size": one.list.len()}).select(pl.col("row").repeat_by("size").explode())
    wrong = owner.to_series().filter(_different(one.list.explode(), other.list.explode())) if len(one) else rows
    return differ | pl.Series(range(len(left)), dtype=pl.Int64).is_in(wrong.implode())


def _comparable(left: pl.Series, right: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    """Bring two columns to one type, text at worst; None where they have nothing in common."""
    pair = _alike(left, right)
    if pair is not None:
        return pair
    try:
        return left.cast(pl.String, strict=False), right.cast(pl.String, strict=False)
    except pl.exceptions.PolarsError:
        return None


def _alike(left: pl.Series, right: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    """Bring two columns to one type when they hold the same kind of thing: numbers, instants, nothing at all."""
    one, other = left.dtype, right.dtype
    if one == other:
        return left, right
    if isinstance(one, pl.Null) or isinstance(other, pl.Null):
        return left.cast(other if isinstance(one, pl.Null) else one), right.cast(
            one if isinstance(other, pl.Null) else other
        )
    if one.is_integer() and other.is_integer():
        return left.cast(pl.Int128), right.cast(pl.Int128)  # exact: ids must not pass as near numbers
    if one.is_numeric() and other.is_numeric():
        return left.cast(pl.Float64), right.cast(pl.Float64)
    if isinstance(one, pl.Datetime) and isinstance(other, pl.Datetime):
        return left.dt.epoch("us"), right.dt.epoch("us")
    if isinstance(one, pl.Duration) and isinstance(other, pl.Duration):
        return left.dt.total_microseconds(), right.dt.total_microseconds()
    return None
