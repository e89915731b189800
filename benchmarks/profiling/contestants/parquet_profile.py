"""The current table from Parquet (zstd), decoded and profiled. Form: headwater, polars or duckdb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from measuring import arguments, measure, tell
from tables import TEXTS, loaded

GIVEN = arguments()


def by_headwater(path: Path) -> Callable[[], object]:
    """Row group by row group: no more than two are in memory."""
    from headwater.stats.summaries import summarise

    before = summarise(loaded(GIVEN.reference), threads=GIVEN.threads)
    return lambda: summarise(path, like=before, threads=GIVEN.threads)


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
    profile = {"headwater": by_headwater, "polars": by_polars, "duckdb": by_duckdb}[GIVEN.form](path)
    tell(measure({"current": profile}, GIVEN.repeats) | {"megabytes": path.stat().st_size / 1e6})


if __name__ == "__main__":
    main()
