"""The shape of a column: a histogram or the shares of its values, one table's or two laid over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headwater.app.report.markup import Markup, el
from headwater.app.report.wording import elide, number, percent
from headwater.stats.profiling.summaries import ColumnSummary

BINS = 48
VALUES = 8
WIDTH, HEIGHT = 480, 120
_EDGE = 0.002  # what lies further out is drawn in the outermost bins
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """Shares of a column's rows by bin; what lies beyond the ends is counted in the outermost bins.

    Both ends are the same where there is one value only.
    """

    edges: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]
    ends: tuple[float, float]


def shape(columns: Sequence[ColumnSummary]) -> Shape | None:
    """Bin one or more summaries of a column alike; None when none of them has numbers."""
    present = [one for one in columns if one.rows - one.nulls - one.nans - one.infinities > 0]
    ends = [(one.quantile(_EDGE), one.quantile(1 - _EDGE)) for one in present]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if not known:
        return None
    low, high = min(low for low, _ in known), max(high for _, high in known)
    reach = (low, high)
    if not low < high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    edges = _whole(low, high) if all(_counts(one) for one in present) else None
    if edges is None:
        step = high / BINS - low / BINS
        edges = [low + step * place for place in range(BINS + 1)]
    return Shape(tuple(edges), tuple(_shares(one, edges) for one in columns), reach)


def _counts(one: ColumnSummary) -> bool:
    """Tell whether a column holds whole numbers: bins that hold a different number of them would draw combs."""
    return one.kind == "number" and "float" not in one.dtype.lower() and "decimal" not in one.dtype.lower()


def _whole(low: float, high: float) -> list[float] | None:
    step = max(1, math.ceil((high - low + 1) / BINS))
    if high - low > 2**52:
        return None
    first = math.floor(low)
    return [first - 0.5 + step * place for place in range(math.ceil((high - first + 1) / step) + 1)]


def _shares(one: ColumnSummary, edges: Sequence[float]) -> tuple[float, ...]:
    below = [one.share_below(edge) or 0.0 for edge in edges[1:-1]]
    path = [0.0, *below, 1.0]
    return tuple(max(after - before, 0.0) for before, after in pairwise(path))


def histogram(found: Shape, column: ColumnSummary) -> Markup:
    """Draw a shape: the last of its tables as a line, one before it as a filled area."""
    top = max(max(shares, default=0.0) for shares in found.shares) or 1.0
    *before, last = found.shares
    paths = [el("path", d=_steps(shares, top, closed=True), class_="before") for shares in before]
    paths.append(el("path", d=_steps(last, top, closed=not before), class_="now" if before else "only"))
    labels = _labels(found, column)
    told = " and ".join(dict.fromkeys(label for label in (labels[0], labels[-1]) if label)) or labels[1]
    return el(
        "div",
        el(
            "svg",
            *paths,
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            preserveAspectRatio="none",
            role="img",
            aria_label=f"distribution of {column.name}: {told}",
        ),
        el("div", [el("span", label) for label in labels], class_="axis"),
        class_="histogram",
    )


def _labels(found: Shape, column: ColumnSummary) -> list[str]:
    """Write the ends below a histogram, and its middle where that is a value that the column can have."""
    first, end = found.ends
    if first == end:
        return ["", place(first, column), ""]
    low, middle, high = (0.0 if abs(at) < 1e-9 * (end - first) else at for at in (first, (first + end) / 2, end))
    fits = not _counts(column) or middle == int(middle)
    return [place(low, column), place(middle, column) if fits else "", place(high, column)]


def place(value: float | None, column: ColumnSummary) -> str:
    """Format one of a column's numbers for reading: times as dates on the clock of their zone, else in UTC."""
    if value is None:
        return "–"
    if column.kind != "time":
        if column.dtype.startswith("time["):  # in hours
            minutes, seconds = divmod(round(value * 3600), 60)
            return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        # Years have no thousands separator, and who counts four-digit things does not miss it.
        text = number(value).replace(",", "") if 1000 <= abs(value) < 9999.5 else number(value)
        return f"{text} s" if column.dtype.startswith("duration[") else text
    try:
        moment = _EPOCH + timedelta(seconds=float(value / column.field.per_second))
        moment = moment.astimezone(ZoneInfo(column.field.zone)) if column.field.zone else moment
    except OverflowError:
        return number(value)
    except (ZoneInfoNotFoundError, ValueError):
        pass
    if not (moment.hour or moment.minute or moment.second):
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M}"


def type_name(column: ColumnSummary) -> str:
    """Return a column's type as people say it: text is text, however it lies in memory."""
    return "text" if column.kind == "text" else column.dtype


def _steps(shares: Sequence[float], top: float, *, closed: bool) -> str:
    """Draw steps; an open line leaves out the empty stretches, so that it does not run along the axis."""
    width = WIDTH / len(shares)
    path, down = [f"M0 {HEIGHT}"] if closed else [], True
    for index, share in enumerate(shares):
        y = HEIGHT - (HEIGHT - 4) * share / top
        if not closed and not share:
            path += [] if down else [f"V{HEIGHT}"]
            down = True
            continue
        if not closed and down:
            path.append(f"M{index * width:.1f} {HEIGHT}")
        path.append(f"L{index * width:.1f} {y:.1f}H{(index + 1) * width:.1f}")
        down = False
    if closed:
        path.append(f"V{HEIGHT}Z")
    elif not down:
        path.append(f"V{HEIGHT}")
    return "".join(path)


def values(columns: Sequence[ColumnSummary]) -> Markup | None:
    """Draw the shares of the most frequent values; None where there are none."""
    told = [{name: times / max(one.rows - one.nulls, 1) for name, times in one.top} for one in columns]
    best = {name: max(one.get(name, 0.0) for one in told) for shares in told for name in shares}
    names = sorted(best, key=lambda name: -best[name])[:VALUES]
    if not names:
        return None
    longest = best[names[0]] or 1.0
    lines = [_value(name, [one.get(name, 0.0) for one in told], longest) for name in names]
    return el("ol", lines, class_="values two" if len(columns) > 1 else "values")


def _value(name: object, shares: Sequence[float], longest: float) -> Markup:
    styles = ["before"] * (len(shares) - 1) + ["now"]
    bars = [
        el("span", class_=style, style=f"width:{100 * share / longest:.2f}%")
        for style, share in zip(styles, shares, strict=True)
    ]
    return el(
        "li",
        el("span", elide(str(name), 28) if str(name).strip() else "(blank)", class_="value", title=str(name)),
        el("span", bars, class_="bars"),
        el("em", " → ".join(percent(share) for share in shares)),
    )
