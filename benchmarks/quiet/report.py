"""Tables and a plot from what `run.py` measured."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from quiet.power import COLUMNS, seen, thresholds
from quiet.series import SIZES

OURS = ("Headwater, alarms", "Headwater, notices too")
ORDER = (
    *OURS, "Headwater, score", "Elementary", "3-sigma", "NannyML", "NannyML, KS and chi2", "Evidently",
    "Evidently, trailing reference", "KS Bonferroni", "KS p<.05", "KS p<.05, trailing reference",
)  # fmt: skip
HIDDEN = {"default": ("Headwater, score", "KS Bonferroni"), "matched": (*OURS, "KS Bonferroni")}
"""What is not shown of power: findings have no threshold to match, and one column at a time needs no correction."""
PLOT = Path(__file__).parent / "quiet.svg"
COLOURS = {
    "Headwater, alarms": "#0b5fa5", "Headwater, notices too": "#58a4de", "Elementary": "#8a6d3b", "3-sigma": "#b5651d",
    "NannyML": "#6a51a3", "Evidently": "#d94801", "KS p<.05": "#525252",
    "Headwater, score": "#0b5fa5",
}  # fmt: skip


def write(kept: Path, share: float) -> None:
    """Print every table for which there are measurements, as Markdown, and draw the plot.

    Args:
        kept: Where the measurements are.
        share: Of clean table-windows that may alarm at the matched thresholds.
    """
    told = {path.stem: pickle.loads(path.read_bytes()) for path in sorted(kept.glob("*.pickle"))}
    _alarms({name[7:]: one for name, one in told.items() if name.startswith("alarms-")})
    _sizes({name[6:]: one for name, one in told.items() if name.startswith("sizes-")})
    cases = [row for name, rows in told.items() if name.startswith("power-") for row in rows]
    if cases:
        limits = {name: thresholds(told[f"alarms-{name}"], share) for name in COLUMNS}
        _power(seen(cases, limits), limits)
    _faults([one for name, one in told.items() if name.startswith("faults-")])
    if "writings" in told:
        print(f"\nOdd writings: {told['writings']}")
    _packages([row for name, rows in told.items() if name.startswith("packages-") for row in rows])


def _row(cells: Sequence[object]) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def _head(*cells: str) -> None:
    print()
    _row(cells)
    print("|" + "---|" * len(cells))


def _alarms(told: Mapping[str, Any]) -> None:
    days = {name: one for name, one in told.items() if "-week" not in name}
    weeks = {name: one for name, one in told.items() if "-week" in name}
    for label, chosen in (("days", days), ("weeks", weeks)):
        if not chosen:
            continue
        windows = sum(one[OURS[0]].rates()["windows"] for one in chosen.values())
        print(f"\n{len(chosen)} series of {label}, {windows} clean windows judged: {', '.join(chosen)}")
        _head("rule", "per 1000 stream-windows", "per 1000 table-windows", "windows with any", "table's own verdict")
        for rule in ORDER:
            if rule != "Headwater, score":
                _row([rule, *_summed([one[rule] for one in chosen.values()])])
    if days:
        _head("windows with any alarm", *days)
        for rule in ORDER:
            if rule != "Headwater, score":
                _row([rule, *(f"{one[rule].rates()['any']:.1%}" for one in days.values())])


def _summed(replays: Sequence[Any]) -> list[str]:
    judged = sum(int((np.isfinite(one.scores) | np.isposinf(one.scores)).sum()) for one in replays)
    alarms = sum(int((one.scores >= 1).sum()) for one in replays)
    windows = sum(len(one.windows) for one in replays)
    some = sum(int((one.scores >= 1).any(axis=1).sum()) for one in replays)
    whole = [yes for one in replays for yes in one.whole]
    verdict = f"{np.mean(whole):.1%}" if whole else ""
    return [f"{1000 * alarms / judged:.2f}", f"{1000 * alarms / windows:.0f}", f"{some / windows:.1%}", verdict]


def _sizes(told: Mapping[str, Any]) -> None:
    names = list(dict.fromkeys(name.rsplit("-", 1)[0] for name in told))
    for title, of in (("windows with any alarm", "any"), ("alarms per 1000 stream-windows", "per1000")):
        _head(f"{title}: {', '.join(names)}", *(f"10^{round(np.log10(size))}" for size in SIZES))
        for rule in ORDER:
            cells = []
            for size in SIZES:
                found = [
                    told[f"{name}-{size}"][rule].rates() for name in names if rule in told.get(f"{name}-{size}", {})
                ]
                weights = [one["windows"] for one in found]
                mean = np.average([one[of] for one in found], weights=weights) if found else np.nan
                cells.append(f"{mean:.1%}" if of == "any" else f"{mean:.2f}")
            if rule != "Headwater, score" and "nan" not in cells[0]:
                _row([rule, *cells])


def _power(cases: pl.DataFrame, limits: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    for at in ("default", "matched"):
        chosen = cases.filter(pl.col("threshold") == at)
        rules = [rule for rule in ORDER if rule in set(chosen.get_column("contestant"))]
        rules = [rule for rule in rules if rule not in HIDDEN[at]]
        print(f"\nSeen in the first window / within seven, {at} thresholds")
        if at == "matched":
            print(
                "clean even-week windows that alarm: "
                + ", ".join(f"{rule} {np.mean([one[rule][1] for one in limits.values()]):.1%}" for rule in rules)
            )
        _head("change", "size", "cases", *rules)
        grouped = chosen.group_by("kind", "size", "contestant").agg(
            pl.len(), (pl.col("delay") == 0).fill_null(False).mean().alias("first"),
            pl.col("delay").is_not_null().mean().alias("seven"), pl.col("delay").mean().alias("delay"),
        )  # fmt: skip
        for kind, size in chosen.select("kind", "size").unique().sort("kind", "size").iter_rows():
            cells, count = [], 0
            for rule in rules:
                one = grouped.filter(
                    (pl.col("kind") == kind) & (pl.col("size") == size) & (pl.col("contestant") == rule)
                )
                count = one["len"][0]
                cells.append(f"{one['first'][0]:.0%} / {one['seven'][0]:.0%}")
            _row([kind, f"{size:g}", count, *cells])
    PLOT.write_text(_plot(cases, limits))


def _faults(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        _head("fault", "noticed", "found", "named", "by", "says")
        for one in rows:
            cells = [
                _delay(one["noticed"]),
                _delay(one["found"]),
                _delay(one["named"]) if one["nameable"] else "has no name",
            ]
            _row([one["fault"], *cells, ", ".join(one["by"]), one["says"] or "; ".join(one["instead"])])


def _delay(at: int | None) -> str:
    return "no" if at is None else "at once" if at == 0 else f"after {at}"


def _packages(rows: Sequence[Mapping[str, Any]]) -> None:
    _head("peer", "series", "reference rows", "column-windows", "same verdict", "alarms")
    for one in rows:
        _row([one[name] for name in ("peer", "series", "reference", "compared", "same", "alarms")])


def _plot(cases: pl.DataFrame, limits: Mapping[str, Mapping[str, tuple[float, float]]]) -> str:
    """Draw power over size: one panel per kind of change and threshold, one line per contestant."""
    kinds = ["mean, row sd", "mean, window sd", "nulls, points", "mix, points", "unseen, points", "spread, x"]
    wide, high, left, top = 250, 150, 60, 70
    parts = []
    for row, at in enumerate(("default", "matched")):
        rules = [rule for rule in ORDER if rule in COLOURS and rule not in HIDDEN[at]]
        for column, kind in enumerate(kinds):
            x, y = left + column * (wide + 40), top + row * (high + 90)
            chosen = cases.filter((pl.col("threshold") == at) & (pl.col("kind") == kind))
            sizes = chosen.get_column("size").unique().sort().to_list()
            parts += _frame(x, y, wide, high, f"{kind} ({at})", sizes)
            for rule in rules:
                rates = [
                    chosen.filter((pl.col("contestant") == rule) & (pl.col("size") == size))["delay"]
                    .is_not_null()
                    .mean()
                    for size in sizes
                ]
                step = wide / max(len(sizes) - 1, 1)
                points = " ".join(
                    f"{x + step * at_size:.1f},{y + high * (1 - float(rate or 0)):.1f}"
                    for at_size, rate in enumerate(rates)
                )
                width = 3 if rule.startswith("Headwater") else 1.3
                parts.append(
                    f'<polyline points="{points}" fill="none" stroke="{COLOURS[rule]}" stroke-width="{width}"/>'
                )
    for place, rule in enumerate(one for one in ORDER if one in COLOURS):
        x = left + place * 190
        shown = "Headwater, matched" if rule == "Headwater, score" else rule
        parts.append(f'<line x1="{x}" x2="{x + 22}" y1="22" y2="22" stroke="{COLOURS[rule]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28}" y="26">{shown.replace("<", "&lt;")}</text>')
    size = left + len(kinds) * (wide + 40), top + 2 * (high + 90)
    title = "Share of planted changes seen within seven windows, by size"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" font-family="sans-serif" '
        f'font-size="11" role="img" aria-label="{title}"><rect width="100%" height="100%" fill="white"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def _frame(x: float, y: float, wide: float, high: float, title: str, sizes: Sequence[float]) -> list[str]:
    parts = [f'<text x="{x}" y="{y - 10}" font-weight="bold">{title}</text>']
    for share in (0.0, 0.5, 1.0):
        level = y + high * (1 - share)
        parts.append(f'<line x1="{x}" x2="{x + wide}" y1="{level}" y2="{level}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6}" y="{level + 4}" text-anchor="end">{share:.0%}</text>')
    for place, size in enumerate(sizes):
        at = x + wide * place / max(len(sizes) - 1, 1)
        parts.append(f'<text x="{at:.1f}" y="{y + high + 16}" text-anchor="middle">{size:g}</text>')
    return parts
