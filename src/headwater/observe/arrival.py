"""Arrival of datasets: told by the clock and the run, on absence, and window by window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History

_SLACK_HOURS = 1.0
_LANDINGS = 20
_QUANTILE = 0.999


class ArrivalMonitor:
    """Alarm for a window that was not delivered when it was due; notice one that came late.

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
                found += self._late(item, history, now)
            elif state == "FAIL" or calendar.window(item.window).end <= now:
                # A table held up by its parent is the parent's case, unless the parent itself raised nothing.
                severity = "notice" if state == "SKIP" and failed else "alarm"
                error = str(item.values.get("error", "")) or "a parent was not there"
                found.append(_finding(item.subject, item.window, "missing", severity, 1.0, error, now, item.id))
        return found

    def _late(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        landed = item.values.get("landed_hours")
        if landed is None or item.values.get("backfill"):
            return []
        deadline = item.values.get("deadline_hours")
        severity = "alarm" if deadline is not None else "notice"
        if deadline is None:
            deadline = usual_hours(history, item.subject, item.window)
        if deadline is None:
            return []
        if float(landed) <= float(deadline):
            return []
        detail = f"landed {float(landed):.1f} hours after the window's end, due after {float(deadline):.1f}"
        score = float(landed) / max(float(deadline), _SLACK_HOURS)
        return [_finding(item.subject, item.window, "late", severity, score, detail, now, item.id)]


def usual_hours(history: History, subject: str, before: str) -> float | None:
    """Return the hours after a window's end by which a dataset has landed so far, with an hour to spare.

    None while too few windows have arrived to tell. Windows that came by a backfill do not count.
    """
    past = [
        float(values["landed_hours"])
        for window, values in history.arrivals(subject).items()
        if window < before and values.get("landed_hours") is not None and not values.get("backfill")
    ]
    if len(past) < _LANDINGS:
        return None
    return sorted(past)[int(_QUANTILE * (len(past) - 1))] + _SLACK_HOURS


def overdue(
    expected: Mapping[str, float], windows: Iterable[str], history: History, calendar: Calendar, now: datetime
) -> list[Finding]:
    """Alarm on absence, by the clock alone: datasets that should be there and are not, whether or not anything ran.

    Each window answers for itself: a delivery of an older window never excuses today's. An open window gets no verdict.

    Args:
        expected: Dataset reference to hours after a window's end by which it must have landed.
        windows: The windows to ask about.
        history: What has arrived.
        calendar: The project's calendar.
        now: The time of asking.
    """
    found = []
    for window in windows:
        end = calendar.window(window).end
        for subject, hours in expected.items():
            heard = history.arrivals(subject).get(window, {"state": "never"}).get("state", "COMPLETE")
            if now < end + timedelta(hours=hours) or heard == "COMPLETE":
                continue
            detail = f"nothing has arrived {(now - end).total_seconds() / 3600:.1f} hours after the window's end"
            found.append(_finding(subject, window, "missing", "alarm", 1.0, detail, now))
    return found


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
