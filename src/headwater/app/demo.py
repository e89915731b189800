"""The main job on real flights: one silent fault among harmless changes and storms, found, explained, put right."""

from __future__ import annotations

import gc
import random
import shutil
import time as machine
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.app.init import init
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import GateRefused, HeadwaterError, UnknownName, UsageError
from headwater.core.windows import Calendar, Window

if TYPE_CHECKING:
    from headwater.testing.faults import Fault
    from headwater.testing.flights_world import World

HISTORY = ("2013-01-01", "2013-06-30")
LIVE = ("2013-07-01", "2013-08-14")
DEFAULT_FAULT = "weather_offset"
STARTS = ("2013-07-17", "2013-07-24", "2013-08-01")
"""Days on which faults begin in repeated runs; the first is the default."""
DECOY_DAYS = {
    "2013-07-06": "refactor_departures",
    "2013-07-11": "reseeded_release",
    "2013-07-19": "rounding_route_history",
    "2013-07-29": "refactor_outcomes",
    "2013-08-05": "refactor_airport_load",
}
"""Days on which somebody changes something harmless; other seeds have other days (`decoy_days`)."""
MADE = ".demo"
"""A file that says that a folder was made by a demo, so that the next one may remove it."""
PEOPLE = {"data": "Dana (data)", "ml": "Milo (ml)"}

Say = Callable[[str, float], None]
"""``say(text, share)``: what is going on, and how much of the whole is done (0 to 1)."""


@dataclass(frozen=True)
class Options:
    """What to play: see `headwater demo --help`."""

    folder: Path
    fault: str = DEFAULT_FAULT
    repeat: int = 1
    seed: int = 0
    start: str | None = None


@dataclass(frozen=True)
class Team:
    """The calls of a workspace that a team makes, as faults and harmless changes make them."""

    workspace: Workspace

    def train(self, model: str, *, seed: int) -> str:
        """Train a version on the first half year and return its number."""
        return str(self.workspace.train(model, seed, *HISTORY)["version"])

    def release(self, model: str, version: str, *, by: str) -> None:
        """Release a version through the gate."""
        self.workspace.release(version, model, by)

    def deploy(self, model: str, version: str | None = None, parts: Mapping[str, Any] | None = None) -> None:
        """Set what the server has loaded."""
        self.workspace.deploy(model, version, parts)


@dataclass
class Story:
    """One play: the workspace, its outside world, and what happened in it."""

    workspace: Workspace
    world: World
    clock: SimulatedClock
    fault: Fault | None
    start: str
    detected: str | None = None
    decoys: Mapping[str, str] = field(default_factory=lambda: DECOY_DAYS)
    held: dict[str, str] = field(default_factory=dict)
    changes: list[dict[str, str]] = field(default_factory=list)

    def morning(self, window: Window) -> None:
        """Move the clock to the hour at which a day's run begins."""
        self.clock.move_to(window.start + timedelta(hours=5))


def run_demo(options: Options, say: Say = lambda text, share: None) -> dict[str, Any]:
    """Play the main job once and return what was planted, found and done about it."""
    began = machine.perf_counter()
    story = begin(options.folder, options.fault, options.seed, options.start or STARTS[0], say)
    for _ in live(story, *LIVE, say):
        pass
    return finish(story, machine.perf_counter() - began)


def begin(folder: Path, fault: str, seed: int, start: str, say: Say) -> Story:
    """Make the project, deliver half a year of history, train and release the first model."""
    gc.set_threshold(50_000, 20, 100)
    from headwater.testing.flights_world import World

    check(fault, start)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MADE).exists():
            raise UsageError(
                f"{folder} is not empty, and not of an earlier demo",
                hint="give another folder: headwater demo --dir DIR",
            )
        shutil.rmtree(folder)
    say("making the project", 0.0)
    init(folder, "flights")
    (folder / MADE).touch()
    world = World(folder, seed)
    say("half a year of flights arrives", 0.02)
    world.deliver_range(*HISTORY)
    clock = SimulatedClock(_calendar_start(folder))
    workspace = Workspace.open(folder, clock)
    say("delivering January to June", 0.08)
    workspace.run_range(*HISTORY, progress=lambda name: say(f"delivering January to June: {name}", 0.1))
    say("training and releasing the model", 0.3)
    trained = workspace.train("delay", seed=seed)
    workspace.release(trained["version"], "delay", by=PEOPLE["ml"])
    return Story(workspace, world, clock, _fault(fault), start)


def check(fault: str, start: str) -> None:
    """Refuse a fault that there is not, and a day that the demo does not live through."""
    _fault(fault)
    Calendar("1d").window(start)
    if not LIVE[0] <= start <= LIVE[1]:
        raise UsageError(f"no fault can begin on {start}", hint=f"a day from {LIVE[0]} to {LIVE[1]}: --start D")


def _calendar_start(folder: Path) -> Any:
    from headwater.app.config import load_config, load_project

    calendar = load_project(load_config(folder)).calendar
    return calendar.window(LIVE[0]).start


def _fault(name: str) -> Fault | None:
    from headwater.testing.faults import FAULTS

    if name == "none":
        return None
    if name not in FAULTS:
        raise UnknownName.of("fault", name, FAULTS, command="headwater demo --list-faults")
    return FAULTS[name]


def live(story: Story, first: str, last: str, say: Say = lambda text, share: None) -> Iterator[str]:
    """Live through the days first..last, one run a day; yield each day's key before its run."""
    _settle()
    windows = list(story.workspace.line.calendar.between(first, last))
    for place, window in enumerate(windows):
        yield window.key
        story.morning(window)
        _changes(story, window.key)
        story.world.deliver(window.key)
        report = story.workspace.run(window.key)
        alarms = len(report["alarms"])
        say(f"{window.key}" + (f"  {alarms} alarm(s)" if alarms else ""), 0.4 + 0.58 * (place + 1) / len(windows))
        if alarms and story.detected is None and window.key >= story.start:
            story.detected = window.key
        _people(story, window.key)


def decoy_days(seed: int, days: Sequence[str]) -> dict[str, str]:
    """Choose on which of the days every harmless change is made; seed 0 has the demo's own."""
    from headwater.testing.faults import DECOYS

    if seed == 0:
        return dict(DECOY_DAYS)
    chance = random.Random(seed)
    return dict(zip(chance.sample(list(days), len(DECOYS)), DECOYS, strict=True))


def _settle() -> None:
    """Keep the garbage collector from walking half a year of history over and over: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _changes(story: Story, key: str) -> None:
    """What teams do that day: the fault creeps in, or somebody changes something harmless."""
    from headwater.testing.faults import DECOYS

    if story.fault is not None and key == story.start:
        story.fault.plant(story.world, Team(story.workspace))
    if key in story.decoys:
        decoy = DECOYS[story.decoys[key]]
        change = {"window": key, "change": decoy.name, "subject": decoy.asset}
        try:
            decoy.plant(story.world, Team(story.workspace))
        except GateRefused as error:
            change["refused"] = error.message
        story.changes.append(change)


def _people(story: Story, key: str) -> None:
    """Two teams do their work: apply the remedy, sign what they read, deliver again what was held, close."""
    workspace = story.workspace
    for incident in workspace.incidents():
        name, state, verdict = incident["incident"], incident["state"], incident["verdict"]
        if state == "verdict" and verdict["status"] != "undetermined":
            workspace.remedy(name)
            try:
                workspace.remedy(name, apply=True, by=PEOPLE[verdict["side"] or "data"])
            except HeadwaterError as error:
                workspace.sign(name, verdict["side"] or "data", PEOPLE[verdict["side"] or "data"],
                               disagree=f"the remedy did not go through: {error.message}")  # fmt: skip
                continue
            if verdict["remedy"]["action"] == "hold" and verdict["status"] == "named":
                story.held[name] = key
        elif state == "remedied" and name in story.held and story.held[name] < key:
            _deliver_again(story, incident, key)
            del story.held[name]
        elif state == "verifying":
            for side, person in PEOPLE.items():
                workspace.sign(name, side, person, prevention_owner=verdict["owner"] or PEOPLE["data"])  # type: ignore[arg-type]
            workspace.close(name, by=PEOPLE["data"])


def _deliver_again(story: Story, incident: Mapping[str, Any], key: str) -> None:
    """The owner of a source answers the hold: the feed is mended and the held windows are delivered again."""
    verdict = incident["verdict"]
    if story.fault is None or verdict["subject"] != story.fault.asset:
        return
    story.fault.heal(story.world, Team(story.workspace))
    asset = verdict["remedy"]["parameters"]["asset"]
    stored = story.workspace.line.services.tables.keys(asset)
    windows = [item for item in stored if item >= min(verdict["remedy"]["windows"])]
    story.workspace.backfill(asset, windows[0], windows[-1])


def finish(story: Story, seconds: float, *, report: bool = True) -> dict[str, Any]:
    """Sum a play up as one object, and write its report."""
    from headwater.app.story import write_report

    workspace, fault = story.workspace, story.fault
    incidents = workspace.incidents(all=True)
    named = [item for item in incidents if item["verdict"] is not None and item["verdict"]["status"] == "named"]
    since = [item for item in named if item["window"] >= story.start]
    first = next(iter(since or named), None)
    verdict, cost = (None, None) if first is None else (first["verdict"], first["cost"])
    path = None
    if report:
        path = write_report(workspace.line, seconds, story.changes, fault.describe if fault else "")
    return {
        "project": str(workspace.line.config.folder) if workspace.line.config else workspace.project.name,
        "fault": None
        if fault is None
        else {
            "kind": fault.kind,
            "name": fault.name,
            "asset": fault.asset,
            "side": fault.side,
            "start_window": story.start,
        },
        "detected_window": story.detected,
        "incidents": len(incidents),
        "blaming": len(named),
        "verdict": None
        if verdict is None
        else {
            "subject": verdict["subject"],
            "kind": verdict["fault"],
            "side": verdict["side"],
            "owner": verdict["owner"],
            "confidence": verdict["confidence"],
            "remedy": verdict["remedy"]["action"],
            "effect": verdict["effect"],
            "cost": cost,
            "exonerated": [item["subject"] for item in verdict["suspects"] if item["exonerated"]],
        },
        "verified": bool(first and first["verified"]),
        "closed": bool(incidents) and all(item["state"] == "closed" for item in incidents),
        "report": None if path is None else str(path),
        "seconds": round(seconds, 1),
    }
