"""Write what was measured: one section of ``benchmarks/RESULTS.md``, replaced as a whole."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from profiling import truth
from profiling.environments import PINS
from profiling.tables import NUMBERS, TEXTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "benchmarks" / "RESULTS.md"
HEAD = "# What was measured\n\nEvery section says its command, machine and versions.\n"
NOTES = """\
What each computes, per column: **headwater, DuckDB, Polars**: nulls, mean, sd, min, max, five quantiles, a histogram on
the reference's cells, approximate distinct (exact for the texts of DuckDB and Polars), counts of every text value, and
the population stability index against the reference. **Evidently**: DataSummaryPreset + DataDriftPreset. **NannyML**:
univariate drift (Jensen-Shannon), missing and unseen values, mean, sd, median. **whylogs**: its standard profile, no
drift. **Great Expectations**: nulls, distinct, min, max, mean, sd, quantiles, value sets as checks; no drift, no
reference. Ids and the timestamp have no histogram in DuckDB and Polars; ours has one. Ours also holds zeros, NaN,
infinities, skew, kurtosis and top values of every number, which DuckDB computes in its form `same` alone (top values
from all rows, where ours come from a sample); its other forms and Polars do less than ours.

Tables are in memory before the clock starts: Arrow for ours, a native table with ENUM texts for DuckDB (its load is not
counted), one chunk with Categorical texts for Polars, pandas for the peers. `wall` is the least of all rounds, `median`
shows what else the machine was doing. CPU is of all threads. Peak is memory above the loaded tables. The peers are run
on fewer rows, and their cost per row is compared with ours per row on the full table: what they spend once per report
counts against them there, and more so the fewer the rows. Where others use the machine (see its load) the ratios of CPU
are the fairer ones.
"""


@dataclass
class Session:
    """What was run: the command line, the contestants by kind, the two tables."""

    given: argparse.Namespace
    memory: list[Any]
    peers: list[Any]
    files: list[Any]
    current: Path
    reference: Path


def machine() -> str:
    """Describe the processor, memory, system and Python."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    size = int(memory[1]) / 1024**2 if memory else 0
    name = model[1].strip() if model else platform.processor()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} x {name}, {size:.0f} GB, {system}"


def command() -> str:
    """Say how this was run."""
    options = " ".join(sys.argv[1:])
    return f"make bench-profile BENCH='{options}'" if options else "make bench-profile"


def versions() -> str:
    """List the versions of what was measured."""
    own = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba", "polars", "duckdb", "pyarrow")]
    for pins in sorted(PINS.glob("*.txt")):
        pinned = re.search(rf"^{pins.stem.replace('-', '[-_]')}==(\S+)", pins.read_text(), re.M)
        own.append(f"{pins.stem} {pinned[1] if pinned else '?'}")
    return ", ".join(own)


def total(one: Any, clock: str) -> float:
    """Seconds of all steps of a contestant, each at its least."""
    return float(one.least(clock, *one.steps))


def main_table(session: Session) -> list[str]:
    """The contestants on the whole table, against ours and against the memory read."""
    done = {one.name: one for one in session.memory if not one.problem and one.runs}
    ours, floor = done.get("headwater"), done.get("memory read")
    lines = [
        "| contestant | reference s | current s | median | both s | CPU s | peak MB "
        "| both / ours | CPU / ours | current / read | in CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in session.memory:
        if one.problem or not one.runs:
            lines.append(f"| {one.name} | {one.problem or 'not run'} | | | | | | | | |")
            continue
        reference = f"{one.least('wall', 'reference'):.3f}" if "reference" in one.steps else ""
        current = [step for step in one.steps if step != "reference"]
        wall, cpu = total(one, "wall"), total(one, "cpu")
        cells = [one.name, reference, f"{one.least('wall', *current):.3f}", f"{one.median('wall', *current):.3f}"]
        cells += [f"{wall:.3f}", f"{cpu:.2f}", f"{one.peak:.0f}"]
        cells += (
            [f"{wall / total(ours, 'wall'):.1f}", f"{cpu / total(ours, 'cpu'):.1f}"]
            if ours and not one.floor
            else ["", ""]
        )
        for clock in ("wall", "cpu"):
            cells.append(f"{one.least(clock, *current) / floor.least(clock, 'current'):.1f}" if floor else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def peer_table(session: Session) -> list[str]:
    """The peers on fewer rows, per row against ours."""
    ours = next((one for one in session.memory if one.name == "headwater" and one.runs), None)
    lines = [
        "| peer | rows + reference | wall s | CPU s | us CPU per row | peak MB "
        "| wall per row / ours | CPU per row / ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in session.peers:
        if one.problem or not one.runs:
            lines.append(f"| {one.name} | {one.problem or 'not run'} | | | | | | |")
            continue
        rows, before = one.runs[0]["rows"], one.runs[0]["reference_rows"]
        wall, cpu = total(one, "wall"), total(one, "cpu")
        ratios = ["", ""]
        if ours:
            steps = ours.steps if before else tuple(step for step in ours.steps if step == "current")
            size = session.given.rows + (session.given.reference if before else 0)
            ratios = [
                f"{spent / (rows + before) / (ours.least(clock, *steps) / size):.0f}"
                for clock, spent in (("wall", wall), ("cpu", cpu))
            ]
        cells = [one.name, f"{rows:,} + {before:,}", f"{wall:.2f}", f"{cpu:.2f}", f"{cpu / (rows + before) * 1e6:.1f}"]
        lines.append(f"| {' | '.join([*cells, f'{one.peak:.0f}', *ratios])} |")
    return lines


def file_table(session: Session) -> list[str]:
    """The same from Parquet, against the decode alone."""
    decode = {one.form: one.least("wall", "current") for one in session.files if one.floor and one.runs}
    lines = [
        "| from Parquet (zstd) | wall s | median | CPU s | peak MB | / pyarrow's decode | / fastest decode |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in session.files:
        if one.problem or not one.runs:
            lines.append(f"| {one.name} | {one.problem or 'not run'} | | | | | |")
            continue
        wall = one.least("wall", "current")
        ratios = [
            f"{wall / decode['pyarrow']:.2f}" if "pyarrow" in decode else "",
            f"{wall / min(decode.values()):.2f}" if decode else "",
        ]
        cells = [one.name, f"{wall:.3f}", f"{one.median('wall', 'current'):.3f}", f"{one.least('cpu', 'current'):.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{one.peak:.0f}', *ratios])} |")
    return lines


def agreement(session: Session) -> list[str]:
    """How far each contestant's numbers are from the exact ones, worst column."""
    true = truth.exact(session.current)
    told = {one.name: run["answers"] for one in session.memory for run in one.runs if "answers" in run}
    if not told:
        return []
    found = {name: truth.errors(answers, true) for name, answers in told.items()}
    kinds = list(next(iter(found.values())))
    drifts = "drift of `normal`, `region` (planted), most of the rest"
    lines = [f"| largest error over the columns | {' | '.join(kinds)} | {drifts} |"]
    lines.append("|---" * (len(kinds) + 2) + "|")
    for name, kind_errors in found.items():
        drift = {column: told[name][column]["drift"] for column in (*NUMBERS, *TEXTS)}
        planted = ("normal", "region", "price", "score")
        rest = max(value for column, value in drift.items() if column not in planted)
        cells = [f"{kind_errors[kind]:.2g}" for kind in kinds]
        lines.append(f"| {name} | {' | '.join(cells)} | {drift['normal']:.3f}, {drift['region']:.3f}, {rest:.4f} |")
    return lines


def write(session: Session) -> None:
    """Print the section, and put it into the page."""
    given = session.given
    text = [
        "## Profile",
        "",
        f"`{command()}` ({given.rounds} rounds in alternation), {datetime.now(UTC):%Y-%m-%d}, {machine()};",
        f"{versions()}.",
        f"{given.rows:,} rows x 19 columns now, {given.reference:,} as reference, 2 threads. "
        f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f}.",
        "",
        NOTES,
    ]
    for lines in (main_table(session), peer_table(session), file_table(session), agreement(session)):
        text += [*lines, ""]
    section = "\n".join(text)
    print(section)
    if not given.keep:
        put("Profile", section)


def write_big(one: Any, path: Path, rows: int, *, keep: bool) -> None:
    """Print and keep what streaming the big file cost."""
    told = f"not run: {one.problem}"
    if not one.problem:
        (run,) = one.runs
        wall, cpu, peak = run["wall"]["current"][0], run["cpu"]["current"][0], run["peak_mb"] + run["held_mb"]
        told = (
            f"{rows:,} rows x 20 columns from Parquet (zstd, {path.stat().st_size / 1e9:.1f} GB): "
            f"{wall:.0f} s wall, {cpu:.0f} s CPU, peak {peak:.0f} MB resident in all "
            f"({run['held_mb']:.0f} MB of it before the scan: the interpreter, libraries, the reference)."
        )
    head = f"`{command()}`, {datetime.now(UTC):%Y-%m-%d}, {machine()}."
    section = f"## Profile, streamed\n\n{head}\n\n{told}\n"
    print(section)
    if not keep:
        put("Profile, streamed", section)


def put(title: str, section: str) -> None:
    """Replace the section of this title, or add it at the end."""
    text = PAGE.read_text() if PAGE.exists() else HEAD
    parts = re.split(r"(?m)^(?=## )", text)
    parts = [part.rstrip() + "\n" for part in parts if not part.startswith(f"## {title}\n")]
    PAGE.write_text("\n".join([*parts, section.rstrip() + "\n"]))
