"""Read Parquet files and Delta tables batch by batch, in bounded memory, while what was read is summarised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.core.errors import StorageError

if TYPE_CHECKING:
    import polars as pl

ROWS = 1 << 20


def parquet_batches(
    source: str | Path | Sequence[str | Path], *, columns: Sequence[str] | None = None, rows: int = ROWS
) -> Iterator[pl.DataFrame]:
    """Read one or more Parquet files of one schema, in the order of their rows.

    Args:
        source: A file, a folder or pattern, or several files.
        columns: Columns to read; all by default.
        rows: About how many rows a batch has.

    Raises:
        StorageError: A file is missing, or is no Parquet file.
    """
    import polars as pl

    given = [str(part) for part in source] if isinstance(source, Sequence) and not isinstance(source, str) else source
    return _batches(lambda: pl.scan_parquet(given, glob=True), columns, rows, f"`{source}`")


def delta_batches(
    source: str | Path, *, version: int | None = None, columns: Sequence[str] | None = None, rows: int = ROWS
) -> Iterator[pl.DataFrame]:
    """Read one version of a Delta table; the order of rows is that of its files.

    Args:
        source: The table's folder or address.
        version: Which version; the newest by default.
        columns: Columns to read; all by default.
        rows: About how many rows a batch has.

    Raises:
        StorageError: There is no such table or version, or a file of it is missing.
    """
    import polars as pl

    return _batches(lambda: pl.scan_delta(str(source), version=version), columns, rows, f"`{source}`")


def rows_of(source: str | Path, *, delta: bool = False) -> int:
    """Count the rows of Parquet files or a Delta table from what they say of themselves.

    Raises:
        StorageError: There is nothing to read, or it is no table.
    """
    import polars as pl

    with _reading(f"`{source}`"):
        frame = pl.scan_delta(str(source)) if delta else pl.scan_parquet(source, glob=True)
        return int(frame.select(pl.len()).collect().item())


def _batches(
    opened: Callable[[], pl.LazyFrame], columns: Sequence[str] | None, rows: int, name: str
) -> Iterator[pl.DataFrame]:
    import polars as pl

    with _reading(name):
        frame = opened()
        chosen = frame if columns is None else frame.select(columns)
        # Polars reads ahead a few batches and then waits, so that memory stays bounded and decoding goes on meanwhile.
        empty = True
        for part in chosen.collect_batches(chunk_size=rows, maintain_order=True):
            empty = False
            yield part
        if empty:
            yield pl.DataFrame(schema=chosen.collect_schema())


@contextmanager
def _reading(name: str) -> Iterator[None]:
    import polars as pl
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (pl.exceptions.SchemaError, pl.exceptions.ColumnNotFoundError) as error:
        raise StorageError(
            f"cannot read {name}: {error}",
            doing="reading a table batch by batch",
            hint="the files of a folder are one table, so all must have the same columns",
        ) from error
    except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
        said = "there is no Parquet file" if "expanded paths were empty" in str(error) else str(error)
        raise StorageError(
            f"cannot read {name}: {said}",
            doing="reading a table batch by batch",
            hint="Parquet files and Delta tables are read, and no other kind",
        ) from error
