"""Deliver windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.console import Console


WAITING = {
    "verdict": "waits for its remedy",
    "remedied": "is remedied, not verified: the next fresh window in band verifies it",
    "verifying": "is verified on fresh data; both sides sign, then it is closed",
    "disputed": "is disputed: a side signed that it disagrees",
}
"""What an incident that is not closed waits for, by its state."""


_NAMELESS = {"value": None, "expected": None}
"""A fault that a signature names is of many metrics; how far it is out is its score."""


@click.command("run")
@click.option("--window", metavar="D", help="One window, e.g. 2013-07-01 or 2013-07-01T05.")
@options.span(required=False)
@options.project
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    window: str | None,
    first: str | None,
    last: str | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Deliver, score and watch a window of all datasets.

    What is out of its band becomes a finding; findings become an incident, and an incident gets a verdict. Without a
    window, the last one again while a dataset of it failed and was not delivered since, else the one after it; name
    the window to go on without what failed. A range is delivered at once, as history that is not watched. Running a
    window again changes nothing.
    """
    options.both_or_neither(first, last)
    if window == "" or first == "" or last == "":
        raise UsageError("a window is empty", hint="write it like 2013-07-01; without the option, the next one is run")
    if window and first:
        raise UsageError("give one window or a range, not both", hint="--window D, or --from D --to D")
    workspace = options.workspace(project)
    with screen.progress("delivering") as progress:
        answer = workspace.run_range(first, last, progress) if first and last else workspace.run(window, progress)
    if answer.get("retried"):
        screen.talk(f"window {answer['window']} was run again: {', '.join(answer['retried'])} had failed in it")
    if answer["failed"] and first:
        screen.talk(f"mend what failed, then run the range again: headwater run --from {first} --to {last}")
    if answer["failed"] and not first:
        screen.talk(
            f"`headwater run` tries window {answer['window']} again; to go on without what failed: "
            f"headwater run --window {workspace.after(answer['window'])}"
        )
    screen.answer(answer, as_json, draw)
    if answer["failed"]:
        context.exit(DataError.exit_code)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw what a run brought to light."""
    lines = {"window": answer.get("window"), "delivered": answer.get("delivered"), "accepted": answer.get("accepted")}
    out.print(screen.labelled(lines))
    for failure in answer.get("failed", ()):
        error = failure.get("error") or {}
        out.print(f"[red]{screen.cell(failure.get('dataset'))}[/] {screen.cell(failure.get('state'))}:", end=" ")
        out.print(screen.cell(error.get("message")))
        if error.get("hint"):
            out.print(f"  [dim]hint: {screen.cell(error['hint'])}[/]")
    alarms = answer.get("alarms") or []
    alarms = [{**item, **_NAMELESS} if item.get("monitor") == "signature" else item for item in alarms]
    if alarms:
        out.print(screen.table(alarms, ("subject", "metric", "score", "value", "expected", "detail"), "alarms"))
    if count := answer.get("notices"):
        what = "1 notice that woke nobody" if count == 1 else f"{count} notices that woke nobody"
        out.print(f"[dim]{what}: headwater notices[/]")
    if told := answer.get("warming"):
        out.print(f"[dim]no band yet: {'; '.join(map(_warming, told))}[/]")
    for verdict in answer.get("verdicts") or []:
        out.print(f"[bold]{screen.cell(verdict.get('incident'))}[/] {screen.cell(verdict.get('text'))}")
        out.print(f"[dim]see headwater why {screen.cell(verdict.get('incident'))}[/]")
    judged = {verdict.get("incident") for verdict in answer.get("verdicts") or []}
    for incident in answer.get("incidents") or []:
        if incident["incident"] not in judged:
            out.print(f"[bold]{screen.cell(incident['incident'])}[/] {WAITING.get(incident['state'], 'is not closed')}")
    if answer.get("incidents"):
        out.print("[dim]no window is accepted, that is learned from, while an incident is not closed[/]")


def _warming(told: dict[str, Any]) -> str:
    noun = "model" if told["monitors"] == "performance" else "dataset"
    of = f"{told['subjects']} of {told['of']} {noun}{'' if told['of'] == 1 else 's'}"
    return f"{told['monitors']} of {of}, for {told['windows']} window{'' if told['windows'] == 1 else 's'} more"
