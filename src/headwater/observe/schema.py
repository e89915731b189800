"""Schema changes, judged by what consumers read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History


class SchemaMonitor:
    """Alarm when a column that a consumer reads is gone, renamed or of another type; notice what was added.

    Reads ``changes``: a list of {column, severity (``breaking`` or ``additive``), text} against the window before.
    """

    name = "schema"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at schema evidence."""
        return [
            item.finding(
                self.name,
                f"schema.{change['column']}",
                "alarm" if change["severity"] == "breaking" else "notice",
                3.0 if change["severity"] == "breaking" else 1.0,
                str(change["text"]),
                now,
            )
            for item in evidence
            if item.type == "schema"
            for change in item.values.get("changes") or ()
        ]
