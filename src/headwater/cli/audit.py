"""Check that nothing in the evidence ledger was changed, lost or reordered."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.group("audit")
def command() -> None:
    """Prove that the evidence is what was once recorded."""


@command.command("verify")
@options.project
@options.as_json
def verify(project: str | None, as_json: bool) -> None:
    """Walk the whole hash chain of the ledger; exit code 1 names the first bad record."""
    screen.answer(options.workspace(project).audit(), as_json)
