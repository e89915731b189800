"""Take a table as its owner has it (pandas, Polars, Arrow, DuckDB, a Parquet file, a Delta table) and make a frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from headwater.core.errors import DataError, UnknownName, UsageError

TAKEN = (
    "a Polars, pandas or Arrow table, a DuckDB relation, a mapping of columns, or the path of a Parquet file or folder"
)


def as_frame(data: Any, *, what: str = "the table") -> pl.DataFrame:
    """Return outside data as a Polars frame; Arrow memory is shared, not copied.

    A pandas index is not a column. A pandas column of mixed objects (numbers and texts) becomes text, as any reader of
    it would have to treat it; its nulls stay nulls.

    Args:
        data: A Polars frame (or lazy frame, which is run), a pandas frame, an Arrow table, batch or reader, a DuckDB
            relation, a mapping of column names to values, or a path.
        what: What to call it in an error, e.g. ``"the reference"``.

    Raises:
        UsageError: It is no table.
        DataError: It is one that cannot be read.

    Example:
        >>> as_frame({"x": [1, 2]}).shape
        (2, 1)
    """
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.Series):
        return data.to_frame(data.name or "value")
    try:
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, (str, Path)):
            return _stored(Path(data), what)
        if _is_pandas(data):
            return _pandas(data)
        if isinstance(data, Mapping) or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
            return pl.DataFrame(data)
    except (UsageError, DataError):
        raise
    except Exception as error:
        raise DataError(
            f"{what} cannot be read: {type(error).__name__}: {error}", hint=f"Headwater takes {TAKEN}"
        ) from error
    raise UsageError(f"{what} is a {type(data).__name__}, which is no table", hint=f"Headwater takes {TAKEN}")


def pick(frame: pl.DataFrame, columns: Any, what: str = "the table") -> pl.DataFrame:
    """Return the columns asked for, in that order; all of them for None.

    Raises:
        UnknownName: One is not there.
    """
    if columns is None:
        return frame
    wanted = [columns] if isinstance(columns, str) else list(columns)
    for name in wanted:
        if name not in frame.columns:
            raise UnknownName.of(f"column of {what}", str(name), frame.columns)
    return frame.select(wanted)


def _stored(path: Path, what: str) -> pl.DataFrame:
    if not path.exists():
        raise UsageError(f"{what}: {path} is not there", hint=f"Headwater takes {TAKEN}")
    if path.is_dir() and (path / "_delta_log").is_dir():
        from deltalake import DeltaTable

        return pl.DataFrame(pl.scan_delta(DeltaTable(str(path))).collect())
    return pl.read_parquet(path / "**/*.parquet" if path.is_dir() else path)


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")


def _pandas(data: Any) -> pl.DataFrame:
    names = [str(name) for name in data.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the pandas frame has column `{twice[0]}` twice", hint="rename one of them")
    return pl.DataFrame([_pandas_column(name, data.iloc[:, place]) for place, name in enumerate(names)])


def _pandas_column(name: str, column: Any) -> pl.Series:
    values = column.reset_index(drop=True)
    try:
        return pl.Series(name, values)
    except Exception:
        texts = [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
        return pl.Series(name, texts, dtype=pl.String)
