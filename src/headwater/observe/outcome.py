"""Outcomes: realised performance once labels are mature, the labels' own arrival, and the business metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from headwater.core.records import Evidence, Finding, Severity
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.runs import mapping
from headwater.observe.structure import LIMIT
from headwater.stats.alarms.eprocess import (
    STEEP,
    e_cusum,
    innovations,
    persistence_of,
    standardise,
    threshold_for,
)
from headwater.stats.outcomes.regression import difficulty, pooled

RUN_LENGTH = 300.0
"""Wanted windows between two false alarms of the performance monitor, by theory: history keeps far below it."""
LOUDEST = 3.0
"""Deviations beyond which a window says no more: steep bets must not be won by one."""
ALONE = 0.2
"""Share of the evidence asked for that must be left without the loudest of the newest windows: one is weather."""
MATURE = 0.95
DOWNWARD = tuple(-bet for bet in STEEP)
WATCHED: Mapping[str, tuple[tuple[float, ...], bool]] = {
    "excess": (STEEP, False),
    "mae": (STEEP, True),
    "bias": ((*DOWNWARD, *STEEP), False),
    "ndcg": (DOWNWARD, False),
}
"""What is watched of a model's performance: the bets of its e-CUSUM, and whether its logarithm is taken."""
_TINY = 1e-12
_WARM, _NEWEST = 14, 10
_HELD_BACK = 7  # the newest windows do not set the scale they are measured by
_LABEL_METRICS = {"maturity": -1, "label_delay_hours": 1}
_LABEL_CHANGE = {"maturity": 0.05, "label_delay_hours": 1.0}


class PerformanceMonitor:
    """Alarm when outcomes no longer follow the predictions: an e-CUSUM over label-mature windows.

    On ``excess``, r_w = mean(loss - E[loss | p]) of a window, upwards, and on ``bias``, mean(p - outcome), both ways:
    fewer outcomes than foretold make the loss smaller. Of a regression on the logarithm of ``mae`` upwards, against
    what predictions of these sizes lead to expect (`stats.outcomes.regression.difficulty`), and on ``bias`` both ways;
    of a ranking on ``ndcg`` downwards. One bad window is weather; it takes a few in a row. Blind to a model that became
    less sharp but stayed calibrated, and in its first 14 windows; a regression's errors may also grow because the world
    became harder to foretell, and what days differ by hides a small shift for more than a week.

    False alarms: at most one in `RUN_LENGTH` windows by theory if windows were independent; a model that nobody trains
    again alarms more often, as it grows stale. Two metrics share the rate between them.
    """

    name = "performance"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at realised performance of label-mature windows."""
        found = []
        for item in evidence:
            if item.type == "performance" and _mature(item.values):
                watched = [metric for metric in WATCHED if item.values.get(metric) is not None]
                for metric in watched:
                    found += self._one(item, metric, len(watched), history, now)
        return found

    def _one(self, item: Evidence, metric: str, of: int, history: History, now: datetime) -> list[Finding]:
        bets, logarithm = WATCHED[metric]
        series = {
            window: value
            for window, value in history.series("performance", item.subject, metric).items()
            if window < item.window and _mature(history.values("performance", item.subject, window))
        }
        newest = series[item.window] = float(item.values[metric])
        windows = list(series)
        sound = [window for window in windows if history.learnable(item.subject, window) and window != item.window]
        past = sound[:-_HELD_BACK] or sound
        if len(sound) < _WARM or len(past) < _WARM - _HELD_BACK:
            return []
        harder = _difficulties(item, windows, past, history) if logarithm else {}
        if logarithm:
            series = {key: math.log(max(value, _TINY) / harder[key]) for key, value in series.items()}
        reference = np.array([series[window] for window in past])
        alarmed = [window for window in windows if window < item.window and history.in_alarm(item.subject, window)]
        told = max([history.alarmed(self.name, item.subject, item.window), *alarmed])
        since = [window for window in windows if window > told]
        mean, deviation = float(np.median(reference)), float(reference.std(ddof=1))
        persistence = persistence_of(reference - mean)
        before = series[told] - mean if told in series else 0.0
        fresh = innovations(np.array([series[window] for window in since]) - mean, before, persistence)
        unit = np.clip(standardise(fresh, 0.0, max(deviation, 1e-9)), -LOUDEST, LOUDEST)
        evidence = float(e_cusum(unit, bets)[-1])
        limit = threshold_for(RUN_LENGTH * of)
        if evidence < limit or _without_loudest(unit, bets) < ALONE * limit:
            return []
        usual = math.exp(mean) * harder[item.window] if logarithm else mean
        said = f"{metric} is {newest:.4g}, usually {usual:.4g}" + (" with such predictions" if logarithm else "")
        if metric == "excess":
            said = f"outcomes cost {newest:+.4f} more than the probabilities said, usually {usual:+.4f}"
        text = f"{said}; e-value {evidence:.3g} over {len(since)} windows"
        return [item.finding(self.name, metric, "alarm", evidence / (RUN_LENGTH * of), text, now, newest, usual)]


class LabelMonitor:
    """Alarm when labels come later, or fewer of them, than they used to; performance is blind until they are there."""

    name = "labels"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at the maturity and delay of labels."""
        found = []
        for item in evidence:
            if item.type != "performance":
                continue
            for metric, score in history.scores(item, _LABEL_METRICS).items():
                change = (score.value - score.expected) * _LABEL_METRICS[metric]
                if score.r > LIMIT and change >= _LABEL_CHANGE[metric]:
                    text = f"{metric} is {score.value:.3g}, usually {score.expected:.3g}"
                    value, expected = score.value, score.expected
                    found.append(item.finding(self.name, metric, "alarm", score.r, text, now, value, expected))
        return found


class UnmeasuredMonitor:
    """Alarm when an outcome cannot be measured at all: a cost function fails, labels do not join predictions.

    A monitor of the project that cannot be measured says so as loudly as it was declared.
    """

    name = "unmeasured"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at what could not be measured."""
        found = []
        for item in evidence:
            if item.type == "unmeasured":
                metric, text = str(item.values["metric"]), str(item.values["error"])
                severity: Severity = "notice" if item.values.get("severity") == "notice" else "alarm"
                found.append(item.finding(self.name, metric, severity, 1.0, text, now))
        return found


class BusinessMonitor:
    """Notice when the business metric ``value`` of a label-mature window (``matured`` of ``n``) leaves its band.

    False notices: those of the exceedance rule, .4 per 1000 metrics on clean days of real feeds. The notice tells the
    value's own interval, which is over rows: it says how well the window was measured, not how much windows vary.
    """

    name = "business"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at business metrics."""
        found = []
        for item in evidence:
            known, rows = item.values.get("matured"), item.values.get("n")
            if item.type != "business" or (known is not None and rows and float(known) < MATURE * float(rows)):
                continue
            for metric, score in history.scores(item, ("value",)).items():
                if score.r > LIMIT:
                    text = f"{metric} is {score.value:.4g}{_bounds(item)}, expected {score.expected:.4g}"
                    value, expected = score.value, score.expected
                    found.append(item.finding(self.name, metric, "notice", score.r, text, now, value, expected))
        return found


def _without_loudest(unit: np.ndarray, bets: Sequence[float]) -> float:
    """Return the evidence with the loudest of the newest windows left out."""
    newest = max(0, len(unit) - _NEWEST)
    loudest = newest + int(np.argmax(np.abs(unit[newest:])))
    rest = np.delete(unit, loudest)
    return float(e_cusum(rest, bets)[-1]) if len(rest) else 1.0


def _difficulties(item: Evidence, windows: Sequence[str], past: Sequence[str], history: History) -> dict[str, float]:
    """Return by window how much larger errors its predictions lead to expect than those of the past do."""
    errors = {window: history.errors(item.subject, window) for window in windows}
    errors[item.window] = mapping(item.values.get("errors"))
    usual = pooled(errors[window] for window in past)
    return {window: difficulty(own, usual) for window, own in errors.items()}


def _bounds(item: Evidence) -> str:
    low, high = item.values.get("low"), item.values.get("high")
    return "" if low is None or high is None else f" (95 %: {float(low):.4g} to {float(high):.4g})"


def _mature(values: object) -> bool:
    maturity = values.get("maturity") if hasattr(values, "get") else None
    return maturity is None or float(maturity) >= MATURE
