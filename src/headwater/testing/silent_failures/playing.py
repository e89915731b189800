"""Live a pipeline's clean past once, and play cases as forks of it, window by window."""

from __future__ import annotations

import time as machine
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headwater.core.errors import HeadwaterError, UsageError
from headwater.core.project import Project
from headwater.testing.silent_failures.cases import Planned
from headwater.testing.silent_failures.detectives import Scene, answered, detective, scene_of
from headwater.testing.silent_failures.doors import TeamDoors, Truth, World, opened
from headwater.testing.silent_failures.effects import Effect, Measured
from headwater.testing.silent_failures.entry import Decoy, Draw, Entry, Fault
from headwater.testing.silent_failures.kinds import KINDS
from headwater.testing.silent_failures.tiers import TIERS

SEED = 7
TIMED = 5
"""One in so many cases is judged once more on everything, to measure what that takes."""
FEEDS = ("ingestion", "content")
"""Groups of kinds that change what a feed sends, or keep it from coming."""
PEOPLE = {"data": "dana", "ml": "milo"}


class Workspaces(Protocol):
    """Makes the workspaces that are played in. The ones of the benchmark live in memory."""

    def open(self, project: Project, start: Any) -> Any:
        """Open an empty workspace with a simulated clock."""
        ...

    def stand(self, workspace: Any) -> Any:
        """Remember how a workspace stands."""
        ...

    def fork(self, standing: Any) -> Any:
        """Go on from there with a project of its own; what is done in the fork is not seen outside of it."""
        ...

    def judged(self, workspace: Any, incident: str, run: str, tier: str) -> Mapping[str, Any] | None:
        """Judge an incident anew on what a tier may see; None when that tier sees no alarm in it."""
        ...


@dataclass(frozen=True)
class Told:
    """What a verdict said of one incident after one window.

    Attributes:
        incident: Its name.
        run: The run window after which it said so.
        status: ``named``, ``world``, ``none`` or ``undetermined``.
        subject: Who is blamed.
        fault: The word for what happened.
        side: Whose side that is.
        confidence: The verdict's probability.
        action: The remedy's action.
        target: What it would act on.
        automatic: Whether it would act by itself.
        suspects: Subject, probability and whether it was cleared, for everyone listed.
    """

    incident: str
    run: str
    status: str
    subject: str
    fault: str
    side: str
    confidence: float
    action: str
    target: str
    automatic: bool
    suspects: tuple[tuple[str, float, bool], ...]

    @classmethod
    def of(cls, verdict: Mapping[str, Any], run: str) -> Told:
        """Read a verdict's plain data."""
        remedy = verdict["remedy"] or {}
        return cls(
            incident=verdict["incident"],
            run=run,
            status=verdict["status"],
            subject=verdict["subject"],
            fault=verdict["fault"],
            side=verdict["side"],
            confidence=float(verdict["confidence"]),
            action=remedy.get("action", "none"),
            target=remedy.get("target", ""),
            automatic=bool(remedy.get("automatic", False)),
            suspects=tuple(
                (item["subject"], float(item["probability"]), bool(item["exonerated"])) for item in verdict["suspects"]
            ),
        )


@dataclass
class Played:
    """A case as it was played.

    Attributes:
        case: What was planned.
        runs: The run windows that were played.
        opened: The run window after which each incident was there.
        told: Everything that verdicts said, in order.
        tiers: By tier, the last judgement of each incident on what that tier sees.
        effect: What the fault did, measured against the clean past.
        ranked: By other detective, whom it suspects, most first, and the side of the first.
        cpu: Seconds of processor time of the whole play.
        triage_cpu: Seconds of it for one full judgement of every incident.
        error: Why it could not be played to its end; empty when it could.
        loud: How the code of a fault failed, of which a job reports; empty when it did not.
    """

    case: Planned
    runs: list[str] = field(default_factory=list)
    opened: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    tiers: dict[str, list[Told]] = field(default_factory=dict)
    effect: Effect = field(default_factory=Effect)
    ranked: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    cpu: float = 0.0
    triage_cpu: float = 0.0
    error: str = ""
    loud: str = ""

    def last(self) -> list[Told]:
        """What was said last of each incident, in the order in which they opened."""
        newest = {item.incident: item for item in self.told}
        return [newest[name] for name in self.opened if name in newest]


@dataclass
class Past:
    """The clean past of a pipeline: how it stood on the eve of each onset, and what it was blamed for meanwhile.

    Attributes:
        entry: The pipeline's name.
        standings: By onset, how the workspace stood before it.
        last: How it stood at the end: what would have been without any fault.
        runs: The live windows that were run.
        told: What verdicts said of incidents that nobody had caused, when they were opened.
        cpu: Seconds of processor time.
    """

    entry: str
    standings: dict[str, Any]
    last: Any
    runs: list[str]
    told: list[Told]
    cpu: float = 0.0


def live(entry: Entry, workspaces: Workspaces, onsets: Sequence[str], after: int, say: Any = None) -> Past:
    """Live through a pipeline's history and its live windows as far as the last onset needs, with nothing wrong."""
    began = machine.process_time()
    project, truth = opened(entry.build())
    calendar = project.calendar
    first, last = entry.history
    workspace = workspaces.open(project, calendar.window(first).start)
    clock = workspace.line.services.clock
    final = calendar.shift(calendar.window(max(onsets)), after - 1).key
    past = Past(entry.name, {}, None, [], [])
    with World(truth).outside():
        clock.move_to(calendar.window(last).end)
        _whole(entry, workspace.run_range(first, last))
        version = workspace.train(seed=SEED, first=first, last=last)["version"]
        workspace.release(version, by=PEOPLE["ml"])
        for window in calendar.between(entry.live[0], min(final, entry.live[1])):
            if window.key in onsets:
                past.standings[window.key] = workspaces.stand(workspace)
            clock.move_to(window.end)
            known = {item["incident"] for item in workspace.incidents(all=True)}
            workspace.run(window.key)
            past.runs.append(window.key)
            _remember(workspace, known, window.key, past)
            settle(workspace)
            if say is not None:
                say(window.key)
    past.last = workspaces.stand(workspace)
    past.cpu = machine.process_time() - began
    return past


def _whole(entry: Entry, report: Mapping[str, Any]) -> None:
    """Raise the first failure in what was to be delivered as history; what reads a failed asset fails with it."""
    failed = sorted(report["failed"], key=lambda item: item["state"] != "FAIL")
    if not failed:
        return
    error = failed[0]["error"] or {"message": "it says no reason", "hint": None, "while": None}
    others = [f"`{item['dataset']}`" for item in failed[1:]]
    told = f"; so is not {', '.join(others[:5])}{' and others' if len(others) > 5 else ''}" if others else ""
    raise UsageError(
        f"`{failed[0]['dataset']}` is not delivered in history {report['window']}: {error['message']}{told}",
        doing=f"living the history of pipeline `{entry.name}`",
        hint=error["hint"] or "mend its function, or begin `history` where all of it is there",
    )


def _remember(workspace: Any, known: set[str], run: str, past: Past) -> None:
    for incident in workspace.incidents(all=True):
        if incident["incident"] not in known and incident["verdict"] is not None:
            past.told.append(Told.of(incident["verdict"], run))


def settle(workspace: Any) -> None:
    """Do what people do about a false alarm: accept what is normal, sign, close; the next case begins undisturbed."""
    for incident in workspace.incidents():
        name, state, verdict = incident["incident"], incident["state"], incident["verdict"]
        try:
            if state in ("verdict", "disputed") and verdict is not None:
                if verdict["status"] in ("named", "undetermined"):
                    for subject in (incident["subject"], *incident["subjects"]):
                        _accepted(workspace, subject)
                    workspace.why(name)
                now = next((item for item in workspace.incidents() if item["incident"] == name), None)
                if now is not None and now["state"] == "verdict" and now["verdict"]["status"] in ("none", "world"):
                    workspace.remedy(name, apply=True, by=PEOPLE["data"])
            elif state == "verifying":
                for side, person in PEOPLE.items():
                    workspace.sign(name, side, person, prevention_owner=PEOPLE["data"])
                workspace.close(name, by=PEOPLE["data"])
        except HeadwaterError:
            continue


def _accepted(workspace: Any, subject: str) -> None:
    try:
        workspace.accept(subject, by=PEOPLE["data"], reason="looked at: it is as it should be")
    except HeadwaterError:
        return


@dataclass
class Stage:
    """Everything that the cases of one pipeline share in a process."""

    entry: Entry
    past: Past
    workspaces: Workspaces
    truth: Truth
    measured: Measured
    detectives: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, entry: Entry, past: Past, workspaces: Workspaces, truth: Truth, detectives: Sequence[str] = ()
    ) -> Stage:
        """Set the stage for a pipeline whose past was lived; ``detectives`` are asked after each case with faults."""
        return cls(entry, past, workspaces, truth, Measured(workspaces.fork(past.last)), tuple(detectives))


def play(stage: Stage, case: Planned) -> Played:
    """Play one case to the end that its verdict or its length gives it."""
    began = machine.process_time()
    played = Played(case)
    workspace = stage.workspaces.fork(stage.past.standings[case.onset])
    world = World(stage.truth)
    doors = TeamDoors(workspace, world, stage.entry.history)
    calendar = workspace.project.calendar
    draw = Draw(case.seed, case.severity, case.shape, case.onset, calendar)
    known = {item["incident"] for item in workspace.incidents(all=True)}
    effect = stage.measured.against(workspace, case)
    try:
        with world.outside():
            for place in range(case.windows):
                window = calendar.shift(calendar.window(case.onset), place)
                workspace.line.services.clock.move_to(window.end)
                _plant(stage.entry, case, doors, draw, place, effect)
                report = workspace.run(window.key)
                if world.broken is not None:
                    raise world.broken
                played.loud = played.loud or _loud(stage.entry, case, report)
                played.runs.append(window.key)
                _listen(workspace, known, window.key, played)
                effect.look(window.key)
                if place < case.windows - 1 and _settled(case, played, stage.entry):
                    break
            _tiers(stage, workspace, played)
        if world.broken is not None:  # a hook that was asked again for an earlier window
            raise world.broken
    except HeadwaterError as error:
        played.error = str(error)
    except Exception as error:  # what an entry's own code raises is told of its case, and ends no other
        played.error = f"after {len(played.runs)} windows from {case.onset} on: {type(error).__name__}: {error}"
    played.effect = effect.found
    played.cpu = machine.process_time() - began
    if case.faults and played.runs and not played.error:
        scene = scene_of(workspace, case.name, played.runs)
        for name in stage.detectives:
            suspects = _asked(name, scene)
            played.ranked[name] = (suspects[:3], scene.side(suspects[0]) if suspects else "")
    return played


def _asked(name: str, scene: Scene) -> list[str]:
    try:
        told = detective(name)(scene)
    except Exception as error:
        failed = f"detective `{name}` failed on {scene.case}: {type(error).__name__}: {error}"
        raise UsageError(failed, hint="a detective must answer every scene, with an empty list if it must") from error
    return answered(name, told, scene)


def _plant(entry: Entry, case: Planned, doors: TeamDoors, draw: Draw, place: int, effect: Any) -> None:
    for name, after in case.decoys:
        if after == place:
            decoy = decoy_of(entry, name)
            _begin(decoy, f"decoy `{name}`", doors, draw)
            if decoy.kind == "reseed":
                effect.reseeded(doors.parts())
    if place == 0:
        for name in case.faults:
            fault = fault_of(entry, name)
            _begin(fault, f"{'fault' if fault.asset else 'world'} `{name}`", doors, draw)


def _begin(item: Fault | Decoy, who: str, doors: TeamDoors, draw: Draw) -> None:
    doors.planting = who
    try:
        item.plant(doors, draw)
    except HeadwaterError as error:
        error.doing = error.doing or f"planting {who} at {draw.onset}"
        raise
    except Exception as error:
        told = f"{who} cannot be planted at {draw.onset}: {type(error).__name__}: {error}"
        raise UsageError(told, hint="its `plant` is the entry's own code: mend it") from error


def _loud(entry: Entry, case: Planned, report: Mapping[str, Any]) -> str:
    """Say how the code of a fault failed in a window; a feed that fails its job is told by that job."""
    for fault in (fault_of(entry, name) for name in case.faults):
        kind, _, name = fault.asset.rpartition("/")
        asset = f"{name}_predictions" if kind.startswith("deployment:") else name
        for item in report["failed"]:
            if item["dataset"] == asset and item["state"] == "FAIL" and KINDS[fault.kind].group not in FEEDS:
                told = (item["error"] or {}).get("message", "")
                return f"fault `{fault.name}` is not silent in window {report['window']}: {told}"
    return ""


def fault_of(entry: Entry, name: str) -> Fault:
    """Return a fault or a change of the world by name."""
    return next(fault for fault in (*entry.faults, *entry.worlds) if fault.name == name)


def decoy_of(entry: Entry, name: str) -> Decoy:
    """Return a harmless change by name."""
    return next(decoy for decoy in entry.decoys if decoy.name == name)


def _listen(workspace: Any, known: set[str], run: str, played: Played) -> None:
    """Write down what every incident says that was opened, or touched, since the onset."""
    for incident in workspace.incidents(all=True):
        name = incident["incident"]
        if name in known and incident["state"] == "closed":
            continue
        if incident["verdict"] is None:
            continue
        told = Told.of(incident["verdict"], run)
        if name in known and incident["verdict"]["window"] < played.case.onset:
            continue
        played.opened.setdefault(name, run)
        played.told.append(told)


def _settled(case: Planned, played: Played, entry: Entry) -> bool:
    """Whether the same verdicts stood for two windows, so that another window would hardly change the score."""
    if case.role == "world" or len(played.runs) < 2:
        return False
    by_run = [
        {(item.incident, item.status, item.subject) for item in played.told if item.run == run}
        for run in played.runs[-2:]
    ]
    if case.control:
        return False
    named = {subject for _, status, subject in by_run[1] if status == "named"}
    wanted = 2 if case.role == "double" else 1
    return by_run[0] == by_run[1] and len(named) >= wanted


def _tiers(stage: Stage, workspace: Any, played: Played) -> None:
    """Judge once more on what each tier sees; on all that there is only now and then, to know what it takes."""
    run = played.runs[-1]
    for tier in TIERS if played.case.seed % TIMED == 0 else TIERS[1:]:
        began = machine.process_time()
        said = []
        for name in played.opened:
            verdict = stage.workspaces.judged(workspace, name, run, tier)
            if verdict is not None:
                said.append(Told.of(verdict, run))
        played.tiers[tier] = said
        if tier == "T3":
            played.triage_cpu = machine.process_time() - began
