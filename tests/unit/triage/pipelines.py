"""Small pipelines that live in memory: delivered window by window by the real delivery, replayed by the real replay.

A mechanism's code is the name of a function in `Pipeline.code`, so that any version can be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from headwater.core.assets import Asset, Mechanism, Read
from headwater.core.windows import Calendar, Window
from headwater.dataops.delivery import Delivery, deliver, own_window
from headwater.testing.memory_tables import MemoryTables
from headwater.triage.replay import Replay

DAYS = Calendar("1d", "Europe/Berlin")
START = "2024-03-25"
"""The clock goes forward on the last day of this week."""
Function = Callable[[Mapping[str, pl.DataFrame], Window, Mapping[str, Any]], Any]


def day(number: int) -> str:
    """The key of a day counted from `START`."""
    return DAYS.shift(DAYS.window(START), number).key


class Pipeline:
    """Assets, the functions behind their mechanisms, and what was delivered by which."""

    def __init__(self, assets: Iterable[Asset], code: Mapping[str, Function]) -> None:
        self.assets = {asset.name: asset for asset in assets}
        self.code = dict(code)
        self.parts: dict[str, Any] = {}
        self.tables = MemoryTables()
        self.made: dict[tuple[str, str], Mechanism] = {}
        self.current = {name: Mechanism(name) for name in self.assets}
        self.runs: list[str] = []
        self.computed: list[tuple[str, str, str]] = []

    def compute(self, asset: str, mechanism: Mechanism) -> Callable[..., Any]:
        function = self.code[mechanism.code]
        parts = {name: self.parts[part] for name, part in mechanism.parts.items()}

        def call(frames: Mapping[str, pl.DataFrame], window: Window) -> Any:
            self.computed.append((asset, window.key, mechanism.id))
            return function(frames, window, parts)

        return call

    def run(self, key: str) -> dict[str, Delivery]:
        """Run one window: every asset in order, each for its own window."""
        found = {}
        for name, asset in self.assets.items():
            window = own_window(DAYS, asset, key, key, self.tables.keys(name))
            assert window is not None
            mechanism = self.current[name]
            found[name] = deliver(
                asset, mechanism, self.compute(name, mechanism), assets=self.assets, window=window, calendar=DAYS,
                tables=self.tables, check=lambda *_: (), run_id=key,
            )  # fmt: skip
            if found[name].state == "COMPLETE":
                self.made[(name, window.key)] = mechanism
        self.runs.append(key)
        return found

    def replay(self) -> Replay:
        self.computed.clear()
        return Replay(self.assets, self.tables, DAYS, self, lambda asset, key: self.made.get((asset, key)))


def source(name: str, **options: Any) -> Asset:
    return Asset(name, "raw", recomputable=False, **options)


def made(name: str, *reads: str | Read, **options: Any) -> Asset:
    options = {"key": ("id",), "layer": "modeled", **options}
    return Asset(name, reads=tuple(Read(item) if isinstance(item, str) else item for item in reads), **options)
