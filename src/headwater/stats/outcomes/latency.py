"""Latencies as mergeable histograms: quantiles with intervals, without keeping a single request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import Interval

STEPS = 16
"""Cells per doubling: a quantile is told to within 2.2 %."""
_LOWEST = 1e-3  # milliseconds; what is faster counts as this
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many requests took how long, on a logarithmic grid that is the same everywhere, so that any two add up.

    Attributes:
        counts: Requests by cell; cell ``i`` ends at ``.001 ms * 2^(i / 16)``.
        failed: Values that were no latency: negative, NaN or null.
        total: Milliseconds of all requests together.
    """

    counts: Mapping[int, int]
    failed: int = 0
    total: float = 0.0

    @classmethod
    def of(cls, milliseconds: Sequence[float | None] | npt.NDArray[np.float64]) -> Self:
        """Count latencies.

        Example:
            >>> one = Latencies.of([1.0, 2.0, 4.0])
            >>> one.rows, round(one.quantile(0.5).value, 1)
            (3, 2.0)
        """
        if not isinstance(milliseconds, np.ndarray):
            milliseconds = np.array([math.nan if item is None else item for item in milliseconds], dtype=np.float64)
        values = np.asarray(milliseconds, dtype=np.float64)
        good = np.isfinite(values) & (values >= 0)
        known = values[good]
        cells = np.ceil(np.log2(np.maximum(known, _LOWEST) / _LOWEST) * STEPS - 1e-9).astype(np.int64)
        names, counts = np.unique(cells, return_counts=True)
        return cls(dict(zip(names.tolist(), counts.tolist(), strict=True)), int((~good).sum()), float(known.sum()))

    @property
    def rows(self) -> int:
        """Requests counted."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float:
        """Mean in milliseconds; NaN for none."""
        return self.total / self.rows if self.rows else math.nan

    def merge(self, other: Latencies) -> Latencies:
        """Return the latencies of both."""
        counts = dict(self.counts)
        for cell, count in other.counts.items():
            counts[cell] = counts.get(cell, 0) + count
        return Latencies(dict(sorted(counts.items())), self.failed + other.failed, self.total + other.total)

    def quantile(self, q: float) -> Interval:
        """Return a quantile in milliseconds with 95 % bounds, each to within half a cell (2.2 %); NaN for no request.

        The bounds come from the order statistics around it and hold for independent requests; a queue makes neighbours
        alike, and the truth is then wider. For q too near to 1 for the number of requests the upper bound is infinite.

        References:
            Hahn, Meeker (1991), Statistical intervals, sec. 5.2 (distribution-free, normal approximation).
        """
        if not 0 < q < 1:
            raise UsageError(f"a quantile of {q} is not between 0 and 1")
        n = self.rows
        if not n:
            return Interval(math.nan, 0.0, math.inf)
        half = _Z95 * math.sqrt(n * q * (1 - q))
        low, high = math.floor(n * q - half), math.ceil(n * q + half) + 1
        return Interval(
            self._at(max(1, math.ceil(n * q))),
            self._at(low) if low >= 1 else 0.0,
            self._at(high) if high <= n else math.inf,
        )

    def above(self, milliseconds: float) -> float:
        """Return the share of requests in cells above that of a latency; NaN for no request."""
        limit = _cell(milliseconds)
        return sum(count for cell, count in self.counts.items() if cell > limit) / self.rows if self.rows else math.nan

    def body(self) -> dict[str, Any]:
        """The histogram as plain data."""
        counts = [[cell, count] for cell, count in sorted(self.counts.items())]
        return {"counts": counts, "failed": self.failed, "total": self.total}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a histogram back."""
        counts = {int(cell): int(count) for cell, count in body["counts"]}
        return cls(counts, int(body["failed"]), float(body["total"]))

    def _at(self, rank: int) -> float:
        """Return the middle of the cell that holds the request of a rank."""
        seen = 0
        for cell, count in sorted(self.counts.items()):
            seen += count
            if seen >= rank:
                return float(_LOWEST * 2 ** ((cell - 0.5) / STEPS)) if cell else _LOWEST
        return math.inf


def _cell(milliseconds: float) -> int:
    return math.ceil(math.log2(max(milliseconds, _LOWEST) / _LOWEST) * STEPS - 1e-9)
