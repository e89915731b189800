"""A small pipeline that only exists as events: each content hash follows from code and inputs, as in a real one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from headwater.core.assets import Asset, Mechanism, Read
from headwater.core.canonical import digest
from headwater.core.ports import Entry, TableVersion
from headwater.core.windows import Calendar
from headwater.observe import events
from headwater.observe.lineage import Graph
from headwater.testing.memory_ledger import MemoryLedger

CALENDAR = Calendar("1d", "UTC")
ASSETS = {
    asset.name: asset
    for asset in (
        Asset("raw_weather", "raw", recomputable=False),
        Asset("raw_flights", "raw", recomputable=False),
        Asset("weather", "staged", (Read("raw_weather"),)),
        Asset("flights", "staged", (Read("raw_flights"),)),
        Asset("features", "feature", (Read("flights"), Read("weather", 1)), side="ml"),
        Asset("labels", "label", (Read("flights"),), lag=1, side="ml"),
        Asset("delay_served", "served", (Read("features"),), side="ml"),
        Asset("delay_predictions", "prediction", (Read("delay_served"),), side="ml"),
    )
}


class Pipeline:
    """Deliver, train and score in name only, and record the events."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.codes = dict.fromkeys(ASSETS, "code-1")
        self.feeds: dict[tuple[str, str], str] = {}
        self.contents: dict[str, dict[str, str]] = {name: {} for name in ASSETS}
        self.versions = dict.fromkeys(ASSETS, 0)
        self.model: str | None = None
        self.time = datetime(2013, 6, 30, 20, tzinfo=UTC)

    @property
    def graph(self) -> Graph:
        return Graph.of(self.ledger.read())

    def record(self, event: dict[str, Any]) -> None:
        self.time += timedelta(minutes=1)
        self.ledger.append([Entry("event", event["job"]["name"], event, self.time)])

    def read(self, name: str, keys: list[str]) -> TableVersion:
        held = {key: self.contents[name][key] for key in keys if key in self.contents[name]}
        return TableVersion(name, self.versions[name], held, dict.fromkeys(held, 10))

    def inputs(self, name: str, first: str, last: str) -> list[Any]:
        found: list[Any] = []
        for read in ASSETS[name].reads:
            start = CALENDAR.shift(CALENDAR.window(first), -read.lookback).key
            found.append(self.read(read.parent, [window.key for window in CALENDAR.between(start, last)]))
        return found

    def deliver(self, name: str, first: str, last: str | None = None, **changes: Any) -> dict[str, Any]:
        last = last or first
        inputs = self.inputs(name, first, last)
        mechanism = Mechanism(self.codes[name])
        if name == "delay_predictions" and self.model:
            inputs.append(events.model_dataset("nyc", "delay", self.model))
            mechanism = Mechanism(self.codes[name], {"model": f"part-{self.model}"})
        for window in CALENDAR.between(first, last):
            seen = [self.inputs(name, window.key, window.key), self.feeds.get((name, window.key))]
            made = [[item.contents for item in seen[0]], seen[1]]
            self.contents[name][window.key] = digest([name, window.key, mechanism.id, made])
        self.versions[name] += 1
        output = self.read(name, [window.key for window in CALENDAR.between(first, last)])
        given: dict[str, Any] = {"time": self.time, "mechanism": mechanism, "output": output, "inputs": inputs}
        event = events.delivery_event(
            "nyc", ASSETS[name], CALENDAR.span(first, last), owner=f"{name}-team", **{**given, **changes}
        )
        self.record(event)
        return event

    def run_day(self, key: str) -> None:
        for name, asset in ASSETS.items():
            if name.startswith("delay") and self.model is None:
                continue
            own = CALENDAR.shift(CALENDAR.window(key), -asset.lag).key
            self.deliver(name, own)

    def train(self, version: str, first: str, last: str, **changes: Any) -> dict[str, Any]:
        keys = [window.key for window in CALENDAR.between(first, last)]
        given: dict[str, Any] = {
            "time": self.time,
            "inputs": [self.read("features", keys), self.read("labels", keys)],
            "mechanism": Mechanism("trainer-1", {"model": f"part-{version}"}),
            "params": {"leaves": 31, "rate": 0.1},
            "metrics": {"log_loss": 0.4123456789},
            "seed": 7,
            "environment": {"python": "3.11.7"},
            "owner": "ml-team",
        }
        event = events.training_event("nyc", "delay", version, CALENDAR.span(first, last), **{**given, **changes})
        self.record(event)
        self.model = version
        return event


def lived() -> Pipeline:
    """Four days of history delivered as one range, a model trained on them, and three days lived one by one."""
    pipeline = Pipeline()
    for name in ("raw_weather", "raw_flights", "weather", "flights", "features", "labels"):
        pipeline.deliver(name, "2013-06-27", "2013-06-30")
    pipeline.train("1", "2013-06-28", "2013-06-30")
    for key in ("2013-07-01", "2013-07-02", "2013-07-03"):
        pipeline.time = datetime.fromisoformat(f"{key}T06:00:00+00:00")
        pipeline.run_day(key)
    return pipeline
