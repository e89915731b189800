"""A released version against the one before it, on the same rows: alarm when the older one would have done better."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.paired import WORSE, worse


class SuccessionMonitor:
    """Alarm when a release does worse than its predecessor would have done on the same served rows.

    Over the label-mature windows since the release, on trial for three weeks: the mean gap of the losses is above 0 (95
    % t interval over windows) and at least 3 % of the predecessor's loss. At once over those that its predecessor
    served last, where the gate has looked before: 99 % and 4 %. Both versions see the same rows, so weather and
    customers do not move the gap.

    Reads ``gap``, ``loss_before`` and ``since`` (first window of the release) of succession evidence, and ``windows``
    of trial evidence.
    """

    name = "succession"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at paired losses."""
        found = []
        for item in evidence:
            if item.type == "succession":
                found += _told(item, _lived(item, history), now)
            elif item.type == "trial":
                windows = item.values["windows"].values()
                pairs = [(float(one["loss"]) - float(one["loss_before"]), float(one["loss_before"])) for one in windows]
                found += _told(item, pairs, now)
        return found


def _lived(item: Evidence, history: History) -> list[tuple[float, float]]:
    """Return gap and predecessor's loss of each window since the release."""
    since = str(item.values["since"])
    pairs = [
        (gap, history.values("succession", item.subject, window).get("loss_before", 0.0))
        for window, gap in history.series("succession", item.subject, "gap").items()
        if since <= window < item.window
    ]
    return [*pairs, (float(item.values["gap"]), float(item.values["loss_before"]))]


def _told(item: Evidence, pairs: Sequence[tuple[float, float]], now: datetime) -> list[Finding]:
    gaps, losses = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    bound, base = t_interval(gaps), float(losses.mean())
    if not worse(gaps, base, tried=item.type == "trial"):
        return []
    text = (
        f"version {item.values['version']} loses {bound.value:.4g} ({bound.low:.4g} to {bound.high:.4g}) more than "
        f"version {item.values['predecessor']} on the same rows of {len(gaps)} windows"
    )
    score = bound.value / (WORSE * base) if base > 0 else 1.0
    return [item.finding(SuccessionMonitor.name, "loss", "alarm", score, text, now, bound.value, 0.0)]
