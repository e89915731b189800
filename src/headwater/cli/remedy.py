"""Show or carry out what an incident's verdict asks for."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("remedy")
@click.argument("incident")
@click.option("--apply", is_flag=True, help="Carry it out; without this it is only tried and measured.")
@options.by
@options.project
@options.as_json
def command(incident: str, apply: bool, by: str | None, project: str | None, as_json: bool) -> None:
    """Try INCIDENT's remedy; with --apply, carry it out.

    Says what it gains, what it touches and whether it can be taken back. After it was applied, the next windows
    verify it."""
    screen.answer(options.workspace(project).remedy(incident, apply=apply, by=options.person(by)), as_json)
