"""Play Silent Failures with every detective, and write its section of ``benchmarks/RESULTS.md`` and its plot.

    make bench-silent-failures                        everything: at most 40 minutes on two cores, then peers
    python -m silent_failures.run --quick             a small draw: at most 5 minutes; the page is left alone
    python -m silent_failures.run --only flights      some pipelines; the page is left alone
    python -m silent_failures.run --quick --peers     tools from outside are asked there too
    python -m silent_failures.run --page              the page and the plot from what was played last

Keeps what it played in .bench/silent_failures; reads the data folder named by HEADWATER_DATA, by default ../shared/data
beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

from real_tables import DATA
from silent_failures import outside, page, plot
from silent_failures.recording import EVERY, PLACE, RECORDER

from headwater.app.bench import silent_failures
from headwater.testing.silent_failures.cases import FULL, QUICK
from headwater.testing.silent_failures.detectives import DETECTIVES
from headwater.testing.silent_failures.pipelines import NAMES
from headwater.testing.silent_failures.pipelines.landing import VARIABLE

KEPT = Path(__file__).resolve().parents[2] / ".bench" / "silent_failures"


def main() -> None:
    """Play, or write the page from what was played."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    whole = KEPT / "full.json"
    kept = whole if not arguments.quick and not arguments.only else KEPT / "part.json"
    if not arguments.page:
        _play(arguments, kept, peers=arguments.peers or kept == whole)
    if not arguments.quick and not arguments.only:
        if not whole.exists():
            raise SystemExit(f"{whole} is not there; play first")
        told = json.loads(whole.read_text())
        plot.draw(told)
        page.write(page.section(told))
    elif kept.exists():
        print(page.section(json.loads(kept.read_text())))


def _play(arguments: argparse.Namespace, kept: Path, *, peers: bool) -> None:
    began, told, scenes = time.perf_counter(), [""], KEPT / "scenes"
    names = arguments.only or list(NAMES)
    shutil.rmtree(scenes, ignore_errors=True)
    os.environ |= {PLACE: str(scenes), EVERY: "1" if arguments.quick else "4"}

    def say(text: str, share: float) -> None:
        told[0] = text
        print(f"{time.perf_counter() - began:6.0f} s {share:4.0%}  {text}", file=sys.stderr, flush=True)

    answer = silent_failures(
        names, quick=arguments.quick, seed=arguments.seed, workers=arguments.workers, data=DATA,
        detectives=[*DETECTIVES, *([RECORDER] if peers else [])], say=say,
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer |= {"cpu": used.ru_utime + used.ru_stime, "workers": arguments.workers, "absent": []}
    for rivals in answer["rivals"].values():
        rivals.pop(RECORDER, None)
    kept.write_text(json.dumps(answer))
    if peers:
        os.environ[VARIABLE] = str(DATA)
        answer["absent"] = outside.ask(answer, scenes, QUICK if arguments.quick else FULL, names)
        kept.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
