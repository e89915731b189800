"""The written parts of an incident: evidence, suspects, remedy, prevention, signatures, timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.app.report.data import Cleared, Fact, IncidentStory
from headwater.app.report.markup import Markup, el, join
from headwater.app.report.seal import seal
from headwater.app.report.wording import (
    count,
    moment,
    number,
    percent,
    short,
    signed_by_both,
    standing,
    window_name,
    yaml,
)
from headwater.core.records import Remedy, Signoff, Step, Suspect, Verdict

SIDE_NAMES = {"data": "Data side", "ml": "ML side"}
ACTIONS = {
    "rollback_model": "Roll back the model",
    "rollback_code": "Roll back the code",
    "repair": "Repair and backfill",
    "hold": "Hold",
    "retrain": "Retrain",
    "none": "Do nothing",
}
TICK = Markup(
    '<svg class="tick-mark" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">'
    '<path d="M2 6.5l2.8 3L10 3"/></svg>'
)
CROSS = Markup(
    '<svg class="cross-mark" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">'
    '<path d="M3 3l6 6M9 3l-6 6"/></svg>'
)


def side_tag(side: str) -> Markup:
    """Name a side with its mark."""
    style = side if side in SIDE_NAMES else "data"
    return el("span", el("span", class_=f"side {style}"), side or "no side", class_="side-tag")


def command(text: str) -> Markup:
    """Show a command that can be copied."""
    if not text:
        return Markup("")
    return el("code", text, class_="command", tabindex="0")


def section(title: str, *body: object, lead: str = "", name: str = "") -> Markup:
    """Build one titled part of the page, or nothing when its body is empty."""
    inner = join(*body)
    if not inner:
        return inner
    head = el("header", el("h3", title), el("p", lead, class_="lead") if lead else None)
    return el("section", head, inner, class_=f"part {name}".strip())


def evidence(story: IncidentStory) -> Markup:
    """Lay out the evidence of both sides, in the order of the chain."""
    steps = story.evidence or (story.verdict.chain if story.verdict else ())
    if not steps:
        return Markup("")
    again = " Every number comes with the command that prints it again." if all(step.command for step in steps) else ""
    columns = []
    for side, title in SIDE_NAMES.items():
        own = [step for step in steps if step.side == side]
        cards = [proof(step) for step in own] or el("p", f"No evidence from the {side} side.", class_="empty")
        columns.append(el("div", el("h4", el("span", class_=f"side {side}"), title, class_="column"), cards))
    other = [step for step in steps if step.side not in SIDE_NAMES]
    rest = el("div", [proof(step) for step in other]) if other else None
    return section(
        "Evidence",
        el("div", *columns, rest, class_="two"),
        lead=f"What each side measured.{again}",
    )


def proof(step: Step) -> Markup:
    """Show one test with its number, sentence and command."""
    versions = ", ".join(f"{name} {value}" for name, value in step.versions.items())
    return el(
        "article",
        el(
            "header",
            el("span", short(step.subject), class_="subject", title=step.subject),
            el("span", step.test, class_="test"),
            el("span", number(step.value), class_="figure") if step.value is not None else None,
        ),
        el("p", step.text),
        el("p", versions, class_="dim versions") if versions else None,
        command(step.command) if step.command else None,
        class_="proof",
    )


def suspects(verdict: Verdict) -> Markup:
    """Rank the suspects, with the reason why each cleared one was cleared."""
    if not verdict.suspects:
        return Markup("")
    order = sorted(verdict.suspects, key=lambda item: (item.exonerated, -item.probability))
    heads = ("suspect", "side and owner", "probability", "what was found")
    table = el(
        "table",
        el("thead", el("tr", [el("th", head, scope="col") for head in heads])),
        el("tbody", [suspect_row(item, verdict) for item in order]),
        class_="suspects",
    )
    cleared = sum(item.exonerated for item in verdict.suspects)
    lead = f"{count(len(order), 'suspect')} tested, {cleared} cleared by name."
    return section("Suspects", el("div", table, class_="scroll"), lead=lead)


def suspect_row(item: Suspect, verdict: Verdict) -> Markup:
    """Show one suspect."""
    blamed = item.subject == verdict.subject and verdict.status == "named" and not item.exonerated
    share = min(max(item.probability, 0.0), 1.0) if item.probability == item.probability else 0.0
    bar = el("span", el("span", class_="fill", style=f"width:{share * 100:.1f}%"), class_="bar", aria_hidden="true")
    numbers = " · ".join(f"{name} {number(value)}" for name, value in item.numbers.items())
    found = join(
        el("span", TICK, "cleared", class_="verdict-tag ok") if item.exonerated else None,
        el("span", "named", class_="verdict-tag bad") if blamed else None,
        el("span", item.reason),
        el("span", numbers, class_="dim numbers") if numbers else None,
    )
    return el(
        "tr",
        el(
            "th",
            el("span", short(item.subject), title=item.subject),
            el("span", item.fault, class_="dim kind"),
            scope="row",
        ),
        el("td", side_tag(item.side), el("span", item.owner, class_="dim kind")),
        el("td", bar, el("span", percent(share), class_="num share"), class_="chance"),
        el("td", found),
        class_="blamed" if blamed else ("exonerated" if item.exonerated else None),
    )


def remedy(story: IncidentStory) -> Markup:
    """Show what was done: the act and its measured gain, the dry run, and the verification."""
    act = story.verdict.remedy if story.verdict else None
    if act is None:
        return Markup("")
    cards = [el("div", act_card(act, story.applied), class_="card")]
    touches = dry_run(story, act)
    checks = verification(story)
    cards += [el("div", part, class_="card") for part in (touches, checks) if part]
    return section("Remedy", el("div", *cards, class_="three"))


def act_card(act: Remedy, applied: bool) -> Markup:
    """Show the act itself."""
    interval = ""
    if act.gain_low is not None and act.gain_high is not None:
        interval = f"{number(act.gain_low)} to {number(act.gain_high)}"
    gain = (
        el(
            "p",
            el("span", number(act.gain), class_="big"),
            el("span", f"measured gain{', interval ' + interval if interval else ''}", class_="dim"),
            class_="gain",
        )
        if act.gain is not None
        else None
    )
    rows = [("acts on", short(act.target))]
    if act.windows:
        span = window_name(act.windows[0])
        span += f" to {window_name(act.windows[-1])}" if len(act.windows) > 1 else ""
        rows.append(("windows", f"{span} ({len(act.windows)})"))
    rows += [(str(name), spoken(value)) for name, value in act.parameters.items()]
    rows.append(("reversible", "yes" if act.reversible else "no"))
    return join(
        el(
            "h4",
            ACTIONS.get(act.action, act.action),
            el("span", "applied" if applied else "planned", class_=f"verdict-tag {'ok' if applied else 'wait'}"),
        ),
        el("p", act.text) if act.text else None,
        gain,
        pairs(rows),
    )


def spoken(value: object) -> str:
    """Return a parameter's value as a reader wants it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return value if isinstance(value, str) else yaml(value)


def pairs(rows: Sequence[tuple[object, object]]) -> Markup:
    """Show names and values as a definition list."""
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in rows], class_="pairs")


def dry_run(story: IncidentStory, act: Remedy) -> Markup:
    """List what the dry run would rewrite."""
    if story.dry_run:
        items = [
            el(
                "li",
                el("span", short(item.ref), title=item.ref, class_="mono"),
                el(
                    "span",
                    ", ".join(
                        part
                        for part in (
                            count(item.windows, "window") if item.windows else "",
                            count(item.rows, "row") if item.rows is not None else "",
                            item.note,
                        )
                        if part
                    ),
                    class_="dim",
                ),
            )
            for item in story.dry_run
        ]
    else:
        items = [el("li", el("span", short(ref), title=ref, class_="mono")) for ref in act.touches]
    if not items:
        return Markup("")
    return join(
        el("h4", "Dry run: what it touches"),
        el("ul", items[:60], class_="touches"),
        el("p", f"and {len(items) - 60} more", class_="dim") if len(items) > 60 else None,
    )


def verification(story: IncidentStory) -> Markup:
    """Show the verification on fresh data."""
    if not story.verification:
        return Markup("")
    good = all(item.passed for item in story.verification)
    items = []
    for item in story.verification:
        ends = [number(value) for value in (item.before, item.after) if value is not None]
        change = f"{' → '.join(ends)} {item.unit}".strip() if ends else ""
        items.append(
            el(
                "li",
                TICK if item.passed else CROSS,
                el(
                    "span",
                    el("span", item.label, class_="label"),
                    el("span", change, class_="num") if change else None,
                    el("span", item.note, class_="dim") if item.note else None,
                ),
                class_="pass" if item.passed else "fail",
            )
        )
    tag = el("span", "verified" if good else "not verified", class_=f"verdict-tag {'ok' if good else 'bad'}")
    return join(el("h4", "Verification on fresh data", tag), el("ul", items, class_="checks"))


def prevention(verdict: Verdict, written: Mapping[str, Any] | None) -> Markup:
    """Show the check that keeps this from coming back: as it was written, else as the verdict proposes it."""
    check = written or verdict.prevention
    if not check:
        return Markup("")
    return section(
        "Prevention",
        el("pre", el("code", yaml(check)), class_="yaml", tabindex="0"),
        lead="The check made when the incident was closed." if written else "The check proposed for the contract.",
    )


def signatures(story: IncidentStory) -> Markup:
    """Show both sides' signatures over the evidence hash; empty places say who is missing."""
    verdict = story.verdict
    if verdict is None:
        return Markup("")
    hash_ = verdict.evidence_hash
    latest = standing(story)
    cards = [signature(side, latest.get(side), hash_) for side in ("data", "ml")]
    closed = "Both sides signed the same evidence." if signed_by_both(story) else "Not closed without both signatures."
    return section(
        "Signatures",
        el("div", *cards, class_="two signing"),
        el("p", "Evidence ", el("code", hash_, class_="hash"), class_="dim evidence-hash"),
        lead=closed,
    )


def signature(side: str, given: Signoff | None, hash_: str) -> Markup:
    """Show one side's signature card."""
    if given is None:
        blank = el("span", class_="seal empty-seal", aria_hidden="true")
        text = el("div", el("p", SIDE_NAMES[side], class_="who-side"), el("p", "not signed yet", class_="who dim"))
        return el("article", blank, text, class_="signature waiting")
    same = given.evidence_hash == hash_
    state, tag = (
        ("signed", "ok")
        if given.agrees and same
        else ("disagrees", "bad")
        if not given.agrees
        else ("other evidence", "bad")
    )
    body = el(
        "div",
        el(
            "p",
            el("span", class_=f"side {side}"),
            SIDE_NAMES[side],
            el("span", state, class_=f"verdict-tag {tag}"),
            class_="who-side",
        ),
        el("p", given.by, class_="who"),
        el("p", el("time", moment(given.time), datetime=given.time.isoformat()), class_="dim"),
        el("p", given.reason) if given.reason else None,
        el("p", "prevention owned by ", el("strong", given.prevention_owner)) if given.prevention_owner else None,
        el("p", el("code", given.evidence_hash[:16] + "…", title=given.evidence_hash), class_="dim"),
    )
    return el(
        "article", seal(given.evidence_hash), body, class_=f"signature {'' if state == 'signed' else 'broken'}".strip()
    )


def timeline(story: IncidentStory) -> Markup:
    """Show the states that the incident went through."""
    if not story.timeline:
        return Markup("")
    items = []
    for step in story.timeline:
        items.append(
            el(
                "li",
                el("time", moment(step.time), datetime=step.time.isoformat()),
                el("span", step.state, class_="state"),
                el("span", step.note, el("span", f" {step.by}", class_="by") if step.by else None),
            )
        )
    return section("Timeline", el("ol", items, class_="timeline"))


def fact_list(facts: Sequence[Fact]) -> Markup:
    """Show measured facts with the commands that print them."""
    rows = [
        el(
            "tr",
            el("th", fact.label, scope="row"),
            el(
                "td", number(fact.value), el("span", f" {fact.unit}", class_="dim") if fact.unit else None, class_="num"
            ),
            el("td", fact.note, class_="dim"),
            el("td", command(fact.command)),
        )
        for fact in facts
    ]
    return el("div", el("table", el("tbody", rows), class_="facts"), class_="scroll") if rows else Markup("")


def cleared_list(items: Sequence[Cleared]) -> Markup:
    """Show the harmless changes, each by name with the test that cleared it."""
    if not items:
        return Markup("")
    rows = [
        el(
            "tr",
            el("th", TICK, el("span", short(item.subject), title=item.subject), scope="row"),
            el("td", window_name(item.window)),
            el("td", item.change),
            el("td", side_tag(item.side)),
            el("td", item.reason),
            el("td", command(item.command)),
        )
        for item in items
    ]
    heads = ("subject", "window", "change", "side", "why it is harmless", "again")
    head = el("thead", el("tr", [el("th", text, scope="col") for text in heads]))
    return section(
        "Harmless changes, cleared by name",
        el("div", el("table", head, el("tbody", rows), class_="cleared"), class_="scroll"),
        lead=f"{count(len(items), 'change')} looked suspicious by date and changed nothing that matters.",
    )
