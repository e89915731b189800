"""A small shop with a model, delivered day by day in memory: will an order be returned?

raw_orders -> orders -> history (two days back) -> features -> refund_served -> refund_predictions
raw_shops (a snapshot) -> features
raw_returns (a day late) -> returns
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from headwater.core.assets import Mechanism
from headwater.core.project import Model, Project, arguments
from headwater.core.records import Evidence, Finding
from headwater.mlops.outcome import row_costs
from headwater.mlops.serving import predict
from headwater.triage.case import Case, Diagnosed, Failed
from headwater.triage.mechanism import examine, harm
from unit.triage.pipelines import DAYS, Function, Pipeline, day

PER_DAY = 40
NOW = datetime(2024, 5, 1, tzinfo=UTC)
TRUTH = (-1.5, 3.0, 0.5)


def drawn(window: Any) -> pl.DataFrame:
    """What happened on a day: orders, and which of them came back."""
    random = np.random.default_rng(zlib.crc32(window.key.encode()))
    x = random.random(PER_DAY)
    p = 1 / (1 + np.exp(-(TRUTH[0] + TRUTH[1] * x + TRUTH[2] * 0.5)))
    day_number = window.start.toordinal()
    return pl.DataFrame(
        {
            "id": [day_number * 1000 + n for n in range(PER_DAY)],
            "shop": [f"s{n % 4}" for n in range(PER_DAY)],
            "x": x.round(6),
            "returned": (random.random(PER_DAY) < p).astype(int),
        }
    )


def shops(window: Any) -> pl.DataFrame:
    return pl.DataFrame({"shop": [f"s{n}" for n in range(4)], "size": [1, 2, 3, 4]})


def orders(raw_orders: pl.DataFrame) -> pl.DataFrame:
    return raw_orders.with_columns(pl.col("x").clip(0, 1))


def history(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.group_by("shop").agg(pl.col("x").mean().alias("mean_x")).sort("shop")


def features(orders: pl.DataFrame, history: pl.DataFrame, raw_shops: pl.DataFrame) -> pl.DataFrame:
    known = orders.join(history, on="shop", how="left", maintain_order="left")
    return known.join(raw_shops, on="shop", how="left", maintain_order="left").select("id", "x", "mean_x", "size")


def returns(raw_returns: pl.DataFrame) -> pl.DataFrame:
    return raw_returns.select("id", "returned")


def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    a, b, c = parts["model"]
    p = 1 / (1 + np.exp(-(a + b * served["x"].to_numpy() + c * served["mean_x"].to_numpy())))
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(int)})


def cost(rows: pl.DataFrame) -> pl.Series:
    return rows["returned"] * (1 - rows["decision"]) * 7 + rows["decision"] * 2


class Shop(Pipeline):
    """The shop as delivered; `change` puts other code or parts in force from the next run on."""

    def __init__(self, priced: bool = True) -> None:
        self.project = Project("shop", timezone=DAYS.timezone)
        self.project.source(lambda window: drawn(window).drop("returned"), name="raw_orders", key=["id"])
        self.project.source(
            lambda window: drawn(window).select("id", "returned"), name="raw_returns", key=["id"], lag=1
        )
        self.project.source(shops, name="raw_shops", key=["shop"], snapshot=True)
        self.project.dataset(orders, layer="staged", key=["id"])
        self.project.dataset(history, key=["shop"], lookback={"orders": 2})
        self.project.features(features, key=["id"])
        self.project.labels(returns, key=["id"], lag=1)
        self.model: Model = self.project.model(
            "refund", features="features", labels="returns", entity="id", outcome="returned", columns=["x", "mean_x"],
            train=score, score=score, cost=cost if priced else None, unit="euro",
        )  # fmt: skip
        code = {name: self.adapted(name, function) for name, function in self.project.functions.items()}
        super().__init__(self.project.ordered(), code)
        self.parts = {"m1": TRUTH, "t1": 0.5, "m1b": (-1.49, 3.0, 0.5), "m2": (1.5, -3.0, 0.5), "t2": 0.05}
        self.change(self.model.predictions, parts={"model": "m1", "threshold": "t1"})

    def adapted(self, asset: str, function: Callable[..., Any]) -> Function:
        if asset == "refund_predictions":
            return lambda frames, window, parts: predict(
                function, parts, frames["refund_served"], columns=["x", "mean_x"], entity="id"
            )
        parents = self.project.assets[asset].parents
        return lambda frames, window, parts: function(*arguments(function, frames, parents, window))

    def change(
        self,
        asset: str,
        function: Callable[..., Any] | None = None,
        parts: dict[str, str] | None = None,
        name: str = "",
    ) -> Mechanism:
        now = self.current[asset] if asset in getattr(self, "current", {}) else Mechanism(asset)
        code = now.code
        if function is not None:
            code = name or f"{asset}-{len(self.code)}"
            self.code[code] = self.adapted(asset, function)
        self.current[asset] = Mechanism(code, {**now.parts, **(parts or {})})
        return self.current[asset]

    def days(self, first: int, last: int) -> Shop:
        for number in range(first, last + 1):
            self.run(day(number))
        return self

    def price(self, model: Model, predictions: pl.DataFrame, p: pl.Series, labels: pl.DataFrame | None) -> pl.Series:
        return row_costs(model, predictions, p, labels)

    def case(
        self,
        *numbers: int,
        findings: Sequence[Finding] = (),
        release: Mapping[str, Any] | None = None,
        diagnosed: Mapping[tuple[str, str], Diagnosed] | None = None,
        accepted: Mapping[str, Mechanism] | None = None,
        failed: Mapping[str, tuple[str, str, bool]] | None = None,
        modelled: bool = True,
    ) -> Case:
        """All that is known of an incident over some days; mechanisms are accepted as they were on day 0."""
        replay = self.replay()
        models = (self.model,) if modelled else ()
        good = {name: self.made[name, DAYS.shift(DAYS.window(self.runs[0]), -asset.lag).key]
                for name, asset in self.assets.items()} | dict(accepted or {})  # fmt: skip
        windows = tuple(day(number) for number in numbers)
        labelled = [key for key in self.tables.keys("returns") if key < windows[0]]
        tests = {}
        for name, asset in self.assets.items():
            for key in (DAYS.shift(DAYS.window(run), -asset.lag).key for run in windows):
                if asset.recomputable and (values := examine(replay, models, name, key, good[name])) is not None:
                    tests[name, key] = evidence("mechanism", self.blame(name), key, values)
        return Case(
            incident="incident:shop/1",
            windows=windows,
            findings=tuple(findings),
            tests=tests,
            releases={} if release is None else {
                "refund": [evidence("release", "deployment:shop/refund", windows[-1], release)]
            },
            diagnosed=diagnosed or {},
            accepted=good,
            failed={name: Failed(*told) for name, told in (failed or {}).items()},
            labelled=tuple(labelled),
            replay=replay,
            models=models,
            ref=ref,
            blame=self.blame,
            owner=lambda name: f"owner of {name}",
            side=lambda name: self.assets[name].side,
            price=self.price,
            harm=lambda name, since, suspect: harm(replay, self.model, name, suspect, labelled),
        )  # fmt: skip

    def blame(self, name: str) -> str:
        return "deployment:shop/refund" if name == "refund_predictions" else ref(name)


def ref(name: str) -> str:
    return f"dataset:shop/{name}"


def evidence(kind: str, subject: str, window: str, values: Mapping[str, Any]) -> Evidence:
    return Evidence(type=kind, subject=subject, window=window, values=values, time=NOW)


def finding(
    subject: str, monitor: str = "structure", metric: str = "rows", number: int = 5, severity: str = "alarm",
    score: float = 4.0, **more: Any,
) -> Finding:  # fmt: skip
    subject = subject if ":" in subject else ref(subject)
    return Finding(
        monitor=monitor, subject=subject, window=day(number), metric=metric, score=score, time=NOW,
        severity="alarm" if severity == "alarm" else "notice", **more,
    )  # fmt: skip
