"""Take a table as its owner has it (pandas, Polars, Arrow, DuckDB, a Parquet file, a Delta table) and make a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.arrow_columns import is_pyarrow, readable
from headwater.app.report.tables import TableProfile
from headwater.app.wiring import batches, in_engine
from headwater.core.errors import DataError, HeadwaterError, UnknownName, UsageError

TAKEN = (
    "a Polars, pandas or Arrow table, a DuckDB relation, a mapping of columns, or the path of a Parquet file, a folder "
    "of them or a Delta table"
)
_UTC = ("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu", "+00:00")

Progress = Callable[[int, int], None]
"""Told the rows read so far, and how many there are."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def as_frame(data: Any, *, what: str = "the table") -> pl.DataFrame:
    """Return outside data as a Polars frame; Arrow memory is shared, not copied.

    A pandas index is not a column. A pandas column of mixed objects (numbers and texts) becomes text, as any reader of
    it would have to treat it; its nulls stay nulls. A zone that is UTC by another name becomes UTC.

    Args:
        data: A Polars frame (or lazy frame, which is run), a pandas frame, an Arrow table, batch or reader, a DuckDB
            relation, a mapping of column names to values, or a path.
        what: What to call it in an error, e.g. ``"the reference"``.

    Raises:
        UsageError: It is no table.
        DataError: It is one that cannot be read.
        StorageError: There is no table at that path.

    Example:
        >>> as_frame({"x": [1, 2]}).shape
        (2, 1)
    """
    return _one_utc(_framed(data, what))


def _framed(data: Any, what: str) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.Series):
        return data.to_frame(data.name or "value")
    if in_engine(data):
        raise UsageError(
            f"{what} lies in {data.get_backend().name}, and its rows would have to be fetched for this",
            hint="profile it there with headwater.profile, or pass table.to_polars() if it fits",
        )
    try:
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, (str, Path)):
            return pl.concat(stored(Path(data), None, silent, what))
        if _is_pandas(data):
            return _pandas(
                data if hasattr(data, "columns") else data.to_frame("value" if data.name is None else data.name)
            )
        if is_pyarrow(data):
            return pl.DataFrame(readable(data))
        if isinstance(data, Mapping) or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
            return pl.DataFrame(data)
    except HeadwaterError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{what} cannot be read: {type(error).__name__}: {error}", hint=f"Headwater takes {TAKEN}"
        ) from error
    hint = f"Headwater takes {TAKEN}"
    if isinstance(data, TableProfile):
        hint = "windows are what tells how much is usual, so compare takes the tables themselves"
    raise UsageError(f"{what} is a {type(data).__name__}, which is no table", hint=hint)


def _one_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """Call UTC by one name: DuckDB says Etc/UTC, and that is no other type."""
    renamed = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone in _UTC]
    return frame.with_columns(pl.col(renamed).dt.convert_time_zone("UTC")) if renamed else frame


def pick(frame: pl.DataFrame, columns: Any, what: str = "the table") -> pl.DataFrame:
    """Return the columns asked for, in that order; all of them for None.

    Raises:
        UnknownName: One is not there.
    """
    if columns is None:
        return frame
    wanted = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    if not wanted:
        raise UsageError(f"no column of {what} is named", hint="leave `columns` out to look at all of them")
    for name in wanted:
        if name not in frame.columns:
            raise UnknownName.column(str(name), frame.columns, what)
    return frame.select(wanted)


def stored(path: Path, columns: Sequence[str] | None, told: Progress, what: str) -> Iterator[pl.DataFrame]:
    """Yield the batches of a stored table in bounded memory, telling how far it is read.

    Raises:
        UsageError: There is nothing at that path.
        StorageError: It is no table.
    """
    path = path.expanduser()
    if not path.exists():
        raise UsageError(f"{what}: {path} is not there", hint=_elsewhere(path))
    total, parts = batches(path)
    done = 0
    for part in parts:
        yield pick(part, columns, what)
        done += part.height
        told(done, total)


def _elsewhere(path: Path) -> str:
    """Say what can be done about a path that is not there."""
    scheme = path.parts[0] if path.parts else ""
    if scheme.endswith(":") and len(scheme) > 2:
        return f'only paths on this machine are read; pass polars.scan_parquet("{scheme}//..."), or an Ibis table'
    return "name a Parquet file, a folder of them or a Delta table"


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and (
        hasattr(data, "columns") or hasattr(data, "to_frame")
    )


def _pandas(data: Any) -> pl.DataFrame:
    names = [str(name) for name in data.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the pandas frame has column `{twice[0]}` twice", hint="rename one of them")
    return pl.DataFrame({name: _pandas_column(name, data.iloc[:, place]) for place, name in enumerate(names)})


def _pandas_column(name: str, column: Any) -> pl.Series:
    values = column.reset_index(drop=True)
    if type(values.dtype).__name__ == "SparseDtype":
        values = values.sparse.to_dense()
    try:
        return pl.Series(name, values)
    except Exception:
        texts = [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
        return pl.Series(name, texts, dtype=pl.String)
