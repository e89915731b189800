"""Contract checks that failed without refusing the write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History


class ContractMonitor:
    """Alarm for every contract check that failed on a table that was written all the same (severity ``warning``).

    Reads ``failed``: a list of {name, detail}. A check of severity ``error`` refuses the write; that is the arrival
    monitor's case.
    """

    name = "contract"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at contract evidence."""
        return [
            item.finding(
                self.name,
                str(check["name"]),
                "alarm",
                1.0,
                str(check.get("detail") or f"check {check['name']} failed"),
                now,
            )
            for item in evidence
            if item.type == "contract"
            for check in item.values.get("failed") or ()
        ]
