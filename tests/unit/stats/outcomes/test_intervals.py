"""Intervals against values from the literature."""

import math

import numpy as np
import pytest

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import bootstrap_mean, t_interval, t_quantile, wilson


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.3027),
        (0.975, 5, 2.5706),
        (0.95, 10, 1.8125),
        (0.995, 30, 2.75),
        (0.975, 200, 1.9719),
    ],
)
def test_t_quantiles_are_those_of_the_tables(probability, degrees, expected):
    assert t_quantile(probability, degrees) == pytest.approx(expected, abs=6e-5)
    assert t_quantile(1 - probability, degrees) == pytest.approx(-expected, abs=6e-5)


def test_wilson_is_the_published_interval():
    assert wilson(15, 148) == pytest.approx((0.1014, 0.0624, 0.1605), abs=5e-5)  # Newcombe (1998), table I
    assert wilson(0, 0)[1:] == (0.0, 1.0)
    assert wilson(10, 10).high == 1.0
    with pytest.raises(UsageError):
        wilson(3, 2)


def test_t_interval_leaves_out_what_is_not_finite():
    assert t_interval([1.0, 2.0, 3.0, math.nan]) == t_interval([1.0, 2.0, 3.0])
    assert t_interval([1.0]) == (1.0, -math.inf, math.inf)
    assert math.isnan(t_interval([]).value)


def test_bootstrap_is_seeded_and_close_to_theory():
    values = np.random.default_rng(0).normal(10, 2, 400)
    first, again = bootstrap_mean(values, seed=3), bootstrap_mean(values, seed=3)
    assert first == again
    assert first != bootstrap_mean(values, seed=4)
    theory = t_interval(values)
    assert first.low == pytest.approx(theory.low, abs=0.05)
    assert first.high == pytest.approx(theory.high, abs=0.05)


def test_bootstrap_weights():
    assert bootstrap_mean([0.0, 1.0], seed=1, weights=[3.0, 1.0]).value == 0.25
    assert bootstrap_mean([5.0], seed=1) == (5.0, -math.inf, math.inf)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_a_share(confidence):
    with pytest.raises(UsageError):
        t_interval([1.0, 2.0], confidence)
