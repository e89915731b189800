"""Distribution of a table's columns. A jump is drawn and kept, and triage looks for a signature; it wakes nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import DIRECTIONS, LIMIT
from headwater.stats.eprocess import e_bh
from headwater.stats.exceedance import Score

DRIFT = 1000.0
"""Evidence of a small persistent shift that is worth a notice: one false one in so many windows per stream."""


class DistributionMonitor:
    """Notice columns whose means, quantiles or shares left their band, or drifted.

    Storms and holidays move distributions as far as faults do, so a jump alone never alarms: what sets a fault apart is
    a repair that undoes it, and that is looked for in triage. One finding per column, named after its most unusual
    metric.
    """

    name = "distribution"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at profiles."""
        return [finding for item in evidence if item.type == "profile" for finding in self._table(item, history, now)]

    def _table(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        scores = {
            metric: score
            for metric, score in history.scores(item).items()
            if metric.split(".", 1)[0] not in DIRECTIONS and score.r > 0
        }
        drifting = _drifting(scores)
        columns: dict[str, list[str]] = defaultdict(list)
        for metric, score in scores.items():
            if score.r > LIMIT or metric in drifting:
                columns[metric.partition(".")[2]].append(metric)
        found = []
        for metrics in columns.values():
            worst = max(metrics, key=lambda metric: (scores[metric].r, scores[metric].evidence))
            found.append(self._finding(item, worst, scores[worst], [name for name in metrics if name != worst], now))
        return found

    def _finding(self, item: Evidence, metric: str, score: Score, others: Sequence[str], now: datetime) -> Finding:
        detail = f"{metric} is {score.value:.4g}, expected {score.expected:.4g} ({score.low:.4g} to {score.high:.4g})"
        if score.r <= LIMIT:
            detail = (
                f"{metric} has drifted (e-value {score.evidence:.3g}): {score.value:.4g} after {score.expected:.4g}"
            )
        if others:
            detail += f"; also {', '.join(others[:4])}" + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        return Finding(
            monitor=self.name,
            subject=item.subject,
            window=item.window,
            metric=metric,
            severity="notice",
            score=score.r if score.r > LIMIT else score.evidence / DRIFT,
            value=score.value,
            expected=score.expected,
            detail=detail,
            time=now,
            causes=(item.id,),
        )


def _drifting(scores: dict[str, Score]) -> set[str]:
    names = list(scores)
    evidence = np.array([scores[name].evidence for name in names])
    chosen = e_bh(evidence) & (evidence >= DRIFT)
    return {name for name, kept in zip(names, chosen, strict=True) if kept}
