"""Compute a recorded number again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("recompute", short_help="Compute recorded numbers again and compare.")
@click.argument("record", metavar="ID")
@click.argument("value", required=False)
@options.project
@options.as_json
def command(record: str, value: str | None, project: str | None, as_json: bool) -> None:
    """Compute the numbers of a piece of evidence, or of a finding, again.

    From the tables, code and ledger as they stood when it was recorded. ID may be cut short; with VALUE only that
    number is shown. Exit code 1 when a number differs or cannot be computed again.
    """
    found = options.workspace(project).recompute(record, value)
    screen.answer(found, as_json, draw)
    if not found["same"]:
        raise click.exceptions.Exit(1)


def draw(out: Console, found: dict[str, Any]) -> None:
    """Draw every value as recorded and as computed now."""
    out.print(
        f"[bold]{screen.cell(found['type'])}[/] of {screen.cell(found['subject'])} at {screen.cell(found['window'])}"
    )
    rows = [
        {
            "value": item["value"],
            "recorded": _exact(item["recorded"]),
            "recomputed": _exact(item["recomputed"]),
            "": "same" if item["same"] else "differs",
        }
        for item in found["values"]
    ]
    out.print(screen.table(rows))


def _exact(value: Any) -> Any:
    """Write a number in full: this is where its digits count."""
    return repr(value) if isinstance(value, float) else value
