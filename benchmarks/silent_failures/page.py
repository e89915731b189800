"""Write what `run.py` played: one section of ``benchmarks/RESULTS.md``, replaced as a whole."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwater.testing.silent_failures.kinds import KINDS

PAGE = Path(__file__).resolve().parents[1] / "RESULTS.md"
TITLE = "## Silent Failures"
TARGETS: Mapping[str, tuple[str, float]] = {
    "top1": (">=", 0.90), "top3": (">=", 0.97), "side": (">=", 0.96), "remedy": (">=", 0.90),
    "harmful_act_rate": ("<", 0.01), "incidents_per_1000_clean": ("<=", 10), "incidents_per_fault": ("<=", 1.2),
    "both_in_top3": (">=", 0.90), "world_recall": (">=", 0.80), "ece": ("<=", 0.05),
}  # fmt: skip
SHARES = ("top1", "top3", "side", "kind", "remedy")
LOOKED = ("detected", *SHARES)
LINES = (
    ("top1", "named first"), ("top3", "among three"), ("side", "owner's side"), ("kind", "kind of fault"),
    ("remedy", "remedy right"), ("detected", "detected"), ("harmful_act_rate", "harmful acts, of all cases"),
    ("harmful_automatic_rate", "of them by themselves"),
    ("incidents_per_1000_clean", "incidents per 1000 clean windows"),
    ("gaps", "incidents that name a gap of the real data (counted nowhere else)"),
    ("incidents_per_fault", "incidents per fault"), ("delay_median", "windows to the incident, median"),
    ("ece", "calibration error (ECE)"), ("both_in_top3", "both of two among three"),
    ("world_recall", "changed world told"), ("controls_unblamed", "controls without blame"),
    ("exoneration", "suspects rightly cleared or kept"), ("lift", "times a guess"),
    ("seconds_per_case", "CPU s per case"),
    ("triage_seconds", "of them for one judgement"),
)  # fmt: skip
COUNTS = (
    "gaps",
    "incidents_per_1000_clean",
    "delay_median",
    "lift",
    "seconds_per_case",
    "triage_seconds",
    "incidents_per_fault",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table in Markdown."""
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *(f"| {' | '.join(row)} |" for row in rows), ""]


def cell(name: str, value: float | None) -> str:
    """Write a score: a share with two decimals, a count with one, a dash for none."""
    if value is None:
        return "–"
    return (
        f"{value:.3g}" if name in COUNTS else f"{value:.3f}" if name in ("ece", "harmful_act_rate") else f"{value:.2f}"
    )


def met(name: str, value: float | None) -> bool | None:
    """Tell whether a target is met; None without a target or a value."""
    if name not in TARGETS or value is None:
        return None
    sign, limit = TARGETS[name]
    return value >= limit if sign == ">=" else value <= limit if sign == "<=" else value < limit


def headline(told: Mapping[str, Any]) -> list[str]:
    """One column per pipeline: every score on T3, what misses its target in bold."""
    names = list(told["tables"])
    rows = []
    for key, label in LINES:
        target = "".join(map(str, TARGETS[key])) if key in TARGETS else ""
        cells = []
        for name in names:
            scores = told["tables"][name]["T3"]
            shown = cell(key, scores[key])
            if met(key, scores[key]) is False:
                shown = f"**{shown}**"
            span = (scores["intervals"] or {}).get(key)
            cells.append(f"{shown} ({span[0]:.2f}–{span[1]:.2f})" if span else shown)
        rows.append([label, target, *cells])
    rows += [
        ["", "", *([""] * len(names))],
        ["cases (controls)", "", *(_counts(told["tables"][name]["T3"]) for name in names)],
        ["single faults of S2, S3", "", *(str(told["tables"][name]["T3"]["faults"]) for name in names)],
    ]
    return table(["T3: everything can be looked at", "target", *names], rows)


def _counts(scores: Mapping[str, Any]) -> str:
    return f"{scores['cases']} ({scores['controls']:.0%})"


def held_out(told: Mapping[str, Any]) -> list[str]:
    """Shares on the kinds that nothing is fitted on, beside the others."""
    rows = []
    for name, tiers in told["tables"].items():
        scores = tiers["T3"]
        rows.append([name, f"held out ({scores['held_out']['faults']})",
                     *(cell(key, scores["held_out"][key]) for key in SHARES)])  # fmt: skip
        rows.append([name, f"all ({scores['faults']})", *(cell(key, scores[key]) for key in SHARES)])
    return table(["pipeline", "kinds (faults)", *SHARES], rows)


def tiers(told: Mapping[str, Any]) -> list[str]:
    """What is left when less can be looked at, and what others say who are told that something is wrong."""
    keys = ("top1", "top3", "side")
    rows = []
    for name, found in told["tables"].items():
        for tier, scores in found.items():
            shares = [cell(key, scores[key]) for key in keys]
            rows.append([name, f"Headwater, {tier}", str(scores["faults"]), *shares, "",
                         _seconds(scores["triage_seconds"]), cell("top1", scores["controls_unblamed"])])  # fmt: skip
        for rival, scores in told["rivals"].get(name, {}).items():
            ours = scores.get("ours", found["T3"])
            shares, beside = [cell(key, scores[key]) for key in keys], ", ".join(cell(key, ours[key]) for key in keys)
            rows.append([name, rival, str(scores["faults"]), *shares, beside, _seconds(scores.get("seconds")), "–"])
    head = ("pipeline", "who", "cases", *keys, "Headwater, T3, on these", "CPU s a case", "controls without blame")
    return [*table(head, rows), *_outside(told)]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _outside(told: Mapping[str, Any]) -> list[str]:
    """How the tools from outside were asked, and what went wrong with them."""
    from silent_failures.outside import OUTSIDERS, version

    asked = [one for one in OUTSIDERS if any(one.name in rivals for rivals in told["rivals"].values())]
    lines = [f"{one.name} {version(one)}: {one.asked}" for one in asked]
    for name, rivals in told["rivals"].items():
        for one in asked:
            scores = rivals.get(one.name, {})
            if scores.get("unranked"):
                why = f" ({'; '.join(scores['failed'])})" if scores["failed"] else ""
                lines.append(f"{one.name} ranked nobody in {scores['unranked']} cases of {name}{why}.")
    lines += [f"Not asked: {problem}" for problem in told.get("absent", ())]
    return [" ".join(lines), ""] if lines else []


def kinds(told: Mapping[str, Any]) -> list[str]:
    """Single faults by kind over all pipelines, T3."""
    sums: dict[str, dict[str, Any]] = {}
    for found in told["kinds"].values():
        for row in found["T3"]:
            one = sums.setdefault(row["name"], {"group": row["group"], "held": row["held_out"], "faults": 0,
                                                "played": 0, **dict.fromkeys(LOOKED, 0.0)})  # fmt: skip
            one["played"] += row["played"]
            one["faults"] += row["faults"]
            for key in LOOKED:
                one[key] += (row[key] or 0.0) * row["faults"]
    rows = []
    for kind, one in sorted(sums.items(), key=lambda item: list(KINDS).index(item[0])):
        asked = [key if one["group"] != "world" or key in ("detected", "top1", "kind") else "" for key in LOOKED]
        shares = [cell("top1", one[key] / one["faults"]) if key and one["faults"] else "–" for key in asked]
        rows.append(
            [one["group"], kind + (" *" if one["held"] else ""), f"{one['faults']} of {one['played']}", *shares]
        )
    return table(["group", "kind", "S2, S3", "detected", *SHARES], rows)


def levels(told: Mapping[str, Any]) -> list[str]:
    """How bad the planted faults were, and how many were found at each level."""
    rows = []
    for name, found in told["tables"].items():
        cells = []
        for one in found["T3"]["levels"].values():
            rates = f": {one['detected']:.2f}, {one['top1']:.2f}" if one["faults"] else ""
            cells.append(f"{one['faults']}{rates}")
        rows.append([name, *cells])
    return table(["faults: detected, named first", "S0", "S1", "S2", "S3"], rows)


def by(told: Mapping[str, Any], what: str) -> list[str]:
    """Top-1 of headline faults by how they set in or how hard they were meant to hit."""
    faults = [case for case in told["cases"] if case["tier"] == "T3" and case["role"] == "fault"
              and case["level"] in ("S2", "S3")]  # fmt: skip
    groups = sorted({case[what] for case in faults}, key=str)
    rows = []
    for name in told["tables"]:
        own = [[case for case in faults if case["entry"] == name and case[what] == group] for group in groups]
        rows.append([name, *(f"{sum(c['top1'] for c in part) / len(part):.2f} of {len(part)}" if part else "–"
                             for part in own)])  # fmt: skip
    return table([f"named first, by {what}", *map(str, groups)], rows)


_GATED = "the version went through the gate; only outcomes tell, and over eight windows it loses too little"
REASONS: Mapping[str, str] = {
    "concept": "the residuals of up to eight windows stay within what windows of that model do anyway",
    "covariate": "no feature lies further off than in any three of the last 42 windows, three windows in a row",
    "partial": "a tenth of the rows is less than what days differ by",
    "trained_on_faulted_snapshot": _GATED, "label_leak": _GATED, "wrong_params": _GATED,
}  # fmt: skip
"""Why a kind that opened no incident is hard to see, as far as that is known."""


def missed(told: Mapping[str, Any]) -> list[str]:
    """What was said instead, for single faults that were not named and changes of the world that were not told."""
    sums: dict[tuple[str, str, str], int] = {}
    for case in told["cases"]:
        wanted = case["role"] == "world" or (case["role"] == "fault" and case["level"] in ("S2", "S3"))
        if case["tier"] != "T3" or not wanted or case["top1"]:
            continue
        subject = case["said"][0].rpartition("/")[2]
        said = "nothing" if not case["detected"] else f"{case['status']} {subject}".strip()
        at = (case["entry"], case["kinds"][0], said)
        sums[at] = sums.get(at, 0) + 1
    rows = [
        [*at, str(count), REASONS.get(at[1], "") if at[2] == "nothing" else ""]
        for at, count in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table(["pipeline", "kind", "what was said instead", "cases", "why"], rows)


def section(told: Mapping[str, Any]) -> str:
    """Write the section."""
    from profiling.page import machine

    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "polars", "lightgbm"))
    minutes, cpu = told["seconds"] / 60, told.get("cpu", 0.0) / 60
    broken = told["not_played"]
    lines = [
        TITLE, "",
        f"`make bench-silent-failures`, {datetime.now(UTC):%Y-%m-%d}; {machine()}; {versions}. Seed {told['seed']}, "
        f"{minutes:.0f} minutes in {told.get('workers', 2)} processes, {cpu:.0f} minutes of CPU.", "",
        "Faults that no job reports, planted in pipelines of real data through the doors that a team has; harmless "
        "changes, storms and quiet weeks beside them. [How it is played](../docs/guides/enter-silent-failures.md). "
        "Shares are of single faults that move predictions, labels or rows by 0.01 or more in some window (S2, S3), "
        "numbers in spans of the predictions from their 1st to their 99th percentile; a "
        "verdict counts as named only when it names, not when it says undetermined. In brackets 95 %, by drawing kinds "
        "with replacement. Bold misses its target.", "",
        "![Named first by tier, abstention, calibration, delay](silent_failures/silent_failures.svg)", "",
        *headline(told),
        "**Kinds that nothing is fitted on** (`kinds.HELD_OUT`), beside all.", "", *held_out(told),
        "**With less to look at, and against others.** T2 sees metrics, lineage and when code changed, T1 metrics and "
        "lineage. The others are told that something is wrong and since when; Headwater has to find out.", "",
        *tiers(told),
        "**By kind**, all pipelines; `*` is held out.", "", *kinds(told),
        "**By effect, onset and planned severity.**", "", *levels(told), *by(told, "shape"), *by(told, "severity"),
        "**What was said instead.**", "", *missed(told),
    ]  # fmt: skip
    if broken:
        lines += [f"{len(broken)} cases could not be played to their end: "
                  + "; ".join(sorted({one["error"].splitlines()[0] for one in broken})), ""]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def write(text: str) -> None:
    """Replace the section in the page, or add it."""
    from profiling.page import HEAD

    whole = PAGE.read_text() if PAGE.exists() else HEAD
    cut = re.search(rf"^{TITLE}\n.*?(?=^## |\Z)", whole, re.M | re.S)
    page = whole[: cut.start()] + text + "\n" + whole[cut.end() :] if cut else f"{whole.rstrip()}\n\n{text}\n"
    PAGE.write_text(page.strip() + "\n")
