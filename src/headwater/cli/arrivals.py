"""Say what should have arrived by now and has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.cli.screen import cell

if TYPE_CHECKING:
    from rich.console import Console


@click.command("arrivals", short_help="Say what should have arrived and has not.")
@click.option("--record", is_flag=True, help="Record what is new, and open incidents for its alarms.")
@options.project
@options.as_json
def command(record: bool, project: str | None, as_json: bool) -> None:
    """Say what is late, missing, failed, out of sequence or twice there, by the clock and the events alone.

    Own datasets by their contract's deadline or their past, foreign jobs by their run events. Nothing is run, and
    nothing is written without --record.
    """
    screen.answer(options.workspace(project).arrivals(record=record), as_json, draw)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw a line per finding, and the incidents that were opened."""
    if not answer["findings"]:
        out.print("everything that is due has arrived")
        return
    out.print(screen.table(answer["findings"], ("window", "subject", "metric", "severity", "detail")))
    for name in answer["incidents"]:
        out.print(f"[bold]{cell(name)}[/] [dim]headwater why {cell(name)}[/]")
