"""How well source-table signatures work on real tables: false firing on clean windows, recall on planted changes.

    python -m signatures.run clean   [--tables weather2013,flights2013] [--every 1] [--part held-out]
    python -m signatures.run planted [--tables ...] [--windows 8] [--kinds unit,time_offset] [--part development]
    python -m signatures.run parts   [--part held-out --windows 4 --every 2]   units on part of the rows
    python -m signatures.run order   [--windows 3]                             old deliveries under new keys

Windows in odd ISO weeks are for development, those in even weeks are held out, and the held-out numbers are the ones to
report. `parts` and `order` look at clean windows and at planted changes, and write their sections of
benchmarks/RESULTS.md. Reads the data folder named by HEADWATER_DATA, by default ../shared/data beside the repository.
"""

from __future__ import annotations

import argparse
import collections
import random
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from real_tables import DATA, TABLES, Table
from signatures import order, page, parts
from signatures.planted_changes import plants
from signatures.sites import in_part, learn, restored

from headwater.core.windows import Window
from headwater.stats.signatures.signatures import Reference, diagnose


def clean(arguments: argparse.Namespace) -> None:
    """Count the clean windows on which anything fires."""
    print("| table | windows | abnormal | fired | share |  |\n|---|---|---|---|---|---|")
    for name in arguments.tables:
        table = TABLES[name]()
        fired: list[str] = []
        windows = abnormal = 0
        for place in range(table.trailing, len(table.frames), arguments.every):
            window, frame = table.frames[place]
            if not in_part(window, arguments.part):
                continue
            windows += 1
            reference = learn(table, place)
            found = diagnose(frame, reference, window=window)
            abnormal += reference.score(frame, window).total > 2
            if found:
                best = found[0]
                fired.append(f"{window.key} {best.fault} {best.column} {best.before:.1f} {best.after:.1f}")
                if arguments.verbose:
                    print("   ", fired[-1], best.detail, [(one.fault, one.column) for one in found[1:]], flush=True)
        kinds = collections.Counter(one.split()[1] for one in fired)
        share = len(fired) / max(windows, 1)
        print(f"| {name} | {windows} | {abnormal} | {len(fired)} | {share:.1%} | {dict(kinds)} |", flush=True)


def planted(arguments: argparse.Namespace) -> None:
    """Measure firing, naming and restoring on planted changes."""
    rows: list[dict[str, Any]] = []
    for name in arguments.tables:
        table = TABLES[name]()
        places = [
            place
            for place in range(table.trailing, len(table.frames) - 1)
            if in_part(table.frames[place][0], arguments.part)
        ]
        rng = random.Random(f"{name}{arguments.seed}")
        for place in rng.sample(places, min(arguments.windows, len(places))):
            window = table.frames[place][0]
            reference = learn(table, place)
            for kind, right, column, frame, wanted in plants(table, place, rng):
                if arguments.kinds and not (set(arguments.kinds) & right):
                    continue
                start = time.process_time()
                found = diagnose(frame, reference, window=window)
                rows.append(_judge(table, window, kind, right, column, found, frame, wanted, reference))
                rows[-1]["seconds"] = time.process_time() - start
                one = rows[-1]
                if arguments.verbose and (not one["named"] or (wanted is not None and one["restored"] < 0.99)):
                    print("   ", name, window.key, kind, column, "restored", round(one["restored"], 3), [
                        (d.fault, d.column, d.repair.operator, d.before, d.after, d.confidence) for d in found[:3]
                    ], list(reference.score(frame, window).abnormal().items())[:8], flush=True)  # fmt: skip
        print(name, sum(row["table"] == name for row in rows), flush=True)
    _report(rows)


def _judge(
    table: Table,
    window: Window,
    kind: str,
    right: set[str],
    column: str,
    found: list[Any],
    frame: pl.DataFrame,
    wanted: pl.DataFrame | None,
    reference: Reference,
) -> dict[str, Any]:
    from headwater.stats.signatures.repairs import apply

    best = found[0] if found else None
    share = np.nan
    if wanted is not None:
        share = 0.0
        if best is not None and best.invertible:
            share = restored(apply(best.repair, frame, reference), wanted)
    return {
        "table": table.name,
        "kind": kind,
        "fault": "/".join(sorted(right)),
        "fired": bool(found),
        "named": best is not None and best.fault in right,
        "listed": any(one.fault in right for one in found),
        "column": best is not None and (not column or column in best.column or not best.column),
        "restored": share,
    }


def _report(rows: list[dict[str, Any]]) -> None:
    table = pl.DataFrame(rows)
    for by in ("table", "kind", "fault"):
        summary = (
            table.with_columns(pl.col("restored").fill_nan(None))
            .group_by(by)
            .agg(
                pl.len().alias("n"), pl.col("fired").mean(), pl.col("named").mean(), pl.col("listed").mean(),
                pl.col("column").mean(), (pl.col("restored") > 0.99).mean().alias("restored"),
                (pl.col("seconds").quantile(0.95) * 1000).round(0).alias("p95 ms"),
            )
            .sort(by)
        )  # fmt: skip
        print(f"\n| {' | '.join(summary.columns)} |\n|{'---|' * summary.width}")
        for row in summary.iter_rows():
            print("| " + " | ".join(f"{one:.2f}" if isinstance(one, float) else str(one) for one in row) + " |")


def units_of_parts(arguments: argparse.Namespace) -> None:
    """Look for units on part of the rows, in clean windows and where they are planted; write the section."""
    started, judged, cases = time.process_time(), [], []
    for name in _tracked(arguments):
        table = TABLES[name]()
        judged += list(parts.clean(table, arguments.part, arguments.every))
        cases += list(parts.planted(table, arguments.part, arguments.windows, arguments.seed))
    page.write_parts(judged, cases, arguments, time.process_time() - started)


def old_deliveries(arguments: argparse.Namespace) -> None:
    """Look for old deliveries under new keys, in clean windows and where they are planted; write the section."""
    started, rows = time.process_time(), []
    for name in _tracked(arguments):
        rows += list(order.replay(TABLES[name](), arguments.windows, arguments.seed))
    page.write_order(rows, arguments, time.process_time() - started)


def _tracked(arguments: argparse.Namespace) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    return track(arguments.tables, description=arguments.sweep, console=Console(stderr=True))


SWEEPS = {"clean": clean, "planted": planted, "parts": units_of_parts, "order": old_deliveries}


def main() -> None:
    """Run one of the sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", choices=tuple(SWEEPS))
    parser.add_argument("--tables", type=lambda text: text.split(","), default=list(TABLES))
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=[])
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="development")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}; set HEADWATER_DATA")
    SWEEPS[arguments.sweep](arguments)


if __name__ == "__main__":
    main()
