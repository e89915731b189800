"""Check that nothing in the evidence ledger was changed, lost or reordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.core.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console


@click.group("audit")
def command() -> None:
    """Prove that the evidence is what was once recorded."""


@command.command("verify")
@click.option("--deep", is_flag=True, help="Read and hash every row again, instead of looking at logs and files.")
@options.project
@options.as_json
@click.pass_context
def verify(context: click.Context, deep: bool, project: str | None, as_json: bool) -> None:
    """Walk the whole hash chain of the ledger, and look whether all it acknowledges is there.

    Exit code 1 names the first bad record, or each window, stored code and model part that is lost or damaged, and
    what brings it back.
    """
    answer = options.workspace(project).audit(deep)
    screen.answer(answer, as_json, draw)
    if not answer["verified"]:
        context.exit(DataError.exit_code)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw what was looked at, and what of it is not there."""
    out.print(screen.labelled({name: item for name, item in answer.items() if name != "problems"}))
    for problem in answer["problems"]:
        out.print(f"[red]{screen.cell(problem['subject'])}[/] {screen.cell(problem['message'])}")
        out.print(f"  [dim]hint: {screen.cell(problem['hint'])}[/]")
