"""Segments: parts of the rows whose predictions fare otherwise than they did, found by search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History

_TEXT = {
    "error": "the mean of outcome - prediction",
    "loss": "the loss beyond what the predictions lead to expect",
    "error_size": "the mean absolute error",
    "relevant_place": "the place of what is relevant (0 first, 1 last)",
}


class SegmentMonitor:
    """Notice segments whose error or loss changed in the newest fortnight of label-mature windows.

    Searched every seventh daily (24th hourly) window, from 28 label-mature windows on; windows in alarm are not
    compared with. The search holds its false discovery rate at 5 % (with windows permuted on clean flights: no segment
    in 90 searches). That is the rate of chance alone: in their true order 5 of 25 searches of those clean flights found
    a segment, because the world itself changes for some rows first (flights to the west coast in August). So it is a
    notice: it says where to look, and wakes nobody. A segment that stays is told once.
    """

    name = "segments"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at segment evidence."""
        return [
            _finding(item, one, now)
            for item in evidence
            if item.type == "segment"
            for one in item.values.get("segments", ())
            if history.newest_notice(self.name, item.subject, _metric(one)) is None
        ]


def _metric(one: Mapping[str, Any]) -> str:
    return f"{one['target']}.{one['name']}"


def _finding(item: Evidence, one: Mapping[str, Any], now: datetime) -> Finding:
    return item.finding(
        SegmentMonitor.name,
        _metric(one),
        "notice",
        abs(float(one["change"])) / max(float(one["error"]), 1e-12) / 3.5,
        f"where {one['name']} ({one['rows']} rows, {one['share']:.1%}), {_TEXT[one['target']]} has changed by "
        f"{one['change']:+.3g} (about {one['shrunk']:+.3g} to expect) in {item.values['windows']} windows; "
        f"p {one['p']:.2g} among {item.values['tested']} segments",
        now,
        float(one["change"]),
        0.0,
    )
