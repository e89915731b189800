"""e-processes: their arithmetic."""

import math

import numpy as np
import pytest

from headwater.stats.alarms.eprocess import (
    BETS,
    UPWARD,
    alarms,
    e_bh,
    e_cusum,
    innovations,
    mixture,
    persistence_of,
    replayed_threshold,
    standardise,
    step,
)


def test_a_step_follows_the_formula():
    state = step(np.ones(3), np.asarray(2.0), UPWARD)
    assert state == pytest.approx([math.exp(2 * bet - bet**2 / 2) for bet in UPWARD])
    low = step(np.full(3, 0.01), np.asarray(0.0), UPWARD)
    assert low == pytest.approx([math.exp(-(bet**2) / 2) for bet in UPWARD])  # never in debt


def test_streams_are_independent_and_missing_values_leave_them_as_they_are():
    state = step(np.ones((len(BETS), 2)), np.array([3.0, np.nan]))
    assert mixture(state)[0] > 2
    assert mixture(state)[1] == 1.0


def test_standardised_values_are_inflated_and_clipped():
    assert standardise(np.array([1.0]), 0.0, 1.0) == pytest.approx(1 / math.sqrt(1.5))
    assert standardise(np.array([100.0, -100.0]), 0.0, 1.0).tolist() == [4.0, -4.0]


def test_one_sided_ignores_improvement():
    assert e_cusum(np.full(30, -2.0), UPWARD)[-1] < 1
    assert e_cusum(np.full(30, -2.0))[-1] > 1000


def test_e_bh_on_a_known_case():
    assert e_bh(np.array([100.0, 55.0, 30.0, 1.0]), 0.05).tolist() == [True, True, True, False]
    assert not e_bh(np.array([19.0]), 0.05).any()
    assert e_bh(np.array([np.inf, np.nan]), 0.05).tolist() == [True, False]
    assert e_bh(np.array([])).tolist() == []


def test_the_threshold_is_raised_until_clean_history_is_quiet():
    random = np.random.default_rng(1)
    sticky = np.zeros(2000)
    for at in range(1, len(sticky)):
        sticky[at] = 0.8 * sticky[at - 1] + random.normal()
    unit = standardise(sticky, 0.0, sticky.std())
    threshold = replayed_threshold(unit, 200)
    assert alarms(unit, 200) > 10 >= alarms(unit, threshold)
    assert replayed_threshold(standardise(random.normal(size=2000), 0.0, 1.0), 200) == 200


def test_innovations_take_out_what_the_day_before_foretold():
    random = np.random.default_rng(2)
    storm = np.zeros(4000)
    for at in range(1, len(storm)):
        storm[at] = 0.3 * storm[at - 1] + random.normal()
    persistence = persistence_of(storm)
    assert persistence == pytest.approx(0.3, abs=0.05)
    assert persistence_of(innovations(storm, 0.0, persistence)) < 0.05
    assert innovations(np.array([1.0, 1.0]), 1.0, 0.0).tolist() == [1.0, 1.0]
    assert persistence_of(np.zeros(10)) == 0.0
