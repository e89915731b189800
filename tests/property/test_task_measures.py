"""Measures of regressions and rankings: laws that hold for any rows, and agreement with scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from headwater.core.errors import UsageError
from headwater.stats.outcomes import ranking, regression
from headwater.stats.outcomes.displacement import displacement, gaps, places, span
from headwater.stats.outcomes.intervals import block_mean, t_interval
from headwater.stats.outcomes.task_loss import task_loss

NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=60).map(lambda rows: np.array(rows).T)
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-3, 3).map(float), st.sampled_from("abc")), min_size=1, max_size=40
)


@settings(deadline=None)
@given(PAIRS)
def test_regression_measures_agree_with_scikit_learn(pair):
    y, told = pair
    found = regression.measure(y, told)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, told), rel=1e-9, abs=1e-9)
    assert found["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(y, told)), rel=1e-9, abs=1e-9)
    if "r2" in found and np.ptp(y) > 1e-3:
        assert found["r2"] == pytest.approx(metrics.r2_score(y, told), rel=1e-6, abs=1e-6)
    assert abs(found["bias"]) <= found["mae"] * (1 + 1e-9) <= found["rmse"] * (1 + 1e-6) + 1e-9
    assert all(math.isfinite(value) for value in found.values())


@settings(deadline=None)
@given(PAIRS, st.floats(0.01, 0.99))
def test_pinball_agrees_with_scikit_learn_and_is_never_negative(pair, level):
    y, told = pair
    found = regression.pinball(y, told, level)
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(metrics.mean_pinball_loss(y, told, alpha=level), rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(PAIRS)
def test_what_is_not_a_number_never_leaks(pair):
    extra = [math.nan, 1.0, math.inf], [1.0, math.nan, 2.0]
    y, told = (np.r_[side, more] for side, more in zip(pair, extra, strict=True))
    assert regression.measure(y, told) == regression.measure(*pair)


def test_bad_input_of_a_regression_is_defined():
    none = np.zeros(0)
    assert regression.measure(none, none) == {"rows": 0.0}
    assert regression.measure(np.array([math.nan]), np.array([1.0])) == {"rows": 0.0}
    constant = regression.measure(np.full(5, 2.0), np.full(5, 3.0))
    assert constant["mae"] == 1 and "r2" not in constant and "slope" not in constant
    error, share = regression.mape(np.zeros(3), np.ones(3))
    assert math.isnan(error) and share == 0.0
    assert regression.mape(np.array([100.0, 1e-9]), np.array([110.0, 5.0])) == (pytest.approx(0.1), 0.5)
    with pytest.raises(UsageError):
        regression.measure(np.ones(2), np.ones(3))
    with pytest.raises(UsageError):
        regression.pinball(none, none, 1.0)


def test_the_interval_of_a_regression_is_judged():
    random = np.random.default_rng(1)
    y = random.normal(size=4000)
    found = regression.measure(y, y * 0, low=np.full(4000, -1.645), high=np.full(4000, 1.645))
    assert found["coverage_low"] < 0.9 < found["coverage_high"]
    narrow = regression.measure(y, y * 0, low=np.full(4000, -0.5), high=np.full(4000, 0.5))
    assert narrow["coverage"] < 0.5 and narrow["pinball"] > found["pinball"]


@settings(deadline=None)
@given(ROWS)
def test_ndcg_agrees_with_scikit_learn_ties_included(rows):
    gain, score, query = (np.array(side) for side in zip(*rows, strict=True))
    found = ranking.per_query(gain, score, query, k=3)
    for index, name in enumerate(found.names):
        of = query == name
        assert found.rows[index] == of.sum()
        if not (gain[of] > 0).any():
            assert math.isnan(found.ndcg[index])
            continue
        if of.sum() > 1:
            expected = metrics.ndcg_score([2.0 ** gain[of] - 1], [score[of]], k=3)
            assert found.ndcg[index] == pytest.approx(expected)
        for measure in (found.ndcg, found.average_precision, found.reciprocal_rank, found.precision, found.recall):
            assert -1e-12 <= measure[index] <= 1 + 1e-12


@settings(deadline=None)
@given(ROWS)
def test_a_ranking_by_relevance_is_perfect_and_its_order_of_rows_is_nothing(rows):
    gain, score, query = (np.array(side) for side in zip(*rows, strict=True))
    found = ranking.per_query(gain, gain, query)
    known = ~np.isnan(found.ndcg)
    assert found.ndcg[known] == pytest.approx(np.ones(known.sum()))
    assert found.average_precision[known] == pytest.approx(np.ones(known.sum()))
    turned = ranking.per_query(gain[::-1], score[::-1], query[::-1])
    one = ranking.per_query(gain, score, query)
    for name in ("ndcg", "average_precision", "reciprocal_rank", "precision", "recall", "blind"):
        np.testing.assert_allclose(getattr(turned, name), getattr(one, name))


def test_average_precision_agrees_with_scikit_learn_without_ties():
    random = np.random.default_rng(3)
    gain, score, query = random.integers(0, 2, 300), random.normal(size=300), random.integers(0, 9, 300)
    found = ranking.per_query(gain, score, query)
    for index, name in enumerate(found.names):
        of = query == int(name)
        assert found.average_precision[index] == pytest.approx(metrics.average_precision_score(gain[of], score[of]))


def test_the_blind_ndcg_is_what_random_orders_reach():
    random = np.random.default_rng(4)
    gain, query = random.integers(0, 3, 40), np.repeat(["a", "b"], 20)
    reached = [ranking.per_query(gain, random.random(40), query).ndcg for _ in range(3000)]
    np.testing.assert_allclose(np.mean(reached, axis=0), ranking.per_query(gain, gain, query).blind, atol=0.01)
    constant = ranking.per_query(gain, np.zeros(40), query)
    np.testing.assert_allclose(constant.ndcg, constant.blind)


def test_bad_input_of_a_ranking_is_defined():
    assert ranking.measure([], [], []) == {"rows": 0.0, "queries": 0.0, "answerable": 0.0}
    assert ranking.measure([0, 0], [1, 2], ["a", "a"])["answerable"] == 0
    assert ranking.measure([1.0, math.nan], [1.0, 2.0], ["a", "a"])["rows"] == 1
    for wrong in ([-1], [1], ["a"]), ([1], [1, 2], ["a"]), ([99], [1], ["a"]):
        with pytest.raises(UsageError):
            ranking.measure(*wrong)
    with pytest.raises(UsageError):
        ranking.measure([1], [1], ["a"], k=0)


def test_bounds_over_windows_cover_where_bounds_over_rows_do_not():
    random = np.random.default_rng(5)
    held = {"rows": 0, "windows": 0}
    for _ in range(400):
        window = np.repeat(np.arange(20), 50)
        values = random.normal(size=1000) + random.normal(0, 0.7, 20)[window]
        held["windows"] += block_mean(values, window).low <= 0 <= block_mean(values, window).high
        held["rows"] += t_interval(values).low <= 0 <= t_interval(values).high
    assert held["windows"] / 400 == pytest.approx(0.95, abs=0.03)
    assert held["rows"] / 400 < 0.6


@settings(deadline=None)
@given(st.lists(NUMBER, min_size=1, max_size=30), st.lists(st.sampled_from("ab"), min_size=30, max_size=30))
def test_places_are_ranks_between_0_and_1_and_follow_any_rising_function(score, query):
    values, of = np.array(score), np.array(query[: len(score)])
    found = places(values, of)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found, places(values * 2, of))
    for name in set(of):
        own = of == name
        assert found[own].mean() == pytest.approx(0.5 if own.sum() > 1 else 0.0)


@settings(deadline=None)
@given(PAIRS)
def test_displacement_is_a_bounded_distance(pair):
    one, other = pair
    unit = span(one)
    assert 0 <= displacement(one, other, unit) <= 1
    assert displacement(one, one, unit) == 0
    np.testing.assert_array_equal(gaps(one, other, 1.0), gaps(other, one, 1.0))


def test_a_constant_reference_makes_every_real_difference_whole():
    assert displacement(np.full(4, 2.0), np.array([2.0, 2.0, 3.0, 2.0 + 1e-12]), span(np.full(9, 2.0))) == 0.25
    assert span(np.zeros(0)) == 0 and span(np.array([math.nan, 1.0])) == 0
    assert gaps(np.array([math.nan, math.nan]), np.array([math.nan, 1.0]), 1.0).tolist() == [0.0, 1.0]


def test_the_loss_of_a_ranking_is_one_per_query():
    gain, score = np.array([1.0, 0, 0, 0, 1]), np.array([2.0, 1, 1, 0, 3])
    loss, row = task_loss("ranking", gain, score, ["a", "a", "b", "b", "c"])
    assert loss.tolist() == [0.0, 0.0] and row.tolist() == [0, 4]
    with pytest.raises(UsageError):
        task_loss("ranking", np.ones(1), np.ones(1))
    with pytest.raises(UsageError):
        task_loss("guess", np.ones(1), np.ones(1))
