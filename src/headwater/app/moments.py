"""What the times of a table tell as a whole: rows without any, which no window has, and rows far from all others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from headwater.app.measuring import Laid
from headwater.app.pieces import held_by, rows_at
from headwater.app.report.tables import Change
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.signatures import Diagnosis

_ROWS, _LEAST, _MATERIAL = 3, 0.01, 0.15
"""Rows that lost their time, and the rise of their share, from which it is told, and from which it wakes somebody."""
_ASTRAY = 0.01
"""Share of the rows that wakes somebody when it is dated far from all others."""
_SCORE, _GRAVE = 3.0, 6.0
_ENOUGH = 0.8  # of the rows usual, that a window has when those without a time are shared out


def moments(laid: Laid, time: str | None) -> Change | None:
    """Return what changed about the time column as a whole, or None."""
    if time is None or time not in laid.whole.columns or time not in laid.latest.columns:
        return None
    found = [one for one in (_unknown(laid, time), _astray(laid, time)) if one is not None]
    if not found:
        return None
    found.sort(key=lambda change: change.severity != "alarm")
    return replace(found[0], detail="; ".join(change.detail for change in found))


def _unknown(laid: Laid, time: str) -> Change | None:
    past, now = laid.whole.columns[time], laid.latest.columns[time]
    if not past.rows or not now.rows:
        return None
    was, share = past.nulls / past.rows, now.nulls / now.rows
    if now.nulls - was * now.rows < _ROWS or share < 2 * was + _LEAST:
        return None
    severe = share - was >= _MATERIAL
    detail = f"`{time}` is null in {share:.0%} of the rows, usually {was:.1%}: those are in no window"
    score = _GRAVE if severe else _SCORE
    return Change(time, "alarm" if severe else "notice", f"null_share.{time}", score, share, was, detail, ())


def _astray(laid: Laid, time: str) -> Change | None:
    parts = laid.parts
    if not parts.astray:
        return None
    first = min((piece.window.start for piece in parts.reference), default=None)
    early = [piece for piece in parts.astray if first is not None and piece.window.end <= first]
    late = [piece for piece in parts.astray if piece not in early]
    told = ((early, "before the reference"), (late, "far from the rest"))
    detail = " and ".join(f"{rows_at(some)}, {where}" for some, where in told if some)
    rows = held_by(parts.astray)
    severe = rows >= max(_ROWS, _ASTRAY * laid.latest.rows)
    score, name = _GRAVE if severe else _SCORE, "min_hours" if early else "max_hours"
    pieces = tuple(piece.label for piece in parts.astray)
    return Change(time, "alarm" if severe else "notice", f"{name}.{time}", score, None, None, detail, pieces)


def without_echoes(found: Iterable[Change], timely: Change | None) -> list[Change]:
    """Add what changed about the times, in place of what it explains: rows that lost their time are in no window."""
    if timely is None:
        return list(found)
    kept = [change for change in found if not _explained(change, timely)]
    same = [change for change in kept if change.column == timely.column]
    if not same:
        return [timely, *kept]
    if timely.severity == "notice" and same[0].severity == "alarm":
        return [replace(one, detail=f"{one.detail}; {timely.detail}") if one is same[0] else one for one in kept]
    return [timely, *(one for one in kept if one is not same[0])]


def _explained(change: Change, timely: Change) -> bool:
    if change.metric != "rows" or not timely.metric.startswith("null_share.") or change.value is None:
        return False
    there = 1 - (timely.value or 0.0)
    return (
        there > 0 and change.expected is not None and _ENOUGH <= change.value / there / change.expected <= 1 / _ENOUGH
    )


def named_too(named: Sequence[Diagnosis], timely: Change | None) -> tuple[Diagnosis, ...]:
    """Name lost times as any other lost values, and not the rows that windows lack for it."""
    if timely is None or timely.severity != "alarm" or not timely.metric.startswith("null_share."):
        return tuple(named)
    lost = Diagnosis(
        Repair("redeliver", "null_burst", {"columns": [timely.column]}),
        "null_burst", timely.column, timely.score, timely.score, timely.detail, False, 1.0, (timely.metric,),
    )  # fmt: skip
    return (lost, *(one for one in named if one.fault != "truncated"))
