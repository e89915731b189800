"""The page: one self-contained HTML file, most important things first."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from headwater.app.report import acts, sections
from headwater.app.report.curves import curves
from headwater.app.report.data import Fact, IncidentStory, Report
from headwater.app.report.lineage import path_graph
from headwater.app.report.markup import Markup, el, join
from headwater.app.report.river import alarm_table, river
from headwater.app.report.style import script, sheet
from headwater.app.report.wording import (
    count,
    ending,
    headline,
    moment,
    number,
    percent,
    price_note,
    rounded,
    sentence,
    short,
    signed_by_both,
    window_name,
)
from headwater.core.clock import aware
from headwater.core.errors import StorageError
from headwater.core.records import Verdict

LOGO = Markup(
    '<svg class="logo" viewBox="0 0 28 28" width="26" height="26" aria-hidden="true">'
    '<path class="drop" d="M14 2.2C15.4 4.6 16.3 6 16.3 7.5a2.3 2.3 0 0 1-4.6 0C11.7 6 12.6 4.6 14 2.2Z"/>'
    '<path d="M2 15q4-4 8 0t8 0 8 0"/><path d="M2 20q4-4 8 0t8 0 8 0"/><path d="M2 25q4-4 8 0t8 0 8 0"/></svg>'
)


def render(report: Report) -> str:
    """Return the report as one HTML document that needs no network and no JavaScript.

    Raises:
        UsageError: A time in the report has no zone.
    """
    aware(report.generated)
    page = el(
        "html",
        head(report.title, sheet(), script()),
        el(
            "body",
            el("a", "Skip to the report", href="#report", class_="skip"),
            bar(report),
            el("main", hero(report), body(report), id="report"),
            footer(report),
            el("div", class_="tip", role="status", hidden=True),
            el("script", Markup(script())),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def write(report: Report, path: str | Path) -> Path:
    """Write the report to ``path``; see `write_text`."""
    return write_text(render(report), path)


def write_text(page: str, path: str | Path) -> Path:
    """Write a page to ``path`` in one step: a reader sees the old file or the whole new one.

    Raises:
        StorageError: The file cannot be written; what was there before is still there.
    """
    target = Path(path)
    text = page.encode("utf-8")
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StorageError(
            f"the page cannot be written to {target}: {error.strerror or error}",
            hint="free some space or choose another path; an older report there is untouched",
        ) from error
    return target


def head(title: str, style: str, script: str = "") -> Markup:
    """Build a page's head; its policy forbids all but the inlined style and, if there is one, this one script."""
    sealed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{sealed}'; " if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {allowed}base-uri 'none'; form-action 'none'"
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="generator", content="headwater"),
        el("title", f"{title} · Headwater"),
        el("style", Markup(style)),
    )


def bar(report: Report) -> Markup:
    """Build the top line."""
    return el(
        "header",
        el("span", LOGO, el("span", "Headwater", class_="word"), class_="brand"),
        el("span", report.project, class_="project"),
        el("time", moment(report.generated), datetime=report.generated.isoformat(), class_="dim"),
        el("button", "Dark", type="button", class_="theme", hidden=True, aria_label="Switch between light and dark"),
        class_="top",
    )


def status(report: Report) -> tuple[str, str]:
    """Return the state of the whole report as a word and a style."""
    if not report.incidents:
        return "quiet", "ok"
    still = [story for story in report.incidents if story.state != "closed"]
    if not still:
        return "closed", "ok"
    return ("open" if len(report.incidents) == 1 else f"{len(still)} open"), "bad"


def hero(report: Report) -> Markup:
    """Build headline, key numbers and the river map."""
    word, style = status(report)
    title = headline(report)
    size = "long" if len(title) > 170 else ""
    several = len(report.incidents) > 1
    listing = (
        el(
            "ol",
            [
                el("li", el("a", sentence(story), href=f"#incident-{index}"))
                for index, story in enumerate(report.incidents, 1)
            ],
            class_="stories",
        )
        if several
        else None
    )
    return el(
        "div",
        el("p", el("span", word.capitalize(), class_=f"status {style}"), el("span", report.title), class_="kicker"),
        el("h1", title.rstrip(".") + ".", class_=size or None),
        listing,
        key_numbers(report),
        el(
            "section",
            el("header", el("h2", "River map"), el("p", river_lead(report), class_="lead")),
            river(report),
            alarm_table(report),
            class_="panel map",
        ),
        class_="hero",
    )


def river_lead(report: Report) -> str:
    """Say how to read the map."""
    start = "Each line is an asset, sources first; each step is a window."
    if not report.incidents:
        return f"{start} Calm water all the way."
    return f"{start} Warm and wide is alarm: the highest warm line is the headwater."


def key_numbers(report: Report) -> Markup:
    """Show the few numbers that matter most."""
    stories = report.incidents
    if len(stories) == 1 and stories[0].verdict is not None:
        facts = story_numbers(stories[0], report)
    else:
        facts = [
            Fact(label="windows", value=len(report.windows)),
            Fact(label="assets watched", value=len(report.assets)),
        ]
        if stories:
            effects = [story.verdict.effect for story in stories if story.verdict and story.verdict.effect]
            affected = sum(effect.affected_predictions for effect in effects)
            facts += [Fact(label="incidents", value=len(stories)), Fact(label="predictions affected", value=affected)]
        else:
            facts += [Fact(label="incidents", value=0)]
        facts.append(Fact(label="harmless changes cleared", value=len(report.cleared)))
    return el(
        "dl",
        [
            el(
                "div",
                el("dt", fact.label),
                el("dd", number(fact.value), el("span", fact.unit, class_="unit") if fact.unit else None),
                el("dd", fact.note, class_="dim") if fact.note else None,
            )
            for fact in facts
        ],
        class_="numbers-strip",
    )


def story_numbers(story: IncidentStory, report: Report) -> list[Fact]:
    """Return one incident's key numbers."""
    verdict = story.verdict
    assert verdict is not None
    facts = []
    if story.detected_window in report.windows and verdict.start_window in report.windows:
        delay = report.windows.index(story.detected_window) - report.windows.index(verdict.start_window) + 1
        facts.append(
            Fact(
                label="detected within",
                value=delay,
                unit="window" if delay == 1 else "windows",
                note=f"began {window_name(verdict.start_window)}",
            )
        )
    effect = verdict.effect
    if effect is not None:
        share = effect.affected_predictions / effect.scored_predictions if effect.scored_predictions else 0
        facts.append(
            Fact(
                label="predictions affected",
                value=effect.affected_predictions,
                note=f"of {effect.scored_predictions:,} ({percent(share)})",
            )
        )
        cost = story.cost or effect
        note = price_note(effect, story.cost)
        if cost.unit:
            facts.append(Fact(label=cost.metric or "effect", value=rounded(cost.value), unit=cost.unit, note=note))
        else:
            facts.append(Fact(label="cost", value="–", note="no cost function is declared"))
    facts.append(
        Fact(label="confidence", value=percent(verdict.confidence), note=f"{len(verdict.exonerated)} cleared by name")
    )
    if verdict.remedy is not None and verdict.remedy.gain is not None:
        act = verdict.remedy
        bounds = act.gain_low is not None and act.gain_high is not None
        facts.append(
            Fact(
                label="gain of the remedy" if story.applied else "expected gain of the remedy",
                value=rounded(act.gain or 0),
                unit=effect.unit if effect else "",
                note=f"{rounded(act.gain_low or 0)} to {rounded(act.gain_high or 0)}" if bounds else "measured",
            )
        )
    return facts + list(story.facts[:2])


def body(report: Report) -> Markup:
    """Build the incidents and what belongs to the whole run."""
    several = len(report.incidents) > 1
    stories = [incident(story, index, several) for index, story in enumerate(report.incidents, 1)]
    common = sections.section("Metrics", curves(report.curves)) if report.curves else None
    return join(
        stories,
        el("div", common, class_="panel") if common else None,
        panel(sections.cleared_list(report.cleared)),
        panel(sections.section("Measured in this run", sections.fact_list(report.facts))),
    )


def panel(inner: Markup) -> Markup:
    """Wrap a part in a panel unless it is empty."""
    return el("div", inner, class_="panel") if inner else Markup("")


def incident(story: IncidentStory, index: int, several: bool) -> Markup:
    """Build everything about one incident."""
    verdict = story.verdict
    parts: list[Markup] = []
    if several or verdict is None or verdict.status != "named":
        parts.append(el("h2", el("span", str(index), class_="number"), sentence(story), class_="story-title"))
    if verdict is None:
        parts.append(el("p", "Triage has not judged this incident yet.", class_="empty"))
    else:
        parts.append(judgement(verdict, story))
    graph = path_graph(story)
    if graph:
        lead = "From the culprit to the symptom. Cleared suspects carry a check mark."
        parts.append(panel(sections.section("Lineage path", graph, lead=lead)))
    if story.curves:
        parts.append(panel(sections.section("Metrics", curves(story.curves))))
    parts.append(panel(sections.evidence(story)))
    if verdict is not None:
        parts.append(panel(sections.suspects(verdict)))
        parts.append(panel(sections.remedy(story)))
        parts.append(panel(acts.options(verdict)))
        parts.append(panel(acts.memory(story)))
        parts.append(panel(acts.runbook(story)))
        parts.append(aside([sections.prevention(verdict, story.written), sections.timeline(story)]))
    else:
        parts.append(panel(sections.timeline(story)))
    parts.append(panel(sections.signatures(story)))
    if len(story.facts) > 2:
        parts.append(panel(sections.section("Numbers of this incident", sections.fact_list(story.facts))))
    return el("section", *parts, class_="incident", id=f"incident-{index}", aria_label=f"Incident {story.incident}")


def aside(items: Sequence[Markup]) -> Markup:
    """Put two panels side by side; one alone takes the whole width."""
    filled = [panel(item) for item in items if item]
    if not filled:
        return Markup("")
    return el("div", *filled, class_="pair" if len(filled) > 1 else None)


def judgement(verdict: Verdict, story: IncidentStory) -> Markup:
    """State the verdict: subject, kind, side, owner, confidence."""
    names = {"named": "Cause", "world": "The world changed, no asset failed", "none": "Nothing is wrong"}
    title = names.get(verdict.status, "Undetermined")
    named = verdict.status == "named"
    rows = [("incident", story.incident), ("state", ending(story))]
    if named:
        rows = [
            ("kind", verdict.fault),
            ("side", sections.side_tag(verdict.side)),
            ("owner", verdict.owner),
            ("began", window_name(verdict.start_window, year=True)),
            *rows,
        ]
    rows.append(("confidence", percent(verdict.confidence)))
    return el(
        "div",
        el("p", title, class_="label"),
        el("p", short(verdict.subject), class_="subject", title=verdict.subject) if named else None,
        el("p", verdict.text, class_="said") if not named and verdict.text else None,
        sections.pairs(rows),
        el("p", el("strong", "This would tell: "), verdict.next_test, class_="said") if verdict.next_test else None,
        class_=f"judgement {'named' if named else 'open'}",
    )


def footer(report: Report) -> Markup:
    """Build the audit facts at the end."""
    facts = [
        el(
            "div",
            el("dt", fact.label),
            el("dd", number(fact.value), f" {fact.unit}" if fact.unit else None),
            el("dd", sections.command(fact.command)) if fact.command else None,
        )
        for fact in report.audit
    ]
    signed = sum(signed_by_both(story) for story in report.incidents)
    line = f"{report.project}, {count(len(report.windows), 'window')}, {count(len(report.assets), 'asset')}"
    if report.incidents:
        line += f", {signed} of {count(len(report.incidents), 'incident')} signed by both sides"
    return el(
        "footer",
        el("dl", facts, class_="audit") if facts else None,
        el(
            "p",
            f"{line}. Generated by Headwater, {moment(report.generated)}. This file needs no network.",
            class_="dim",
        ),
    )
