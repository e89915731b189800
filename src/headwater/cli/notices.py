"""List what woke nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("notices", short_help="List what was out of its band and woke nobody.")
@click.option("--window", metavar="D", help="Of one window; else of the last seven.")
@options.project
@options.as_json
def command(window: str | None, project: str | None, as_json: bool) -> None:
    """List what was out of its band and woke nobody, the newest window first."""
    screen.answer(options.workspace(project).notices(window), as_json, draw)


def draw(out: Console, found: list[dict[str, Any]]) -> None:
    """Draw a line per notice."""
    out.print(screen.table(found, ("window", "subject", "score", "detail")) if found else "no notices")
