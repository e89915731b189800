"""Measure this product on public benchmarks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.cli.demo import progress
from headwater.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = (
    "top1", "top3", "side", "remedy", "harmful_act_rate", "incidents_per_1000_clean", "incidents_per_fault",
    "delay_median", "ece", "seconds_per_case",
)  # fmt: skip
"""The scores that people are shown; ``--json`` has all of them."""


@click.group("bench")
def command() -> None:
    """Measure this product on public benchmarks."""


@command.command("silent-failures")
@click.option("--quick", is_flag=True, help="A small draw of cases: minutes instead of most of an hour.")
@click.option("--entry", "entries", metavar="NAME", multiple=True, help="A pipeline, or module:attribute of your own.")
@click.option("--data", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where real tables are.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Seed of the draw.")
@click.option("--workers", metavar="N", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes.")
@click.option(
    "--detective", "detectives", metavar="NAME", multiple=True, help="Ask another too, or module:attribute of your own."
)
@click.option("--out", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep every case as JSON.")
@options.as_json
def silent_failures(
    quick: bool,
    entries: tuple[str, ...],
    data: Path | None,
    seed: int,
    workers: int,
    detectives: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Plant faults that no job reports, and see who is blamed for them.

    Plays pipelines of real data with a fault, a harmless change or nothing at all in each case, and scores the
    verdicts by pipeline and by what a detective may look at: T3 everything, T2 metrics, lineage and when code changed,
    T1 metrics and lineage.
    """
    from headwater.app.bench import silent_failures as played

    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out: the folder {out.parent} is not there", hint="make it first")
    sys.path.insert(0, os.getcwd())  # an entry or a detective of one's own lies here
    screen.keep_stdout()
    with progress() as say:
        answer = played(entries, quick=quick, seed=seed, data=data, workers=workers, detectives=detectives, say=say)
    for name, why in answer["skipped"].items():
        screen.talk(f"{name} was not played: {why}")
    for case in answer["not_played"]:
        screen.talk(f"{case['case']} could not be played: {case['error'].splitlines()[0]}")
    for case in answer["not_silent"]:
        screen.talk(f"{case['case']}: {case['error']}")
    for pipeline, faults in answer["without_effect"].items():
        for name, count in faults.items():
            where = "its case" if count == 1 else f"any of its {count} cases"
            screen.talk(f"{pipeline}: `{name}` moved no prediction and no label in {where}")
    if out is not None:
        out.write_text(json.dumps(answer), encoding="utf-8")
    found = answer["tables"] if not detectives else {"headwater": answer["tables"], "detectives": answer["rivals"]}
    screen.answer(found, as_json, draw if not detectives else None)


def draw(out: Console, tables: dict[str, Any]) -> None:
    """Draw a line per pipeline and tier."""
    rows = [
        {"pipeline": name, "tier": tier, "faults": scores["faults"], **{key: _rounded(scores[key]) for key in SHOWN}}
        for name, tiers in tables.items()
        for tier, scores in tiers.items()
    ]
    out.print(screen.table(rows))


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
