import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, log_loss, precision_score, recall_score, roc_auc_score

from headwater.core.errors import ModelError
from headwater.mlops.outcome import business, expected_business, performance, row_costs
from headwater.mlops.serving import predict
from unit.mlops import small_project as shop


@pytest.fixture(scope="module")
def scored():
    """A model, its prediction log of ten days after training, and the labels of two thirds of it."""
    _, model = shop.project()
    frame = shop.orders(days=20)
    parts = shop.train(frame.head(1500), 1)
    log = predict(model.score, parts, frame.tail(1500), model.columns, model.entity, model.carry)
    labels = frame.tail(1500).filter(pl.col("order") % 3 > 0).select("order", "time", "returned", "days")
    return model, log, labels


def matured(scored):
    _, log, labels = scored
    return log.join(labels, on="order", maintain_order="left")


def test_measures_agree_with_scikit_learn(scored):
    rows = matured(scored)
    y, p, decision = (rows[name].to_numpy() for name in ("returned", "p", "decision"))
    values = performance(*scored)
    assert (values["n"], values["matured"]) == (1500, 1000)
    assert values["maturity"] == pytest.approx(2 / 3)
    assert values["log_loss"] == pytest.approx(log_loss(y, p))
    assert values["brier"] == pytest.approx(brier_score_loss(y, p))
    assert values["auc"] == pytest.approx(roc_auc_score(y, p))
    assert values["precision"] == pytest.approx(precision_score(y, decision))
    assert values["recall"] == pytest.approx(recall_score(y, decision))
    assert values["accuracy"] == pytest.approx((y == decision).mean())
    assert values["base_rate"] == pytest.approx(y.mean())
    assert values["mean_p"] == pytest.approx(p.mean())
    assert values["expected_log_loss"] == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())
    assert values["excess"] == pytest.approx(values["log_loss"] - values["expected_log_loss"])


def test_every_bounded_measure_lies_within_its_bounds(scored):
    values = performance(*scored)
    for name in ("log_loss", "excess", "brier", "base_rate", "accuracy", "precision", "recall"):
        assert values[f"{name}_low"] < values[name] < values[f"{name}_high"]


def test_bounds_of_the_loss_cover_its_expectation():
    """In 200 windows of outcomes drawn from p itself, 95 % bounds of the excess hold zero in about 95 %."""
    random = np.random.default_rng(5)
    _, model = shop.project()
    held = 0
    for _ in range(200):
        p = random.uniform(0.05, 0.95, 200)
        log = pl.DataFrame({"order": np.arange(200), "p": p, "decision": (p > 0.5).astype(int)})
        labels = pl.DataFrame({"order": np.arange(200), "returned": (random.random(200) < p).astype(int)})
        values = performance(model, log, labels)
        held += values["excess_low"] <= 0 <= values["excess_high"]
    assert 0.9 <= held / 200 <= 0.99


def test_without_labels_only_counts_are_known(scored):
    model, log, labels = scored
    assert performance(model, log, None) == {"n": 1500.0, "matured": 0.0, "maturity": 0.0}
    assert performance(model, log.head(0), labels) == {"n": 0.0, "matured": 0.0}


def test_what_is_not_defined_is_left_out(scored):
    model, log, labels = scored
    values = performance(model, log, labels.filter(pl.col("returned") == 0))
    assert "auc" not in values
    assert "recall" not in values
    assert values["base_rate"] == 0
    assert all(np.isfinite(value) for value in values.values())


def test_the_realised_cost_is_the_sum_over_matured_rows(scored):
    rows = matured(scored)
    values = business(*scored)
    assert values["value"] == pytest.approx(float(shop.cost(rows).sum()))
    assert values["low"] < values["value"] < values["high"]
    assert (values["n"], values["matured"], values["unit"]) == (1500, 1000, "euro")


def test_the_expected_cost_weighs_both_outcomes():
    _, model = shop.project()
    rows = pl.DataFrame(
        {"order": [1, 2], "price": [10.0, 10.0], "size": [0, 0], "region": "n", "p": [0.1, 0.1], "decision": [0, 1]}
    )
    found = expected_business(model, rows, pl.Series([0.25, 0.9]))
    assert found.value == pytest.approx(0.25 * 10 * 2)  # the second order was warned of: no cost either way
    assert found.high - found.value == pytest.approx(1.96 * 20 * (0.25 * 0.75) ** 0.5, rel=1e-3)
    known = rows.with_columns(returned=pl.lit(1), days=pl.lit(7))
    assert expected_business(model, known, pl.Series([0.25, 0.9])) == found


def test_rows_cost_what_became_of_them_and_otherwise_what_is_to_be_expected(scored):
    model, log, labels = scored
    costs = row_costs(model, log, log["p"], labels)
    realised = log.join(labels, on="order", how="left", maintain_order="left")
    unlabelled = realised["returned"].is_null()
    expected = (1 - log["decision"]) * log["price"] * 2 * log["p"]
    assert costs.filter(unlabelled).to_list() == pytest.approx(expected.filter(unlabelled).to_list())
    assert costs.filter(~unlabelled).to_list() == pytest.approx(shop.cost(realised.filter(~unlabelled)).to_list())
    assert row_costs(model, log, log["p"], None).to_list() == pytest.approx(expected.to_list())
    moved = row_costs(model, log, log["p"] * 0, None)
    assert moved.sum() == 0


def test_a_matured_row_whose_cost_is_open_costs_what_is_usual():
    _, model = shop.project(cost=lambda rows: rows["returned"] * rows["price"] * rows["days"].fill_null(2))
    log = pl.DataFrame(
        {"order": [1, 2], "price": [10.0, 3.0], "size": [0.0, 0.0], "region": "n", "p": [0.5, 0.5], "decision": [0, 0]}
    )
    labels = pl.DataFrame({"order": [1, 2], "returned": [1, 1], "days": [None, 4]})
    assert business(model, log, labels)["value"] == 10 * 2 + 3 * 4


def test_a_cost_that_is_open_when_only_the_outcome_is_known_is_refused():
    _, model = shop.project(cost=lambda rows: rows["returned"] * rows["days"])
    log = pl.DataFrame({"order": [1], "price": [1.0], "size": [0.0], "region": ["n"], "p": [0.5], "decision": [0]})
    with pytest.raises(ModelError, match="null in 1 of 1 rows") as caught:
        row_costs(model, log, log["p"], None)
    assert "fill_null" in str(caught.value)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (lambda rows: [1.0], "gave 1 values"),
        (lambda rows: rows["region"], "of String"),
        (lambda rows: 1 / 0, "ZeroDivisionError"),
        (None, "has no cost function"),
    ],
)
def test_bad_cost_functions_are_named(scored, cost, message):
    _, log, labels = scored
    _, model = shop.project(cost=cost)
    with pytest.raises(ModelError, match=message):
        business(model, log, labels)


def test_a_cost_may_be_an_expression(scored):
    _, log, labels = scored
    _, model = shop.project(cost=lambda rows: pl.col("returned") * pl.col("price"))
    assert business(model, log, labels)["value"] == pytest.approx(
        float((matured(scored)["returned"] * matured(scored)["price"]).sum())
    )
