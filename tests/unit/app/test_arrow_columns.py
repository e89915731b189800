"""A column that cannot be measured costs the table nothing: it is counted, and all others are measured."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import headwater

TEXTS = pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])])
LONG = pa.array([Decimal("1.5"), None, Decimal("2.5")], pa.decimal256(50, 2))
HUGE = pa.array([Decimal("1" * 50), None, Decimal("2.5")], pa.decimal256(76, 2))
COLUMNS = {
    "long": (LONG, "number", 1, 2.0),
    "huge": (HUGE, "number", 1, 5.5555555555555555e48),
    "hundreds": (pa.array([Decimal("1E2"), None, Decimal("3E2")], pa.decimal128(10, -2)), "number", 1, 200.0),
    "runs": (pc.run_end_encode(pa.array([1, 1, None])), "number", 1, 1.0),
    "coded runs": (pc.run_end_encode(pa.array([Decimal(1), None, Decimal(3)], pa.decimal256(50, 0))), "number", 1, 2.0),
    "union": (TEXTS, "other", 0, None),
    "interval": (pa.array([(1, 2, 3), None, None], pa.month_day_nano_interval()), "other", 2, None),
    "views": (pa.array([[1], None, []], pa.list_view(pa.int64())), "other", 1, None),
    "nested": (pa.array([[Decimal(1)], None, []], pa.list_(pa.decimal256(50, 0))), "other", 1, None),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("form", ["table", "batch", "reader"])
def test_types_that_polars_has_not_do_not_refuse_the_table(name, form, capfd):
    values, kind, nulls, mean = COLUMNS[name]
    batch = pa.record_batch({"x": values, "y": [1, 2, 3]})
    data = {
        "table": pa.table({"x": values, "y": [1, 2, 3]}),
        "batch": batch,
        "reader": pa.RecordBatchReader.from_batches(batch.schema, [batch]),
    }[form]
    found = headwater.profile(data)
    column = found.summary.columns["x"]
    assert (column.kind, column.nulls, column.rows) == (kind, nulls, 3)
    assert column.mean == (None if mean is None else pytest.approx(mean))
    assert found.summary.columns["y"].mean == 2.0 and "x" in str(found)
    assert not capfd.readouterr().err


def test_such_tables_are_compared():
    table = pa.table({name: values for name, (values, *_) in COLUMNS.items()})
    table = pa.concat_tables([table] * 50)
    assert not headwater.compare(table, table).changes


def test_numbers_of_128_bits_are_counted_and_called_so():
    column = headwater.profile(pl.DataFrame({"x": pl.Series([1, None], dtype=pl.Int128)})).summary.columns["x"]
    assert (column.kind, column.dtype, column.nulls) == ("other", "int128", 1)


@pytest.mark.parametrize(("values", "mean"), [([0, 0, 1, 3], 1.0), ([np.nan, 0.0, 1.0, 2.0], 1.0)])
def test_sparse_numbers_are_numbers(values, mean):
    column = headwater.profile(pd.DataFrame({"x": pd.arrays.SparseArray(values)})).summary.columns["x"]
    assert (column.kind, column.mean) == ("number", mean)
