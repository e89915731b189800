"""Write the sections of ``benchmarks/RESULTS.md`` on units of part of the rows and on old deliveries under new keys."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from quiet.rates import clustered
from quiet.sections import alarmed, made_by, power, rates, replace, table

Rows = Sequence[Mapping[str, Any]]
_PARTS = (
    """\
**Clean windows.** `diagnose` on windows with nothing planted; what is normal is learned from the windows before, once
for each week. *With an alarm* here: a unit on part of the rows is named, at whatever place of the list.
""",
    """\
**Planted.** An amount of the table, chosen at random, is multiplied by 10, 100, .01, 1.609344, 3.28084 or .0254 in a
share of the rows, chosen at random, in a window and the six after it. Seen: the first signature says `unit` and the
column. *Put right*: in the first window its repair gives back every cell. Where the rows cannot be told apart the
fault is named and nothing is repaired. Size 0 is no change.
""",
)
_ORDER = (
    """\
**What runs.** Every table is given a key that counts on. Profile, history and monitors judge as in a line
(`quiet.ours`), without signatures. *With an alarm* here: `echo_share` alarms; other metrics are counted under Quiet.
""",
    """\
**Planted.** In a window and the six after it, the last delivery before comes again with new keys and its times moved
on: its first rows in place of as large a share of the window's own, all of it at size 1, or all of it in another order.
Size 0 is no change. Snapshots come whole each day, and are left out.
""",
)


def _command(given: argparse.Namespace, options: Sequence[str]) -> str:
    chosen = " ".join(f"--{name} {getattr(given, name)}" for name in options)
    return f"PYTHONPATH=benchmarks python -m signatures.run {given.sweep} {chosen}"


def write_parts(judged: Rows, cases: Rows, given: argparse.Namespace, seconds: float) -> None:
    """Write the section on units of part of the rows."""
    fired = [bool(row["any"]) for row in judged]
    low, high = clustered(fired, [row["cluster"] for row in judged])
    share = [
        [f"{size:g}", f"{sum(row['restored'] for row in some) / len(some):.0%}"]
        for size in sorted({row["size"] for row in cases})
        if (some := [row for row in cases if row["size"] == size])
    ]
    by = [
        [
            name,
            *(
                _within([row for row in cases if row["table"] == name and row["size"] == size])
                for size in _sizes(cases)
            ),
        ]
        for name in dict.fromkeys(row["table"] for row in cases)
    ]
    replace("Units on part of the rows", [
        made_by(_command(given, ("part", "windows", "every", "seed")), given.seed, seconds), "", _PARTS[0],
        *rates(judged, ("series",)), *alarmed(judged),
        f"Any signature at all fired on {sum(fired)} of these windows ({1000 * low:.1f} to {1000 * high:.1f} in 1000).",
        "", _PARTS[1], *power(cases, (1, 7)), *table(["size", "put right"], share), "By table, seen within one:", "",
        *table(["table", *(f"{size:g}" for size in _sizes(cases))], by),
    ])  # fmt: skip


def write_order(rows: Rows, given: argparse.Namespace, seconds: float) -> None:
    """Write the section on old deliveries under new keys."""
    clean, cases = ([row for row in rows if name in row] for name in ("alarm", "delay"))
    by = []
    for name in dict.fromkeys(row["table"] for row in cases):
        mine = [row for row in cases if row["table"] == name]
        shares = [[row for row in mine if row["kind"] == kind and row["size"] == size] for kind, size in _KINDS]
        by.append([name, *(_within(some) for some in shares)])
    replace("Old deliveries under new keys", [
        made_by(_command(given, ("windows", "seed")), given.seed, seconds), "", _ORDER[0],
        *rates(clean, ("series",)), *alarmed(clean),
        f"Notices of `echo_share` below an alarm: {sum(row['notice'] and not row['alarm'] for row in clean)}.", "",
        _ORDER[1], *power(cases, (1, 7)), "By table, seen by `echo_share` within one:", "",
        *table(["table", *(f"{size:g}, {kind.split()[-1]}" for kind, size in _KINDS)], by),
    ])  # fmt: skip


_KINDS = (*(("old rows first", size) for size in (0.25, 0.5, 1.0)), ("old rows, shuffled", 1.0))


def _sizes(cases: Rows) -> list[float]:
    return sorted({float(row["size"]) for row in cases})


def _within(some: Rows) -> str:
    return f"{sum(row['delay'] == 0 for row in some)} of {len(some)}"
