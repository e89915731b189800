"""Inputs of a model: other cases come than ever before, and go on coming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.estimates.moved import BEYOND

RUN = 3
"""Windows in a row in which a feature must lie beyond what it ever did."""
FAR = 1.7
"""Exceedance from which one feature alone says that other cases come; two may do so from `BEYOND` on."""
LASTING = 7
"""The same for a column whose value the rows of a window share: weather can be odd for three days."""
EXCEEDANCE, SHARED = "exceedance.", "shared."
"""Beginnings of the names of what is measured of a column."""


class InputsMonitor:
    """Alarm when features lie further off than they ever did, three windows in a row: one 1.7 times as far, or two.

    Each time the newest three windows together are compared with the last 42 accepted ones, by the distance of their
    distributions over what three windows of the past in a row were at most away from all others. One odd day, a holiday
    or a storm is outweighed by the windows beside it. Columns whose value the rows of a window share, like weather,
    must lie off for seven windows, and count as one column together. It says that other cases come, not that
    predictions are wrong: whether an upstream asset or the world is the reason is for triage to tell.

    Blind to changes of a few per cent, to columns that only lean on each other
    otherwise, and for the first 28 windows.
    """

    name = "inputs"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at how far the inputs of models moved."""
        found = []
        for item in evidence:
            if item.type == "inputs" and (lasting := self._lasting(item, history)):
                found.append(self._finding(item, lasting, now))
        return found

    def _lasting(self, item: Evidence, history: History) -> dict[str, float]:
        """Return the columns that lie beyond in all of the newest windows, with their exceedance now."""
        earlier = [key for key in history.windows(item.type, item.subject) if key < item.window][1 - LASTING :]
        every = [*(history.values(item.type, item.subject, key) for key in earlier), item.values]
        own = _beyond([{**values, **_none_shared(values)} for values in every[-RUN:]], RUN)
        shared = _beyond(every, LASTING)
        shared = {name for name in shared if all(values.get(SHARED + name) for values in every)}
        lasting = own | shared
        far = any(all(float(values[EXCEEDANCE + name]) >= FAR for values in every[-RUN:]) for name in lasting)
        if not far and len(own) + bool(shared) < 2:
            return {}
        return {name: float(item.values[EXCEEDANCE + name]) for name in lasting}

    def _finding(self, item: Evidence, lasting: Mapping[str, float], now: datetime) -> Finding:
        worst, *others = sorted(lasting, key=lambda name: (-lasting[name], name))
        run = LASTING if item.values.get(SHARED + worst) else RUN
        text = f"`{worst}` lies {lasting[worst]:.1f} times further off than it ever did, in {run} windows in a row"
        text += f"; also {', '.join(others[:4])}" if others else ""
        return item.finding(self.name, f"moved.{worst}", "alarm", lasting[worst], text, now, lasting[worst], 1.0)


def _none_shared(values: Mapping[str, Any]) -> dict[str, float]:
    return {EXCEEDANCE + name.removeprefix(SHARED): 0.0 for name in values if name.startswith(SHARED)}


def _beyond(windows: Sequence[Mapping[str, Any]], run: int) -> set[str]:
    """Return the columns that lie beyond in every one of so many windows."""
    if len(windows) < run:
        return set()
    each = (
        {name.removeprefix(EXCEEDANCE) for name, value in values.items() if _is_beyond(name, value)}
        for values in windows
    )
    return set.intersection(*each)


def _is_beyond(name: str, value: object) -> bool:
    return name.startswith(EXCEEDANCE) and isinstance(value, (int, float)) and value >= BEYOND
