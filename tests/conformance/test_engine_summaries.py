"""The same rows through the kernel and through each engine: the same counts, cells and ends, and the same mean."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conformance.engines import ENGINES, Engine
from headwater.core.errors import UnknownName, UsageError
from headwater.stats.profiling.columns import ColumnSummary
from headwater.stats.profiling.summaries import Summary, summarise

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 6000


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    found = ENGINES[request.param]()
    yield found
    found.close()


def summarise_table(*args: Any, **options: Any) -> Summary:
    from headwater.adapters import engine_summaries

    return engine_summaries.summarise_table(*args, **options)


def summarise_windows(*args: Any, **options: Any) -> dict[Any, Summary]:
    from headwater.adapters import engine_summaries

    return engine_summaries.summarise_windows(*args, **options)


def ugly(seed: int, rows: int = ROWS) -> pa.Table:
    """Columns of every kind with what breaks naive arithmetic."""
    chance = np.random.default_rng(seed)
    gone = lambda: chance.random(rows) < 0.03  # noqa: E731
    odd = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -3e-310, 2.2250738585072014e-308, 1e300, -1e300]
    edges = [2.0**power for power in range(-40, 41)]
    wild = chance.lognormal(0.0, 3.0, rows)
    wild[: len(odd)] = odd
    wild[len(odd) : len(odd) + len(edges)] = edges
    wild[200:281] = [math.nextafter(edge, 0.0) for edge in edges]
    micros = chance.integers(-(10**15), 3 * 10**15, rows)
    day = pa.array(chance.integers(-40_000, 40_000, rows).astype(np.int32), mask=gone())
    cents = [Decimal(int(value)).scaleb(-2) for value in chance.integers(-(10**9), 10**9, rows)]
    words = np.array(["", " ", "añ", "zß水", "🌊", "'quoted\"", "\\t", "NULL", "tab\t", "e\u0301", "é"])
    return pa.table(
        {
            "wild": pa.array(wild, mask=gone()),
            "near": pa.array(chance.normal(1e9, 1e-3, rows)),
            "signed": pa.array(chance.standard_t(1.5, rows), mask=gone()),
            "debts": pa.array(-chance.lognormal(5.0, 2.0, rows)),
            "single": pa.array(chance.normal(0.0, 1.0, rows).astype(np.float32), mask=gone()),
            "tiny": pa.array(chance.normal(0.0, 1.0, rows) * 1e-300),
            "constant": pa.array(np.full(rows, 0.1)),
            "small": pa.array(chance.integers(-50, 50, rows).astype(np.int16), mask=gone()),
            "outliers": pa.array(np.where(chance.random(rows) < 0.01, 10**12, chance.integers(0, 9, rows))),
            "negative": pa.array(-(chance.integers(0, 10**9, rows).astype(np.int64) ** 2) // 10**3),
            "huge": pa.array(chance.integers(-(2**63), 2**63 - 1, rows), mask=gone()),
            "ids": pa.array(chance.integers(2**62, 2**62 + 10**7, rows)),
            "cents": pa.array(cents, pa.decimal128(12, 2), mask=gone()),
            "flag": pa.array(chance.random(rows) < 0.3, mask=gone()),
            "word": pa.array(words[chance.integers(0, len(words), rows)], mask=gone()),
            "name": pa.array([f"nö{value}" for value in chance.integers(0, 5200, rows)], mask=gone()),
            "zoned": pa.array(micros, pa.int64(), mask=gone()).cast(pa.timestamp("us", "Europe/Berlin")),
            "naive": pa.array(chance.integers(0, 10**9, rows)).cast(pa.timestamp("us")),
            "day": day.cast(pa.date32()),
            "window": pa.array(chance.integers(0, 3, rows)),
        }
    )


REFERENCE, CURRENT = ugly(1), ugly(2)


def agree(kernel: ColumnSummary, engine: ColumnSummary) -> None:
    """Counts, cells and ends to the last bit; mean and deviation to 1e-9; distinct exactly where both say so."""
    for name in ("rows", "nulls", "nans", "infinities", "zeros", "low", "high", "lengths", "unseen", "outer"):
        assert getattr(engine, name) == getattr(kernel, name), f"{kernel.name}.{name}"
    assert engine.grid == kernel.grid, kernel.name
    if kernel.cells is not None:
        assert np.array_equal(engine.cells, kernel.cells), kernel.name
    deviation = kernel.std or 0.0
    scale = max(deviation, abs(kernel.mean or 0.0) * 1e-6)
    if kernel.mean is None:
        assert engine.mean is None
    else:
        assert engine.mean == pytest.approx(kernel.mean, abs=1e-9 * scale), kernel.name
    assert (engine.std is None) == (kernel.std is None), kernel.name
    if kernel.std is not None:
        assert engine.std == pytest.approx(kernel.std, rel=1e-9, abs=1e-15 * abs(kernel.mean or 0.0)), kernel.name
    if engine.distinct_exact and kernel.distinct_exact:
        assert engine.distinct == kernel.distinct, kernel.name
    elif kernel.distinct is not None:
        assert engine.distinct == pytest.approx(kernel.distinct, rel=0.15), kernel.name
    if kernel.table is not None and engine.table is not None and kernel.table.exact:
        assert engine.table == kernel.table, kernel.name
        if kernel.kind != "text":
            assert np.array_equal(engine.registers, kernel.registers), kernel.name


@pytest.mark.parametrize("name", REFERENCE.column_names)
def test_a_column_agrees_with_the_kernel(engine: Engine, name: str) -> None:
    if not hasattr(engine, "found"):
        reference = summarise(REFERENCE)
        engine.found = (  # type: ignore[attr-defined]
            summarise(CURRENT, like=reference),
            summarise_table(engine.table("current", CURRENT), like=reference),
        )
    kernel, there = engine.found  # type: ignore[attr-defined]
    agree(kernel.columns[name], there.columns[name])


def test_both_kinds_of_summaries_merge(engine: Engine) -> None:
    reference = summarise(REFERENCE)
    current = summarise(CURRENT, like=reference)
    both = summarise(pa.concat_tables([REFERENCE, CURRENT]), like=reference)
    merged = summarise(REFERENCE, like=reference).merge(summarise_table(engine.table("c", CURRENT), like=reference))
    assert merged.rows == both.rows
    for name, column in merged.columns.items():
        assert column.outer == both.columns[name].outer
        assert column.cells is None or np.array_equal(column.cells, both.columns[name].cells)
    assert Summary.of(merged.body()).body() == merged.body()
    # An engine's count of distinct values says nothing of the values, so that it cannot be added to.
    assert merged.columns["ids"].distinct is None
    assert merged.columns["small"].distinct == both.columns["small"].distinct
    assert "distinct.word" in merged.metrics() and current.rows == ROWS


def test_windows_come_from_the_same_queries(engine: Engine) -> None:
    reference = summarise(REFERENCE)
    table = engine.table("current", CURRENT)
    found = summarise_windows(table, "window", like=reference)
    assert list(found) == [0, 1, 2]
    for window, summary in found.items():
        rows = CURRENT.filter(pa.compute.equal(CURRENT["window"], window))
        kernel = summarise(rows, like=reference)
        assert summary.rows == rows.num_rows
        for name in kernel.columns:
            agree(kernel.columns[name], summary.columns[name])
    pieces = summarise_windows(table, ["window", table.flag], like=reference, columns=["small", "word"])
    assert all(len(key) == 2 and None not in key for key in pieces)
    total = reduce(Summary.merge, pieces.values())
    assert total.rows == ROWS - CURRENT["flag"].null_count


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_small_tables_learn_the_kernels_own_cells(engine: Engine, rows: int) -> None:
    part = CURRENT.slice(300, rows)
    kernel, there = summarise(part), summarise_table(engine.table("part", part))
    assert there.rows == rows
    for name in kernel.columns:
        if kernel.columns[name].dtype == there.columns[name].dtype:
            agree(kernel.columns[name], there.columns[name])


def test_columns_of_nulls(engine: Engine) -> None:
    kinds = {"x": pa.float64(), "i": pa.int64(), "s": pa.string(), "b": pa.bool_(), "t": pa.timestamp("us", "UTC")}
    rows = pa.table({name: pa.nulls(5, kind) for name, kind in kinds.items()})
    kernel, there = summarise(rows), summarise_table(engine.table("nulls", rows))
    for name in kinds:
        agree(kernel.columns[name], there.columns[name])
        assert there.columns[name].distinct == 0


def test_any_query_will_do_and_exact_counts_can_be_had(engine: Engine) -> None:
    table = engine.table("current", CURRENT)
    query = table.filter(table.small > 0).select(twice=table.small * 2, ids=table.ids)
    small = CURRENT.filter(pa.compute.greater(CURRENT["small"], 0))
    found = summarise_table(query, exact_distinct=True)
    assert found.rows == small.num_rows
    assert found.columns["twice"].high == 2 * pa.compute.max(small["small"]).as_py()
    assert found.columns["ids"].distinct == len(set(small["ids"].to_pylist()))
    assert found.columns["ids"].distinct_exact


def test_lists_and_binaries_are_counted_and_nothing_more(engine: Engine) -> None:
    if engine.name == "postgres":
        pytest.skip("the loader of these tests writes scalars")
    rows = pa.table({"l": pa.array([[1], None, []]), "d": pa.array([dt.date(2026, 1, 1)] * 3)})
    found = summarise_table(engine.table("lists", rows)).columns["l"]
    assert (found.kind, found.rows, found.nulls, found.distinct) == ("other", 3, 1, None)


def several(table: Any) -> Any:
    import ibis

    return ibis.array([table.small, table.small]).name("several")


def test_numbers_at_the_ends_of_their_types(engine: Engine) -> None:
    made = {
        f"d{digits}_{places}": pa.array(
            [Decimal(value).scaleb(-places) for value in (10**digits - 1, 1 - 10**digits, 0, 1)],
            pa.decimal128(digits, places),
        )
        for digits, places in ((18, 18), (18, 9), (18, 0), (5, 5))
    }
    if engine.name == "duckdb":  # the others have no unsigned numbers
        made["u"] = pa.array([0, 2**64 - 1, 2**63, None], pa.uint64())
    rows = pa.table(made)
    kernel, there = summarise(rows), summarise_table(engine.table("ends", rows))
    for name in made:
        agree(kernel.columns[name], there.columns[name])


def test_whole_numbers_next_to_the_least_one_have_cells_and_an_exact_mean(engine: Engine) -> None:
    chance = np.random.default_rng(5)
    made = {"least": pa.array([-(2**63)] * 500, pa.int64())}
    if engine.name == "duckdb":
        made |= {
            "small": pa.array([7] * 499 + [2**40], pa.uint64()),
            "wide": pa.array(chance.integers(0, 5000, 500), pa.uint64()),
            "skewed": pa.array(chance.lognormal(10.0, 3.0, 500).astype(np.uint64)),
            "high": pa.array(chance.integers(2**63 - 5, 2**63 + 5, 500, dtype=np.uint64)),
        }
    rows = pa.table(made)
    reference = summarise(rows[:200])
    kernel, there = summarise(rows, like=reference), summarise_table(engine.table("least", rows), like=reference)
    for name in made:
        agree(kernel.columns[name], there.columns[name])
        true = sum(made[name].to_pylist()) / 500
        assert there.columns[name].mean == pytest.approx(true, rel=1e-12)
        assert there.columns[name].quantile(0.5) == kernel.columns[name].quantile(0.5)
    summarise_table(engine.table("least", rows))  # learns cells of its own


def test_times_of_day_to_the_nanosecond(engine: Engine) -> None:
    if engine.name != "duckdb":
        pytest.skip("the others have none")
    rows = pa.table({"at": pa.array([1, 86_399_999_999_999, None, 3_600_000_000_000], pa.time64("ns"))})
    agree(summarise(rows).columns["at"], summarise_table(engine.table("times", rows)).columns["at"])


def test_nan_is_a_window_like_any(engine: Engine) -> None:
    rows = pa.table({"k": [math.nan, 1.0, math.nan, None], "x": [0.5, 1.5, 3.5, 9.0]})
    found = summarise_windows(engine.table("nan", rows), "k", columns=["x"])
    means = {str(key): summary.columns["x"].mean for key, summary in found.items()}
    assert means == {"1.0": 1.5} | ({} if engine.name == "pyspark" else {"nan": 2.0})  # to Spark's compiler NaN is null


def test_no_column_leaves_the_number_of_rows(engine: Engine) -> None:
    found = summarise_table(engine.table("current", CURRENT), columns=[])
    assert (found.rows, dict(found.columns)) == (ROWS, {})


def test_what_is_not_there_is_said(engine: Engine) -> None:
    table = engine.table("current", CURRENT)
    with pytest.raises(UnknownName, match="wilt"):
        summarise_table(table, columns=["wilt"])
    with pytest.raises(UnknownName, match="window"):
        summarise_windows(table, "windw")
    with pytest.raises(UsageError, match="names no window"):
        summarise_windows(table, several(table))
    with pytest.raises(UsageError, match="not an Ibis table"):
        summarise_table(CURRENT)
