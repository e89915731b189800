"""Fairness: has the distance between a group and everybody else changed, and what may lie behind it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.eprocess import BETS, e_cusum, innovations, persistence_of, standardise

RUN_LENGTH = 1000.0
"""Wanted windows between two false alarms over all groups and metrics together."""
MATURE = 0.95
_WARM, _HELD_BACK = 14, 7
_CAUSES = ("null", "late")
_NEEDS_LABELS = ("tpr", "fpr", "calibration", "bias", "mae", "relevant_place")
_NAMED = 3.0  # standard errors by which a cause must differ now to be told

Floats = npt.NDArray[np.float64]


class FairnessMonitor:
    """Alarm when a group's gap to everybody else leaves what it has been: an e-CUSUM per group and metric.

    A gap that was always there is no alarm (it is in the evidence, and whether it is just is not for a monitor to say);
    a change of it is, of either sign. The statistic is the gap of a window in standard errors, so that small groups
    weigh what their rows allow. With the alarm are named the null and late rates of the group that differ,
    for they are the usual cause. One finding per group, named after the metric that tells most.

    False alarms: an average of at least `RUN_LENGTH` windows between two, over all groups and metrics together (the
    threshold is that times their number), by theory for windows that are independent given their predecessor. Checked
    on the clean flights of 2013. It needs 14 windows of a group to begin; metrics that need labels wait until a window
    has 95 % of them. Windows in alarm are never learned. Blind to groups with fewer than 10 rows in every window.
    """

    name = "fairness"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at fairness evidence."""
        return [finding for item in evidence if item.type == "fairness" for finding in self._window(item, history, now)]

    def _window(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        mature = float(item.values.get("maturity", 0.0)) >= MATURE
        streams = [
            name
            for name in item.values
            if name.startswith("z.") and _metric(name) not in _CAUSES and (mature or _metric(name) not in _NEEDS_LABELS)
        ]
        windows = [window for window in history.windows(item.type, item.subject) if window < item.window]
        if not streams or len(windows) < _WARM:
            return []
        past = _table([history.values(item.type, item.subject, window) for window in windows], streams)
        sound = [history.learnable(item.subject, window) for window in windows]
        alarmed = [at for at, window in enumerate(windows) if history.in_alarm(item.subject, window)]
        since = alarmed[-1] + 1 if alarmed else 0
        newest = np.array([float(item.values[name]) for name in streams])
        told, usual = _evidence(past, newest, np.array(sound), since)
        limit = RUN_LENGTH * max(1, int(np.isfinite(told).sum()))
        found: dict[str, tuple[float, str, float]] = {}
        for at in np.flatnonzero(np.nan_to_num(told) >= limit):
            group = _group(streams[at])
            if told[at] > found.get(group, (0.0, "", 0.0))[0]:
                found[group] = (float(told[at]), streams[at], float(usual[at]))
        return [_finding(item, *worst, limit, history, now) for worst in found.values()]


def _evidence(past: Floats, newest: Floats, sound: npt.NDArray[np.bool_], since: int) -> tuple[Floats, Floats]:
    """Return each stream's e-value after the newest window, and what it usually is; NaN where it is too young."""
    reference = past[sound]
    counts = np.isfinite(reference).sum(axis=0)
    told, usual = np.full(past.shape[1], np.nan), np.full(past.shape[1], np.nan)
    ready = np.flatnonzero(counts >= _WARM)
    path = np.full((len(past) - since + 1, len(ready)), np.nan)
    for place, at in enumerate(ready):
        known = reference[np.isfinite(reference[:, at]), at]
        learned = known[:-_HELD_BACK] if len(known) - _HELD_BACK >= _WARM - _HELD_BACK else known
        usual[at], spread = float(np.median(learned)), max(float(learned.std(ddof=1)), 0.5)
        series = np.r_[past[since:, at], newest[at]] - usual[at]
        there = np.isfinite(series)
        fresh = innovations(series[there], 0.0, persistence_of(learned - usual[at]))
        path[there, place] = standardise(fresh, 0.0, spread)
    told[ready] = e_cusum(path, BETS)[-1] if len(ready) else []
    return told, usual


def _table(values: Sequence[Mapping[str, float]], streams: Sequence[str]) -> Floats:
    return np.array([[window.get(name, np.nan) for name in streams] for window in values], dtype=np.float64)


def _metric(stream: str) -> str:
    return stream.split(".", 2)[1]


def _group(stream: str) -> str:
    return stream.split(".", 2)[2]


def _finding(
    item: Evidence, told: float, stream: str, usual: float, limit: float, history: History, now: datetime
) -> Finding:
    metric, group = _metric(stream), _group(stream)
    name = f"gap.{metric}.{group}"
    value = float(item.values[name])
    before = [
        gap
        for window, gap in history.series(item.type, item.subject, name).items()
        if window < item.window and history.learnable(item.subject, window)
    ]
    expected = float(np.median(before)) if before else None
    detail = f"the gap in {metric} of {group} to all others is {value:+.3f}, usually {expected or 0.0:+.3f}"
    return Finding(
        monitor=FairnessMonitor.name,
        subject=item.subject,
        window=item.window,
        metric=f"{metric}.{group}",
        severity="alarm",
        score=told / limit,
        value=value,
        expected=expected,
        detail=f"{detail}; e-value {told:.3g}{_why(item, group)}",
        time=now,
        causes=(item.id,),
    )


def _why(item: Evidence, group: str) -> str:
    said = []
    for cause, text in (("null", "more of its features are null"), ("late", "more of its labels are missing")):
        if float(item.values.get(f"z.{cause}.{group}", 0.0)) >= _NAMED:
            said.append(f"{text} ({float(item.values[f'gap.{cause}.{group}']):+.1%})")
    worst = (item.values.get("nulls") or {}).get(group)
    if worst and said:
        said.append(f"most of all `{worst['feature']}`")
    return f"; {', '.join(said)}" if said else ""
