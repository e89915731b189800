"""An old delivery under new keys: whether `echo_share` knows it by its order, and how often it speaks on clean windows.

Every table is given a key that counts on, so that no row of an old delivery is found again as it was, and times are
moved on. The line's own profile, history and monitors judge, as in `quiet.ours`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import polars as pl
from quiet.ours import Watch
from quiet.rates import SPAN
from quiet.series import Series
from real_tables import Frames, Table

from headwater.core.windows import Calendar

METRIC, KEY = "echo_share", "row_id"
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
KINDS = ("old rows first", "old rows, shuffled")


def keyed(frame: pl.DataFrame, place: int) -> pl.DataFrame:
    """Give every row a key that no other row of any window has."""
    first = place * 10_000_000
    return frame.with_columns(pl.Series(KEY, range(first, first + frame.height)))


def delivered(old: pl.DataFrame, new: pl.DataFrame, share: float, days: int, time: str | None) -> pl.DataFrame:
    """Put the first rows of an old delivery, their times moved on, in place of as large a share of a window's rows."""
    if time is not None:
        old = old.with_columns((pl.col(time) + pl.duration(days=days)).cast(old.schema[time]))
    kept = round(share * min(old.height, new.height)) if share < 1 else old.height
    return pl.concat([old.head(kept), new.slice(kept)]) if share < 1 else old


def replay(table: Table, sites: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for every clean window, and one for every planted change, in order of windows.

    A change stays for seven windows: each time the last delivery before it comes again. ``delay`` is the window in
    which `echo_share` first alarmed. Snapshots come whole each day, so none is planted.
    """
    choice = random.Random(f"{table.name}{seed}")
    frames: Frames = [(window, keyed(frame, place)) for place, (window, frame) in enumerate(table.frames)]
    series = Series(table.name, frames, Calendar("1d", table.zone), table.trailing, key=(KEY,), time=table.time)
    watch = Watch(series)
    watch.backfill(frames[: series.start])
    judged = range(series.start, len(frames))
    chosen = [] if table.snapshot else choice.sample(judged[SPAN:-SPAN], min(sites, len(judged[SPAN:-SPAN])))
    for place in judged:
        if place in chosen:
            yield from _cases(watch, table, place)
        window, frame = frames[place]
        told = watch.step(window, frame)
        found = [one for one in told.findings if one.metric == METRIC]
        yield {
            "series": table.name, "feed": table.name, "cluster": f"{table.name} {window.key[:7]}", "window": window.key,
            "alarm": any(one.severity == "alarm" for one in found), "notice": bool(found),
            "says": [one.detail for one in found],
        }  # fmt: skip


def _cases(watch: Watch, table: Table, place: int) -> Iterator[dict[str, Any]]:
    before, old = table.frames[place - 1]
    for kind in KINDS:
        for share in SHARES if kind == KINDS[0] else (1.0,):
            other, delay = watch.fork(), None
            for at, (window, frame) in enumerate(table.frames[place : place + SPAN]):
                days = (window.start.date() - before.start.date()).days
                made = delivered(old, frame, share, days, table.time)
                if kind != KINDS[0]:
                    made = made.sample(fraction=1.0, shuffle=True, seed=place + at)
                told = other.step(window, keyed(made, place + at))
                if any(one.metric == METRIC for one in told.alarms):
                    delay = at
                    break
            yield {"table": table.name, "kind": kind, "size": share, "delay": delay}
