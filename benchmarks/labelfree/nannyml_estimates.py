"""NannyML's estimates of the same windows, run in its own environment: ``python nannyml_estimates.py SPEC.json``.

The spec lists tables (Parquet, with columns ``_window``, ``_y``, ``_p``, ``_d`` and the features) and for each how many
of its first windows are the reference. Prints one JSON object: table, metric, window -> value, low, high; or seconds.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
BINARY = ["accuracy", "precision", "recall", "f1"]
NUMBERS = ["mae", "rmse"]


def estimator(nannyml, task: str, features: list[str], size: int | None = None):
    """Build what estimates a task; chunks are windows, or ``size`` rows."""
    chunks = {"chunk_size": size} if size else {"chunk_period": "D", "timestamp_column_name": "_time"}
    if task == "binary":
        return nannyml.CBPE(
            problem_type="classification_binary", y_pred_proba="_p", y_pred="_d", y_true="_y", metrics=BINARY, **chunks
        )
    return nannyml.DLE(feature_column_names=features, y_pred="_p", y_true="_y", metrics=NUMBERS, **chunks)


def estimates(spec: dict) -> dict:
    """Fit on the reference windows and estimate all others."""
    import nannyml
    import pandas

    frame = pandas.read_parquet(spec["path"])
    features = [name for name in frame.columns if not name.startswith("_")]
    for name in features:
        if frame[name].dtype == object or str(frame[name].dtype).startswith(("large_string", "string")):
            frame[name] = frame[name].astype("category")
    names = list(dict.fromkeys(frame["_window"]))
    # one day per window, so that windows are its chunks whatever their length
    days = {name: pandas.Timestamp("2000-01-01") + pandas.Timedelta(days=at) for at, name in enumerate(names)}
    frame["_time"] = frame["_window"].map(days)
    if spec["task"] == "binary":
        frame["_y"], frame["_d"] = frame["_y"].astype(int), frame["_d"].astype(int)
    early = frame[frame["_window"].isin(spec["reference"])]
    found = estimator(nannyml, spec["task"], features).fit(early).estimate(frame[frame["_window"].isin(spec["scored"])])
    table = found.filter(period="analysis").to_df()
    keys = [names[(day - pandas.Timestamp("2000-01-01")).days] for day in table[("chunk", "start_date")].dt.normalize()]
    metrics = BINARY if spec["task"] == "binary" else NUMBERS
    return {
        metric: {
            key: [float(table[(metric, part)].iloc[at]) for part in
                  ("value", "lower_confidence_boundary", "upper_confidence_boundary")]
            for at, key in enumerate(keys)
        }
        for metric in metrics
    }  # fmt: skip


def seconds(spec: dict) -> float:
    """Seconds to estimate 10 chunks, after fitting on as many rows."""
    import nannyml
    import pandas

    frame = pandas.read_parquet(spec["path"])
    frame["_d"], frame["_y"] = frame["_d"].astype(int), frame["_y"].astype(int)
    half = len(frame) // 2
    made = estimator(nannyml, "binary", [], size=half // 10).fit(frame.iloc[:half])
    later = frame.iloc[half:].reset_index(drop=True).drop(columns="_y")
    start = time.perf_counter()
    made.estimate(later)
    return time.perf_counter() - start


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    if "speed" in asked:
        print(json.dumps({"seconds": seconds(asked["speed"])}))
    else:
        print(json.dumps({name: estimates(spec) for name, spec in asked.items()}))
