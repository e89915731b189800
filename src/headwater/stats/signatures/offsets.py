"""Candidates for times: columns moved by whole or half hours, before or after the rows were cut into windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headwater.stats.signatures.calendars import Calendar
from headwater.stats.signatures.cases import Candidate, Case
from headwater.stats.signatures.measures import SLOTS
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.views import Floats, numbers, zone_hours

_MOVES = np.array([*np.arange(-14, 14.5, 0.5), *(24.0 * day for day in (-365, -7, -2, -1, 1, 2, 7, 365))])
_TIME_METRICS = ("outside", "first", "middle", "last", "hours", "phase", "course", "lag05", "lag50", "lag95")
_STRONG = 5.0


def propose_offsets(case: Case) -> Iterator[Candidate]:
    """Yield moves of the time columns that would explain abnormal times."""
    yield from _lagging(case)
    time = case.reference.time
    if time is None or not case.view.present(time) or not np.isfinite(case.view.time(time)).any():
        return
    broken = [one for one in case.reference.calendars if f"calendar:{one.column}" in case.abnormal]
    if not broken and not case.odd(time, *_TIME_METRICS) and "replay:" not in case.abnormal:
        return
    own = [one for one in case.reference.calendars if one.source == time and case.view.present(one.column)]
    times = case.columns("time")
    for move in _moves(case, time, own):
        for columns, calendars in _sets(time, times, own, broken):
            yield from _both_cuts(case, time, move, columns, calendars)
    if broken and own:
        yield from _calendars_only(case, time, [one for one in broken if one.source == time])


def _sets(
    time: str, times: Sequence[str], own: Sequence[Calendar], broken: Sequence[Calendar]
) -> Iterator[tuple[list[str], list[str]]]:
    """Which columns moved: the time alone or all times; with the calendar columns when they still agree with it."""
    intact = [one.column for one in own if one not in broken]
    named = [one.column for one in own] if len(intact) == len(own) else []
    yield [time], named
    if len(times) > 1:
        yield list(times), named
    if broken and len(broken) < len(own):
        # Moved only in part: the parts that still agree (years, months) may have moved too.
        yield [time], []


def _both_cuts(case: Case, time: str, move: float, columns: list[str], calendars: list[str]) -> Iterator[Candidate]:
    outside = case.r(f"outside:{time}") > 2
    moved = (case.view.elapsed(time) + move) / case.view.length
    given = moved[np.isfinite(moved)]
    leaving = float(np.mean((given < 0) | (given >= 1))) - case.usual(f"outside:{time}")
    parameters: dict[str, object] = {"columns": columns, "seconds": round(move * 3600)}
    if calendars:
        parameters |= {"calendar": calendars, "source": time, "zone_hours": zone_hours(case.window)}
    repair = Repair("time_shift", "time_offset", parameters)
    with_calendar = " and its calendar columns" if calendars else ""
    verb = "are" if len(columns) > 1 or with_calendar else "is"
    text = f"`{'`, `'.join(columns)}`{with_calendar} {verb} {_hours(-move)}"
    if leaving < 0.01:
        yield Candidate(repair, f"{text}; {_share(case, time):.0%} of the rows lie outside of the window", cost=1)
    if leaving > 0 and not outside and abs(move) < 24:
        text += "; the rows were cut into windows after that, so some of them belong to the neighbouring window"
        exact = any(f"calendar:{one.column}" in case.abnormal for one in case.reference.calendars)
        # The course of one odd day may look moved; rows that an earlier window had at another time were.
        demand = 2.0 if exact or "replay:" in case.abnormal else _STRONG
        yield Candidate(repair, text, wrap=True, demand=demand, cost=2, excused=frozenset({"repeat:"}))


def _hours(move: float) -> str:
    size = f"{abs(move):g} h"
    return f"{size} late" if move > 0 else f"{size} early"


def _share(case: Case, time: str) -> float:
    value = case.value(f"outside:{time}")
    return float(value) if np.isfinite(value) else 0.0


def _moves(case: Case, time: str, own: Sequence[Calendar]) -> list[float]:
    """Return the likeliest moves in hours that put the times right."""
    view = case.view
    elapsed = view.elapsed(time)
    found = _echo(case)
    for calendar in own:
        found += _gap(case, calendar, view.time(time))
    inside, wrapped = [], []
    counts = None if case.reference.clockwork is None else case.reference.clockwork.courses.get("")
    usual = None if counts is None else counts.mean(axis=0)
    edges = case.usual(f"first:{time}"), case.usual(f"last:{time}")
    for move in _MOVES:
        if not move:
            continue
        given = (elapsed + move)[np.isfinite(elapsed)] / view.length
        outside = float(np.mean((given < 0) | (given >= 1)))
        misfit = _misfit(given, usual)
        edge = abs(float(given.min()) - edges[0]) + abs(float(given.max()) - edges[1])
        inside.append((outside + misfit + edge, abs(move), float(move)))
        if abs(move) < 24:
            wrapped.append((misfit, abs(move), float(move)))
    inside.sort()
    wrapped.sort()
    if case.odd(time, "outside", "first", "middle", "last", "hours", "grain"):
        found += [move for _, _, move in inside[:2]]
    if case.reference.clockwork is not None:
        losses, _ = case.reference.clockwork.losses(view)
        if losses is not None:
            # A course that looks like the usual one k slots later was written k slots late.
            late = [int(one) for one in np.argsort(losses)[:3] if one]
            found += [float(-one if one <= SLOTS / 2 else SLOTS - one) * view.length / SLOTS for one in late]
    if case.odd(time, "hours"):
        found += [move for _, _, move in wrapped[:1]]
    zone = zone_hours(case.window)
    found += [zone, -zone] if zone else []
    return list(dict.fromkeys(found))[:7]


def _echo(case: Case) -> list[float]:
    """Return how far rows that an earlier window already had now stand from their first time."""
    rows, clock = case.reference.contents(case.view)
    if not len(rows) or "replay:" not in case.abnormal:
        return []
    for place in reversed(range(len(case.reference.hashes))):
        earlier, first = np.unique(case.reference.hashes[place], return_index=True)
        if not len(earlier):
            continue
        spot = np.searchsorted(earlier, rows).clip(0, len(earlier) - 1)
        same = earlier[spot] == rows
        gap = case.reference.clocks[place][first[spot[same]]] - clock[same]
        gap = gap[gap != 0]
        if len(gap) > 0.03 * len(rows):
            values, counts = np.unique(gap, return_counts=True)
            return [float(values[counts.argmax()]) / 3600] if counts.max() > 0.5 * len(gap) else []
    return []


def _misfit(given: Floats, usual: Floats | None) -> float:
    if usual is None:
        return 0.0
    slots = np.floor((given % 1.0) * SLOTS).astype(int).clip(0, SLOTS - 1)
    own = np.bincount(slots, minlength=SLOTS) / max(len(given), 1)
    return float(0.5 * np.abs(own - usual).sum())


def _gap(case: Case, calendar: Calendar, clock: Floats) -> list[float]:
    """Return the one move that makes the time agree with an hour or a day column again, if there is one."""
    if calendar.part not in ("hour", "day") or f"calendar:{calendar.column}" not in case.abnormal:
        return []
    expected = calendar.expected(clock, zone_hours(case.window))
    own = numbers(case.view.frame.get_column(calendar.column))
    gap = own - np.asarray(expected, dtype=float)
    gap = gap[np.isfinite(gap)]
    if not len(gap):
        return []
    if calendar.part == "day":
        values, counts = np.unique(gap, return_counts=True)
        best = int(np.argmax(counts))
        return [24.0 * float(values[best])] if values[best] and counts[best] > 0.9 * len(gap) else []
    values, counts = np.unique(gap % 24, return_counts=True)
    best = int(np.argmax(counts))
    if counts[best] < 0.8 * len(gap) or not values[best]:
        return []
    move = float(values[best])
    return [move, move - 24]


def _lagging(case: Case) -> Iterator[Candidate]:
    """Yield moves of single other time columns against the table's time."""
    for column in case.columns("time"):
        if column == case.reference.time or not case.odd(column, "lag05", "lag50", "lag95"):
            continue
        gap = (case.usual(f"lag50:{column}") - case.value(f"lag50:{column}")) * case.view.length
        move = round(gap * 2) / 2
        if move and np.isfinite(move):
            repair = Repair("time_shift", "time_offset", {"columns": [column], "seconds": round(move * 3600)})
            yield Candidate(repair, f"`{column}` is {_hours(-move)} against `{case.reference.time}`")


def _calendars_only(case: Case, time: str, broken: Sequence[Calendar]) -> Iterator[Candidate]:
    """Yield a rebuild of the calendar columns from the time column."""
    if not broken:
        return
    names = [one.column for one in broken]
    parameters = {"columns": names, "source": time, "zone_hours": zone_hours(case.window)}
    moves = {move for one in broken for move in _gap(case, one, case.view.time(time))}
    if moves:
        move = min(moves, key=abs)
        verb = "are" if len(names) > 1 else "is"
        text = f"`{'`, `'.join(names)}` {verb} {_hours(move)} against `{time}`"
        yield Candidate(Repair("calendar", "time_offset", parameters), text, cost=1 + len(names))
    share = max(case.value(f"calendar:{name}") for name in names)
    verb = "follow" if len(names) > 1 else "follows"
    text = f"`{'`, `'.join(names)}` no longer {verb} from `{time}` in {share:.0%} of the rows"
    yield Candidate(Repair("calendar", "dependency", parameters), text, cost=2 + len(names), prior=0.9)
