"""Write what `run.py` measured: one section of ``benchmarks/RESULTS.md``, replaced as a whole."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).resolve().parents[1] / "RESULTS.md"
TITLE = "## Label-free"
METHODS = ("headwater", "CBPE only", "PAPE only", "NannyML fitted once", "NannyML fitted anew", "as in reference",
           "as last labelled")  # fmt: skip
SHOWN = {"binary": ("accuracy", "f1"), "regression": ("mae",)}
PHASES = ("blind", "1st", "2nd", "3rd", "later")
HALVES = {"tune": "chosen on", "report": "reported"}


def mean(values: Sequence[float]) -> float:
    """Mean, NaN for none."""
    return float(np.mean(values)) if len(values) else float("nan")


def number(value: float, digits: int = 3) -> str:
    """Write a number, a dash for none."""
    return "–" if not np.isfinite(value) else f"{value:.{digits}f}"


def share(value: float) -> str:
    """Write a share in per cent, a dash for none."""
    return "–" if not np.isfinite(value) else f"{100 * value:.0f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table in Markdown."""
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *(f"| {' | '.join(row)} |" for row in rows), ""]


def errors(all_series: Sequence[Any], told: Sequence[Any]) -> list[str]:
    """Mean absolute error by series and method, in the windows that every method judged."""
    rows = []
    for series in all_series:
        for metric in SHOWN[series.task]:
            mine = [item for item in told if item.series == series.name and item.metric == metric]
            by = {method: {item.window: item for item in mine if item.method == method} for method in METHODS}
            there = [keys for keys in by.values() if keys]
            common = set.intersection(*(set(keys) for keys in there)) if there else set()
            if not common:
                continue
            cells = [number(mean([abs(by[method][at].error) for at in common]) if by[method] else np.nan)
                     for method in METHODS]  # fmt: skip
            ranked = [float(cell) if cell != "–" else np.inf for cell in cells]
            cells[int(np.argmin(ranked))] = f"**{cells[int(np.argmin(ranked))]}**"
            moved = mean([abs(by["as in reference"][at].error) for at in common])
            rows.append([series.name, HALVES[series.half], metric, str(len(common)), number(moved), *cells])
    head = ["series", "half", "metric", "windows", "shift", *METHODS]
    return table([name for name in head], rows)


def overall(all_series: Sequence[Any], told: Sequence[Any], half: str) -> list[str]:
    """One line per method over a half: error against the last labelled value, bias, coverage."""
    names = {series.name for series in all_series if series.half == half}
    shown = {metric for metrics in SHOWN.values() for metric in metrics}
    there = [item for item in told if item.series in names and item.metric in shown]
    base = {(item.series, item.metric, item.window): abs(item.error) for item in there
            if item.method == "as last labelled"}  # fmt: skip
    scale: dict[tuple[str, str], float] = {}
    for series, metric, _ in base:
        scale[series, metric] = mean([error for key, error in base.items() if key[:2] == (series, metric)])
    rows = []
    for method in METHODS:
        mine = [item for item in there if item.method == method and (item.series, item.metric) in scale]
        if not mine:
            continue
        pairs = sorted({(item.series, item.metric) for item in mine})
        ratios = [
            mean([abs(item.error) for item in mine if (item.series, item.metric) == pair]) / scale[pair]
            for pair in pairs
        ]
        biases = [mean([item.error for item in mine if (item.series, item.metric) == pair]) / scale[pair]
                  for pair in pairs]  # fmt: skip
        banded = [item for item in mine if np.isfinite(item.high)]
        kept = [item for item in banded if item.valid]
        rows.append([
            method, f"{len(pairs)}", str(len(mine)), number(float(np.exp(np.mean(np.log(ratios)))), 2),
            number(float(np.median(biases)), 2), share(mean([item.covered for item in banded])),
            share(mean([item.covered for item in kept])),
            number(mean([(item.high - item.low) / 2 / scale[item.series, item.metric] for item in banded]), 2),
        ])  # fmt: skip
    return table(["method", "series x metric", "estimates", "error", "bias", "covered", "covered, shown ones",
                  "half band"], rows)  # fmt: skip


def coverage(all_series: Sequence[Any], told: Sequence[Any]) -> list[str]:
    """Coverage and abstention of ours by metric and half."""
    rows = []
    for half in HALVES:
        names = {series.name for series in all_series if series.half == half}
        mine = [item for item in told if item.method == "headwater" and item.series in names]
        for metric in dict.fromkeys(item.metric for item in mine):
            one = [item for item in mine if item.metric == metric]
            kept, held = [item for item in one if item.valid], [item for item in one if not item.valid]
            width = {item.series: mean([other.high - other.low for other in one if other.series == item.series]) / 2
                     for item in one}  # fmt: skip
            size: Callable[[Sequence[Any]], float] = lambda items, width=width: mean(  # noqa: E731
                [abs(item.error) / width[item.series] for item in items]
            )
            rows.append([
                metric, HALVES[half], str(len(one)), share(mean([item.covered for item in one])),
                share(mean([item.covered for item in kept])), share(len(held) / len(one)), number(size(kept), 2),
                number(size(held), 2),
            ])  # fmt: skip
    return table(["metric", "half", "estimates", "covered", "covered, shown", "withheld", "error shown / half band",
                  "error withheld / half band"], rows)  # fmt: skip


def reasons(told: Sequence[Any]) -> list[str]:
    """Why ours were withheld."""
    held = [item for item in told if item.method == "headwater" and not item.valid]
    kinds = {
        "outcomes left their bands where labels had come": r"^outcomes no longer",
        "past estimates worse than the last realised value": r"^past estimates",
        "rows outside of what labelled rows had": r"outside of what|a p that no",
        "other": r".",
    }
    rows, left = [], list(held)
    for kind, pattern in kinds.items():
        fits = [item for item in left if re.search(pattern, item.reason)]
        left = [item for item in left if item not in fits]
        if fits:
            rows.append([kind, str(len(fits)), str(len({(item.series, item.window) for item in fits}))])
    return table(["reason", "estimates", "windows"], rows)


def concept(changes: dict[str, list[Any]]) -> list[str]:
    """What became of estimates under planted concept shift."""
    rows = []
    chief = {"log_loss", "mae"}
    for half, found in changes.items():
        for change in dict.fromkeys(item[0] for item in found):
            mine = [item for item in found if item[0] == change and item[1] in chief]
            cells = []
            for phase in PHASES:
                one = [(item, truth) for _, _, when, item, truth in mine if when == phase]
                covered = mean([item.low <= truth <= item.high for item, truth in one])
                cells.append(f"{share(mean([not item.valid for item, _ in one]))} ({share(covered)})")
            first = [(item, truth) for _, _, when, item, truth in mine if when == "1st"]
            rows.append([change, HALVES[half], str(len(first)), *cells])
    return table(["change", "half", "shifts", *PHASES], rows)


def shifts(all_series: Sequence[Any], told: Sequence[Any], half: str | None = None) -> tuple[int, int]:
    """Windows whose base rate or error left that of the reference by more than 3 deviations, and their series."""
    names = {series.name: series for series in all_series if half is None or series.half == half}
    found = set()
    for item in told:
        if item.method == "as in reference" and item.series in names and item.metric in ("accuracy", "mae"):
            window = names[item.series].windows[item.window]
            if item.metric == "accuracy":
                deviation = np.sqrt(item.realised * (1 - item.realised) / len(window.outcome))
            else:
                deviation = np.std(np.abs(window.outcome - window.prediction)) / np.sqrt(len(window.outcome))
            if abs(item.error) > 3 * deviation:
                found.add((item.series, item.window))
    return len(found), len({series for series, _ in found})


def section(all_series: Sequence[Any], told: Sequence[Any], changes: dict[str, list[Any]], auc: dict[str, Any],
            fast: dict[str, Any] | None, quiet: dict[int, dict[str, Any]]) -> str:  # fmt: skip
    """Write the section."""
    windows = {(item.series, item.window) for item in told if item.method == "headwater"}
    moved, places = shifts(all_series, told)
    lines = [
        TITLE, "",
        f"`make bench-labelfree`, {datetime.now(UTC):%Y-%m-%d}; {_versions()}.", "",
        f"{len(all_series)} models trained by LightGBM on early windows of real series and never again, "
        f"{len(windows)} later windows estimated before their labels; in {moved} of them (of {places} series) accuracy "
        "or error had left the reference by more than three deviations of chance. Labels are given to the estimators "
        "only when they had come in the world. Constants were chosen on the half called *chosen on* (flights 2013, "
        "hotels, the shop) and nothing was changed after the other half had been scored.", "",
        "**Mean absolute error** in the windows that all methods judged; *shift* is how far the metric was from the "
        "reference.", "",
        *errors(all_series, told),
        "**Over a half**: error and band as shares of the error of *as last labelled* (geometric mean over series), "
        "bias likewise (median); bands are made for 90 % (NannyML's for 99.7 %, of chance alone).", "",
    ]  # fmt: skip
    for half, name in HALVES.items():
        if any(series.half == half for series in all_series):
            lines += [f"*{name}*", "", *overall(all_series, told, half)]
    lines += ["**Coverage and abstention of ours**, by metric.", "", *coverage(all_series, told)]
    lines += ["Why estimates were withheld:", "", *reasons(told)]
    lines += [
        "**Planted concept shift**: from some window on, labels mean something else. Share of estimates withheld (and "
        "covered by the band, shown or not), of log loss or mean absolute error: while no changed label has come "
        "(blind: nothing could know), and in the first, second, third and later windows scored after one had.", "",
        *concept(changes),
        "**AUC**: mean error of an estimate from recalibrated p, of saying what the reference had, and of saying what "
        "the last labelled window had.", "",
        *table(["series", "estimated", "as in reference", "as last labelled"],
               [[name, *map(number, three)] for name, three in auc.items() if three]),
    ]  # fmt: skip
    if fast:
        lines += [
            f"**Speed**: 500,000 rows in 10 chunks, {fast['rounds']} pairs in alternation: ours (seven metrics, bands, "
            f"validity test; {fast['shown']:.1f} estimates shown per chunk) {fast['ours']:.3f} s, NannyML's CBPE (four "
            f"metrics) {fast['theirs']:.2f} s, {fast['ratio']:.0f} times as long (least of the pairs "
            f"{fast['least']:.0f}).", "",
        ]  # fmt: skip
    lines += [monitor(quiet), ""]
    return "\n".join(lines)


def monitor(quiet: dict[int, dict[str, Any]]) -> str:
    """Say how often the monitor spoke on days with nothing wrong."""
    told = [
        f"{year}: {len(found['notices'])} notices in {found['windows']} days, {found['shown']} log losses shown, "
        f"{share(found['covered'] / found['shown'])} of them covered"
        for year, found in quiet.items()
    ]
    return (
        "**The monitor** on days with nothing wrong but weather (flights, July to December, windows of a day, labels "
        f"a day later): {'; '.join(told)}. It never alarms."
    )


def _versions() -> str:
    from profiling.page import machine

    names = ("numpy", "polars", "lightgbm")
    own = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    pins = (PAGE.parent / "profiling" / "peers" / "nannyml.txt").read_text()
    pinned = re.search(r"^nannyml==(\S+)", pins, re.M)
    return f"{machine()}; {own}, nannyml {pinned[1] if pinned else '?'}"


def write(text: str) -> None:
    """Replace the section in the page, or add it."""
    from profiling.page import HEAD

    whole = PAGE.read_text() if PAGE.exists() else HEAD
    cut = re.search(rf"^{TITLE}\n.*?(?=^## |\Z)", whole, re.M | re.S)
    page = whole[: cut.start()] + text + "\n" + whole[cut.end() :] if cut else f"{whole.rstrip()}\n\n{text}\n"
    PAGE.write_text(page.strip() + "\n")
