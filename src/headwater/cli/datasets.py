"""List what the project delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("datasets")
@options.project
@options.as_json
def command(project: str | None, as_json: bool) -> None:
    """List the datasets: layer, side, owner, newest window."""
    screen.answer(options.workspace(project).datasets(), as_json, draw)


def draw(out: Console, datasets: list[dict[str, Any]]) -> None:
    """Draw a line per dataset, in the order of delivery."""
    out.print(screen.table(datasets))
