"""Approve an intended change of code."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("approve")
@click.argument("asset")
@options.by
@click.option("--reason", metavar="TEXT", help="Why it is intended; shown wherever it is cleared.")
@click.option("--dry-run", is_flag=True, help="Show what the change moves, and approve nothing.")
@options.project
@options.as_json
def command(asset: str, by: str | None, reason: str | None, dry_run: bool, project: str | None, as_json: bool) -> None:
    """Approve the code that ASSET has now.

    It is run beside the code that it replaces on the last windows of that, and what it moves is what is approved:
    exactly this code is no suspect while it moves no more. Any other change is judged as before.
    """
    workspace = options.workspace(project)
    with screen.progress(f"trying {asset}"):
        found = workspace.approve(asset, by=options.person(by), reason=reason or "", dry_run=dry_run)
    screen.answer(found, as_json)
