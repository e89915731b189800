"""Gaps between groups: rates from mergeable sums, intervals, intersections, and shrinkage of what few rows say.

Everything is computed from three sums per group and metric (rows, total, squares), so windows recombine by addition and
no row has to be read again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import Interval, wilson

LEAST = 50
"""Rows below which nothing is said about a group."""
DEPTH = 3
_Z95 = 1.959963984540054

Cell = tuple[str, ...]


class Sums(NamedTuple):
    """Rows, total and squares of one metric over one group's rows."""

    n: float
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The rate; NaN for no rows."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """The variance of a row; NaN for no rows."""
        return max(0.0, self.squares / self.n - self.mean**2) if self.n else math.nan

    def plus(self, other: Sums) -> Sums:
        """Return the sums of both groups' rows together."""
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def minus(self, other: Sums) -> Sums:
        """Return the sums of the rows that are not the other's."""
        return Sums(self.n - other.n, self.total - other.total, max(0.0, self.squares - other.squares))

    @property
    def counted(self) -> bool:
        """Whether every row was 0 or 1, so that this is a share."""
        return self.total == self.squares and 0 <= self.total <= self.n


NONE = Sums(0.0, 0.0, 0.0)
Cells = Mapping[Cell, Mapping[str, Sums]]
"""Sums by metric, for each combination of the group columns' values."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How one group differs from everybody else.

    Attributes:
        group: The conditions that make the group, e.g. ``(("origin", "JFK"),)``.
        metric: What is compared.
        rate: The group's own rate or mean, with 95 % bounds (Wilson for shares).
        gap: The group less the rest, with 95 % bounds (Newcombe for shares).
        rows: Rows that the group's rate is of.
        shrunk: The gap to expect of this group's next rows: pulled towards the gaps of all groups of its depth by as
            much as its rows are few.
    """

    group: tuple[tuple[str, str], ...]
    metric: str
    rate: Interval
    gap: Interval
    rows: float
    shrunk: float = math.nan

    @property
    def name(self) -> str:
        """The group in words, e.g. ``origin=JFK & carrier=AA``."""
        return " & ".join(f"{column}={value}" for column, value in self.group)


def merge(parts: Iterable[Cells]) -> dict[Cell, dict[str, Sums]]:
    """Add the cells of several windows.

    Example:
        >>> one = {("a",): {"selection": Sums(2, 1, 1)}}
        >>> merge([one, one])[("a",)]["selection"]
        Sums(n=4, total=2, squares=2)
    """
    found: dict[Cell, dict[str, Sums]] = {}
    for cells in parts:
        for cell, metrics in cells.items():
            own = found.setdefault(cell, {})
            for name, sums in metrics.items():
                own[name] = own[name].plus(sums) if name in own else sums
    return found


def difference(one: Sums, other: Sums) -> Interval:
    """Return the difference of two means with 95 % bounds; NaN with infinite bounds where one has no rows.

    Shares by Newcombe's hybrid score interval, which stays sensible at 0 and 1; other means by Welch's normal interval.
    Rows are taken as independent: over few windows the truth is wider.

    References:
        Newcombe (1998), Interval estimation for the difference between independent proportions, Statist. Med. 17,
        method 10.

    Example:
        >>> [round(item, 4) for item in difference(Sums(70, 56, 56), Sums(80, 48, 48))]
        [0.2, 0.0524, 0.3339]
    """
    if not one.n or not other.n:
        return Interval(math.nan, -math.inf, math.inf)
    gap = one.mean - other.mean
    if one.counted and other.counted:
        a, b = wilson(one.total, one.n), wilson(other.total, other.n)
        below = math.hypot(a.value - a.low, b.high - b.value)
        above = math.hypot(a.high - a.value, b.value - b.low)
        return Interval(gap, gap - below, gap + above)
    half = _Z95 * math.sqrt(one.variance / one.n + other.variance / other.n)
    return Interval(gap, gap - half, gap + half)


def standard_error(one: Sums, other: Sums) -> float:
    """Return the standard error of the difference of two means, as if both had the same spread; NaN for none."""
    both = one.plus(other)
    if not one.n or not other.n or not both.variance > 1e-12:
        return math.nan
    return math.sqrt(both.variance * (1 / one.n + 1 / other.n))


def groups(cells: Cells, columns: Sequence[str], depth: int = 1) -> dict[tuple[tuple[str, str], ...], dict[str, Sums]]:
    """Return the sums of every group of exactly ``depth`` conditions."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Sums]] = {}
    for cell, metrics in cells.items():
        if len(cell) != len(columns):
            raise UsageError(f"a cell of {len(cell)} values does not fit {len(columns)} group columns")
        for chosen in itertools.combinations(range(len(columns)), depth):
            own = found.setdefault(tuple((columns[index], cell[index]) for index in chosen), {})
            for name, sums in metrics.items():
                own[name] = own[name].plus(sums) if name in own else sums
    return found


def gaps(
    cells: Cells, columns: Sequence[str], metrics: Iterable[str], *, depth: int = DEPTH, least: float = LEAST
) -> list[Gap]:
    """Compare every group, and every intersection of up to ``depth`` group columns, with everybody else.

    Groups of fewer than ``least`` rows (of the rows the metric is of) are left out. What is shown is observed, not
    caused: a gap in selection with equal need is another thing than one with unequal need; look at several metrics.

    Args:
        cells: Sums by combination of values.
        columns: The group columns, in the order of the cells' values.
        metrics: Which metrics to compare.
        depth: Most conditions that make a group.
        least: Rows below which nothing is said.

    References:
        Hardt, Price, Srebro (2016), Equality of opportunity in supervised learning, sec. 2; intersections: Kearns,
        Neel, Roth, Wu (2018), Preventing fairness gerrymandering, sec. 2.

    Example:
        >>> cells = {("a",): {"selection": Sums(100, 60, 60)}, ("b",): {"selection": Sums(100, 40, 40)}}
        >>> [(gap.name, round(gap.gap.value, 2)) for gap in gaps(cells, ["g"], ["selection"])]
        [('g=a', 0.2), ('g=b', -0.2)]
    """
    whole: dict[str, Sums] = {}
    for own in cells.values():
        for name, sums in own.items():
            whole[name] = whole.get(name, NONE).plus(sums)
    found: list[Gap] = []
    for deep in range(1, min(depth, len(columns)) + 1):
        of_depth = groups(cells, columns, deep)
        for metric in metrics:
            sized = {group: own[metric] for group, own in of_depth.items() if own.get(metric, NONE).n >= least}
            found += _shrunk(_one_metric(metric, sized, whole.get(metric, NONE)), sized)
    return found


def _one_metric(metric: str, sized: Mapping[tuple[tuple[str, str], ...], Sums], whole: Sums) -> list[Gap]:
    found = []
    for group, sums in sorted(sized.items()):
        half = _Z95 * math.sqrt(sums.variance / sums.n)
        own = Interval(sums.mean, sums.mean - half, sums.mean + half)
        rate = wilson(sums.total, sums.n) if sums.counted else own
        found.append(Gap(group, metric, rate, difference(sums, whole.minus(sums)), sums.n))
    return found


def _shrunk(found: Sequence[Gap], sized: Mapping[tuple[tuple[str, str], ...], Sums]) -> list[Gap]:
    """Fill in the shrunk gaps: beta-binomial for shares, normal for other means."""
    if not found:
        return []
    sums = [sized[gap.group] for gap in found]
    if all(item.counted for item in sums):
        mean, strength = beta_binomial([item.total for item in sums], [item.n for item in sums])
        weight = [item.n / (item.n + strength) for item in sums]  # 0 where the strength is infinite
        rates = [mean + own * (item.mean - mean) for own, item in zip(weight, sums, strict=True)]
    else:
        rates = normal_means([item.mean for item in sums], [item.variance / item.n for item in sums])
    # A group is compared with the rest: when its own rate moves by x, its distance from the rest does too.
    return [
        Gap(gap.group, gap.metric, gap.rate, gap.gap, gap.rows, gap.gap.value + rate - item.mean)
        for gap, rate, item in zip(found, rates, sums, strict=True)
    ]


def beta_binomial(successes: Sequence[float], trials: Sequence[float]) -> tuple[float, float]:
    """Estimate the beta distribution that the groups' true shares come from; return its mean and strength in rows.

    By moments. Infinite strength: the shares differ by no more than chance, so every group is taken as average.

    References:
        Kleinman (1973), Proportions with extraneous variance: single and independent samples, JASA 68.

    Example:
        >>> beta_binomial([50, 50, 50], [100, 100, 100])
        (0.5, inf)
    """
    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not len(k) or (n <= 0).any() or (k < 0).any() or (k > n).any():
        raise UsageError("shrinkage needs groups with rows, and no more successes than rows")
    mean = float(k.sum() / n.sum())
    if len(k) < 2 or mean in (0.0, 1.0):
        return mean, math.inf
    spread = float((n * (k / n - mean) ** 2).sum())
    slack = float((n * (1 - n / n.sum())).sum())
    noise = mean * (1 - mean)
    between = (spread - noise * float((1 - n / n.sum()).sum())) / (slack - float((1 - n / n.sum()).sum()))
    share = between / noise
    return (mean, math.inf) if share <= 0 else (mean, max(0.0, 1 / min(share, 1.0) - 1))


def normal_means(means: Sequence[float], variances: Sequence[float]) -> list[float]:
    """Shrink means towards their weighted mean by what of their spread is not noise.

    References:
        DerSimonian, Laird (1986), Meta-analysis in clinical trials, Controlled Clinical Trials 7 (the spread);
        Efron, Morris (1975), Data analysis using Stein's estimator, JASA 70 (the shrinkage).

    Example:
        >>> normal_means([1.0, 1.0], [0.1, 0.2])
        [1.0, 1.0]
    """
    x, v = np.asarray(means, dtype=np.float64), np.maximum(np.asarray(variances, dtype=np.float64), 1e-300)
    weight = 1 / v
    centre = float((weight * x).sum() / weight.sum())
    if len(x) < 2:
        return [centre] * len(x)
    excess = float((weight * (x - centre) ** 2).sum()) - (len(x) - 1)
    slack = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(0.0, excess / slack) if slack > 0 else 0.0
    kept = between / (between + v)
    return [float(item) for item in centre + kept * (x - centre)]
