"""Say by the clock alone whether a dataset is fresh: whether its next window has come, or is not due yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from headwater.app.line import Line
from headwater.core.windows import Window
from headwater.dataops.contract_times import awaited, due
from headwater.observe.arrival import overdue, usual_hours


def freshness(line: Line, name: str) -> dict[str, Any]:
    """Return a dataset's freshness now, whether or not anything runs.

    What is awaited is the window after the newest one that was delivered (or one as much later as the contract's
    frequency says): a delivery of an older window changes nothing, and a window that is still open, or not due yet, is
    never judged. A gap further back is not looked for.

    Returns:
        ``state`` (``fresh``, ``late``, ``never delivered``, or ``unknown`` without a deadline), the window ``awaited``,
        when it is or was ``due`` (by the contract, else after the hours that deliveries take here),
        and ``told`` for people.
    """
    newest = _newest(line, name)
    if newest is None:
        return {"state": "never delivered", "awaited": None, "due": None, "told": "never delivered"}
    window, moment = expected(line, name)
    assert window is not None
    if moment is None:
        return {"state": "unknown", "awaited": window.key, "due": None, "told": "unknown: no deadline"}
    now = line.services.clock.now()
    late = overdue({(line.ref(name), window.key): moment}, line.state.history, line.calendar, now)
    local = moment.astimezone(ZoneInfo(line.calendar.timezone))
    return {
        "state": "late" if late else "fresh",
        "awaited": window.key,
        "due": moment.isoformat(),
        "told": f"late since {local:%Y-%m-%d %H:%M %Z}" if late else "fresh",
    }


def expected(line: Line, name: str) -> tuple[Window | None, datetime | None]:
    """Return the window of a dataset that is awaited and when it is due; None before anything was delivered.

    It is due by its contract, else after the hours that deliveries have taken here; None where neither says.
    """
    newest = _newest(line, name)
    if newest is None:
        return None, None
    contract, calendar = line.contracts.get(name), line.calendar
    window = awaited(contract, calendar, calendar.window(newest))
    moment = due(contract, calendar, window, line.assets[name].lag)
    if moment is None:
        hours = usual_hours(line.state.history, line.ref(name), calendar, window.key)
        moment = None if hours is None else window.end + timedelta(hours=hours)
    return window, moment


def _newest(line: Line, name: str) -> str | None:
    """The newest window that was delivered whole; a snapshot of a range of windows holds up to its end."""
    asset, arrived = line.assets[name], line.state.history.arrivals(line.ref(name))
    delivered = [key for key in line.delivered(name) if not arrived.get(key, {}).get("open")]
    if not delivered:
        return None
    if not asset.snapshot or not line.state.runs:
        return delivered[-1]
    through = line.calendar.shift(line.calendar.window(max(line.state.runs)), -asset.lag).key
    tried = line.state.evidence.get(("arrival", line.ref(name)), {})
    failed = any(key > delivered[-1] and item.values["state"] != "COMPLETE" for key, item in tried.items())
    return delivered[-1] if failed else max(delivered[-1], through)
