"""A time of day on a wall clock: in a zone whose clock changes, or at a fixed offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headwater.core.clock import aware

_CLOCK = re.compile(
    r"T?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
    r"\s*(?P<offset>Z|UTC|[+-](?:0\d|1[0-4]):?[0-5]\d)?\s*(?P<zone>[A-Za-z]\w*(?:/[\w+-]+)+)?"
)
_HINT = "write e.g. value: '06:00', '06:00-05:00' or '06:00 America/New_York'"


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time on a wall clock, in an IANA zone or at a fixed offset.

    Attributes:
        clock: Hour, minute and second on the wall.
        zone: IANA zone; empty for the zone that the project's days are cut in.
        offset: Minutes from UTC for a time that came with an offset, which knows no summer time; else None.
    """

    clock: time
    zone: str = ""
    offset: int | None = None

    def after(self, moment: datetime, zone: str) -> datetime:
        """Return the first time after ``moment`` at which the clock shows this time, in UTC.

        A time that the clock jumps over in spring is taken as many hours after midnight as on other days, and of a
        time that comes twice in autumn the first counts (as in RFC 5545, section 3.3.5): what takes as long as ever is
        late on neither day.

        Example:
            >>> midnight = datetime(2013, 3, 10, 5, tzinfo=UTC)
            >>> TimeOfDay(time(2, 30)).after(midnight, "America/New_York").isoformat()
            '2013-03-10T07:30:00+00:00'
        """
        kept: tzinfo = ZoneInfo(self.zone or zone) if self.offset is None else timezone(timedelta(minutes=self.offset))
        moment = aware(moment)
        day = moment.astimezone(kept).date() - timedelta(days=1)
        while True:
            found = datetime.combine(day, self.clock, tzinfo=kept).astimezone(UTC)
            if found > moment:
                return found
            day += timedelta(days=1)


def time_of_day(value: Any, zone: str = "") -> TimeOfDay:
    """Read the value of a ``timeOfAvailability``.

    Args:
        value: ``06:00``, with an offset (``06:00-05:00``, ``06:00Z``) or with an IANA zone behind it.
        zone: The zone of a value that names none; empty for the project's.

    Raises:
        ValueError: It is no time of day, or its zone is none; says what to write.

    Example:
        >>> time_of_day("09:00-08:00").offset, time_of_day("06:00 Europe/Berlin").zone
        (-480, 'Europe/Berlin')
    """
    match = _CLOCK.fullmatch(str(value).strip())
    if match is None or (match["offset"] and match["zone"]):
        raise ValueError(f"`{value}` is not a time of day; {_HINT}")
    clock = time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
    zone = match["zone"] or zone
    if match["offset"]:
        return TimeOfDay(clock, offset=_minutes(match["offset"]))
    if zone:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"`{zone}` is not an IANA time zone; {_HINT}") from None
    return TimeOfDay(clock, zone)


def _minutes(text: str) -> int:
    if text in ("Z", "UTC"):
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:])
    return (-1 if text[0] == "-" else 1) * (60 * hours + minutes)
