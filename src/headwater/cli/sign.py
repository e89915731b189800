"""Sign an incident's verdict for one side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from headwater.core.records import Side


@click.command("sign")
@click.argument("incident")
@click.option("--side", type=click.Choice(["data", "ml"]), required=True, help="The side you sign for.")
@click.option("--as", "name", metavar="NAME", required=True, help="Who signs.")
@click.option("--disagree", metavar="REASON", help="Sign that you disagree, and why; the incident stays open.")
@click.option("--prevention-owner", metavar="NAME", help="Who owns the work that keeps it from coming back.")
@options.project
@options.as_json
def command(
    incident: str,
    side: Side,
    name: str,
    disagree: str | None,
    prevention_owner: str | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Sign INCIDENT's verdict for the data or the ml side.

    What is signed is the hash of the evidence; an incident closes when both sides have signed the same one.
    """
    workspace = options.workspace(project)
    screen.answer(workspace.sign(incident, side, name, disagree=disagree, prevention_owner=prevention_owner), as_json)
