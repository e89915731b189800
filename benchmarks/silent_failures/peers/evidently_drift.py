"""Evidently's drift preset at its defaults on the model's features; the sources of what drifted most are blamed.

A drift report knows no lineage, so its columns are followed up by the same rule as those of `most drifted`.
"""

import numpy as np
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset
from reading import Scene, main


def rank(scene: Scene) -> list[str]:
    """Rank sources by the drift of the features that come from them."""
    rows = scene.table("features")
    if rows is None:
        return []
    rows = rows.drop(columns=[name for name in rows if rows[name].groupby(rows["_during"]).count().min() == 0])
    since = rows["_during"].to_numpy()
    reference, current = (Dataset.from_pandas(rows[part].drop(columns="_during")) for part in (~since, since))
    drift = {}
    for metric in Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]:
        config = metric["config"]
        if config["type"].endswith("ValueDrift"):
            value, limit = float(np.asarray(metric["value"])), float(config["threshold"])
            low = any(word in config["method"] for word in ("p_value", "p-value"))
            drift[config["column"]] = limit - value if low else value / limit
    ordered = sorted(drift, key=lambda name: -drift[name])
    return [subject for column in ordered for subject in scene.told["sources"][column]]


if __name__ == "__main__":
    main(rank)
