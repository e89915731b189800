"""DuckDB by hand: an in-memory native table (texts as ENUM), moments, distincts and histograms in as few passes as pay.

Forms: ``separate`` (one query for the moments, one short query per histogram), ``union`` (all histograms in one query),
``one`` (a single statement with histogram and quantile aggregates), ``summarize`` (DuckDB's own SUMMARIZE, and the
histograms), ``same`` (``separate``, with all else that a summary holds: zeros, NaN, infinities, skew, kurtosis and the
most frequent values of numbers). The histograms have 256 cells in every form, where a summary has up to 4096.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
from answers import QUANTILES, column, quantiles, stability
from measuring import arguments, measure, sizes, tell
from tables import IDS, NUMBERS, TEXTS, TIME, loaded

CELLS = 254
REALS = set(NUMBERS) - {"quantity", "day", "minute"}
Row = dict[str, Any]


def fill(connection: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    """Copy an Arrow table into a native one; the texts become ENUMs, whose groups DuckDB counts fastest."""
    connection.register("arriving", table)
    for text in TEXTS:
        values = f"SELECT DISTINCT {text}::VARCHAR FROM arriving WHERE {text} IS NOT NULL ORDER BY 1"
        connection.execute(f"CREATE TYPE {name}_{text} AS ENUM ({values})")
    casts = ", ".join(f"{text}::{name}_{text} AS {text}" for text in TEXTS)
    connection.execute(f"CREATE TABLE {name} AS SELECT * REPLACE ({casts}) FROM arriving")
    connection.unregister("arriving")


class Duck:
    """One connection and the form in which it is asked."""

    def __init__(self, threads: int, form: str) -> None:
        self.connection = duckdb.connect(config={"threads": threads})
        self.form = form or "separate"
        self.grids: dict[str, tuple[float, float]] = {}

    def rows(self, sql: str) -> list[Any]:
        return self.connection.execute(sql).fetchall()

    def learn(self) -> None:
        """Lay each number's cells between the .1 % and 99.9 % quantiles of a sample of the reference."""
        low_high = ", ".join(f"quantile_cont({name}::DOUBLE, [0.001, 0.999])" for name in NUMBERS)
        (found,) = self.rows(f"SELECT {low_high} FROM (FROM reference USING SAMPLE 20000 ROWS)")
        self.grids = {name: (low, (high - low) or 1.0) for name, (low, high) in zip(NUMBERS, found, strict=True)}

    def cell(self, name: str) -> str:
        low, width = self.grids[name]
        return (
            f"least(greatest(({name} - {low!r}::DOUBLE) * {CELLS / width!r}::DOUBLE + 0.5, 0), {CELLS + 1})::UTINYINT"
        )

    def moments(self, table: str) -> Row:
        wanted = ["count(*) AS rows"]
        for name in (*NUMBERS, *IDS):
            wide, middle = f"{name}::DOUBLE", self.grids.get(name, (0.0, 0.0))
            centre = middle[0] + middle[1] / 2
            wanted += [f"min({name}) AS min_{name}", f"max({name}) AS max_{name}", f"sum({wide}) AS sum_{name}"]
            wanted += [f"sum(({wide} - {centre!r}::DOUBLE) * ({wide} - {centre!r}::DOUBLE)) AS square_{name}"]
        wanted += [f"epoch_us(min({TIME})) AS min_{TIME}, epoch_us(max({TIME})) AS max_{TIME}"]
        for name in (*NUMBERS, *IDS, TIME):
            wanted += [f"count({name}) AS count_{name}", f"approx_count_distinct({name}) AS distinct_{name}"]
        if self.form == "same":
            for name in (*NUMBERS, *IDS):
                wide = f"{name}::DOUBLE"
                wanted += [f"skewness({wide}) AS skew_{name}", f"kurtosis_pop({wide}) AS kurtosis_{name}"]
                wanted += [f"approx_top_k({name}, 10) AS top_{name}", f"count_if({name} = 0) AS zeros_{name}"]
                if name in REALS:
                    wanted += [f"count_if(isnan({name})) AS nan_{name}", f"count_if(isinf({name})) AS inf_{name}"]
        if self.form == "one":
            for name in NUMBERS:
                levels = ", ".join(str(level) for level in QUANTILES)
                wanted += [
                    f"approx_quantile({name}, [{levels}]) AS q_{name}",
                    f"histogram({self.cell(name)}) AS h_{name}",
                ]
            wanted += [f"histogram({name}) AS h_{name}" for name in TEXTS]
        cursor = self.connection.execute(f"SELECT {', '.join(wanted)} FROM {table}")
        return dict(zip([about[0] for about in cursor.description], cursor.fetchone(), strict=True))

    def summarized(self, table: str) -> Row:
        found: Row = {}
        for row in self.rows(
            f"SELECT column_name, min, max, approx_unique, avg, std, count, null_percentage FROM (SUMMARIZE {table})"
        ):
            name, low, high, distinct, mean, std, count, nulls = row
            found |= {"rows": count, f"distinct_{name}": distinct}
            found[f"count_{name}"] = round(count * (1 - float(nulls) / 100))
            if name in NUMBERS or name in IDS:
                found |= {f"min_{name}": float(low), f"max_{name}": float(high)}
                found |= {f"mean_{name}": float(mean), f"std_{name}": float(std)}
        return found

    def histograms(self, table: str) -> dict[str, dict[Any, int]]:
        queries = {name: f"SELECT {self.cell(name)} AS cell, count(*) FROM {table} GROUP BY cell" for name in NUMBERS}
        queries |= {name: f"SELECT {name} AS cell, count(*) FROM {table} GROUP BY cell" for name in TEXTS}
        if self.form == "union":
            found: dict[str, dict[Any, int]] = {name: {} for name in queries}
            parts = [
                f"SELECT '{name}', * FROM (SELECT cell::VARCHAR, n FROM ({query}) AS t(cell, n))"
                for name, query in queries.items()
            ]
            for name, cell, count in self.rows(" UNION ALL ".join(parts)):
                found[name][int(cell) if cell is not None and name in NUMBERS else cell] = count
            return found
        return {name: dict(self.rows(query)) for name, query in queries.items()}

    def profile(self, table: str) -> Row:
        told = self.summarized(table) if self.form == "summarize" else self.moments(table)
        if self.form == "one":
            told["histograms"] = {name: told.pop(f"h_{name}") for name in (*NUMBERS, *TEXTS)}
        else:
            told["histograms"] = self.histograms(table)
        return told


def answer(duck: Duck, told: Row, before: Row) -> dict[str, Any]:
    """Finish the numbers outside SQL: moments from sums, quantiles and drift from histograms."""
    found = {}
    for name in (*NUMBERS, *IDS, TIME):
        count = told[f"count_{name}"]
        mean, std = told.get(f"mean_{name}"), told.get(f"std_{name}")
        if f"sum_{name}" in told:
            low, width = duck.grids.get(name, (0.0, 0.0))
            mean = told[f"sum_{name}"] / count
            std = ((told[f"square_{name}"] - count * (mean - low - width / 2) ** 2) / (count - 1)) ** 0.5
        found[name] = column(
            nulls=told["rows"] - count,
            mean=mean,
            std=std,
            distinct=told[f"distinct_{name}"],
            min=told.get(f"min_{name}"),
            max=told.get(f"max_{name}"),
        )
    for name in NUMBERS:
        low, width = duck.grids[name]
        counts, old = (
            np.array([side["histograms"][name].get(cell, 0) for cell in range(CELLS + 2)], float)
            for side in (told, before)
        )
        # DuckDB's least and greatest pass over nulls, which thereby land in the lowest cell.
        for side, cells in ((told, counts), (before, old)):
            cells[0] -= side["rows"] - side[f"count_{name}"]
        inner = low + width * np.arange(CELLS + 1) / CELLS
        edges = np.concatenate([[min(told[f"min_{name}"], low)], inner, [max(told[f"max_{name}"], inner[-1])]])
        found[name] |= {"quantiles": told.get(f"q_{name}") or quantiles(edges, counts), "drift": stability(old, counts)}
    for name in TEXTS:
        new, old = told["histograms"][name], before["histograms"][name]
        keys = [key for key in {**old, **new} if key is not None]
        present = sum(count for key, count in new.items() if key is not None)
        found[name] = column(
            nulls=told["rows"] - present,
            distinct=len([key for key in new if key is not None]),
            top=sorted(((k, c) for k, c in new.items() if k is not None), key=lambda kc: -kc[1])[:10],
            drift=stability(*(np.array([side.get(key, 0) for key in keys]) for side in (old, new))),
        )
    return found


def main() -> None:
    given = arguments()
    duck = Duck(given.threads, given.form)
    for name, path, rows in zip(("current", "reference"), (given.current, given.reference), sizes(given), strict=True):
        fill(duck.connection, name, loaded(path, rows))
    duck.rows("SELECT count(normal), sum(normal) FROM current")
    state: dict[str, Row] = {}

    def reference() -> None:
        duck.learn()
        state["reference"] = duck.profile("reference")

    def current() -> None:
        state["current"] = duck.profile("current")
        state["answers"] = answer(duck, state["current"], state["reference"])

    told = measure({"reference": reference, "current": current}, given.repeats)
    tell(told | ({"answers": state["answers"]} if given.answers else {}))


if __name__ == "__main__":
    main()
