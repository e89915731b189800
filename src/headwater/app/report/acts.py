"""What could be done about an incident, and what earlier ones teach: the acts that were weighed, likeness, runbook."""

from __future__ import annotations

import re

from headwater.app.report.data import IncidentStory, Likeness
from headwater.app.report.markup import Markup, el, join
from headwater.app.report.sections import ACTIONS, TICK, section
from headwater.app.report.wording import number, percent, short, window_name
from headwater.core.records import Option, Verdict

_HELD = {True: "it held", False: "it did not hold", None: "not known yet"}


def options(verdict: Verdict) -> Markup:
    """Show every act that was weighed: its gain if it is right, its loss if not, and what forbids it."""
    told = () if verdict.remedy is None else verdict.remedy.options
    if not told:
        return Markup("")
    heads = ("act", "its cause is true", "gain if it is", "loss if not", "utility", "")
    table = el(
        "table",
        el("thead", el("tr", [el("th", head, scope="col") for head in heads])),
        el("tbody", [_option(item) for item in told]),
        class_="options",
    )
    measure = next((item.measure for item in told if item.measure), "")
    said = "how much nearer predictions come to what they should be" if measure == "displacement" else measure
    lead = "Each act's gain is measured by the replay that simulates exactly it."
    return section(
        "What could be done",
        el("div", table, class_="scroll"),
        lead=f"{lead} Utility and loss are in {said}." if said else lead,
    )


def _option(item: Option) -> Markup:
    """Show one act."""
    low, high = item.gain_low, item.gain_high
    gain: object = "–"
    if item.gain is not None and low is not None and high is not None:
        gain = join(el("span", f"{number(item.gain)} {item.unit}", class_="num"),
                    el("span", f"{number(low)} to {number(high)}", class_="dim kind"))  # fmt: skip
    elif item.displacement:
        gain = el("span", f"{number(item.displacement)} nearer", class_="num")
    tag = el("span", TICK, "chosen", class_="verdict-tag ok") if item.chosen else None
    return el(
        "tr",
        el("th", ACTIONS.get(item.action, item.action), el("span", short(item.target), class_="dim kind"), scope="row"),
        el("td", percent(item.probability), class_="num"),
        el("td", gain),
        el("td", number(item.loss), class_="num"),
        el("td", number(item.utility), class_="num"),
        el("td", tag, el("span", item.veto, class_="dim") if item.veto else None),
        class_=None if not item.veto else "vetoed",
    )


def memory(story: IncidentStory) -> Markup:
    """Say that it came back, and show the earlier incidents that are like it."""
    again = (
        el("p", el("strong", "It came back. "), _step(story.recurrence), class_="said") if story.recurrence else None
    )
    rows = [_like(item) for item in story.similar]
    heads = ("earlier incident", "alike", "in", "what was done", "")
    table = (
        el(
            "table",
            el("thead", el("tr", [el("th", head, scope="col") for head in heads])),
            el("tbody", rows),
        )
        if rows
        else None
    )
    return section("What came before", again, el("div", table, class_="scroll") if table else None)


def _like(item: Likeness) -> Markup:
    about = f"{short(item.subject) or 'nobody'}: {item.fault}, {window_name(item.window)}"
    return el(
        "tr",
        el("th", item.incident, el("span", about, class_="dim kind"), scope="row"),
        el("td", percent(item.likeness), class_="num"),
        el("td", ", ".join(item.alike_in)),
        el("td", ACTIONS.get(item.remedy, "nothing yet")),
        el("td", _HELD[item.held], class_="dim"),
    )


def runbook(story: IncidentStory) -> Markup:
    """Show the steps of the fault's runbook; commands in them can be copied."""
    if story.book is None:
        return Markup("")
    steps = [el("li", _step(step)) for step in story.book.steps]
    return section("Runbook", el("ol", steps, class_="runbook"), lead=f"{story.book.title}.")


def _step(text: str) -> Markup:
    parts = re.split(r"`([^`]+)`", text)
    return join(*(el("code", part) if place % 2 else part for place, part in enumerate(parts)))
