"""Profile and drift of 5 M rows x 19 columns against 1 M: ours, DuckDB, Polars and the tools people use today.

Each contestant is a process of its own; the rounds go over all contestants in turn, so that a busy minute of the
machine falls on all of them. Tables are in memory before a clock starts. The results go to ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from profiling import page, tables
from profiling.environments import Unavailable, environment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".bench" / "profile"
THREADS = "2"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    "POLARS_MAX_THREADS": THREADS,
}


@dataclass
class Contestant:
    """One process: a script of ``contestants/``, the form it is run in, and what came of its runs."""

    name: str
    script: str
    form: str = ""
    peer: str = ""
    floor: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""

    def least(self, clock: str, *steps: str) -> float:
        """The sum over steps of each step's least seconds of all rounds."""
        return sum(min(second for run in self.runs for second in run[clock][step]) for step in steps)

    def median(self, clock: str, *steps: str) -> float:
        """The same with medians."""
        return sum(statistics.median(second for run in self.runs for second in run[clock][step]) for step in steps)

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the timed steps, in order."""
        return tuple(self.runs[0]["wall"])

    @property
    def peak(self) -> float:
        """Most memory in MB above the loaded tables."""
        return max(float(run["peak_mb"]) for run in self.runs)


MEMORY = [
    Contestant("memory read", "memory_read", floor=True),
    Contestant("headwater", "headwater_summaries"),
    *(Contestant(f"DuckDB, {form}", "duckdb_sql", form) for form in ("separate", "union", "one", "summarize", "same")),
    *(Contestant(f"Polars, {form}", "polars_lazy", form) for form in ("several", "counts", "one")),
]
PEERS = [
    Contestant("Evidently", "evidently_report", peer="evidently"),
    Contestant("NannyML", "nannyml_drift", peer="nannyml"),
    Contestant("whylogs", "whylogs_profile", peer="whylogs"),
    Contestant("Great Expectations", "gx_checks", peer="great-expectations"),
]
FILES = [
    *(Contestant(f"decode, {form}", "parquet_decode", form, floor=True) for form in ("pyarrow", "polars", "duckdb")),
    *(
        Contestant(f"decode and profile, {form}", "parquet_profile", form)
        for form in ("headwater", "headwater on pyarrow", "polars", "duckdb")
    ),
]


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--reference", type=int, default=1_000_000)
    parser.add_argument(
        "--peer-rows", type=int, default=200_000, help="current rows of the peers (a fifth as reference)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5, help="of the fast contestants, in each of their processes")
    parser.add_argument("--only", nargs="*", default=[], help="contestants whose names contain one of these")
    parser.add_argument(
        "--big", action="store_true", help="stream 100 M rows x 20 columns instead, and tell the memory"
    )
    parser.add_argument("--big-rows", type=int, default=100_000_000)
    parser.add_argument("--keep", action="store_true", help="do not write the page")
    return parser.parse_args()


def run_once(contestant: Contestant, command: list[str]) -> None:
    """Start one process and keep what it tells; a contestant that breaks is reported, not repeated."""
    if contestant.problem:
        return
    python = sys.executable
    if contestant.peer:
        try:
            python = str(environment(contestant.peer, CACHE.parent))
        except Unavailable as problem:
            contestant.problem = f"cannot be installed: {problem}"
            return
    script = str(HERE / "contestants" / f"{contestant.script}.py")
    form = ["--form", contestant.form] if contestant.form else []
    done = subprocess.run(
        [python, "-W", "ignore", script, *command, *form], capture_output=True, text=True, timeout=3600, env=ENVIRONMENT
    )
    if done.returncode:
        contestant.problem = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
        return
    contestant.runs.append(json.loads(done.stdout.strip().splitlines()[-1]))


def in_turn(contestants: list[Contestant], rounds: int, commands: dict[str, list[str]]) -> None:
    """Go over the contestants ``rounds`` times, starting one further on each time."""
    for number in range(rounds):
        start = number % len(contestants)
        for contestant in contestants[start:] + contestants[:start]:
            answers = ["--answers"] if number == 0 and contestant in MEMORY and not contestant.floor else []
            run_once(contestant, [*commands["peer" if contestant.peer else "own"], *answers])
            told = contestant.problem or f"{contestant.median('wall', *contestant.steps):.3f} s"
            print(f"round {number + 1}: {contestant.name}: {told}", file=sys.stderr, flush=True)


def main() -> int:
    """Run everything and write the page."""
    given = parsed()
    if given.big:
        path = tables.written_big(CACHE, given.big_rows)
        reference = tables.written(CACHE, "reference", given.reference)
        streamed = Contestant("headwater, streamed", "parquet_profile", "headwater")
        run_once(streamed, ["--current", str(path), "--reference", str(reference)])
        page.write_big(streamed, path, given.big_rows, keep=given.keep)
        return 1 if streamed.problem else 0
    current = tables.written(CACHE, "current", given.rows)
    reference = tables.written(CACHE, "reference", given.reference)
    chosen = [
        one for one in (*MEMORY, *PEERS, *FILES) if not given.only or any(part in one.name for part in given.only)
    ]
    both = ["--current", str(current), "--reference", str(reference)]
    both += ["--threads", THREADS]
    commands = {"own": [*both, "--repeats", str(given.repeats)]}
    commands["peer"] = [*both, "--repeats", "2", "--rows", str(given.peer_rows)]
    in_turn(chosen, given.rounds, commands)
    (CACHE / "results.json").write_text(json.dumps([vars(one) for one in chosen], indent=1))
    page.write(
        page.Session(
            given,
            [one for one in chosen if one in MEMORY],
            [one for one in chosen if one in PEERS],
            [one for one in chosen if one in FILES],
            current,
            reference,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
