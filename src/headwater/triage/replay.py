"""Recompute any part of the pipeline with some assets repaired or broken, on the data it really saw.

Most mechanisms of a pipeline are code on versioned data, so "did the child given its parents change?" is answered by
running the code, not by statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from headwater.core.assets import Asset, Mechanism
from headwater.core.errors import DataError, HeadwaterError, OutsideError
from headwater.core.ports import Mechanisms, TableStore
from headwater.core.windows import Calendar
from headwater.stats.frames.sampling import one_in, thinned
from headwater.stats.frames.stacking import stack


@dataclass(frozen=True)
class Plan:
    """What to change in a replay.

    Attributes:
        mechanisms: Mechanism to use for an asset wherever another one made the stored table.
        frames: Tables to put in place of stored ones, by (asset, window key).
        frozen: Assets whose stored tables stay as they are even when a parent changes.
    """

    mechanisms: Mapping[str, Mechanism] = field(default_factory=dict)
    frames: Mapping[tuple[str, str], pl.DataFrame] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()

    @property
    def touched(self) -> set[str]:
        """The assets that the plan itself changes."""
        return {*self.mechanisms, *(asset for asset, _ in self.frames)}


Made = Callable[[str, str], Mechanism | None]
"""``made(asset, key)``: the mechanism that made a stored window; None when unknown (a foreign job)."""


class Replay:
    """Replays over one project's stored tables; values are cached by asset, window and what the plan changes.

    Args:
        assets: The project's assets by name.
        tables: Where observed tables are read.
        calendar: The project's windows.
        mechanisms: Resolves a mechanism to its callable.
        made: Tells which mechanism made a stored window.
    """

    def __init__(
        self,
        assets: Mapping[str, Asset],
        tables: TableStore,
        calendar: Calendar,
        mechanisms: Mechanisms,
        made: Made,
    ) -> None:
        self.assets = assets
        self.calendar = calendar
        self._tables = tables
        self._mechanisms = mechanisms
        self._made = made
        self._observed: dict[tuple[str, str], pl.DataFrame | None] = {}
        self._weights: dict[tuple[str, str], float] = {}
        self._keys: dict[str, list[str]] = {}
        self._descendants: dict[str, set[str]] = {}

    def barred(self) -> Replay:
        """Return the same tables with no asset that may be run again."""
        assets = {name: replace(asset, recomputable=False) for name, asset in self.assets.items()}
        return Replay(assets, self._tables, self.calendar, self._mechanisms, self._made)

    def observed(self, asset: str, key: str) -> pl.DataFrame | None:
        """Return the stored table of one window; None when it was never delivered.

        Rows are scored one by one, so large prediction logs are seen, and replayed, by a sample of their keys.
        """
        place = (asset, key)
        if place not in self._observed:
            frame = self._tables.read(asset, [key])
            if frame is not None and self.assets[asset].layer == "prediction":
                every = one_in(frame.height)
                taken = thinned(frame, self.assets[asset].key, every)
                self._weights[place] = frame.height / max(1, taken.height)
                frame = taken
            self._observed[place] = frame
        return self._observed[place]

    def weight(self, asset: str, key: str) -> float:
        """Return how many stored rows a row of `observed` stands for."""
        return self._weights.get((asset, key), 1.0)

    def made(self, asset: str, key: str) -> Mechanism | None:
        """Return the mechanism that made a stored window."""
        return self._made(asset, key)

    def rerun(self, asset: str, key: str, mechanism: Mechanism, every: int = 1) -> pl.DataFrame:
        """Run a mechanism on the parents as observed.

        Args:
            asset: What to compute.
            key: Its window.
            mechanism: With which code and parts.
            every: Give parents that have the asset's key only every so manyth key (`headwater.stats.frames.sampling`).
        """
        return self._compute(asset, key, mechanism, Plan(), {}, every)

    def value(
        self, asset: str, key: str, plan: Plan, cache: dict[tuple[str, str], pl.DataFrame | None] | None = None
    ) -> pl.DataFrame | None:
        """Return what a window would have held under the plan; the stored table where the plan changes nothing."""
        cache = {} if cache is None else cache
        place = (asset, key)
        if place in plan.frames:
            return plan.frames[place]
        if place not in cache:
            cache[place] = self._value(asset, key, plan, cache)
        return cache[place]

    def descendants(self, asset: str) -> set[str]:
        """Return every asset that depends on this one."""
        if asset not in self._descendants:
            found: set[str] = set()
            todo = [asset]
            while todo:
                current = todo.pop()
                children = [item.name for item in self.assets.values() if current in item.parents]
                todo.extend(child for child in children if child not in found)
                found.update(children)
            self._descendants[asset] = found
        return self._descendants[asset]

    def ancestors(self, asset: str) -> set[str]:
        """Return every asset that this one depends on."""
        return {name for name in self.assets if asset in self.descendants(name)}

    def keys_read(self, asset: Asset, read_parent: str, key: str) -> list[str]:
        """Return the windows of a parent that an asset's window reads."""
        read = next(item for item in asset.reads if item.parent == read_parent)
        parent = self.assets[read.parent]
        if parent.snapshot:
            if parent.name not in self._keys:
                self._keys[parent.name] = self._tables.keys(parent.name)
            late = max(0, parent.lag - asset.lag)
            newest = self.calendar.shift(self.calendar.window(key), -late).key
            stored = [item for item in self._keys[parent.name] if item <= key]
            return [item for item in stored if item <= newest][-1:] or stored[:1]
        return window_keys(self.calendar, asset, read.lookback, parent, key, key)

    def _value(
        self, asset: str, key: str, plan: Plan, cache: dict[tuple[str, str], pl.DataFrame | None]
    ) -> pl.DataFrame | None:
        if not self._reached(asset, plan) or not self.assets[asset].recomputable or asset in plan.frozen:
            return self.observed(asset, key)
        stored = self.made(asset, key)
        if stored is None:
            return self.observed(asset, key)
        wanted = plan.mechanisms.get(asset, stored)
        if wanted.id == stored.id and not self._parents_changed(asset, key, plan, cache):
            return self.observed(asset, key)
        return self._compute(asset, key, wanted, plan, cache)

    def _reached(self, asset: str, plan: Plan) -> bool:
        return asset in plan.touched or any(asset in self.descendants(name) for name in plan.touched)

    def _parents_changed(
        self, asset: str, key: str, plan: Plan, cache: dict[tuple[str, str], pl.DataFrame | None]
    ) -> bool:
        made_of = self.assets[asset]
        return any(
            self.value(parent, parent_key, plan, cache) is not self.observed(parent, parent_key)
            for parent in made_of.parents
            for parent_key in self.keys_read(made_of, parent, key)
        )

    def _compute(
        self,
        asset: str,
        key: str,
        mechanism: Mechanism,
        plan: Plan,
        cache: dict[tuple[str, str], pl.DataFrame | None],
        every: int = 1,
    ) -> pl.DataFrame:
        made_of = self.assets[asset]
        frames: dict[str, pl.DataFrame] = {}
        for parent in made_of.parents:
            keys = self.keys_read(made_of, parent, key)
            if self._reached(parent, plan):
                parts = [part for item in keys if (part := self.value(parent, item, plan, cache)) is not None]
                frame = stack(parts) if parts else None
            else:
                frame = self.observed(parent, keys[0]) if len(keys) == 1 else self._tables.read(parent, keys)
            if frame is None:
                raise DataError(
                    f"dataset `{parent}` has no rows to replay for window {key}", doing=f"replaying `{asset}`"
                )
            if made_of.layer == "prediction":
                every = one_in(frame.height)
            frames[parent] = thinned(frame, made_of.key, every)
        try:
            result = self._mechanisms.compute(asset, mechanism)(frames, self.calendar.window(key))
        except (DataError, OutsideError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a function may exit, and what breaks in an extension need not be an Exception
            said = error.message if isinstance(error, HeadwaterError) else error
            raise DataError(
                f"the replay of `{asset}` failed: {said}", doing=f"replaying `{asset}`, window {key}"
            ) from error
        if not isinstance(result, pl.DataFrame):
            raise DataError(f"the replay of `{asset}` gave a {type(result).__name__}, not a frame")
        return result


def window_keys(calendar: Calendar, asset: Asset, lookback: int, parent: Asset, first: str, last: str) -> list[str]:
    """Return the windows of a parent that an asset reads for its own windows first..last, latest one last.

    A parent that comes later than the asset (a larger lag) has delivered only up to the asset's run.
    """
    late = max(0, parent.lag - asset.lag)
    start = calendar.shift(calendar.window(first), -lookback)
    end = calendar.shift(calendar.window(last), -late)
    return [window.key for window in calendar.between(start.key, end.key)] if start.key <= end.key else []
