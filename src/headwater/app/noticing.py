"""What woke nobody, and what cannot wake anybody yet: notices, and monitors whose bands are still being learned."""

from __future__ import annotations

from typing import Any

from headwater.app.line import Line
from headwater.stats.alarms.exceedance import WARM

SHOWN = 7
"""Windows up to the newest run whose notices are listed when no window is named."""
_LEARNERS = {"profile": "structure and distribution", "performance": "performance"}


def notices(line: Line, window: str | None) -> list[dict[str, Any]]:
    """List what was out of its band and woke nobody, the newest window first, what is furthest out first.

    Args:
        line: The project.
        window: The findings' window; None for the last seven up to the newest run.

    Raises:
        UsageError: It is no window of the calendar.
    """
    if window is not None:
        line.calendar.window(window)
    newest = max(line.state.runs, default="")
    first = line.calendar.shift(line.calendar.window(newest), 1 - SHOWN).key if newest else ""
    found = [
        item
        for key, items in line.state.findings.items()
        if (key == window if window is not None else first <= key)
        for item in items
        if item.severity == "notice"
    ]
    found.sort(key=lambda item: (item.window, item.score), reverse=True)
    return [item.body() for item in found]


def warming(line: Line) -> list[dict[str, Any]]:
    """Say which monitors have no band yet: of how many subjects, and how many windows they still have to learn."""
    warm, history = WARM[line.calendar.every], line.state.history
    subjects = {
        "profile": [line.ref(name) for name in line.assets],
        "performance": [line.project.ref(name, "model") for name in line.project.models],
    }
    found = []
    for kind, names in subjects.items():
        learned = [sum(history.learnable(one, key) for key in history.windows(kind, one)) for one in names]
        lacking = [warm - count for count in learned if count < warm]
        if lacking:
            told = {"monitors": _LEARNERS[kind], "subjects": len(lacking), "of": len(names), "windows": max(lacking)}
            found.append(told)
    return found
