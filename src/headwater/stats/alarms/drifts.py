"""Where a drift began, and from which level to which: what a small lasting shift has to be told with.

The value of the newest window says neither: a shift of a tenth is seen by many windows, not by the last one, and what a
band expects has followed the shift by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SAME_SLOT = 2


@dataclass(frozen=True, slots=True)
class Drift:
    """A lasting shift of a metric.

    Attributes:
        since: The first window of the stretch that is elsewhere.
        level: The mean over the stretch, the newest window among it.
        before: The mean before it, over windows of the same slots where there are enough.
    """

    since: str
    level: float
    before: float


def drift_of(keys: Sequence[str], values: Floats, slots: Sequence[int], length: int, reach: int) -> Drift:
    """Measure a drift over the newest windows against those before them.

    Args:
        keys: Windows, oldest first.
        values: The metric in them, NaN where it was missing.
        slots: Their seasonal slots, as weekdays.
        length: How many of the newest windows are elsewhere.
        reach: How many windows before those say where it was.

    Example:
        >>> drift_of(["a", "b", "c", "d", "e"], np.array([1.0, 1.0, 1.0, 3.0, 3.0]), [0, 1, 0, 1, 0], 2, 10)
        Drift(since='d', level=3.0, before=1.0)
    """
    start = max(len(keys) - length, 1)
    earlier, slot = values[max(0, start - reach) : start], np.array(slots)
    past, known = slot[max(0, start - reach) : start], np.isfinite(earlier)
    whole = float(earlier[known].mean()) if known.any() else np.nan
    usual = []
    for at in range(start, len(keys)):
        same = earlier[known & (past == slot[at])]
        if np.isfinite(values[at]):
            usual.append(float(same.mean()) if len(same) >= _SAME_SLOT else whole)
    return Drift(keys[start], float(np.nanmean(values[start:])), float(np.mean(usual)))
