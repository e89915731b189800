"""Estimates of a model's windows: from the prediction log alone, checked once labels come."""

import numpy as np
import polars as pl
import pytest

from headwater.mlops.estimated import Estimates
from unit.mlops.small_project import cost, project

DAYS = [f"2024-03-{day:02d}" for day in range(1, 13)]


def day(at, n=400):
    """A day's prediction log and its labels."""
    random = np.random.default_rng(at)
    price, size = random.uniform(5, 50, n), random.integers(1, 5, n)
    p = np.clip(price / 60, 0.01, 0.99)
    log = pl.DataFrame(
        {
            "order": [f"{at}-{row}" for row in range(n)],
            "price": price,
            "size": size,
            "region": ["north", "south"] * (n // 2),
            "p": p,
            "decision": (p > 0.4).astype(np.int64),
        }
    )
    labels = log.select("order", returned=pl.Series((random.random(n) < p).astype(int)), days=pl.lit(2))
    return log, labels


def lived(model, days=DAYS):
    made, told = Estimates(model, day(0)[0]), {}
    for at, key in enumerate(days):
        log, labels = day(at)
        told[key] = made.estimate(key, log)
        told[key] |= made.settle(key, log, labels)
    return made, told


def test_values_say_what_is_expected_with_a_band():
    made, _ = lived(project()[1])
    values = made.estimate("2024-03-20", day(20)[0])
    assert values["valid"] and values["reason"] == ""
    for name in ("log_loss", "accuracy", "cost"):
        assert values[f"{name}_low"] < values[name] < values[f"{name}_high"]
    assert (values["n"], values["skipped"], values["windows"]) == (400, 0, 12)


def test_cost_is_what_the_cost_function_says_of_a_row():
    made, _ = lived(project()[1])
    log, labels = day(20)
    rows = log.join(labels, on="order")
    values = made.estimate("2024-03-20", log) | made.settle("2024-03-20", log, labels)
    assert values["cost"] + values["error.cost"] == pytest.approx(cost(rows).mean())
    assert values["cost_low"] < cost(rows).mean() < values["cost_high"]


def test_a_checked_window_has_its_errors():
    _, told = lived(project()[1])
    assert {"error.log_loss", "error.accuracy", "error.base_rate"} <= set(told[DAYS[-1]])
    assert not any(name.startswith("error.") for name in told[DAYS[0]])


def test_what_is_hidden_is_kept_apart():
    made, _ = lived(project()[1])
    values = made.estimate("2024-03-20", day(20)[0], hidden="the server loaded another model")
    assert "accuracy" not in values and not values["valid"]
    assert values["withheld"]["accuracy"]["reason"] == values["reason"] == "the server loaded another model"


def test_rows_without_a_prediction_are_counted_and_left_out():
    made, _ = lived(project()[1])
    log = day(20)[0].with_columns(p=pl.when(pl.int_range(400) < 10).then(None).otherwise("p"))
    values = made.estimate("2024-03-20", log)
    assert (values["n"], values["skipped"]) == (390, 10)
    assert made.estimate("2024-03-21", log.with_columns(p=pl.lit(None, dtype=pl.Float64))) == {}


def test_a_model_without_a_cost_has_no_expected_cost():
    made, _ = lived(project(cost=None)[1])
    values = made.estimate("2024-03-20", day(20)[0])
    assert "cost" not in values and "accuracy" in values


def test_labels_that_have_not_come_teach_nothing():
    made = Estimates(project()[1], day(0)[0])
    log, labels = day(0)
    assert made.settle(DAYS[0], log, labels.with_columns(returned=pl.lit(None, dtype=pl.Int64))) == {}
    assert made.estimate(DAYS[1], day(1)[0]) == {}


def test_a_regression_is_estimated_by_its_errors():
    def scored(parts, served):
        return pl.DataFrame({"prediction": served["price"]})

    model = project(task="regression", score=scored, cost=None)[1]
    made = Estimates(model, _hours(0)[0])
    for at, key in enumerate(DAYS):
        made.estimate(key, _hours(at)[0])
        made.settle(key, *_hours(at))
    log, labels = _hours(20)
    values = made.estimate("2024-03-20", log) | made.settle("2024-03-20", log, labels)
    truth = float((labels["returned"] - log["prediction"]).abs().mean())
    assert values["mae_low"] < truth < values["mae_high"]
    assert values["mae"] + values["error.mae"] == pytest.approx(truth)


def _hours(at):
    log, _ = day(at)
    random = np.random.default_rng([at, 1])
    log = log.drop("p", "decision").with_columns(prediction="price")
    noise = pl.Series(random.normal(0, 2.0, log.height))
    return log, log.select("order", returned=pl.col("prediction") + noise)
