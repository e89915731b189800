"""A model that predicts a number, through the whole line: trained, released, run, harmed, explained, put right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from headwater.app.story import fill
from headwater.core.errors import GateRefused
from line import parcels
from line.parcels import COLUMNS, Post


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path / "post")


def miles(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    """Somebody thinks that the distances come in miles."""
    told = raw_parcels.rename({"distance": "distance_km", "weight": "weight_kg"})
    return told.with_columns(pl.col("distance_km") * 1.609)


def unjoined(parcels: pl.DataFrame, raw_depots: pl.DataFrame) -> pl.DataFrame:
    """The depot's key is written in lower case on one side."""
    express = pl.col("service").replace_strict({"standard": 0.0, "express": 1.0}, return_dtype=pl.Float64)
    depots = raw_depots.with_columns(pl.col("depot").str.to_lowercase())
    joined = parcels.join(depots, on="depot", how="left", maintain_order="left").with_columns(express=express)
    return joined.select("parcel", "sent", "service", "depot", *COLUMNS)


def days_for_hours(raw_deliveries: pl.DataFrame) -> pl.DataFrame:
    """The label changes its unit."""
    return raw_deliveries.select("parcel", "sent", pl.col("hours") / 24)


def rewritten(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    """The same rows by another road."""
    return raw_parcels.with_columns(distance_km="distance", weight_kg="weight").select(
        "parcel", "sent", "distance_km", "weight_kg", "service", "depot"
    )


def test_a_regression_is_trained_released_and_measured(post: Post) -> None:
    metrics = post.trained["metrics"]
    assert metrics["mae_low"] < metrics["mae"] < metrics["mae_high"] and 0.5 < metrics["r2"] < 1
    assert metrics["coverage"] == pytest.approx(0.9, abs=0.06)
    names = [check["name"] for check in post.released["checks"]]
    assert names == ["training windows", "scores", "r2", "calibration slope"]
    assert all(not report["alarms"] and not report["failed"] for report in post.quiet)
    found = post.workspace.line.state.evidence[("performance", "model:post/hours")]
    (values,) = [item.values for item in found.values()]
    log = post.workspace.line.services.tables.read("hours_predictions", [parcels.FIRST])
    truth = parcels.happened(parcels.FIRST)
    told = log.join(truth.select("parcel", "hours"), on="parcel")
    assert values["mae"] == pytest.approx((told["hours"] - told["prediction"]).abs().mean())
    assert {"n", "matured", "maturity", "bias", "rmse", "r2", "slope", "coverage"} <= set(values)
    worth = post.workspace.line.state.evidence[("business", "model:post/hours")]
    (cost,) = [item.values for item in worth.values()]
    assert cost["value"] == pytest.approx((told["hours"] - told["prediction"]).clip(lower_bound=0).sum())
    assert "expected" not in cost
    gaps = post.workspace.line.state.evidence[("fairness", "model:post/hours")][parcels.FIRST].values
    error = told.with_columns(error=pl.col("prediction") - pl.col("hours")).group_by("service").agg(pl.mean("error"))
    mean = dict(error.iter_rows())
    assert gaps["gap.bias.service=express"] == pytest.approx(mean["express"] - mean["standard"])
    times = post.workspace.line.state.evidence[("latency", "deployment:post/hours")][parcels.FIRST].values
    assert times["version"] == post.trained["version"] and times["n"] == log.height
    assert times["p50"] == pytest.approx(log["ms"].median(), rel=0.05) and times["p50"] < times["p95"] < times["p99"]


@pytest.mark.parametrize(
    ("asset", "code", "side"),
    [("parcels", miles, "data"), ("parcel_features", unjoined, "ml"), ("delivered", days_for_hours, "ml")],
)
def test_changed_code_is_named_and_rolled_back(asset: str, code: Callable[..., Any], side: str, post: Post) -> None:
    post.project.replace(asset, code)
    report = post.run()
    assert [verdict["status"] for verdict in report["verdicts"]] == ["named"], report["alarms"]
    (incident,) = post.workspace.incidents()
    verdict = incident["verdict"]
    assert (verdict["subject"], verdict["side"]) == (f"dataset:post/{asset}", side)
    assert verdict["remedy"]["action"] == "rollback_code"
    if asset != "delivered":
        assert verdict["effect"]["affected_predictions"] > 0.5 * verdict["effect"]["scored_predictions"]
        assert verdict["effect"]["low"] <= verdict["effect"]["value"] <= verdict["effect"]["high"]
    post.workspace.remedy(incident["incident"], apply=True, by="ann")
    assert not post.run()["alarms"]
    assert [curve.title for curve in fill(post.workspace.line, 1.0).curves][:2] == ["mean absolute error", "hours"]


def test_another_model_than_the_approved_one_is_named(post: Post) -> None:
    weights = post.workspace.line.services.parts.load(post.trained["parts"]["weights"])
    post.workspace.deploy(parts={"weights": [weights[0] + 4.0, *weights[1:]]}, by="milo")
    report = post.run()
    assert [verdict["subject"] for verdict in report["verdicts"]] == ["deployment:post/hours"], report["alarms"]


def test_a_rewrite_with_the_same_result_is_quiet(post: Post) -> None:
    post.project.replace("parcels", rewritten)
    report = post.run()
    assert not report["alarms"] and not post.workspace.incidents()


def test_the_gate_refuses_a_regression_that_explains_nothing(post: Post) -> None:
    def silly(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
        random = np.random.default_rng(seed)
        return {"weights": [float(frame["hours"].mean()), *random.normal(0, 1e-3, 4).tolist()], "half": 9.0}

    model = post.project.models["hours"]
    post.project.models["hours"] = type(model)(
        **{name: getattr(model, name) for name in model.__slots__} | {"train": silly}
    )
    version = post.workspace.train(seed=2)["version"]
    with pytest.raises(GateRefused, match=r"r2|slope|absolute error"):
        post.workspace.release(version, by="ann")
