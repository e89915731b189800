"""Summaries: the same numbers as the flat profile, for every type, and clear ends for hostile input."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import HeadwaterError, UsageError
from headwater.core.windows import Calendar
from headwater.stats.profiling.profile import profile
from headwater.stats.profiling.summaries import Summary, summarise

DAY = Calendar().window("2013-07-01")


def table(rows: int = 3000, seed: int = 7) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    start = datetime(2013, 7, 1)
    whole = draw.integers(0, 24, rows)
    frame = pl.DataFrame(
        {
            "real": draw.normal(size=rows),
            "skewed": draw.lognormal(3, 2, rows),
            "hour": whole,
            "id": draw.integers(-(2**63), 2**63 - 1, rows),
            "unsigned": draw.integers(0, 2**64 - 1, rows, dtype=np.uint64),
            "small": draw.integers(-128, 127, rows).astype(np.int8),
            "single": draw.normal(size=rows).astype(np.float32),
            "flag": draw.random(rows) < 0.3,
            "text": draw.choice(["a", "bb", "cç", "a longer text than twelve bytes"], rows),
            "at": [start + timedelta(seconds=int(k)) for k in draw.integers(0, 86400, rows)],
            "on": [date(2013, 7, 1 + int(k)) for k in draw.integers(0, 3, rows)],
        }
    )
    with_nulls = pl.when(whole > 20).then(None)
    return frame.with_columns(
        with_nulls.otherwise(pl.col("real")).alias("holes"),
        with_nulls.otherwise(pl.col("text")).alias("text_holes"),
        pl.col("text").cast(pl.Categorical).alias("coded"),
        pl.duration(seconds=pl.col("hour")).alias("took"),
        pl.col("at").dt.time().alias("clock"),
        pl.col("real").cast(pl.Decimal(12, 4)).alias("price"),
        pl.col("real").cast(pl.Decimal(30, 4)).alias("wide_price"),
        pl.col("at").dt.replace_time_zone("Europe/Berlin").alias("zoned"),
        pl.col("at").cast(pl.Datetime("ns")).alias("fine"),
        pl.lit(None).alias("nothing"),
        pl.concat_list("hour").alias("nested"),
    )


def test_metrics_are_those_of_the_profile() -> None:
    frame = table()
    flat, found = profile(frame, window=DAY), summarise(frame).metrics(window=DAY)
    rough = {f"{q}.{name}" for q in ("q05", "q25", "q50", "q75", "q95") for name in frame.columns} - {
        f"{q}.{name}" for q in ("q05", "q25", "q50", "q75", "q95") for name in ("hour", "small")
    }
    row_by_row = {name for name in flat if name.split(".")[0] in ("duplicate_share", "offset", "offset_wall")}
    assert set(found) == set(flat) - row_by_row
    for name, value in found.items():
        if name not in rough:
            assert value == pytest.approx(flat[name], rel=1e-9, abs=1e-12), name
    for name in rough & set(found):
        column = name.split(".", 1)[1]
        width = (flat[f"q95.{column}"] - flat[f"q05.{column}"]) / 100
        assert abs(found[name] - flat[name]) < max(width, 0.02 * abs(flat[name])), name


@pytest.mark.parametrize("cut", [0, 1, 1500, 3000])
def test_parts_merge_to_the_whole(cut: int) -> None:
    frame = table()
    whole = summarise(frame)
    again = summarise(frame, like=whole)
    merged = summarise(frame[:cut], like=whole).merge(summarise(frame[cut:], like=whole))
    for name, column in again.columns.items():
        other = merged.columns[name]
        for part in ("rows", "nulls", "zeros", "low", "high", "outer", "unseen", "lengths", "distinct", "top"):
            assert getattr(other, part) == getattr(column, part), (name, part)
        if column.cells is not None and column.registers is not None:
            assert (other.cells == column.cells).all() and (other.registers == column.registers).all()
        for one, two in ((other.mean, column.mean), (other.std, column.std)):
            assert (one is None) == (two is None)
            assert one is None or one == pytest.approx(two, rel=1e-12, abs=1e-13)


def test_a_summary_survives_json() -> None:
    summary = summarise(table())
    again = Summary.of(json.loads(json.dumps(summary.body(), allow_nan=False)))
    assert again.metrics(window=DAY) == summary.metrics(window=DAY)
    assert again.merge(summary).rows == 2 * summary.rows
    assert again.columns["text"].vocabulary == {"a", "bb", "cç", "a longer text than twelve bytes"}


def test_other_cells_do_not_merge() -> None:
    one, other = summarise(pl.DataFrame({"x": [0.5, 2.0]})), summarise(pl.DataFrame({"x": [100.5, 7e9]}))
    with pytest.raises(UsageError, match="like="):
        one.merge(other)
    with pytest.raises(UsageError, match="column `y`"):
        one.merge(summarise(pl.DataFrame({"x": [0.5, 2.0], "y": [1, 2]}), like=one))


def test_unseen_texts_are_counted_against_a_closed_list() -> None:
    past = summarise(pl.DataFrame({"kind": ["a", "b"] * 200}))
    now = summarise(pl.DataFrame({"kind": ["a", "A", None, "b"]}), like=past)
    assert now.columns["kind"].unseen == 1
    assert now.metrics()["unseen_share.kind"] == 0.25
    names = summarise(pl.DataFrame({"name": [f"n{k}" for k in range(400)]}))
    assert summarise(pl.DataFrame({"name": ["x"]}), like=names).columns["name"].unseen is None


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame(),
        pl.DataFrame({"x": []}, schema={"x": pl.Float64}),
        pl.DataFrame({"x": [None, None]}, schema={"x": pl.Float64}),
        pl.DataFrame({"x": [None, None]}, schema={"x": pl.String}),
        pl.DataFrame({"x": [None]}, schema={"x": pl.Boolean}),
        pl.DataFrame({"x": [3.5]}),
        pl.DataFrame({"x": [1e300] * 5}),
        pl.DataFrame({"x": [math.nan, math.inf, -math.inf, None, 0.0, -0.0]}),
        pl.DataFrame({"x": [1.7e308, -1.7e308, 5e-324]}),
        pl.DataFrame({"x": [2**63 - 1, -(2**63)]}),
        pl.DataFrame({"x": [2**64 - 1, 0]}, schema={"x": pl.UInt64}),
        pl.DataFrame({"x": [datetime(1, 1, 1), datetime(9999, 12, 31)]}),
    ],
)
def test_odd_tables_give_finite_numbers(frame: pl.DataFrame) -> None:
    summary = summarise(frame)
    for made in (summary, summarise(frame, like=summary), summary.merge(summary)):
        assert all(math.isfinite(value) for value in made.metrics(window=DAY).values())
        json.dumps(made.body(), allow_nan=False)


def test_huge_whole_numbers_stay_exact() -> None:
    column = summarise(pl.DataFrame({"x": [2**63 - 1, -(2**63), 5]})).columns["x"]
    assert (column.minimum, column.maximum, column.distinct) == (-(2**63), 2**63 - 1, 3)
    column = summarise(pl.DataFrame({"x": [2**64 - 1, 2**63 + 1]}, schema={"x": pl.UInt64})).columns["x"]
    assert (column.minimum, column.maximum) == (2**63 + 1, 2**64 - 1)


def test_both_zeros_are_one_value() -> None:
    column = summarise(pl.DataFrame({"x": [0.0, -0.0, 1.0]})).columns["x"]
    assert (column.distinct, column.zeros) == (2, 2)
    assert dict(column.top)[0.0] == 2


def test_a_change_of_unit_keeps_its_quantiles() -> None:
    draw = np.random.default_rng(1).normal(100, 5, 20000)
    past = summarise(pl.DataFrame({"x": draw}))
    for factor in (1000.0, 0.001, -1.0):
        now = summarise(pl.DataFrame({"x": draw * factor}), like=past).columns["x"]
        for q in (0.05, 0.5, 0.95):
            assert now.quantile(q) == pytest.approx(np.quantile(draw * factor, q), rel=0.016)
    far = summarise(pl.DataFrame({"x": np.append(draw, 429490.0)}), like=past).columns["x"]
    assert far.maximum == 429490.0
    assert far.quantile(0.5) == pytest.approx(np.median(draw), rel=1e-3)


@pytest.mark.parametrize("rows", [5, 4000, 300_000])
@pytest.mark.parametrize("steps", [(0.0, 1.0, 2.0), (0.0, 0.5, 99.99), (-3.0, 12.0)])
def test_quantiles_of_few_values_are_among_them(rows: int, steps: tuple[float, ...]) -> None:
    values = np.random.default_rng(rows).choice(steps, rows)
    column = summarise(pl.DataFrame({"x": values})).columns["x"]
    for q in (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0):
        assert column.quantile(q) == pytest.approx(float(np.quantile(values, q)), abs=1e-12), q
    for value in steps:
        assert column.share_below(value) == pytest.approx((values < value).mean(), abs=1e-12)


def test_quantiles_of_a_small_table_are_numpys() -> None:
    values = np.random.default_rng(6).lognormal(3, 2, 999)
    column = summarise(pl.DataFrame({"x": values})).columns["x"]
    for q in (0.0, 0.01, 0.33, 0.5, 0.999, 1.0):
        assert column.quantile(q) == pytest.approx(float(np.quantile(values, q)), rel=1e-14)


def test_a_spike_at_zero_is_zero() -> None:
    draw = np.random.default_rng(6)
    values = np.where(draw.random(50_000) < 0.6, 0.0, draw.normal(0.01, 1.0, 50_000))
    column = summarise(pl.DataFrame({"x": values})).columns["x"]
    assert column.quantile(0.5) == 0.0
    assert column.quantile(0.9) == pytest.approx(float(np.quantile(values, 0.9)), abs=5e-3)


@pytest.mark.filterwarnings("error")
def test_the_largest_floats_have_shares_and_quantiles() -> None:
    draw = np.random.default_rng(6).uniform(-1.0, 1.0, 9000) * 1.7e308
    column = summarise(pl.DataFrame({"x": draw})).columns["x"]
    for value in (-1.79e308, 0.0, 5e-324, 1.79e308):
        assert column.share_below(value) == pytest.approx((draw < value).mean(), abs=0.01)
    assert column.quantile(0.5) == pytest.approx(float(np.median(draw)), abs=1e306)
    tiny = summarise(pl.DataFrame({"x": np.arange(9000) * 5e-324})).columns["x"]
    assert tiny.share_below(1e300) == 1.0 and tiny.share_below(-1.0) == 0.0


def test_histogram_on_the_references_edges_is_exact() -> None:
    draw = np.random.default_rng(2)
    past = summarise(pl.DataFrame({"x": draw.normal(size=40000)}))
    values = draw.normal(1.0, 3.0, 5000)
    edges, counts = summarise(pl.DataFrame({"x": values}), like=past).columns["x"].histogram()
    assert counts.tolist() == [int(((values >= a) & (values < b)).sum()) for a, b in pairwise(edges)]
    shares = past.columns["x"].histogram()[1][2:-2] / 40000
    assert np.allclose(shares, 0.05, atol=0.01)


def test_distinct_of_many_is_near() -> None:
    column = summarise(pl.DataFrame({"x": np.arange(200000) * 7919})).columns["x"]
    assert not column.distinct_exact
    assert column.distinct == pytest.approx(200000, rel=0.06)
    texts = summarise(pl.DataFrame({"x": [f"user-{k}" for k in range(20000)]})).columns["x"]
    assert not texts.distinct_exact and texts.distinct == pytest.approx(20000, rel=0.06)
    assert texts.top_slack is not None and len(texts.table.counts if texts.table else ()) <= 256


@pytest.mark.parametrize("wrong", [3, "text", {"x": [1]}, pl.Series([1, 2]), [1, 2]])
def test_what_is_no_table_is_refused(wrong: Any) -> None:
    with pytest.raises(HeadwaterError):
        summarise(wrong)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(UsageError, match="`prise`"):
        summarise(pl.DataFrame({"price": [1]}), columns=["prise"])


def test_batches_are_one_table() -> None:
    frame = table()
    whole = summarise(frame)
    parts = summarise((frame[at : at + 700] for at in range(0, 3000, 700)), like=whole)
    assert parts.metrics().keys() == summarise(frame, like=whole).metrics().keys()
    assert parts.rows == 3000 and parts.columns["id"].distinct == whole.columns["id"].distinct
    with pytest.raises(HeadwaterError, match="`x` int64 then"):
        summarise([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["a"]})])


def test_a_column_that_changes_type_learns_cells_of_its_own() -> None:
    past = summarise(pl.DataFrame({"x": [1, 2, 3]}))
    now = summarise(pl.DataFrame({"x": [1.5, 2.5]}), like=past)
    assert now.columns["x"].mean == 2.0
    with pytest.raises(UsageError, match="`int64` in one summary"):
        past.merge(now)
