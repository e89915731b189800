"""e-processes: evidence against "nothing changed" that may be looked at after every window.

The window, not the row, is the unit: rows of one window share their weather, so tests that take them as independent
alarm on most clean days.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BETS: tuple[float, ...] = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
UPWARD: tuple[float, ...] = (0.25, 0.5, 1.0)
STEEP: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Upward bets that also pay within a few windows when a shift is large and comes at once, as one of outcomes does."""
CLIP = 4.0
INFLATION = 1.5


def standardise(values: Floats, mean: Floats | float, deviation: Floats | float) -> Floats:
    """Return ``(x - mean) / sd`` with the variance inflated by half and the result clipped at +-4.

    The inflation pays for a mean and sd estimated from history and for tails heavier than normal.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = (values - mean) / (np.asarray(deviation) * np.sqrt(INFLATION))
    clipped: Floats = np.clip(unit, -CLIP, CLIP)
    return clipped


def innovations(deviations: Floats, before: float, persistence: float) -> Floats:
    """Return what each deviation adds to what the one before leads to expect, in units of an unpredicted deviation.

    A storm lasts for days; without this its second day would count as news again.

    Args:
        deviations: Deviations from the mean, in order.
        before: The deviation before the first; 0 when unknown.
        persistence: Lag-one autocorrelation, see `persistence_of`.
    """
    earlier = np.concatenate([[before], deviations[:-1]])
    fresh: Floats = (deviations - persistence * earlier) / np.sqrt(1 - persistence**2)
    return fresh


def persistence_of(deviations: Floats, cap: float = 0.3) -> float:
    """Estimate the lag-one autocorrelation, between 0 and ``cap``: more would also swallow a lasting shift."""
    if len(deviations) < 3:
        return 0.0
    scale = float((deviations**2).mean())
    return min(cap, max(0.0, float((deviations[1:] * deviations[:-1]).mean()) / scale)) if scale > 0 else 0.0


def step(state: Floats, unit: Floats, bets: Sequence[float] = BETS) -> Floats:
    """Advance every bet's e-CUSUM by one window: ``M <- max(M, 1) exp(l u - l^2 / 2)``.

    Args:
        state: One row per bet, shape (bets, streams) or (bets,).
        unit: Standardised values of the window, shape (streams,) or a scalar; NaN leaves a stream as it is.
        bets: The sizes ``l`` of shift that are bet on.

    Returns:
        The new state, of the same shape.
    """
    size = np.asarray(bets, dtype=np.float64).reshape((-1, *([1] * (np.ndim(state) - 1))))
    known = np.isfinite(unit)
    factor = np.exp(size * np.where(known, unit, 0.0) - size**2 / 2)
    return np.where(known, np.maximum(state, 1.0) * factor, state)


def ages(before: Floats, age: Floats, unit: Floats) -> Floats:
    """Return for how many windows, this one too, each bet has run since evidence last began at nothing.

    Args:
        before: The state before `step`.
        age: The ages before it; zeros at first.
        unit: See `step`.
    """
    fresh: Floats = np.where(np.isfinite(unit) & (before <= 1.0), 1.0, age + 1.0)
    return fresh


def run(unit: Floats, starts: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Run the e-CUSUM over windows that are past.

    Args:
        unit: Standardised values, shape (windows, streams).
        starts: By stream, the window before which evidence is dropped: what it told of is known.

    Returns:
        The state and its ages after the last window, see `step` and `ages`, and the `mixture` after each window.
    """
    state, age, path = np.ones((len(BETS), unit.shape[1])), np.zeros((len(BETS), unit.shape[1])), np.ones(unit.shape)
    for at in range(len(unit) + 1):
        state, age = np.where(starts == at, 1.0, state), np.where(starts == at, 0.0, age)
        if at < len(unit):
            age = ages(state, age, unit[at])
            state = step(state, unit[at])
            path[at] = mixture(state)
    return state, age, path


def mixture(state: Floats) -> Floats:
    """Return the evidence of all bets together: their mean."""
    return np.asarray(state.mean(axis=0))


def e_cusum(unit: Floats, bets: Sequence[float] = BETS) -> Floats:
    """Run the window-level mixture e-CUSUM over standardised values.

    When each ``exp(l u - l^2/2)`` has mean at most 1 under no change, an alarm at ``M >= c`` gives an average run
    length of at least ``c`` windows. It misleads when the values are strongly autocorrelated: verify on replayed
    history (`replayed_threshold`).

    Args:
        unit: Shape (windows,) or (windows, streams); see `standardise`.
        bets: `UPWARD` for a one-sided test.

    Returns:
        Evidence after each window, shape of ``unit``.

    References:
        Shin, Ramdas, Rinaldo (2023), E-detectors: a nonparametric framework for sequential change detection, sec. 2-4.

    Example:
        >>> import numpy as np
        >>> bool(e_cusum(np.r_[np.zeros(20), np.full(12, 2.0)])[-1] > 1000)
        True
    """
    state = np.ones((len(bets), *np.shape(unit)[1:]))
    path = np.empty(np.shape(unit), dtype=np.float64)
    for at, row in enumerate(unit):
        state = step(state, row, bets)
        path[at] = mixture(state)
    return path


def alarms(unit: Floats, threshold: float, bets: Sequence[float] = BETS) -> int:
    """Count the alarms of one stream, starting afresh after each."""
    state, count = np.ones(len(bets)), 0
    for value in unit:
        state = step(state, np.asarray(value), bets)
        if mixture(state) >= threshold:
            state, count = np.ones(len(bets)), count + 1
    return count


def threshold_for(run_length: float) -> float:
    """Return the threshold that promises an average run length of at least ``run_length`` windows."""
    return max(1.0, float(run_length))


def replayed_threshold(unit: Floats, run_length: float, bets: Sequence[float] = BETS) -> float:
    """Raise the promised threshold until clean history, replayed, alarms no more often than it should.

    Args:
        unit: Standardised values of clean windows, shape (windows,).
        run_length: Wanted windows between false alarms.
        bets: The bets of the detector.

    Returns:
        The threshold; at least `threshold_for`, at most a million times that.
    """
    wanted = threshold_for(run_length)
    threshold, allowed = wanted, len(unit) / run_length
    while alarms(unit, threshold, bets) > allowed and threshold < wanted * 1e6:
        threshold *= 2
    return threshold


def e_bh(evidence: Floats, level: float = 0.05) -> npt.NDArray[np.bool_]:
    """Choose among many streams with the false discovery rate below ``level``, whatever their dependence.

    Args:
        evidence: e-values, shape (streams,).
        level: Wanted false discovery rate.

    Returns:
        Which streams are discoveries.

    References:
        Wang, Ramdas (2022), False discovery rate control with e-values, JRSS B 84(3), sec. 4.

    Example:
        >>> import numpy as np
        >>> e_bh(np.array([1000.0, 0.5, 30.0, 1.0])).tolist()
        [True, False, False, False]
    """
    values = np.nan_to_num(np.asarray(evidence, dtype=np.float64), nan=0.0, posinf=np.finfo(np.float64).max)
    order = np.argsort(-values, kind="stable")
    rank = np.arange(1, len(values) + 1)
    passed = np.flatnonzero(rank * values[order] >= len(values) / level)
    chosen = np.zeros(len(values), dtype=bool)
    if len(passed):
        chosen[order[: passed[-1] + 1]] = True
    return chosen
