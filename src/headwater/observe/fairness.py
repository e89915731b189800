"""Fairness: has the distance between a group and everybody else changed, and what may lie behind it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.alarms.levels import READY, changed_levels

RUN_LENGTH = 1000.0
"""Wanted windows between two false alarms over all groups and metrics together."""
MATURE = 0.95
_CAUSES = ("null", "late")
_LATE = ("tpr", "fpr", "calibration", "bias", "mae", "relevant_place")
_NAMED = 3.0  # standard errors by which a cause must differ now to be told


class FairnessMonitor:
    """Alarm when a group's gap to everybody else leaves what it has been: an e-CUSUM per group and metric.

    A gap that was always there is no alarm (it is in the evidence, and whether it is just is not for a monitor to say);
    a change of it is, of either sign. The gap of a window is measured by how much it varied between windows, or by its
    standard error where few rows make that larger. With the alarm are named the null and late rates of the group that
    differ, for they are the usual cause. One finding per group, named after the metric that tells most.

    False alarms: an average of at least `RUN_LENGTH` windows between two, over all groups and metrics together (the
    threshold is that times their number), by theory for windows that are independent given their predecessor, of which
    at most .9 may remain. On 179
    clean days of real flights, 19 groups, one day alarmed (a carrier whose delays did leave the model's by 12 points in
    the storms before Christmas). It needs 35 windows of a group to begin; metrics that need labels wait until a window
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
            name[3:]
            for name in item.values
            if name.startswith("se.") and _metric(name[3:]) not in (_CAUSES if mature else (*_CAUSES, *_LATE))
        ]
        windows = [window for window in history.windows(item.type, item.subject) if window < item.window]
        if not streams or len(windows) < READY:
            return []
        seen = [*(history.values(item.type, item.subject, window) for window in windows), item.values]
        gaps, errors = (
            np.array([[values.get(f"{part}.{name}", np.nan) for name in streams] for values in seen], dtype=np.float64)
            for part in ("gap", "se")
        )
        sound = [history.learnable(item.subject, window) for window in windows]
        alarmed = [at for at, window in enumerate(windows) if history.in_alarm(item.subject, window)]
        since = alarmed[-1] + 1 if alarmed else 0
        told, usual = changed_levels(gaps, errors, np.array(sound), since)
        limit = RUN_LENGTH * max(1, int(np.isfinite(told).sum()))
        found: dict[str, tuple[float, str, float]] = {}
        for at in np.flatnonzero(np.nan_to_num(told) >= limit):
            group = _group(streams[at])
            if told[at] > found.get(group, (0.0, "", 0.0))[0]:
                found[group] = (float(told[at]), streams[at], float(usual[at]))
        return [_finding(item, *worst, limit, now) for worst in found.values()]


def _metric(stream: str) -> str:
    return stream.split(".", 1)[0]


def _group(stream: str) -> str:
    return stream.split(".", 1)[1]


def _finding(item: Evidence, told: float, stream: str, usual: float, limit: float, now: datetime) -> Finding:
    metric, group = _metric(stream), _group(stream)
    value = float(item.values[f"gap.{stream}"])
    detail = f"the gap in {metric} of {group} to all others is {value:+.3f}, usually {usual:+.3f}"
    return item.finding(
        FairnessMonitor.name,
        f"{metric}.{group}",
        "alarm",
        told / limit,
        f"{detail}; e-value {told:.3g}{_why(item, group)}",
        now,
        value,
        usual,
    )


def _why(item: Evidence, group: str) -> str:
    said = []
    for cause, text in (("null", "more of its features are null"), ("late", "more of its labels are missing")):
        gap, error = (float(item.values.get(f"{part}.{cause}.{group}", 0.0)) for part in ("gap", "se"))
        if error and gap >= _NAMED * error:
            said.append(f"{text} ({gap:+.1%})")
    worst = (item.values.get("nulls") or {}).get(group)
    if worst and said:
        said.append(f"most of all `{worst['feature']}`")
    return f"; {', '.join(said)}" if said else ""
