"""Samples see every value of a table in which values take turns, and tell nothing that they saw by chance."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headwater.stats.profiling.samples import SAMPLED_FROM, STEPS, rows_of, weight_at
from headwater.stats.profiling.summaries import summarise

ROWS = 200_000


def test_each_stretch_gives_one_row_however_the_table_is_cut() -> None:
    for _, weight in STEPS:
        whole = rows_of(0, ROWS, weight)
        cut = [rows_of(start, min(start + 30_011, ROWS), weight) for start in range(0, ROWS, 30_011)]
        assert np.concatenate(cut).tolist() == whole.tolist()
        assert (np.diff(whole // weight) == 1).all()
    for rows in (ROWS, 9_000_000):
        assert sum(len(rows_of(0, rows, weight)) * weight for _, weight in STEPS) == pytest.approx(rows, abs=4096)


def test_values_that_take_turns_are_seen_alike() -> None:
    values = np.arange(2 * ROWS) % 16 * 1000 + 0.25
    table = summarise(pl.DataFrame({"x": values})).columns["x"].table
    assert table is not None and len(table.counts) == 16
    assert max(table.counts.values()) < 2 * min(table.counts.values())


@pytest.mark.parametrize("rows", [SAMPLED_FROM + 500, 60_000, ROWS])
def test_values_seen_once_are_no_top_values(rows: int) -> None:
    draw = np.random.default_rng(4)
    values = draw.normal(size=rows)
    assert summarise(pl.DataFrame({"x": values})).columns["x"].top == ()
    values[draw.random(rows) < 0.3] = 7.5
    ((value, count),) = summarise(pl.DataFrame({"x": values})).columns["x"].top
    assert value == 7.5
    assert count == pytest.approx(0.3 * rows, rel=0.15)


def test_a_small_table_is_counted_exactly() -> None:
    column = summarise(pl.DataFrame({"x": np.repeat(np.arange(SAMPLED_FROM // 4) * 1e3 + 0.5, 4)})).columns["x"]
    assert column.distinct_exact and column.top_slack == 0
    assert [count for _, count in column.top] == [4] * 10
    assert [weight_at(rows) for rows in (1, 1 << 12, 5000, 1 << 16, 1 << 20, 1 << 21)] == [1, 1, 16, 16, 256, 4096]


@pytest.mark.parametrize("rows", [4097, 4111, 4125, 70_001])
def test_a_value_is_not_told_more_often_than_there_are_rows(rows: int) -> None:
    [(value, times)] = summarise(pl.DataFrame({"x": [1.5] * rows})).columns["x"].top
    assert value == 1.5 and rows - 256 <= times <= rows
