"""A small project with a real model: will an order come back? Made for the tests of this room."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from headwater.core.project import Project

COLUMNS = ["price", "size"]
START = datetime(2024, 3, 1, tzinfo=UTC)


def train(frame, seed):
    from lightgbm import LGBMClassifier
    from sklearn.isotonic import IsotonicRegression

    half = frame.height // 2
    early, late = frame[:half], frame[half:]
    model = LGBMClassifier(n_estimators=25, min_child_samples=40, random_state=seed, verbose=-1, n_jobs=1)
    model.fit(early.select(COLUMNS).to_numpy(), early["returned"].to_numpy())
    raw = model.predict_proba(late.select(COLUMNS).to_numpy())[:, 1]
    calibrator = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip").fit(raw, late["returned"].to_numpy())
    return {"model": model, "calibrator": calibrator, "threshold": 0.4}


def score(parts, served):
    raw = parts["model"].predict_proba(served.select(COLUMNS).to_numpy())[:, 1]
    p = parts["calibrator"].predict(raw)
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(int)})


def cost(rows):
    return rows["returned"] * (1 - rows["decision"]) * rows["price"] * rows["days"].fill_null(2)


def project(**changes):
    """Return the project and its model, with some of the model's functions replaced."""
    made = Project("shop")

    @made.features(parents=(), name="order_features", key=["order"], time="time")
    def order_features():
        return None

    @made.labels(parents=(), name="returns", key=["order"], time="time", lag=2)
    def returns():
        return None

    options = {"train": train, "score": score, "cost": cost, "unit": "euro", **changes}
    model = made.model(
        "refund", features="order_features", labels="returns", entity="order", outcome="returned", columns=COLUMNS,
        carry=["region"], **options,
    )  # fmt: skip
    return made, model


def orders(days=20, per_day=150, seed=0):
    """Make features joined with labels: `days` windows of orders whose return follows from price and size."""
    random = np.random.default_rng(seed)
    count = days * per_day
    price, size = random.lognormal(3, 0.5, count), random.normal(size=count)
    p = 1 / (1 + np.exp(-(1.5 * size + (price - 22) / 10 - 0.8)))
    return pl.DataFrame(
        {
            "order": np.arange(count),
            "time": [START + timedelta(days=int(row // per_day), minutes=int(row % per_day)) for row in range(count)],
            "price": price,
            "size": size,
            "region": random.choice(["north", "south"], count),
            "returned": (random.random(count) < p).astype(int),
            "days": random.integers(1, 9, count),
        }
    )
