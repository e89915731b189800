"""Metric curves: the value with its interval, what was expected, and the same event marks as the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from headwater.app.report.data import Curve, Points
from headwater.app.report.marks import Span, at, header, lines, merge, ticks
from headwater.app.report.markup import Markup, data_block, el, join
from headwater.app.report.wording import number, window_name

HEIGHT = 168
PAD = 10


def curve(metric: Curve) -> Markup:
    """Draw one metric; its plot is stretched to the page, its texts are not."""
    size = len(metric.windows)
    known = [value for value in _fit(metric.value, size) if value is not None]
    if not size or not known:
        empty = el("p", "No values in these windows.", class_="empty")
        return el("figure", el("figcaption", el("h4", metric.title)), empty, class_="curve")
    floor, ceiling, levels = scale(metric)
    events = merge(metric.marks, metric.windows)
    top, head = header(events, metric.windows, lanes=3)
    return el(
        "figure",
        el(
            "figcaption",
            el("h4", metric.title, el("span", metric.unit, class_="unit") if metric.unit else None),
            key(metric),
        ),
        el(
            "div",
            el("div", class_="corner", style=f"height:{top}px"),
            el("div", head, class_="heads", style=f"height:{top}px"),
            el("div", axis(levels, floor, ceiling), class_="scale-y"),
            el("div", plot(metric, events, floor, ceiling, levels), class_="plot"),
            el("div", class_="corner"),
            el("div", ticks(metric.windows, 6), class_="ticks"),
            class_="chart",
        ),
        points_data(metric),
        el("p", metric.note, class_="dim note") if metric.note else None,
        class_="curve",
    )


def _fit(points: Points, size: int) -> Points:
    finite = tuple(
        None if point is None or not math.isfinite(point) or abs(point) > 1e300 else float(point)
        for point in points[:size]
    )
    return finite + (None,) * (size - len(finite)) if finite else ()


def scale(metric: Curve) -> tuple[float, float, list[float]]:
    """Choose the value axis: round numbers around everything drawn, from zero where zero is near."""
    size = len(metric.windows)
    series = (metric.value, metric.low, metric.high, metric.reference, metric.estimated)
    drawn = [point for points in series for point in _fit(points, size) if point is not None]
    low, high = min(drawn), max(drawn)
    if low > 0 and low < 0.45 * high:
        low = 0.0
    if high == low:
        low, high = low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
    rough = (high - low) / 4
    place = 10.0 ** math.floor(math.log10(rough))
    step = next(place * factor for factor in (1, 2, 2.5, 5, 10) if place * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    levels = [index * step for index in range(first, last + 1)]
    return levels[0], levels[-1], levels


def height_of(value: float, floor: float, ceiling: float) -> float:
    """Return the y of a value in pixels from the top of the plot."""
    return PAD + (HEIGHT - 2 * PAD) * (1 - (value - floor) / (ceiling - floor))


def axis(levels: Sequence[float], floor: float, ceiling: float) -> Markup:
    """Draw the value axis."""
    texts = [
        el(
            "text",
            number(float(f"{value:.6g}")),
            x=50,
            y=f"{height_of(value, floor, ceiling) + 4:.1f}",
            text_anchor="end",
            class_="axis",
        )
        for value in levels
    ]
    return el("svg", *texts, width=56, height=HEIGHT, role="presentation")


def plot(metric: Curve, events: Sequence[Span], floor: float, ceiling: float, levels: Sequence[float]) -> Markup:
    """Draw grid, event lines, band, reference, estimate, value and the points that are out of band."""
    size = len(metric.windows)

    def y(value: float) -> str:
        return f"{height_of(value, floor, ceiling):.1f}"

    value = _fit(metric.value, size)
    low, high = _fit(metric.low, size), _fit(metric.high, size)
    series = [
        el("path", d=area(low, high, y), class_="band") if low and high else None,
        el("path", d=trace(_fit(metric.reference, size), y), class_="reference") if metric.reference else None,
        el("path", d=trace(_fit(metric.estimated, size), y), class_="estimated") if metric.estimated else None,
        el("path", d=trace(value, y), class_="value"),
    ]
    grid = [el("line", x1=0, x2="100%", y1=y(level), y2=y(level), class_="grid") for level in levels]
    dots = [
        el("circle", cx=at(index + 0.5, size), cy=y(point), r=3, class_="out")
        for index, point in enumerate(value)
        if point is not None and outside(metric, index, point)
    ]
    stretched = {"width": "100%", "height": HEIGHT, "viewBox": f"0 0 {size} {HEIGHT}", "preserveAspectRatio": "none"}
    return el(
        "svg",
        trouble(events, size),
        *grid,
        lines(events, metric.windows, str(HEIGHT)),
        el("svg", *series, **stretched),
        *dots,
        width="100%",
        height=HEIGHT,
        role="img",
        aria_label=described(metric),
    )


def trouble(events: Sequence[Span], size: int) -> list[Markup]:
    """Shade the time from each incident's begin to the next remedy."""
    remedies = sorted(span.first for span in events if span.kind == "remedy")
    parts = []
    for span in events:
        if span.kind == "incident":
            end = next((first for first in remedies if first > span.first), size)
            width = at(end - span.first, size)
            parts.append(el("rect", x=at(span.first, size), y=0, width=width, height=HEIGHT, class_="trouble"))
    return parts


def outside(metric: Curve, index: int, point: float) -> bool:
    """Say whether a value lies out of the band in which it was expected."""
    if metric.band_of != "reference":
        return False
    size = len(metric.windows)
    low, high = _fit(metric.low, size), _fit(metric.high, size)
    under = bool(low) and low[index] is not None and point < low[index]  # type: ignore[operator]
    return under or (bool(high) and high[index] is not None and point > high[index])  # type: ignore[operator]


def trace(points: Points, y: Callable[[float], str]) -> str:
    """Return the path of a series, broken at gaps; a lone point becomes a short stroke."""
    parts = []
    for index, point in enumerate(points):
        if point is None:
            continue
        before = index > 0 and points[index - 1] is not None
        after = index + 1 < len(points) and points[index + 1] is not None
        parts.append(f"{'L' if before else 'M'}{index + 0.5:g} {y(point)}")
        if not before and not after:
            parts.append("h.3")
    return "".join(parts)


def area(low: Points, high: Points, y: Callable[[float], str]) -> str:
    """Return the path of a band, broken at gaps."""
    groups: list[list[tuple[float, float, float]]] = [[]]
    for index, (under, over) in enumerate(zip(low, high, strict=True)):
        if under is None or over is None:
            groups.append([])
        else:
            groups[-1].append((index + 0.5, under, over))
    parts: list[str] = []
    for group in groups:
        if len(group) == 1:
            x, under, over = group[0]
            group = [(x - 0.3, under, over), (x + 0.3, under, over)]
        if group:
            upper = [f"{x:g} {y(over)}" for x, _, over in group]
            lower = [f"{x:g} {y(under)}" for x, under, _ in reversed(group)]
            parts.append(f"M{'L'.join(upper)}L{'L'.join(lower)}Z")
    return "".join(parts)


def key(metric: Curve) -> Markup:
    """Explain the strokes of one curve in words beside samples of them."""

    def item(style: str, text: str) -> Markup:
        shape = (
            el("rect", width=18, height=10, class_="band") if style == "band" else el("path", d="M0 5H18", class_=style)
        )
        return el("span", el("svg", shape, width=18, height=10, aria_hidden="true"), text)

    band = f"{metric.reference_label} interval" if metric.band_of == "reference" else "interval"
    return el(
        "div",
        item("value", metric.value_label),
        item("reference", metric.reference_label) if metric.reference else None,
        item("estimated", metric.estimated_label) if metric.estimated else None,
        item("band", band) if metric.low and metric.high else None,
        class_="key",
    )


def described(metric: Curve) -> str:
    """Tell a curve in words: range and end."""
    pairs = [(index, point) for index, point in enumerate(_fit(metric.value, len(metric.windows))) if point is not None]
    top, bottom = max(pairs, key=lambda pair: pair[1]), min(pairs, key=lambda pair: pair[1])
    where = [window_name(metric.windows[pair[0]]) for pair in (bottom, top, pairs[-1])]
    unit = f" {metric.unit}" if metric.unit else ""
    return (
        f"{metric.title}: lowest {number(bottom[1])}{unit} ({where[0]}), highest {number(top[1])}{unit} "
        f"({where[1]}), last {number(pairs[-1][1])}{unit} ({where[2]})"
    )


def points_data(metric: Curve) -> Markup:
    """Pack the numbers for the hover as texts."""
    size = len(metric.windows)
    value, low, high = _fit(metric.value, size), _fit(metric.low, size), _fit(metric.high, size)
    others = ((metric.reference_label, metric.reference), (metric.estimated_label, metric.estimated))
    rows = []
    for index, key_ in enumerate(metric.windows):
        parts = [f"{metric.value_label} {number(value[index])} {metric.unit}".rstrip()]
        for label, points in others:
            fitted = _fit(points, size)
            if fitted:
                parts.append(f"{label} {number(fitted[index])}")
        if low and high and low[index] is not None and high[index] is not None:
            parts.append(f"interval {number(low[index])} to {number(high[index])}")
        rows.append([window_name(key_, year=True), *parts])
    return data_block(rows, class_="chart-data")


def curves(metrics: Sequence[Curve]) -> Markup:
    """Draw several metrics side by side."""
    return el("div", join([curve(metric) for metric in metrics]), class_="curves")
