"""Answer: why did accuracy drop without a single error?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import cost, options, screen
from headwater.cli.screen import cell

if TYPE_CHECKING:
    from rich.console import Console

NEXT = {
    "verdict": "headwater remedy {0} shows what it would touch, headwater remedy {0} --apply does it",
    "remedied": "the next window verifies the remedy: headwater run",
    "verifying": "headwater sign {0} --side data|ml --as NAME, then headwater close {0}",
    "disputed": "headwater run, the case is judged again on all evidence",
}


@click.command("why")
@click.argument("reference", metavar="INCIDENT|MODEL")
@click.option("--affected", metavar="FILE.csv", type=click.Path(dir_okay=False), help="List its predictions there.")
@options.project
@options.as_json
def command(reference: str, affected: str | None, project: str | None, as_json: bool) -> None:
    """Say why decisions got worse without a single error.

    Names the asset that failed, its owner and side, the chain of evidence, and who was cleared; or says that no
    asset failed, or which test would tell.
    """
    if affected is not None:
        screen.answer(options.workspace(project).affected(reference, affected), as_json, draw_affected)
        return
    screen.answer(options.workspace(project).why(reference), as_json, draw)


def draw(out: Console, answer: dict[str, Any]) -> None:
    """Draw a verdict: who, since when, by which evidence, who was cleared, what to do."""
    if answer.get("status") == "quiet":
        out.print(cell(answer.get("text")))
        if answer.get("cleared"):
            columns = ("subject", "window", "change", "reason")
            out.print(screen.table(answer["cleared"], columns, "changes that were cleared"))
        for text in answer.get("accepted") or []:
            out.print(cell(text))
        return
    out.print(f"[bold]{cell(answer.get('incident'))}[/] [dim]{cell(answer.get('state'))}[/]")
    if answer.get("status") == "named":
        sure = screen.percent(answer.get("confidence"))
        side, owner = f"{answer.get('side')} side", answer.get("owner")
        whose = cell(side if owner in (None, "", side) else f"{side}, {owner}")
        out.print(
            f"[bold red]{cell(answer.get('subject'))}[/] failed: {cell(answer.get('fault'))} · {whose} · {sure} sure"
        )
    else:
        out.print(f"[bold]{cell(answer.get('status'))}[/]")
    out.print(cell(answer.get("text")))
    out.print()
    out.print(screen.labelled(_facts(answer)))
    _chain(out, answer.get("chain") or [])
    _cleared(out, [item for item in answer.get("suspects") or [] if item.get("exonerated")])
    _remembered(out, answer)
    if answer.get("state") in NEXT:
        out.print(f"[dim]next:[/] {cell(NEXT[answer['state']].format(answer.get('incident')))}")


def draw_affected(out: Console, answer: dict[str, Any]) -> None:
    """Say where the list of affected predictions is, how long it is, and what they cost together."""
    all_of_them = "" if answer["listed"] == answer["affected"] else " (a sample of the rows stands for all)"
    out.print(
        f"{answer['listed']} of {answer['affected']} affected predictions are in {cell(answer['file'])}{all_of_them}"
    )
    if answer.get("cost") is not None:
        paid = screen.amount(answer["cost"], str(answer["unit"]), answer["low"], answer["high"])
        out.print(f"together they cost {cell(paid)} more than repaired; {answer['scored']} were scored")


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"since": answer.get("start_window"), "judged in": answer.get("window")}
    first, remedy = answer.get("effect"), answer.get("remedy") or {}
    if effect := answer.get("cost") or first:
        moved = f"{effect.get('affected_predictions')} of {effect.get('scored_predictions')} predictions moved"
        facts["cost"] = f"{cost.told(answer.get('cost'), first)}; {moved}"
        if effect.get("value", 0) < 0:
            facts["cost"] += "; below zero: it happened to cost less than the repaired decisions would have"
        if effect.get("evidence"):
            facts["priced again"] = f"in {effect['window']}: headwater recompute {effect['evidence'][:12]} value"
    if remedy:
        facts["remedy"] = remedy.get("text") or f"{remedy.get('action')} {remedy.get('target')}"
    if written := answer.get("written"):
        facts["prevention"] = f"check {written['name']} of {written['dataset']}, made when it was closed"
    elif prevention := answer.get("prevention"):
        facts["prevention"] = f"check {prevention.get('metric')} of {prevention.get('asset')}"
        if prevention.get("observed") is not None:
            facts["prevention"] += (
                f": it was {_plain(prevention['observed'])} where {_plain(prevention['expected'])} is expected"
            )
    if answer.get("accepted"):
        facts["accepted"] = "; ".join(answer["accepted"])
    facts["next test"] = answer.get("next_test")
    facts["evidence"] = answer.get("evidence_hash")
    for side, signed in (answer.get("signoffs") or {}).items():
        disagreed = "" if signed.get("agrees") else f" disagrees: {signed.get('reason')}"
        facts[f"{side} side"] = f"signed by {signed.get('by')}{disagreed}"
    return {name: value for name, value in facts.items() if value}


def _plain(value: Any) -> str:
    """Write a number that stands inside of a text."""
    return screen.figure(value) if isinstance(value, float) else screen.NOTHING if value is None else str(value)


def _chain(out: Console, steps: list[dict[str, Any]]) -> None:
    """Draw the chain from the culprit down to the symptom, each number with the command that computes it again."""
    if not steps:
        return
    out.print()
    out.print("[bold]evidence, from the culprit down[/]")
    for place, step in enumerate(steps):
        out.print(f"{'↓' if place else '●'} [bold]{cell(step.get('subject'))}[/] {cell(step.get('text'))}")
        if step.get("command"):
            out.print(f"[dim]  $ {cell(step['command'])}[/]")


def _cleared(out: Console, suspects: list[dict[str, Any]]) -> None:
    """Draw who was tested and cleared, by name, under the reason they share."""
    by_reason: dict[str, list[str]] = {}
    for suspect in suspects:
        by_reason.setdefault(str(suspect.get("reason")), []).append(str(suspect.get("subject")))
    if by_reason:
        out.print()
        out.print("[bold]cleared[/]")
    for reason, subjects in by_reason.items():
        out.print(f"[dim]{cell(reason)}:[/] {cell(subjects)}")
    if by_reason:
        out.print()


def _remembered(out: Console, answer: Mapping[str, Any]) -> None:
    """Draw what came before: the same fault, incidents like it, and the steps of the runbook."""
    if again := answer.get("recurrence"):
        count = f"for the {again['times']}{_ORDINALS.get(again['times'], 'th')} time"
        out.print(f"[bold red]it came back[/] {count}: {cell(again['last'])} was closed {cell(again['closed'][:10])}")
        out.print(f"[dim]{cell(again['prevention'])}[/]")
        out.print()
    if alike := answer.get("similar"):
        rows = [
            {
                "incident": item["incident"],
                "alike": screen.percent(item["likeness"]),
                "in": [name for name, part in item["parts"].items() if part >= 0.5],
                "subject": item["subject"],
                "fault": item["fault"],
                "window": item["window"],
                "what was done": item["remedy"],
                "held": {True: "yes", False: "no"}.get(item["held"]),
            }
            for item in alike
        ]
        out.print(screen.table(rows, title="incidents like this one"))
    book = answer.get("runbook")
    if book and answer.get("state") != "closed":
        out.print(f"[bold]runbook[/] {cell(book['title'])}")
        for number, step in enumerate(book["steps"], 1):
            out.print(f"{number}. {cell(step)}")
        out.print()


_ORDINALS = {1: "st", 2: "nd", 3: "rd"}
