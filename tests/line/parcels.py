"""A parcel service: how many hours will a parcel take? Days as windows, a linear model, plain functions in memory."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headwater.app.wiring import embedded
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window
from headwater.testing.memory_tracking import MemoryTracking

CALENDAR = Calendar()
HISTORY = "2024-03-01", "2024-04-14"
FIRST = "2024-04-15"
COLUMNS = ("distance_km", "weight_kg", "express", "load")
SERVICES = {"standard": 0.0, "express": 1.0}


def days(window: Window) -> list[str]:
    first, _, last = window.key.partition("..")
    return [day.key for day in CALENDAR.between(first, last or first)]


def happened(day: str) -> pl.DataFrame:
    """Everything about the parcels of a day, also how long they will take."""
    random = np.random.default_rng(zlib.crc32(day.encode()))
    count = 90 + int(random.integers(0, 12))
    distance, weight = random.gamma(3.0, 90.0, count).round(1), random.lognormal(0.8, 0.6, count).round(2)
    express = random.random(count) < 0.3
    depot = random.integers(0, 5, count)
    mood = random.normal(0, 0.6)
    hours = 14 + 0.04 * distance + 0.8 * weight - 9 * express + 1.5 * depot + mood + random.normal(0, 3.0, count)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return pl.DataFrame(
        {
            "parcel": [f"{day}-{number:03d}" for number in range(count)],
            "sent": [start + timedelta(minutes=int(minute)) for minute in np.sort(random.integers(0, 1440, count))],
            "distance": distance,
            "weight": weight,
            "service": np.where(express, "express", "standard"),
            "depot": [f"D{number}" for number in depot],
            "hours": np.maximum(hours, 0.5).round(2),
        },
        schema_overrides={"sent": pl.Datetime("us", "UTC")},
    )


def raw_parcels(window: Window) -> pl.DataFrame:
    return pl.concat([happened(day).drop("hours") for day in days(window)])


def raw_deliveries(window: Window) -> pl.DataFrame:
    return pl.concat([happened(day).select("parcel", "sent", "hours") for day in days(window)])


def raw_depots(window: Window) -> pl.DataFrame:
    return pl.DataFrame({"depot": [f"D{number}" for number in range(5)], "load": [float(n) for n in range(5)]})


def parcels(raw_parcels: pl.DataFrame) -> pl.DataFrame:
    return raw_parcels.rename({"distance": "distance_km", "weight": "weight_kg"})


def parcel_features(parcels: pl.DataFrame, raw_depots: pl.DataFrame) -> pl.DataFrame:
    express = pl.col("service").replace_strict(SERVICES, default=None, return_dtype=pl.Float64)
    joined = parcels.join(raw_depots, on="depot", how="left", maintain_order="left").with_columns(express=express)
    return joined.select("parcel", "sent", "service", "depot", *COLUMNS)


def delivered(raw_deliveries: pl.DataFrame) -> pl.DataFrame:
    return raw_deliveries.select("parcel", "sent", "hours")


def matrix(frame: pl.DataFrame) -> np.ndarray:
    values = frame.select(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in COLUMNS).to_numpy()
    return np.column_stack([np.ones(frame.height), values])


def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    pick = np.random.default_rng(seed).random(frame.height) < 0.9
    x, y = matrix(frame)[pick], frame["hours"].to_numpy()[pick]
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    half = float(np.quantile(np.abs(y - x @ weights), 0.9))
    return {"weights": weights.tolist(), "half": half}


def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    told = matrix(served) @ np.array(parts["weights"])
    took = np.random.default_rng().lognormal(1.5, 0.2, served.height)  # as measured: never the same again
    return pl.DataFrame({"prediction": told, "low": told - parts["half"], "high": told + parts["half"], "ms": took})


def waiting(rows: pl.DataFrame) -> pl.Series:
    """Hours that somebody waited in vain for a parcel."""
    return (rows["hours"] - rows["prediction"]).clip(lower_bound=0)


def build(**changes: Any) -> Project:
    project = Project("post")
    project.source(raw_parcels, key=["parcel"], time="sent")
    project.source(raw_deliveries, key=["parcel"], time="sent", lag=1)
    project.source(raw_depots, key=["depot"], snapshot=True)
    project.dataset(parcels, layer="staged", key=["parcel"], time="sent")
    project.features(parcel_features, key=["parcel"], time="sent")
    project.labels(delivered, key=["parcel"], time="sent", lag=1)
    options = {"train": train, "score": score, "cost": waiting, "unit": "hours", "task": "regression"}
    options |= {"groups": ("service",), "latency": "ms"} | changes
    project.model(
        "hours",
        features="parcel_features",
        labels="delivered",
        entity="parcel",
        outcome="hours",
        columns=COLUMNS,
        carry=("sent", "service", "depot"),
        **options,
    )
    return project


class Post:
    """A workspace of the service that stands before its next day."""

    def __init__(self, folder: Path) -> None:
        self.project = build()
        self.day = CALENDAR.window(FIRST)
        self.clock = SimulatedClock(self.day.start)
        tracking = MemoryTracking()
        services = replace(embedded(folder, self.clock), tracking=lambda: tracking)
        self.workspace = Workspace.of(self.project, folder, self.clock, services)
        self.workspace.run_range(*HISTORY)
        self.trained = self.workspace.train(seed=1)
        self.released = self.workspace.release(self.trained["version"], by="ann")
        self.quiet = [self.run() for _ in range(2)]

    def run(self) -> dict[str, Any]:
        """Live through one day; its run begins an hour after it ended."""
        self.clock.move_to(self.day.end + timedelta(hours=1))
        report = self.workspace.run(self.day.key)
        self.day = CALENDAR.shift(self.day, 1)
        return report
