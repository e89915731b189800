"""Polars by hand: native expressions, texts as Categorical, quantiles read off the histograms.

Forms: ``several`` (a query for the moments and distincts, then the cells of each column counted by numpy), ``counts``
(the same with value_counts, all histograms in one query), ``one`` (a single query for everything, with Polars' own
quantiles and hist).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from answers import QUANTILES, column, quantiles, stability
from measuring import arguments, measure, sizes, tell
from tables import IDS, NUMBERS, TEXTS, TIME, loaded

CELLS = 254
Row = dict[str, Any]


class Bear:
    """The form in which Polars is asked, and the cells learned from the reference."""

    def __init__(self, form: str) -> None:
        self.form = form or "several"
        self.grids: dict[str, tuple[float, float]] = {}

    def learn(self, reference: pl.DataFrame) -> None:
        sample = reference.sample(min(20_000, len(reference)), seed=1)
        for name in NUMBERS:
            low, high = (sample[name].quantile(level) for level in (0.001, 0.999))
            self.grids[name] = (low, (high - low) or 1.0)

    def cell(self, name: str) -> pl.Expr:
        low, width = self.grids[name]
        cell = ((pl.col(name).cast(pl.Float64) - low) * (CELLS / width) + 1.0).clip(0, CELLS + 1)
        return cell.cast(pl.UInt8).alias(name)

    def edges(self, name: str) -> np.ndarray:
        low, width = self.grids[name]
        return low + width * np.arange(CELLS + 1) / CELLS

    def profile(self, frame: pl.DataFrame) -> Row:
        wanted = [pl.len().alias("rows")]
        for name in (*NUMBERS, *IDS, TIME, *TEXTS):
            wanted += [pl.col(name).null_count().alias(f"nulls_{name}")]
            if name in TEXTS:
                continue
            wanted += [pl.col(name).min().alias(f"min_{name}"), pl.col(name).max().alias(f"max_{name}")]
            wanted += [pl.col(name).approx_n_unique().alias(f"distinct_{name}")]
            if name != TIME:
                wanted += [pl.col(name).mean().alias(f"mean_{name}"), pl.col(name).std().alias(f"std_{name}")]
        if self.form == "one":
            for name in NUMBERS:
                wanted += [pl.col(name).quantile(level).alias(f"q{level}_{name}") for level in QUANTILES]
            wanted += [self.cell(name).value_counts().implode().alias(f"h_{name}") for name in NUMBERS]
            wanted += [pl.col(name).value_counts().implode().alias(f"h_{name}") for name in TEXTS]
        told = frame.lazy().select(wanted).collect().row(0, named=True)
        told["histograms"] = self.histograms(frame, told)
        return told

    def histograms(self, frame: pl.DataFrame, told: Row) -> dict[str, Any]:
        if self.form == "several":
            found: dict[str, Any] = {}
            for name in NUMBERS:
                cells = frame.lazy().select(self.cell(name)).collect().to_series()
                found[name] = np.bincount(cells.fill_null(0).to_numpy(), minlength=CELLS + 2).astype(float)
                found[name][0] -= told[f"nulls_{name}"]
            parts = pl.collect_all([frame.lazy().group_by(name).len() for name in TEXTS])
            return found | {name: dict(part.iter_rows()) for name, part in zip(TEXTS, parts, strict=True)}
        if self.form == "counts":
            parts = pl.collect_all([frame.lazy().group_by(self.cell(name)).len() for name in NUMBERS])
            parts += pl.collect_all([frame.lazy().group_by(name).len() for name in TEXTS])
            counted = {name: dict(part.iter_rows()) for name, part in zip((*NUMBERS, *TEXTS), parts, strict=True)}
        else:
            counted = {name: {row[name]: row["count"] for row in told.pop(f"h_{name}")} for name in (*NUMBERS, *TEXTS)}
        for name in NUMBERS:
            counted[name] = np.array([counted[name].get(cell, 0) for cell in range(CELLS + 2)], float)
        return counted


def answer(bear: Bear, told: Row, before: Row) -> dict[str, Any]:
    """Put the numbers in the common form; quantiles and drift come from the histograms."""
    found = {}
    for name in (*NUMBERS, *IDS, TIME):
        parts = {part: told.get(f"{part}_{name}") for part in ("nulls", "mean", "std", "min", "max", "distinct")}
        if name == TIME:
            parts |= {part: round(parts[part].timestamp() * 1e6) for part in ("min", "max")}
        found[name] = column(**parts)
    for name in NUMBERS:
        counts, inner = told["histograms"][name], bear.edges(name)
        edges = np.concatenate([[min(told[f"min_{name}"], inner[0])], inner, [max(told[f"max_{name}"], inner[-1])]])
        own = [told[f"q{level}_{name}"] for level in QUANTILES] if bear.form == "one" else None
        found[name] |= {
            "quantiles": own or quantiles(edges, counts),
            "drift": stability(before["histograms"][name], counts),
        }
    for name in TEXTS:
        new, old = told["histograms"][name], before["histograms"][name]
        keys = [key for key in {**old, **new} if key is not None]
        found[name] = column(
            nulls=told[f"nulls_{name}"],
            distinct=len([key for key in new if key is not None]),
            top=sorted(((k, c) for k, c in new.items() if k is not None), key=lambda kc: -kc[1])[:10],
            drift=stability(*(np.array([side.get(key, 0) for key in keys]) for side in (old, new))),
        )
    return found


def main() -> None:
    given = arguments()
    taken, fifth = sizes(given)
    current_frame = pl.from_arrow(loaded(given.current, taken))
    reference_frame = pl.from_arrow(loaded(given.reference, fifth))
    assert isinstance(current_frame, pl.DataFrame) and isinstance(reference_frame, pl.DataFrame)
    bear = Bear(given.form)
    current_frame.lazy().select(pl.col("normal").sum()).collect()
    state: dict[str, Row] = {}

    def reference() -> None:
        bear.learn(reference_frame)
        state["reference"] = bear.profile(reference_frame)

    def current() -> None:
        state["current"] = bear.profile(current_frame)
        state["answers"] = answer(bear, state["current"], state["reference"])

    told = measure({"reference": reference, "current": current}, given.repeats)
    tell(told | ({"answers": state["answers"]} if given.answers else {}))


if __name__ == "__main__":
    main()
