"""What a pipeline brings to the benchmark: a project of plain functions, faults with their truth, harmless changes.

Nothing here runs anything: `planting` holds ready-made faults that only want to be told where, and `playing` lives
the windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from headwater.core.canonical import digest
from headwater.core.errors import ProjectInvalid
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.kinds import KINDS

Shape = Literal["abrupt", "gradual", "intermittent"]
SHAPES: tuple[Shape, ...] = ("abrupt", "gradual", "intermittent")
GRADUAL = 7
"""Windows over which a gradual fault grows to its full strength."""
QUIET_BEFORE, LIVE_AFTER = 15, 8
"""Live windows that must lie before the first onset, and from each onset on (the onset counts)."""

Hook = Callable[[pl.DataFrame, Window], "pl.DataFrame | None"]
"""``hook(frame, window) -> frame``: what a feed sends in place of its true rows; None: nothing comes."""


class Doors(Protocol):
    """The doors that the people around a pipeline have, and the only ones that a fault may use."""

    def feed(self, source: str, hook: Hook) -> None:
        """From now on the outside world sends what ``hook`` makes of a source's true rows; hooks add up."""
        ...

    def code(self, asset: str, function: Callable[..., Any]) -> None:
        """Deploy new code for an asset (`Project.replace`)."""
        ...

    def function(self, asset: str) -> Callable[..., Any]:
        """Return the code of an asset as it is now, to wrap it; by a model's name, its training function."""
        ...

    def rows(self, source: str, window: Window) -> pl.DataFrame | None:
        """Return the true rows of a source for any window, whatever is sent."""
        ...

    def lag(self, asset: str) -> int:
        """Return by how many windows an asset trails its run."""
        ...

    def train(self, seed: int, train: Callable[..., Any] | None = None) -> str:
        """Train and register a version on what was delivered, with another training function if one is given.

        The training function is ``train(frame, seed)`` as in the project; return the version.
        """
        ...

    def release(self, version: str) -> bool:
        """Release a version through the gate; return whether the gate let it pass."""
        ...

    def deploy(self, version: str | None = None, parts: dict[str, Any] | None = None) -> None:
        """Set what the server loads past the registry: a version's files, or single parts of what it has."""
        ...

    def parts(self) -> dict[str, Any]:
        """Return the model parts that the server has loaded."""
        ...


@dataclass(frozen=True)
class Draw:
    """What chance decided about one fault in one case.

    Attributes:
        seed: Seed of everything random in it.
        severity: How hard it hits, in (0, 1]: the share of rows, or where between nothing and the full factor.
        shape: How it sets in.
        onset: The first run window that is faulty.
        calendar: The project's calendar.
    """

    seed: int
    severity: float
    shape: Shape
    onset: str
    calendar: Calendar

    def strength(self, window: Window, lag: int = 0) -> float:
        """Return how hard a feed is hit in one of its windows: 0 before the onset, at most ``severity``.

        Args:
            window: The feed's own window (a range counts by its last window).
            lag: Windows by which the feed trails its run: the fault begins with what arrives at the onset.
        """
        place = self._place(window) + lag
        return 0.0 if place < 0 else self._grown(place)

    def of_code(self, window: Window) -> float:
        """Return how hard code is hit in a window; code does not know when it was deployed, so earlier ones too."""
        place = self._place(window)
        return self._grown(max(place, 0) if self.shape == "gradual" else place)

    def chance(self, *about: object) -> np.random.Generator:
        """Return random numbers that depend on the draw and on what they are about, and on nothing else."""
        return np.random.default_rng(int(digest([self.seed, *map(str, about)])[:15], 16))

    def _grown(self, place: int) -> float:
        if self.shape == "gradual":
            return self.severity * min(1.0, (place + 1) / GRADUAL)
        return 0.0 if self.shape == "intermittent" and place % 2 else self.severity

    def _place(self, window: Window) -> int:
        """Windows from the onset to a window, negative before."""
        last = self.calendar.window(window.key.rpartition("..")[2])
        first = self.calendar.window(self.onset)
        length = 86_400 if self.calendar.every == "1d" else 3_600
        return round((last.start - first.start).total_seconds() / length)


Plant = Callable[[Doors, Draw], None]
"""Begins a fault or a harmless change; called before the first faulty window is delivered."""


@dataclass(frozen=True)
class Fault:
    """A silent fault with its ground truth.

    Attributes:
        name: What it is called; unique in its entry.
        kind: One of `kinds.KINDS`.
        asset: Full reference of the asset that fails, e.g. ``dataset:hotel/raw_rates`` or ``deployment:hotel/cancel``;
            empty when the world changes and no asset fails.
        side: Which side answers for it; empty for the world.
        remedies: The remedy actions that are right.
        plant: Begins it.
        accepted: Other assets that are an honest answer too; say why where it is used.
        shapes: How it can set in; empty: as its kind does.
        describe: One sentence for people.
    """

    name: str
    kind: str
    asset: str
    side: Literal["data", "ml", ""]
    remedies: frozenset[str]
    plant: Plant
    accepted: frozenset[str] = frozenset()
    shapes: tuple[Shape, ...] = ()
    describe: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProjectInvalid(
                f"fault `{self.name}` is of a kind `{self.kind}` that is not known",
                hint=f"take one of {', '.join(KINDS)}",
            )


@dataclass(frozen=True)
class Decoy:
    """A harmless change; whoever blames it is wrong.

    ``kind`` is ``refactor`` (other code, same output), ``rounding`` (equal to about 1e-7), ``reseed`` (a version that
    differs by its seed alone and went through the gate), ``reorder`` (the same rows in another order) or ``column`` (a
    new column that nobody reads).
    """

    name: str
    kind: Literal["refactor", "rounding", "reseed", "reorder", "column"]
    asset: str
    plant: Plant
    describe: str = ""


@dataclass(frozen=True)
class Entry:
    """A pipeline in the benchmark.

    Attributes:
        name: E.g. ``flights``.
        build: Makes a fresh project of plain functions; its sources are pure functions of the window.
        history: First and last window delivered as one range before training.
        live: First and last window that are run one by one.
        onsets: First faulty windows to choose from, spread over the seasons; at least `QUIET_BEFORE` live windows lie
            before the first and `LIVE_AFTER` from each one on.
        faults: What can go wrong, with its truth.
        decoys: What changes without harm.
        worlds: Changes of the world that no asset is to blame for: kinds ``covariate`` and ``concept``.
        storms: Live windows that are odd and no fault: holidays, storms, spikes.
        gaps: Live windows in which a real source is faulty by itself, by its reference: to name it there, and wait, is
            no false claim.
        describe: A sentence for the table's caption.
    """

    name: str
    build: Callable[[], Project]
    history: tuple[str, str]
    live: tuple[str, str]
    onsets: tuple[str, ...]
    faults: tuple[Fault, ...]
    decoys: tuple[Decoy, ...]
    worlds: tuple[Fault, ...] = ()
    storms: tuple[str, ...] = ()
    gaps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    describe: str = ""
