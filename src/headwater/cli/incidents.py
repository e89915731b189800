"""List incidents."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("incidents")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@options.project
@options.as_json
def command(everything: bool, project: str | None, as_json: bool) -> None:
    """List open incidents."""
    screen.answer(options.workspace(project).incidents(all=everything), as_json)
