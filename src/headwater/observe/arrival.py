"""Arrival of datasets: told by the clock and the run, on absence, and window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar, Window
from headwater.observe.history import History

_SLACK_HOURS = 1.0
_LEAST_SLACK = timedelta(minutes=5)
LANDINGS, _KEEP = 20, 1000
_QUANTILE = 0.99
_FEW = 10.0  # a quantile of n deviations is too low for small n: bands are drawn wider by 10/n


class ArrivalMonitor:
    """Alarm for a window that was not delivered when it was due (``missing``, or ``not_ready`` where a parent was not).

    One that came late is an alarm past the deadline of its contract, and a notice past the hours that it usually takes.

    Reads ``state`` (``COMPLETE``, ``FAIL``, ``SKIP`` for a table whose parent was not there), ``error``, and if known
    ``landed_hours`` (hours after the window's end), ``deadline_hours`` and ``backfill``. A backfill is never late.
    """

    name = "arrival"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at arrivals."""
        items = [item for item in evidence if item.type == "arrival"]
        failed = any(item.values.get("state") == "FAIL" for item in items)
        found = []
        for item in items:
            state = str(item.values.get("state", "COMPLETE"))
            if state == "COMPLETE":
                found += self._late(item, history, calendar, now)
            elif state == "FAIL" or calendar.window(item.window).end <= now:
                # A table held up by its parent is the parent's case, unless the parent itself raised nothing.
                severity = "notice" if state == "SKIP" and failed else "alarm"
                error = str(item.values.get("error", "")) or "a parent was not there"
                metric = "not_ready" if state == "SKIP" else "missing"
                found.append(_finding(item.subject, item.window, metric, severity, 1.0, error, now, item.id))
        return found

    def _late(self, item: Evidence, history: History, calendar: Calendar, now: datetime) -> list[Finding]:
        landed = item.values.get("landed_hours")
        if landed is None or item.values.get("backfill"):
            return []
        deadline = item.values.get("deadline_hours")
        severity = "alarm" if deadline is not None else "notice"
        if deadline is None:
            deadline = usual_hours(history, item.subject, calendar, item.window)
        if deadline is None:
            return []
        if float(landed) <= float(deadline):
            return []
        detail = f"landed {float(landed):.1f} hours after the window's end, due after {float(deadline):.1f}"
        score = float(landed) / max(float(deadline), _SLACK_HOURS)
        return [_finding(item.subject, item.window, "late", severity, score, detail, now, item.id)]


def usual_hours(history: History, subject: str, calendar: Calendar, before: str) -> float | None:
    """Return the hours after a window's end by which a dataset has landed so far, with some time to spare.

    It is the larger of the latest landing and the usual one plus twice the 99 % quantile of past deviations from it,
    and a 24th of a window (at least five minutes) besides. Deliveries that catch up, by a backfill or several windows
    at a stroke, teach nothing about the usual time.

    Lags drawn alike from a lognormal are called late less than once in 1000 windows. Of the times at which a carrier's
    last flight of the day came down (New York 2013 and 2023, 26,000 days, storms among them) 2.5 in 1000 are, by a
    median of two hours (``tests/property/test_landings.py``). It misleads while a feed slows down by and by: a late
    landing that nobody minds becomes usual.

    Returns:
        Hours; None while fewer than twenty windows have arrived.
    """
    found = []
    for window, values in sorted(history.arrivals(subject).items())[-_KEEP:]:
        hours = values.get("landed_hours")
        if window >= before or hours is None or values.get("backfill") or values.get("open"):
            continue
        if values.get("state", "COMPLETE") == "COMPLETE":
            found.append((calendar.window(window), float(hours), history.in_alarm(subject, window)))
    return latest(found, calendar.window(before))


def latest(landings: Sequence[tuple[Window, float, bool]], window: Window) -> float | None:
    """Return the hours after a window's end by which something usually happens, as in `usual_hours`.

    Args:
        landings: Window, hours after its end, and whether that was in alarm (then it is not learned), in order.
        window: The window in question.
    """
    past = _in_time(landings)
    if len(past) < LANDINGS:
        return None
    middle = _quantile(sorted(past), 0.5)
    away = sorted(abs(hours - middle) for hours in past)
    band = 2 * _quantile(away, _QUANTILE) * (1 + _FEW / len(away))
    slack = max((window.end - window.start) / 24, _LEAST_SLACK)
    return max(*past, middle + band) + slack.total_seconds() / 3600


def _in_time(landings: Sequence[tuple[Window, float, bool]]) -> list[float]:
    """Return the lags of what came one window after the other, not several at a stroke."""
    came: list[tuple[datetime, float, bool]] = []
    for window, hours, alarmed in landings:
        landed = window.end + timedelta(hours=hours)
        alone = not came or landed - came[-1][0] >= (window.end - window.start) / 2
        if not alone:
            came[-1] = (*came[-1][:2], False)
        came.append((landed, hours, alone and not alarmed))
    return [hours for _, hours, learned in came if learned]


def _quantile(ordered: Sequence[float], at: float) -> float:
    place = at * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def overdue(
    expected: Mapping[tuple[str, str], datetime], history: History, calendar: Calendar, now: datetime
) -> list[Finding]:
    """Alarm on absence, by the clock alone: windows that should be there and are not, whether or not anything ran.

    Each window answers for itself: a delivery of an older window never excuses today's. An open window gets no verdict,
    whenever it is expected.

    Args:
        expected: The time by which each window must have landed, by dataset reference and window.
        history: What has arrived.
        calendar: The project's calendar.
        now: The time of asking.
    """
    found = []
    for (subject, window), moment in expected.items():
        end = calendar.window(window).end
        values = history.arrivals(subject).get(window, {"state": "never"})
        there = values.get("state", "COMPLETE") == "COMPLETE" and not values.get("open")
        if there or now < max(moment, end):
            continue
        detail = f"nothing has arrived {lasted(now - end)} after the window's end"
        found.append(_finding(subject, window, "missing", "alarm", 1.0, detail, now))
    return found


def lasted(time: timedelta) -> str:
    """Write how long something took: hours, from two days on days.

    Example:
        >>> lasted(timedelta(hours=5.25)), lasted(timedelta(days=3129, hours=4))
        ('5.2 hours', '3,129 days')
    """
    hours = time.total_seconds() / 3600
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def _finding(
    subject: str, window: str, metric: str, severity: str, score: float, detail: str, now: datetime, *causes: str
) -> Finding:
    return Finding(
        monitor=ArrivalMonitor.name,
        subject=subject,
        window=window,
        metric=metric,
        severity="alarm" if severity == "alarm" else "notice",
        score=score,
        detail=detail,
        time=now,
        causes=causes,
    )
