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
    draw_options(out, remedy.get("options") or [])
    if touches := answer.get("touches"):
        draw_touches(out, touches)
    else:
        draw_rewrites(out, answer.get("rewrites") or {})
    if version := answer.get("version"):
        out.print(f"version {screen.cell(version)} is trained; the gate lets it in or not: headwater release {version}")
    if answer.get("applied"):
        out.print("applied; the next window verifies it: headwater run")
    elif answer.get("state") == "disputed":
        out.print("nothing was written; it is disputed: headwater run, the case is judged again")
    elif answer.get("state") != "verdict":
        out.print(f"nothing is left to do: {screen.cell(answer.get('incident'))} is {screen.cell(answer.get('state'))}")
    else:
        again = f"headwater remedy {screen.cell(answer.get('incident'))} --apply"
        out.print(f"[dim]nothing was written; carry it out with {again}[/]")


def draw_options(out: Console, options: list[dict[str, Any]]) -> None:
    """Draw every act that was weighed: what it gains if it is right and loses if not, and what forbids it."""
    rows = [
        {
            "act": item.get("action"),
            "on": str(item.get("target", "")).rpartition("/")[2],
            "its cause": screen.percent(item.get("probability")),
            "gain": _gain(item),
            "loss if wrong": item.get("loss"),
            "utility": item.get("utility"),
            "": "chosen" if item.get("chosen") else item.get("veto"),
        }
        for item in options
    ]
    if rows:
        out.print()
        out.print(screen.table(rows, title="what could be done"))
        measure = next((item["measure"] for item in options if item.get("measure")), "")
        if measure:
            said = "how much nearer predictions come to what they should be" if measure == "displacement" else measure
            out.print(f"[dim]utility and loss are in {screen.cell(said)}[/]")


def _gain(item: dict[str, Any]) -> str | None:
    if item.get("gain_low") is not None:
        low, high = item["gain_low"], item["gain_high"]
        return f"{screen.figure(item['gain'])} {item['unit']} ({screen.figure(low)} to {screen.figure(high)})"
    return f"{item['displacement']:.3f} nearer" if item.get("displacement") else None


def draw_touches(out: Console, touches: dict[str, Any]) -> None:
    """Draw all that a remedy writes, what stands on that, and what it leaves as it is."""
    rows = [{**_span(item), "rows": item["rows"], "owner": item["owner"]} for item in touches.get("datasets") or ()]
    if rows:
        out.print(screen.table(rows, title="delivered again"))
    held = [{**item, "dataset": _name(item["dataset"])} for item in touches.get("held") or ()]
    if held:
        out.print(screen.table(held, title="kept out of training"))
    for item in touches.get("lifted") or ():
        span = f"{item['first']} to {item['last']}"
        out.print(f"labels of {screen.cell(_name(item['dataset']))} {span} may be read and trained on again")
    for item in touches.get("deployments") or ():
        parts = ", ".join(f"{name} {_short(change['from'])} → {_short(change['to'])}"
                          for name, change in item["parts"].items())  # fmt: skip
        out.print(f"{screen.cell(item['deployment'])} loads {screen.cell(parts) if parts else 'what it has loaded'}")
        if champion := item.get("champion"):
            out.print(
                f"champion again: version {screen.cell(champion['to'])} instead of {screen.cell(champion['from'])}"
            )
    for item in touches.get("code") or ():
        out.print(f"code of {screen.cell(item['asset'])}: {_short(item['from'])} → {_short(item['to'])}")
    for item in touches.get("standing") or ():
        out.print(f"repaired on arrival from then on: {screen.cell(item['dataset'])}")
    for item in touches.get("trains") or ():
        span = f"{item['windows']} windows, {item['first']} to {item['last']}"
        out.print(f"trains {screen.cell(item['model'])} on {span}; it is not released")
    for model in touches.get("models") or ():
        out.print(f"read by {screen.cell(model)}")
    for item in touches.get("trained") or ():
        role = ", the champion," if item["champion"] else ""
        count = f"{len(item['windows'])} of the {item['of']} windows"
        out.print(f"{screen.cell(item['model'])}{role} was trained on {count}: train it again afterwards")
    logs = [{**_span(item), "rows": item["rows"]} for item in touches.get("logs") or ()]
    if logs:
        out.print(screen.table(logs, title="left as it was: what was served and decided"))


def _span(item: dict[str, Any]) -> dict[str, Any]:
    keys = item["windows"]
    return {"dataset": _name(item["dataset"]), "windows": len(keys), "first": keys[0], "last": keys[-1]}


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _short(text: Any) -> str:
    return screen.cell(str(text)[: screen.SHORT]) if text is not None else "none"


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
