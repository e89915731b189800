"""The lineage path: a layered graph from left to right, the culprit's way to the symptom as one straight river."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headwater.app.report.data import AssetRow, IncidentStory, Lineage
from headwater.app.report.markup import Markup, el, join
from headwater.app.report.river import side_mark
from headwater.app.report.wording import elide, number, percent, short

WIDE, TALL, GAP, ROW = 164, 88, 28, 106
SHORT = 72
LINE = 23
MOST = 18


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: its layer from the left and its row; row 0 is the path."""

    layer: int
    row: float


def trimmed(graph: Lineage, suspects: set[str]) -> tuple[Lineage, int]:
    """Keep the path, the suspects, then what is nearest to the path, up to `MOST` nodes; count what is left out."""
    nodes = {node.ref: node for node in graph.nodes}
    path = tuple(ref for ref in dict.fromkeys(graph.path) if ref in nodes)
    edges = [(a, b) for a, b in dict.fromkeys(graph.edges) if a in nodes and b in nodes and a != b]
    keep = dict.fromkeys([*path, *(ref for ref in nodes if ref in suspects)])
    frontier = set(keep)
    while frontier and len(keep) < MOST:
        frontier = {end for pair in edges if frontier & set(pair) for end in pair} - set(keep)
        keep |= dict.fromkeys(sorted(frontier)[: MOST - len(keep)])
    kept = tuple(node for ref, node in nodes.items() if ref in keep)
    inside = tuple(pair for pair in edges if set(pair) <= set(keep))
    return Lineage(nodes=kept, edges=inside, path=path), len(nodes) - len(kept)


def layers(graph: Lineage) -> dict[str, int]:
    """Give each node the length of the longest way to it; edges that close a circle are ignored."""
    parents: dict[str, list[str]] = {node.ref: [] for node in graph.nodes}
    children: dict[str, list[str]] = {node.ref: [] for node in graph.nodes}
    for parent, child in [*graph.edges, *pairwise(graph.path)]:
        if parent in children and child in parents:
            parents[child].append(parent)
            children[parent].append(child)
    waiting = {ref: len(items) for ref, items in parents.items()}
    depth: dict[str, int] = {}
    ready = [ref for ref, open_ in waiting.items() if not open_]
    while len(depth) < len(parents):
        if not ready:  # a circle: begin anywhere in it
            ready = [next(ref for ref in parents if ref not in depth)]
        ref = ready.pop(0)
        if ref in depth:
            continue
        depth[ref] = max((depth[parent] + 1 for parent in parents[ref] if parent in depth), default=0)
        for child in children[ref]:
            waiting[child] -= 1
            if waiting[child] <= 0 and child not in depth:
                ready.append(child)
    for ref in reversed(sorted(depth, key=lambda item: depth[item])):  # pull side branches close to what they feed
        later = [depth[child] for child in children[ref] if depth[child] > depth[ref]]
        if later and ref not in graph.path:
            depth[ref] = min(later) - 1
    return depth


def arrange(graph: Lineage) -> dict[str, Place]:
    """Place the nodes: the path in row 0, the others in rows below and above it, near their neighbours."""
    depth = layers(graph)
    near: dict[str, list[str]] = {node.ref: [] for node in graph.nodes}
    for parent, child in graph.edges:
        near[parent].append(child)
        near[child].append(parent)
    taken: dict[int, set[int]] = {}
    rows: dict[str, int] = {}
    on_path = [ref for ref in graph.path if ref in depth]
    used: set[int] = set()
    for ref in on_path:
        if depth[ref] not in used:
            rows[ref] = 0
            used.add(depth[ref])
            taken.setdefault(depth[ref], set()).add(0)
    others = sorted((node.ref for node in graph.nodes if node.ref not in rows), key=lambda ref: -depth[ref])
    side = 1
    for ref in others:
        known = [rows[item] for item in near[ref] if item in rows]
        wish = round(sum(known) / len(known)) if known else side
        if wish == 0:
            wish, side = side, -side
        used_rows = taken.setdefault(depth[ref], set())
        # A long edge along row 0 would run behind the path's nodes, so branches never share that row.
        free = [row for row in range(-MOST, MOST + 1) if row and row not in used_rows]
        row = min(free, key=lambda row: (abs(row - wish), -row))
        used_rows.add(row)
        rows[ref] = row
    return {ref: Place(depth[ref], row) for ref, row in rows.items()}


def path_graph(story: IncidentStory) -> Markup:
    """Draw an incident's lineage, or nothing when it has none."""
    if story.lineage is None or not story.lineage.nodes:
        return Markup("")
    verdict = story.verdict
    cleared = {item.subject: item.reason for item in verdict.suspects if item.exonerated} if verdict else {}
    chance = {item.subject: item.probability for item in verdict.suspects if not item.exonerated} if verdict else {}
    graph, left_out = trimmed(story.lineage, set(cleared) | set(chance))
    steps = {step.subject: f"{step.test} {number(step.value)}" for step in reversed(verdict.chain)} if verdict else {}
    if not graph.nodes:
        return Markup("")
    place = arrange(graph)
    top = min(item.row for item in place.values())
    columns = 1 + max(item.layer for item in place.values())
    width = columns * (WIDE + GAP) - GAP + 8
    height = (max(item.row for item in place.values()) - top) * ROW + TALL + 12
    spot = {ref: (4 + item.layer * (WIDE + GAP), 6 + (item.row - top) * ROW) for ref, item in place.items()}
    blamed = verdict.subject if verdict and verdict.status == "named" else ""
    drawn = [
        node_box(node, spot[node.ref], role(node.ref, blamed, graph.path, cleared), steps, cleared, chance)
        for node in graph.nodes
    ]
    picture = el(
        "svg",
        edges(graph, spot),
        *drawn,
        viewBox=f"0 0 {width} {height:g}",
        style=f"width:100%;max-width:{width}px;min-width:{round(width * 0.7)}px",
        role="img",
        aria_label=spoken(graph, cleared),
        class_="graph",
    )
    note = f"{left_out} more assets, not drawn." if left_out else ""
    return join(el("div", picture, class_="scroll"), el("p", note, class_="dim") if note else None)


def spoken(graph: Lineage, cleared: Mapping[str, str]) -> str:
    """Tell the graph in words."""
    path = " → ".join(short(ref) for ref in graph.path) or "no path"
    names = [short(node.ref) for node in graph.nodes if node.ref in cleared]
    return f"Lineage from culprit to symptom: {path}." + (f" Cleared: {', '.join(names)}." if names else "")


def role(ref: str, blamed: str, path: Sequence[str], cleared: Mapping[str, str]) -> str:
    """Say what a node is in this incident."""
    if ref == blamed:
        return "culprit"
    if ref in path:
        return "symptom" if ref == path[-1] else "path"
    return "cleared" if ref in cleared else "aside"


def edges(graph: Lineage, spot: Mapping[str, tuple[float, float]]) -> Markup:
    """Draw the edges, the path last and strongest."""
    hot = set(pairwise(graph.path))
    flow: list[str] = []
    still: list[str] = []
    for parent, child in dict.fromkeys([*graph.edges, *hot]):
        if parent not in spot or child not in spot:
            continue
        x1, y1 = spot[parent][0] + WIDE, spot[parent][1] + TALL / 2
        x2, y2 = spot[child][0], spot[child][1] + TALL / 2
        bend = max(GAP * 0.9, (x2 - x1) * 0.5) if y1 != y2 else 0
        line = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
        (flow if (parent, child) in hot else still).append(line)
    arrows = [
        el("path", d=f"M{spot[child][0] - 8:g} {spot[child][1] + TALL / 2 - 5:g}l8 5l-8 5z", class_="arrow")
        for _, child in hot
        if child in spot
    ]
    return join(el("path", d="".join(still), class_="edge"), el("path", d="".join(flow), class_="edge flow"), arrows)


def node_box(
    node: AssetRow,
    spot: tuple[float, float],
    part: str,
    steps: Mapping[str, str],
    cleared: Mapping[str, str],
    chance: Mapping[str, float],
) -> Markup:
    """Draw one node: name, owner, and what was found there."""
    x, y = spot
    reason = cleared.get(node.ref, "")
    tail = {
        "culprit": [f"cause, {percent(chance.get(node.ref, 1.0))}"],
        "path": [elide(steps.get(node.ref, node.layer), LINE)],
        "symptom": [elide(steps.get(node.ref, "symptom"), LINE)],
        "cleared": two_lines(reason or "cleared", LINE - 2),
        "aside": [elide(node.layer, LINE)],
    }[part]
    tall = TALL if len(tail) > 1 else SHORT
    y += (TALL - tall) / 2
    found = reason or steps.get(node.ref) or part
    check = el("path", d=f"M{x + 14:g} {y + 56:g}l3 3.4 6-7", class_="check") if part == "cleared" else None
    return el(
        "g",
        el("title", f"{node.ref}, {node.side} side, {node.owner or 'no owner'}: {found}"),
        el("rect", x=x, y=f"{y:g}", width=WIDE, height=tall, rx=10, class_="frame"),
        side_mark(node.side, x + 18, y + 20, 4.5),
        name_text(short(node.ref), x + 30, y + 24.5),
        el("text", elide(node.owner or f"{node.side} side", LINE), x=x + 14, y=f"{y + 42:g}", class_="node-owner"),
        check,
        [
            el("text", line, x=x + (29 if check else 14), y=f"{y + 60 + 15 * index:g}", class_="node-note")
            for index, line in enumerate(tail)
        ],
        class_=f"node {part}",
    )


def name_text(name: str, x: float, y: float) -> Markup:
    """Write a node's name, squeezed a little when it is long and shortened when it is longer."""
    room = WIDE - 30 - 12
    fit = {"textLength": room, "lengthAdjust": "spacingAndGlyphs"} if len(name) > 15 else {}
    return el("text", elide(name, 19), x=f"{x:g}", y=f"{y:g}", class_="node-name", **fit)


def two_lines(text: str, limit: int) -> list[str]:
    """Wrap text to at most two lines, shortened at its end."""
    lines = textwrap.wrap(text, limit, max_lines=2, placeholder=" …") or [text]
    return [elide(line, limit) for line in lines]
