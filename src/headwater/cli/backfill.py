"""Deliver past windows of one dataset again."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("backfill")
@click.argument("dataset")
@options.span(required=True)
@click.option("--dry-run", is_flag=True, help="Show the plan: windows, datasets and models downstream; write nothing.")
@options.project
@options.as_json
def command(dataset: str, first: str, last: str, dry_run: bool, project: str | None, as_json: bool) -> None:
    """Deliver past windows of DATASET again.

    What is made from it is delivered again too; --dry-run shows what that would be."""
    screen.answer(options.workspace(project).backfill(dataset, first, last, dry_run), as_json)
