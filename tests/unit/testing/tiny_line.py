"""A project run in memory, by the rules of delivery and nothing else: order, lag, lookback, snapshots, cutting."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import polars as pl

from headwater.core.project import Project, arguments
from headwater.core.windows import Window


def load(path: Path) -> Project:
    """Import a pipeline file under a name of its own and return its project."""
    name = f"pipeline_{abs(hash((str(path), path.read_text())))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(
        compile(path.read_text(), str(path), "exec"), module.__dict__
    )  # no bytecode cache: the file is edited in tests
    found = module.project
    assert isinstance(found, Project)
    return found


class TinyLine:
    """Runs windows of a project and keeps every asset's frames by window key."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.tables: dict[str, dict[str, pl.DataFrame]] = {name: {} for name in project.assets}
        self.parts: dict[str, dict[str, Any]] = {}

    def run(self, first: str, last: str | None = None) -> None:
        calendar = self.project.calendar
        last = last or first
        for asset in self.project.ordered():
            start = calendar.shift(calendar.window(first), -asset.lag).key
            end = calendar.shift(calendar.window(last), -asset.lag).key
            if first != last and not self.tables[asset.name]:
                start = first
            if asset.snapshot:
                start = end = first if first != last else end
            if asset.layer in ("served", "prediction") and (first != last or not self.parts):
                continue
            if start <= end:
                self.tables[asset.name] |= self.compute(asset.name, calendar.span(start, end))

    def compute(self, name: str, window: Window) -> dict[str, pl.DataFrame]:
        """Run one asset's function and cut what it returns into windows."""
        project, asset = self.project, self.project.assets[name]
        calendar = project.calendar
        first, _, last = window.key.partition("..")
        last = last or first
        frames = {}
        for read in asset.reads:
            table, parent = self.tables[read.parent], project.assets[read.parent]
            if parent.snapshot:
                keys = [key for key in sorted(table) if key <= last][-1:]
            else:
                back = calendar.shift(calendar.window(first), -read.lookback).key
                keys = [key for key in sorted(table) if back <= key <= last]
            assert keys, f"{name} finds no rows of {read.parent} for {window.key}"
            frames[read.parent] = pl.concat([table[key] for key in keys])
        model = next((item for item in project.models.values() if item.predictions == name), None)
        if model is not None:
            served = frames[model.served]
            made = project.functions[name](self.parts[model.name], served)
            return {first: served.select(model.entity, *model.columns, *model.carry).hstack(made)}
        frame = project.functions[name](*arguments(project.functions[name], frames, asset.parents, window))
        if first == last or asset.snapshot:
            return {first: frame}
        assert asset.time is not None, name
        local = frame[asset.time].dt.convert_time_zone(calendar.timezone if calendar.every == "1d" else "UTC")
        keyed = frame.with_columns(
            local.dt.strftime("%Y-%m-%d" if calendar.every == "1d" else "%Y-%m-%dT%H").alias("_w")
        )
        parts = keyed.partition_by("_w", as_dict=True, include_key=False, maintain_order=True)
        found = {str(key[0]): part for key, part in parts.items()}
        assert not set(found) - {item.key for item in calendar.between(first, last)}, name
        return {item.key: found.get(item.key, frame.clear()) for item in calendar.between(first, last)}

    def frame(self, name: str, first: str, last: str | None = None) -> pl.DataFrame:
        """Return the stored rows of an asset over windows."""
        return pl.concat([part for key, part in sorted(self.tables[name].items()) if first <= key <= (last or first)])

    def training(self, model: str, first: str, last: str) -> pl.DataFrame:
        """Return features joined with labels."""
        made = self.project.models[model]
        labels = self.frame(made.labels, first, last)
        return self.frame(made.features, first, last).join(labels, on=made.entity, how="inner", suffix="_label")

    def train(self, model: str, first: str, last: str, seed: int = 0) -> dict[str, Any]:
        self.parts[model] = self.project.models[model].train(self.training(model, first, last), seed)
        return self.parts[model]
