"""Ours: `summarise` of the reference, `summarise` of the current table on its grids, and a drift per column."""

from __future__ import annotations

from typing import Any

import numpy as np
from answers import QUANTILES, column, stability
from measuring import arguments, measure, sizes, tell
from tables import TIME, loaded

from headwater.stats.profiling.summaries import ColumnSummary, Summary, summarise

TOP = 10


def answer(summary: Summary, before: Summary) -> dict[str, Any]:
    """Read every number that is compared, so that none is left to be computed after the clock stopped."""
    found = {}
    for name, one in summary.columns.items():
        found[name] = column(nulls=one.nulls, mean=one.mean, std=one.std, distinct=one.distinct)
        if one.kind == "text":
            found[name] |= {"top": one.top[:TOP], "drift": text_drift(before.columns[name], one)}
            continue
        found[name] |= {"min": one.minimum, "max": one.maximum}
        old, new = (np.asarray(side.histogram()[1], float) for side in (before.columns[name], one))
        found[name] |= {"quantiles": [one.quantile(level) for level in QUANTILES], "drift": stability(old, new)}
    found[TIME] = column(nulls=found[TIME]["nulls"], distinct=found[TIME]["distinct"])
    return found


def text_drift(before: ColumnSummary, one: ColumnSummary) -> float:
    old, new = (dict(side.table.counts if side.table else ()) for side in (before, one))
    keys = list({**old, **new})
    return stability(*(np.array([side.get(key, 0) for key in keys], float) for side in (old, new)))


def main() -> None:
    given = arguments()
    rows, fifth = sizes(given)
    current_table, reference_table = loaded(given.current, rows), loaded(given.reference, fifth)
    summarise(reference_table.slice(0, 1000), threads=given.threads)  # compiled code is read from the cache here
    state: dict[str, Any] = {}

    def reference() -> None:
        state["reference"] = summarise(reference_table, threads=given.threads)

    def current() -> None:
        state["current"] = summarise(current_table, like=state["reference"], threads=given.threads)

    def drift() -> None:
        state["answers"] = answer(state["current"], state["reference"])

    told = measure({"reference": reference, "current": current, "drift": drift}, given.repeats)
    tell(told | ({"answers": state["answers"]} if given.answers else {}))


if __name__ == "__main__":
    main()
