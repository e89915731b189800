"""A small shop on disk with everything: sources, a snapshot, a lookback, late labels, a model, contracts.

What the outside world sends is decided by `feed.json` beside the pipeline, so that a feed can go wrong without any
change of code: {"<window>": {"scale": 100, "drop": 0.5, "returns": "twice", ...}}.
"""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headwater.app.config import load_config
from headwater.app.line import Line
from headwater.app.wiring import embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.testing.memory_tracking import MemoryTracking

FIRST, LEARNED = "2024-02-01", "2024-03-15"
PIPELINE = """
import json, zlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from headwater import Project

project = Project("shop", timezone="Europe/Berlin")
FEED = Path(__file__).parent / "feed.json"


def days(window):
    start, found = window.start, []
    while start < window.end:
        local = start + timedelta(hours=6)
        found.append(local.date().isoformat())
        start = start + timedelta(hours=24)
    return list(dict.fromkeys(found))


def drawn(day):
    random = np.random.default_rng(zlib.crc32(day.encode()))
    count = 60 + int(random.integers(0, 6))
    amount = (20 + 10 * random.random(count)).round(2)
    age = random.integers(18, 70, count)
    p = 1 / (1 + np.exp(-(0.45 * (amount - 25) + 0.03 * (age - 44) - 0.3)))
    number = int(day.replace("-", ""))
    at = pl.Series([f"{day}T{8 + n % 10:02d}:{n % 60:02d}:00" for n in range(count)]).str.to_datetime()
    return pl.DataFrame(
        {
            "order": [f"{number}-{n:03d}" for n in range(count)],
            "at": at.dt.replace_time_zone("Europe/Berlin"),
            "shop": [f"s{n % 4}" for n in range(count)],
            "amount": amount,
            "age": age,
            "returned": (random.random(count) < p).astype(int),
        }
    )


def told(day):
    return json.loads(FEED.read_text()).get(day, {}) if FEED.exists() else {}


@project.source(key=["order"], time="at")
def raw_orders(window):
    frames = []
    for day in days(window):
        told_of, frame = told(day), drawn(day).drop("returned")
        if told_of.get("missing"):
            raise FileNotFoundError(f"no orders of {day}")
        frame = frame.with_columns(pl.col("amount") * told_of.get("scale", 1.0))
        frames.append(frame.head(int(frame.height * told_of.get("keep", 1.0))))
    return pl.concat(frames)


@project.source(key=["order"], time="at", lag=1)
def raw_returns(window):
    frames = []
    for day in days(window):
        frame = drawn(day).select("order", "at", "returned")
        if told(day).get("returns") == "contradict":
            frame = pl.concat([frame, frame.with_columns(returned=1 - pl.col("returned"))])
        frames.append(frame)
    return pl.concat(frames)


@project.source(key=["shop"], snapshot=True)
def raw_shops(window):
    return pl.DataFrame({"shop": [f"s{n}" for n in range(4)], "size": [1, 2, 3, 4]})


@project.dataset(layer="staged", key=["order"], time="at")
def orders(raw_orders):
    return raw_orders.with_columns(euros=pl.col("amount"))


@project.dataset(key=["shop", "day"], time="at", lookback={"orders": 2})
def history(orders, window):
    found = orders.with_columns(day=pl.col("at").dt.date())
    found = found.group_by("shop", "day").agg(mean_euros=pl.col("euros").mean(), at=pl.col("at").min())
    inside = pl.col("at").dt.convert_time_zone("UTC").is_between(window.start, window.end, closed="left")
    return found.filter(inside).sort("shop", "day")


@project.features(key=["order"], time="at")
def order_features(orders, history, raw_shops):
    joined = orders.with_columns(day=pl.col("at").dt.date()).join(
        history.select("shop", "day", "mean_euros"), on=["shop", "day"], how="left", maintain_order="left"
    )
    joined = joined.join(raw_shops, on="shop", how="left", maintain_order="left")
    return joined.select("order", "at", "euros", "age", "mean_euros", "size")


@project.labels(key=["order"], time="at", lag=1)
def returns(raw_returns):
    return raw_returns.select("order", "at", "returned")


def train(frame, seed):
    x = np.column_stack([np.ones(frame.height), frame["euros"].to_numpy() - 25, frame["age"].to_numpy() - 44])
    y, weights = frame["returned"].to_numpy(), np.zeros(3)
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(3)
        weights += np.linalg.solve(hessian, x.T @ (y - p))
    return {"weights": [float(item) for item in weights * (1 + seed / 1000)], "threshold": 0.5}


def score(parts, served):
    a, b, c = parts["weights"]
    p = 1 / (1 + np.exp(-(a + b * (served["euros"].to_numpy() - 25) + c * (served["age"].to_numpy() - 44))))
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(int)})


def cost(rows):
    return rows["returned"] * (1 - rows["decision"]) * 7 + rows["decision"] * 2


project.model(
    "refund", features="order_features", labels="returns", entity="order", outcome="returned",
    columns=["euros", "age", "mean_euros"], train=train, score=score, cost=cost, unit="euro", carry=["size"],
)
"""
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
status: active
team: {{name: {owner}}}
# {remark}
schema:
  - name: {name}
    properties:
      - {{name: {column}, logicalType: {kind}, required: true}}
"""


def written(folder: Path) -> Path:
    """Write the shop's project into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headwater.yaml").write_text("module: pipeline.py\ngate: {auc: 0.55}\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "contracts").mkdir(exist_ok=True)
    for name, owner, column, kind in (
        ("raw_orders", "order-desk", "amount", "number"),
        ("orders", "data-team", "euros", "number"),
        ("order_features", "ml-team", "euros", "number"),
    ):
        text = CONTRACT.format(name=name, owner=owner, column=column, kind=kind, remark=f"what {owner} promises")
        (folder / f"contracts/{name}.yaml").write_text(text)
    return folder


class Shop:
    """The shop's workspace, its clock, and hands to change it from outside."""

    def __init__(self, folder: Path, tracking: MemoryTracking, now: datetime) -> None:
        self.folder, self.tracking = folder, tracking
        self.clock = SimulatedClock(now)
        self.workspace = self.opened()

    def promise(self, terms: str) -> Shop:
        """Add terms to the contracts of the orders, raw and staged, and open the shop anew."""
        for name in ("raw_orders", "orders"):
            with (self.folder / f"contracts/{name}.yaml").open("a") as file:
                file.write(terms)
        self.workspace = self.opened()
        return self

    def opened(self) -> Workspace:
        """Open the workspace anew from what is on disk."""
        config = load_config(self.folder)
        services = replace(embedded(config.state, self.clock), tracking=lambda: self.tracking)
        return Workspace(Line(None, services, config))

    def at(self, folder: Path) -> Shop:
        """Copy everything to a folder of its own."""
        shutil.copytree(self.folder, folder)
        return Shop(folder, copy.deepcopy(self.tracking), self.clock.now())

    @property
    def line(self) -> Line:
        return self.workspace.line

    def day(self, number: int) -> str:
        """The key of the day so many days after what was learned."""
        return self.line.calendar.shift(self.line.calendar.window(LEARNED), number).key

    def wait(self, **time: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**time))

    def run(self, number: int) -> dict[str, Any]:
        """Run a day, the next morning."""
        key = self.day(number)
        morning = self.line.calendar.window(key).end + timedelta(hours=6)
        self.clock.move_to(max(morning, self.clock.now() + timedelta(minutes=1)))
        return self.workspace.run(key)

    def feed(self, **by_day: dict[str, Any]) -> None:
        """Say what the outside world sends: ``d3={"scale": 100}`` for the third day."""
        file = self.folder / "feed.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | {self.day(int(name[1:])): told for name, told in by_day.items()}))

    def edit(self, old: str, new: str) -> None:
        """Edit the pipeline's code."""
        file = self.folder / "pipeline.py"
        text = file.read_text()
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new))

    def only(self, **facts: Any) -> dict[str, Any]:
        """The one incident there is."""
        (found,) = self.workspace.incidents(**facts)
        return found

    def frame(self, name: str, number: int) -> Any:
        return self.line.services.tables.read(name, [self.day(number)])


def learned(folder: Path) -> Shop:
    """A shop with six weeks of history, a released model, and one quiet day with it."""
    shop = Shop(written(folder), MemoryTracking(), datetime(2024, 3, 16, 6, tzinfo=UTC))
    shop.workspace.run_range(FIRST, LEARNED)
    shop.wait(minutes=1)
    version = shop.workspace.train(seed=0)["version"]
    shop.wait(minutes=1)
    shop.workspace.release(version, by="ann")
    for number in (1, 2):
        shop.run(number)
    return shop
