"""Planted changes of outcomes and inputs are of the size they say."""

import numpy as np
import polars as pl
import pytest
from quiet.inputs import planted, value_of
from quiet.performance import exchanged, measured, model_of, raised, shifted


def test_exchanged_outcomes_are_as_many_as_before():
    random, outcome = np.random.default_rng(1), np.r_[np.zeros(700), np.ones(300)]
    made = exchanged(outcome, 0.5, random)
    assert made.sum() == 300
    assert (made != outcome).mean() == pytest.approx(0.5 * 2 * 0.3 * 0.7, abs=0.04)
    assert (exchanged(outcome, 0.0, random) == outcome).all()


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_mean_outcome_moves_by_deviations_towards_the_rarer_class(share):
    outcome = (np.arange(1000) < 1000 * share).astype(float)
    made = raised(outcome, 0.5, np.random.default_rng(1), "binary")
    moved = 0.5 * outcome.std() * (1 if share < 0.5 else -1)
    assert made.mean() - outcome.mean() == pytest.approx(moved, abs=1e-3)
    assert (raised(outcome, 9, np.random.default_rng(1), "binary") == float(share < 0.5)).all()


def test_a_metric_moves_as_it_is_watched():
    past = np.array([1.0, 2.0, 3.0])
    assert shifted({"excess": 5.0}, "excess", 2, past) == {"excess": 7.0}
    assert shifted({"mae": 5.0}, "mae", 1, np.exp(past)) == {"mae": pytest.approx(5 * np.e)}


def test_days_are_measured_by_the_product():
    values = measured(model_of("binary"), np.full(50, 0.2), (np.arange(50) < 10).astype(float))
    assert values["excess"] == pytest.approx(0.0, abs=1e-9) and values["maturity"] == 1.0
    assert measured(model_of("regression"), np.zeros(50), np.ones(50))["mae"] == 1.0


def test_rows_give_way_to_rows_that_are_alike_in_one_column():
    random = np.random.default_rng(1)
    frame = pl.DataFrame({"size": random.random(2000), "mark": np.arange(2000) % 7})
    value = value_of([frame, frame], "size")
    assert value == pytest.approx(0.8, abs=0.03)
    made = planted(frame, "size", value, 0.5, random)
    assert (made["size"] >= value).mean() == pytest.approx(0.6, abs=0.04)
    assert set(made.rows()) <= set(frame.rows())
    assert planted(frame, "size", value, 0.0, random).equals(frame)


def test_a_column_that_says_the_day_cannot_be_planted_into():
    days = [pl.DataFrame({"weekday": [number] * 30, "kind": ["a", "b"] * 14 + ["c"] * 2}) for number in (1, 2, 3)]
    assert value_of(days, "weekday") is None
    assert value_of(days, "kind") in ("a", "b")
