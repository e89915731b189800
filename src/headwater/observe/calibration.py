"""Calibration and confidence of a model: does it still happen as often as was said, is the model as sure as it was?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.alarms.levels import READY, changed_levels

RUN_LENGTH = 1000.0
"""Wanted windows between two false notices over both metrics."""
MATURE = 0.95
WATCHED = {"gap": "outcomes less predictions", "certainty": "the mean certainty of predictions, |2p - 1|,"}
_AGAIN = 10.0


class CalibrationMonitor:
    """Notice when the mean of outcome - p, or how sure the predictions are, leaves the level it had.

    An e-CUSUM of both signs per metric (`stats.alarms.levels`), over label-mature windows. Confidence follows the
    season as inputs do, and what a lasting gap costs is the performance monitor's to alarm about: this is a notice. A
    standing change speaks again when it is ten times as clear.

    False notices: an average of at least `RUN_LENGTH` windows between two by theory, where windows are independent
    given their predecessor, how much of it remains being estimated up to .9; on 179 clean days of real flights there
    was none, and a calibrator lost in the middle of them was noticed within three weeks. It needs 35 windows to begin;
    windows in alarm are never learned.
    """

    name = "calibration"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at calibration evidence."""
        return [
            finding
            for item in evidence
            if item.type == "calibration" and float(item.values.get("maturity", 0.0)) >= MATURE
            for finding in self._window(item, history, now)
        ]

    def _window(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        windows = [window for window in history.windows(item.type, item.subject) if window < item.window]
        if len(windows) < READY:
            return []
        seen = [*(history.values(item.type, item.subject, window) for window in windows), item.values]
        table = np.array([[values.get(name, np.nan) for name in WATCHED] for values in seen], dtype=np.float64)
        sound = np.array([history.learnable(item.subject, window) for window in windows])
        alarmed = [at for at, window in enumerate(windows) if history.in_alarm(item.subject, window)]
        told, usual = changed_levels(table, np.zeros_like(table), sound, alarmed[-1] + 1 if alarmed else 0)
        limit = RUN_LENGTH * len(WATCHED)
        found = []
        for at, metric in enumerate(WATCHED):
            last = history.newest_notice(self.name, item.subject, metric)
            score = float(told[at]) / limit
            if score >= 1 and (last is None or last.window >= item.window or score > _AGAIN * last.score):
                found.append(_finding(item, metric, score, float(usual[at]), now))
        return found


def _finding(item: Evidence, metric: str, score: float, usual: float, now: datetime) -> Finding:
    value = float(item.values[metric])
    return item.finding(
        CalibrationMonitor.name,
        metric,
        "notice",
        score,
        f"{WATCHED[metric]} is {value:+.3f}, usually {usual:+.3f}; e-value {score * RUN_LENGTH:.3g}",
        now,
        value,
        usual,
    )
