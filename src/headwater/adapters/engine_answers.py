"""Put what an engine answered about a column together into its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.stats.profiling.columns import ColumnSummary, Lengths
from headwater.stats.profiling.fields import Field
from headwater.stats.profiling.grids import OUTSIDE
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.sketches import KEPT, Frequencies, mix, registers

Pairs = Sequence[tuple[Any, int]]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A column that is asked for.

    Attributes:
        at: Its place in the queries.
        field: What it is.
        empty: The summary of no rows, to be filled; None until its cells are learned.
    """

    at: int
    field: Field
    empty: ColumnSummary | None

    @property
    def name(self) -> str:
        """The name of its stored values in the queries."""
        return f"c{self.at}"

    @property
    def measured(self) -> bool:
        """Whether it has cells."""
        return self.field.kind in ("number", "time")

    @property
    def read(self) -> bool:
        """Whether its values are looked at."""
        return self.field.kind != "other"


def answered(
    one: Asked, row: Row, *, exact: bool, moments: Moments | None, cells: Pairs, pairs: Pairs | None, seen: int | None
) -> ColumnSummary:
    """Make the summary of one column in one window.

    Args:
        one: The column.
        row: The facts: counts, ends, distinct values.
        exact: Whether distinct values were counted exactly.
        moments: Moments of the numbers whose moments are kept.
        cells: Codes of `headwater.adapters.engine_cells.coded` and their counts.
        pairs: Values and their counts, the most frequent 4096; None where they were not asked for.
        seen: Rows whose text the reference knows, where ``pairs`` cannot tell.
    """
    assert one.empty is not None
    total = {name: int(row.get(f"{name}{one.at}") or 0) for name in ("nulls", "nans", "infinities", "zeros")}
    made = one.empty.with_(rows=int(row["rows"]), nulls=total["nulls"])
    if one.field.kind == "boolean":
        return made.with_(zeros=total["zeros"])
    if one.field.kind == "text":
        return _text(one, made, row, exact, pairs or [], seen)
    if not one.measured or not filled(one, row):
        return made.with_(**total)
    low, high = row[f"low{one.at}"], row[f"high{one.at}"]
    made = made.with_(**total, low=low, high=high, moments=moments or Moments())
    return _with_distinct(one, _with_cells(made, cells), row, exact, pairs)


def filled(one: Asked, row: Row) -> int:
    """Return how many rows have a finite value."""
    gone = sum(int(row.get(f"{name}{one.at}") or 0) for name in ("nulls", "nans", "infinities"))
    return int(row["rows"]) - gone


def _with_cells(made: ColumnSummary, pairs: Pairs) -> ColumnSummary:
    """Turn counts by code into cells, and those outside into the sparse outer ones."""
    assert made.cells is not None
    cells, outer = made.cells.copy(), {}
    for code, times in pairs:
        if code < 0:
            outer[-1 - int(code)] = times
            cells[OUTSIDE] += times
        else:
            cells[int(code)] = times
    return made.with_(cells=cells, outer=outer)


def _with_distinct(one: Asked, made: ColumnSummary, row: Row, exact: bool, pairs: Pairs | None) -> ColumnSummary:
    assert made.grid is not None and made.cells is not None
    if made.grid.kind == "values" and not made.cells[OUTSIDE]:
        return made
    if pairs is not None and sum(times for _, times in pairs) == made.count:
        values = np.array([value for value, _ in pairs], dtype=np.int64 if one.field.is_whole else np.float64)
        return made.with_(registers=registers(mix(values)), table=Frequencies(dict(pairs)))
    return made.with_(registers=None, table=None, counted=(int(row[f"distinct{one.at}"] or 0), exact))


def _text(one: Asked, made: ColumnSummary, row: Row, exact: bool, pairs: Pairs, seen: int | None) -> ColumnSummary:
    count, known = made.count, made.known
    if not count:
        return made
    made = made.with_(lengths=Lengths(*(int(row[f"{name}{one.at}"]) for name in ("total", "low", "high"))))
    if known is not None:
        here = sum(times for text, times in pairs if text in known) if seen is None else seen
        made = made.with_(unseen=count - here)
    if sum(times for _, times in pairs) == count:
        return made.with_(registers=None, table=Frequencies(dict(pairs)))
    ordered = sorted(pairs, key=lambda pair: -pair[1])
    cut = ordered[KEPT][1]
    kept = {text: times - cut for text, times in ordered[:KEPT] if times > cut}
    counted = (int(row[f"distinct{one.at}"] or 0), exact)
    return made.with_(registers=None, table=Frequencies(kept, cut), counted=counted)
