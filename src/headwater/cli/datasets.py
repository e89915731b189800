"""List what the project delivers."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("datasets")
@options.project
@options.as_json
def command(project: str | None, as_json: bool) -> None:
    """List the datasets: layer, side, owner, newest window."""
    screen.answer(options.workspace(project).datasets(), as_json)
