"""Recalibration: pooling against scikit-learn, counts that add up, sparse and odd windows."""

import numpy as np
import pytest

from headwater.core.errors import UsageError
from headwater.stats.estimates.recalibration import CELLS, Reliability, cell_of, pooled


def test_pooling_is_isotonic_regression():
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(4)
    mean, weight = random.normal(np.linspace(0, 1, 300), 0.7), random.uniform(0.1, 5, 300)
    expected = IsotonicRegression().fit_transform(np.arange(300), mean, sample_weight=weight)
    _, value, places = pooled(weight, mean)
    np.testing.assert_allclose(np.repeat(value, places), expected, atol=1e-12)


def test_a_miscalibrated_score_is_put_right():
    random = np.random.default_rng(1)
    p = random.uniform(0, 1, 200_000)
    y = (random.random(len(p)) < p**2).astype(float)
    q = Reliability.of(p, y).recalibrated()
    at = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(q[cell_of(at)], at**2, atol=0.03)


def test_windows_add_up_to_the_whole():
    random = np.random.default_rng(2)
    p, y = random.random(999), random.integers(0, 2, 999).astype(float)
    parts = [Reliability.of(p[at : at + 100], y[at : at + 100]) for at in range(0, 999, 100)]
    whole, merged = Reliability.of(p, y), Reliability.merged(parts)
    np.testing.assert_array_equal(merged.rows, whole.rows)
    np.testing.assert_array_equal(merged.positive, whole.positive)
    np.testing.assert_allclose(merged.recalibrated(), whole.recalibrated(), atol=1e-9)


def test_without_rows_p_is_believed():
    q = Reliability.merged([]).recalibrated()
    np.testing.assert_allclose(q, (np.arange(CELLS) + 0.5) / CELLS)


@pytest.mark.parametrize(("p", "y", "level"), [([0.3], [1.0], 1.0), ([0.5] * 8, [0, 1] * 4, 0.5), ([0, 1], [0, 0], 0)])
def test_one_row_constant_p_and_one_class_have_a_level(p, y, level):
    q = Reliability.of(np.array(p, dtype=float), np.array(y, dtype=float)).recalibrated()
    np.testing.assert_allclose(q, level)


def test_lengths_have_to_fit():
    with pytest.raises(UsageError, match="outcomes do not fit"):
        Reliability.of(np.array([0.1, 0.2]), np.array([1.0]))
