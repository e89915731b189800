"""Let a model version in through the gate."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("release")
@click.argument("version")
@click.option("--model", metavar="M", help="Which model; may be left out when the project has one.")
@options.by
@options.project
@options.as_json
def command(version: str, model: str | None, by: str | None, project: str | None, as_json: bool) -> None:
    """Make VERSION the champion, if the gate lets it in.

    A refusal is exit code 1, with the checks that failed.
    """
    screen.answer(options.workspace(project).release(version, model=model, by=options.person(by)), as_json)
