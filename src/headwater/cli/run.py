"""Deliver windows."""

from __future__ import annotations

import click

from headwater.cli import options, screen
from headwater.core.errors import UsageError


@click.command("run")
@click.option("--window", metavar="D", help="One window, e.g. 2013-07-01 or 2013-07-01T05.")
@options.span(required=False)
@options.project
@options.as_json
def command(window: str | None, first: str | None, last: str | None, project: str | None, as_json: bool) -> None:
    """Deliver, score and watch a window of all datasets.

    What is out of its band becomes a finding; findings become an incident, and an incident gets a verdict.

    Without a window, the one after the last that was run. Running a window again changes nothing.
    """
    options.both_or_neither(first, last)
    if window and first:
        raise UsageError("give one window or a range, not both", hint="--window D, or --from D --to D")
    workspace = options.workspace(project)
    if first and last:
        answer = workspace.run_range(first, last)
    else:
        answer = workspace.run(window)
    screen.answer(answer, as_json)
