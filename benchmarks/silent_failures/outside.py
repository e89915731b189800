"""Ask tools from outside about recorded scenes, each in an environment of its own, and score them like all others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from profiling.environments import PINS, Unavailable, environment
from silent_failures.recording import folder_of, is_joined

from headwater.testing.silent_failures import cases, pipelines
from headwater.testing.silent_failures.effects import Effect
from headwater.testing.silent_failures.playing import Played
from headwater.testing.silent_failures.scoring import HEADLINE, rivals

HERE = Path(__file__).resolve().parent / "peers"
CACHE = HERE.parents[2] / ".bench"
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


@dataclass(frozen=True)
class Outsider:
    """A tool from outside.

    Attributes:
        name: What the page calls it.
        peer: Its environment.
        package: Its package.
        script: Its script in ``peers/``.
        asked: How it is asked, in a sentence.
        pinned: The folder with its list of versions.
        cases: At most so many cases of a pipeline, evenly drawn (0: all).
        joined: Whether it needs the joined rows, which not every scene has.
        minutes: When it is stopped; it is scored on the cases that it had until then.
    """

    name: str
    peer: str
    package: str
    script: str
    asked: str
    pinned: Path = HERE
    cases: int = 0
    joined: bool = False
    minutes: float = 15.0


OUTSIDERS = (
    Outsider(
        "BARO", "baro", "fse-baro", "baro_scores.py",
        "its robust scorer on rows, means, deviations and nulls of every asset, an asset by its best metric.",
        HERE, 25, False, 4.0,
    ),
    Outsider(
        "Evidently", "evidently", "evidently", "evidently_drift.py",
        "its drift preset on the model's features before and since; who is blamed follows from the lineage as for "
        "`most drifted`.",
        PINS, 10, False, 4.0,
    ),
    Outsider(
        "DoWhy", "dowhy", "dowhy", "dowhy_change.py",
        "`gcm.distribution_change` on the lineage upstream of the predictions, or of the labels where only they moved, "
        "an asset by the column that moved most.",
        HERE, 6, True, 6.0,
    ),
)  # fmt: skip


def version(outsider: Outsider) -> str:
    """The pinned version of its package."""
    pins = (outsider.pinned / f"{outsider.peer}.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in pins if line.startswith(f"{outsider.package}=="))


def ask(answer: Mapping[str, Any], scenes: Path, size: cases.Size, names: Sequence[str]) -> list[str]:
    """Put every outsider's scores into the answer's ``rivals``; return why some are not there.

    Args:
        answer: What `headwater.app.bench.silent_failures` returned.
        scenes: Where the scenes of its cases were recorded.
        size: How much was played.
        names: The pipelines that were played, by name or ``module:attribute``.
    """
    problems = []
    entries = {entry.name: entry for entry in map(pipelines.load, names) if entry.name in answer["tables"]}
    planned = {case.name: case for entry in entries.values() for case in cases.plan(entry, size, answer["seed"])}
    for outsider in OUTSIDERS:
        chosen = {name: drawn(_open_to(outsider, headline(answer, name), scenes), outsider.cases) for name in entries}
        try:
            told = _told(outsider, [case["name"] for some in chosen.values() for case in some], scenes)
        except (Unavailable, OSError, subprocess.SubprocessError) as error:
            problems.append(f"{outsider.name}: {error}")
            continue
        for name, some in chosen.items():
            some, played = [case for case in some if case["name"] in told], []
            for case in some:
                ranked = told[case["name"]]["ranked"]
                side = _side(scenes, case["name"], ranked)
                said = {outsider.name: (ranked[:3], side)}
                played.append(Played(planned[case["name"]], effect=Effect(case["effect"]), ranked=said))
            scores = rivals(entries[name], played).get(outsider.name)
            if scores is not None:
                answer["rivals"][name][outsider.name] = scores | _beside(some, told)
    return problems


def headline(answer: Mapping[str, Any], entry: str) -> list[Mapping[str, Any]]:
    """Single faults of a pipeline that do something, by kind: what rivals are scored on."""
    found = [case for case in answer["cases"] if case["entry"] == entry and case["tier"] == "T3"
             and case["role"] == "fault" and case["level"] in HEADLINE]  # fmt: skip
    return sorted(found, key=lambda case: (case["kinds"], case["name"]))


def _open_to(outsider: Outsider, found: Sequence[Mapping[str, Any]], scenes: Path) -> list[Mapping[str, Any]]:
    return [case for case in found if not outsider.joined or is_joined(folder_of(scenes, case["name"]))]


def drawn(found: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Draw evenly along a list."""
    if not most or len(found) <= most:
        return list(found)
    return [found[int(at)] for at in (np.arange(most) + 0.5) * len(found) / most]


def _side(scenes: Path, case: str, ranked: Sequence[str]) -> str:
    if not ranked:
        return ""
    sides: Mapping[str, str] = json.loads((folder_of(scenes, case) / "scene.json").read_text())["sides"]
    return sides[ranked[0]]


def _beside(some: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of a case, how many it said nothing of, and Headwater's own shares on the same cases."""
    known = [told[case["name"]] for case in some]
    return {
        "seconds": float(np.mean([one["seconds"] for one in known])),
        "unranked": sum(not one["ranked"] for one in known),
        "failed": sorted({one["failed"] for one in known if one["failed"]}),
        "ours": {key: float(np.mean([case[key] for case in some])) for key in ("top1", "top3", "side")},
    }


def _told(outsider: Outsider, names: Sequence[str], scenes: Path) -> dict[str, Any]:
    """Run a tool over the scenes of some cases."""
    python = environment(outsider.peer, CACHE, outsider.pinned)
    asked, answered = (scenes / f"{outsider.peer}-{end}.json" for end in ("asked", "answered"))
    answered.unlink(missing_ok=True)
    order = np.random.default_rng(0).permutation(len(names))  # stopped early, it had some of everything
    folders = [folder_of(scenes, names[at]) for at in order]
    asked.write_text(json.dumps([str(folder) for folder in folders if (folder / "scene.json").exists()]))
    print(f"{outsider.name}: {len(folders)} cases", file=sys.stderr, flush=True)
    command = [str(python), str(HERE / outsider.script), str(asked), str(answered)]
    with (scenes / f"{outsider.peer}.log").open("w") as log:
        made = subprocess.Popen(command, env={**os.environ, **THREADS}, stdout=log, stderr=log, start_new_session=True)
        try:
            made.wait(60 * outsider.minutes)
        except subprocess.TimeoutExpired:
            os.killpg(made.pid, signal.SIGKILL)  # it may have children of its own
            made.wait()
            print(f"{outsider.name} was stopped after {outsider.minutes:.0f} minutes", file=sys.stderr)
    if not answered.exists():
        raise OSError(Path(log.name).read_text()[-300:].strip() or "it told nothing")
    told: dict[str, Any] = json.loads(answered.read_text())
    return told
