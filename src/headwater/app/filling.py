"""How far a window had filled up when it was delivered, and whether a later delivery may take its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from headwater.app.line import Line
from headwater.core.assets import Asset
from headwater.core.records import Evidence
from headwater.core.windows import Window
from headwater.dataops.delivery import Delivery
from headwater.observe.filling import STEPS
from headwater.stats.tables import compare


def opened(line: Line, name: str, delivery: Delivery) -> dict[str, bool]:
    """Return what an arrival says of a window that was not over yet; snapshots hold the full state at any time."""
    last = line.calendar.window(delivery.window.key.split("..")[-1])
    return {"open": True} if line.services.clock.now() < last.end and not line.assets[name].snapshot else {}


def fillings(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    """Measure how far windows had filled up when they came: rows, hours since the start, and rows by event time.

    Of a range of windows, which is history, only the event times are told.
    """
    asset, now = line.assets[name], line.services.clock.now()
    if delivery.state != "COMPLETE" or asset.snapshot:
        return
    single = ".." not in delivery.window.key
    for key, frame in delivery.pieces.items():
        window = line.calendar.window(key)
        curve = _curve(asset, frame, window)
        if not curve and not single:
            continue
        values: dict[str, Any] = {"rows": frame.height, "open": now < window.end}
        if single:
            values["elapsed_hours"] = round((now - window.start).total_seconds() / 3600, 3)
        if curve:
            values["curve"] = curve
        yield Evidence(type="filling", subject=line.ref(name), window=key, values=values, time=now)


def _curve(asset: Asset, frame: pl.DataFrame, window: Window) -> list[int]:
    """Rows with an event time in each 24th of the window, added up; empty when rows have no zone-aware time."""
    kind = None if asset.time is None else frame.schema.get(asset.time)
    if asset.time is None or not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        return []
    part = (window.end - window.start).total_seconds() / STEPS
    seconds = (
        frame[asset.time].drop_nulls().dt.convert_time_zone("UTC").dt.epoch("ms") / 1000 - window.start.timestamp()
    )
    place = (seconds / part).floor().clip(0, STEPS - 1).cast(pl.Int64)
    counts = dict(place.value_counts().iter_rows())
    total, curve = 0, []
    for step in range(STEPS):
        total += int(counts.get(step, 0))
        curve.append(total)
    return curve


def provisional(line: Line, asset: Asset, key: str) -> bool:
    """Tell whether what is stored of a window was delivered before the window was over."""
    ref = line.ref(asset.name)
    run = line.state.graph.run_of(ref, key) if ref in line.state.graph else None
    return run is not None and run.time < line.calendar.window(key).end


def grown(line: Line, asset: Asset, key: str, frame: pl.DataFrame, stored: pl.DataFrame) -> bool:
    """Tell whether a window that came while it was open may be replaced by what has come since.

    Any table may change until its window is over, but what was served or decided stays: there rows can only be added.
    """
    if not provisional(line, asset, key):
        return False
    if not line.is_log(asset.name):
        return True
    if stored.schema != frame.schema or not asset.key:
        return False
    kept = frame.join(stored.select(asset.key), on=list(asset.key), how="semi")
    return compare(kept, stored, asset.key).share == 0
