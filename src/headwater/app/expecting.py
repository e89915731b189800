"""Look at what should have arrived by now, by the clock and the events alone, whether or not anything is run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headwater.app.freshness import expected
from headwater.app.judging import open_or_merge
from headwater.app.line import Line
from headwater.core.ports import Entry
from headwater.core.records import Finding
from headwater.observe.arrival import overdue
from headwater.observe.journeys import JourneyMonitor


def arrivals(line: Line, *, record: bool = False) -> dict[str, Any]:
    """Say what is late, missing, failed, out of sequence or twice there, of own datasets and of foreign jobs.

    Args:
        line: The project.
        record: Record what was not known yet, and open incidents for its alarms; else nothing is written.

    Returns:
        ``findings``, ``incidents`` that they opened or joined, and ``unjudged``: datasets of which nothing says when
        they are due, neither a contract nor twenty deliveries.
    """
    now = line.services.clock.now()
    found = absent(line, now) + journeys(line, now)
    known = {_place(item) for items in line.state.findings.values() for item in items}
    new = [item for item in found if _place(item) not in known]
    incidents: list[str] = []
    if record and new:
        line.record([Entry(item.kind, item.subject, item.body(), item.time) for item in new])
        windows = sorted({item.window for item in new})
        for window in windows:
            touched = open_or_merge(line, window, [item for item in new if item.window == window])
            incidents += [item.id for item in touched if item.id not in incidents]
    return {
        "asked": now.isoformat(),
        "findings": [{**item.body(), "known": _place(item) in known} for item in found],
        "incidents": incidents,
        "unjudged": [line.ref(name) for name in line.assets if expected(line, name)[1] is None],
    }


def absent(line: Line, now: datetime) -> list[Finding]:
    """Alarm for each dataset whose next window should have come and has not, by its contract or its own past."""
    due: dict[tuple[str, str], datetime] = {}
    for name in line.assets:
        window, moment = expected(line, name)
        if window is not None and moment is not None:
            due[(line.ref(name), window.key)] = moment
    return overdue(due, line.state.history, line.calendar, now)


def journeys(line: Line, now: datetime) -> list[Finding]:
    """Judge the jobs that are known by their events alone."""
    courses = line.state.graph.courses(besides=line.project.name)
    if not courses:
        return []
    return JourneyMonitor(line.calendar, sorted(line.state.history.holidays)).evaluate(courses, now)


def _place(finding: Finding) -> tuple[str, str, str, str]:
    return finding.monitor, finding.subject, finding.window, finding.metric
