"""The words of a data contract: what it says about a dataset, its deadline, its operators, and a check's result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.core.canonical import plain
from headwater.dataops.time_of_day import TimeOfDay

OPERATORS: dict[str, str] = {
    "mustBe": "=",
    "mustNotBe": "!=",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
    "mustBeBetween": "between",
    "mustNotBeBetween": "not between",
}
SEVERITIES: dict[str, str] = {
    **dict.fromkeys(("error", "critical", "high", "blocker", "fatal"), "error"),
    **dict.fromkeys(("warning", "warn", "medium", "low", "minor", "info", "notice"), "warning"),
}
_HOURS: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1 / 3600),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 1 / 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 1.0),
    **dict.fromkeys(("d", "day", "days"), 24.0),
    **dict.fromkeys(("w", "week", "weeks"), 168.0),
    **dict.fromkeys(("mo", "month", "months"), 30 * 24.0),
    **dict.fromkeys(("y", "yr", "year", "years"), 365 * 24.0),
}
_ISO = re.compile(
    r"P(?:(?P<w>\d+(?:\.\d+)?)W)?(?:(?P<d>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<h>\d+(?:\.\d+)?)H)?(?:(?P<min>\d+(?:\.\d+)?)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
DEADLINES = ("freshness", "latency")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a team promises about one dataset (ODCS 3.0 to 3.2, one object per contract).

    Attributes:
        dataset: Bare name, from ``schema[0].name``.
        id: The contract's id.
        version: The contract's own version.
        owner: Name of the team, from ``team``; empty when nobody is named.
        side: ``data`` or ``ml``, from the custom property ``side``; empty when it says neither.
        channel: Where the owner is reached, from ``support``; empty when it says nothing.
        properties: The columns, as in the document.
        quality: The dataset's own quality checks, as in the document (columns have theirs in `properties`).
        sla: Service levels by property, as in the document.
        deadline: Hours after the end of a window by which it must be there, the shortest of ``freshness`` and
            ``latency``; None when nothing is promised.
        available: Times of day by which it must be there, from ``timeOfAvailability``.
        frequency: Hours from one delivery to the next; None when nothing is promised.
        raw: The whole document.
        path: The file it was read from.
        line: Where in that file its document begins.
    """

    dataset: str
    id: str
    version: str
    owner: str
    side: str
    channel: str
    properties: tuple[Mapping[str, Any], ...] = ()
    quality: tuple[Mapping[str, Any], ...] = ()
    sla: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deadline: float | None = None
    available: tuple[TimeOfDay, ...] = ()
    frequency: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    line: int = 1

    @property
    def needs_metrics(self) -> bool:
        """Whether a check compares one of the dataset's profile metrics."""
        return any(check_type(check) == "custom" and check.get("engine") == "headwater" for _, check in self.checks())

    def checks(self) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
        """Yield every quality check with the column it is about, None for the dataset's own."""
        for check in self.quality:
            yield None, check
        for column, item in nested(self.properties):
            for check in item.get("quality") or ():
                yield column, check


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said about one delivered frame.

    Attributes:
        name: The check's name, or one made from the column and what is checked.
        check: What is checked: ``required``, ``logicalType``, ``rowCount``, ``sql``, a metric's name ...
        column: The column it is about; None for the whole frame.
        dimension: The standard's quality dimension, e.g. ``completeness``.
        severity: ``error`` (a failure refuses the write) or ``warning``.
        passed: Whether the data is as promised; True for a check that was not executed.
        actual: What was found.
        expected: What was promised, e.g. ``= 0 rows``.
        detail: A sentence for a person, about the failure or about why it was not executed.
        executed: False for checks in words and checks of other engines.
    """

    name: str
    check: str
    column: str | None
    dimension: str
    severity: str
    passed: bool
    actual: Any = None
    expected: Any = None
    detail: str = ""
    executed: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the result as an OpenLineage data quality assertion."""
        found: dict[str, Any] = {
            "assertion": self.check,
            "success": self.passed,
            "severity": "error" if self.severity == "error" else "warn",
            "name": self.name,
            "column": self.column,
            "description": self.detail or None,
            "expected": plain(self.expected),
            "actual": plain(self.actual),
            "dimension": self.dimension,
        }
        return found if self.executed else {**found, "executed": False}


def nested(properties: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield properties with their dotted path, those inside of objects too."""
    for item in properties or ():
        path = f"{prefix}{item.get('name')}"
        yield path, item
        yield from nested(item.get("properties"), f"{path}.")


def check_type(check: Mapping[str, Any]) -> str:
    """Tell a quality check's type, which the standard lets a document leave out."""
    if check.get("type"):
        return str(check["type"])
    if check.get("query"):
        return "sql"
    return "custom" if check.get("engine") else "library"


def operators_of(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operators a check states, by their name in the standard."""
    return {name: check[name] for name in OPERATORS if check.get(name) is not None}


def holds(operator: str, actual: Any, expected: Any) -> bool:
    """Tell whether a value fulfils an operator; between includes both ends.

    Example:
        >>> holds("mustBeBetween", 3, [3, 5]), holds("mustNotBe", 3, 3)
        (True, False)
    """
    symbol = OPERATORS[operator]
    if symbol in ("=", "!="):
        return bool((actual == expected) == (symbol == "="))
    if actual is None or actual != actual:
        return False
    if symbol.endswith("between"):
        low, high = expected
        return bool((low <= actual <= high) == (symbol == "between"))
    return bool(
        {">": actual > expected, ">=": actual >= expected, "<": actual < expected, "<=": actual <= expected}[symbol]
    )


def hours_of(value: Any, unit: Any) -> float:
    """Turn a service level's value and unit into hours.

    A bare ``m`` means minutes to some tools and months to others, so it is refused. Months count 30 days and years 365.

    Args:
        value: A number, a number with its unit (``4h``), or an ISO 8601 duration (``PT4H``).
        unit: The unit, in any of the usual spellings.

    Returns:
        Hours.

    Raises:
        ValueError: It cannot be told what is meant; says what to write.

    Example:
        >>> hours_of(2, "d"), hours_of("PT90M", None), hours_of("4h", None)
        (48.0, 1.5, 4.0)
    """
    if isinstance(value, str):
        text = value.strip()
        iso = _ISO.fullmatch(text)
        if iso and any(iso.groupdict().values()):
            return sum(float(number) * _HOURS[name] for name, number in iso.groupdict().items() if number)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
        if match is None:
            raise ValueError(f"`{value}` is not a duration; write e.g. value: 4, unit: h")
        value, unit = float(match[1]), match[2] or unit
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"`{value}` is not a duration; write e.g. value: 4, unit: h")
    name = str(unit or "").strip().lower()
    if name == "m":
        raise ValueError("unit `m` may mean minutes or months; write min or month")
    if name not in _HOURS:
        raise ValueError(f"unit `{unit or ''}` is not known; write one of s, min, h, d, w, month, y")
    return float(value) * _HOURS[name]
