"""Since when does a residual lie elsewhere, and is it more than one bad window? An e-process over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.alarms.eprocess import BETS, innovations, mixture, persistence_of, standardise, step

Floats = npt.NDArray[np.float64]

CLEARLY = 0.5
"""Standardised value (inflated, see `standardise`) from which a window counts as raised."""
_MOST = 1e12
_LEAST = 7


@dataclass(frozen=True, slots=True)
class Rise:
    """What an e-process says of a residual's newest windows.

    Attributes:
        evidence: e-value of the mixture e-CUSUM after the newest window; 1 says nothing.
        without: The same without the window that speaks loudest: 1 or less when it was one bad window.
        start: Place of the first window of the change.
        raised: Windows since then that lie clearly on the side of the change.
        windows: Windows since then.
        side: 1 upwards, -1 downwards.
        mean: Mean since then less the usual one, in the residual's own unit.
        usual: What is usual: the median of the reference.
        deviation: Standard deviation of the reference's windows.
    """

    evidence: float
    without: float
    start: int
    raised: int
    windows: int
    side: int
    mean: float
    usual: float
    deviation: float


def rise(reference: Floats, values: Floats, bets: Sequence[float] = BETS) -> Rise | None:
    """Bet on a lasting shift of a residual: how strong is the evidence, and where does it begin?

    Values are standardised by the reference windows, with the variance inflated (see `standardise`), and what a window
    shares with the one before is taken out, so that a storm of two days counts once. The evidence is that of
    `headwater.stats.alarms.eprocess.e_cusum`; the start is where the strongest bet last began anew. It misleads when
    the reference is of another season than the values: a residual such as ``loss - E[loss | p]`` has little season.

    Args:
        reference: One value per accepted window of the past, at least seven.
        values: One value per window since, in order; NaN leaves a window out.
        bets: Sizes of shift that are bet on, see `headwater.stats.alarms.eprocess.BETS` and ``UPWARD``.

    Returns:
        The rise; None when there is too little to compare.

    References:
        Shin, Ramdas, Rinaldo (2023), E-detectors, sec. 2-4.

    Example:
        >>> import numpy as np
        >>> usual = np.tile([-1.0, 0.0, 1.0, 0.5, -0.5], 4)
        >>> found = rise(usual, np.r_[0.0, 0.5, -0.5, np.full(5, 2.5)])
        >>> found.start, found.raised, found.side, found.evidence > 100
        (3, 5, 1, True)
        >>> once = rise(usual, np.array([0.0, 9.0, -0.5]))
        >>> once.raised, once.without < 2
        (1, True)
    """
    usual = reference[np.isfinite(reference)]
    if len(usual) < _LEAST or not len(values):
        return None
    centre, deviation = float(np.median(usual)), float(usual.std(ddof=1))
    if not deviation > 0:
        return None
    persistence = persistence_of(usual - centre)
    before = float(usual[-1]) - centre

    def path_of(series: Floats) -> Floats:
        known = np.isfinite(series)
        fresh = innovations(np.where(known, series, 0.0), before, persistence)
        return _path(np.where(known, standardise(fresh, 0.0, deviation), np.nan), bets)

    off = np.asarray(values - centre, dtype=np.float64)
    path = path_of(off)
    best = int(np.argmax(path[-1]))
    side = 1 if bets[best] > 0 else -1
    begun = np.flatnonzero(path[:, best] <= 1.0)
    start = min(int(begun[-1]) + 1 if len(begun) else 0, len(off) - 1)
    own = off[start:] * side
    quieter = off.copy()
    quieter[start + int(np.argmax(np.nan_to_num(own, nan=-np.inf)))] = np.nan
    there = own[np.isfinite(own)]
    return Rise(
        evidence=min(_MOST, float(mixture(path[-1]))),
        without=min(_MOST, float(path_of(quieter)[-1][np.sign(bets) == side].sum()) / len(bets)),
        start=start,
        raised=int((standardise(there, 0.0, deviation) > CLEARLY).sum()),
        windows=len(there),
        side=side,
        mean=side * float(there.mean()) if len(there) else 0.0,
        usual=centre,
        deviation=deviation,
    )


def _path(unit: Floats, bets: Sequence[float]) -> Floats:
    """Return every bet's e-CUSUM after each window, shape (windows, bets)."""
    state = np.ones(len(bets))
    path = np.empty((len(unit), len(bets)))
    for at, value in enumerate(unit):
        state = step(state, np.asarray(value), bets)
        path[at] = state
    return path
