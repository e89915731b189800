"""Answer: which dataset trained this model?"""

from __future__ import annotations

from datetime import datetime

import click

from headwater.cli import options, screen
from headwater.core.clock import aware
from headwater.core.errors import UsageError


@click.command("trace")
@click.argument("reference", metavar="REF")
@click.option("--as-of", "as_of", metavar="TIME", help="As it was at this time (ISO 8601 with an offset).")
@options.project
@options.as_json
def command(reference: str, as_of: str | None, project: str | None, as_json: bool) -> None:
    """Show what REF was made from, down to the sources.

    Versions, content hashes, code, parameters and environment of everything on the way.

    REF is e.g. model:nyc/delay@champion or dataset:nyc/weather@12.
    """
    moment = None if as_of is None else moment_of(as_of)
    screen.answer(options.workspace(project).trace(reference, as_of=moment), as_json)


def moment_of(text: str) -> datetime:
    """Read a time with its offset; a bare day is refused, because it is not one moment."""
    try:
        return aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise UsageError(f"`{text}` is not a time", hint="write it like 2013-07-01T00:00:00+00:00") from error
