"""Train a model and register the version."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("train")
@click.option("--model", metavar="M", help="Which model; may be left out when the project has one.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Seed of every random choice.")
@options.span(required=False)
@click.option("--skip-quarantined", is_flag=True, help="Leave quarantined windows out instead of refusing them.")
@options.project
@options.as_json
def command(
    model: str | None,
    seed: int,
    first: str | None,
    last: str | None,
    skip_quarantined: bool,
    project: str | None,
    as_json: bool,
) -> None:
    """Train a model and register the version.

    The version is not released yet. Training on quarantined windows is refused (exit code 1) unless they are skipped.
    """
    options.both_or_neither(first, last)
    workspace = options.workspace(project)
    screen.answer(
        workspace.train(model=model, seed=seed, first=first, last=last, skip_quarantined=skip_quarantined), as_json
    )
