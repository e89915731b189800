"""What normal looks like: a table's trailing accepted windows, and how far a frame is from them.

Every metric x of a window is compared with its median m over the reference windows; its exceedance is
r = |x - m| / max(s, floor), where s is the largest distance that any reference window keeps from the median (what is
known about values leaves that window out). So the real variation between windows, storms included, sets the scale:
r <= 1 has been seen before, r > 2 has not, by far. See docs for the measurements behind it; the idea is leave-one-out
calibration as in conformal prediction (Vovk, Gammerman, Shafer 2005, chapter 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from headwater.core.errors import DataError
from headwater.core.windows import Window
from headwater.stats import measures
from headwater.stats.gauge import Gauge, row_hashes
from headwater.stats.profiles import Clockwork
from headwater.stats.regressions import Consistency
from headwater.stats.relations import find_calendars, find_linear, find_lookups
from headwater.stats.views import Floats, Ints, View, epoch_hours, hours, kind_of, numbers, zone_hours, zone_hours_after
from headwater.stats.vocabulary import Vocabulary

CAP = 100.0
_ONE_SIDED = frozenset(
    (
        *("unseen", "fine", "gone", "moved", "top", "outside", "grain", "hours", "phase", "course"),
        *("copies", "paired", "repeat", "replay", "calendar", "linear", "lookup", "fit", "scatter"),
        *("nullpattern", "uncovered", "churn", "dtype", "schema"),
    )
)
_FLOORS = {
    **dict.fromkeys(
        ("null", "fine", "gone", "outside", "grain", "copies", "calendar", "linear", "lookup", "nullpattern"), 0.02
    ),
    **dict.fromkeys(("unseen", "uncovered", "churn"), 0.03),
    **dict.fromkeys(("zero", "negative", "moved", "middle", "log10", "log50", "log90"), 0.05),
    **dict.fromkeys(("top", "most", "paired", "rows", "fit", "scatter", "dtype", "schema"), 0.1),
    **{"first": 0.045, "last": 0.045, "hours": 0.08, "phase": 8.0, "course": 4.0, "replay": 0.04, "repeat": 0.04},
}
_BY_ROWS = frozenset(
    ("null", "unseen", "fine", "zero", "negative", "top", "moved", "most", "copies", "lookup", "linear")
)


def metric_of(name: str) -> str:
    """Return the metric of ``metric:column``."""
    return name.split(":", maxsplit=1)[0]


def column_of(name: str) -> str:
    """Return the column of ``metric:column``; empty for the whole table."""
    return name.split(":", maxsplit=1)[1]


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

    baseline: dict[str, Floats] = field(default_factory=dict)
    centers: dict[str, float] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)

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
        _learn(found)
        return found

    def score(self, frame: pl.DataFrame, window: Window) -> Score:
        """Compare a frame with the reference windows."""
        return self.compare(self.measure(self.view(frame, window)))

    def compare(self, values: Mapping[str, float]) -> Score:
        """Turn metrics into exceedances."""
        return Score({name: self.ratio(name, value) for name, value in values.items()}, values)

    def ratio(self, name: str, value: float) -> float:
        """Return the exceedance of one metric's value."""
        center = self.centers.get(name)
        if center is None or not np.isfinite(value):
            return 0.0
        gap = value - center
        gap = max(gap, 0.0) if metric_of(name) in _ONE_SIDED else abs(gap)
        return float(min(gap / self.scales[name], CAP))


def _learn(reference: Reference) -> None:
    frames = [_aligned(frame, reference.schema) for frame in reference.frames]
    pooled = pl.concat(frames)
    sizes = [frame.height for frame in frames]
    owner = np.repeat(np.arange(len(frames)), sizes)
    reference.naive_local = _is_naive_local(reference, frames)
    views = [reference.view(frame, window) for frame, window in zip(frames, reference.windows, strict=True)]
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
    reference.hashes = [
        np.zeros(0, dtype=np.uint64) if (h := row_hashes(view, reference.content())) is None else h for view in views
    ]
    reference.clocks = [reference.clock(view) for view in views]
    for view in views:
        for one in np.unique(reference.patterns(view)):
            reference.null_patterns[int(one)] = reference.null_patterns.get(int(one), 0) + 1
    measured = [reference.measure(view, without=place) for place, view in enumerate(views)]
    _calibrate(reference, measured)


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
    """A column with one value per window that changes nearly every window only names it (a batch, a load date)."""
    start, values = 0, []
    for view in views:
        own = codes[start : start + view.height]
        start += view.height
        if view.height < 2 or (own != own[0]).any():
            return False
        values.append(int(own[0]))
    return len(set(values)) > 0.5 * len(values)


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
    columns = []
    for name, dtype in schema.items():
        if name not in frame.columns:
            columns.append(pl.Series(name, [None] * frame.height, dtype=dtype))
            continue
        series = frame.get_column(name)
        columns.append(series if series.dtype == dtype else series.cast(dtype, strict=False))
    return pl.DataFrame(columns)


def _calibrate(reference: Reference, measured: list[dict[str, float]]) -> None:
    count = len(measured)
    inflation = 1 + 2 / count
    for name in {name: None for one in measured for name in one}:
        values = np.array([one.get(name, np.nan) for one in measured])
        given = values[np.isfinite(values)]
        metric = metric_of(name)
        if not len(given):
            continue
        center = float(np.median(given))
        # A metric that few reference windows have says little about its spread.
        if len(given) < 0.5 * count and metric not in ("null", "unseen"):
            continue
        if metric in ("dtype", "schema"):
            center = 0.0
        reach = float(np.abs(given - center).max()) * inflation
        reference.baseline[name] = values
        reference.centers[name] = center
        reference.scales[name] = max(reach, _floor(reference, name, center, given))


def _floor(reference: Reference, name: str, center: float, given: Floats) -> float:
    metric, column = metric_of(name), column_of(name)
    if metric in measures.QUANTILE_METRICS:
        return max(0.05 * reference.spreads.get(column, 0.0), 0.01 * abs(center), 1e-9)
    floor = _FLOORS.get(metric, 0.05)
    rows = float(np.median([frame.height for frame in reference.frames]))
    if metric in _BY_ROWS:
        return max(floor, min(2 / rows, 0.25))
    return floor
