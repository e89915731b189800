"""Draw what `run.py` played: who is named first by tier, what abstaining gains, calibration, and delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLOT = Path(__file__).parent / "silent_failures.svg"
COLOURS = ("#0b5fa5", "#d94801", "#2f7d32", "#6a51a3", "#8a6d3b", "#525252")
WIDE, HIGH, LEFT, TOP, GAP = 330, 210, 56, 78, 92
Curve = Sequence[tuple[float, float]]


def draw(told: Mapping[str, Any]) -> None:
    """Write the plot beside this module."""
    names = list(told["tables"])
    colours = dict(zip(names, COLOURS, strict=False))
    parts = _legend(colours)
    right, below = LEFT + WIDE + GAP, TOP + HIGH + GAP
    parts += _tiers(told, colours, LEFT, TOP)
    parts += _abstention(told, colours, right, TOP)
    parts += _calibration(told, colours, LEFT, below)
    parts += _delay(told, colours, right, below)
    size = (right + WIDE + 24, below + HIGH + 52)
    title = "Silent Failures: named first by tier, abstention, calibration, delay"
    PLOT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif" font-size="12" role="img" aria-label="{title}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _legend(colours: Mapping[str, str]) -> list[str]:
    parts = []
    for place, (name, colour) in enumerate(colours.items()):
        x = LEFT + 110 * place
        parts.append(f'<rect x="{x}" y="18" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="30">{name}</text>')
    return parts


def _frame(x: float, y: float, title: str, across: str, ticks: Sequence[tuple[float, str]]) -> list[str]:
    """Draw a panel with a share from 0 to 1 upwards; ticks are places from 0 to 1 with their label."""
    parts = [f'<text x="{x}" y="{y - 14}" font-weight="bold">{title}</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        level = y + HIGH * (1 - share)
        parts.append(f'<line x1="{x}" x2="{x + WIDE}" y1="{level}" y2="{level}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{level + 4}" text-anchor="end" fill="#444">{share:.0%}</text>')
    for place, label in ticks:
        at = x + WIDE * place
        parts.append(f'<text x="{at:.1f}" y="{y + HIGH + 18}" text-anchor="middle" fill="#444">{label}</text>')
    middle = x + WIDE / 2
    parts.append(f'<text x="{middle}" y="{y + HIGH + 36}" text-anchor="middle" fill="#444">{across}</text>')
    return parts


def _line(x: float, y: float, curve: Curve, colour: str, dots: bool = True) -> list[str]:
    at = [(x + WIDE * left, y + HIGH * (1 - up)) for left, up in curve]
    points = " ".join(f"{left:.1f},{up:.1f}" for left, up in at)
    parts = [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>']
    if dots:
        parts += [f'<circle cx="{left:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>' for left, up in at]
    return parts


def _tiers(told: Mapping[str, Any], colours: Mapping[str, str], x: float, y: float) -> list[str]:
    """Bars with 95 % intervals: a group per tier, a bar per pipeline; then the best of the others."""
    tiers = ("T3", "T2", "T1")
    groups = len(tiers) + 1
    ticks = [((place + 0.5) / groups, label) for place, label in enumerate((*tiers, "best other"))]
    parts = _frame(x, y, "Named first", "what may be looked at", ticks)
    step = WIDE / groups
    thick = step * 0.8 / len(colours)
    for at, (name, colour) in enumerate(colours.items()):
        for place, tier in enumerate(tiers):
            scores = told["tables"][name][tier]
            left = x + step * (place + 0.1) + thick * at
            parts += _bar(left, y, thick, scores["top1"], (scores["intervals"] or {}).get("top1"), colour)
        rivals = [one["top1"] for one in told["rivals"].get(name, {}).values() if one["top1"] is not None]
        left = x + step * (len(tiers) + 0.1) + thick * at
        parts += _bar(left, y, thick, max(rivals, default=None), None, colour)
    return parts


def _bar(left: float, y: float, thick: float, value: float | None, span: Any, colour: str) -> list[str]:
    if value is None:
        return []
    top = y + HIGH * (1 - value)
    parts = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{thick - 2:.1f}" height="{HIGH * value:.1f}" fill="{colour}"/>'
    ]
    if span:
        low, high = (y + HIGH * (1 - share) for share in span)
        middle = left + (thick - 2) / 2
        parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#111"/>')
    return parts


def _abstention(told: Mapping[str, Any], colours: Mapping[str, str], x: float, y: float) -> list[str]:
    """Right among those named, over the share that is named when only surer verdicts speak."""
    ticks = [(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts = _frame(x, y, "Right when it speaks", "faults of which somebody is named", ticks)
    for name, colour in colours.items():
        curve = [(one["named"], one["right"]) for one in told["tables"][name]["T3"]["abstention"]]
        parts += _line(x, y, curve, colour)
    return parts


def _calibration(told: Mapping[str, Any], colours: Mapping[str, str], x: float, y: float) -> list[str]:
    """How often verdicts of a confidence are right; the area of a dot is their number."""
    ticks = [(share, f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts = _frame(x, y, "Calibration", "the verdict's probability", ticks)
    parts.append(f'<line x1="{x}" y1="{y + HIGH}" x2="{x + WIDE}" y2="{y}" stroke="#999" stroke-dasharray="4 4"/>')
    for name, colour in colours.items():
        pairs = [pair for case in told["cases"] if case["tier"] == "T3" and case["entry"] == name
                 for pair in case["surety"]]  # fmt: skip
        for place in range(10):
            inside = [pair for pair in pairs if place <= min(pair[0] * 10, 9.99) < place + 1]
            if inside:
                left = x + WIDE * sum(chance for chance, _ in inside) / len(inside)
                up = y + HIGH * (1 - sum(right for _, right in inside) / len(inside))
                parts.append(f'<circle cx="{left:.1f}" cy="{up:.1f}" r="{1.5 + len(inside) ** 0.5:.1f}" '
                             f'fill="{colour}" fill-opacity="0.6"/>')  # fmt: skip
    return parts


def _delay(told: Mapping[str, Any], colours: Mapping[str, str], x: float, y: float) -> list[str]:
    """Share of faults with an incident after so many windows."""
    ticks = [(place / 7, str(place + 1)) for place in range(8)]
    parts = _frame(x, y, "Incident opened", "windows since the onset", ticks)
    for name, colour in colours.items():
        delays = [case["delay"] for case in told["cases"] if case["tier"] == "T3" and case["entry"] == name
                  and case["role"] == "fault" and case["level"] in ("S2", "S3")]  # fmt: skip
        if delays:
            found = [sum(one is not None and one <= place for one in delays) / len(delays) for place in range(8)]
            parts += _line(x, y, [(place / 7, share) for place, share in enumerate(found)], colour)
    return parts
