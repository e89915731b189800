"""Estimated performance, before labels: out of its usual band, or no longer to be believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import LIMIT

_WORSE = {"log_loss": 1, "accuracy": -1, "precision": -1, "recall": -1, "mae": 1, "rmse": 1, "cost": 1}


class EstimatedMonitor:
    """Notice when performance is expected to be worse than it ever usually was, and when estimates stop being valid.

    Never an alarm. Hard days (storms, holidays) are foreseen as hard, and nobody can act on weather; what can be acted
    on has an alarm of its own: parity and release upstream, and `PerformanceMonitor` once labels show that outcomes no
    longer follow p. That estimates stopped being valid because labelled windows left their bands is said once, in the
    first window of a spell; it is the same news as the performance monitor's, only sooner and less sure.

    Replayed on two half-years of days with nothing wrong but weather it gave no notice in 366 (so less than 9 in 1000
    with 95 % confidence), storm days among them.

    Blind to concept shift until labels come, as every estimate without labels is. Estimates that are withheld are not
    looked at.
    """

    name = "estimated"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at estimates of windows whose labels have not come."""
        found = []
        for item in evidence:
            if item.type != "estimate" or any(name.startswith("error.") for name in item.values):
                continue
            if item.values.get("valid"):
                found += self._unusual(item, history, now)
            elif self._lost(item, history):
                found.append(item.finding(self.name, "valid", "notice", 1.0, str(item.values["reason"]), now))
        return found

    def _unusual(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        scores = {
            metric: score
            for metric, score in history.scores(item, _WORSE).items()
            if score.r > LIMIT and (score.value - score.expected) * _WORSE[metric] > 0
        }
        if not scores:
            return []
        metric, score = max(scores.items(), key=lambda pair: pair[1].r)
        text = f"{metric} is expected to be {score.value:.4g} once labels come, usually {score.expected:.4g}"
        return [item.finding(self.name, metric, "notice", score.r, text, now, score.value, score.expected)]

    def _lost(self, item: Evidence, history: History) -> bool:
        """Tell whether validity was lost in this window because outcomes stopped following the estimate."""
        before = [window for window in history.windows(item.type, item.subject) if window < item.window][-1:]
        valid = [history.values(item.type, item.subject, window).get("valid") for window in before]
        return valid == [1.0] and str(item.values.get("reason", "")).startswith("outcomes no longer follow")
