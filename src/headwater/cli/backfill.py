"""Deliver past windows of one dataset again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.cli.remedy import draw_rewrites

if TYPE_CHECKING:
    from rich.console import Console


@click.command("backfill")
@click.argument("dataset")
@options.span(required=True)
@click.option("--dry-run", is_flag=True, help="Show the plan: windows, datasets and models downstream; write nothing.")
@options.project
@options.as_json
def command(dataset: str, first: str, last: str, dry_run: bool, project: str | None, as_json: bool) -> None:
    """Deliver past windows of DATASET again.

    What is made from it is delivered again too; --dry-run shows what that would be. Predictions that were made stay
    on record as they were.
    """
    workspace = options.workspace(project)
    with screen.progress("delivering again") as progress:
        answer = workspace.backfill(dataset, first, last, dry_run, progress)
    screen.answer(answer, as_json, draw)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw the plan of a backfill, or what it did."""
    out.print(f"[bold]{screen.cell(answer.get('dataset'))}[/]")
    draw_rewrites(out, answer)
    if not answer.get("applied"):
        out.print("[dim]nothing was written[/]")
