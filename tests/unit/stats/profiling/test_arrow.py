"""The Arrow interface: every producer and type is read in place, and hostile input gives a clear error."""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headwater.core.errors import DataError, HeadwaterError, UsageError
from headwater.stats.profiling import arrow
from headwater.stats.profiling.arrow import count_bits, read_frame, unpack_bits
from headwater.stats.profiling.fields import read_field
from headwater.stats.profiling.summaries import summarise

TEXTS = ["a", None, "ç", "a text that is longer than twelve bytes"]


class Producer:
    """Hands out an array whose parts a test has bent."""

    def __init__(self, array: pa.RecordBatch, bend: Any) -> None:
        self.array, self.bend = array, bend

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        schema, array = self.array.__arrow_c_array__()
        self.bend(arrow._Array.from_address(arrow._capsule(array, b"arrow_array")).children[0].contents)
        return schema, array


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_texts_of_every_layout(kind: pa.DataType, skip: int) -> None:
    table = pa.table({"x": pa.array(TEXTS * 9).cast(kind)}).slice(skip)
    column = summarise(table).columns["x"]
    wanted = (TEXTS * 9)[skip:]
    assert dict(column.top) == {text: wanted.count(text) for text in TEXTS if text is not None}
    assert column.nulls == wanted.count(None)


def whole(values: list[int | None], kind: pa.DataType) -> pa.Array:
    width = pa.int32() if kind == pa.time32("s") else pa.int64()
    return pa.array(values, width).view(kind)


@pytest.mark.parametrize(
    ("values", "low", "high", "dtype"),
    [
        (pa.array(np.array([1.5, -2.0], np.float16)), -2.0, 1.5, "float16"),
        (pa.array([2**63 + 5, None, 1], pa.uint64()), 1, 2**63 + 5, "uint64"),
        (pa.array([1, None, -5]).cast(pa.decimal256(50, 0)), -5.0, 1.0, "decimal[50, 0]"),
        (whole([1000, None, 2000], pa.duration("ms")), 1.0, 2.0, "duration[ms]"),
        (whole([3600, None, 7200], pa.time32("s")), 1.0, 2.0, "time[s]"),
        (whole([0, None, 86_400_000], pa.date64()), 0, 86_400_000, "date64"),
        (whole([5, None, 7], pa.timestamp("ns", "Asia/Tokyo")), 5, 7, "timestamp[ns, Asia/Tokyo]"),
        (pa.array([5, None, 7]).dictionary_encode(), 5, 7, "dictionary[int64]"),
    ],
)
def test_numbers_and_times_of_every_width(values: pa.Array, low: Any, high: Any, dtype: str) -> None:
    column = summarise(pa.table({"x": values})).columns["x"]
    assert (column.minimum, column.maximum, column.nulls, column.dtype) == (low, high, values.null_count, dtype)


def test_nested_columns_are_counted_only() -> None:
    table = pa.table({"x": [[1], None, []], "y": [{"a": 1}, None, {"a": 2}], "z": pa.nulls(3), "b": [b"a", None, b""]})
    for column in summarise(table).columns.values():
        assert (column.kind, column.rows, column.distinct) == ("other", 3, None)
        assert column.nulls == (3 if column.name == "z" else 1)


def test_every_producer_gives_the_same() -> None:
    frame = pl.DataFrame({"x": [1.5, None, 3.0], "n": [1, 2, 3], "s": ["a", "b", "a"]})
    duckdb = pytest.importorskip("duckdb")
    wanted = summarise(frame).metrics()
    table = frame.to_arrow()
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    for other in (frame.to_pandas(), table, table.to_batches()[0], reader, duckdb.sql("select * from frame")):
        assert summarise(other).metrics() == pytest.approx(wanted), type(other)
    assert summarise(pd.DataFrame({"x": [1, 2]})).columns["x"].maximum == 2


def test_buffers_are_not_copied_and_outlive_their_frame() -> None:
    frame = pl.DataFrame({"x": np.arange(1_000_000)})
    _, batches = read_frame(frame)
    tracemalloc.start()
    chunk = next(batches).columns[0]
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    del frame, batches
    gc.collect()
    assert chunk.values is not None and int(chunk.values.sum()) == 499_999_500_000


@pytest.mark.parametrize("offset", range(10))
def test_bits_are_counted_from_any_offset(offset: int) -> None:
    bits = np.random.default_rng(offset).random(300) < 0.5
    packed = np.packbits(bits, bitorder="little")
    for length in (0, 1, 7, 64, 200):
        wanted = bits[offset : offset + length]
        assert count_bits(packed, offset, length) == int(wanted.sum())
        assert unpack_bits(packed, offset, length).tolist() == wanted.tolist()


def test_a_producer_that_contradicts_itself_is_refused() -> None:
    def longer(array: Any) -> None:
        array.length = -1

    def bare(array: Any) -> None:
        array.n_buffers = 1

    def nulls(array: Any) -> None:
        array.null_count, array.buffers[0] = 2, None

    batch = pa.record_batch({"x": [1, None, 3]})
    for bend in (longer, bare, nulls):
        with pytest.raises(DataError, match="`x`"):
            summarise(Producer(batch, bend))


def test_wrong_offsets_views_and_codes_are_refused() -> None:
    def backwards(array: Any) -> None:
        ctypes.cast(array.buffers[1], ctypes.POINTER(ctypes.c_int32))[1] = 99

    def astray(array: Any) -> None:
        ctypes.cast(array.buffers[1], ctypes.POINTER(ctypes.c_int32))[3] = 10_000

    def unknown(array: Any) -> None:
        ctypes.cast(array.buffers[1], ctypes.POINTER(ctypes.c_int32))[0] = 7

    long = ["a text that is longer than twelve bytes", "b"]
    for kind, bend in (
        (pa.string(), backwards),
        (pa.string_view(), astray),
        (pa.dictionary(pa.int32(), pa.string()), unknown),
    ):
        batch = pa.record_batch({"x": pa.array(long).cast(kind)})
        with pytest.raises(DataError, match="`x`"):
            summarise(Producer(batch, bend))


def test_what_is_no_table_says_what_to_pass() -> None:
    with pytest.raises(UsageError, match="not a table"):
        summarise(pl.Series([1, 2]))
    with pytest.raises(UsageError, match="int"):
        read_frame(7)
    with pytest.raises(UsageError, match="twice"):
        summarise(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]))


def test_a_failing_producer_is_told() -> None:
    def parts() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1]})
        raise ValueError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), parts())
    with pytest.raises(HeadwaterError, match="the disk is gone"):
        summarise(reader)


@pytest.mark.parametrize("text", ["", "?", "tsq:", "d:1", "d:a,b", "w:3", "+r", "tiM", "d:38,9999"])
def test_unknown_formats_are_counted_only(text: str) -> None:
    assert read_field("x", text).kind == "other"


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a\0b": [1]}),
        pl.DataFrame({"x": [{"a\0b": 1}]}),
        pl.DataFrame({"x": [[{"y": {"a\0b": 1}}]]}),
    ],
)
def test_a_name_that_the_interface_cannot_carry_is_refused_before_it_is_entered(frame):
    with pytest.raises(DataError, match="no name may hold a NUL"):
        read_frame(frame)
