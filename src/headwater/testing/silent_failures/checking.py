"""Check an entry before it is played: names, references, windows, and that each fault finds the doors it asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, get_args

import polars as pl

from headwater.core.errors import HeadwaterError, ProjectInvalid, UnknownName
from headwater.core.names import Ref
from headwater.core.project import Project, arguments
from headwater.core.records import Action
from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.doors import intercepted, sources
from headwater.testing.silent_failures.entry import LIVE_AFTER, QUIET_BEFORE, SHAPES, Decoy, Draw, Entry, Fault, Hook
from headwater.testing.silent_failures.kinds import KINDS

ACTIONS: tuple[str, ...] = get_args(Action)
"""The remedies that a verdict can propose."""
SIDES = ("data", "ml")
HARMLESS = ("refactor", "rounding", "reseed", "reorder", "column")
"""The kinds of harmless changes."""


def check(entry: Entry) -> Project:
    """Check an entry and return its project.

    What begins each fault is run at doors that lead nowhere, and functions once each, on the last window of history, to
    see that they return Polars frames.

    Raises:
        ProjectInvalid: Something of it is wrong, or two things of it do not fit together.
        UnknownName: It names an asset, a source or a kind that is not there.
        UsageError: What it names as a window is none.
    """
    with _while(f"checking pipeline `{entry.name}`"):
        project = _built(entry)
        _collections(entry)
        _names(entry)
    _windows(entry, project.calendar)
    refs = _refs(project)
    for fault in entry.faults:
        with _while(f"checking fault `{fault.name}` of pipeline `{entry.name}`"):
            _fault(fault, refs)
    for world in entry.worlds:
        with _while(f"checking world `{world.name}` of pipeline `{entry.name}`"):
            _world(world, refs)
    for decoy in entry.decoys:
        with _while(f"checking decoy `{decoy.name}` of pipeline `{entry.name}`"):
            _decoy(decoy, refs)
    everything: tuple[Fault | Decoy, ...] = (*entry.faults, *entry.worlds, *entry.decoys)
    for item in everything:
        with _while(f"trying to plant `{item.name}` of pipeline `{entry.name}`"):
            _tried(item, entry, project)
    with _while(f"running functions of pipeline `{entry.name}` on window {entry.history[1]}"):
        _frames(project, project.calendar.window(entry.history[1]))
    return project


@contextmanager
def _while(doing: str) -> Iterator[None]:
    """Say of an error what was being done, unless it says so itself."""
    try:
        yield
    except HeadwaterError as error:
        error.doing = error.doing or doing
        raise


def _built(entry: Entry) -> Project:
    try:
        project = entry.build()
    except HeadwaterError:
        raise
    except Exception as error:
        raise ProjectInvalid(
            f"`build` of pipeline `{entry.name}` failed: {type(error).__name__}: {error}", hint="it makes a Project"
        ) from error
    if not isinstance(project, Project):
        raise ProjectInvalid(
            f"`build` of pipeline `{entry.name}` returned a {type(project).__name__}, not a Project",
            hint="end it with `return project`",
        )
    project.ordered()
    if len(project.models) != 1:
        raise ProjectInvalid(
            f"project `{project.name}` has {len(project.models)} models, and a case is played around one",
            hint="give it one with project.model(...)" if not project.models else "make an entry per model",
        )
    return project


def _collections(entry: Entry) -> None:
    """Refuse what a forgotten comma makes of a tuple of one."""
    for name, kind in (("faults", Fault), ("worlds", Fault), ("decoys", Decoy), ("onsets", str), ("storms", str)):
        value = getattr(entry, name)
        if not isinstance(value, (tuple, list)):
            raise ProjectInvalid(
                f"`{name}` is a {type(value).__name__}, not a tuple", hint="a tuple of one ends in a comma: (item,)"
            )
        for item in value:
            if not isinstance(item, kind):
                raise ProjectInvalid(
                    f"`{name}` holds a {type(item).__name__}: {item!r:.60}", hint=f"each must be a {kind.__name__}"
                )
    for name in ("faults", "onsets"):
        if not getattr(entry, name):
            raise ProjectInvalid(f"`{name}` is empty", hint="there is nothing to play")


def _names(entry: Entry) -> None:
    seen: dict[str, str] = {}
    for what in ("faults", "worlds", "decoys"):
        for item in getattr(entry, what):
            if not isinstance(item.name, str) or not item.name:
                raise ProjectInvalid(f"one of the `{what}` has no name", hint="cases are told apart by it")
            if item.name in seen:
                where = f"twice in `{what}`" if seen[item.name] == what else f"in `{seen[item.name]}` and in `{what}`"
                raise ProjectInvalid(
                    f"the name `{item.name}` is {where}", hint="give each fault, world and decoy a name of its own"
                )
            seen[item.name] = what


# --- windows ----------------------------------------------------------------------------------------------------------
def _windows(entry: Entry, calendar: Calendar) -> None:
    for what in ("history", "live"):
        with _while(f"reading `{what}` of pipeline `{entry.name}`"):
            _pair(what, getattr(entry, what), calendar)
    with _while(f"reading `live` of pipeline `{entry.name}`"):
        if entry.live[0] <= entry.history[1]:
            raise ProjectInvalid(
                f"`live` begins at {entry.live[0]}, and `history` ends at {entry.history[1]}",
                hint="history ends before the first live window",
            )
    live = [window.key for window in calendar.between(*entry.live)]
    for what in ("onsets", "storms"):
        with _while(f"reading `{what}` of pipeline `{entry.name}`"):
            _inside(what, getattr(entry, what), live, calendar)
    for subject, keys in entry.gaps.items():
        with _while(f"reading `gaps` of pipeline `{entry.name}`"):
            _inside(f"gaps of {subject}", keys, live, calendar)
    with _while(f"reading `onsets` of pipeline `{entry.name}`"):
        _room(entry.onsets, live)


def _pair(what: str, value: Any, calendar: Calendar) -> None:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ProjectInvalid(f"`{what}` is {value!r:.60}", hint="write its first and its last window: (first, last)")
    for key in value:
        calendar.window(key)
    if value[1] < value[0]:
        raise ProjectInvalid(f"`{what}` ends at {value[1]}, before it begins at {value[0]}", hint="first, then last")


def _inside(what: str, keys: tuple[str, ...], live: list[str], calendar: Calendar) -> None:
    known = set(live)
    for place, key in enumerate(keys):
        calendar.window(key)
        if key not in known:
            raise ProjectInvalid(f"{key} in `{what}` is no live window", hint=f"live is {live[0]} to {live[-1]}")
        if key in keys[:place]:
            raise ProjectInvalid(f"{key} is twice in `{what}`", hint="name each window once")


def _room(onsets: tuple[str, ...], live: list[str]) -> None:
    for earlier, later in pairwise(onsets):
        if later < earlier:
            raise ProjectInvalid(f"onset {later} comes after {earlier}", hint="sort the onsets, earliest first")
    for onset in onsets:
        before = live.index(onset)
        if before < QUIET_BEFORE:
            raise ProjectInvalid(
                f"onset {onset} has {before} live windows before it, and {QUIET_BEFORE} are needed",
                hint=f"begin `live` earlier, or take {live[QUIET_BEFORE]} or later"
                if len(live) > QUIET_BEFORE else "begin `live` earlier",
            )  # fmt: skip
        left = len(live) - before
        if left < LIVE_AFTER:
            raise ProjectInvalid(
                f"onset {onset} has {left} live windows from it on, and {LIVE_AFTER} are needed",
                hint="end `live` later, or take an earlier onset",
            )


def _frames(project: Project, window: Window) -> None:
    """Refuse functions that return no Polars frames, as far as one window without what lies before it shows them."""
    made: dict[str, pl.DataFrame] = {}
    for asset in project.ordered():
        if asset.layer in ("served", "prediction") or (asset.recomputable and not set(asset.parents) <= made.keys()):
            continue
        function = project.functions[asset.name]
        asked = asset.recomputable or not inspect.signature(function).parameters
        try:
            frame = function(*(arguments(function, made, asset.parents, window) if asked else [window]))
        except Exception:  # it may miss what lies before; what truly fails is told when history is delivered
            continue
        if isinstance(frame, pl.DataFrame):
            made[asset.name] = frame
        elif frame is not None:
            what = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
            raise ProjectInvalid(
                f"the function of `{asset.name}` returned a {what}, not a polars DataFrame",
                hint="convert it inside: pl.from_pandas(...) of a pandas frame, .collect() of a lazy one",
            )


# --- faults, worlds, decoys -------------------------------------------------------------------------------------------
def _refs(project: Project) -> dict[str, str]:
    """The side that answers, by every reference that can be blamed."""
    found = {project.ref(name): str(asset.side) for name, asset in project.assets.items()}
    for name in project.models:
        found |= {project.ref(name, "deployment"): "ml", project.ref(name, "model"): "ml"}
    return found


def _known(ref: Any, refs: Mapping[str, str]) -> None:
    if ref not in refs:
        where = f"in project `{Ref.parse(next(iter(refs))).namespace}`"
        raise UnknownName.of("asset", str(ref), refs, where=where)


def _fault(fault: Fault, refs: Mapping[str, str]) -> None:
    if not fault.asset:
        raise ProjectInvalid(
            f"fault `{fault.name}` names no asset", hint="name who fails; where nobody does, put it into `worlds`"
        )
    _known(fault.asset, refs)
    if KINDS[fault.kind].group == "world":
        raise ProjectInvalid(f"fault `{fault.name}` is a `{fault.kind}`, of which no asset is guilty",
                             hint="put it into `worlds`, with the asset ''")  # fmt: skip
    if fault.side not in SIDES:
        raise ProjectInvalid(f"fault `{fault.name}` has the side `{fault.side}`", hint=f"take {' or '.join(SIDES)}")
    if fault.side != refs[fault.asset]:
        raise ProjectInvalid(
            f"fault `{fault.name}` has the side `{fault.side}`, and `{fault.asset}` is of side `{refs[fault.asset]}`",
            hint="the side is the one that the project gives the asset",
        )
    _rest(fault, refs)


def _world(world: Fault, refs: Mapping[str, str]) -> None:
    if KINDS[world.kind].group != "world":
        kinds = [kind.name for kind in KINDS.values() if kind.group == "world"]
        raise ProjectInvalid(f"world `{world.name}` is a `{world.kind}`, which is a fault of an asset",
                             hint=f"a world is a {' or '.join(kinds)}; put it into `faults`")  # fmt: skip
    if world.asset or world.side:
        raise ProjectInvalid(f"world `{world.name}` blames `{world.asset or world.side}`",
                             hint="asset and side of a changed world are ''")  # fmt: skip
    _rest(world, refs)


def _rest(fault: Fault, refs: Mapping[str, str]) -> None:
    if isinstance(fault.accepted, str):
        raise ProjectInvalid(f"`accepted` of `{fault.name}` is text", hint="write a set: frozenset({'dataset:...'})")
    for ref in sorted(map(str, fault.accepted)):
        _known(ref, refs)
    if isinstance(fault.remedies, str) or not fault.remedies:
        raise ProjectInvalid(f"fault `{fault.name}` has no set of remedies", hint=f"some of {', '.join(ACTIONS)}")
    for action in sorted(map(str, fault.remedies)):
        if action not in ACTIONS:
            raise UnknownName.of("remedy", action, ACTIONS, where="one that a verdict can propose")
    for shape in (fault.shapes,) if isinstance(fault.shapes, str) else fault.shapes:
        if shape not in SHAPES:
            raise UnknownName.of("shape", str(shape), SHAPES, where="one in which a fault sets in")
    if isinstance(fault.shapes, str):
        raise ProjectInvalid(f"`shapes` of `{fault.name}` is text", hint=f"write ('{fault.shapes}',)")


def _decoy(decoy: Decoy, refs: Mapping[str, str]) -> None:
    _known(decoy.asset, refs)
    if decoy.kind not in HARMLESS:
        raise UnknownName.of("kind", str(decoy.kind), HARMLESS, where="one of a harmless change")


# --- planting ---------------------------------------------------------------------------------------------------------
class _Enough(Exception):
    """What comes next would need rows or a model."""


class _Dry:
    """Doors that lead nowhere: names are looked up, and nothing happens."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._sources = sources(project)

    def feed(self, source: str, hook: Hook) -> None:
        intercepted(source, self._project, self._sources)

    def code(self, asset: str, function: Callable[..., Any]) -> None:
        self.lag(asset)

    def function(self, asset: str) -> Callable[..., Any]:
        if asset in self._project.models:
            return self._project.models[asset].train
        self.lag(asset)
        return self._project.functions[asset]

    def rows(self, source: str, window: Window) -> pl.DataFrame | None:
        intercepted(source, self._project, self._sources)
        raise _Enough

    def lag(self, asset: str) -> int:
        if asset not in self._project.assets:
            raise UnknownName.of("dataset", asset, self._project.assets, where=f"in project `{self._project.name}`")
        return self._project.assets[asset].lag

    def train(self, seed: int, train: Callable[..., Any] | None = None) -> str:
        raise _Enough

    def release(self, version: str) -> bool:
        raise _Enough

    def deploy(self, version: str | None = None, parts: dict[str, Any] | None = None) -> None:
        raise _Enough

    def parts(self) -> dict[str, Any]:
        raise _Enough


def _tried(item: Fault | Decoy, entry: Entry, project: Project) -> None:
    """Begin a fault at doors that lead nowhere, as far as that goes without rows or a model."""
    if not callable(item.plant):
        raise ProjectInvalid(
            f"`plant` of `{item.name}` is a {type(item.plant).__name__}, not a function of doors and a draw",
            hint="take one of headwater.testing.silent_failures.planting",
        )
    draw = Draw(0, 1.0, "abrupt", entry.onsets[0], project.calendar)
    try:
        item.plant(_Dry(project), draw)
    except _Enough:
        return
    except HeadwaterError:
        raise
    except Exception as error:
        raise ProjectInvalid(
            f"`{item.name}` cannot be planted: {type(error).__name__}: {error}", hint="its `plant` is at fault"
        ) from error
