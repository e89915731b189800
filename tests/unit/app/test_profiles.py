"""Tables are profiled in memory or batch by batch, to the same numbers."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

import headwater
from headwater.core.errors import StorageError, UnknownName, UsageError


@pytest.fixture
def frame() -> pl.DataFrame:
    random = np.random.default_rng(9)
    rows = 30_000
    return pl.DataFrame(
        {
            "amount": random.lognormal(3, 1, rows),
            "items": random.poisson(3, rows),
            "country": random.choice(["DE", "FR", None], rows),
            "gift": random.random(rows) < 0.1,
        }
    )


def test_stored_tables_have_the_numbers_of_the_frame(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet", row_group_size=1000)
    (tmp_path / "parts").mkdir()
    frame[:9000].write_parquet(tmp_path / "parts/0.parquet")
    frame[9000:].write_parquet(tmp_path / "parts/1.parquet")
    write_deltalake(tmp_path / "delta", frame.to_arrow())
    whole = headwater.profile(frame).as_dict()["columns"]
    for stored in ("one.parquet", "parts", "delta"):
        made = headwater.profile(tmp_path / stored).as_dict()
        assert made["name"].endswith(stored)
        for name, column in whole.items():
            told = dict(made["columns"][name])
            assert told.pop("type") and told.pop("mean", 0) == pytest.approx(column.get("mean", 0), rel=1e-12)
            left_out = {"type", "mean", "std", "skew", "kurtosis"}
            assert {key: told[key] for key in told if key not in left_out} == {
                key: column[key] for key in column if key not in left_out
            }


def test_progress_is_told_while_a_stored_table_is_read(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet")
    told: list[tuple[int, int]] = []
    headwater.profile(tmp_path / "one.parquet", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (frame.height, frame.height) and told == sorted(told)


def test_profiles_made_alike_merge_to_the_whole(frame: pl.DataFrame) -> None:
    first = headwater.profile(frame[:10_000], name="orders")
    both = first.merge(headwater.profile(frame[10_000:], like=first))
    whole = headwater.profile(frame, like=first)
    assert both.name == "orders" and both.summary.rows == frame.height
    for name in frame.columns:
        one, other = both.summary.columns[name], whole.summary.columns[name]
        assert (one.nulls, one.distinct, one.minimum) == (other.nulls, other.distinct, other.minimum)
        assert one.top_slack is None or one.top == other.top
    with pytest.raises(UsageError, match="like"):
        first.merge(headwater.profile(frame[10_000:].with_columns(pl.col("amount") * 3)))


def test_only_chosen_columns_are_read(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet")
    assert list(headwater.profile(tmp_path / "one.parquet", columns=["gift"]).summary.columns) == ["gift"]
    with pytest.raises(UnknownName, match="gfit"):
        headwater.profile(tmp_path / "one.parquet", columns=["gfit"])


def test_what_is_no_stored_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("nothing")
    with pytest.raises(StorageError):
        headwater.profile(tmp_path / "broken.parquet")
    with pytest.raises(UsageError, match="not there"):
        headwater.profile(tmp_path / "nowhere.parquet")


def test_segments_are_profiled_by_themselves_and_merge_to_the_whole(frame: pl.DataFrame) -> None:
    parts = headwater.profile_by(frame, "country", columns=["amount", "gift"])
    assert list(parts) == ["DE", "FR"]
    assert parts["DE"].summary.columns["amount"].mean == pytest.approx(
        frame.filter(pl.col("country") == "DE")["amount"].mean()
    )
    both = parts["DE"].merge(parts["FR"])
    assert both.summary.rows == frame["country"].drop_nulls().len()
    assert both.summary.columns["amount"].maximum == frame.filter(pl.col("country").is_not_null())["amount"].max()
    with pytest.raises(UnknownName):
        headwater.profile_by(frame, "land")


def test_a_table_in_an_engine_is_profiled_there_and_not_fetched(frame: pl.DataFrame) -> None:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed: no engine to profile in")
    connection = ibis.duckdb.connect()
    connection.con.register("orders", frame.to_arrow())
    table = connection.table("orders")
    here = headwater.profile(frame)
    there = headwater.profile(table, like=here)
    assert there.as_dict()["columns"]["amount"]["q95"] == here.as_dict()["columns"]["amount"]["q95"]
    assert there.merge(here).summary.rows == 2 * frame.height
    assert list(headwater.profile_by(table, "country", like=here)) == ["DE", "FR"]
    with pytest.raises(UsageError, match="would have to be fetched"):
        headwater.compare(table, frame)
