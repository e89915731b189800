"""Latency of predictions, by the model version that made them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import LIMIT

WATCHED = ("p50", "p95", "p99")
SLOWER, FAR_SLOWER = 1.2, 2.0
"""Times the expected latency from which it is a notice, and from which an alarm."""
FEWEST = 100
"""Requests below which a window says nothing."""


class LatencyMonitor:
    """Alarm when predictions take far longer than in windows like this one; notice when they take longer.

    The exceedance of p50, p95 and p99 over what the hour of the week had, whichever version served then; the finding
    names the version that serves now, so that a slow new version shows. Faster is no finding. One finding per window,
    of the quantile that is furthest out.

    False alarms: those of the exceedance rule, .4 per 1000 metrics on clean days of real feeds, and fewer, since it
    must be twice as slow; on 300 simulated windows with a daily course and lag-one correlation there was none. Warm-up
    as for tables (`stats.alarms.exceedance`); windows in alarm are never learned. p99 of fewer than 100 requests is
    not looked at.
    """

    name = "latency"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at latency evidence."""
        return [
            finding
            for item in evidence
            if item.type == "latency" and float(item.values.get("n", 0)) >= FEWEST
            for finding in self._window(item, history, now)
        ]

    def _window(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        out = {
            metric: score
            for metric, score in history.scores(item, WATCHED).items()
            if score.r > LIMIT and score.value > SLOWER * score.expected
        }
        if not out:
            return []
        metric = max(out, key=lambda name: out[name].r)
        score = out[metric]
        version = str(item.values.get("version", "unknown"))
        return [
            item.finding(
                self.name,
                metric,
                "alarm" if score.value >= FAR_SLOWER * score.expected else "notice",
                score.r,
                f"version {version} took {score.value:.3g} ms ({metric}), usually {score.expected:.3g} ms",
                now,
                score.value,
                score.expected,
            )
        ]
