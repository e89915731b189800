"""The river map: assets in lineage order down, windows across, colour and thickness for the strength of evidence.

Cells are horizontal strokes in a stretched SVG, one path per level and runs merged, so that 500 assets x 90 windows
stay small; labels and marks are placed by percentage around it, so that text is never scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from headwater.app.report.colour import level
from headwater.app.report.data import AssetRow, Cell, Report
from headwater.app.report.marks import Span, header, legend, lines, spans, ticks
from headwater.app.report.markup import Markup, clean, data_block, el, join
from headwater.app.report.wording import count, elide, number, short, window_name

Value = TypeVar("Value")

FOCUS_ROWS = 60
LABELS = 286
GUTTER = 58
QUIET = Cell()
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
STATES = ("ok", "notice", "alarm", "missing", "backfilled", "quarantined")
TEXT_BUDGET = 700_000
TITLES = 600


@dataclass(frozen=True, slots=True)
class Line:
    """One drawn row: an asset, or a summary of several quiet ones (``asset`` None)."""

    asset: AssetRow | None
    label: str
    cells: tuple[Cell, ...]
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The rows of one map with its layer headings and total height."""

    name: str
    lines: tuple[Line, ...]
    headings: tuple[tuple[float, str], ...]
    height: float
    windows: tuple[str, ...]
    compact: bool


def river(report: Report) -> Markup:
    """Draw the map; above `FOCUS_ROWS` assets a focused one first and the whole one folded below it."""
    everything = [(asset, asset_cells(report, asset)) for asset in by_layer(report.assets)]
    if not everything or not report.windows:
        return el("p", "No windows have been delivered yet.", class_="empty")
    if len(everything) <= FOCUS_ROWS:
        return join(draw(report, plan("m", everything, report.windows)), legend(spans(report)))
    focus = plan("m", focused(report, everything), report.windows)
    full = plan("f", everything, report.windows, compact=True)
    return join(
        draw(report, focus),
        legend(spans(report)),
        el(
            "details",
            el("summary", f"All {count(len(everything), 'asset')}"),
            draw(report, full),
            class_="fold",
        ),
    )


def by_layer(assets: Sequence[AssetRow]) -> list[AssetRow]:
    """Group assets by layer in order of each layer's first appearance, keeping lineage order within."""
    layers: dict[str, list[AssetRow]] = {}
    for asset in assets:
        layers.setdefault(asset.layer, []).append(asset)
    return [asset for group in layers.values() for asset in group]


def asset_cells(report: Report, asset: AssetRow) -> tuple[Cell, ...]:
    """Return an asset's cells in window order, quiet where nothing was recorded."""
    return tuple(report.cells.get((asset.ref, window), QUIET) for window in report.windows)


def warm(cell: Cell) -> bool:
    """Say whether a cell is drawn in the alarm colours."""
    return cell.state == "alarm" or (cell.state in ("backfilled", "quarantined") and cell.strength >= 1)


def loudness(cells: Sequence[Cell]) -> tuple[int, float]:
    """Order rows by their alarms, then by their strongest evidence."""
    return sum(map(warm, cells)), max((cell.strength for cell in cells), default=0.0)


def focused(
    report: Report, rows: list[tuple[AssetRow, tuple[Cell, ...]]]
) -> list[tuple[AssetRow | int, tuple[Cell, ...]]]:
    """Keep the rows that matter and fold each run of the others into one row of their strongest evidence."""
    keep = {ref for story in report.incidents if story.lineage for ref in story.lineage.path}
    keep |= {story.verdict.subject for story in report.incidents if story.verdict}
    loud = sorted(rows, key=lambda row: loudness(row[1]), reverse=True)
    budget = max(FOCUS_ROWS - 12 - len(keep), 12)
    keep |= {asset.ref for asset, cells in loud[:budget] if loudness(cells)[1] >= 0.8 or loudness(cells)[0]}
    result: list[tuple[AssetRow | int, tuple[Cell, ...]]] = []
    hidden: list[tuple[Cell, ...]] = []
    layer: str | None = None
    for asset, cells in [*rows, (None, ())]:
        if hidden and (asset is None or asset.layer != layer):
            result.append((len(hidden), fold(hidden)))
            hidden = []
        if asset is None:
            break
        layer = asset.layer
        if asset.ref in keep:
            result.append((asset, cells))
        else:
            hidden.append(cells)
    return result


def fold(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """Summarise several rows as one: the strongest cell of each window."""
    return tuple(max(column, key=lambda cell: (warm(cell), cell.strength)) for column in zip(*rows, strict=True))


def plan(
    name: str,
    rows: Sequence[tuple[AssetRow | int, tuple[Cell, ...]]],
    windows: tuple[str, ...],
    compact: bool = False,
) -> Drawing:
    """Give each row its place, with a heading where the layer changes."""
    height = 10.0 if compact else (22.0 if len(rows) <= 30 else 17.0)
    y, layer = 4.0, None
    lines: list[Line] = []
    headings: list[tuple[float, str]] = []
    for subject, cells in rows:
        if isinstance(subject, int):
            lines.append(Line(None, f"{subject} more, folded", cells, y, height))
        else:
            if subject.layer != layer and subject.layer:
                headings.append((y + 17, subject.layer))
                y += 24
            layer = subject.layer
            lines.append(Line(subject, short(subject.ref), cells, y, height))
        y += height
    return Drawing(name, tuple(lines), tuple(headings), y + 6, windows, compact)


def draw(report: Report, drawing: Drawing) -> Markup:
    """Draw one planned map: labels on the left, the marks' header and the cells on the right."""
    events = spans(report)
    top, head = header(events, drawing.windows)
    scale = "rows compact" if drawing.compact else "rows"
    return el(
        "figure",
        el(
            "div",
            el("div", el("span", "asset, sources first", class_="axis"), class_="corner", style=f"height:{top}px"),
            el("div", head, class_="heads", style=f"height:{top}px"),
            el("div", labels(report, drawing), class_="names"),
            el("div", water(report, drawing, events), class_=scale),
            el("div", class_="corner"),
            el("div", ticks(drawing.windows), class_="ticks"),
            el("div", class_="cursor", hidden=True),
            class_="river",
            data_map=drawing.name,
        ),
        hover_data(report, drawing),
        el("figcaption", summary(report), class_="sr"),
        class_="river-figure",
    )


def culprits(report: Report) -> dict[str, int]:
    """Return the blamed assets with the number of their incident, from 1."""
    result: dict[str, int] = {}
    for index, story in enumerate(report.incidents, 1):
        if story.verdict and story.verdict.status == "named":
            result.setdefault(story.verdict.subject, index)
    return result


def labels(report: Report, drawing: Drawing) -> Markup:
    """Draw layer headings, side marks and names, and the lineage as arcs in the gutter."""
    blamed = culprits(report)
    parts: list[Markup] = []
    drop = 3 if drawing.compact else 4
    for y, layer in drawing.headings:
        parts.append(el("text", elide(layer, 34), x=0, y=y, class_="layer"))
    for line in drawing.lines:
        middle = line.y + line.height / 2
        if line.asset is None:
            parts.append(el("text", line.label, x=18, y=middle + 3.5, class_="name folded"))
            continue
        found = line.asset.ref in blamed
        alarms, _ = loudness(line.cells)
        note = f"{line.asset.ref} ({line.asset.side} side, {line.asset.owner or 'no owner'})" + (
            f": {count(alarms, 'window')} in alarm" if alarms else ": quiet"
        )
        parts.append(
            el(
                "g",
                el("title", note),
                side_mark(line.asset.side, 6, middle, 3 if drawing.compact else 4),
                el("text", elide(line.label, 25 if found else 27), x=18, y=middle + drop, class_="name"),
                class_="culprit" if found else None,
            )
        )
    parts.append(arcs(report, drawing))
    return el(
        "svg", *parts, width=LABELS, height=f"{drawing.height:g}", class_="labels", role="img", aria_label="Asset names"
    )


def side_mark(side: str, x: float, y: float, size: float = 4) -> Markup:
    """Draw the mark of a side: a disc for data, a diamond for ml."""
    if side == "ml":
        reach = size * 1.25
        points = f"M{x:g} {y - reach:g}l{reach:g} {reach:g}l{-reach:g} {reach:g}l{-reach:g} {-reach:g}z"
        return el("path", d=points, class_="side-ml")
    return el("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_="side-data")


def arcs(report: Report, drawing: Drawing) -> Markup:
    """Draw lineage as arcs in the gutter, the culprits' paths in the alarm colour."""
    middle = {line.asset.ref: line.y + line.height / 2 for line in drawing.lines if line.asset}
    hot = [pair for story in report.incidents if story.lineage for pair in pairwise(story.lineage.path)]
    cold = [] if len(middle) > FOCUS_ROWS else [pair for pair in report.edges if pair not in set(hot)]
    tall = max((abs(middle[a] - middle[b]) for a, b in [*hot, *cold] if a in middle and b in middle), default=1) or 1
    parts = []
    for pairs, style in ((cold, "arc"), (hot, "arc hot")):
        path = []
        for parent, child in pairs:
            if parent in middle and child in middle and parent != child:
                start, end = middle[parent], middle[child]
                reach = 10 + (GUTTER - 14) * (abs(end - start) / tall) ** 0.6
                x = LABELS - 5
                path.append(f"M{x} {start:g}C{x - reach * 1.3:.1f} {start:g} {x - reach * 1.3:.1f} {end:g} {x} {end:g}")
        if path:
            parts.append(el("path", d="".join(path), class_=style))
    ends = {ref for pair in hot for ref in pair if ref in middle}
    parts += [el("circle", cx=LABELS - 5, cy=f"{middle[ref]:g}", r=2.5, class_="joint") for ref in sorted(ends)]
    return join(parts)


def water(report: Report, drawing: Drawing, events: Sequence[Span]) -> Markup:
    """Draw the cells with their states, the marks' lines and each incident's way down from its headwater."""
    width, height = len(drawing.windows), f"{drawing.height:g}"
    thick = drawing.lines[0].height - (2 if drawing.compact else 3)
    blamed = culprits(report)
    bands = [
        el("rect", x=0, y=f"{line.y:g}", width="100%", height=f"{line.height:g}", class_="blame")
        for line in drawing.lines
        if line.asset and line.asset.ref in blamed
    ]
    grid = "".join(f"M{x} 0V{height}" for x in range(1, width)) if width <= 120 else ""
    stretched = {"width": "100%", "height": height, "viewBox": f"0 0 {width} {height}", "preserveAspectRatio": "none"}
    return el(
        "svg",
        patterns(drawing.name),
        *bands,
        el("svg", strokes(drawing), **stretched, style=f"--h:{thick:g}px"),
        overlays(drawing, thick, ("backfilled", "quarantined")),
        el("svg", el("path", d=grid, class_="gaps"), **stretched) if grid else None,
        overlays(drawing, thick, ("missing",)),
        lines(events, drawing.windows, height),
        springs(report, drawing),
        titles(drawing),
        width="100%",
        height=height,
        role="img",
        aria_label=f"River map: {summary(report)}",
    )


def strokes(drawing: Drawing) -> list[Markup]:
    """Draw runs of equal level as horizontal strokes, one path per level."""
    paths: dict[int, list[str]] = {}
    for line in drawing.lines:
        y = line.y + line.height / 2
        steps = [None if cell.state == "missing" else level(cell.strength, warm(cell)) for cell in line.cells]
        for first, last, step in runs(steps):
            if step is not None:
                paths.setdefault(step, []).append(f"M{first} {y:g}H{last}")
    return [el("path", d="".join(paths[step]), class_=f"q{step}") for step in sorted(paths)]


def runs(values: Sequence[Value]) -> list[tuple[int, int, Value]]:
    """Cut a sequence into half-open runs of equal values."""
    result = []
    first = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[first]:
            result.append((first, index, values[first]))
            first = index
    return result


def overlays(drawing: Drawing, thick: float, states: Sequence[str]) -> list[Markup]:
    """Mark runs of the given states by pattern, so that they do not depend on colour."""
    width = len(drawing.windows)
    parts = []
    for line in drawing.lines:
        top = line.y + (line.height - thick) / 2
        for first, last, state in runs([cell.state for cell in line.cells]):
            if state in states:
                place = {"x": f"{100 * first / width:.3f}%", "width": f"{100 * (last - first) / width:.3f}%"}
                fill = None if state == "missing" else f"url(#{drawing.name}-{state})"
                parts.append(el("rect", **place, y=f"{top:g}", height=f"{thick:g}", class_=f"is-{state}", fill=fill))
    return parts


def patterns(name: str) -> Markup:
    """Define the hatchings of one map."""

    def hatch(state: str, angle: int, gap: int, stripe: float) -> Markup:
        return el(
            "pattern",
            el("rect", width=stripe, height=gap, class_=f"hatch-{state}"),
            id=f"{name}-{state}",
            width=gap,
            height=gap,
            patternUnits="userSpaceOnUse",
            patternTransform=f"rotate({angle})",
        )

    return el("defs", hatch("backfilled", 45, 7, 2.2), hatch("quarantined", -45, 4, 1.4))


def springs(report: Report, drawing: Drawing) -> list[Markup]:
    """Draw each incident's current from its headwater down to the symptom, at the window where it began."""
    place = {window: index for index, window in enumerate(drawing.windows)}
    middle = {line.asset.ref: line.y + line.height / 2 for line in drawing.lines if line.asset}
    parts = []
    for index, story in enumerate(report.incidents, 1):
        verdict = story.verdict
        if verdict is None or verdict.subject not in middle or verdict.start_window not in place:
            continue
        path = [middle[ref] for ref in (story.lineage.path if story.lineage else ()) if ref in middle]
        x = f"{100 * place[verdict.start_window] / len(drawing.windows):.3f}%"
        y = middle[verdict.subject]
        end = max([y + 1, *path])
        parts.append(el("line", x1=x, x2=x, y1=f"{y:g}", y2=f"{end:g}", class_="current"))
        parts += [el("circle", cx=x, cy=f"{step:g}", r=2.6, class_="ford") for step in path if step != y]
        several = len(report.incidents) > 1
        label = el("text", str(index), x=x, y=f"{y + 3.6:g}", class_="spring-number") if several else None
        spring = el("circle", cx=x, cy=f"{y:g}", r=7.5 if several else 5.5, class_="spring")
        parts.append(el("g", el("title", f"Headwater: {verdict.subject}"), spring, label))
    return parts


def titles(drawing: Drawing) -> list[Markup]:
    """Give the loudest cells a text of their own for readers without JavaScript; the page's script removes these."""
    if drawing.compact:
        return []
    width = len(drawing.windows)
    loud = [
        (cell.strength, line, index, cell)
        for line in drawing.lines
        for index, cell in enumerate(line.cells)
        if cell.text and cell.state != "ok"
    ]
    loud.sort(key=lambda item: -item[0])
    return [
        el(
            "rect",
            el("title", f"{line.label}, {window_name(drawing.windows[index])}: {cell.text}"),
            x=f"{100 * index / width:.3f}%",
            y=f"{line.y:g}",
            width=f"{100 / width:.3f}%",
            height=f"{line.height:g}",
            class_="hit",
        )
        for _, line, index, cell in loud[:TITLES]
    ]


def hover_data(report: Report, drawing: Drawing) -> Markup:
    """Pack the numbers for the hover: one character per strength (tenths), texts within a budget, loudest first."""
    numbered: dict[str, int] = {}
    texts: dict[str, int] = {}
    spent = 0
    order = sorted(
        (
            (-warm(cell), -cell.strength, row, column)
            for row, line in enumerate(drawing.lines)
            for column, cell in enumerate(line.cells)
            if cell.text
        ),
    )
    for _, _, row, column in order:
        text = drawing.lines[row].cells[column].text[:400]
        spent += 10 + (0 if text in numbered else len(text) + 4)
        if spent > TEXT_BUDGET / (2 if len(report.assets) > FOCUS_ROWS else 1):
            break
        texts[f"{row}:{column}"] = numbered.setdefault(text, len(numbered))
    rows = [
        {
            "n": clean(line.asset.ref if line.asset else line.label),
            "o": f"{line.asset.side} side, {line.asset.owner or 'no owner'}" if line.asset else "strongest of these",
            "y": line.y,
            "h": line.height,
            "s": "".join(DIGITS[tenths(cell.strength)] for cell in line.cells),
            "t": "".join(str(STATES.index(cell.state)) for cell in line.cells),
        }
        for line in drawing.lines
    ]
    names = [window_name(key, year=True) for key in drawing.windows]
    return data_block({"w": names, "r": rows, "x": texts, "p": list(numbered)}, class_="map-data")


def tenths(strength: float) -> int:
    """Return a strength in tenths, capped at the last digit; what is not a number counts as quiet."""
    return min(max(round(strength * 10), 0), len(DIGITS) - 1) if strength == strength and strength < 1e6 else 0


def summary(report: Report) -> str:
    """Say in one sentence what the map shows."""
    blamed = ", ".join(short(ref) for ref in culprits(report))
    alarms = sum(warm(cell) for cell in report.cells.values())
    start = f"{count(len(report.assets), 'asset')} over {count(len(report.windows), 'window')}"
    if not alarms:
        return f"{start}; no window in alarm"
    tail = f"; the headwater is {blamed}" if blamed else ""
    return f"{start}; {count(alarms, 'asset-window', 'asset-windows')} in alarm{tail}"


def alarm_table(report: Report, limit: int = 200) -> Markup:
    """List the assets in alarm as a table: the map's text alternative."""
    rows = []
    for asset in by_layer(report.assets):
        cells = asset_cells(report, asset)
        loud = [index for index, cell in enumerate(cells) if warm(cell)]
        if loud:
            peak = max(loud, key=lambda index: cells[index].strength)
            rows.append(
                el(
                    "tr",
                    el("th", short(asset.ref), scope="row"),
                    el("td", asset.side),
                    el("td", window_name(report.windows[loud[0]])),
                    el("td", window_name(report.windows[loud[-1]])),
                    el("td", f"{len(loud):,}", class_="num"),
                    el("td", number(round(cells[peak].strength, 2)), class_="num"),
                    el("td", cells[peak].text),
                )
            )
    if not rows:
        return Markup("")
    heads = ("asset", "side", "first", "last", "windows", "strongest", "what was measured there")
    return el(
        "details",
        el("summary", f"The same as a table: {count(len(rows), 'asset')} in alarm"),
        el(
            "div",
            el(
                "table",
                el("thead", el("tr", [el("th", head, scope="col") for head in heads])),
                el("tbody", rows[:limit]),
            ),
            class_="scroll",
        ),
        el("p", f"{len(rows) - limit} more rows left out.", class_="dim") if len(rows) > limit else None,
        class_="fold",
    )
