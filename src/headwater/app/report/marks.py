"""Events on the window axis: merged into spans, drawn as thin lines or bands, with labels that do not collide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.app.report.colour import ALARM_STEPS, QUIET_STEPS
from headwater.app.report.data import Mark, Report
from headwater.app.report.markup import Markup, el
from headwater.app.report.wording import elide, short, window_name, window_time

KINDS = {
    "incident": "incident begins",
    "remedy": "remedy",
    "deploy": "code deployed",
    "release": "model released",
    "storm": "unusual world",
    "other": "other event",
}
LANES = 5
LANE = 17
NARROW = 540.0
CHARACTER = 6.1
# In a 10 x 10 box: told apart by shape first, by colour second.
GLYPHS = {
    "incident": "M5 0C8 4 9 5.4 9 6.6A4 3.6 0 0 1 1 6.6C1 5.4 2 4 5 0Z",
    "remedy": "M3.5 0h3v3.5H10v3H6.5V10h-3V6.5H0v-3h3.5Z",
    "deploy": "M5 .4 9.6 5 5 9.6.4 5Z",
    "release": "M5 .8 9.6 9H.4Z",
    "storm": "M5.8 0 1.2 5.8h3L3.4 10 8.8 3.8H5.5Z",
    "other": "M1.5 1.5h7v7h-7Z",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive windows of one event: indices ``first`` to ``last``, both included."""

    first: int
    last: int
    kind: str
    label: str
    subject: str


@dataclass(frozen=True, slots=True)
class Label:
    """Where a span's label goes: its lane and whether the text ends at the line instead of starting there."""

    span: Span
    lane: int
    before: bool
    text: str


def merge(marks: Sequence[Mark], windows: Sequence[str]) -> list[Span]:
    """Merge marks of consecutive windows, dropping those outside the windows."""
    place = {window: index for index, window in enumerate(windows)}
    groups: dict[tuple[str, str, str], set[int]] = {}
    for mark in marks:
        if mark.window in place:
            kind = mark.kind if mark.kind in KINDS else "other"
            groups.setdefault((kind, mark.label, mark.subject), set()).add(place[mark.window])
    result = []
    for (kind, label, subject), indices in groups.items():
        start = previous = min(indices)
        for index in [*sorted(indices)[1:], -1]:
            if index != previous + 1:
                result.append(Span(start, previous, kind, label, subject))
                start = index
            previous = index
    return sorted(result, key=lambda span: (span.first, list(KINDS).index(span.kind), span.label))


def spans(report: Report) -> list[Span]:
    """Return the map's events; an incident without a mark of its own gets one where it began."""
    marks = list(report.marks)
    marked = {mark.window for mark in marks if mark.kind == "incident"}
    for story in report.incidents:
        if story.verdict and story.verdict.start_window not in marked:
            name = story.verdict.subject
            marks.append(Mark(window=story.verdict.start_window, kind="incident", label=short(name), subject=name))
    return merge(marks, report.windows)


def place_labels(events: Sequence[Span], size: int, width: float = NARROW, lanes: int = LANES) -> list[Label]:
    """Give each label a lane and a side so that none overlaps; incidents and remedies choose first.

    ``width`` is the narrowest the axis will be drawn. An event whose label finds no room has none: its glyph and
    tooltip remain.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(lanes)]
    result = []
    order = sorted(events, key=lambda span: (span.kind not in ("incident", "remedy"), span.first))
    for span in order:
        x = width * span.first / size
        for text in dict.fromkeys((elide(span.label, 30), elide(span.label, 16))):
            extent = CHARACTER * len(text) + 22
            choice = _free(taken, x, extent, width)
            if choice is not None:
                lane, before = choice
                taken[lane].append((x - extent, x + 8) if before else (x - 8, x + extent))
                result.append(Label(span, lane, before, text))
                break
        else:
            lane = next((index for index in range(lanes) if _fits(taken[index], x - 8, x + 8)), lanes - 1)
            taken[lane].append((x - 8, x + 8))
            result.append(Label(span, lane, False, ""))
    return result


def _free(taken: list[list[tuple[float, float]]], x: float, extent: float, width: float) -> tuple[int, bool] | None:
    for lane, used in enumerate(taken):
        for before in (False, True):
            start, end = (x - extent, x + 8) if before else (x - 8, x + extent)
            if start >= -8 and end <= width + 8 and _fits(used, start, end):
                return lane, before
    return None


def _fits(used: Sequence[tuple[float, float]], start: float, end: float) -> bool:
    return all(end <= first or start >= last for first, last in used)


def at(index: float, size: int) -> str:
    """Return the place of a window's left edge on the axis as a percentage."""
    return f"{100 * index / size:.3f}%"


def header(events: Sequence[Span], windows: Sequence[str], lanes: int = LANES) -> tuple[int, Markup]:
    """Draw the labels above the map; return the height in pixels and the SVG."""
    placed = place_labels(events, len(windows), lanes=lanes)
    used = 1 + max((label.lane for label in placed), default=-1)
    height = used * LANE + 8
    stems = [
        el(
            "line",
            x1=at(label.span.first, len(windows)),
            x2=at(label.span.first, len(windows)),
            y1=label.lane * LANE + 14,
            y2=height,
            class_=f"stem k-{label.span.kind}",
        )
        for label in placed
    ]
    texts = [_label(label, windows) for label in placed]
    return height, el("svg", *stems, *texts, width="100%", height=height, role="img", aria_label="Events by window")


def _label(label: Label, windows: Sequence[str]) -> Markup:
    span, y = label.span, label.lane * LANE + 9
    x = at(span.first, len(windows))
    until = f" to {window_name(windows[span.last])}" if span.last > span.first else ""
    subject = f" ({span.subject})" if span.subject else ""
    note = f"{window_name(windows[span.first])}{until}: {KINDS[span.kind]}, {span.label}{subject}"
    text = el(
        "text",
        label.text,
        x=x,
        y=y,
        dx=-10 if label.before else 10,
        dy=4,
        text_anchor="end" if label.before else "start",
        class_="event",
    )
    badge = el("svg", el("path", d=GLYPHS[span.kind], transform="translate(-5 -5)"), x=x, y=y, overflow="visible")
    return el("g", el("title", note), badge, text if label.text else None, class_=f"mark k-{span.kind}")


def lines(events: Sequence[Span], windows: Sequence[str], height: str) -> list[Markup]:
    """Draw the events through the map: a thin line where one begins, a band where the world was unusual."""
    size = len(windows)
    parts = []
    for span in events:
        x = at(span.first, size)
        if span.kind == "storm":
            band = at(span.last - span.first + 1, size)
            parts.append(el("rect", x=x, y=0, width=band, height=height, class_="storm-band"))
        parts.append(el("line", x1=x, x2=x, y1=0, y2=height, class_=f"stem k-{span.kind}"))
    return parts


def ticks(windows: Sequence[str], most: int = 9) -> Markup:
    """Draw the window axis: few labels, at even steps, never touching."""
    size = len(windows)
    hourly = all(window_time(key) and "T" in key for key in windows)
    most = min(most, 6) if hourly else most
    steps = (1, 2, 3, 4, 6, 12, 24, 48, 96, 168) if hourly else (1, 2, 7, 14, 28, 56, 112, 364)
    step = next((step for step in steps if size / step <= most), max(1, -(-size // most)))
    parts = []
    end = 0.0
    for index in range(0, size, step):
        parts.append(el("line", x1=at(index + 0.5, size), x2=at(index + 0.5, size), y1=0, y2=5, class_="tick"))
        text = window_name(windows[index])
        half, x = CHARACTER * len(text) / 2, NARROW * (index + 0.5) / size
        first, last = index == 0, index > 0 and x + half > NARROW
        start = 0.0 if first else NARROW - 2 * half if last else x - half
        if index and start < end + 8:
            continue
        end = start + 2 * half
        # At the edges a label is held by its outer end, or the edge would cut it off.
        anchor, place = ("start", 0.0) if first else ("end", float(size)) if last else ("middle", index + 0.5)
        parts.append(el("text", text, x=at(place, size), y=18, text_anchor=anchor, class_="axis"))
    return el("svg", *parts, width="100%", height=24, role="presentation")


def glyph(kind: str) -> Markup:
    """Draw one event's glyph inline."""
    return el(
        "svg",
        el("path", d=GLYPHS[kind]),
        viewBox="0 0 10 10",
        width=10,
        height=10,
        class_=f"glyph k-{kind}",
        aria_hidden="true",
    )


def legend(events: Sequence[Span]) -> Markup:
    """Explain the map: scale, states, sides, events."""

    def swatch(index: int) -> Markup:
        line = el("path", d="M0 7H16", class_=f"q{index}")
        return el("svg", line, width=16, height=14, style="--h:12px", aria_hidden="true")

    def box(state: str) -> Markup:
        return el("span", class_=f"box box-{state}", aria_hidden="true")

    present = {event.kind for event in events}
    water = el("span", [swatch(index) for index in range(QUIET_STEPS)], class_="scale")
    fire = el("span", [swatch(QUIET_STEPS + index) for index in range(ALARM_STEPS)], class_="scale")
    return el(
        "ul",
        el("li", "under half the limit", water, "at the alarm limit"),
        el("li", "alarm", fire, "5 × the limit and more"),
        el("li", box("backfilled"), "backfilled"),
        el("li", box("missing"), "not delivered"),
        el("li", box("quarantined"), "quarantined"),
        el("li", el("span", class_="side data"), "data side"),
        el("li", el("span", class_="side ml"), "ml side"),
        [el("li", glyph(kind), text) for kind, text in KINDS.items() if kind in present],
        class_="legend",
    )
