"""A lender whose world can change: will a loan be paid back? Days as windows, labels a day late, all in memory."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headwater.app.wiring import Services, embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window
from headwater.testing.memory_ledger import MemoryLedger
from headwater.testing.memory_tables import MemoryTables
from headwater.testing.memory_tracking import MemoryTracking

CALENDAR = Calendar()
HISTORY = "2024-02-01", "2024-04-14"
FIRST = "2024-04-15"
QUIET = 25
COLUMNS = ("income", "amount", "age", "region_code", "online")
REGIONS = "ABCDE"
MODEL = "model:lender/risk"
DEPLOYMENT = "deployment:lender/risk"
Odds = Callable[[str, pl.DataFrame], Any]
Inputs = Callable[[str, pl.DataFrame, np.random.Generator], pl.DataFrame]


class Outside:
    """What happens outside: `odds` is added to the log odds of a default, `inputs` changes who asks for a loan."""

    def __init__(self, rows: int = 150) -> None:
        self.rows = rows
        self.odds: Odds = lambda day, asked: 0.0
        self.inputs: Inputs = lambda day, asked, random: asked

    def happened(self, day: str) -> pl.DataFrame:
        """All loans of a day, also whether they will default."""
        random = np.random.default_rng([3, zlib.crc32(day.encode())])
        count = self.rows + int(random.integers(-10, 10))
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        asked = pl.DataFrame(
            {
                "loan": [f"{day}-{number:04d}" for number in range(count)],
                "asked": [
                    start + timedelta(minutes=int(minute)) for minute in np.sort(random.integers(0, 1440, count))
                ],
                "income": random.lognormal(3.4, 0.5, count).round(2),
                "amount": random.lognormal(2.2, 0.6, count).round(2),
                "age": random.integers(18, 75, count),
                "region": random.choice(list(REGIONS), count, p=[0.3, 0.2, 0.2, 0.2, 0.1]),
                "online": random.random(count) < 0.6,
            },
            schema_overrides={"asked": pl.Datetime("us", "UTC")},
        )
        mood = float(random.normal(0, 0.1))
        asked = self.inputs(day, asked, random)
        lean = (
            -1.2
            + mood
            - 0.9 * (np.log(asked["income"].to_numpy()) - 3.4)
            + 0.8 * (np.log(asked["amount"].to_numpy()) - 2.2)
            - 0.015 * (asked["age"].to_numpy() - 40)
            + 0.25 * asked["region"].replace_strict(list(REGIONS), list(range(5)), return_dtype=pl.Float64).to_numpy()
            + 0.3 * asked["online"].to_numpy()
            + self.odds(day, asked)
        )
        chance = np.random.default_rng([4, zlib.crc32(day.encode())]).random(asked.height)
        return asked.with_columns(defaulted=pl.Series((chance < 1 / (1 + np.exp(-lean))).astype(int)))


def days(window: Window) -> list[str]:
    first, _, last = window.key.partition("..")
    return [day.key for day in CALENDAR.between(first, last or first)]


def requests(raw_requests: pl.DataFrame) -> pl.DataFrame:
    return raw_requests.with_columns(pl.col("online").cast(pl.Int64)).sort("loan")


def loans(requests: pl.DataFrame, raw_regions: pl.DataFrame) -> pl.DataFrame:
    return requests.join(raw_regions, on="region", how="left").sort("loan")


def loan_features(loans: pl.DataFrame) -> pl.DataFrame:
    return loans.select("loan", "asked", "region", *COLUMNS)


def loan_labels(raw_payments: pl.DataFrame) -> pl.DataFrame:
    return raw_payments.drop_nulls("defaulted")


def matrix(frame: pl.DataFrame) -> np.ndarray:
    logs = [pl.col(name).cast(pl.Float64).clip(0.01).log() for name in ("income", "amount")]
    return frame.select(*logs, pl.col("age") / 40, "region_code", "online").cast(pl.Float64).to_numpy()


def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    sample = frame.sort("loan").sample(fraction=0.8, seed=seed)
    model = LogisticRegression(C=1.0).fit(matrix(sample), sample["defaulted"].to_numpy())
    return {"model": model, "threshold": float(np.quantile(model.predict_proba(matrix(sample))[:, 1], 0.8))}


def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    p = parts["model"].predict_proba(matrix(served))[:, 1]
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})


def lost(rows: pl.DataFrame) -> pl.Series:
    """Money lent and lost."""
    return rows["amount"] * rows["defaulted"] * (1 - rows["decision"])


def build(outside: Outside) -> Project:
    def raw_requests(window: Window) -> pl.DataFrame:
        return pl.concat([outside.happened(day).drop("defaulted") for day in days(window)])

    def raw_payments(window: Window) -> pl.DataFrame:
        return pl.concat([outside.happened(day).select("loan", "asked", "defaulted") for day in days(window)])

    def raw_regions(window: Window) -> pl.DataFrame:
        return pl.DataFrame({"region": list(REGIONS), "region_code": list(range(5))})

    project = Project("lender")
    project.source(raw_requests, key=["loan"], time="asked")
    project.source(raw_payments, key=["loan"], time="asked", lag=1)
    project.source(raw_regions, key=["region"], snapshot=True)
    project.dataset(requests, layer="staged", key=["loan"], time="asked")
    project.dataset(loans, key=["loan"], time="asked")
    project.features(loan_features, key=["loan"], time="asked")
    project.labels(loan_labels, key=["loan"], time="asked", lag=1)
    project.model(
        "risk", features="loan_features", labels="loan_labels", entity="loan", outcome="defaulted", columns=COLUMNS,
        train=train, score=score, cost=lost, unit="euro", carry=("asked", "region"),
    )  # fmt: skip
    return project


class Lender:
    """A workspace of the lender that stands before its next day."""

    def __init__(self, folder: Path, services: Services, clock: SimulatedClock, day: str) -> None:
        self.outside = Outside()
        self.project = build(self.outside)
        self.folder, self.services, self.clock = folder, services, clock
        self.day = CALENDAR.window(day)
        self.workspace = Workspace.of(self.project, folder, clock, services)

    def run(self) -> dict[str, Any]:
        """Live through one day; its run begins an hour after it ended."""
        self.clock.move_to(self.day.end + timedelta(hours=1))
        report = self.workspace.run(self.day.key)
        self.day = CALENDAR.shift(self.day, 1)
        return report

    def run_until(self, status: str, most: int = 9) -> dict[str, Any]:
        """Live on until an incident has a verdict of this status; return the verdict."""
        for _ in range(most):
            self.run()
            for incident in self.workspace.incidents():
                if incident["verdict"] is not None and incident["verdict"]["status"] == status:
                    return dict(incident["verdict"])
        raise AssertionError(f"no {status} in {most} days: {self.workspace.incidents()}")

    def retrain(self, change: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame, seed: int = 7) -> str:
        """Train a version, on rows as changed by somebody's mistake, and release it through the gate."""
        model = self.project.models["risk"]
        self.project.models["risk"] = replace(model, train=lambda frame, seed: train(change(frame), seed))
        version = self.workspace.train(seed=seed)["version"]
        self.project.models["risk"] = model
        self.workspace.release(version, by="milo")
        return str(version)

    def fork(self) -> Lender:
        """Go on apart from here, from a copy of all that is stored."""
        clock = SimulatedClock(self.clock.now())
        services = replace(
            self.services,
            tables=copy.deepcopy(self.services.tables),
            ledger=copied(self.services.ledger),
            tracking=copied_tracking(self.services),
            clock=clock,
        )
        return Lender(self.folder, services, clock, self.day.key)


def copied(ledger: Any) -> MemoryLedger:
    made = MemoryLedger()
    made._rows, made._by_id = list(ledger._rows), dict(ledger._by_id)
    return made


def copied_tracking(services: Services) -> Callable[[], Any]:
    made = MemoryTracking(dict(services.tracking().logged), dict(services.tracking().aliases))
    return lambda: made


def begin(folder: Path) -> Lender:
    """Deliver the history, train and release the first version, and live through quiet weeks."""
    clock, tracking = SimulatedClock(CALENDAR.window(FIRST).start), MemoryTracking()
    services = replace(embedded(folder, clock), tables=MemoryTables(), ledger=MemoryLedger(), tracking=lambda: tracking)
    lender = Lender(folder, services, clock, FIRST)
    lender.workspace.run_range(*HISTORY)
    lender.workspace.release(lender.workspace.train(seed=1)["version"], by="ann")
    for _ in range(QUIET):
        report = lender.run()
        assert not report["failed"]
    assert lender.workspace.incidents(all=True) == []
    return lender
