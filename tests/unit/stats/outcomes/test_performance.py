"""Performance measures against scikit-learn's arithmetic, done by hand."""

import math

import numpy as np
import pytest

from headwater.core.errors import UsageError
from headwater.stats.outcomes.performance import (
    auc,
    brier,
    calibration_error,
    calibration_line,
    excess_loss,
    expected_log_loss,
    log_loss,
    measure,
)


def world(count=20_000, seed=0):
    random = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-random.normal(-1, 1.2, count)))
    return (random.random(count) < p).astype(float), p


def test_log_loss_and_its_expectation():
    assert log_loss(np.array([1.0, 0.0]), np.array([0.8, 0.8])) == pytest.approx([-math.log(0.8), -math.log(0.2)])
    assert expected_log_loss(np.array([0.5])) == pytest.approx([math.log(2)])
    assert np.isfinite(log_loss(np.array([1.0]), np.array([0.0]))).all()


def test_auc_equals_the_count_of_pairs():
    random = np.random.default_rng(1)
    outcome, p = random.integers(0, 2, 200).astype(float), random.integers(0, 8, 200) / 8
    gaps = p[outcome == 1][:, None] - p[outcome == 0][None, :]
    assert auc(outcome, p) == pytest.approx(((gaps > 0) + 0.5 * (gaps == 0)).mean())
    assert math.isnan(auc(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_a_calibrated_model_has_slope_one_and_no_excess():
    outcome, p = world()
    intercept, slope = calibration_line(outcome, p)
    assert slope == pytest.approx(1, abs=0.05)
    assert intercept == pytest.approx(0, abs=0.06)
    assert abs(excess_loss(outcome, p)) < 0.01
    assert calibration_error(outcome, p) < 0.015


def test_an_overconfident_model_shows():
    outcome, p = world()
    odds = np.log(p / (1 - p)) * 2
    sharp = 1 / (1 + np.exp(-odds))
    assert calibration_line(outcome, sharp)[1] == pytest.approx(0.5, abs=0.05)
    assert excess_loss(outcome, sharp) > 0.05
    assert brier(outcome, sharp) > brier(outcome, p)


def test_a_line_is_found_for_a_model_that_is_far_too_sure():
    """Full Newton steps swing between two points here and find nothing."""
    random = np.random.default_rng(4)
    p = np.where(random.random(4000) < 0.6, 0.99, random.uniform(0.02, 0.4, 4000))
    outcome = (random.random(4000) < 1 / (1 + np.exp(1.2 - 0.38 * np.log(p / (1 - p))))).astype(float)
    intercept, slope = calibration_line(outcome, p)
    assert (intercept, slope) == (pytest.approx(-1.2, abs=0.1), pytest.approx(0.38, abs=0.05))


@pytest.mark.parametrize(
    ("outcome", "p"), [([1, 1], [0.2, 0.3]), ([0, 1], [0.5, 0.5]), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]), ([], [])]
)
def test_no_line_where_none_can_be_fitted(outcome, p):
    assert math.isnan(calibration_line(np.array(outcome, dtype=float), np.array(p))[1])


def test_measure_leaves_out_what_is_not_defined():
    found = measure(np.array([1.0, 1.0, math.nan]), np.array([0.7, 0.9, 0.5]))
    assert found["rows"] == 2
    assert "auc" not in found
    assert all(math.isfinite(value) for value in found.values())
    assert measure(np.array([]), np.array([])) == {"rows": 0.0}
    with pytest.raises(UsageError):
        measure(np.array([1.0]), np.array([0.5, 0.5]))
