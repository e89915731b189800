"""Play every fault with several start days and score what was named, for `headwater demo --fault all --repeat N`.

`--fault none --repeat N` plays N harmless worlds instead: the same real days, with the harmless changes on other days.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time as machine
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwater.app.demo import LIVE, STARTS, Options, Say, Story, begin, check, decoy_days, finish, live
from headwater.core.errors import HeadwaterError, UsageError

AFTER = 12
"""Days that a repeated play goes on after its fault begins; a single `headwater demo` always plays to the end."""
_CLONED = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.head")


@dataclass(frozen=True)
class Play:
    """One cell of the table: a fault (or none) from a start day on, in a fork of a common past."""

    folder: str
    fault: str
    start: str
    last: str
    seed: int


def run_table(options: Options, faults: Sequence[str], say: Say) -> dict[str, Any]:
    """Play each fault from each start day and return the table with its shares."""
    began = machine.perf_counter()
    root = options.folder
    if options.repeat > len(STARTS) and list(faults) != ["none"]:
        raise UsageError(
            f"there are {len(STARTS)} start days, not {options.repeat}", hint=f"--repeat {len(STARTS)}, or --start D"
        )
    for fault in faults:
        check(fault, options.start or STARTS[0])
    if root.exists():
        if any(root.iterdir()) and not (root / ".table").exists():
            raise UsageError(f"{root} is not empty", hint="give another folder: headwater demo --dir DIR")
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / ".table").touch()
    if list(faults) == ["none"]:
        plays = list(_harmless(root, options, say))
    else:
        starts = [options.start] if options.start else list(STARTS[: options.repeat])
        plays = list(_forks(root, faults, starts, options.seed, say))
    rows = _played(plays, say)
    quiet = [row for row in rows if row["fault"] is None]
    faulty = [row for row in rows if row["fault"] is not None]
    return {
        "plays": rows,
        "faults": _by_fault(faulty),
        "named_first": _share(faulty, "named"),
        "right_side": _share(faulty, "side"),
        "right_remedy": _share(faulty, "remedy"),
        "all_right": _share(faulty, "right"),
        "detected_within_one_window": _share(faulty, "prompt"),
        "closed": _share(faulty, "closed"),
        "incidents_per_fault": round(sum(row["incidents"] for row in faulty) / len(faulty), 3) if faulty else None,
        "quiet_runs_without_blame": _share(quiet, "right"),
        "seconds": round(machine.perf_counter() - began, 1),
    }


def _forks(root: Path, faults: Sequence[str], starts: Sequence[str], seed: int, say: Say) -> Iterator[Play]:
    """Live the common past once and fork it on the eve of each start day."""
    story = begin(root / "past", "none", seed, min(starts), lambda text, share: say(text, share * 0.15))
    done = None
    for start in sorted(starts):
        eve = story.workspace.line.calendar.shift(story.workspace.line.calendar.window(start), -1).key
        first = LIVE[0] if done is None else story.workspace.line.calendar.shift(
            story.workspace.line.calendar.window(done), 1
        ).key  # fmt: skip
        if first <= eve:
            for _ in live(story, first, eve, lambda text, share: say(text, 0.15)):
                pass
        done = eve
        for fault in faults:
            folder = root / f"{fault}-{start}"
            fork(root / "past", folder)
            last = story.workspace.line.calendar.shift(story.workspace.line.calendar.window(start), AFTER).key
            yield Play(str(folder), fault, start, min(last, LIVE[1]), seed)


def _harmless(root: Path, options: Options, say: Say) -> Iterator[Play]:
    """Fork a common past on the eve of the first live day, for worlds that differ by their seed."""
    begin(root / "past", "none", options.seed, LIVE[0], lambda text, share: say(text, share * 0.15))
    for seed in range(options.seed, options.seed + options.repeat):
        folder = root / f"none-{seed}"
        fork(root / "past", folder)
        yield Play(str(folder), "none", LIVE[0], LIVE[1], seed)


def fork(source: Path, target: Path) -> None:
    """Copy a workspace; files that are never rewritten are linked, the rest is copied."""

    def copy(one: str, other: str) -> None:
        fixed = one.endswith((".parquet", ".pkl")) and "feeds" not in Path(one).parts
        if fixed:
            os.link(one, other)
        else:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=copy)


def _played(plays: Sequence[Play], say: Say) -> list[dict[str, Any]]:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    rows: dict[Play, dict[str, Any]] = {}
    workers = max(1, min(2, os.cpu_count() or 1))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(play, item): item for item in plays}
        for place, future in enumerate(as_completed(waiting)):
            item = waiting[future]
            try:
                rows[item] = future.result()
            except HeadwaterError as error:
                rows[item] = _broken(item, error)
            shutil.rmtree(item.folder, ignore_errors=True)
            say(f"{item.fault} from {item.start}: {rows[item]['said']}", 0.2 + 0.8 * (place + 1) / len(plays))
    return [rows[item] for item in plays]


def _broken(item: Play, error: HeadwaterError) -> dict[str, Any]:
    """Score a play that did not come to its end: nothing of it is right."""
    from headwater.testing.faults import FAULTS

    fault = FAULTS.get(item.fault)
    told = None if fault is None else {"name": fault.name, "asset": fault.asset, "start_window": item.start}
    wrong = dict.fromkeys(("right", "named", "side", "remedy", "prompt", "closed"), False)
    return {**wrong, "fault": told, "incidents": 0, "said": f"WRONG it broke: {error.message}"}


def play(item: Play) -> dict[str, Any]:
    """Play one fault in its fork and score it against the truth that was planted."""
    from headwater.app.demo import _fault
    from headwater.app.workspace import Workspace
    from headwater.core.clock import SimulatedClock
    from headwater.testing.flights_world import World

    began = machine.perf_counter()
    folder = Path(item.folder)
    clock = SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC))
    workspace = Workspace.open(folder, clock)
    story = Story(workspace, World(folder, item.seed), clock, _fault(item.fault), item.start)
    if item.fault == "none":
        live_days = [window.key for window in workspace.line.calendar.between(item.start, item.last)]
        story.decoys = decoy_days(item.seed, live_days[1:-1])
    for _ in live(story, item.start, item.last):
        pass
    answer = finish(story, machine.perf_counter() - began, report=False)
    return answer | scored(answer, story)


def scored(answer: Mapping[str, Any], story: Story) -> dict[str, Any]:
    """Score a play: named first, right side, right remedy, within one window."""
    fault, verdict = story.fault, answer["verdict"]
    if fault is None:
        right = answer["blaming"] == 0
        said = (
            "quiet" if answer["incidents"] == 0 else f"{answer['incidents']} incident(s), {answer['blaming']} blaming"
        )
        return {"right": right, "said": said}
    named = verdict is not None and verdict["subject"] == fault.asset
    side = verdict is not None and verdict["side"] == fault.side
    remedy = verdict is not None and verdict["remedy"] in fault.remedies
    said = "nothing" if verdict is None else f"{verdict['subject']} ({verdict['kind']}, {verdict['remedy']})"
    return {
        "named": named,
        "side": side,
        "remedy": remedy,
        "right": named and side and remedy,
        "prompt": answer["detected_window"] is not None and answer["detected_window"] <= _next(story),
        "said": ("" if named and side and remedy else "WRONG ") + said,
    }


def _next(story: Story) -> str:
    calendar = story.workspace.line.calendar
    return calendar.shift(calendar.window(story.start), 1).key


def _share(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return round(sum(bool(row[name]) for row in rows) / len(rows), 4) if rows else None


def _by_fault(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["fault"]["name"], []).append(row)
    return [
        {
            "fault": name,
            "asset": items[0]["fault"]["asset"],
            "plays": len(items),
            "named": sum(bool(item["named"]) for item in items),
            "side": sum(bool(item["side"]) for item in items),
            "remedy": sum(bool(item["remedy"]) for item in items),
            "right": sum(bool(item["right"]) for item in items),
            "said": sorted({str(item["said"]) for item in items}),
        }
        for name, items in found.items()
    ]
