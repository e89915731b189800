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
    """Try INCIDENT's remedy and say what it would gain and touch; with --apply, carry it out."""
    screen.answer(options.workspace(project).remedy(incident, apply=apply, by=options.person(by)), as_json)
