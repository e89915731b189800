"""The summary of one column: what is kept of its rows, and what follows from that."""

from __future__ import annotations

import base64
import dataclasses
import math
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.profiling.bodies import attributes
from headwater.stats.profiling.courses import Course
from headwater.stats.profiling.fields import Field
from headwater.stats.profiling.grids import OUTER_SIZE, Grid
from headwater.stats.profiling.moments import NONE, Moments
from headwater.stats.profiling.samples import SEEN, weight_at
from headwater.stats.profiling.sketches import REGISTERS, Frequencies, Registers, estimate, registers_of_texts

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
OPEN = 0.01  # share of rows with a value seen once from which a vocabulary is not closed


@dataclass(frozen=True)
class Lengths:
    """Lengths of a text column in characters.

    Attributes:
        total: Characters of all rows together.
        shortest: Of the shortest row.
        longest: Of the longest row.
    """

    total: int
    shortest: int
    longest: int

    def merge(self, other: Lengths) -> Lengths:
        """Combine with other rows' lengths."""
        return Lengths(self.total + other.total, min(self.shortest, other.shortest), max(self.longest, other.longest))


@dataclass(frozen=True, eq=False)
class ColumnSummary:
    """What is kept of a column's rows; it merges with the summary of other rows.

    Whole numbers stay whole: minimum and maximum of an integer or time column are exact however large. Times are whole
    numbers of their unit since 1970, in UTC; durations are in seconds, times of day in hours, decimals in units of 1.

    Attributes:
        field: Name and type.
        rows: Rows, nulls included.
        nulls: Null rows.
        nans: Rows that hold NaN.
        infinities: Rows that hold an infinity.
        zeros: Rows that hold zero, or false.
        low: Smallest finite stored number.
        high: Largest.
        grid: Where the cells lie; None for text and for what is only counted.
        cells: Rows outside, in each cell, and (log grids) at zero.
        outer: Rows by outer cell, sparse.
        moments: Moments of the stored numbers; on a ``values`` grid of those outside alone.
        registers: HyperLogLog registers; on a ``values`` grid of the numbers outside alone; None when not kept, and
            for texts as long as ``table`` is exact.
        counted: Distinct values and whether that is exact, as counted by an engine that keeps no registers; a merge
            loses it.
        table: Values and their counts; of a sample of the rows for numbers beyond a first part.
        known: The reference's closed vocabulary.
        unseen: Rows whose text is not in ``known``.
        lengths: Lengths of texts.
    """

    field: Field
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    infinities: int = 0
    zeros: int = 0
    low: int | float | None = None
    high: int | float | None = None
    grid: Grid | None = None
    cells: Ints | None = None
    outer: dict[int, int] = dataclasses.field(default_factory=dict)
    moments: Moments = NONE
    registers: Registers | None = None
    counted: tuple[int, bool] | None = None
    table: Frequencies | None = None
    known: frozenset[str] | None = None
    unseen: int | None = None
    lengths: Lengths | None = None

    @property
    def name(self) -> str:
        """The column."""
        return self.field.name

    @property
    def kind(self) -> str:
        """``number``, ``boolean``, ``text``, ``time`` or ``other``."""
        return self.field.kind

    @property
    def dtype(self) -> str:
        """The type as text."""
        return self.field.dtype

    @property
    def count(self) -> int:
        """Rows with a value: neither null, nor NaN, nor infinite."""
        return self.rows - self.nulls - self.nans - self.infinities

    @property
    def minimum(self) -> int | float | None:
        """Smallest finite value."""
        return self.valued(self.low)

    @property
    def maximum(self) -> int | float | None:
        """Largest finite value."""
        return self.valued(self.high)

    def valued(self, stored: int | float | None) -> int | float | None:
        """Turn a stored number into the column's value."""
        if stored is None:
            return None
        factor, value = self.field.factor, stored + self.field.shift if self.field.shift else stored
        return value if factor == 1 else value * factor.numerator / factor.denominator

    @cached_property
    def every(self) -> Moments:
        """Moments of all finite stored numbers."""
        if self.grid is None or self.grid.kind != "values" or self.cells is None:
            return self.moments
        places = np.flatnonzero(self.cells[1:-1])
        middle = int(places[len(places) // 2]) if len(places) else 0
        inside = Moments.of((places - middle).astype(np.float64), self.cells[places + 1].astype(np.float64))
        start = self.grid.low + middle
        # Both parts of the start are floats that hold it exactly.
        return inside.moved(float(start - start % 4096)).moved(float(start % 4096)).merge(self.moments)

    @property
    def mean(self) -> float | None:
        """Mean of the finite values; for booleans the share of true."""
        if self.kind == "boolean":
            return (self.count - self.zeros) / self.count if self.count else None
        return self._scaled(self.every.moved(float(self.field.shift)).mean)

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None below two values."""
        return self._scaled(self.every.std)

    @property
    def skew(self) -> float | None:
        """Third standardised moment; None when all values are equal."""
        return self.every.skew

    @property
    def kurtosis(self) -> float | None:
        """Fourth standardised moment minus 3; None when all values are equal."""
        return self.every.kurtosis

    def _scaled(self, value: float | None) -> float | None:
        if value is None:
            return None
        scaled = value * self.field.factor.numerator / self.field.factor.denominator
        return scaled if math.isfinite(scaled) else None

    @property
    def distinct_exact(self) -> bool:
        """Whether `distinct` is a count and not an estimate."""
        if self.table is not None and self.table.exact:
            return True
        if self.grid is not None and self.grid.kind == "values" and not self._outside:
            return True
        return self.kind == "boolean" or (self.counted is not None and self.counted[1])

    @property
    def _outside(self) -> int:
        return int(self.cells[0]) if self.cells is not None else 0

    @property
    def distinct(self) -> int | None:
        """Distinct values without nulls and NaN: exact, or to a standard error of 1.6 %; None when not known."""
        if self.kind == "other":
            return None
        if self.kind == "boolean":
            return int(self.zeros > 0) + int(self.count > self.zeros)
        if self.table is not None and self.table.exact:
            return len(self.table.counts)
        inside = 0
        if self.grid is not None and self.grid.kind == "values" and self.cells is not None:
            inside = int(np.count_nonzero(self.cells[1:-1]))
            if not self._outside:
                return inside
        if self.registers is None:
            return self.counted[0] if self.counted is not None else None
        guess = round(estimate(self.registers))
        return min(max(inside + guess, 1 if self.count else 0), self.count)

    @property
    def top(self) -> tuple[tuple[Any, int], ...]:
        """The ten most frequent values and their counts, largest first; see `top_slack` for how exact they are.

        Of a sample only what at least four of its rows held is told, so that a column without repetitions has none.
        """
        if self.kind == "boolean":
            pairs = [(True, self.count - self.zeros), (False, self.zeros)]
            return tuple(sorted((pair for pair in pairs if pair[1]), key=lambda pair: -pair[1]))
        if self.grid is not None and self.grid.kind == "values" and self.cells is not None:
            places = np.flatnonzero(self.cells[1:-1])
            counts = self.cells[places + 1]
            best = np.argsort(-counts, kind="stable")[:10]
            return tuple((self.valued(int(places[at]) + self.grid.low), int(counts[at])) for at in best)
        if self.table is None:
            return ()
        least = SEEN * weight_at(self.rows) if self.table.sampled else 1
        # What the sample counts for can be some rows more than there are.
        return tuple(
            (self.valued(value) if self.kind != "text" else value, min(n, self.count))
            for value, n in self.table.top(least=least)
        )

    def times(self, value: str | int) -> int | None:
        """Return in how many rows a text or a whole number stands; None when that is not known exactly."""
        if self.grid is not None and self.grid.kind == "values" and self.cells is not None and self.field.factor == 1:
            place = int(value) - self.field.shift - self.grid.low
            inside = 0 <= place < len(self.cells) - 2
            return int(self.cells[place + 1]) if inside else None if self._outside else 0
        return self.table.counts.get(value, 0) if self.table is not None and self.table.exact else None

    @property
    def top_slack(self) -> int | None:
        """Most rows by which a count of `top` is too small, or that a value missing there can have.

        0 when exact; None when the counts come from a sample of rows, scaled up, and have a sampling error besides.
        """
        if self.kind == "boolean":
            return 0
        if self.grid is not None and self.grid.kind == "values":
            return self._outside
        if self.table is None or self.table.sampled:
            return None
        return self.table.slack

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The texts as a closed list, for later windows; None when the list is open or too long.

        It is open when more than 1 % of the rows hold a value that no other row holds: by Good (1953) that is the share
        of rows still to come whose value is new.
        """
        if self.kind != "text" or self.table is None or not self.table.exact or not self.count:
            return None
        single = sum(times == 1 for times in self.table.counts.values())
        return frozenset(self.table.counts) if single <= OPEN * self.count else None

    def quantile(self, q: float) -> float | None:
        """Return a quantile of the finite values, interpolated linearly.

        Exact on a ``values`` grid, and where `table` is; otherwise to the width of a cell: about 1/2000 of the
        reference's range, and 1.6 % of the distance from its middle outside of it. Times of later windows lie outside:
        a year after a reference of a week, their quantiles are to within days, while minimum, maximum and mean stay
        exact. A value that fills its cell, such as a whole number, is returned itself. None without numbers.

        Args:
            q: Share of the rows below, 0 to 1.
        """
        if not self.count or self.grid is None or self.low is None or self.high is None:
            return None
        return self._scaled(self._course.at(q * (self.count - 1)))

    def share_below(self, value: float) -> float | None:
        """Return the share of the finite values below a number, to the rows of one cell; None without numbers."""
        if not self.count or self.grid is None or self.low is None or self.high is None:
            return None
        factor = self.field.factor
        return self._course.below(value * factor.denominator / factor.numerator) / self.count

    @cached_property
    def _course(self) -> Course:
        assert self.grid is not None and self.cells is not None
        table, shift = self.table, self.field.shift
        if table is not None and table.exact and sum(table.counts.values()) == self.count:
            return Course.of_values(
                np.array([float(value + shift) for value in table.counts]), np.array(list(table.counts.values()))
            )
        ends = (float((self.low or 0) + shift), float((self.high or 0) + shift))
        least = SEEN * weight_at(self.rows)
        frequent = {value: times for value, times in (table.counts if table else {}).items() if times >= least}
        return Course.of(self.grid, self.cells, self.outer, ends, zeros=self.zeros, frequent=frequent)

    def histogram(self) -> tuple[Floats, Ints]:
        """Return the histogram on the reference's edges: m + 1 edges, the outer two infinite, and m counts of rows.

        The counts are exact unless the column has whole numbers beyond 2**53 outside the grid. Empty for text.
        """
        if self.grid is None or self.cells is None:
            return np.empty(0), np.empty(0, dtype=np.int64)
        edges = self.grid.edges()
        cuts = np.array([0, *self.grid.cuts, self.grid.size], dtype=np.int64)
        sums = np.concatenate([[0], np.cumsum(self.cells[1 : self.grid.size + 1])])
        counts = np.zeros(len(cuts) + 1, dtype=np.int64)
        counts[1:-1] = np.diff(sums[cuts])
        keys = np.array(sorted(self.outer), dtype=np.int64)
        lower, _ = self.grid.outer_edges(keys)
        for edge, key in zip(lower.tolist(), keys.tolist(), strict=True):
            counts[0 if _is_below(self.grid, key, edge) else -1] += self.outer[key]
        if self.grid.kind == "log":
            counts[0 if edges[0] > 0 else -1] += int(self.cells[-1])
        scale = self.field.factor.numerator / self.field.factor.denominator
        bounds = np.concatenate([[-np.inf], edges[cuts] * scale, [np.inf]])
        return bounds, counts

    def merge(self, other: ColumnSummary) -> ColumnSummary:
        """Combine with the summary of other rows of the same column.

        Raises:
            UsageError: The types differ, or the cells lie elsewhere.
        """
        self._matches(other)
        known = self.known if self.known == other.known else None
        table = self.table.merge(other.table) if self.table and other.table else None
        return replace(
            self,
            rows=self.rows + other.rows,
            nulls=self.nulls + other.nulls,
            nans=self.nans + other.nans,
            infinities=self.infinities + other.infinities,
            zeros=self.zeros + other.zeros,
            low=_least(self.low, other.low),
            high=_most(self.high, other.high),
            cells=None if self.cells is None or other.cells is None else self.cells + other.cells,
            outer=_added(self.outer, other.outer),
            moments=self.moments.merge(other.moments),
            registers=self._registers_with(other, table),
            counted=self.counted if not other.count else other.counted if not self.count else None,
            table=table,
            known=known,
            unseen=None if known is None else (self.unseen or 0) + (other.unseen or 0),
            lengths=self.lengths.merge(other.lengths)
            if self.lengths and other.lengths
            else self.lengths or other.lengths,
        )

    def _registers_with(self, other: ColumnSummary, table: Frequencies | None) -> Registers | None:
        """Combine registers; an exact table of texts has none, and they are made when it stops being exact."""
        if self.kind != "text":
            return _larger(self.registers, other.registers)
        if table is None or table.exact:
            return None
        return _larger(self._registers_of_texts(), other._registers_of_texts())

    def _registers_of_texts(self) -> Registers | None:
        if self.registers is None and self.table is not None and self.table.exact:
            return registers_of_texts(self.table.counts)
        return self.registers

    def _matches(self, other: ColumnSummary) -> None:
        if self.name != other.name or self.field.lattice != other.field.lattice:
            raise UsageError(
                f"column `{self.name}` is `{self.dtype}` in one summary, `{other.name}` `{other.dtype}` in the other",
                doing="merging summaries",
                hint="summaries merge when the columns have the same names and types",
            )
        if self.grid != other.grid:
            raise UsageError(
                f"column `{self.name}` has other histogram cells in each summary",
                doing="merging summaries",
                hint="summarise both with the same `like=`",
            )

    def with_(self, **changes: Any) -> ColumnSummary:
        """Return a copy with some attributes changed."""
        return replace(self, **changes)

    def empty(self, field: Field | None = None) -> ColumnSummary:
        """Return the summary of no rows, with this one's cells and the vocabulary that it gives."""
        known = self.known if self.known is not None else self.vocabulary
        return ColumnSummary(
            field=field or self.field,
            grid=self.grid,
            cells=None if self.cells is None else np.zeros_like(self.cells),
            registers=np.zeros(REGISTERS, dtype=np.uint8) if self.grid is not None else None,
            table=Frequencies({}) if self.kind == "text" or (self.grid and self.grid.kind != "values") else None,
            known=known,
            unseen=None if known is None else 0,
        )

    def body(self) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        sparse = None
        if self.cells is not None:
            places = np.flatnonzero(self.cells)
            sparse = {"size": len(self.cells), "at": places.tolist(), "counts": self.cells[places].tolist()}
        packed = None
        if self.registers is not None:
            packed = base64.b64encode(zlib.compress(self.registers.tobytes())).decode()
        table = None
        if self.table is not None:
            pairs = [[value, times] for value, times in self.table.counts.items()]
            table = {"values": pairs, "slack": self.table.slack, "sampled": self.table.sampled}
        return {
            "field": _field_body(self.field),
            **{name: getattr(self, name) for name in _PLAIN},
            "grid": self.grid.body() if self.grid else None,
            "cells": sparse,
            "outer": [[key, times] for key, times in sorted(self.outer.items())],
            "moments": self.moments.body(),
            "registers": packed,
            "counted": self.counted,
            "table": table,
            "known": None if self.known is None else sorted(self.known),
            "lengths": None if self.lengths is None else [getattr(self.lengths, name) for name in _LENGTHS],
        }

    @classmethod
    def of(cls, body: dict[str, Any]) -> ColumnSummary:
        """Read what `body` wrote.

        Raises:
            DataError: It is damaged.
        """
        found = attributes(body)
        lengths = found.pop("lengths")
        return cls(**found, lengths=None if lengths is None else Lengths(*lengths))


_PLAIN = ("rows", "nulls", "nans", "infinities", "zeros", "low", "high", "unseen")
_LENGTHS = ("total", "shortest", "longest")


def _field_body(field: Field) -> list[Any]:
    return [field.name, field.format, _field_body(field.values) if field.values else None]


def _is_below(grid: Grid, key: int, edge: float) -> bool:
    return (edge < grid.middle) if key >= OUTER_SIZE else (edge < float(grid.edges()[0]))


def _least(a: int | float | None, b: int | float | None) -> int | float | None:
    return b if a is None else a if b is None else min(a, b)


def _most(a: int | float | None, b: int | float | None) -> int | float | None:
    return b if a is None else a if b is None else max(a, b)


def _added(a: dict[int, int], b: dict[int, int]) -> dict[int, int]:
    total = dict(a)
    for key, times in b.items():
        total[key] = total.get(key, 0) + times
    return total


def _larger(a: Registers | None, b: Registers | None) -> Registers | None:
    return None if a is None or b is None else np.maximum(a, b)
