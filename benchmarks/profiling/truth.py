"""The exact numbers of the current table, and how far each contestant's answers are from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from profiling.answers import QUANTILES
from profiling.tables import IDS, NUMBERS, TEXTS, loaded


def exact(path: Path) -> dict[str, dict[str, Any]]:
    """Compute the exact numbers once and keep them beside the table."""
    kept = path.with_suffix(".truth.json")
    if kept.exists():
        return json.loads(kept.read_text())
    frame = pl.from_arrow(loaded(path))
    assert isinstance(frame, pl.DataFrame)
    found: dict[str, dict[str, Any]] = {}
    for name in (*NUMBERS, *IDS, *TEXTS):
        present = frame[name].drop_nulls()
        found[name] = {"nulls": frame[name].null_count(), "distinct": present.n_unique()}
        if name in TEXTS:
            continue
        wide = np.sort(present.to_numpy().astype(np.float64))
        found[name] |= {"mean": wide.mean(), "std": wide.std(ddof=1), "min": wide[0], "max": wide[-1]}
        found[name]["ranks"] = [float(value) for value in wide[np.linspace(0, len(wide) - 1, 10_001).astype(int)]]
    kept.write_text(json.dumps(found, default=float))
    return found


def errors(answers: dict[str, dict[str, Any]], truth: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the largest error over the columns: counts, moments, quantiles, distincts.

    Means are in deviations, quantiles in distances of the 5 % from the 95 % one, the rest relative.
    """
    found = {"nulls": 0.0, "min, max": 0.0, "mean": 0.0, "std": 0.0, "quantile": 0.0, "distinct": 0.0}
    for name, true in truth.items():
        told = answers[name]
        found["nulls"] = max(found["nulls"], abs(told["nulls"] - true["nulls"]))
        found["distinct"] = max(found["distinct"], abs(told["distinct"] / true["distinct"] - 1))
        if "mean" not in true:
            continue
        for end in ("min", "max"):
            found["min, max"] = max(found["min, max"], abs(told[end] - true[end]))
        found["mean"] = max(found["mean"], abs(told["mean"] - true["mean"]) / true["std"])
        found["std"] = max(found["std"], abs(told["std"] / true["std"] - 1))
        if "quantiles" in told and name in NUMBERS:
            ranks = np.array(true["ranks"])
            width = ranks[9_500] - ranks[500]
            for level, value in zip(QUANTILES, told["quantiles"], strict=True):
                found["quantile"] = max(found["quantile"], abs(value - ranks[round(level * 10_000)]) / width)
    return found
