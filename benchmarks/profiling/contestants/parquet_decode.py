"""The floor of the Parquet variant: the whole file decoded, nothing computed. Form: pyarrow, polars or duckdb."""

from __future__ import annotations

from pathlib import Path

from measuring import arguments, measure, tell
from tables import TEXTS

GIVEN = arguments()


def by_pyarrow(path: Path) -> None:
    """Row group by row group, dictionaries kept, so that no more than one is in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(GIVEN.threads)
    file = pq.ParquetFile(path, read_dictionary=list(TEXTS))
    for group in range(file.num_row_groups):
        file.read_row_group(group, use_threads=True)


def by_polars(path: Path) -> None:
    import polars as pl

    pl.read_parquet(path)


def by_duckdb(path: Path) -> None:
    import duckdb

    connection = duckdb.connect(config={"threads": GIVEN.threads})
    connection.execute(f"CREATE TEMP TABLE decoded AS FROM read_parquet('{path}')")


def main() -> None:
    path = GIVEN.current.with_suffix(".parquet")
    path.read_bytes()  # the disk is not what is measured
    decode = {"pyarrow": by_pyarrow, "polars": by_polars, "duckdb": by_duckdb}[GIVEN.form]
    tell(measure({"current": lambda: decode(path)}, GIVEN.repeats) | {"megabytes": path.stat().st_size / 1e6})


if __name__ == "__main__":
    main()
