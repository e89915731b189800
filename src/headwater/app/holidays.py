"""The holidays of a project: days written out, or those of a public calendar by its name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from headwater.core.errors import MissingExtra, ProjectInvalid

SINCE = 1990


def days_of(holidays: str | Iterable[str], until: int) -> tuple[str, ...]:
    """Return the window keys of a project's holidays.

    Args:
        holidays: Days (``2024-12-25``), or the name of a public calendar: a country's ISO code (``US``), with a state
            or province (``US-NY``, ``DE-BY``), or a financial market (``XNYS``).
        until: The last year of a public calendar, which begins in 1990.

    Raises:
        MissingExtra: A public calendar is named and the package that knows them is not installed.
        ProjectInvalid: There is no such calendar.
    """
    return _public(holidays, until) if isinstance(holidays, str) else tuple(holidays)


@lru_cache(maxsize=16)
def _public(name: str, until: int) -> tuple[str, ...]:
    try:
        import holidays  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise MissingExtra.of("holidays", "holidays") from error
    country, _, state = name.partition("-")
    years = range(SINCE, until + 1)
    try:
        known = country in holidays.list_supported_financial() and not state
        made = (
            holidays.financial_holidays(country, years=years)
            if known
            else holidays.country_holidays(country, subdiv=state or None, years=years)
        )
    except NotImplementedError as error:
        raise ProjectInvalid(
            f"there is no public calendar `{name}`",
            hint="write a country's code, US, with a state US-NY, a market XNYS, or the days themselves",
        ) from error
    return tuple(sorted(day.isoformat() for day in made))
