"""Windows of time and the calendar that cuts time into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headwater.core.clock import aware
from headwater.core.errors import ProjectInvalid, UsageError

_EVERY = {"1d": timedelta(days=1), "1h": timedelta(hours=1)}


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span of time ``[start, end)``, zone-aware, named by its ``key``.

    A single window's key is its start, the local day ``2013-07-01`` or the UTC hour ``2013-07-01T05``; a range of
    windows has the key ``first..last``.
    """

    start: datetime
    end: datetime
    key: str

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class Calendar:
    """Cut time into windows of one day or one hour in an IANA zone.

    Days are local days, so a day with a clock change has 23 or 25 hours. Keys sort as text in time order: days as
    ``YYYY-MM-DD``; hours as ``YYYY-MM-DDTHH`` in UTC, whatever the zone, because a local hour can occur twice.

    Example:
        >>> days = Calendar("1d", "America/New_York")
        >>> window = days.window("2013-03-10")
        >>> (window.end - window.start).total_seconds() / 3600, window.key
        (23.0, '2013-03-10')
        >>> days.shift(window, 1).key
        '2013-03-11'
    """

    every: str = "1d"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.every not in _EVERY:
            raise ProjectInvalid(f"windows of `{self.every}` are not known", hint="use 1d or 1h")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ProjectInvalid(
                f"`{self.timezone}` is not an IANA time zone", hint="for example America/New_York"
            ) from error

    def window(self, key: str) -> Window:
        """Return the window named ``key``."""
        return _named(self, key)

    def containing(self, time: datetime) -> Window:
        """Return the window that ``time`` falls in."""
        if self.every == "1d":
            zone = ZoneInfo(self.timezone)
            local = aware(time).astimezone(zone)
            start = datetime(local.year, local.month, local.day, tzinfo=zone)
            following = start.replace(tzinfo=None) + timedelta(days=1)
            return Window(aware(start), aware(following.replace(tzinfo=zone)), f"{local:%Y-%m-%d}")
        start = aware(time).replace(minute=0, second=0, microsecond=0)
        return Window(start, start + _EVERY["1h"], f"{start:%Y-%m-%dT%H}")

    def shift(self, window: Window, count: int) -> Window:
        """Return the window ``count`` places later (earlier when negative)."""
        return _shifted(self, window, count)

    def between(self, first: str, last: str) -> Iterator[Window]:
        """Yield the windows from ``first`` to ``last``, both included."""
        window = self.window(first)
        if last < window.key:
            raise UsageError(f"window `{last}` is before `{first}`", hint="--from comes before --to")
        end = self.window(last).key
        while window.key <= end:
            yield window
            window = self.shift(window, 1)

    def span(self, first: str, last: str) -> Window:
        """Return the range of windows ``first..last`` as one window."""
        windows = list(self.between(first, last))
        key = windows[0].key if len(windows) == 1 else f"{windows[0].key}..{windows[-1].key}"
        return Window(windows[0].start, windows[-1].end, key)


@lru_cache(maxsize=8192)
def _named(calendar: Calendar, key: str) -> Window:
    try:
        if calendar.every == "1d":
            start = datetime.strptime(key, "%Y-%m-%d").replace(tzinfo=ZoneInfo(calendar.timezone))
        else:
            start = datetime.strptime(key, "%Y-%m-%dT%H").replace(tzinfo=ZoneInfo("UTC"))
        window = calendar.containing(start)
    except (ValueError, OverflowError):
        window = None
    if window is None or window.key != key:  # keys are compared as text: 2013-7-1 would sort after 2013-12-31
        example = "2013-07-01" if calendar.every == "1d" else "2013-07-01T05"
        raise UsageError(f"`{key}` is not a window", hint=f"write it like {example}")
    return window


@lru_cache(maxsize=8192)
def _shifted(calendar: Calendar, window: Window, count: int) -> Window:
    if calendar.every == "1d":
        noon = datetime.strptime(window.key, "%Y-%m-%d") + timedelta(hours=12)
        zone = ZoneInfo(calendar.timezone)
        days = count
        while True:
            # A place that crosses the date line skips a day (Samoa 2011-12-30), which is no window.
            found = calendar.containing((noon + timedelta(days=days)).replace(tzinfo=zone))
            hours = (found.start - window.start).total_seconds() / 3600
            skipped = round((abs(days) * 24 - abs(hours)) / 24)
            if abs(days) - skipped == abs(count):
                return found
            days = (abs(count) + skipped) * (1 if count > 0 else -1)
    return calendar.containing(window.start + count * _EVERY["1h"])
