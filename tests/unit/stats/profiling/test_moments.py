"""Moments against exact fractions, on data on which the textbook formulas fail."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from headwater.stats.profiling import compiled, scans
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.scans import Piece
from headwater.stats.profiling.summaries import read_frame

DRAW = np.random.default_rng(3)
UGLY = {
    "far from zero": DRAW.normal(1e9, 1.0, 3000),
    "very far": DRAW.normal(1e15, 100.0, 3000),
    "huge": DRAW.normal(1e300, 1e299, 3000),
    "denormal": DRAW.random(3000) * 1e-310,
    "small": DRAW.random(3000) * 1e-200,
    "one outlier": np.append(DRAW.normal(size=3000), 1e12),
    "skewed": DRAW.lognormal(0, 3, 3000),
    "both": np.concatenate([DRAW.normal(size=2000), DRAW.normal(1e200, 1e190, 1000)]),
}


def exact(values: np.ndarray) -> tuple[float, float]:
    numbers = [Fraction(value) for value in values.tolist()]
    mean = sum(numbers) / len(numbers)
    variance = sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)
    scale = Fraction(2) ** (2 * math.frexp(float(max(abs(n) for n in numbers)))[1])
    return float(mean), math.sqrt(variance / scale) * math.sqrt(scale) if scale < 1e300 else root(variance)


def root(value: Fraction) -> float:
    shift = 600
    return math.ldexp(math.sqrt(value / Fraction(2) ** (2 * shift)), shift)


@pytest.mark.parametrize("name", UGLY)
@pytest.mark.parametrize("parts", [1, 7])
def test_mean_and_deviation_are_exact_to_ten_digits(name: str, parts: int) -> None:
    values = UGLY[name]
    mean, std = exact(values)
    found = Moments()
    for part in np.array_split(values, parts):
        found = found.merge(Moments.of(part))
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=1e-12 * std)
    assert found.std == pytest.approx(std, rel=1e-10)


@pytest.mark.parametrize("name", UGLY)
def test_kernels_and_numpy_agree_with_the_exact_numbers(name: str) -> None:
    import polars as pl

    frame = pl.DataFrame({"x": UGLY[name]})
    mean, std = exact(UGLY[name])
    fields, batches = read_frame(frame)
    pieces = [Piece(batch.columns[0], 0, batch.rows, 0) for batch in batches]
    for form in (scans.scan, compiled.scan):
        column = form(scans.blank(fields[0], pieces), pieces)
        assert column.mean == pytest.approx(mean, rel=1e-12, abs=1e-12 * std)
        assert column.std == pytest.approx(std, rel=1e-10)


def test_shape_is_that_of_scipy() -> None:
    scipy = pytest.importorskip("scipy.stats")
    values = DRAW.gamma(2.0, size=5000)
    found = Moments.of(values)
    assert found.skew == pytest.approx(float(scipy.skew(values)), rel=1e-12)
    assert found.kurtosis == pytest.approx(float(scipy.kurtosis(values)), rel=1e-11)


def test_few_and_equal_numbers_have_no_shape() -> None:
    assert (Moments().mean, Moments().std, Moments.of(np.array([3.0])).std) == (None, None, None)
    equal = Moments.of(np.full(1000, 0.1))
    assert (equal.mean, equal.std, equal.skew, equal.kurtosis) == (0.1, 0.0, None, None)


def test_numbers_beyond_a_float_are_left_out() -> None:
    wide = Moments.of(np.array([1.7e308, -1.7e308]))
    assert wide.mean == 0.0 and wide.std is None
