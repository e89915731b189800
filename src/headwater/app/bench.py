"""Run the Silent Failures benchmark on this product: pasts first, then cases, in two processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import tempfile
import threading
import time as machine
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headwater.app.forking import Standing, fork, in_memory, learned, own, stand
from headwater.app.judging import case as case_of
from headwater.app.wiring import Services
from headwater.app.workspace import Workspace
from headwater.core.errors import OutsideError, UsageError
from headwater.core.project import Project
from headwater.testing.silent_failures import cases, pipelines, scoring
from headwater.testing.silent_failures.checking import check
from headwater.testing.silent_failures.detectives import detective
from headwater.testing.silent_failures.doors import opened
from headwater.testing.silent_failures.entry import Entry
from headwater.testing.silent_failures.pipelines.landing import VARIABLE
from headwater.testing.silent_failures.playing import Past, Played, Stage, live, play
from headwater.testing.silent_failures.tiers import SIGHT, TIERS, Tier
from headwater.triage.verdict import judge

BESIDE = ("data", "../shared/data")
"""Folders, seen from the present one, in which the data is looked for when nobody says where it is."""
CHUNK = 4
_FOLDER = "silent-failures-"
Say = Callable[[str, float], None]
"""``say(text, share)``: how far it has come."""


class InMemory:
    """Workspaces in memory for one pipeline; see `headwater.testing.silent_failures.playing.Workspaces`."""

    def __init__(self, project: Project, folder: Path) -> None:
        self._project = project
        self._folder = folder
        self._services: Services | None = None
        self._newest: tuple[Standing, Workspace] | None = None

    def open(self, project: Project, start: Any) -> Workspace:
        """Open an empty workspace."""
        return in_memory(project, self._folder, start)

    def stand(self, workspace: Workspace) -> Standing:
        """Remember how a workspace stands."""
        return stand(workspace, self._folder)

    def fork(self, standing: Standing) -> Workspace:
        """Go on from there; what the last fork learned of the common past is not learned again."""
        if self._newest is not None:
            learned(*self._newest)
        made = fork(standing, own(self._project), self._services)
        self._services = self._services or made.line.services
        self._newest = (standing, made)
        return made

    def judged(self, workspace: Workspace, incident: str, run: str, tier: str) -> Mapping[str, Any] | None:
        """Judge an incident anew on what a tier may see; None when that leaves no alarm."""
        line = workspace.line
        seen = case_of(line, line.state.incidents.get(incident), run, sight=SIGHT[tier])  # type: ignore[index]
        if not any(finding.severity == "alarm" for finding in seen.findings):
            return None
        return judge(seen, line.services.clock.now()).body()


def silent_failures(
    names: Sequence[str] = (),
    *,
    quick: bool = False,
    seed: int = 0,
    data: Path | None = None,
    workers: int = 2,
    detectives: Sequence[str] = (),
    say: Say = lambda text, share: None,
) -> dict[str, Any]:
    """Play the benchmark and score it.

    Args:
        names: Pipelines, by name or ``module:attribute``; all that come with Headwater by default.
        quick: A small draw of cases, at one onset each.
        seed: Seed of the draw.
        data: The folder that holds the pipelines' data.
        workers: How many processes play.
        detectives: Others to ask about each fault, by name or ``module:attribute``; see
            `headwater.testing.silent_failures.detectives`.
        say: Told how far it has come.

    Returns:
        ``tables`` ({pipeline: {tier: scores}}), ``kinds`` (by pipeline and tier), ``rivals`` (other detectives'
        scores), ``cases`` (each scored case), ``skipped`` (pipelines whose data is not here, and why), ``not_played``
        (cases that broke), ``not_silent`` (cases in which a fault's own code failed), ``without_effect`` (by pipeline,
        faults that moved nothing in any of their cases, with how many those were) and ``seconds``.

    Raises:
        OutsideError: A pipeline that was asked for has no data here, or none has.
    """
    began = machine.perf_counter()
    chosen = list(names) or list(pipelines.NAMES)
    size = cases.QUICK if quick else cases.FULL
    for name in detectives:
        detective(name)
    with _environment(data):
        entries, skipped = _loaded(chosen, explicit=bool(names))
        if len({entry.name for entry in entries.values()}) < len(entries):
            raise UsageError("two of the pipelines have the same name", hint="names tell tables apart")
        planned = {name: cases.plan(entry, size, seed) for name, entry in entries.items()}
        _sweep(place := Path(_fast() or tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-", dir=place) as folder:
            played = _play_all(planned, size, Path(folder), workers, tuple(detectives), say)
        scored = [
            scoring.score(entries[name], one, tier, assets)
            for name, (ones, assets) in played.items()
            for one in ones
            if not one.error
            for tier in TIERS
            if tier == "T3" or one.case.role not in ("clean", "storm")
        ]
    everything = [one for ones, _ in played.values() for one in ones]
    return {
        "tables": tables(scored),
        "rivals": {entries[name].name: scoring.rivals(entries[name], ones) for name, (ones, _) in played.items()},
        "kinds": {
            entry.name: {tier: scoring.by_kind(_of(scored, entry.name, tier)) for tier in TIERS}
            for entry in entries.values()
        },
        "cases": [asdict(case) for case in scored],
        "not_played": [{"case": one.case.name, "error": one.error} for one in everything if one.error],
        "not_silent": [{"case": one.case.name, "error": one.loud} for one in everything if one.loud],
        "without_effect": {
            entries[name].name: found for name, (ones, _) in played.items() if (found := scoring.without_effect(ones))
        },
        "skipped": skipped,
        "quick": quick,
        "seed": seed,
        "seconds": round(machine.perf_counter() - began, 1),
    }


def _loaded(names: Sequence[str], *, explicit: bool) -> tuple[dict[str, Entry], dict[str, str]]:
    """Load pipelines; those that come with Headwater are passed over when their data is not here."""
    entries: dict[str, Entry] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            entries[name] = pipelines.load(name)
            check(entries[name])
        except OutsideError as error:
            if explicit or len(skipped) + 1 == len(names):
                raise
            entries.pop(name, None)
            skipped[name] = error.message
    return entries, skipped


def tables(scored: Sequence[scoring.Scored]) -> dict[str, dict[Tier, dict[str, Any]]]:
    """Sum scored cases up by pipeline and tier."""
    names = list(dict.fromkeys(case.entry for case in scored))
    return {name: {tier: scoring.summary(_of(scored, name, tier)) for tier in TIERS} for name in names}


def _of(scored: Sequence[scoring.Scored], entry: str, tier: Tier) -> list[scoring.Scored]:
    return [case for case in scored if case.entry == entry and case.tier == tier]


@contextmanager
def _environment(data: Path | None) -> Iterator[None]:
    """Give the processes that are started one thread each, and tell them where the data is."""
    if data is None and VARIABLE not in os.environ:
        data = next((Path(place).resolve() for place in BESIDE if Path(place).is_dir()), None)
    wanted = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", **({VARIABLE: str(data)} if data else {})}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _fast() -> str | None:
    """Return a folder in memory where there is one: pasts are some hundred megabytes."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 4e9 else None


def _sweep(place: Path) -> None:
    """Remove what runs left that were killed."""
    for folder in place.glob(f"{_FOLDER}*-*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _follow(parent: int) -> None:
    """End this process soon after the one that started it, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            machine.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _play_all(
    planned: Mapping[str, Sequence[cases.Planned]],
    size: cases.Size,
    folder: Path,
    workers: int,
    detectives: tuple[str, ...],
    say: Say,
) -> dict[str, tuple[list[Played], int]]:
    """Live every past, and play the cases of a pipeline as soon as its past is there."""
    total = sum(map(len, planned.values())) + 30 * len(planned)
    done = 0
    found: dict[str, tuple[list[Played], int]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_follow, initargs=(os.getpid(),)) as pool:
        running: dict[Future[Any], tuple[str, Sequence[cases.Planned] | None]] = {
            pool.submit(_live, name, size, str(folder)): (name, None) for name in planned
        }
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name, chunk = running.pop(future)
                if chunk is None:
                    found[name] = future.result()
                    ordered = sorted(planned[name], key=lambda case: case.onset)
                    for at in range(0, len(ordered), CHUNK):
                        part = ordered[at : at + CHUNK]
                        running[pool.submit(_play, name, str(folder), part, detectives)] = (name, part)
                    done += 30
                else:
                    found[name][0].extend(future.result())
                    done += len(chunk)
                say(f"{name}: {'its past' if chunk is None else 'cases'}", min(1.0, done / total))
    return found


def _live(name: str, size: cases.Size, folder: str) -> tuple[list[Played], int]:
    """Live a pipeline's past, write it down, and return its quiet cases and how many assets it has."""
    import cloudpickle

    entry = pipelines.load(name)
    place = Path(folder) / _safe(name)
    place.mkdir(parents=True, exist_ok=True)
    project, _ = opened(entry.build())
    past = live(entry, InMemory(project, place), entry.onsets[: size.onsets], size.windows)
    (place / "past.pickle").write_bytes(cloudpickle.dumps(past, protocol=5))
    return scoring.quiet_cases(entry, past, size), len(project.assets)


_stages: dict[str, Stage] = {}


def _play(name: str, folder: str, planned: Sequence[cases.Planned], detectives: tuple[str, ...]) -> list[Played]:
    """Play some cases of a pipeline."""
    if name not in _stages:
        _stages.clear()
        entry = pipelines.load(name)
        place = Path(folder) / _safe(name)
        past: Past = pickle.loads((place / "past.pickle").read_bytes())
        project, truth = opened(entry.build())
        _stages[name] = Stage.of(entry, past, InMemory(project, place), truth, detectives)
    return [play(_stages[name], case) for case in planned]


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
