"""Seasonal slots: the weekday or holiday of a day, the hour of the day and of the week of an hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from headwater.core.windows import Calendar

_HOLIDAY = 7


class Slots:
    """Assign a window key to its seasonal slots.

    Args:
        calendar: The calendar that names the windows.
        holidays: Days (``YYYY-MM-DD``) that form a slot of their own.
    """

    def __init__(self, calendar: Calendar | None = None, holidays: Iterable[str] = ()) -> None:
        self.calendar = calendar or Calendar()
        self.holidays = frozenset(holidays)

    def of(self, window: str) -> tuple[int, int]:
        """Return the coarse slot (0, or hour of the day) and the fine slot (weekday or hour of the week)."""
        if self.calendar.every == "1d":
            return 0, _HOLIDAY if window in self.holidays else date.fromisoformat(window[:10]).weekday()
        local = self._local(window)
        day = _HOLIDAY if f"{local:%Y-%m-%d}" in self.holidays else local.weekday()
        return local.hour, day * 24 + local.hour

    def day(self, window: str) -> date:
        """Return the local day on which a window starts."""
        return self._local(window).date()

    def _local(self, window: str) -> datetime:
        return self.calendar.window(window).start.astimezone(ZoneInfo(self.calendar.timezone))
