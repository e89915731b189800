"""How much a number of rows scatters by chance alone: few rows come and stay away in any number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CHANCE = 4.2
"""Standard deviations of a Poisson count, on Anscombe's scale, within which it is no finding."""
_EVEN = 0.25
_LEAST = 3


def scattered(counts: Floats, expected: Floats) -> bool:
    """Tell whether counts vary about as much as independent rows would make them, or more.

    A sensor that sends 24 rows every day does not, and one row less is news there. It misleads when what was expected
    is far off: counts that follow a season nobody has learned yet seem to scatter.

    Args:
        counts: Rows of past windows; NaN where unknown.
        expected: What was expected of each.

    Example:
        >>> import numpy as np
        >>> few = np.random.default_rng(0).poisson(4.0, 60)
        >>> scattered(few, np.full(60, 4.0)), scattered(np.full(60, 24.0), np.full(60, 24.0))
        (True, False)
    """
    known = np.isfinite(counts) & np.isfinite(expected)
    if known.sum() < _LEAST:
        return True
    off = (counts[known] - expected[known]) ** 2 / np.maximum(expected[known], 0.5)
    return float(off.mean()) >= _EVEN


def by_chance(count: float, expected: float) -> bool:
    """Tell whether chance alone may give a count where so many rows are expected.

    By the root of a Poisson count, whose deviation hardly depends on its mean; in the lower tail, where that is least
    exact, no rows where 6.9 are expected still pass, which happens to one window in 1000.

    References:
        Anscombe (1948), The transformation of Poisson, binomial and negative-binomial data, Biometrika 35.

    Example:
        >>> by_chance(0, 6.0), by_chance(0, 8.0), by_chance(12, 5.0), by_chance(25, 5.0)
        (True, False, True, False)
    """
    return abs(_root(count) - _root(expected)) <= CHANCE


def least_width(expected: float, upwards: bool) -> float:
    """Return the half of the way, in logarithms of 1 + rows, that chance may take a count on one side.

    Where even no rows are chance it is a little more than half of the way there, so that no count below is a finding.
    """
    edge = _root(expected) + (CHANCE if upwards else -CHANCE)
    if edge <= _root(0.0):
        return 0.5001 * float(np.log1p(expected))
    return 0.5 * abs(float(np.log1p((edge / 2) ** 2 - 0.375)) - float(np.log1p(expected)))


def _root(count: float) -> float:
    return 2 * float(np.sqrt(max(count, 0.0) + 0.375))
