"""Isotonic recalibration from mergeable counts: what share of the rows that were given p came out 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError

Floats = npt.NDArray[np.float64]

CELLS = 4096
"""Cells of equal width that probabilities are counted in: p is told apart to .00025."""
_GROUPS = 400  # what goes into the pooling; more would only be pooled again


def cell_of(p: Floats) -> npt.NDArray[np.intp]:
    """Return the cell of each probability."""
    return np.minimum((p * CELLS).astype(np.intp), CELLS - 1)


def sums(place: npt.NDArray[np.intp], values: Floats, size: int) -> Floats:
    """Return the sum of values at each of ``size`` places."""
    return np.asarray(np.bincount(place, weights=values, minlength=size), dtype=np.float64)


def pooled(weight: Floats, mean: Floats) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Pool adjacent violators: the non-decreasing sequence nearest to ``mean`` in weighted squares.

    Args:
        weight: Weight of each place, above 0.
        mean: Value at each place.

    Returns:
        Weight and value of each block, and how many places it holds.

    References:
        Ayer, Brunk, Ewing, Reid, Silverman (1955), An empirical distribution function for sampling with incomplete
        information, Ann. Math. Statist. 26; Barlow, Bartholomew, Bremner, Brunk (1972), ch. 1.

    Example:
        >>> import numpy as np
        >>> pooled(np.ones(4), np.array([0.1, 0.5, 0.3, 0.9]))[1].tolist()
        [0.1, 0.4, 0.9]
    """
    blocks: list[list[float]] = []
    for size, value in zip(weight.tolist(), mean.tolist(), strict=True):
        block = [size, value, 1]
        while blocks and blocks[-1][1] >= block[1]:
            last = blocks.pop()
            both = last[0] + block[0]
            block = [both, (last[0] * last[1] + block[0] * block[1]) / both, last[2] + block[2]]
        blocks.append(block)
    table = np.array(blocks, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.intp)


@dataclass(frozen=True)
class Reliability:
    """How often each cell of p came out 1, as counts: windows and segments add up.

    Attributes:
        rows: Weight of the rows by cell, shape (`CELLS`,).
        scores: Sum of p by cell.
        positive: Weight of the rows that came out 1, by cell.
    """

    rows: Floats
    scores: Floats
    positive: Floats

    @classmethod
    def of(cls, p: Floats, outcome: Floats, weight: Floats | None = None) -> Reliability:
        """Count rows with a probability from 0 to 1 and an outcome of 0 or 1, each with its weight (or 1)."""
        if p.shape != outcome.shape:
            raise UsageError(f"{outcome.shape} outcomes do not fit {p.shape} probabilities")
        cell = cell_of(p)
        heavy = np.ones(len(p)) if weight is None else weight
        return cls(
            sums(cell, heavy, CELLS),
            sums(cell, heavy * p, CELLS),
            sums(cell, heavy * outcome, CELLS),
        )

    @classmethod
    def merged(cls, parts: Iterable[Reliability]) -> Reliability:
        """Add up the counts of several windows."""
        total = np.zeros((3, CELLS))
        for part in parts:
            total += (part.rows, part.scores, part.positive)
        return cls(*total)

    def recalibrated(self) -> Floats:
        """Return the calibrated probability of each cell, shape (`CELLS`,), between 0 and 1 and never falling.

        Isotonic regression over cells, then a straight line between the middles of its blocks. Cells beyond the lowest
        and highest block have that block's value. No rows: the cell's own middle, that is, p is believed.

        It misleads where a block rests on few rows; at the ends that is usual.

        References:
            Zadrozny, Elkan (2002), Transforming classifier scores into accurate multiclass probability estimates, KDD.
        """
        middle = (np.arange(CELLS) + 0.5) / CELLS
        there = np.flatnonzero(self.rows > 0)
        if not len(there):
            return middle
        rows, scores, positive = self.rows[there], self.scores[there], self.positive[there]
        if len(there) > _GROUPS:
            share = np.cumsum(rows) - rows / 2
            group = np.minimum((share / rows.sum() * _GROUPS).astype(np.intp), _GROUPS - 1)
            first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
            rows, scores, positive = (np.add.reduceat(part, first) for part in (rows, scores, positive))
        weight, value, places = pooled(rows, positive / rows)
        starts = np.r_[0, np.cumsum(places)[:-1]]
        at = np.add.reduceat(scores, starts) / weight
        return np.clip(np.interp(middle, at, value), 0.0, 1.0)
