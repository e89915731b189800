"""Evidently: DataSummaryPreset and DataDriftPreset in one report, its default choices."""

from __future__ import annotations

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset, DataSummaryPreset
from frames import pandas_frame
from measuring import arguments, measure, sizes, tell
from tables import IDS, NUMBERS, TEXTS, TIME


def main() -> None:
    given = arguments()
    rows, fifth = sizes(given)
    current, reference = pandas_frame(given.current, rows), pandas_frame(given.reference, fifth)
    roles = DataDefinition(numerical_columns=[*NUMBERS, *IDS], categorical_columns=list(TEXTS), datetime_columns=[TIME])

    def report() -> None:
        pair = [Dataset.from_pandas(frame, data_definition=roles) for frame in (current, reference)]
        Report([DataSummaryPreset(), DataDriftPreset()]).run(pair[0], pair[1]).dict()

    tell(measure({"both": report}, given.repeats) | {"rows": len(current), "reference_rows": len(reference)})


if __name__ == "__main__":
    main()
