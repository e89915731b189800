"""When a contract says that data must be there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from headwater.core.windows import Calendar, Window
from headwater.dataops.contract_terms import Contract, nested


def zone_of(level: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return the zone that a service level is told in: its own, else its element's ``defaultTimezone``; else empty."""
    for item in level.get("customProperties") or ():
        if isinstance(item, Mapping) and item.get("property") == "timezone":
            return str(item.get("value") or "")
    element = str(level.get("element") or document.get("slaDefaultElement") or "").rpartition(".")[2]
    for made in document.get("schema") or ():
        for path, item in nested(made.get("properties")):
            if path == element:
                return str((item.get("logicalTypeOptions") or {}).get("defaultTimezone") or "")
    return ""


def due(contract: Contract | None, calendar: Calendar, window: Window, lag: int = 0) -> datetime | None:
    """Return the time at which a window must be there by contract: its earliest promise. None when nothing is promised.

    Args:
        contract: The contract; None without one.
        calendar: The project's calendar, whose zone tells a time of day that names none.
        window: The dataset's own window.
        lag: Windows by which the dataset trails: a time of day is that after the end of the window it is delivered
            with, while hours count from its own.
    """
    if contract is None:
        return None
    found = [] if contract.deadline is None else [window.end + timedelta(hours=contract.deadline)]
    delivered = calendar.shift(window, lag) if contract.available else window
    found += [moment.after(delivered.end, calendar.timezone) for moment in contract.available]
    return min(found, default=None)


def awaited(contract: Contract | None, calendar: Calendar, newest: Window) -> Window:
    """Return the window that must come after the newest one: the next, or as many later as the frequency says."""
    following = calendar.shift(newest, 1)
    if contract is None or contract.frequency is None:
        return following
    moment = newest.end + timedelta(hours=contract.frequency)
    reached = calendar.containing(moment - timedelta(microseconds=1))
    return max(following, reached)
