"""Closures: windows without rows that alarmed and were in order. They are exceptions, and teach nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from headwater.stats.alarms.slots import Slots

ROWS = "rows"
"""The metric that counts a window's rows."""


def closures(rows: Mapping[str, float], excused: Collection[str], slots: Slots) -> frozenset[str]:
    """Return the windows in which a table was closed: empty against its habit, and somebody said that this is right.

    One word covers more than its window. It stands until rows come again: for all windows (a shop shut over Christmas,
    a source that is retired), and for those of the same weekday, or hour of the week (a shop that rests on Saturdays
    from now on). An empty window in which nothing ever comes is a habit and no closure. It misleads where the window
    after a closure, or the same weekday a week after it, is empty by a fault: that goes by as more of the closure.

    Args:
        rows: The number of rows by window, without empty windows that are still in alarm: they are no habit.
        excused: Empty windows whose alarm was accepted, or acquitted.
        slots: The seasonal slots of windows.

    Example:
        >>> rows = {"2013-01-04": 9.0, "2013-01-05": 0.0, "2013-01-06": 0.0, "2013-01-07": 8.0, "2013-01-08": 0.0}
        >>> sorted(closures(rows, {"2013-01-05"}, Slots()))
        ['2013-01-05', '2013-01-06']
    """
    if not excused:
        return frozenset()
    found = set()
    last: dict[tuple[int, int], Literal["rows", "habit", "closed"]] = {}
    stands = False
    for window in sorted(rows):
        slot = slots.of(window)
        if rows[window]:
            last[slot], stands = "rows", False
        elif window in excused or (last.get(slot) != "habit" and (stands or last.get(slot) == "closed")):
            last[slot], stands = "closed", True
            found.add(window)
        else:
            last[slot] = "habit"
    return frozenset(found)
