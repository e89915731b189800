"""How far a window had filled up when it was delivered, and whether a later delivery may take its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from headwater.app.line import Line
from headwater.core.assets import Asset
from headwater.core.records import Evidence
from headwater.core.windows import Window
from headwater.dataops.delivery import Delivery
from headwater.observe.filling import STEPS
from headwater.stats.frames.tables import compare

_RECENT = 7
"""How many windows back say whether an empty one is late or early."""


def opened(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> bool:
    """Tell whether the last window of a delivery is still filling up, and will hold more when it is over.

    A window that came before its end may as well be whole: a plan, a forecast, the requests of a day that are scored in
    its morning. What tells is the newest event time: rows that lie ahead are not waited for. A table without times is
    open where what it reads is; an empty source is, unless its windows used to come ahead.
    """
    asset, now = line.assets[name], line.services.clock.now()
    last = line.calendar.window(delivery.window.key.split("..")[-1])
    if now >= last.end or asset.snapshot or delivery.state != "COMPLETE":
        return False
    newest = _newest(asset, delivery.pieces.get(last.key))
    if newest is not None:
        return newest <= now
    if any(opened(line, parent, delivered[parent], delivered) for parent in asset.parents if parent in delivered):
        return True
    return not asset.parents and asset.time is not None and not _ahead(line, name, last.key)


def _ahead(line: Line, name: str, before: str) -> bool:
    """Tell whether windows of a table have come whole before they were over."""
    arrivals = line.state.history.arrivals(line.ref(name))
    recent = [arrivals[key] for key in sorted(arrivals) if key < before][-_RECENT:]
    return any(made.get("landed_hours", 0.0) < 0 and not made.get("open") for made in recent)


def _newest(asset: Asset, frame: pl.DataFrame | None) -> datetime | None:
    """The newest event time of a frame; None where rows have no zone-aware time."""
    kind = None if asset.time is None or frame is None else frame.schema.get(asset.time)
    if asset.time is None or frame is None or not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        return None
    newest: datetime | None = frame.select(pl.col(asset.time).dt.convert_time_zone("UTC").max()).item()
    return newest


def fillings(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    """Measure how far windows had filled up when they came: rows, hours since the start, and rows by event time.

    Of a range of windows, which is history, only the event times are told.
    """
    asset, now = line.assets[name], line.services.clock.now()
    if delivery.state != "COMPLETE" or asset.snapshot:
        return
    single = ".." not in delivery.window.key
    last, is_open = delivery.window.key.split("..")[-1], opened(line, name, delivery, delivered)
    for key, frame in delivery.pieces.items():
        window = line.calendar.window(key)
        curve = _curve(asset, frame, window)
        if not curve and not single:
            continue
        values: dict[str, Any] = {"rows": frame.height, "open": is_open and key == last}
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
    times = frame.get_column(asset.time)
    times = times.drop_nulls() if times.null_count() else times
    seconds = times.to_numpy().astype("datetime64[ms]").astype(np.int64) / 1000 - window.start.timestamp()
    place = np.floor(seconds / part).clip(0, STEPS - 1).astype(np.int64)
    curve: list[int] = np.bincount(place, minlength=STEPS).cumsum().tolist()
    return curve


def provisional(line: Line, asset: Asset, key: str) -> bool:
    """Tell whether what is stored of a window was delivered while it was filling up."""
    arrival = line.state.evidence[("arrival", line.ref(asset.name))].get(key)
    return arrival is not None and bool(arrival.values.get("open"))


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
