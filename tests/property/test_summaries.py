"""Merge laws of summaries, whatever the values: associative, commutative, equal to the whole, never NaN."""

from __future__ import annotations

import json
import math
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.stats.profiling import compiled, scans, summaries
from headwater.stats.profiling.columns import ColumnSummary
from headwater.stats.profiling.summaries import Summary, summarise

EXACT = ("rows", "nulls", "nans", "infinities", "zeros", "low", "high", "outer", "unseen", "lengths", "distinct", "top")
DTYPES: dict[Any, st.SearchStrategy[Any]] = {
    pl.Float64: st.floats(width=64),
    pl.Float32: st.floats(width=32),
    pl.Int8: st.integers(-(2**7), 2**7 - 1),
    pl.UInt8: st.integers(0, 2**8 - 1),
    pl.Int16: st.integers(-(2**15), 2**15 - 1),
    pl.UInt32: st.integers(0, 2**32 - 1),
    pl.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.Boolean: st.booleans(),
    pl.String: st.text(max_size=20) | st.sampled_from(["a", "b"]),
    pl.Categorical: st.sampled_from(["a", "b", "ç", ""]),
    pl.Date: st.dates(),
    pl.Datetime("us"): st.datetimes(min_value=datetime(1, 1, 1)),
    pl.Datetime("ns", "Europe/Berlin"): st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    pl.Duration("ms"): st.timedeltas(),
    pl.Time: st.times(),
    pl.Decimal(12, 3): st.decimals(-(10**8), 10**8, places=3),
    pl.Decimal(30, 3): st.decimals(-(10**8), 10**8, places=3),
}
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def columns(draw: st.DrawFn) -> pl.DataFrame:
    dtype = draw(st.sampled_from(list(DTYPES)))
    values = draw(st.lists(st.none() | DTYPES[dtype], max_size=60))
    if dtype == pl.Datetime("ns", "Europe/Berlin"):
        series = (
            pl.Series("x", values, dtype=pl.Datetime("ns"))
            .dt.replace_time_zone("UTC")
            .dt.convert_time_zone("Europe/Berlin")
        )
        return series.to_frame()
    return pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)})


def near(one: float | None, other: float | None, unit: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-12 * max(abs(one), abs(other), unit)


def assert_same(one: ColumnSummary, other: ColumnSummary) -> None:
    for part in EXACT:
        assert getattr(one, part) == getattr(other, part), part
    for left, right in ((one.cells, other.cells), (one.registers, other.registers)):
        assert (left is None) == (right is None) and (left is None or (left == right).all())
    unit = max(abs(float(one.low or 0)), abs(float(one.high or 0)))
    if math.isfinite(unit) and one.field.factor == 1:
        assert near(one.mean, other.mean, unit) and near(one.std, other.std, unit)


@QUICK
@given(columns(), st.data())
def test_parts_merge_to_the_whole_in_any_order(frame: pl.DataFrame, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(frame)))
    second = data.draw(st.integers(first, len(frame)))
    past = summarise(frame[: len(frame) // 2])
    a, b, c = (summarise(part, like=past) for part in (frame[:first], frame[first:second], frame[second:]))
    whole = summarise(frame, like=past).columns["x"]
    assert_same(a.merge(b).merge(c).columns["x"], whole)
    assert_same(a.merge(b.merge(c)).columns["x"], whole)
    assert_same(c.merge(a).merge(b).columns["x"], whole)
    left, right = a.merge(b).columns["x"], b.merge(a).columns["x"]
    assert (left.moments, left.cells is None or left.cells.tolist()) == (
        right.moments,
        right.cells is None or right.cells.tolist(),
    )


@QUICK
@given(columns())
def test_no_number_is_ever_nan(frame: pl.DataFrame) -> None:
    summary = summarise(frame)
    again = Summary.of(json.loads(json.dumps(summary.body(), allow_nan=False)))
    assert again.metrics() == summary.metrics()
    assert all(math.isfinite(value) for value in summary.metrics().values())
    column = summary.columns["x"]
    for number in (column.mean, column.std, column.skew, column.kurtosis, *map(column.quantile, (0.0, 0.5, 1.0))):
        assert number is None or math.isfinite(number)
    if column.grid is not None and column.count:
        low, high = column.quantile(0.0), column.quantile(1.0)
        assert low is not None and high is not None and low <= high
        assert int(column.histogram()[1].sum()) == column.count


@QUICK
@given(columns())
def test_the_compiled_form_is_the_plain_one(monkeypatch: pytest.MonkeyPatch, frame: pl.DataFrame) -> None:
    past = summarise(frame[: len(frame) // 2])
    made = []
    for form in (scans.scan, compiled.scan):
        monkeypatch.setattr(summaries, "_form", lambda fields, first, form=form: form)
        made.append(summarise(frame, like=past).columns["x"])
    assert_same(*made)


LAYOUTS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string_view(): st.text(max_size=40),
    pa.large_string(): st.text(max_size=40),
    pa.float16(): st.floats(width=16),
    pa.decimal32(5, 2): st.decimals(-999, 999, places=2),
    pa.decimal64(18, 9): st.decimals(-(10**8), 10**8, places=9),
    pa.decimal128(38, 10): st.decimals(-(10**27), 10**27, places=10),
    pa.decimal256(76, 40): st.decimals(-(10**20), 10**20, places=20),
    pa.timestamp("ns", "America/New_York"): st.integers(-(2**63), 2**63 - 1),
    pa.date32(): st.integers(-(2**31), 2**31 - 1),
    pa.bool_(): st.booleans(),
}


@st.composite
def layouts(draw: st.DrawFn) -> pa.ChunkedArray:
    """Chunks that start anywhere in their memory, some of them empty, of plain values or of codes into a dictionary."""
    dtype = draw(st.sampled_from(list(LAYOUTS)))
    values = draw(st.lists(st.none() | LAYOUTS[dtype], max_size=40))
    plain = pa.array(values, pa.int64()).cast(dtype) if pa.types.is_timestamp(dtype) else pa.array(values, dtype)
    if dtype == pa.large_string() and values:
        codes = draw(st.lists(st.none() | st.integers(0, len(values) - 1), max_size=60))
        plain = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int16()), plain)
    cuts = sorted(draw(st.lists(st.integers(0, len(plain)), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, len(plain)], strict=True)
    return pa.chunked_array([plain[start:stop] for start, stop in bounds], type=plain.type)


@QUICK
@given(layouts())
def test_any_layout_of_memory_gives_the_same(monkeypatch: pytest.MonkeyPatch, chunks: pa.ChunkedArray) -> None:
    made = []
    for form in (scans.scan, compiled.scan):
        monkeypatch.setattr(summaries, "_form", lambda fields, first, form=form: form)
        made.append(summarise(pa.table({"x": chunks})).columns["x"])
        made.append(summarise(pa.table({"x": pa.chunked_array([chunks.combine_chunks()])})).columns["x"])
    for one in made[1:]:
        assert_same(made[0], one)
    assert made[0].rows == len(chunks)
    if made[0].kind == "text":
        texts = [text for text in chunks.to_pylist() if text is not None]
        assert (made[0].count, made[0].distinct) == (len(texts), len(set(texts)))
    else:
        assert made[0].nulls == chunks.null_count


@st.composite
def unsigned(draw: st.DrawFn) -> np.ndarray:
    """Unsigned 64-bit numbers: few, many, near each other or apart, below and above what a signed number holds."""
    start = draw(st.sampled_from([0, 1, 250, 2**32, 2**53, 2**63 - 2000, 2**63, 2**64 - 5000]))
    spread = draw(st.sampled_from([1, 100, 4000, 10**6, 2**40, 2**63]))
    rows = draw(st.sampled_from([1, 2, 50, 6000]))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    last = min(start + spread, 2**64 - 1)
    values = chance.integers(start, last, rows, dtype=np.uint64, endpoint=True)
    if draw(st.booleans()):
        values[0] = draw(st.sampled_from([0, 2**64 - 1]))
    return values


@QUICK
@given(unsigned(), st.booleans())
def test_unsigned_numbers_have_their_own_quantiles(
    monkeypatch: pytest.MonkeyPatch, values: np.ndarray, learned: bool
) -> None:
    frame = pl.DataFrame({"x": values})
    past = None if learned else summarise(frame[: len(frame) // 2 + 1])
    ordered = np.sort(values)
    for form in (scans.scan, compiled.scan):
        monkeypatch.setattr(summaries, "_form", lambda fields, first, form=form: form)
        column = summarise(frame, like=past).columns["x"]
        assert column.grid is not None and column.cells is not None
        inside = int(column.cells[0]) == 0
        exact = column.grid.kind == "values" and inside
        for share in (0.0, 0.01, 0.25, 0.5, 0.9, 1.0):
            found, place = column.quantile(share), share * (len(values) - 1)
            low, high = (float(ordered[at(place)]) for at in (math.floor, math.ceil))
            cell = 2.0 ** max(column.grid.power, 0) if column.grid.kind == "linear" else 1.0
            room = high * 1e-15 if exact else max(high * 0.02, cell)
            assert found is not None and low - room <= found <= high + room, share
            if exact and low == high:
                assert found == low
        if exact:
            middle = ordered[len(ordered) // 2]
            assert column.share_below(float(middle)) == (values.astype(float) < float(middle)).mean()
        bounds, counts = column.histogram()
        if column.grid.kind != "log" and ordered[-1] < 2**53:
            assert counts.tolist() == [((values >= a) & (values < b)).sum() for a, b in pairwise(bounds)]
