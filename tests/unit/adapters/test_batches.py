"""Batches of a file or a Delta table give the summary of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headwater.adapters.batches import delta_batches, parquet_batches, rows_of
from headwater.core.errors import StorageError
from headwater.stats.profiling.summaries import Summary, summarise


def table(rows: int = 5000) -> pl.DataFrame:
    draw = np.random.default_rng(4)
    return pl.DataFrame({"x": draw.normal(size=rows), "k": draw.choice(["a", "b"], rows), "n": np.arange(rows)})


def assert_whole(found: Summary, frame: pl.DataFrame) -> None:
    assert found.rows == len(frame)
    assert found.columns["n"].minimum == 0 and found.columns["n"].maximum == len(frame) - 1
    assert found.columns["x"].mean == pytest.approx(frame["x"].mean(), abs=1e-12)
    assert dict(found.columns["k"].top) == dict(frame["k"].value_counts().iter_rows())


def test_parquet_files_are_read_in_batches(tmp_path: Path) -> None:
    frame = table()
    frame[:3000].write_parquet(tmp_path / "a.parquet", row_group_size=500)
    frame[3000:].write_parquet(tmp_path / "b.parquet", row_group_size=500)
    batches = list(parquet_batches([tmp_path / "a.parquet", tmp_path / "b.parquet"], rows=1000))
    assert len(batches) > 3
    assert pl.concat(batches).equals(frame)
    assert_whole(summarise(parquet_batches([tmp_path / "a.parquet", tmp_path / "b.parquet"], rows=1000)), frame)
    assert set(summarise(parquet_batches(tmp_path / "a.parquet", columns=["k"])).columns) == {"k"}


def test_a_version_of_a_delta_table_is_read_in_batches(tmp_path: Path) -> None:
    frame = table()
    frame[:3000].write_delta(tmp_path / "t")
    frame[3000:].write_delta(tmp_path / "t", mode="append")
    assert_whole(summarise(delta_batches(tmp_path / "t", rows=1000)), frame)
    assert summarise(delta_batches(tmp_path / "t", version=0)).rows == 3000


def test_what_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "wrong.parquet").write_bytes(b"no parquet at all")
    for path in (tmp_path / "none.parquet", tmp_path / "wrong.parquet"):
        with pytest.raises(StorageError, match=path.name):
            summarise(parquet_batches(path))
    with pytest.raises(StorageError, match="nothing"):
        summarise(delta_batches(tmp_path / "nothing"))
    table().write_parquet(tmp_path / "a.parquet")
    with pytest.raises(StorageError, match="missing"):
        summarise(parquet_batches(tmp_path / "a.parquet", columns=["missing"]))


def test_rows_are_counted_without_reading_them(tmp_path):
    frame = pl.DataFrame({"x": range(1000)})
    frame[:400].write_parquet(tmp_path / "0.parquet")
    frame[400:].write_parquet(tmp_path / "1.parquet")
    assert rows_of(tmp_path / "*.parquet") == 1000
    with pytest.raises(StorageError):
        rows_of(tmp_path / "nowhere.parquet")
