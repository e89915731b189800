"""The outside world of a played pipeline, and the doors through which its people act.

A source's code never changes here: it asks the world that stands outside at the moment, as a real one reads what has
landed. What the world sends is no part of the project, so no code hash tells of it.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.core.errors import DataError, GateRefused, HeadwaterError, UnknownName, UsageError
from headwater.core.project import Project
from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Hook


class Truth:
    """The true rows of a pipeline's sources, computed once for each window; shared by all worlds of a process."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = dict(functions)
        self._rows: dict[tuple[str, str], pl.DataFrame | None] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources whose rows it knows."""
        return tuple(self._functions)

    def rows(self, source: str, window: Window) -> pl.DataFrame | None:
        """Return what a source truly has for a window; None when that is nothing."""
        if source not in self._functions:
            raise UnknownName.of("source", source, self._functions)
        at = (source, window.key)
        if at not in self._rows:
            function = self._functions[source]
            self._rows[at] = function(window) if inspect.signature(function).parameters else function()
        return self._rows[at]


class World:
    """What the outside world sends: the truth, changed by hooks from some moment on.

    ``broken`` is the first error of a hook's own: a delivery takes it for a feed that did not come.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.hooks: dict[str, list[Hook]] = {}
        self.broken: HeadwaterError | None = None

    def send(self, source: str, window: Window) -> pl.DataFrame:
        """Return what arrives from a source; raise `DataError` when nothing does."""
        frame = self.truth.rows(source, window)
        if frame is not None and not isinstance(frame, pl.DataFrame):
            return frame  # what is no frame is refused where it is delivered, with the reason
        for hook in self.hooks.get(source, ()):
            frame = None if frame is None else hook(frame, window)
        if frame is None:
            raise DataError(f"nothing has landed from `{source}` for {window.key}", hint="ask who sends it")
        return frame.clone()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let this world be the one that sources ask."""
        _standing.append(self)
        try:
            yield
        finally:
            _standing.pop()


def _broken(who: str, source: str, window: Window, frame: pl.DataFrame, error: Exception) -> UsageError:
    told, hint = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}", None
    if isinstance(error, pl.exceptions.ColumnNotFoundError):
        quoted = re.search(r'"([^"]+)"', told)
        error = UnknownName.column(quoted[1] if quoted else told, frame.columns, "the feed")
    if isinstance(error, HeadwaterError):
        told, hint = error.message, error.hint
    if hint is None and _ready_made(error):
        hint = (
            f"it is a ready-made plant that failed, on {frame.height} rows, and no code of the entry: see whether what "
            "it was given fits the feed's columns and their types; if it does, the mistake is Headwater's"
        )
    return UsageError(
        f"{who or 'a hook'} cannot change feed `{source}` in window {window.key}: {told}",
        hint=hint or "the change is the entry's own code: mend it",
    )


_OURS = tuple(f"headwater.testing.silent_failures.{module}" for module in ("doors", "feeds", "harmless"))
_FRAMES = ("polars", "numpy")


def _ready_made(error: Exception) -> bool:
    """Tell whether an error arose in a ready-made plant, and no code of the entry had a hand in it."""
    ready = False
    for step, _ in traceback.walk_tb(error.__traceback__):
        module = str(step.f_globals.get("__name__", ""))
        if module not in _OURS:
            return ready and module.partition(".")[0] in _FRAMES
        ready = ready or (module != __name__ and not step.f_code.co_qualname.startswith("changed_feed."))
    return ready


_standing: list[World] = []


def landed(source: str, window: Window) -> pl.DataFrame:
    """Ask the world that stands outside at the moment."""
    if not _standing:
        raise UsageError(f"no world stands outside to send `{source}`", hint="run it inside `with world.outside():`")
    return _standing[-1].send(source, window)


def _landing(source: str) -> Callable[[Window], pl.DataFrame]:
    def land(window: Window) -> pl.DataFrame:
        return landed(source, window)

    return land


def opened(project: Project) -> tuple[Project, Truth]:
    """Put the world in place of a fresh project's sources; return both."""
    landing = sources(project)
    truth = Truth({name: project.functions[name] for name in landing})
    for name in landing:
        project.replace(name, _landing(name))
    return project, truth


def sources(project: Project) -> list[str]:
    """Return the sources that the world stands in for."""
    return [name for name, asset in project.assets.items() if asset.layer == "raw"]


def intercepted(source: str, project: Project, known: Iterable[str]) -> None:
    """Raise unless the world stands in for a source: what is planted elsewhere would do nothing."""
    known = list(known)
    if source in known:
        return
    if source not in project.assets:
        raise UnknownName.of("source", source, known, where=f"in project `{project.name}`")
    asset = project.assets[source]
    if asset.recomputable:
        raise UsageError(
            f"`{source}` is made by code, so that no feed of it can be changed",
            hint="change its code: plant.changed_code, or doors.code",
        )
    raise UsageError(
        f"the feed of source `{source}` cannot be changed: its layer is `{asset.layer}`, and only raw ones land",
        hint="leave layer= out, or change its code: plant.changed_code, or doors.code",
    )


class TeamDoors:
    """The doors of one pipeline's people, over its workspace and its world.

    Args:
        workspace: The `headwater.Workspace` that is played in.
        world: What stands outside of it.
        history: First and last window that versions are trained on.
    """

    def __init__(self, workspace: Any, world: World, history: tuple[str, str]) -> None:
        self._workspace = workspace
        self._project: Project = workspace.project
        self._world = world
        self._history = history
        self._model = next(iter(self._project.models.values()))
        self.planting = ""
        """Who comes through the doors at the moment, e.g. ``fault `pounds` ``."""

    def feed(self, source: str, hook: Hook) -> None:
        """From now on the outside world sends what ``hook`` makes of a source's rows; hooks add up."""
        intercepted(source, self._project, self._world.truth.sources)
        self._world.hooks.setdefault(source, []).append(self._named(source, hook, self.planting))

    def _named(self, source: str, hook: Hook, who: str) -> Hook:
        """Let errors of a hook tell whose it is; they are the entry's own, and no fault of the pipeline."""

        def named(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
            try:
                made = hook(frame, window)
                if made is None or isinstance(made, pl.DataFrame):
                    return made
                raise TypeError(f"it returned a {type(made).__name__}, not a polars DataFrame or None")
            except Exception as error:
                broken = _broken(who, source, window, frame, error)
                self._world.broken = self._world.broken or broken
                raise broken from error

        return named

    def code(self, asset: str, function: Callable[..., Any]) -> None:
        """Deploy new code for an asset."""
        self._project.replace(asset, function)

    def function(self, asset: str) -> Callable[..., Any]:
        """Return the code of an asset as it is now; by a model's name, its training function."""
        if asset in self._project.models:
            return self._project.models[asset].train
        if asset not in self._project.functions:
            raise UnknownName.of("dataset", asset, self._project.functions)
        return self._project.functions[asset]

    def rows(self, source: str, window: Window) -> pl.DataFrame | None:
        """Return the true rows of a source for any window."""
        return self._world.truth.rows(source, window)

    def lag(self, asset: str) -> int:
        """Return by how many windows an asset trails its run."""
        return self._project.assets[asset].lag

    def train(self, seed: int, train: Callable[..., Any] | None = None) -> str:
        """Train and register a version on the history, with another training function if one is given."""
        model = self._project.models[self._model.name]
        if train is not None:
            self._project.models[model.name] = replace(model, train=train)
        try:
            first, last = self._history
            made: str = self._workspace.train(model.name, seed=seed, first=first, last=last)["version"]
        finally:
            self._project.models[model.name] = model
        return made

    def release(self, version: str) -> bool:
        """Release a version through the gate; return whether the gate let it pass."""
        try:
            self._workspace.release(version, self._model.name, by="ml-release")
        except GateRefused:
            return False
        return True

    def deploy(self, version: str | None = None, parts: dict[str, Any] | None = None) -> None:
        """Set what the server loads past the registry."""
        self._workspace.deploy(self._model.name, version=version, parts=parts, by="ml-serving")

    def parts(self) -> dict[str, Any]:
        """Return the model parts that the server has loaded."""
        line = self._workspace.line
        loaded = line.state.deployments.get(self._model.name).parts
        return {name: line.services.parts.load(part) for name, part in loaded.items()}
