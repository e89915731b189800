"""Put an earlier model version back."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("rollback")
@click.option("--model", metavar="M", help="Which model; may be left out when the project has one.")
@click.option("--to", "version", metavar="VERSION", help="Back to this version; else to the champion before.")
@options.by
@options.project
@options.as_json
def command(model: str | None, version: str | None, by: str | None, project: str | None, as_json: bool) -> None:
    """Make an earlier version the champion again."""
    screen.answer(options.workspace(project).rollback(model=model, to=version, by=options.person(by)), as_json)
