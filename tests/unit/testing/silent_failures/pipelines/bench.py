"""A pipeline delivered window by window by the product's own rules, with nobody watching; and the doors to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from headwater.core.assets import Mechanism
from headwater.core.project import Project, arguments
from headwater.core.windows import Window
from headwater.dataops.delivery import deliver, own_window
from headwater.mlops.serving import predict
from headwater.stats.frames.tables import compare
from headwater.testing.memory_tables import MemoryTables
from headwater.testing.silent_failures.doors import Truth, World, opened
from headwater.testing.silent_failures.entry import Decoy, Draw, Entry, Fault, Hook, Shape


@dataclass
class Bench:
    """A pipeline before its next window: its tables, its code, what its server has loaded, what the world sends."""

    project: Project
    world: World
    trained: tuple[str, str]
    tables: MemoryTables = field(default_factory=MemoryTables)
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Entry, history: tuple[str, str]) -> Bench:
        """Deliver a history, train every model on it and load it."""
        project, truth = opened(entry.build())
        bench = cls(project, World(truth), history)
        bench.run(*history)
        assert not bench.failed, bench.failed
        for name in project.models:
            bench.loaded[name] = project.models[name].train(bench.labelled(name), 3)
        return bench

    def fork(self) -> Bench:
        """Go on in a copy."""
        project = Project(self.project.name, self.project.every, self.project.timezone, self.project.holidays)
        project.assets, project.models = self.project.assets, dict(self.project.models)
        project.functions = dict(self.project.functions)
        copy = Bench(project, World(self.world.truth), self.trained)
        copy.tables._versions = {name: list(versions) for name, versions in self.tables._versions.items()}
        copy.loaded = {name: dict(parts) for name, parts in self.loaded.items()}
        return copy

    def run(self, first: str, last: str | None = None) -> None:
        """Deliver every asset once, in order."""
        calendar, last = self.project.calendar, last or first
        with self.world.outside():
            for asset in self.project.ordered():
                model = next((m for m in self.project.models.values() if asset.name in (m.served, m.predictions)), None)
                window = own_window(calendar, asset, first, last, self.tables.keys(asset.name))
                if window is None or (model is not None and model.name not in self.loaded):
                    continue
                made = deliver(
                    asset, Mechanism("none"), self.compute(asset.name), assets=self.project.assets, window=window,
                    calendar=calendar, tables=self.tables, check=lambda *_: (), run_id="none",
                )  # fmt: skip
                if made.state != "COMPLETE":
                    self.failed[(asset.name, window.key)] = f"{made.state}: {made.error}"

    def compute(self, name: str) -> Callable[..., Any]:
        """Return how an asset is made."""
        function, asset = self.project.functions[name], self.project.assets[name]
        for model in self.project.models.values():
            if model.predictions == name:
                return lambda frames, _: predict(
                    function, self.loaded[model.name], frames[model.served], model.columns, model.entity, model.carry,
                    task=model.task,
                )  # fmt: skip
        return lambda frames, window: function(*arguments(function, frames, asset.parents, window))

    def labelled(self, name: str) -> pl.DataFrame:
        """Return a model's features joined with its labels."""
        model = self.project.models[name]
        features, labels = (self.tables.read(item, self.tables.keys(item)) for item in (model.features, model.labels))
        assert features is not None and labels is not None
        extra = [column for column in labels.columns if column == model.entity or column not in features.columns]
        return features.join(labels.select(extra), on=model.entity, how="inner", maintain_order="left")

    # --- the doors ----------------------------------------------------------------------------------------------------
    def feed(self, source: str, hook: Hook) -> None:
        self.world.hooks.setdefault(source, []).append(hook)

    def code(self, asset: str, function: Callable[..., Any]) -> None:
        self.project.replace(asset, function)

    def function(self, asset: str) -> Callable[..., Any]:
        return self.project.models[asset].train if asset in self.project.models else self.project.functions[asset]

    def rows(self, source: str, window: Window) -> pl.DataFrame | None:
        return self.world.truth.rows(source, window)

    def lag(self, asset: str) -> int:
        return self.project.assets[asset].lag

    def train(self, seed: int, train: Callable[..., Any] | None = None) -> str:
        model = next(iter(self.project.models.values()))
        self.versions.append((train or model.train)(self.labelled(model.name), seed))
        return str(len(self.versions))

    def release(self, version: str) -> bool:
        self.deploy(version)
        return True

    def deploy(self, version: str | None = None, parts: dict[str, Any] | None = None) -> None:
        name = next(iter(self.loaded))
        if version is not None:
            self.loaded[name] = dict(self.versions[int(version) - 1])
        self.loaded[name] |= parts or {}

    def parts(self) -> dict[str, Any]:
        return dict(self.loaded[next(iter(self.loaded))])


@dataclass(frozen=True)
class Effect:
    """What came out otherwise than without the fault."""

    changed: dict[str, float]
    displaced: float
    failed: dict[tuple[str, str], str]


def played(
    clean: Bench, eve: Bench, change: Fault | Decoy, onset: str, windows: int = 3, severity: float = 1.0,
    shape: Shape = "abrupt", seed: int = 5,
) -> Effect:  # fmt: skip
    """Plant something on the eve of a window, run some windows, and compare with the clean run of the same."""
    bench = eve.fork()
    calendar = bench.project.calendar
    change.plant(bench, Draw(seed, severity, shape, onset, calendar))
    for place in range(windows):
        bench.run(calendar.shift(calendar.window(onset), place).key)
    found: dict[str, float] = {}
    for name, asset in bench.project.assets.items():
        for key in [key for key in clean.tables.keys(name) if key not in set(eve.tables.keys(name))]:
            ours, theirs = bench.tables.read(name, [key]), clean.tables.read(name, [key])
            assert theirs is not None
            same = ours is not None and ours.schema == theirs.schema
            share = compare(ours, theirs, asset.key).share if same and ours is not None else 1.0
            found[name] = max(found.get(name, 0.0), share)
    return Effect(
        {name: share for name, share in found.items() if share > 0}, displaced(bench, clean, onset), bench.failed
    )


def displaced(bench: Bench, clean: Bench, onset: str) -> float:
    """Return the mean absolute difference of what was predicted, as a share of its spread for a regression."""
    gaps = []
    for model in bench.project.models.values():
        for key in [key for key in clean.tables.keys(model.predictions) if key >= onset]:
            ours, theirs = (one.tables.read(model.predictions, [key]) for one in (bench, clean))
            assert theirs is not None
            if ours is None:
                gaps.append(1.0)
                continue
            kept = theirs.select(model.entity, true=model.predicted)
            paired = ours.unique(model.entity).join(kept, on=model.entity)
            spread = 1.0 if model.task == "binary" else float(theirs[model.predicted].std() or 1.0)  # type: ignore[arg-type]
            moved = (paired[model.predicted] - paired["true"]).abs().mean()
            gaps.append(float(moved) / spread if moved is not None else 0.0)  # type: ignore[arg-type]
    return float(np.mean(gaps))


def below(project: Project, names: set[str]) -> set[str]:
    """Return assets and everything that is made of them."""
    reached = set(names)
    for asset in project.ordered():
        if reached & set(asset.parents):
            reached.add(asset.name)
    return reached


def fresh(entry: Entry) -> Truth:
    """Return the true rows of a pipeline, computed anew."""
    return opened(entry.build())[1]
