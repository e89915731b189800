"""Did the inputs change, or what follows from them? The change of a loss split into a covariate and a concept part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.estimates.encoding import Codes
from headwater.stats.estimates.pape import effective
from headwater.stats.outcomes.intervals import Interval, t_quantile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_SWEEPS = 12
_DAMPING = 0.7  # columns depend on each other: full steps overshoot
_RIDGE = 5.0  # rows' worth of belief, per cell, that it is as frequent as before
_CLIP = 0.02
_INFLATION = 1.5


@dataclass(frozen=True, slots=True)
class Split:
    """The change of a mean from earlier to recent windows, in two parts that add up; 95 % over windows.

    Attributes:
        total: Recent less earlier.
        covariate: What comes of other inputs: earlier to shared, and shared to recent.
        concept: What follows from the same, shared inputs, recent less earlier.
        earlier: Effective share of the earlier rows that the shared inputs stand on.
        recent: The same of the recent rows: near 0 where their inputs had never been seen.
    """

    total: Interval
    covariate: Interval
    concept: Interval
    earlier: float
    recent: float


def membership(codes: Codes, sizes: Sequence[int], recent: npt.NDArray[np.bool_]) -> Floats:
    """Return how probable it is, by its inputs alone, that a row is of the recent windows, both counted alike.

    Additive logistic regression on the cells of each column, by Newton steps a column at a time, with a ridge. It
    misleads when only the dependence between columns changed.

    Args:
        codes: Cell of each row and column.
        sizes: Cells of each column.
        recent: Which rows are of the recent windows.

    References:
        Sugiyama, Suzuki, Kanamori (2012), Density Ratio Estimation in Machine Learning, ch. 3.

    Example:
        >>> import numpy as np
        >>> cells, new = np.repeat([0, 0, 1, 1], 100)[:, None], np.tile([False, False, False, True], 100)
        >>> np.unique(membership(cells, [2], new).round(1)).tolist()
        [0.5]
    """
    count, new = len(recent), int(recent.sum())
    if not 0 < new < count:
        return np.full(count, 0.5)
    heavy = np.where(recent, count / (2 * new), count / (2 * (count - new)))
    # Of two very unequal sides the smaller says how much is known.
    heavy *= 2 * min(new, count - new) / count
    columns = [np.ascontiguousarray(codes[:, at]) for at in range(codes.shape[1])]
    lean = np.zeros(count)
    effects = [np.zeros(size) for size in sizes]
    target = recent.astype(np.float64)
    for _ in range(_SWEEPS):
        for at, (column, size) in enumerate(zip(columns, sizes, strict=True)):
            chance = 1 / (1 + np.exp(-lean))
            slope = np.bincount(column, heavy * (target - chance), size) - _RIDGE / 4 * effects[at]
            bend = np.bincount(column, heavy * chance * (1 - chance), size) + _RIDGE / 4
            change = np.clip(_DAMPING * slope / bend, -2.0, 2.0)
            effects[at] += change
            lean = np.clip(lean + change[column], -8.0, 8.0)
    return np.asarray(1 / (1 + np.exp(-lean)))


def split(residual: Floats, known: Floats, chance: Floats, windows: Ints, recent: npt.NDArray[np.bool_]) -> Split:
    """Split the change of a mean loss into what moved with the inputs and what moved given them (DISDE).

    Both sides are weighted to the inputs that they share (density proportional to ``pq / (p + q)``), where they can be
    compared without looking at rows that only one of them has. The part of the loss that follows from the inputs alone
    (``known``, say ``E[loss | p]``) cancels there and is left out of the concept part, which makes it sharper. The
    error counts windows, not rows: the spread of the recent ones, too few to tell it by themselves, is taken together
    with that of the earlier ones, inflated by half.

    It misleads when what moved is not among the inputs (then it is called concept), and when the sides share almost
    nothing: see `Split.recent`.

    Args:
        residual: Loss of each row less ``known``.
        known: What the inputs alone say of the loss; zeros if nothing.
        chance: Of each row, see `membership`.
        windows: Window of each row, numbered from 0.
        recent: Which rows are of the recent windows.

    References:
        Cai, Namkoong, Yadlowsky (2023), Diagnosing model performance under distribution shift, sec. 2 and 3.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> window, x = np.repeat(np.arange(40), 100), random.random(4000)
        >>> new = window >= 30
        >>> loss = x + 0.5 * new + random.normal(0, 0.1, 4000)
        >>> found = split(loss, np.zeros(4000), np.full(4000, 0.5), window, new)
        >>> round(found.concept.value, 1), round(found.covariate.value, 1)
        (0.5, 0.0)
    """
    loss = residual + known
    plain = np.ones(len(loss))
    shared = np.where(recent, 1 - chance, chance)
    shared = np.clip(shared, _CLIP, 1.0)
    total = _change(loss, plain, windows, recent)
    concept = _change(residual, shared, windows, recent)
    covariate = _apart(loss, residual, shared, windows, recent, total.value - concept.value)
    return Split(total, covariate, concept, effective(shared[~recent]), effective(shared[recent]))


def _change(values: Floats, weight: Floats, windows: Ints, recent: npt.NDArray[np.bool_]) -> Interval:
    """Bound the difference of two weighted means, windows as blocks."""
    sides = [_side(values, weight, windows, side) for side in (~recent, recent)]
    return _bounded(sides[1][0] - sides[0][0], [side[1] for side in sides])


def _apart(
    loss: Floats, residual: Floats, shared: Floats, windows: Ints, recent: npt.NDArray[np.bool_], value: float
) -> Interval:
    """Bound the rest of the change: each window's part in the total less its part in the concept."""
    blocks = []
    for side in (~recent, recent):
        whole = _side(loss, np.ones(len(loss)), windows, side)[1]
        inner = _side(residual, shared, windows, side)[1]
        blocks.append(whole - inner)
    return _bounded(value, blocks)


def _side(values: Floats, weight: Floats, windows: Ints, side: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """Return a weighted mean and each window's part in its error."""
    value, heavy = values[side], weight[side]
    _, at = np.unique(windows[side], return_inverse=True)
    whole = float(heavy.sum())
    mean = float((value * heavy).sum()) / whole if whole > 0 else math.nan
    return mean, np.bincount(at, heavy * (value - mean)) / max(whole, 1e-12)


def _bounded(value: float, blocks: Sequence[Floats]) -> Interval:
    """Bound a difference by the spread of windows, as if both sides' windows spread alike."""
    counts = [len(block) for block in blocks]
    degrees = sum(counts) - len(blocks)
    if degrees < 1 or min(counts) < 1:
        return Interval(value, -math.inf, math.inf)
    # A part is about (window mean - mean) / windows: times the number of windows it is on the scale of one window.
    spread = sum(float(((block * count) ** 2).sum()) for block, count in zip(blocks, counts, strict=True)) / degrees
    error = math.sqrt(_INFLATION * spread * sum(1 / count for count in counts))
    half = t_quantile(0.975, degrees) * error
    return Interval(value, value - half, value + half)
