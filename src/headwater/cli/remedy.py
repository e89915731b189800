"""Show or carry out what an incident's verdict asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("remedy")
@click.argument("incident")
@click.option("--apply", is_flag=True, help="Carry it out; without this it is only tried and measured.")
@options.by
@options.project
@options.as_json
def command(incident: str, apply: bool, by: str | None, project: str | None, as_json: bool) -> None:
    """Try INCIDENT's remedy; with --apply, carry it out.

    Says what it gains, what it touches and whether it can be taken back. After it was applied, the next windows
    verify it.
    """
    workspace = options.workspace(project)
    with screen.progress("rewriting" if apply else "trying") as progress:
        answer = workspace.remedy(incident, apply=apply, by=options.person(by), progress=progress)
    screen.answer(answer, as_json, draw)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw a remedy: what it does, gains and touches."""
    remedy = answer.get("remedy") or {}
    unit = str(answer.get("unit") or "")
    out.print(f"[bold]{screen.cell(remedy.get('text') or remedy.get('action'))}[/]")
    out.print(
        screen.labelled(
            {
                "action": remedy.get("action"),
                "target": remedy.get("target"),
                "gain": screen.amount(remedy.get("gain"), unit, remedy.get("gain_low"), remedy.get("gain_high")),
                "reversible": remedy.get("reversible"),
            }
        )
    )
    draw_rewrites(out, answer.get("rewrites") or {})
    if answer.get("applied"):
        out.print("applied; the next window verifies it: headwater run")
    elif answer.get("state") == "disputed":
        out.print("nothing was written; it is disputed: headwater run, the case is judged again")
    elif answer.get("state") != "verdict":
        out.print(f"nothing is left to do: {screen.cell(answer.get('incident'))} is {screen.cell(answer.get('state'))}")
    else:
        again = f"headwater remedy {screen.cell(answer.get('incident'))} --apply"
        out.print(f"[dim]nothing was written; carry it out with {again}[/]")


def draw_rewrites(out: Console, rewrites: dict[str, Any]) -> None:
    """Draw which windows of which datasets are delivered again, and which models read them."""
    datasets = rewrites.get("datasets") or {}
    rows = [
        {"dataset": name, "windows": len(keys), "first": keys[0] if keys else None, "last": keys[-1] if keys else None}
        for name, keys in datasets.items()
    ]
    if rows:
        out.print(screen.table(rows, title="delivered again"))
    for model in rewrites.get("models") or ():
        out.print(f"read by {screen.cell(model)}")
