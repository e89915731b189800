"""What each contestant found, in one form, so that the runner can compare it with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def stability(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index of two histograms on the same cells (half a row is added to each cell)."""
    old, new = (np.asarray(counts, float) + 0.5 for counts in (reference, current))
    old, new = old / old.sum(), new / new.sum()
    return float(((new - old) * np.log(new / old)).sum())


def quantiles(edges: np.ndarray, counts: np.ndarray) -> list[float]:
    """Read quantiles off a histogram, linearly inside a cell."""
    total = np.concatenate([[0.0], np.cumsum(counts, dtype=float)])
    return [float(value) for value in np.interp(np.array(QUANTILES) * total[-1], total, edges)]


def column(**found: Any) -> dict[str, Any]:
    """Name what was found for one column; what a tool does not give is left out."""
    return {name: value for name, value in found.items() if value is not None}
