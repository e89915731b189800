"""Sections of ``benchmarks/RESULTS.md`` that are written by what measured them, each replaced as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quiet.rates import Rate, rate, seen

PAGE = Path(__file__).resolve().parents[1] / "RESULTS.md"


def replace(title: str, lines: Sequence[str], page: Path = PAGE) -> None:
    """Replace a section of the page, or add it at the end."""
    whole = page.read_text()
    text = "\n".join([f"## {title}", "", *lines]).strip() + "\n"
    cut = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", whole, re.M | re.S)
    made = whole[: cut.start()] + text + "\n" + whole[cut.end() :] if cut else f"{whole.rstrip()}\n\n{text}"
    page.write_text(made.strip() + "\n")


def made_by(command: str, seed: int, seconds: float) -> str:
    """Say which command prints a section, and when it did."""
    return f"`{command}`, {datetime.now(UTC):%Y-%m-%d}; seed {seed}; {seconds / 60:.1f} CPU minutes in one process."


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Write a table in Markdown, with an empty line after it."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def rates(judged: Sequence[Mapping[str, Any]], by: Sequence[str] = ("feed", "series")) -> list[str]:
    """Write the false-alarm rates, by series, by feed and over all; rows as `quiet.rates.rate` takes them."""
    head = ["", "clean windows", "with an alarm", "spells", "per 1000", "95 %"]
    rows = []
    for field in reversed(by):
        for name in dict.fromkeys(str(row[field]) for row in judged):
            chosen = [row for row in judged if str(row[field]) == name]
            if field == "feed" and len({row["series"] for row in chosen}) == 1:
                continue
            rows.append([f"{name}, all" if field == "feed" else name, *_cells(rate(chosen))])
    return table(head, [*rows, ["**all**", *_cells(rate(judged))]])


def _cells(found: Rate) -> list[str]:
    bounds = f"{1000 * found.low:.1f} to {1000 * found.high:.1f}"
    return [f"{found.windows:,}", str(found.alarms), str(found.spells), f"{found.per1000:.1f}", bounds]


def power(cases: Sequence[Mapping[str, Any]], within: Sequence[int], more: Sequence[str] = ()) -> list[str]:
    """Write which share of planted changes was seen, by kind and size.

    Args:
        cases: Rows with ``kind``, ``size`` and ``delay`` (None if unseen).
        within: Numbers of windows.
        more: Numbers in the rows of which the median is shown as well.
    """
    rows = []
    for kind, size in sorted({(str(row["kind"]), float(row["size"])) for row in cases}):
        chosen = [row for row in cases if row["kind"] == kind and row["size"] == size]
        delays = [row["delay"] for row in chosen]
        medians = [f"{sorted(row[name] for row in chosen)[len(chosen) // 2]:.2g}" for name in more]
        rows.append([kind, f"{size:g}", len(chosen), *medians, *(f"{seen(delays, one):.0%}" for one in within)])
    return table(["change", "size", "cases", *more, *(f"within {one}" for one in within)], rows)


_INPUTS = (
    """\
**What runs.** `headwater.app.inputs` measures each day's features against the days before, `InputsMonitor` judges,
and what is in alarm is not learned. Nothing upstream alarms here. In a line it would silence this monitor, so the rate
is an upper bound, and the power too: a change of the features' own tables may be told there first.

**Clean days** after those that a model was trained on, with nothing planted; weather and holidays are clean. A spell is
a run of alarms with less than seven days without one between them. Intervals take feed and month as a cluster
(`quiet.rates.clustered`); where nothing alarmed, days count as independent, so those bounds are too narrow.
""",
    """\
**Power.** From some day on, and for seven, a share of the rows gives way to rows drawn from those that are alike in
one column, chosen at random: the top fifth of a number, the second of the values of a text. Whole rows are replaced.
The alarm takes three windows in a row, each looked at with the two before it. Size 0 is no change.
""",
)
_PERFORMANCE = (
    """\
**What runs.** LightGBM, trained on a model's early days and never again. `mlops.outcome.performance` measures each
later day with all its labels, `PerformanceMonitor` judges from the 15th on, and what is in alarm is not learned.
Estimated performance never alarms; its notices are counted by `make bench-labelfree`.

**Clean days** are counted as for the inputs of models. A model that grows stale counts as clean, because nobody
documents a fault there: the hotel's were trained on eight months or five, and meet seasons they have not seen.
""",
    """\
**Power.** Changes of graded size, from some day on and for seven. *Outcomes exchanged*: that share of the outcomes
changes places among the rows of a day. *Mean outcome*: moved by so many standard deviations of the rows. *Excess or
mae*: the watched metric itself is moved up by so many of its day-to-day standard deviations (mae: of its logarithm).
*Moved*: by how many of those it moved, in the median. *None* is no change: what alarms there would have alarmed anyway.
""",
)


def of_inputs(rows: Sequence[Mapping[str, Any]], seed: int, seconds: float) -> list[str]:
    """Write what `quiet.inputs` measured."""
    clean, cases = _sides(rows)
    head = made_by("make bench-quiet BENCH=inputs", seed, seconds)
    return [head, "", _INPUTS[0], *rates(clean), *alarmed(clean), _INPUTS[1], *power(cases, (1, 2, 3, 7))]


def of_performance(rows: Sequence[Mapping[str, Any]], seed: int, seconds: float) -> list[str]:
    """Write what `quiet.performance` measured."""
    clean, cases = _sides(rows)
    head = made_by("make bench-quiet BENCH=performance", seed, seconds)
    feeds = {name: [row for row in cases if row["feed"].startswith(name)] for name in ("flights", "taxi", "hotel")}
    lines = []
    for kind, size in sorted({(str(row["kind"]), float(row["size"])) for row in cases}):
        alike = [[row for row in some if (row["kind"], row["size"]) == (kind, size)] for some in feeds.values()]
        shares = [f"{seen([row['delay'] for row in some], 7):.0%}" for some in alike]
        lines.append([kind, f"{size:g}", *shares])
    return [
        head, "", _PERFORMANCE[0], *rates(clean), *alarmed(clean), _PERFORMANCE[1],
        *power(cases, (1, 2, 3, 7), ("moved",)),
        "By feed, seen within seven days:", "", *table(["change", "size", *feeds], lines),
    ]  # fmt: skip


def _sides(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    return [row for row in rows if "alarm" in row], [row for row in rows if "delay" in row]


def alarmed(clean: Sequence[Mapping[str, Any]], most: int = 3) -> list[str]:
    """List the alarms of clean days with what they said, of the series that had no more than a few."""
    by: dict[str, list[str]] = {}
    for row in clean:
        if row["alarm"]:
            by.setdefault(row["series"], []).append(f"- {row['series']}, {row['window']}: {row['says'][0]}")
    few = [said for one in by.values() if len(one) <= most for said in one]
    return [f"What alarmed in series with no more than {most}:", "", *few, ""] if few else []
