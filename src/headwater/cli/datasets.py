"""List what the project delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("datasets", short_help="List the datasets and whether each is fresh.")
@options.project
@options.as_json
def command(project: str | None, as_json: bool) -> None:
    """List the datasets: layer, side, owner, newest window, and whether each is fresh.

    Freshness goes by the clock alone, whether or not anything runs: a dataset is late once the window after its newest
    one should have been there, by its contract's deadline or else by the hours that deliveries have taken here. A
    window that is still open is never judged.
    """
    screen.answer(options.workspace(project).datasets(), as_json, draw)


def draw(out: Console, datasets: list[dict[str, Any]]) -> None:
    """Draw a line per dataset, in the order of delivery."""
    out.print(screen.table([item | {"freshness": item["freshness"]["told"]} for item in datasets]))
