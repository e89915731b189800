"""Deliver windows again, and everything that was made from them: what a backfill reaches, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.app.line import Line
from headwater.app.running import one
from headwater.core.assets import Asset, Read
from headwater.core.errors import DataError
from headwater.core.ports import Entry
from headwater.observe import events

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Backfill:
    """What a backfill rewrites: windows per dataset in delivery order, and the models that read them."""

    windows: Mapping[str, tuple[str, ...]]
    models: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {"datasets": {name: list(keys) for name, keys in self.windows.items()}, "models": list(self.models)}


def plan_backfill(line: Line, changed: Mapping[str, Iterable[str]]) -> Backfill:
    """Follow changed windows downstream: a child's window is affected when it reads an affected window.

    The prediction log and the features that were served are history: what was decided stays on record, so a backfill
    never reaches them.
    """
    affected: dict[str, set[str]] = {name: set(keys) for name, keys in changed.items()}
    logs = {item for model in line.project.models.values() for item in (model.served, model.predictions)}
    for asset in line.project.ordered():
        if asset.name in logs or not asset.reads:
            continue
        due = due_windows(line, asset.name)
        for read in asset.reads:
            hit = affected.get(read.parent, set())
            if hit:
                found = {key for key in due if _reads(line, asset, read, key, hit)}
                affected.setdefault(asset.name, set()).update(found)
    order = [asset.name for asset in line.project.ordered()]
    windows = {name: tuple(sorted(affected[name])) for name in order if affected.get(name)}
    models = tuple(
        line.project.ref(model.name, "model")
        for model in line.project.models.values()
        if {model.features, model.labels} & set(windows)
    )
    return Backfill(windows, models)


def due_windows(line: Line, name: str) -> set[str]:
    """Windows of an asset that are there or were lost, or were to be delivered and failed or were held up."""
    tried = line.state.evidence[("arrival", line.ref(name))].items()
    undelivered = {key for key, item in tried if item.values["state"] != "COMPLETE"}
    return {*line.services.tables.keys(name), *line.delivered(name), *(undelivered if line.assets[name].reads else ())}


def _reads(line: Line, asset: Asset, read: Read, key: str, hit: set[str]) -> bool:
    """Tell whether a window of an asset reads any of these windows of a parent, as far as that had come by then."""
    parent = line.assets[read.parent]
    newest = line.calendar.shift(line.calendar.window(key), -max(0, parent.lag - asset.lag)).key
    if parent.snapshot:
        there = [item for item in line.services.tables.keys(parent.name) if item <= key]
        return not hit.isdisjoint([item for item in there if item <= newest][-1:] or there[:1])
    first = line.calendar.shift(line.calendar.window(key), -read.lookback).key
    return any(first <= item <= newest for item in hit)


def backfill(
    line: Line, plan: Backfill, given: Mapping[tuple[str, str], pl.DataFrame] | None = None,
    progress: Progress = lambda _: None,
) -> list[tuple[str, str]]:  # fmt: skip
    """Deliver the plan's windows again, oldest first per dataset; return what was rewritten.

    Args:
        line: The project.
        plan: What to rewrite.
        given: Frames to write instead of asking the source, by (asset, window).
        progress: Told each dataset.

    Raises:
        DataError: A delivery failed; what was rewritten before it stays, and running the backfill again goes on.
    """
    given = given or {}
    done: list[tuple[str, str]] = []
    for name, keys in plan.windows.items():
        asset = line.assets[name]
        progress(name)
        for key in keys:
            if (name, key) in given:
                _rewrite(line, name, key, given[(name, key)])
            else:
                mechanism = line.mechanism(name)
                if mechanism is None:
                    continue
                delivery = one(line, asset, mechanism, line.calendar.window(key), f"backfill {key}", conflict=False)
                if delivery.state == "SKIP" and line.services.tables.content(name, key) is None:
                    continue  # it was never there, and something else that it reads still is not
                if delivery.state != "COMPLETE":
                    raise DataError(
                        f"the backfill of `{name}` stopped at window {key}",
                        doing=str(delivery.error.message) if delivery.error else None,
                        hint="mend the cause and run it again; it goes on where it stopped",
                    )
            done.append((name, key))
    return done


def _rewrite(line: Line, name: str, key: str, frame: pl.DataFrame) -> None:
    asset, time = line.assets[name], line.services.clock.now()
    made = line.writer(name, key)
    version = line.services.tables.write(name, {key: frame}, run_id=f"repair {name} {key}")
    mechanism = line.mechanism(name) if made is None or made.mechanism is None else made.mechanism
    assert mechanism is not None
    event = events.delivery_event(
        line.project.name,
        asset,
        line.calendar.window(key),
        time=time,
        mechanism=mechanism,
        output=version,
        owner=line.owner(name),
        side=line.side(name),
    )
    line.record([Entry("event", line.ref(name), event, time)])
