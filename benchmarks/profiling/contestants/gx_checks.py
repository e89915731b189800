"""Great Expectations: per column nulls, minimum, maximum, mean, deviation, quantiles or the set of values; no drift."""

from __future__ import annotations

import os

os.environ["GX_ANALYTICS_ENABLED"] = "False"

import great_expectations as gx
import great_expectations.expectations as gxe
from frames import pandas_frame
from measuring import arguments, measure, sizes, tell
from tables import IDS, NUMBERS, TEXTS, TIME

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def expectations(current) -> list:
    wide = {"quantiles": LEVELS, "value_ranges": [[None, 1e300]] * len(LEVELS)}
    found: list = [gxe.ExpectTableRowCountToBeBetween(min_value=1)]
    for name in (*NUMBERS, *IDS, *TEXTS, TIME):
        found.append(gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=0.9))
        found.append(gxe.ExpectColumnUniqueValueCountToBeBetween(column=name, min_value=1))
    for name in (*NUMBERS, *IDS):
        low, high = float(current[name].min()), float(current[name].max())
        found += [
            gxe.ExpectColumnMinToBeBetween(column=name, min_value=low - 1),
            gxe.ExpectColumnMaxToBeBetween(column=name, max_value=high + 1),
            gxe.ExpectColumnMeanToBeBetween(column=name, min_value=low, max_value=high),
            gxe.ExpectColumnStdevToBeBetween(column=name, min_value=0),
            gxe.ExpectColumnQuantileValuesToBeBetween(column=name, quantile_ranges=wide),
        ]
    for name in TEXTS:
        values = sorted(current[name].dropna().unique())
        found.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=values))
    return found


def main() -> None:
    given = arguments()
    rows, _ = sizes(given)
    current = pandas_frame(given.current, rows)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("source")
    batch = source.add_dataframe_asset("current").add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite("profile", expectations=expectations(current))
    state: list = []

    def check() -> None:
        state[:] = [batch.get_batch({"dataframe": current}).validate(suite)]

    told = measure({"current": check}, given.repeats)
    failed = [result for result in state[0].results if (result.exception_info or {}).get("raised_exception")]
    tell(told | {"rows": len(current), "reference_rows": 0, "broken": len(failed)})


if __name__ == "__main__":
    main()
