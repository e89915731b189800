"""The current table from Parquet (zstd), decoded and profiled. Form: headwater (on pyarrow), polars or duckdb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import arguments, measure, tell
from tables import TEXTS, loaded

GIVEN = arguments()


def by_headwater(path: Path) -> Callable[[], object]:
    """The reader that comes with it: batch by batch, while the threads summarise those before."""
    from headwater.adapters.batches import parquet_batches
    from headwater.stats.profiling.summaries import summarise

    before = summarise(loaded(GIVEN.reference), threads=GIVEN.threads)
    return lambda: summarise(parquet_batches(path), like=before, threads=GIVEN.threads)


def by_arrow(path: Path) -> Callable[[], object]:
    """The same with pyarrow's batches, which keep the dictionaries of texts."""
    import pyarrow.parquet as pq

    from headwater.stats.profiling.summaries import summarise

    before = summarise(loaded(GIVEN.reference), threads=GIVEN.threads)

    def batches() -> Iterator[object]:
        # Filling buffers ahead would hold many row groups of a large file at once.
        file = pq.ParquetFile(path, read_dictionary=list(TEXTS), pre_buffer=False)
        return iter(file.iter_batches(1 << 18))

    return lambda: summarise(batches(), like=before, threads=GIVEN.threads)


def by_polars(path: Path) -> Callable[[], object]:
    import polars as pl
    import polars_lazy

    bear = polars_lazy.Bear("several")
    reference = pl.DataFrame(pl.from_arrow(loaded(GIVEN.reference)))
    bear.learn(reference)
    bear.profile(reference)
    texts = [pl.col(name).cast(pl.Categorical) for name in TEXTS]
    return lambda: bear.profile(pl.scan_parquet(path).with_columns(texts).collect())


def by_duckdb(path: Path) -> Callable[[], object]:
    import duckdb_sql

    duck = duckdb_sql.Duck(GIVEN.threads, "separate")
    duckdb_sql.fill(duck.connection, "reference", loaded(GIVEN.reference))
    duck.learn()

    def profile() -> None:
        duck.rows(f"CREATE OR REPLACE TEMP TABLE decoded AS FROM read_parquet('{path}')")
        duck.profile("decoded")

    return profile


def main() -> None:
    path = GIVEN.current.with_suffix(".parquet")
    if path.stat().st_size < 1e9:
        path.read_bytes()  # the disk is not what is measured
    profile = {"headwater": by_headwater, "headwater on pyarrow": by_arrow, "polars": by_polars, "duckdb": by_duckdb}[
        GIVEN.form
    ](path)
    tell(measure({"current": profile}, GIVEN.repeats) | {"megabytes": path.stat().st_size / 1e6})


if __name__ == "__main__":
    main()
