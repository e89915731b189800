"""Models that predict numbers or orders: definition, scoring, training, gate and outcome."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import DataError, ModelError, ProjectInvalid
from headwater.core.project import Project
from headwater.mlops.labels import known
from headwater.mlops.outcome import business, expected_business, performance, row_costs
from headwater.mlops.release import gate
from headwater.mlops.serving import predict, scored
from headwater.mlops.training import train

START = datetime(2024, 3, 1, tzinfo=UTC)


def searches(windows=20, per=30, size=8, seed=0):
    """Searches of a shop: `size` hits each, of which those that fit are bought more often."""
    random = np.random.default_rng(seed)
    count = windows * per * size
    fit, price = random.normal(size=count), random.lognormal(3, 0.4, count)
    chance = 1 / (1 + np.exp(-(1.5 * fit - 0.03 * price - 0.5)))
    search = np.repeat(np.arange(windows * per), size)
    return pl.DataFrame(
        {
            "hit": np.arange(count),
            "search": search,
            "shown": [START + timedelta(days=int(one // per), seconds=int(one % per)) for one in search],
            "fit": fit,
            "price": price,
            "bought": (random.random(count) < chance).astype(int),
        }
    )


def fitted(frame, seed):
    x = np.column_stack([np.ones(frame.height), frame.select("fit", "price").to_numpy()])
    return {"weights": np.linalg.lstsq(x, frame["bought"].to_numpy(), rcond=None)[0].tolist()}


def ranked(parts, served):
    x = np.column_stack([np.ones(served.height), served.select("fit", "price").to_numpy()])
    return pl.DataFrame({"score": x @ np.array(parts["weights"])})


def lost(rows):
    return rows["bought"] * (rows["score"] < 0.2).cast(pl.Int64) * rows["price"]


def project(**changes):
    made = Project("shop")
    made.features(lambda: None, parents=(), name="hits", key=["hit"], time="shown")
    made.labels(lambda: None, parents=(), name="bought", key=["hit"], time="shown", lag=1)
    options = {
        "features": "hits", "labels": "bought", "entity": "hit", "outcome": "bought", "columns": ["fit", "price"],
        "train": fitted, "score": ranked, "task": "ranking", "query": "search", "carry": ["search"], "cost": lost,
    } | changes  # fmt: skip
    return made, made.model("order", **options)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "clustering"}, "not known"),
        ({"query": ""}, "needs a query"),
        ({"task": "binary"}, "only a ranking"),
        ({"query": "session"}, "`session` in `query`"),
        ({"groups": ["country"]}, "`country` in `groups`"),
        ({"interval": 1.0}, "interval"),
        ({"columns": ["fit", "score"]}, "two columns `score`"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_where_it_is_defined(changes, said):
    with pytest.raises(ProjectInvalid, match=said):
        project(**changes)


def test_a_ranking_is_trained_measured_and_compared():
    made, model = project()
    frame = searches()
    trained = train(made, model, frame, seed=1)
    assert trained.metrics["ndcg_low"] < trained.metrics["ndcg"] < trained.metrics["ndcg_high"]
    assert trained.metrics["lift"] > 0.1 and trained.metrics["windows"] == 4
    log = predict(model.score, trained.parts, frame.drop("bought"), model.columns, "hit", model.carry, task="ranking")
    assert log.columns == ["hit", "search", "fit", "price", "score"]
    labels = frame.select("hit", "bought").filter(pl.col("hit") % 16 < 12)
    values = performance(model, log, labels)
    assert values["maturity"] == pytest.approx(0.75) and values["queries"] == 600
    assert values["ndcg_low"] < values["ndcg"] < values["ndcg_high"] and values["ndcg"] > values["blind"]
    assert {"map", "mrr", "precision", "recall"} <= set(values)
    worth = business(model, log, labels)
    assert worth["value"] > 0 and "expected" not in worth
    with pytest.raises(ModelError):
        expected_business(model, log, log["score"])
    assert row_costs(model, log, log["score"] * 0, None).sum() == 0


def test_the_gate_lets_a_sound_ranking_in_and_keeps_a_blind_or_worse_one_out():
    _, model = project()
    frame = searches().with_columns(pl.col("shown").dt.strftime("%Y-%m-%d").alias("_window"))
    good = fitted(frame, 1)
    settings = {"outcome": "bought", "columns": model.columns, "task": "ranking", "query": "search"}
    again = gate(good, fitted(frame.head(3000), 1), frame, ranked, **settings)
    assert again.passed and 0 < again.displacement < 0.1 and again.flipped is None
    assert [check.name for check in again.checks] == ["training windows", "scores", "ndcg", "1 - NDCG against champion"]
    blind = gate({"weights": [0.0, 0.0, 0.0]}, good, frame, ranked, **settings)
    assert {check.name for check in blind.refusals} == {"ndcg", "1 - NDCG against champion"}
    assert blind.displacement > 0.2


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"p": [1.0]}), "score returned a frame with p"),
        (pl.DataFrame({"prediction": ["long"]}), "not a number"),
        (pl.DataFrame({"prediction": [float("inf")]}), "not a finite number in 1 of 1"),
        (pl.DataFrame({"prediction": [1.0], "low": [0.0]}), "without its other end"),
        (pl.DataFrame({"prediction": [1.0], "low": [2.0], "high": [0.0]}), "low is above high"),
        (pl.DataFrame({"prediction": [1.0, 2.0]}), "2 rows for 1"),
    ],
)
def test_a_prediction_that_is_none_is_refused(frame, said):
    with pytest.raises(ModelError, match=said):
        scored(lambda parts, served: frame, {}, pl.DataFrame({"x": [1]}), "regression")


def test_labels_are_held_to_their_task():
    numbers = pl.DataFrame({"id": [1, 2, 3], "y": [2.5, -1.0, None]})
    assert known(numbers, "id", "y", task="regression")["y"].to_list() == [2.5, -1.0]
    with pytest.raises(DataError, match="not 0 or 1"):
        known(numbers, "id", "y")
    with pytest.raises(DataError, match="relevance of 0 or more"):
        known(numbers, "id", "y", task="ranking")
    with pytest.raises(DataError, match="finite"):
        known(pl.DataFrame({"id": [1], "y": [float("nan")]}), "id", "y", task="regression")
    with pytest.raises(DataError, match=r"both 2\.5 and 3"):
        known(pl.DataFrame({"id": [1, 1], "y": [2.5, 3.0]}), "id", "y", task="regression")
