"""Two components in one column: where they part, and whether one is the other times a factor.

Everything here works on sizes, log10 |x|, so that a factor is a shift. Zeros, nulls and endless values have no size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from headwater.stats.signatures.views import Floats

STEP = 0.04
_SHARES = np.array([0.06, 0.1, 0.15, 0.2, 0.28, 0.36, 0.45, 0.55, 0.65])
_DECILES = np.linspace(0.1, 0.9, 9)
_INSIDE = 0.01


def sizes_of(values: Floats, most: int = 4000) -> Floats:
    """Return log10 |x| of the values that have a size, thinned evenly to about so many."""
    values = values[:: max(1, len(values) // most)]
    values = np.abs(values[np.isfinite(values) & (values != 0)])
    return cast(Floats, np.log10(values))


def sparsest(sizes: Floats, least: float) -> list[tuple[float, float]]:
    """Return where sorted sizes part into two groups, the widest gap first, each as place and width.

    A gap may hold 1 % of the values, and at least a share ``least`` of them lies on either side.
    """
    count = len(sizes)
    inside = int(_INSIDE * count) + 1
    first, last = max(3, int(least * count)), count - max(3, int(least * count)) - inside
    if last <= first:
        return []
    widths = sizes[first + inside : last + inside] - sizes[first:last]
    found: list[tuple[float, float]] = []
    for place in np.argsort(-widths, kind="stable")[: 5 * inside]:
        middle = float(sizes[first + place] + sizes[first + place + inside]) / 2
        if all(abs(middle - one) > width for one, width in found):
            found.append((middle, float(widths[place])))
    return found[:2]


def unlike(one: Floats, other: Floats) -> float:
    """Return how far two samples' deciles lie apart, in units of the second one's spread plus what chance allows.

    About 1 and below for two samples of one distribution; it says little below ten values a side.
    """
    here, there = np.quantile(one, _DECILES), np.quantile(other, _DECILES)
    spread = max(float(there[-1] - there[0]), 1e-3 * float(np.abs(there).max()), 1e-12)
    chance = 0.12 + 1.2 * np.sqrt(1 / len(one) + 1 / len(other))
    return float(np.abs(here - there).max() / (spread * chance))


@dataclass(frozen=True)
class Blend:
    """A column that looks like its accepted windows with a share of the rows multiplied.

    Attributes:
        factor: What those rows were multiplied by.
        share: Which share of the rows that have a size.
        before: Distance from the accepted windows, in the largest that one of them keeps from the others.
        after: The same once the factor and share are allowed for.
        gain: What that explains, in the most that it ever explains of an accepted window.
        moved: The distance that is left when all rows are moved and stretched alike, as the world does it.
    """

    factor: float
    share: float
    before: float
    after: float
    gain: float
    moved: float


def blended(sizes: Floats, history: Sequence[Floats], factors: Floats) -> Blend | None:
    """Fit ``(1 - s) P(x) + s P(x / f)`` to a column's sizes; None when there is too little to say.

    The distance is Kolmogorov's, of the present from the pooled accepted windows. What it is in one of those, and what
    a mixture explains there, is the null: rows say nothing of how much windows vary. It misleads when the world adds a
    second population that happens to lie a factor away.

    Args:
        sizes: log10 |x| now.
        history: The same of at least five accepted windows.
        factors: The factors to try.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> days = [rng.normal(0, 0.3, 500) for _ in range(20)]
        >>> now = rng.normal(0, 0.3, 500) + 2 * (rng.random(500) < 0.3)
        >>> found = blended(now, days, np.array([0.01, 10, 100, 1000]))
        >>> found.factor, found.share
        (100.0, 0.28)
    """
    history = [one for one in history if len(one) >= 5]
    if len(history) < 5 or len(sizes) < 20:
        return None
    low = min(float(one.min()) for one in (*history, sizes)) - STEP
    high = max(float(one.max()) for one in (*history, sizes)) + STEP
    edges = np.linspace(low, high, min(400, int((high - low) / STEP) + 2))
    counts = np.array([_counts(one, edges) for one in history])
    total = counts / counts.sum(axis=1, keepdims=True)
    fits = [_fit(row, (total.sum(axis=0) - row) / (len(total) - 1), edges, factors) for row in total]
    most = max(max(one[0] for one in fits), 0.02)
    explained = max(max(one[0] - one[1] for one in fits), 0.02)
    now = _counts(sizes, edges)
    before, after, factor, share = _fit(now / now.sum(), total.mean(axis=0), edges, factors)
    moved = _moved(now / now.sum(), total.mean(axis=0), edges)
    return Blend(factor, share, before / most, after / most, (before - after) / explained, moved / most)


def _moved(now: Floats, usual: Floats, edges: Floats) -> float:
    """Return the distance left when the usual sizes are moved and stretched about their middle at will."""
    one, other = np.cumsum(now), np.cumsum(usual)
    middle = float(np.interp(0.5, other, edges))
    reach = min(2.0, float(edges[-1] - edges[0]) / 2)
    shifts = np.arange(-reach, reach, STEP)
    best = 1.0
    for stretch in (0.7, 0.85, 1.0, 1.2, 1.45, 1.75):
        places = (edges[None, :] - shifts[:, None] - middle) / stretch + middle
        best = min(best, float(np.abs(np.interp(places, edges, other, left=0.0, right=1.0) - one).max(axis=1).min()))
    return best


def _counts(sizes: Floats, edges: Floats) -> Floats:
    place = ((sizes - edges[0]) / (edges[1] - edges[0])).astype(np.int64).clip(0, len(edges) - 1)
    return cast(Floats, np.bincount(place, minlength=len(edges)).astype(float))


def _fit(now: Floats, usual: Floats, edges: Floats, factors: Floats) -> tuple[float, float, float, float]:
    """Return the distance without and with a mixture, and its factor and share."""
    one, other = np.cumsum(now), np.cumsum(usual)
    before = float(np.abs(one - other).max())
    moved = np.interp(edges[None, :] - np.log10(factors)[:, None], edges, other, left=0.0, right=1.0)
    gap, lift = one - other, other - moved
    # What is asked is max |gap + s * lift| for each factor and share.
    left = np.abs(gap + _SHARES[:, None, None] * lift).max(axis=2)
    share, factor = np.unravel_index(int(left.argmin()), left.shape)
    return before, float(left[share, factor]), float(factors[factor]), float(_SHARES[share])
