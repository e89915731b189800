"""Run in Evidently's environment: the drift preset at its defaults, window by window; one JSON object on stdout.

python evidently_drift.py FOLDER    with reference.parquet and windows.parquet (a column `_window`)
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset

LOWER_IS_DRIFT = ("p_value", "p-value")


def main() -> None:
    """Compare every window with the reference."""
    folder = Path(sys.argv[1])
    windows = pd.read_parquet(folder / "windows.parquet")
    reference = Dataset.from_pandas(pd.read_parquet(folder / "reference.parquet"))
    found = {}
    for key, frame in windows.groupby("_window"):
        current = Dataset.from_pandas(frame.drop(columns="_window"))
        told = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
        found[key] = {}
        for metric in told:
            config = metric["config"]
            if not config["type"].endswith("ValueDrift"):
                continue
            value, limit = float(np.asarray(metric["value"])), float(config["threshold"])
            low = any(word in config["method"] for word in LOWER_IS_DRIFT)
            drifted = value < limit if low else value >= limit
            found[key][config["column"]] = {"method": config["method"], "value": value, "alarm": bool(drifted)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
