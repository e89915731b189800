"""The course of a column through its histogram: which value a row of the sorted column has, and the other way round."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.profiling.grids import Grid

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Course:
    """Cells in the order of their numbers: where each begins and ends, and how many rows lie before it."""

    lower: Floats
    upper: Floats
    counts: Ints
    before: Ints

    @classmethod
    def of_values(cls, values: Floats, counts: Ints) -> Course:
        """Order values that are known one by one."""
        order = np.argsort(values, kind="stable")
        values, counts = values[order], counts[order]
        return cls(values, values, counts, np.cumsum(counts) - counts)

    @classmethod
    def of(
        cls,
        grid: Grid,
        cells: Ints,
        outer: dict[int, int],
        ends: tuple[float, float],
        *,
        zeros: int = 0,
        frequent: Mapping[float, int] | None = None,
    ) -> Course:
        """Order the cells and outer cells that hold rows, cut to the smallest and largest value.

        Args:
            grid: Where the cells lie.
            cells: Their rows.
            outer: Rows by outer cell.
            ends: The smallest and largest value, as floats.
            zeros: Rows that hold zero, which is the lower edge of a linear cell and is taken out of it.
            frequent: Stored numbers and about how many rows hold them; a cell mostly of one is taken for that value.
        """
        low, high = ends
        places = np.flatnonzero(cells[1 : grid.size + 1])
        edges = grid.edges()
        lower, upper, counts = edges[places], edges[places + 1], cells[places + 1]
        if grid.kind == "values":
            upper = lower
        else:
            lower, upper = _narrowed(grid, places, lower, upper, counts, frequent or {})
        if grid.kind == "linear" and zeros:
            at = np.flatnonzero(places == -(grid.shift >> max(grid.power, 0)) - grid.low)
            counts[at] -= zeros
            taken = np.full(len(at), zeros)
            lower, upper = np.append(lower, 0.0 * taken), np.append(upper, 0.0 * taken)
            counts = np.append(counts, taken)
            lower, upper, counts = lower[counts > 0], upper[counts > 0], counts[counts > 0]
        keys = np.array(sorted(outer), dtype=np.int64)
        starts, stops = grid.outer_edges(keys)
        lower, upper = np.concatenate([lower, starts]), np.concatenate([upper, stops])
        counts = np.concatenate([counts, np.array([outer[key] for key in keys.tolist()], dtype=np.int64)])
        if grid.kind == "log" and cells[-1]:
            lower, upper, counts = np.append(lower, 0.0), np.append(upper, 0.0), np.append(counts, cells[-1])
        lower, upper = np.clip(lower, low, high), np.clip(upper, low, high)
        order = np.argsort(lower / 2 + upper / 2, kind="stable")
        counts = counts[order]
        return cls(lower[order], upper[order], counts, np.cumsum(counts) - counts)

    def at(self, place: float) -> float:
        """Return the value at a row's place in the sorted column, between rows by a straight line."""
        first = math.floor(place)
        share = place - first
        here = self._value(first)
        return here if not share else here + share * (self._value(first + 1) - here)

    def below(self, value: float) -> float:
        """Return how many rows lie below a value, those of its cell by a straight line."""
        # Halves, because the distance between the largest floats is beyond their range.
        widths = self.upper / 2 - self.lower / 2
        with np.errstate(all="ignore"):
            shares = np.where(widths > 0.0, (value / 2 - self.lower / 2) / widths, self.lower < value)
        return float((np.clip(shares, 0.0, 1.0) * self.counts).sum())

    def _value(self, row: int) -> float:
        cell = int(np.searchsorted(self.before, row, side="right")) - 1
        lower, upper, count = float(self.lower[cell]), float(self.upper[cell]), int(self.counts[cell])
        share = (row - int(self.before[cell]) + 0.5) / count
        return lower if lower == upper else lower * (1.0 - share) + upper * share


def _narrowed(
    grid: Grid, places: Ints, lower: Floats, upper: Floats, counts: Ints, frequent: Mapping[float, int]
) -> tuple[Floats, Floats]:
    """Shrink a cell to the one value that at least half of its rows are estimated to hold."""
    if not frequent or not len(places):
        return lower, upper
    values, times = np.array(list(frequent)), np.array(list(frequent.values()))
    wanted = grid.cell(values) - 1
    at = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    chosen = (places[at] == wanted) & (2 * times >= counts[at])
    lower, upper = lower.copy(), upper.copy()
    lower[at[chosen]] = upper[at[chosen]] = grid.reals(values[chosen])
    return lower, upper
