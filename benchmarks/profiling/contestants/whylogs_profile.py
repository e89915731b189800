"""whylogs: profiles of both tables (counts, moments, KLL quantiles, distincts, frequent items), no drift."""

from __future__ import annotations

import os

os.environ["WHYLOGS_NO_ANALYTICS"] = "True"

import whylogs
from frames import pandas_frame
from measuring import arguments, measure, sizes, tell


def main() -> None:
    given = arguments()
    rows, fifth = sizes(given)
    current, reference = pandas_frame(given.current, rows), pandas_frame(given.reference, fifth)
    steps = {
        "reference": lambda: whylogs.log(pandas=reference).view().to_pandas(),
        "current": lambda: whylogs.log(pandas=current).view().to_pandas(),
    }
    tell(measure(steps, given.repeats) | {"rows": len(current), "reference_rows": len(reference)})


if __name__ == "__main__":
    main()
