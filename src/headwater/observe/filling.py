"""Volume of a window that is still open: how much should be there by now, by how past windows filled up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import FEWER, LIMIT, MORE, ROWS
from headwater.stats.alarms.exceedance import Baseline

STEPS = 24
"""Parts of a window in which the arrival curve is kept."""


class FillingMonitor:
    """Judge a table that fills up during its window by the rows that are usually there by then.

    A window that is not over has no verdict on anything else. Past windows say how many rows they had after the same
    time: by their own deliveries while they were open, or, where they came in one piece, by their event times up to
    the newest that is here now (then a feed that stopped shows as late, not as small). The rows are compared as those
    of whole windows are, with slots and holidays (see `stats.alarms.exceedance`). Of 1,011 clean afternoons (the
    departures of three airports in 2013 at 14:00) none alarmed and 6 were noticed; half of the rows was always noticed,
    and a third of them always alarmed. No rows at all where there always were some is a break. It misleads for tables
    whose rows come in one burst at a time that moves about.

    Reads ``open``, ``rows``, ``elapsed_hours`` since the window's start, and ``curve``, the rows by event time in each
    24th of the window, added up.
    """

    name = "filling"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at windows that came while they were open."""
        found = []
        for item in evidence:
            if item.type == "filling" and item.values.get("open"):
                found += self._window(item, history, now)
        return found

    def _window(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        past = {
            window: made
            for window, made in history.fillings(item.subject).items()
            if window < item.window and not made[-1]["open"] and history.learnable(item.subject, window)
        }
        rows, elapsed = float(item.values["rows"]), float(item.values["elapsed_hours"])
        then = {window: made for window, filled in past.items() if (made := by_delivery(filled, elapsed)) is not None}
        baseline = Baseline(history.slots)
        if len(then) < baseline.warm:
            step = covered(item.values)
            then = {key: made for key, filled in past.items() if (made := by_event(filled[-1], step)) is not None}
            rows = by_event(item.values, step) or 0.0
        if len(then) < baseline.warm:
            return []
        baseline.fit({window: {"rows": count} for window, count in then.items()})
        score = baseline.score(item.window, {"rows": rows}).get("rows")
        if score is None:
            return []
        if rows == 0 and min(then.values()) >= 1:
            return [self._finding(item, score.r, rows, score.expected, "alarm", "never none", now)]
        if score.r <= LIMIT or abs(rows - score.expected) < ROWS:
            return []
        severe = baseline.steady("rows") or not FEWER <= rows / max(score.expected, 1.0) <= MORE
        usual = f"{score.low:,.0f} to {score.high:,.0f}"
        return [self._finding(item, score.r, rows, score.expected, "alarm" if severe else "notice", usual, now)]

    def _finding(
        self, item: Evidence, r: float, rows: float, expected: float, severity: str, usual: str, now: datetime
    ) -> Finding:
        hours = float(item.values["elapsed_hours"])
        return item.finding(
            self.name,
            "rows",
            "alarm" if severity == "alarm" else "notice",
            r,
            f"{rows:,.0f} rows {hours:.1f} hours into the window, usually {expected:,.0f} by then ({usual})",
            now,
            rows,
            expected,
        )


def by_delivery(filled: Sequence[Mapping[str, Any]], elapsed: float) -> float | None:
    """Return the rows a window had after so many hours, between the deliveries that say; None when none came before.

    Example:
        >>> made = [{"elapsed_hours": 6.0, "rows": 100, "open": True}, {"elapsed_hours": 26.0, "rows": 500}]
        >>> by_delivery(made, 11.0), by_delivery(made[1:], 11.0)
        (200.0, None)
    """
    points = sorted((float(one["elapsed_hours"]), float(one["rows"])) for one in filled if "elapsed_hours" in one)
    if not any(one.get("open") for one in filled) or len(points) < len(filled):
        return None
    after = bisect_right([hours for hours, _ in points], elapsed)
    if after == len(points):
        return points[-1][1]
    (from_hours, from_rows), (to_hours, to_rows) = points[after - 1] if after else (0.0, 0.0), points[after]
    return from_rows + (to_rows - from_rows) * (elapsed - from_hours) / max(to_hours - from_hours, 1e-9)


def covered(values: Mapping[str, Any]) -> int:
    """Return how many whole parts of a window are over by the newest event time in it."""
    curve = values.get("curve") or ()
    grown = [place for place in range(1, len(curve)) if curve[place] > curve[place - 1]]
    return grown[-1] if grown else 0


def by_event(values: Mapping[str, Any], step: int) -> float | None:
    """Return the rows with an event time in the first parts of a window; None when that is not known."""
    curve = values.get("curve") or ()
    return float(curve[min(step, len(curve)) - 1]) if curve and step else None
