"""NannyML: drift (Jensen-Shannon), missing and unseen values, mean, deviation and median, in one chunk."""

from __future__ import annotations

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "True"

import nannyml as nml
from frames import pandas_frame
from measuring import arguments, measure, sizes, tell
from tables import IDS, NUMBERS, TEXTS


def main() -> None:
    given = arguments()
    rows, fifth = sizes(given)
    current, reference = pandas_frame(given.current, rows), pandas_frame(given.reference, fifth)
    numbers, texts = [*NUMBERS, *IDS], list(TEXTS)

    def calculators() -> list:
        one = nml.chunk.CountBasedChunker(1)
        return [
            nml.UnivariateDriftCalculator(
                column_names=numbers + texts,
                treat_as_categorical=texts,
                continuous_methods=["jensen_shannon"],
                categorical_methods=["jensen_shannon"],
                chunker=one,
            ),
            nml.MissingValuesCalculator(column_names=numbers + texts, chunker=one),
            nml.UnseenValuesCalculator(column_names=texts, chunker=one),
            nml.SummaryStatsAvgCalculator(column_names=numbers, chunker=one),
            nml.SummaryStatsStdCalculator(column_names=numbers, chunker=one),
            nml.SummaryStatsMedianCalculator(column_names=numbers, chunker=one),
        ]

    state: list = []

    def fit() -> None:
        state[:] = [calculator.fit(reference) for calculator in calculators()]

    def calculate() -> None:
        for calculator in state:
            calculator.calculate(current)

    told = measure({"reference": fit, "current": calculate}, given.repeats)
    tell(told | {"rows": len(current), "reference_rows": len(reference)})


if __name__ == "__main__":
    main()
