"""What normal looks like: a table's trailing accepted windows, and how far a frame is from them.

The reference is self-contained: the values that columns take, the relations between them, their course over the day,
and the baseline of every metric, against which a frame is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl

from headwater.core.errors import DataError
from headwater.core.windows import Window
from headwater.stats.signatures import measures
from headwater.stats.signatures.baselines import Baseline
from headwater.stats.signatures.calendars import find_calendars
from headwater.stats.signatures.gauge import Gauge
from headwater.stats.signatures.profiles import Clockwork
from headwater.stats.signatures.regressions import Consistency
from headwater.stats.signatures.relations import find_linear, find_lookups
from headwater.stats.signatures.views import (
    Floats,
    Ints,
    View,
    epoch_hours,
    hours,
    kind_of,
    numbers,
    zone_hours,
    zone_hours_after,
)
from headwater.stats.signatures.vocabulary import Vocabulary

_TAKEN = 20_000
"""Of tables with twice as many rows in a window, about so many of a window are measured."""
_WHOLE = 7
"""Of so many last windows all rows are kept: what was delivered before is looked up in them."""


@dataclass(frozen=True)
class Score:
    """How abnormal a frame is: the exceedance of each metric, and the metrics themselves."""

    ratios: Mapping[str, float]
    values: Mapping[str, float]

    @property
    def total(self) -> float:
        """The largest exceedance."""
        return max(self.ratios.values(), default=0.0)

    def abnormal(self, limit: float = 2.0) -> dict[str, float]:
        """Return the metrics beyond a limit, the worst first."""
        beyond = [(name, ratio) for name, ratio in self.ratios.items() if ratio > limit]
        return dict(sorted(beyond, key=lambda item: -item[1]))


@dataclass
class Reference(Gauge):
    """The trailing accepted windows of one table, summarised; build it with `Reference.learn`.

    It misleads when a reference window is itself faulty (accept only what was judged good), and is blunt below about
    seven windows, where fixed floors set most of the scales.
    """

    baseline: Baseline = field(default_factory=Baseline)
    empty: int = 0
    """How many of the windows given had no rows: for some feeds that is normal."""

    @classmethod
    def learn(
        cls,
        frames: Sequence[tuple[Window, pl.DataFrame]],
        *,
        key: Sequence[str] = (),
        time: str | None = None,
        snapshot: bool = False,
    ) -> Reference:
        """Summarise the trailing accepted windows, oldest first.

        Args:
            frames: Windows with their frames; 28 to 56 for a table cut by time, the last few for snapshots.
            key: Columns that identify a row.
            time: Event-time column.
            snapshot: Whether each frame holds the full state.

        Raises:
            DataError: There is no frame with rows.
        """
        kept = [(window, frame) for window, frame in frames if frame.height]
        if not kept:
            raise DataError("a reference needs at least one accepted window with rows")
        schema = dict(kept[-1][1].schema)
        found = cls(schema, tuple(key), time, snapshot, [one for one, _ in kept], [frame for _, frame in kept])
        found.empty = len(frames) - len(kept)
        found.every = max(1, int(np.median([frame.height for _, frame in kept])) // _TAKEN)
        _learn(found)
        return found

    def score(self, frame: pl.DataFrame, window: Window) -> Score:
        """Compare a frame with the reference windows."""
        return self.compare(self.measure(self.sampled(frame, window)), window)

    def compare(self, values: Mapping[str, float], window: Window) -> Score:
        """Turn a window's metrics into exceedances."""
        return Score({name: self.baseline.ratio(name, value, window) for name, value in values.items()}, values)


def _learn(reference: Reference) -> None:
    frames = [_aligned(frame, reference.schema) for frame in reference.frames]
    reference.naive_local = _is_naive_local(reference, frames)
    views = [reference.sampled(frame, window) for frame, window in zip(frames, reference.windows, strict=True)]
    pooled = pl.concat([view.frame for view in views])
    sizes = [view.height for view in views]
    owner = np.repeat(np.arange(len(views)), sizes)
    codes: dict[str, Ints] = {}
    for name, dtype in reference.schema.items():
        kind = kind_of(dtype)
        if kind not in ("number", "category"):
            continue
        vocabulary, rows = Vocabulary.of(pooled.get_column(name), owner, len(frames))
        reference.vocabularies[name], codes[name] = vocabulary, rows
        if kind == "number":
            values = numbers(pooled.get_column(name))
            reference.decimals[name] = measures.decimals_of(values)
            given = values[np.isfinite(values)]
            reference.spreads[name] = float(np.subtract(*np.quantile(given, [0.95, 0.05]))) if len(given) else 0.0
    _learn_relations(reference, pooled, views, codes)
    starts = np.cumsum([0, *sizes])
    for name, rows in codes.items():
        for place, view in enumerate(views):
            view.arrays[f"codes\0{name}"] = rows[starts[place] : starts[place + 1]]
    amounts = [name for name in reference.schema if reference.kind(name) == "number" and not reference.derived(name)]
    matrix = {name: np.concatenate([view.number(name) for view in views]) for name in amounts}
    reference.consistency = Consistency.of(matrix)
    if reference.time is not None and reference.time in reference.schema:
        seconds = np.unique(np.concatenate([measures.within_hour(view.elapsed(reference.time)) for view in views]))
        reference.grain = seconds if len(seconds) <= 60 else None
        reference.clockwork = Clockwork.of(reference.time, amounts, views)
    reference.hashes, reference.clocks = map(list, zip(*(reference.contents(view) for view in views), strict=True))
    for view in views:
        for one in np.unique(reference.patterns(view)):
            reference.null_patterns[int(one)] = reference.null_patterns.get(int(one), 0) + 1
    measured = [reference.measure(view, without=place) for place, view in enumerate(views)]
    steps = {name: 10.0**-places for name, places in reference.decimals.items() if places < 9}
    reference.baseline = Baseline.of(measured, reference.windows, sizes, reference.spreads, steps)
    old = max(0, len(views) - _WHOLE) if reference.every > 1 else 0
    reference.frames[:old] = [
        frame.filter(view.taken)
        for frame, view in zip(reference.frames[:old], views, strict=False)
        if view.taken is not None
    ]


def _learn_relations(reference: Reference, pooled: pl.DataFrame, views: list[View], codes: Mapping[str, Ints]) -> None:
    sizes = [view.height for view in views]
    zones = np.repeat([zone_hours(view.window) for view in views], sizes)
    after = np.repeat([zone_hours_after(view.window) for view in views], sizes)
    middles = [(epoch_hours(view.window.start) + epoch_hours(view.window.end)) / 2 for view in views]
    clocks: dict[str | None, Floats] = {}
    if reference.time is not None and reference.time in reference.schema:
        clocks[reference.time] = np.concatenate([view.time(reference.time) for view in views])
    clocks[None] = np.repeat(np.array(middles), sizes)
    reference.calendars = find_calendars(pooled, clocks, (zones, after))
    reference.labels = frozenset(
        name
        for name, rows in codes.items()
        if len(views) > 2 and reference.vocabularies[name].values.len() > 1 and _names_window(rows, views)
    )
    free = [name for name in reference.schema if not reference.derived(name)]
    amounts = {n: np.concatenate([v.number(n) for v in views]) for n in free if reference.kind(n) == "number"}
    reference.linears = find_linear(amounts)
    ids = {
        name: rows
        for name, rows in codes.items()
        if name in free and (reference.kind(name) == "category" or reference.schema[name].is_integer())
    }
    attributes: dict[str, Floats] = dict(amounts)
    for name in free:
        if reference.kind(name) == "category":
            own = codes[name].astype(float)
            attributes[name] = np.where(own < 0, np.nan, own)
    reference.lookups = find_lookups(ids, reference.vocabularies, attributes)


def _names_window(codes: Ints, views: list[View]) -> bool:
    """Tell whether a column has one value per window and only names it.

    It then changes nearly every window (a batch, a load date), or never returns to a value it has left (a week).
    """
    start, values = 0, []
    for view in views:
        own = codes[start : start + view.height]
        start += view.height
        if view.height < 2 or (own != own[0]).any():
            return False
        values.append(int(own[0]))
    changes = sum(one != other for one, other in pairwise(values))
    return len(set(values)) > 0.5 * len(values) or changes == len(set(values)) - 1


def _is_naive_local(reference: Reference, frames: list[pl.DataFrame]) -> bool:
    """A naive time column is read as UTC unless that puts rows outside of their windows and local time does not."""
    if reference.time is None or reference.time not in reference.schema:
        return False
    if getattr(reference.schema[reference.time], "time_zone", "") is not None:
        return False
    outside = [0, 0]
    for frame, window in zip(frames, reference.windows, strict=True):
        elapsed = hours(frame.get_column(reference.time)) - epoch_hours(window.start)
        length = (window.end - window.start).total_seconds() / 3600
        for place, zone in enumerate((0.0, zone_hours(window))):
            outside[place] += int(((elapsed - zone < 0) | (elapsed - zone >= length)).sum())
    return outside[1] < outside[0]


def _aligned(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    columns = {}
    for name, dtype in schema.items():
        if name not in frame.columns:
            columns[name] = pl.Series(name, [None] * frame.height, dtype=dtype)
            continue
        series = frame.get_column(name)
        columns[name] = series if series.dtype == dtype else series.cast(dtype, strict=False)
    return pl.DataFrame(columns)
