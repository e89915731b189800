"""Measure what a verdict takes: by rows in a window, and by assets in the lineage.

    make bench-triage                                  rows, then assets
    make bench-triage BENCH="rows --rows 1000000"      so many rows in each of the windows
    make bench-triage BENCH="assets --assets 500"      a generated lineage of so many assets

Everything lives in memory; times are wall seconds of one process. *Judged* is one full
judgement of the incident: its case put together, every test and replay, the posterior, the remedy's gain.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headwater.app.forking import in_memory
from headwater.app.judging import assess
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.pipelines.wide import wide

CALENDAR = Calendar()
HISTORY = "2024-03-01", "2024-03-04"
LIVE = 16
FAULTY = 3
COLUMNS = ("amount", "age", "size")


def shop(rows: int) -> Project:
    """Orders joined with shops: six tables of ``rows`` rows a day, one model, labels a day later."""

    def raw_orders(window: Window) -> pl.DataFrame:
        days = [day.key for day in CALENDAR.between(*_ends(window))]
        return pl.concat([_orders(day, rows) for day in days])

    def raw_returns(window: Window) -> pl.DataFrame:
        return raw_orders(window).select("order", "at", returned=(pl.col("luck") < _chance()).cast(pl.Int64))

    def raw_shops(window: Window) -> pl.DataFrame:
        return pl.DataFrame({"shop": range(1000), "size": np.random.default_rng(5).gamma(2.0, 1.0, 1000)})

    def orders(raw_orders: pl.DataFrame) -> pl.DataFrame:
        return raw_orders.drop("luck").with_columns(pl.col("amount").clip(0, 1e6))

    def order_shops(orders: pl.DataFrame, raw_shops: pl.DataFrame) -> pl.DataFrame:
        return orders.join(raw_shops, on="shop", how="left")

    def order_features(order_shops: pl.DataFrame) -> pl.DataFrame:
        return order_shops.select("order", "at", *COLUMNS)

    def order_labels(raw_returns: pl.DataFrame) -> pl.DataFrame:
        return raw_returns

    project = Project("shop")
    project.source(raw_orders, key=["order"], time="at")
    project.source(raw_returns, key=["order"], time="at", lag=1)
    project.source(raw_shops, key=["shop"], snapshot=True)
    project.dataset(orders, layer="staged", key=["order"], time="at")
    project.dataset(order_shops, key=["order"], time="at")
    project.features(order_features, key=["order"], time="at")
    project.labels(order_labels, key=["order"], time="at", lag=1)
    project.model(
        "returns", features="order_features", labels="order_labels", entity="order", outcome="returned",
        columns=COLUMNS, train=_train, score=_score, cost=_paid, unit="euro", carry=("at",),
    )  # fmt: skip
    return project


def _ends(window: Window) -> tuple[str, str]:
    first, _, last = window.key.partition("..")
    return first, last or first


def _orders(day: str, rows: int) -> pl.DataFrame:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    random = np.random.default_rng([7, start.toordinal()])
    number = np.int64(start.toordinal()) * 100_000_000 + np.arange(rows)
    seconds = np.sort(random.integers(0, 86_400, rows))
    return pl.DataFrame({"order": number, "shop": random.integers(0, 1000, rows), "luck": random.random(rows),
                         "amount": random.gamma(2.0, 30.0, rows), "age": random.integers(18, 80, rows)}).with_columns(
        at=pl.lit(start) + pl.duration(seconds=pl.Series(seconds)))  # fmt: skip


def _chance() -> pl.Expr:
    lean = -2.0 + 0.01 * pl.col("amount") + 0.02 * (pl.col("age") - 45)
    return 1 / (1 + (-lean).exp())


def _matrix(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(pl.col("amount") / 50, pl.col("age") / 50, "size").cast(pl.Float64).to_numpy()


def _train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    sample = frame.sample(min(frame.height, 50_000), seed=seed)
    return {"model": LogisticRegression().fit(_matrix(sample), sample["returned"].to_numpy())}


def _score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    p = parts["model"].predict_proba(_matrix(served))[:, 1]
    return pl.DataFrame({"p": p, "decision": (p > 0.3).astype(np.int64)})


def _paid(rows: pl.DataFrame) -> pl.Series:
    return rows["amount"] * rows["returned"] * (1 - rows["decision"])


def by_rows(rows: int) -> str:
    """Live through days of so many rows, change a transformation for the last of them, and time the judgement."""

    def broken(raw_orders: pl.DataFrame) -> pl.DataFrame:
        return raw_orders.drop("luck").with_columns(pl.col("amount").clip(0, 40))

    project = shop(rows)
    with tempfile.TemporaryDirectory() as folder:
        workspace = in_memory(project, Path(folder), CALENDAR.window(HISTORY[0]).start)
        clock = workspace.line.services.clock
        clock.move_to(CALENDAR.window(HISTORY[1]).end + timedelta(hours=1))
        workspace.run_range(*HISTORY)
        workspace.release(workspace.train(seed=1)["version"], by="ann")
        day, spent = CALENDAR.shift(CALENDAR.window(HISTORY[1]), 1), []
        for place in range(LIVE + FAULTY):
            if place == LIVE:
                project.replace("orders", broken)
            clock.move_to(day.end + timedelta(hours=1))
            spent.append(timed(lambda: workspace.run(day.key))[1])  # noqa: B023
            day = CALENDAR.shift(day, 1)
        line = workspace.line
        incident = line.state.incidents.active()[0]
        verdict, judged = timed(lambda: assess(line, incident, CALENDAR.shift(day, -1).key))
    said = f"{verdict.subject} ({verdict.fault}, {verdict.confidence:.0%})"
    return (
        f"| {rows:,} | {rows * (LIVE + FAULTY):,} | {judged:.1f} | {np.median(spent[LIVE // 2 : LIVE]):.1f} | "
        f"{spent[LIVE]:.1f} | {peak():.1f} | {said} |"
    )


def by_assets(assets: int) -> str:
    """Live through days of a generated lineage, plant one fault, and time the judgement."""
    from headwater.testing.silent_failures.doors import TeamDoors, World, opened
    from headwater.testing.silent_failures.entry import Draw
    from headwater.testing.silent_failures.playing import SEED, fault_of

    entry = wide(assets)
    project, truth = opened(entry.build())
    calendar, quiet = project.calendar, 15
    with tempfile.TemporaryDirectory() as folder:
        workspace = in_memory(project, Path(folder), calendar.window(entry.history[0]).start)
        line, world = workspace.line, World(truth)
        with world.outside():
            line.services.clock.move_to(calendar.window(entry.history[1]).end)
            workspace.run_range(*entry.history)
            workspace.release(workspace.train(seed=SEED)["version"], by="ann")
            window = calendar.window(entry.live[0])
            fault = next(item for item in entry.faults if item.kind == "filter_bug")
            doors = TeamDoors(workspace, world, entry.history)
            for place in range(quiet + FAULTY):
                if place == quiet:
                    fault_of(entry, fault.name).plant(doors, Draw(1, 1.0, "abrupt", window.key, calendar))
                line.services.clock.move_to(window.end)
                _, spent = timed(lambda: workspace.run(window.key))  # noqa: B023
                window = calendar.shift(window, 1)
            incident = line.state.incidents.active()[0]
            verdict, judged = timed(lambda: assess(line, incident, calendar.shift(window, -1).key))
    right = "right" if verdict.subject == fault.asset else f"wrong, it was {fault.asset}"
    return f"| {len(project.assets)} | {judged:.2f} | {spent:.1f} | {peak():.1f} | {verdict.subject} ({right}) |"


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    """Return what an act gives and its wall seconds."""
    began = time.perf_counter()
    return act(), time.perf_counter() - began


def peak() -> float:
    """Return the most memory this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("rows", "assets", "all"), default="all")
    parser.add_argument("--rows", type=lambda text: [int(item) for item in text.split(",")], default=[10_000, 600_000])
    parser.add_argument("--assets", type=lambda text: [int(item) for item in text.split(",")], default=[100, 500])
    arguments = parser.parse_args()
    if arguments.what in ("rows", "all"):
        print("| rows a day | scored in all | judged, s | a quiet day, s | the day it broke, s | peak, GB | said |")
        print("|---|---|---|---|---|---|---|")
        for rows in arguments.rows:
            print(by_rows(rows), flush=True)
    if arguments.what in ("assets", "all"):
        print("\n| assets | judged, s | a day, s | peak, GB | said |")
        print("|---|---|---|---|---|")
        for assets in arguments.assets:
            print(by_assets(assets), flush=True)


if __name__ == "__main__":
    main()
