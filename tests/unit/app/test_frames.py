"""Tables as their owners have them become frames, or say why not."""

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headwater.app.frames import as_frame, pick
from headwater.core.errors import DataError, StorageError, UnknownName, UsageError

ROWS = {"number": [1, 2, 3], "text": ["a", None, "c"]}


@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame(ROWS),
        pl.LazyFrame(ROWS),
        pd.DataFrame(ROWS),
        pa.table(ROWS),
        pa.record_batch(ROWS),
        pa.table(ROWS).to_reader(),
        ROWS,
    ],
    ids=lambda data: f"{type(data).__module__}.{type(data).__name__}",
)
def test_every_kind_of_table_is_taken(data):
    assert as_frame(data).equals(pl.DataFrame(ROWS))


def test_a_duckdb_relation_is_taken():
    found = as_frame(duckdb.connect().sql("select 1 as a, 'x' as b, 1.25::decimal(9, 2) as c"))
    assert found.row(0) == (1, "x", pytest.approx(1.25))


def test_arrow_memory_is_shared_not_copied():
    numbers = np.arange(1000.0)
    shared = as_frame(pa.table({"x": pa.array(numbers)}))["x"].to_numpy()
    assert shared.__array_interface__["data"][0] == numbers.__array_interface__["data"][0]


def test_files_and_delta_tables_are_read(tmp_path):
    frame = pl.DataFrame(ROWS)
    (tmp_path / "parts").mkdir()
    frame[:2].write_parquet(tmp_path / "parts/0.parquet")
    frame[2:].write_parquet(tmp_path / "parts/1.parquet")
    write_deltalake(tmp_path / "table", frame.to_arrow())
    assert as_frame(tmp_path / "parts").equals(frame)
    assert as_frame(str(tmp_path / "parts/0.parquet")).equals(frame[:2])
    assert as_frame(tmp_path / "table").equals(frame)


def test_a_pandas_column_of_mixed_objects_becomes_text_and_keeps_its_nulls():
    found = as_frame(pd.DataFrame({"mixed": [1, "x", None, 2.5], "sound": [1, 2, 3, 4]}))
    assert found["mixed"].to_list() == ["1", "x", None, "2.5"]
    assert found.schema["sound"] == pl.Int64


def test_a_pandas_index_is_no_column_and_shuffled_labels_do_not_matter():
    frame = pd.DataFrame({"x": [3, 1, 2], "m": ["a", 1, "c"]}, index=[9, 7, 9])
    assert as_frame(frame).to_dict(as_series=False) == {"x": [3, 1, 2], "m": ["a", "1", "c"]}


def test_pandas_times_keep_their_zone():
    times = pd.to_datetime(["2024-03-31 00:30", "2024-03-31 02:30"]).tz_localize("UTC").tz_convert("Europe/Berlin")
    found = as_frame(pd.DataFrame({"t": times, "naive": times.tz_localize(None)}))
    assert found.schema["t"].time_zone == "Europe/Berlin" and found.schema["naive"].time_zone is None
    assert found["t"][0] == dt.datetime(2024, 3, 31, 0, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (3, UsageError, "the reference is a int"),
        (None, UsageError, "the reference is a NoneType"),
        ("nowhere.parquet", UsageError, "nowhere.parquet is not there"),
        ({"a": [1, 2], "b": [1]}, DataError, "the reference cannot be read"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), DataError, "column `a` twice"),
    ],
    ids=str,
)
def test_what_is_no_table_is_refused_by_name(data, error, said):
    with pytest.raises(error, match=said) as caught:
        as_frame(data, what="the reference")
    assert caught.value.hint


def test_a_broken_file_is_an_error_of_storage(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing of the sort")
    with pytest.raises(StorageError, match="cannot read"):
        as_frame(tmp_path / "broken.parquet")


def test_what_polars_panics_on_is_read_as_floats():
    wide = pa.table({"x": pa.array([10**75], pa.decimal256(76, 0))})
    assert as_frame(wide)["x"].to_list() == [1e75]


def test_a_stored_table_without_rows_keeps_its_columns(tmp_path):
    pl.DataFrame({"x": [1], "t": ["a"]})[:0].write_parquet(tmp_path / "none.parquet")
    assert as_frame(tmp_path / "none.parquet").schema == {"x": pl.Int64, "t": pl.String}


def test_a_column_may_have_an_empty_name():
    assert as_frame(pd.DataFrame({"": [1], "x": [2]})).columns == ["", "x"]


def test_a_column_named_twice_is_taken_once():
    assert pick(pl.DataFrame({"a": [1], "b": [2]}), ["b", "a", "b"]).columns == ["b", "a"]


def test_an_unknown_column_is_refused_with_a_hint():
    with pytest.raises(UnknownName, match="temprature") as caught:
        pick(pl.DataFrame({"temperature": [1.0]}), ["temprature"])
    assert "temperature" in str(caught.value.hint)
