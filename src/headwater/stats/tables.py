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
    rows = max(observed.height, expected.height)
    if rows == 0:
        return Difference(0.0 if set(observed.columns) == set(expected.columns) else 1.0, 0, 0, 0)
    names = list(dict.fromkeys([*expected.columns, *observed.columns]))
    keys = [name for name in key if name in observed.columns and name in expected.columns]
    paired = bool(keys) and len(keys) == len(key)
    if paired and observed.height == expected.height and observed.select(keys).equals(expected.select(keys)):
        left, right, lost, extra = observed, expected, 0, 0
    elif paired and _unique(observed, keys) and _unique(expected, keys):
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


def _unique(frame: pl.DataFrame, keys: Sequence[str]) -> bool:
    return not bool(frame.select(keys).is_duplicated().any())


def _pair(
    observed: pl.DataFrame, expected: pl.DataFrame, keys: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    try:
        places = (
            observed.select(keys)
            .with_row_index("_o")
            .join(
                expected.select(keys).with_row_index("_e"),
                on=keys,
                how="inner",
                nulls_equal=True,
                maintain_order="left",
            )
        )
    except (pl.exceptions.SchemaError, pl.exceptions.ComputeError):
        return observed.clear(), expected.clear(), expected.height, observed.height
    lost, extra = expected.height - places.height, observed.height - places.height
    return observed[places["_o"]], expected[places["_e"]], lost, extra


def _by_position(observed: pl.DataFrame, expected: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    shared = [name for name in expected.columns if name in observed.columns]
    plain = [name for name in shared if not observed[name].dtype.is_nested() and not expected[name].dtype.is_nested()]
    left, right = (frame.sort(plain, nulls_last=True) if plain else frame for frame in (observed, expected))
    rows = min(left.height, right.height)
    return left.head(rows), right.head(rows), max(0, right.height - rows), max(0, left.height - rows)


def _different(left: pl.Series, right: pl.Series) -> pl.Series:
    if left.dtype != right.dtype:
        if left.dtype.is_numeric() and right.dtype.is_numeric():
            left, right = left.cast(pl.Float64), right.cast(pl.Float64)
        elif isinstance(left.dtype, pl.Datetime) and isinstance(right.dtype, pl.Datetime):
            left, right = left.dt.epoch("us"), right.dt.epoch("us")
        else:
            left, right = left.cast(pl.String, strict=False), right.cast(pl.String, strict=False)
    if left.dtype.is_float():
        a, b = left.fill_nan(None), right.fill_nan(None)
        near = ((a - b).abs() <= _ATOL + _RTOL * b.abs()) | (a == b)
        return ~near.fill_null(False) & ~(a.is_null() & b.is_null())
    if left.dtype.is_nested():
        return ~left.eq_missing(right)
    return left.ne_missing(right)
