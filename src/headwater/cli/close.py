"""Close an incident."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("close")
@click.argument("incident")
@options.by
@options.project
@options.as_json
def command(incident: str, by: str | None, project: str | None, as_json: bool) -> None:
    """Close INCIDENT, once verified and signed by both sides.

    Both sides must have signed the same evidence hash and named who owns the prevention.
    """
    screen.answer(options.workspace(project).close(incident, by=options.person(by)), as_json)
