"""Keep windows of a dataset away from training."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.group("quarantine", invoke_without_command=True)
@options.project
@options.as_json
@click.pass_context
def command(context: click.Context, project: str | None, as_json: bool) -> None:
    """Keep windows of a dataset away from training.

    Without a further word, lists the windows that training refuses to read.
    """
    if context.invoked_subcommand is None:
        show(project, as_json)


@command.command("list")
@options.project
@options.as_json
def listing(project: str | None, as_json: bool) -> None:
    """List the quarantined windows."""
    show(project, as_json)


@command.command("add")
@click.argument("dataset")
@options.span(required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Why these windows must not be learned from.")
@options.project
@options.as_json
def add(dataset: str, first: str, last: str, reason: str, project: str | None, as_json: bool) -> None:
    """Quarantine windows of DATASET."""
    screen.answer(options.workspace(project).quarantine_add(dataset, first, last, reason), as_json)


@command.command("lift")
@click.argument("dataset")
@options.span(required=True)
@options.project
@options.as_json
def lift(dataset: str, first: str, last: str, project: str | None, as_json: bool) -> None:
    """Lift the quarantine of windows of DATASET."""
    screen.answer(options.workspace(project).quarantine_lift(dataset, first, last), as_json)


def show(project: str | None, as_json: bool) -> None:
    """Print the quarantined windows."""
    screen.answer(options.workspace(project).quarantine_list(), as_json)
