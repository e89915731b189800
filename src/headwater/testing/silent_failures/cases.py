"""Which cases are played: faults, harmless changes, changes of the world and quiet stretches, drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headwater.core.canonical import digest
from headwater.testing.silent_failures.entry import SHAPES, Entry, Fault, Shape
from headwater.testing.silent_failures.kinds import KINDS

Role = Literal["fault", "double", "world", "decoy", "clean", "storm"]
CONTROLS: tuple[Role, ...] = ("decoy", "clean", "storm")
SEVERITIES = ((1.0, 0.3), (0.5, 0.3), (0.2, 0.25), (0.1, 0.15))
"""How hard a fault hits, and how often it does so."""
_SHAPES = {"abrupt": 0.7, "gradual": 0.15, "intermittent": 0.15}


@dataclass(frozen=True)
class Planned:
    """One case before it is played.

    Attributes:
        name: Unique and telling, e.g. ``flights/weather_celsius/2013-08-20/0``.
        entry: The pipeline.
        role: What it is.
        onset: First faulty window; for a control the first that is looked at.
        windows: How many windows are played at most.
        faults: Names of the faults that are planted.
        decoys: Names of harmless changes, with how many windows after the onset they happen.
        severity: See `entry.Draw`.
        shape: See `entry.Draw`.
        seed: Seed of everything random in it.
    """

    name: str
    entry: str
    role: Role
    onset: str
    windows: int
    faults: tuple[str, ...] = ()
    decoys: tuple[tuple[str, int], ...] = ()
    severity: float = 1.0
    shape: Shape = "abrupt"
    seed: int = 0

    @property
    def control(self) -> bool:
        """Whether nothing is wrong in it."""
        return self.role in CONTROLS


@dataclass(frozen=True)
class Size:
    """How much is played of each pipeline.

    Attributes:
        onsets: How many of its onsets are used.
        rounds: How often each fault is played.
        faults: At most so many fault cases (0: all).
        worlds: How often each change of the world is played.
        changes: At most so many cases of a changed world (0: all).
        doubles: Share of cases with two faults, of the fault cases.
        controls: Share of controls among all cases: clean stretches, storms and cases of harmless changes.
        harmless: Least share of cases of harmless changes alone, of all other cases that are planted.
        windows: Windows played at most from the onset on.
        quiet: Windows played of a case of harmless changes.
    """

    onsets: int = 6
    rounds: int = 2
    faults: int = 50
    worlds: int = 2
    changes: int = 0
    doubles: float = 0.1
    controls: float = 0.4
    harmless: float = 0.25
    windows: int = 8
    quiet: int = 3


STRETCH = 8
"""Windows of the clean past that count as one control."""
FULL = Size()
QUICK = Size(onsets=1, rounds=1, faults=12, worlds=1, changes=2, windows=7, quiet=2)


def chance(*about: object) -> np.random.Generator:
    """Return random numbers that depend on what they are about alone."""
    return np.random.default_rng(int(digest([str(item) for item in about])[:15], 16))


def plan(entry: Entry, size: Size, seed: int = 0) -> list[Planned]:
    """Draw the cases of a pipeline.

    A fault is played at different onsets, severities and shapes. Nearly every case also has one or two harmless
    changes, half of them in the very window of the onset; never at an asset that the fault hits.
    """
    onsets = entry.onsets[: size.onsets]
    found: list[Planned] = []
    chosen = _fault_rounds(entry, size, seed)
    for fault, again in chosen:
        found.append(_one(entry, "fault", (fault,), again, onsets, size, seed))
    for place in range(round(size.doubles * len(chosen))):
        found.append(_one(entry, "double", _pair(entry, place, seed), place, onsets, size, seed))
    changes = [(fault, again) for again in range(size.worlds) for fault in entry.worlds]
    order = chance(seed, entry.name, "worlds").permutation(len(changes)) if size.changes else range(len(changes))
    for place in list(order)[: size.changes or None]:
        found.append(_one(entry, "world", (changes[place][0],), changes[place][1], onsets, size, seed))
    wanted = math.ceil(len(found) * size.controls / (1 - size.controls)) - len(quiet_runs(entry, size))
    wanted = max(wanted, round(size.harmless * len(found)))
    if entry.decoys:
        found += [_one(entry, "decoy", (), place, onsets, size, seed) for place in range(wanted)]
    return found


def quiet_runs(entry: Entry, size: Size) -> list[tuple[Role, list[str]]]:
    """Cut the clean past into controls that cost nothing more: each storm, and the calm stretches between them."""
    calendar = entry.build().calendar
    last = calendar.shift(calendar.window(max(entry.onsets[: size.onsets])), size.windows - 1).key
    found: list[tuple[Role, list[str]]] = []
    stretch: list[str] = []
    for window in calendar.between(entry.live[0], min(last, entry.live[1])):
        storm = window.key in entry.storms
        if stretch and (storm or len(stretch) == STRETCH):
            found.append(("clean", stretch))
            stretch = []
        if storm:
            found.append(("storm", [window.key]))
        else:
            stretch.append(window.key)
    return [*found, ("clean", stretch)] if stretch else found


def _fault_rounds(entry: Entry, size: Size, seed: int) -> list[tuple[Fault, int]]:
    """Every fault in every round; when only some are wanted, kinds take turns so that each is there."""
    everything = [(fault, again) for again in range(size.rounds) for fault in entry.faults]
    if not size.faults or len(everything) <= size.faults:
        return everything
    order = chance(seed, entry.name, "faults").permutation(len(everything)).tolist()
    met: dict[str, int] = {}
    turns = []
    for place in order:
        kind = everything[place][0].kind
        met[kind] = met.get(kind, 0) + 1
        turns.append((met[kind], place))
    return [everything[place] for _, place in sorted(turns, key=lambda turn: turn[0])[: size.faults]]


def _one(
    entry: Entry, role: Role, faults: Sequence[Fault], again: int, onsets: Sequence[str], size: Size, seed: int
) -> Planned:
    names = tuple(fault.name for fault in faults)
    told = "+".join(names) or role
    random = chance(seed, entry.name, role, told, again)
    onset = onsets[int(random.integers(len(onsets)))] if again >= len(onsets) else _turn(onsets, told, again, seed)
    shape = _shape(faults, random)
    severity = _severity(random)
    if shape == "gradual":
        severity = 1.0
    elif role == "world":
        severity = max(severity, 0.5)  # a change of the world that nobody can see needs no verdict
    windows = size.quiet if role == "decoy" else size.windows
    return Planned(
        name=f"{entry.name}/{told}/{onset}/{again}",
        entry=entry.name,
        role=role,
        onset=onset,
        windows=windows,
        faults=names,
        decoys=_decoys(entry, faults, random, always=role == "decoy"),
        severity=severity,
        shape=shape,
        seed=int(random.integers(1, 2**31)),
    )


def _turn(onsets: Sequence[str], told: str, again: int, seed: int) -> str:
    """Different onsets in different rounds, in an order of the fault's own."""
    order = chance(seed, told, "onsets").permutation(len(onsets))
    return onsets[int(order[again % len(onsets)])]


def _shape(faults: Sequence[Fault], random: np.random.Generator) -> Shape:
    allowed = [
        shape for shape in SHAPES if all(shape in (fault.shapes or KINDS[fault.kind].shapes) for fault in faults)
    ]
    weights = np.array([_SHAPES[shape] for shape in allowed])
    return allowed[int(random.choice(len(allowed), p=weights / weights.sum()))] if faults else "abrupt"


def _severity(random: np.random.Generator) -> float:
    values, weights = zip(*SEVERITIES, strict=True)
    return float(random.choice(values, p=weights))


def _decoys(
    entry: Entry, faults: Sequence[Fault], random: np.random.Generator, *, always: bool
) -> tuple[tuple[str, int], ...]:
    """One or two harmless changes, none of them in a tenth of the cases."""
    hit = {fault.asset for fault in faults}
    free = [decoy for decoy in entry.decoys if decoy.asset not in hit]
    count = int(random.choice([0, 1, 2], p=[0.0 if always else 0.1, 0.5 if always else 0.45, 0.5 if always else 0.45]))
    picked = random.permutation(len(free))[:count]
    return tuple((free[int(place)].name, int(random.choice([0, 1], p=[0.7, 0.3]))) for place in picked)


def _pair(entry: Entry, place: int, seed: int) -> tuple[Fault, Fault]:
    """Two faults of different groups and assets."""
    random = chance(seed, entry.name, "double", place)
    order = [entry.faults[int(at)] for at in random.permutation(len(entry.faults))]
    first = order[0]
    group = KINDS[first.kind].group
    second = next(
        (fault for fault in order if fault.asset != first.asset and KINDS[fault.kind].group != group), order[-1]
    )
    return first, second
