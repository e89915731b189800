"""Time, passed in. This is the only module that may ask the machine for the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from headwater.core.errors import UsageError


class Clock(Protocol):
    """Tell the current time; always zone-aware."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that is moved by hand, so that history can be replayed.

    Example:
        >>> from datetime import datetime, UTC
        >>> clock = SimulatedClock(datetime(2013, 7, 1, tzinfo=UTC))
        >>> clock.move_to(datetime(2013, 7, 2, tzinfo=UTC))
        >>> clock.now().isoformat()
        '2013-07-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = aware(start)

    def now(self) -> datetime:
        """Return the simulated time in UTC."""
        return self._now

    def move_to(self, time: datetime) -> None:
        """Move forward to ``time``; moving back is a mistake and raises `UsageError`."""
        time = aware(time)
        if time < self._now:
            raise UsageError(f"the clock stands at {self._now.isoformat()} and cannot go back to {time.isoformat()}")
        self._now = time


def aware(time: datetime) -> datetime:
    """Return ``time`` in UTC, refusing naive times."""
    if time.tzinfo is None:
        raise UsageError(f"time {time.isoformat()} has no zone", hint="give an offset, e.g. 2013-07-01T00:00:00+00:00")
    return time.astimezone(UTC)
