"""Answer: why did accuracy drop without a single error?"""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("why")
@click.argument("reference", metavar="INCIDENT|MODEL")
@options.project
@options.as_json
def command(reference: str, project: str | None, as_json: bool) -> None:
    """Say which asset failed, who owns it, and by which chain of evidence; or that none did."""
    screen.answer(options.workspace(project).why(reference), as_json)
