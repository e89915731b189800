"""List incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import cost, options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("incidents")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@options.project
@options.as_json
def command(everything: bool, project: str | None, as_json: bool) -> None:
    """List open incidents."""
    screen.answer(options.workspace(project).incidents(all=everything), as_json, draw)


def draw(out: Console, incidents: list[dict[str, Any]]) -> None:
    """Draw a line per incident: where it stands, and whom its verdict names."""
    rows = []
    for incident in incidents:
        verdict, paid = incident.get("verdict") or {}, incident.get("cost")
        rows.append(
            {
                "incident": incident.get("incident"),
                "state": incident.get("state"),
                "opened in": incident.get("window"),
                "verdict": verdict.get("subject") or verdict.get("status") or incident.get("subject"),
                "fault": verdict.get("fault"),
                "side": verdict.get("side"),
                "owner": verdict.get("owner"),
                "confidence": screen.percent(verdict["confidence"]) if "confidence" in verdict else None,
                "cost": "; ".join(part for part in (cost.priced(paid), cost.known(paid)) if part),
                "signed": sorted(incident.get("signoffs") or ()),
            }
        )
    out.print(screen.table(rows) if rows else "no incidents")
