"""Accept a change of level as the new normal."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("accept", short_help="Accept what SUBJECT shows now as its new normal.")
@click.argument("subject")
@click.option("--metric", metavar="M", default="", help="One metric, or a column for all of its metrics; else all.")
@click.option("--from", "first", metavar="D", help="Where the new level begins; else where its alarms began.")
@options.by
@click.option("--reason", metavar="TEXT", help="Why it is normal now; shown wherever it explains something.")
@click.option("--dry-run", is_flag=True, help="Show what would be accepted, and accept nothing.")
@click.option("--undo", is_flag=True, help="Take the newest acceptance back.")
@options.project
@options.as_json
def command(
    subject: str,
    metric: str,
    first: str | None,
    by: str | None,
    reason: str | None,
    dry_run: bool,
    undo: bool,
    project: str | None,
    as_json: bool,
) -> None:
    """Accept what SUBJECT, a dataset or model, shows since its alarms began as its new normal.

    Its windows since then are learned, what was before no longer says where its metrics lie, and incidents that this
    explains are judged again. What changes after that alarms as ever.
    """
    found = options.workspace(project).accept(
        subject,
        metric=metric,
        first=first,
        by=options.person(by),
        reason=reason or "",
        dry_run=dry_run,
        undo=undo,
    )
    screen.answer(found, as_json)
