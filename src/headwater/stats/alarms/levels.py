"""Has the level of any of many series changed? Each against its own past, window by window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headwater.stats.alarms.eprocess import BETS, e_cusum, innovations, persistence_of, standardise

Floats = npt.NDArray[np.float64]

WARM = 28
"""Windows to learn from before anything is said; with the newest ones, which are not learned from, `READY`."""
READY = 35
_HELD_BACK = 28  # at most so many of the newest windows do not set the scale they are measured by
_MOST_PERSISTENT = 0.9


def changed_levels(values: Floats, errors: Floats, sound: npt.NDArray[np.bool_], since: int) -> tuple[Floats, Floats]:
    """Return each series' e-value for a change of its level after the newest window, and what is usual.

    A mixture e-CUSUM of both signs over deviations from the median of the windows learned from, in units of their
    standard deviation, or of the window's standard error where that is larger, after what the window before leads to
    expect. How much that is say the windows learned from, so that a lasting shift does not explain itself. Alarming at
    1000 times the number of series gives an average of at least 1000 windows between false alarms where that holds; it
    misleads for a trend or a season, which are changes of level too.

    Args:
        values: Shape (windows, series), the newest window last; NaN where a series says nothing.
        errors: Their standard errors; NaN or 0 where unknown.
        sound: Which of the windows before the newest may be learned from.
        since: The first window after the last alarm.

    Returns:
        e-values and usual levels, shape (series,); NaN for a series with fewer than `READY` sound windows.

    References:
        Shin, Ramdas, Rinaldo (2023), E-detectors, sec. 2-4.

    Example:
        >>> import numpy as np
        >>> quiet = np.random.default_rng(0).normal(size=(80, 1))
        >>> moved = quiet + 3 * (np.arange(80) >= 70)[:, None]
        >>> sound = np.ones(79, dtype=bool)
        >>> [bool(changed_levels(series, quiet * 0, sound, 0)[0][0] > 1000) for series in (quiet, moved)]
        [False, True]
    """
    reference = values[:-1][sound]
    told, usual = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    ready = np.flatnonzero((np.isfinite(reference).sum(axis=0) >= READY) & np.isfinite(values[-1]))
    path = np.full((len(values) - since, len(ready)), np.nan)
    for place, at in enumerate(ready):
        known = reference[np.isfinite(reference[:, at]), at]
        learned = known[: -min(_HELD_BACK, len(known) - WARM)]
        usual[at], spread = float(np.median(learned)), float(learned.std(ddof=1))
        there = np.isfinite(values[since:, at])
        series, error = values[since:, at][there] - usual[at], np.nan_to_num(errors[since:, at][there])
        fresh = innovations(series, 0.0, _persistence(learned - usual[at]))
        path[there, place] = standardise(fresh, 0.0, np.maximum(max(spread, 1e-9), error))
    if len(ready):
        told[ready] = e_cusum(path, BETS)[-1]
    return told, usual


def _persistence(deviations: Floats) -> float:
    """Estimate the lag-one autocorrelation of windows learned from, without the bias that few windows give it.

    References:
        Kendall (1954), Note on bias in the estimation of autocorrelation, Biometrika 41.
    """
    seen = persistence_of(deviations, _MOST_PERSISTENT)
    return min(_MOST_PERSISTENT, seen + (1 + 3 * seen) / len(deviations)) if seen > 0 else 0.0
