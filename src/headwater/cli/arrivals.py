"""Say what should have arrived by now and has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.cli.screen import cell
from headwater.core.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

_NAMED = 6


@click.command("arrivals", short_help="Say what should have arrived and has not.")
@click.option("--record", is_flag=True, help="Record what is new, and open incidents for its alarms.")
@options.project
@options.as_json
@click.pass_context
def command(context: click.Context, record: bool, project: str | None, as_json: bool) -> None:
    """Say what is late, missing, failed, out of sequence or twice there, by the clock and the events alone.

    Own datasets by their contract's deadline or their past, foreign jobs by their run events. Nothing is run, and
    nothing is written without --record. Exit code 1 while an alarm is listed.
    """
    found = options.workspace(project).arrivals(record=record)
    screen.answer(found, as_json, draw)
    if any(item["severity"] == "alarm" for item in found["findings"]):
        context.exit(DataError.exit_code)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw a line per finding, and the incidents that were opened."""
    if answer["findings"]:
        out.print(screen.table(answer["findings"], ("window", "subject", "metric", "severity", "detail")))
    else:
        out.print("of what has a deadline, all that is due has arrived" if answer["unjudged"] else
                  "everything that is due has arrived")  # fmt: skip
    if unjudged := answer["unjudged"]:
        names = ", ".join(name.rpartition("/")[2] for name in unjudged[:_NAMED])
        more = f" and {len(unjudged) - _NAMED} more" if len(unjudged) > _NAMED else ""
        out.print(f"[dim]without a deadline, so never late: {cell(names)}{more}; promise a `latency` in a contract[/]")
    for name in answer["incidents"]:
        out.print(f"[bold]{cell(name)}[/]: see [dim]headwater why {cell(name)}[/]")
