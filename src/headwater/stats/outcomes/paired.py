"""Is one version worse than another on the same rows? Windows as the unit, and a difference that matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headwater.stats.outcomes.intervals import t_interval

FEWEST = 3
"""Windows without which nothing is said."""
WORSE = 0.03
"""How much greater than the other's the loss must be, as a share of it: versions that differ by their seed alone differ
by less."""
TRIAL_SURE, TRIAL_WORSE = 0.99, 0.04
"""Confidence and share where one look is taken at windows that a gate has looked at before."""


def worse(gaps: Sequence[float] | npt.NDArray[np.float64], base: float, *, tried: bool = False) -> bool:
    """Tell whether a version loses more than another, beyond what windows vary and by enough to matter.

    It misleads where one of them was trained on these windows.

    Args:
        gaps: Mean loss of the version less that of the other, by window.
        base: Mean loss of the other.
        tried: Whether the windows are of before the version served: then more is asked.

    Example:
        >>> worse([0.05, 0.04, 0.06], 0.5), worse([0.05, -0.04, 0.06], 0.5), worse([0.005, 0.004, 0.006], 0.5)
        (True, False, False)
    """
    sure, share = (TRIAL_SURE, TRIAL_WORSE) if tried else (0.95, WORSE)
    found = t_interval(gaps, sure)
    return len(gaps) >= FEWEST and found.low > 0 and found.value >= share * base
