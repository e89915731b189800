"""How far a window's metrics are from what they are in the reference windows.

Every metric x of a window is compared with its median m over the reference windows, moved by the weekday's effect where
that explains much of the variation; its exceedance is r = |x - m| / max(s, floor), where s is the largest distance that
any reference window keeps from m (what is known about values and weekdays leaves that window out). So the real
variation between windows, storms included, sets the scale: r <= 1 has been seen before, r > 2 has not, by far. The idea
is leave-one-out calibration as in conformal prediction (Vovk, Gammerman, Shafer 2005, chapter 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np

from headwater.core.windows import Window
from headwater.stats.signatures import measures
from headwater.stats.signatures.views import Floats

CAP = 100.0
_ONE_SIDED = frozenset(
    (
        *("unseen", "fine", "gone", "moved", "top", "outside", "grain", "hours", "phase", "course"),
        *("copies", "paired", "alike", "repeat", "replay", "calendar", "linear", "lookup", "fit", "scatter"),
        *("nullpattern", "uncovered", "churn", "dtype", "schema"),
    )
)
_FLOORS = {
    **dict.fromkeys(
        ("null", "fine", "gone", "outside", "grain", "copies", "calendar", "linear", "lookup", "nullpattern"), 0.02
    ),
    **dict.fromkeys(("unseen", "uncovered", "churn"), 0.03),
    "alike": 0.02,
    **dict.fromkeys(("zero", "negative", "moved", "middle", "log10", "log50", "log90"), 0.05),
    **dict.fromkeys(("top", "most", "paired", "rows", "fit", "scatter", "dtype", "schema"), 0.1),
    **{"first": 0.045, "last": 0.045, "hours": 0.08, "phase": 8.0, "course": 4.0, "replay": 0.04, "repeat": 0.04},
}
_BY_ROWS = frozenset(
    ("null", "unseen", "fine", "zero", "negative", "top", "moved", "most", "copies", "alike", "lookup", "linear")
)


def metric_of(name: str) -> str:
    """Return the metric of ``metric:column``."""
    return name.split(":", maxsplit=1)[0]


def column_of(name: str) -> str:
    """Return the column of ``metric:column``; empty for the whole table."""
    return name.split(":", maxsplit=1)[1]


@dataclass
class Baseline:
    """Usual value and scale of every metric.

    Attributes:
        values: Each metric in each reference window, NaN where it is not defined.
        centers: Its median.
        scales: The distance from usual at which r is 1.
        weekdays: For metrics with a weekly course: what each weekday, from Monday, adds to the median.
    """

    values: dict[str, Floats] = field(default_factory=dict)
    centers: dict[str, float] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    weekdays: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        measured: Sequence[Mapping[str, float]],
        windows: Sequence[Window],
        sizes: Sequence[int],
        spreads: Mapping[str, float],
        steps: Mapping[str, float],
    ) -> Baseline:
        """Learn from the metrics of the reference windows.

        Args:
            measured: Metrics per window, each measured without what is known from that window alone.
            windows: The windows.
            sizes: Their row counts.
            spreads: Per numeric column, its 5 % to 95 % range.
            steps: Per numeric column, the smallest step between its values, where it has one.
        """
        found = cls()
        count = len(measured)
        days = [weekday(window) for window in windows]
        rows = float(np.median(sizes))
        for name in {name: None for one in measured for name in one}:
            values = np.array([one.get(name, np.nan) for one in measured])
            given = np.isfinite(values)
            # A metric that few reference windows have says little about its spread.
            if not given.any() or (given.sum() < 0.5 * count and metric_of(name) not in ("null", "unseen")):
                continue
            center = 0.0 if metric_of(name) in ("dtype", "schema") else float(np.median(values[given]))
            gaps = np.abs(values[given] - center)
            effects, weekly = _weekly(values - center, days)
            if effects is not None and _clearly_less(weekly[given], gaps):
                found.weekdays[name], gaps = effects, weekly[given]
            found.values[name], found.centers[name] = values, center
            found.scales[name] = max(float(gaps.max()) * (1 + 2 / count), _floor(name, center, rows, spreads, steps))
        return found

    def usual(self, name: str, window: Window | None = None) -> float:
        """Return a metric's usual value, in a window of that weekday if one is given; NaN when it is not known."""
        center = self.centers.get(name, np.nan)
        day = None if window is None else weekday(window)
        if day is not None and name in self.weekdays:
            return center + float(self.weekdays[name][day])
        return center

    def ratio(self, name: str, value: float, window: Window) -> float:
        """Return the exceedance of one metric's value."""
        if name not in self.centers or not np.isfinite(value):
            return 0.0
        gap = value - self.usual(name, window)
        gap = max(gap, 0.0) if metric_of(name) in _ONE_SIDED else abs(gap)
        return float(min(gap / self.scales[name], CAP))


def weekday(window: Window) -> int | None:
    """Return the weekday of a window of one day, Monday 0; None for other windows."""
    return _weekday(window.key)


@lru_cache(maxsize=4096)
def _weekday(key: str) -> int | None:
    try:
        return datetime.strptime(key, "%Y-%m-%d").weekday()
    except ValueError:
        return None


def _weekly(gaps: Floats, days: Sequence[int | None]) -> tuple[Floats | None, Floats]:
    """Return each weekday's effect, shrunk by its number of windows, and what is left of each window without itself."""
    if len(days) < 14 or None in days:
        return None, gaps
    effects, left = np.zeros(7), np.abs(gaps)
    place = np.array(days)
    for day in range(7):
        own = np.flatnonzero((place == day) & np.isfinite(gaps))
        count = len(own)
        if count < 2:
            continue
        values = gaps[own]
        effects[day] = float(np.median(values)) * count / (count + 1)
        others = np.broadcast_to(values, (count, count))[~np.eye(count, dtype=bool)].reshape(count, count - 1)
        left[own] = np.abs(values - np.median(others, axis=1) * (count - 1) / count)
    return effects, left


def _clearly_less(left: Floats, gaps: Floats) -> bool:
    return bool(np.quantile(left, 0.9) < 0.7 * np.quantile(gaps, 0.9) and left.max() < 0.8 * gaps.max())


def _floor(name: str, center: float, rows: float, spreads: Mapping[str, float], steps: Mapping[str, float]) -> float:
    metric, column = metric_of(name), column_of(name)
    # The next value up or down is no news, however rarely the quantile moves.
    step = 0.6 * steps.get(column, 0.0)
    if metric in measures.QUANTILE_METRICS:
        return max(0.05 * spreads.get(column, 0.0), 0.01 * abs(center), step, 1e-9)
    floor = _FLOORS.get(metric, 0.05)
    if metric in measures.LOG_METRICS:
        return max(floor, float(np.log10(1 + step / 10.0**center)))
    if metric == "nullpattern":
        return max(floor, 2 / rows)
    if metric in _BY_ROWS:
        return max(floor, min(2 / rows, 0.25))
    return floor
