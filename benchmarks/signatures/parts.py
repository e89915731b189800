"""A unit that changed on part of the rows: what signatures say of it, and of clean windows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from quiet.rates import SPAN
from real_tables import Table
from signatures.sites import in_part, learn, restored

from headwater.stats.signatures.repairs import apply
from headwater.stats.signatures.signatures import Diagnosis, diagnose

SHARES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)
FACTORS = (10.0, 100.0, 0.01, 1.609344, 3.28084, 0.0254)
_FEWEST, _VALUES = 20, 4


def partial(found: Diagnosis) -> bool:
    """Tell whether a signature says that part of the rows came in another unit."""
    return found.fault == "unit" and "of the rows" in found.detail


def clean(table: Table, part: str, every: int = 1) -> Iterator[dict[str, Any]]:
    """Yield a row for each clean window of a part; ``alarm`` where a unit on part of the rows is named at all.

    What is normal is learned once for each week of windows, so up to six windows later than it would be.

    Args:
        table: The table.
        part: ``held-out``, ``development`` or ``all``.
        every: Take every so manieth week.
    """
    weeks: dict[tuple[int, int], list[int]] = {}
    for place in range(table.trailing, len(table.frames)):
        if in_part(table.frames[place][0], part):
            day = date.fromisoformat(table.frames[place][0].key).isocalendar()
            weeks.setdefault((day.year, day.week), []).append(place)
    for places in list(weeks.values())[::every]:
        reference = learn(table, places[0])
        for place in places:
            window, frame = table.frames[place]
            found = diagnose(frame, reference, window=window)
            said = [one.detail for one in found if partial(one)]
            yield {"series": table.name, "feed": table.name, "cluster": f"{table.name} {window.key[:7]}",
                   "window": window.key, "alarm": bool(said), "any": bool(found), "says": said}  # fmt: skip


def planted(table: Table, part: str, windows: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each change: a share of the rows multiplied, in a window and the six after it.

    ``delay`` is the window in which the column's unit was named first, ``restored`` whether in the first window every
    cell was put right. The same column, factor and rows serve every share, so that sizes differ in nothing else.
    """
    choice = random.Random(f"{table.name}{seed}")
    places = [
        at
        for at in range(table.trailing, len(table.frames) - SPAN)
        if in_part(table.frames[at][0], part) and _columns(table, at)
    ]
    for place in choice.sample(places, min(windows, len(places))):
        reference = learn(table, place)
        column, factor = choice.choice(_columns(table, place)), choice.choice(FACTORS)
        ranks = np.random.default_rng(choice.randrange(10**6))
        span = [(window, frame, ranks.random(frame.height)) for window, frame in table.frames[place : place + SPAN]]
        for share in SHARES:
            delay, mended = None, 0.0
            for at, (window, frame, rank) in enumerate(span):
                made = multiplied(frame, column, factor, rank < share)
                found = diagnose(made, reference, window=window)
                named = bool(found) and found[0].fault == "unit" and column in found[0].column.split(", ")
                if at == 0 and named and found[0].invertible:
                    mended = restored(apply(found[0].repair, made, reference), frame)
                if named:
                    delay = at
                    break
            yield {"table": table.name, "kind": "rows at random", "size": share, "delay": delay, "column": column,
                   "factor": factor, "restored": mended > 1 - 1e-9}  # fmt: skip


def multiplied(frame: pl.DataFrame, column: str, factor: float, hit: np.ndarray) -> pl.DataFrame:
    """Multiply a column in some rows; all of it becomes a fraction, as it would in a file."""
    number = pl.col(column).cast(pl.Float64)
    return frame.with_columns(pl.when(pl.Series(hit)).then(number * factor).otherwise(number).alias(column))


def _columns(table: Table, place: int) -> list[str]:
    """Return the amounts of a window that have enough values, and differ enough, for a share of them to be seen."""
    frame = table.frames[place][1]
    values = {name: frame.get_column(name).drop_nulls() for name in table.amounts}
    return [name for name, one in values.items() if one.len() >= _FEWEST and one.n_unique() >= _VALUES]
