"""Answer: why did accuracy drop without a single error?"""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("why")
@click.argument("reference", metavar="INCIDENT|MODEL")
@options.project
@options.as_json
def command(reference: str, project: str | None, as_json: bool) -> None:
    """Say why decisions got worse without a single error.

    Names the asset that failed, its owner and side, the chain of evidence, and who was cleared; or says that no
    asset failed, or which test would tell."""
    screen.answer(options.workspace(project).why(reference), as_json)
