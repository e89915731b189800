"""A released version against the one before it, on the same rows: alarm when the older one would have done better."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.outcomes.intervals import t_interval

WORSE = 0.03
"""Share of the predecessor's loss by which a release must be worse: those that differ by their seed differ by less."""
_FEWEST = 3


class SuccessionMonitor:
    """Alarm when a release does worse than its predecessor would have done on the rows that it served.

    Over the label-mature windows since the release, on trial for three weeks: the mean gap of the losses is above 0 (95
    % t interval over windows) and at least 3 % of the predecessor's loss. Both versions see the same rows, so weather
    and customers do not move the gap.

    Reads ``gap``, ``loss_before`` and ``since`` (first window of the release) of succession evidence. Its findings are
    the performance monitor's: they come as late as labels do.
    """

    name = "performance"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at paired losses."""
        return [made for item in evidence if item.type == "succession" for made in self._one(item, history, now)]

    def _one(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        since = str(item.values["since"])
        pairs = {
            window: (gap, history.values("succession", item.subject, window).get("loss_before", 0.0))
            for window, gap in history.series("succession", item.subject, "gap").items()
            if since <= window < item.window
        }
        pairs[item.window] = (float(item.values["gap"]), float(item.values["loss_before"]))
        gaps, losses = (np.array([pair[side] for pair in pairs.values()]) for side in (0, 1))
        bound, base = t_interval(gaps), float(losses.mean())
        if len(gaps) < _FEWEST or bound.low <= 0 or bound.value < WORSE * base:
            return []
        text = (
            f"version {item.values['version']} loses {bound.value:.4g} ({bound.low:.4g} to {bound.high:.4g}) more than "
            f"version {item.values['predecessor']} would have on the same rows of {len(gaps)} windows"
        )
        score = bound.value / (WORSE * base) if base > 0 else 1.0
        return [item.finding(self.name, "succession", "alarm", score, text, now, bound.value, 0.0)]
