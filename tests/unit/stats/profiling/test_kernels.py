"""The compiled kernels give what numpy gives, for every type, offset and kind of bad number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from headwater.stats.profiling import compiled, scans, summaries
from headwater.stats.profiling.columns import ColumnSummary
from headwater.stats.profiling.summaries import Summary, summarise
from unit.stats.profiling.test_summaries import table

EQUAL = ("rows", "nulls", "nans", "infinities", "zeros", "low", "high", "outer", "unseen", "lengths", "distinct", "top")


def made(monkeypatch: pytest.MonkeyPatch, frame: Any, like: Summary | None = None) -> tuple[Summary, Summary]:
    monkeypatch.setattr(summaries, "_form", lambda fields, first: scans.scan)
    plain = summarise(frame, like=like)
    monkeypatch.setattr(summaries, "_form", lambda fields, first: compiled.scan)
    return plain, summarise(frame, like=like)


def assert_same(one: ColumnSummary, other: ColumnSummary) -> None:
    for part in EQUAL:
        assert getattr(one, part) == getattr(other, part), (one.name, part)
    for left, right in ((one.cells, other.cells), (one.registers, other.registers)):
        assert (left is None) == (right is None) and (left is None or (left == right).all()), one.name
    scale = (one.std or 0.0) + 1e-300
    for left, right, unit in ((one.mean, other.mean, scale), (one.std, other.std, scale), (one.skew, other.skew, 1.0)):
        assert (left is None) == (right is None)
        assert left is None or abs(left - right) <= 1e-11 * max(abs(left), unit), one.name


@pytest.mark.parametrize("part", [slice(None), slice(1003, 8007), slice(5, 6), slice(2048, 4097)])
def test_both_forms_give_the_same(monkeypatch: pytest.MonkeyPatch, part: slice) -> None:
    one, other = made(monkeypatch, table(9000)[part])
    for name, column in one.columns.items():
        assert_same(column, other.columns[name])


def test_both_forms_agree_outside_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    past = summarise(table(9000))
    moved = table(9000, seed=8).with_columns(
        pl.col("real") * 1000,
        pl.col("skewed") * -1,
        pl.col("holes") + 10,
        pl.col("hour") * 10000,
        pl.col("at") + pl.duration(days=90),
        pl.col("text") + "x",
    )
    one, other = made(monkeypatch, moved, past)
    for name, column in one.columns.items():
        assert_same(column, other.columns[name])
    assert one.columns["text"].unseen == 9000


@pytest.mark.parametrize(
    "values",
    [
        [np.nan, np.inf, -np.inf, None, 0.0, -0.0],
        [1.7e308, -1.7e308, 5e-324],
        [5e-324, 1e-320, 0.0, None],
        [1e300] * 3000 + [2e300] * 3000,
        [None] * 5000,
        [None] * 5000 + [3.5],
        [np.nan] * 3000 + [1.0, 2.0, None] * 1000,
        [0.1] * 5000,
        [1e9, 1e9 + 1, 1e9 + 2] * 2000,
    ],
)
def test_both_forms_agree_on_bad_floats(monkeypatch: pytest.MonkeyPatch, values: list[float | None]) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    for like in (None, summarise(pl.DataFrame({"x": np.random.default_rng(1).normal(size=1000)}))):
        one, other = made(monkeypatch, frame, like)
        assert_same(one.columns["x"], other.columns["x"])


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int16, pl.UInt16, pl.Int32, pl.UInt32, pl.Int64, pl.UInt64])
def test_both_forms_agree_on_whole_numbers(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    low, high = pl.select(dtype.min().alias("low"), dtype.max().alias("high")).row(0)
    drawn = np.random.default_rng(3).integers(low, high, 6000, dtype=pl.Series([], dtype=dtype).to_numpy().dtype)
    values = pl.Series(drawn, dtype=dtype).extend(pl.Series([low, high, None], dtype=dtype))
    for like in (None, summarise(pl.DataFrame({"x": pl.Series([1, 2, 3], dtype=dtype)}))):
        one, other = made(monkeypatch, pl.DataFrame({"x": values}), like)
        assert_same(one.columns["x"], other.columns["x"])
        assert (other.columns["x"].minimum, other.columns["x"].maximum) == (low, high)


def test_many_texts_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(5)
    texts = [f"user number {k}" for k in draw.integers(0, 30000, 80000)] + ["often"] * 9000
    past = summarise(pl.DataFrame({"x": ["often", "user number 7"] * 100}))
    column = made(monkeypatch, pl.DataFrame({"x": texts}), past)[1].columns["x"]
    assert column.distinct == pytest.approx(len(set(texts)), rel=0.06)
    assert column.unseen == sum(text not in ("often", "user number 7") for text in texts)
    value, count = column.top[0]
    assert value == "often" and 9000 - (column.top_slack or 0) <= count <= 9000
    assert len(column.table.counts if column.table else ()) <= 256


def test_both_forms_tell_the_same_frequent_values_however_the_batches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(3).normal(size=9000)
    numbers[[*range(200), 3500]] = 7.0
    values = pl.DataFrame({"x": numbers})
    one, other = made(monkeypatch, pa.concat_tables([values[:3000].to_arrow(), values[3000:].to_arrow()]))
    assert one.columns["x"].top == other.columns["x"].top == ((7.0, 201),)
    assert made(monkeypatch, values)[0].columns["x"].top == ((7.0, 201),)


DOUBLING = """
from headwater.stats.profiling.kernels import compiled

@compiled
def doubled(value):
    return 2 * value

print(doubled(21), sum(doubled._cache_hits.values()))
"""


@pytest.mark.parametrize("damage", [b"", b"\x80\x04broken"])
def test_a_damaged_cache_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    script, cache = tmp_path / "doubling.py", tmp_path / "cache"
    script.write_text(DOUBLING)

    def answer() -> str:
        set_up = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run([sys.executable, script], env=set_up, check=True, capture_output=True, text=True).stdout

    assert (answer(), answer()) == ("42 0\n", "42 1\n")
    for file in cache.rglob("*.nb*"):
        file.write_bytes(damage)
    assert (answer(), answer()) == ("42 0\n", "42 1\n")


@pytest.mark.parametrize("values", [[1.7e308, -1.7e308], [1.7e308, 1.7e308, -1.7e308], [1.2e308, 0.0], [5e-324, 0.0]])
def test_moments_of_the_largest_floats_are_the_same_merged(
    monkeypatch: pytest.MonkeyPatch, values: list[float]
) -> None:
    parts = [pl.DataFrame({"x": [value]}) for value in values]
    past = summarise(pl.DataFrame({"x": values}))
    for form in range(2):
        whole = made(monkeypatch, pl.DataFrame({"x": values}), past)[form].columns["x"]
        first, *rest = (made(monkeypatch, part, past)[form].columns["x"] for part in parts)
        for part in rest:
            first = first.merge(part)
        for name in ("mean", "std", "skew", "kurtosis"):
            one, other = getattr(whole, name), getattr(first, name)
            assert (one is None) == (other is None) and (one is None or one == pytest.approx(other)), name
