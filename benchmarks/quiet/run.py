"""Quiet, and not blind: A/A replay, power and natural faults, for Headwater and for the default rules of other tools.

    python -m quiet.run              everything, as `make bench-quiet` runs it
    python -m quiet.run alarms       alarms on clean windows, with the rows there are
    python -m quiet.run sizes        the same with 10^3 to 10^8 rows in every window
    python -m quiet.run power        planted changes of graded size
    python -m quiet.run faults       the faults that the data's publishers made
    python -m quiet.run packages     the peers' rules against the peers themselves
    python -m quiet.run inputs       inputs of models: clean days and planted changes
    python -m quiet.run performance  performance of models: clean days and planted changes
    python -m quiet.run report       the tables and the plot from what was measured

Keeps what it measures in .bench/quiet; `inputs` and `performance` write their sections of benchmarks/RESULTS.md. Reads
the data folder named by HEADWATER_DATA.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from quiet.series import SIZES, names, series
from real_tables import DATA

KEPT = Path(__file__).resolve().parents[2] / ".bench" / "quiet"
SIZED = ("flights2013", "taxi", "retail")
SHARE = 0.05
"""Share of clean table-windows that may alarm at the matched thresholds."""


def alarms(chosen: list[str]) -> None:
    """Replay every series with the rows it has."""
    from quiet.alarms import natural

    for name in chosen or names():
        started = time.process_time()
        _keep(f"alarms-{name.replace('/', '-')}", natural(series(name)))
        print(f"{name}: {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)


def sizes(chosen: list[str]) -> None:
    """Replay some series with so and so many rows in every window."""
    from quiet.alarms import sized_metrics, sized_rows

    for name in chosen or SIZED:
        for rows in SIZES:
            started = time.process_time()
            _keep(f"sizes-{name}-{rows}", sized_metrics(series(name), rows) | sized_rows(series(name), rows))
            print(f"{name}, {rows} rows: {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)


def power(chosen: list[str]) -> None:
    """Plant changes of graded size."""
    from quiet.power import COLUMNS, cases

    for name in chosen or COLUMNS:
        started = time.process_time()
        _keep(f"power-{name}", list(cases(name)))
        print(f"{name}: {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)


def faults(chosen: list[str]) -> None:
    """Replay the natural faults."""
    from quiet.faults import FAULTS, told, writings

    for place, fault in enumerate(FAULTS):
        if not chosen or str(place) in chosen:
            _keep(f"faults-{place:02}", told(fault))
            print(json.dumps(_kept(f"faults-{place:02}")), file=sys.stderr, flush=True)
    _keep("writings", writings())


def packages(chosen: list[str]) -> None:
    """Check the peers' rules against the peers."""
    from quiet.packages import CHECKED, agreement

    for name in chosen or CHECKED:
        _keep(f"packages-{name}", agreement(name))


def inputs(chosen: list[str]) -> None:
    """Replay what models are asked about, and write the section."""
    from quiet import sections
    from quiet.inputs import SEED, replay
    from quiet.models import ASKED

    rows, seconds = _models("inputs", chosen or ASKED, replay)
    if not chosen:
        sections.replace("Inputs of models", sections.of_inputs(rows, SEED, seconds))


def performance(chosen: list[str]) -> None:
    """Replay what became of predictions, and write the section."""
    from quiet import sections
    from quiet.models import MODELS
    from quiet.performance import SEED, replay

    rows, seconds = _models("performance", chosen or MODELS, replay)
    if not chosen:
        sections.replace("Performance of models", sections.of_performance(rows, SEED, seconds))


def _models(step: str, names: Iterable[str], replay: Callable[[Any], Iterable[Any]]) -> tuple[list[Any], float]:
    """Replay the days of models; return all rows, which are kept, and the CPU seconds it took."""
    from quiet.models import MODELS
    from rich.console import Console
    from rich.progress import track

    started, rows = time.process_time(), []
    for name in track(list(names), description=step, console=Console(stderr=True)):
        rows += list(replay(MODELS[name]()))
    _keep(f"{step}-models", rows)
    return rows, time.process_time() - started


def report(chosen: list[str]) -> None:
    """Print the tables and draw the plot."""
    from quiet.report import write

    write(KEPT, SHARE)


def _keep(name: str, found: Any) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.pickle").write_bytes(pickle.dumps(found))


def _kept(name: str) -> Any:
    path = KEPT / f"{name}.pickle"
    if not path.exists():
        raise SystemExit(f"{path.name} is not there; run the steps before it first")
    return pickle.loads(path.read_bytes())


STEPS = {one.__name__: one for one in (alarms, sizes, power, faults, packages, inputs, performance, report)}


def main() -> None:
    """Run one step, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="?", choices=[*STEPS, "all"], default="all")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], help="series, models, or numbers of faults"
    )
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}; set HEADWATER_DATA")
    for name, step in STEPS.items():
        if arguments.step in (name, "all"):
            step(arguments.only)


if __name__ == "__main__":
    main()
