"""The course of a column through its histogram: which value a row of the sorted column has, and the other way round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.grids import Grid

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Course:
    """Cells in the order of their numbers: where each begins and ends, and how many rows lie before it."""

    lower: Floats
    upper: Floats
    counts: Ints
    before: Ints
    exact: bool

    @classmethod
    def of(cls, grid: Grid, cells: Ints, outer: dict[int, int], low: float, high: float) -> Course:
        """Order the cells and outer cells that hold rows, cut to the smallest and largest value."""
        places = np.flatnonzero(cells[1 : grid.size + 1])
        edges = grid.edges()
        lower, upper, counts = edges[places], edges[places + 1], cells[places + 1]
        if grid.kind == "values":
            upper = lower
        keys = np.array(sorted(outer), dtype=np.int64)
        starts, ends = grid.outer_edges(keys)
        lower, upper = np.concatenate([lower, starts]), np.concatenate([upper, ends])
        counts = np.concatenate([counts, np.array([outer[key] for key in keys.tolist()], dtype=np.int64)])
        if grid.kind == "log" and cells[-1]:
            lower, upper, counts = np.append(lower, 0.0), np.append(upper, 0.0), np.append(counts, cells[-1])
        lower, upper = np.clip(lower, low, high), np.clip(upper, low, high)
        order = np.argsort(lower / 2 + upper / 2, kind="stable")
        counts = counts[order]
        return cls(lower[order], upper[order], counts, np.cumsum(counts) - counts, grid.kind == "values" and not outer)

    def at(self, place: float) -> float:
        """Return the value at a row's place in the sorted column, between rows by a straight line."""
        first = math.floor(place)
        share = place - first
        here = self._value(first)
        return here if not share else here + share * (self._value(first + 1) - here)

    def below(self, value: float) -> float:
        """Return how many rows lie below a value, those of its cell by a straight line."""
        widths = self.upper - self.lower
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(widths > 0.0, (value - self.lower) / widths, self.lower < value)
        return float((np.clip(shares, 0.0, 1.0) * self.counts).sum())

    def _value(self, row: int) -> float:
        cell = int(np.searchsorted(self.before, row, side="right")) - 1
        lower, upper, count = float(self.lower[cell]), float(self.upper[cell]), int(self.counts[cell])
        return lower + (upper - lower) * ((row - int(self.before[cell]) + 0.5) / count)
