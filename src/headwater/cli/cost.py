"""Say what an incident cost: the newest price, how much of it is known, and the estimate that came first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.cli import screen

UNDECLARED = "unknown: no cost function is declared (`cost=` of the model)"


def priced(effect: Mapping[str, Any] | None) -> str:
    """Write a price with its interval; without one where nothing of it is open.

    Example:
        >>> priced({"value": 1234.0, "low": 1234.0, "high": 1234.0, "unit": "euro"})
        '1,234 euro'
    """
    if not effect:
        return ""
    if not effect.get("unit"):
        return UNDECLARED
    low, high = effect.get("low"), effect.get("high")
    bounds = (None, None) if low == high else (low, high)
    return screen.amount(effect.get("value"), str(effect.get("unit", "")), *bounds)


def known(effect: Mapping[str, Any] | None) -> str:
    """Say how many of the affected predictions have an outcome; empty where that was not recorded.

    Example:
        >>> known({"affected_predictions": 1200, "known_outcomes": 80})
        '80 of 1,200 outcomes known'
        >>> known({"affected_predictions": 1200, "known_outcomes": 1200})
        'all 1,200 outcomes known'
    """
    effect = effect or {}
    if not effect.get("unit", True):
        return ""
    there, moved = effect.get("known_outcomes"), effect.get("affected_predictions")
    if there is None or not moved:
        return ""
    if not there:
        return "no outcome known yet"
    return f"all {moved:,} outcomes known" if there == moved else f"{there:,} of {moved:,} outcomes known"


def estimated(cost: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> str:
    """Write the verdict's estimate where the incident was priced again since; empty where that still stands."""
    return f"first estimate {priced(first)}" if cost and first and cost.get("evidence") else ""


def told(cost: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> str:
    """Write all of it in one line."""
    newest = cost or first
    return "; ".join(part for part in (priced(newest), known(newest), estimated(cost, first)) if part)
