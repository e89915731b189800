"""Watches: the numbers that a project declares, against their bounds or the band of their own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.alarms.exceedance import Score


class WatchMonitor:
    """Find declared numbers that are out of their bounds, or out of the band of their history.

    Reads evidence of type ``watch``: numbers under ``name`` or ``name[segment]``, and ``rules`` that say by name what
    is in order. With bounds there is no false-alarm rate but the one that the bounds imply, and no warm-up. Without,
    a clean window leaves twice its band about once in 1000 windows (see `stats.alarms.exceedance`), for each
    segment by itself: many segments alarm more often.
    """

    name = "watch"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at declared numbers."""
        return [finding for item in evidence if item.type == "watch" for finding in self._one(item, history, now)]

    def _one(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        rules, scores = item.values.get("rules", {}), history.scores(item)
        found = []
        for metric, value in item.values.items():
            rule = rules.get(metric.partition("[")[0])
            if rule is None or not isinstance(value, (int, float)):
                continue
            broken = _bounded(metric, float(value), rule) if _has_bounds(rule) else _banded(scores.get(metric), rule)
            if broken is not None:
                score, expected, detail = broken
                found.append(
                    item.finding(
                        self.name,
                        metric,
                        "alarm" if rule["severity"] == "alarm" else "notice",
                        score,
                        f"{metric} {detail}",
                        now,
                        float(value),
                        expected,
                    )
                )
        return found


Broken = tuple[float, float | None, str]


def _has_bounds(rule: Mapping[str, Any]) -> bool:
    return rule.get("low") is not None or rule.get("high") is not None


def _bounded(metric: str, value: float, rule: Mapping[str, Any]) -> Broken | None:
    low, high = rule.get("low"), rule.get("high")
    if low is not None and value < low:
        return 1.0, float(low), f"is {value:.4g}, at least {low:.4g} is in order"
    if high is not None and value > high:
        return 1.0, float(high), f"is {value:.4g}, at most {high:.4g} is in order"
    return None


def _banded(score: Score | None, rule: Mapping[str, Any]) -> Broken | None:
    if score is None or score.r <= float(rule["limit"]):
        return None
    expected = f"expected {score.expected:.4g} ({score.low:.4g} to {score.high:.4g})"
    return score.r, score.expected, f"is {score.value:.4g}, {expected}"
