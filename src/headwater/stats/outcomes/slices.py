"""Which part of the rows carries a change: one slice, with the rest as it was, or all of them alike?

`headwater.stats.outcomes.segments` asks which segments do otherwise than the rest and needs weeks; here a change is
known to be there, a few windows are all there is, and the question is whether one condition explains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from headwater.stats.outcomes.segments import Column

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Conditions = tuple[tuple[int, int], ...]

BEAM = 12
LEVEL = 0.05
MOST = 0.7
"""Share of the information above which a slice is as good as everything."""
_SIMPLER = 0.9  # one condition is preferred when it tells at least so much of what two tell
_FEWEST = 5
_POOL = 8.0  # windows' worth of belief that a slice's windows vary as all rows' do


@dataclass(frozen=True, slots=True)
class Slice:
    """The slice that carries a change.

    Attributes:
        conditions: (column, value) pairs.
        change: Change of the mean score within it, recent less earlier.
        rest: The same of all other rows.
        z: The change in standard errors, windows as blocks.
        z_rest: The same of all other rows.
        z_all: The same of all rows.
        share: Share of the recent rows that is in it.
        tested: Slices that were looked at.
        alone: Whether it explains the change: the rest is as it was, and chance does not find such a slice.
    """

    conditions: tuple[tuple[str, str], ...]
    change: float
    rest: float
    z: float
    z_rest: float
    z_all: float
    share: float
    tested: int
    alone: bool

    @property
    def name(self) -> str:
        """The slice in words."""
        return " & ".join(f"{column}={value}" for column, value in self.conditions)


def carrier(
    score: Floats,
    information: Floats,
    columns: Sequence[Column],
    windows: Ints,
    recent: npt.NDArray[np.bool_],
    *,
    least: int = 30,
) -> Slice | None:
    """Find the slice of one or two conditions that explains a change of scores best.

    A score is what a row says of a shift, ``y - p`` say, and its information how much it would say of a shift of one,
    ``p (1 - p)``: so a shift of all log odds alike, which moves uncertain rows more, is seen as the same everywhere. A
    slice's spread is that of its earlier windows, drawn towards that of all rows.

    It misleads where the change has another cause per slice, and names the nearest of two columns that go together.

    Args:
        score: Score of each row.
        information: Information of each row, at least 0; ones where there is none to speak of.
        columns: The columns to slice by, see `headwater.stats.outcomes.segments.cut`.
        windows: Window of each row, numbered from 0.
        recent: By window: whether it is one of the recent ones.
        least: Rows that a slice must have in the recent windows, and in the earlier ones.

    Returns:
        The best slice, whether or not it explains the change (see `Slice.alone`); None when none has enough rows.

    Example:
        >>> import numpy as np
        >>> from headwater.stats.outcomes.segments import cut
        >>> random = np.random.default_rng(0)
        >>> window, shop = np.repeat(np.arange(30), 100), random.choice(list("abcd"), 3000)
        >>> error = random.normal(size=3000) + 1.5 * ((window >= 26) & (shop == "b"))
        >>> found = carrier(error, np.ones(3000), [cut("shop", shop)], window, np.arange(30) >= 26)
        >>> found.name, found.alone
        ('shop=b', True)
    """
    if recent.sum() < 1 or (~recent).sum() < _FEWEST:
        return None
    search = _Search(score, information, columns, windows, recent, least)
    singles = search.children((), np.arange(len(score)))
    if not singles:
        return None
    pairs: dict[Conditions, _Measured] = {}
    for parent in sorted(singles, key=lambda item: -abs(item.z))[:BEAM]:
        for child in search.children(parent.conditions, search.rows(parent.conditions)):
            pairs.setdefault(tuple(sorted(child.conditions)), child)
    every = [*singles, *pairs.values()]
    best = max(abs(item.z) for item in every)
    near = [item for item in every if abs(item.z) >= _SIMPLER * best]
    return search.told(min(near, key=lambda item: (len(item.conditions), -abs(item.z))), len(every))


@dataclass(slots=True)
class _Measured:
    conditions: Conditions
    change: float
    rest: float
    z: float
    z_rest: float
    share: float
    weight: float


class _Search:
    def __init__(
        self,
        score: Floats,
        information: Floats,
        columns: Sequence[Column],
        windows: Ints,
        recent: npt.NDArray[np.bool_],
        least: int,
    ) -> None:
        self.score, self.information, self.columns, self.at = score, information, columns, windows
        self.new, self.least = recent, least
        self.codes = [column.codes.astype(np.intp) for column in columns]
        count = len(recent)
        parts = (score, information, np.ones(len(score)))
        self.total: Floats = np.vstack([np.bincount(windows, part, count) for part in parts])
        self.usual = self._spread(self.total[:1], self.total[1:2], None)[0]
        self.z_all = float(self._changed(self.total[:1], self.total[1:2])[1][0])

    def rows(self, conditions: Conditions) -> Ints:
        mask = np.ones(len(self.score), dtype=bool)
        for column, code in conditions:
            mask &= self.codes[column] == code
        return np.flatnonzero(mask)

    def children(self, conditions: Conditions, rows: Ints) -> list[_Measured]:
        """Measure every value of every further column among some rows."""
        taken, count = {column for column, _ in conditions}, len(self.new)
        at, score, information = self.at[rows], self.score[rows], self.information[rows]
        found: list[_Measured] = []
        for column, labelled in enumerate(self.columns):
            kinds = len(labelled.labels)
            if column in taken or kinds < 2:
                continue
            place = (self.codes[column][rows] + 1) * count + at
            sums, known, counts = (
                np.bincount(place, heavy, (kinds + 1) * count).reshape(kinds + 1, count)[1:]
                for heavy in (score, information, None)
            )
            enough = (counts[:, self.new].sum(axis=1) >= self.least) & (counts[:, ~self.new].sum(axis=1) >= self.least)
            enough &= counts.sum(axis=1) < len(rows)
            if enough.any():
                named = [(*conditions, (column, int(code))) for code in np.flatnonzero(enough)]
                found += self._measured(named, sums[enough], known[enough], counts[enough])
        return found

    def _measured(self, named: Sequence[Conditions], sums: Floats, known: Floats, counts: Floats) -> list[_Measured]:
        change, z = self._changed(sums, known)
        rest, z_rest = self._changed(self.total[0] - sums, np.maximum(self.total[1] - known, 0.0))
        share = counts[:, self.new].sum(axis=1) / max(1.0, float(self.total[2][self.new].sum()))
        weight = known[:, self.new].sum(axis=1) / max(1e-12, float(self.total[1][self.new].sum()))
        return [
            _Measured(name, *(float(item[at]) for item in (change, rest, z, z_rest, share, weight)))
            for at, name in enumerate(named)
            if math.isfinite(z[at])
        ]

    def _changed(self, sums: Floats, known: Floats) -> tuple[Floats, Floats]:
        """Return the change per unit of information, recent less earlier, and the same in standard errors."""
        with np.errstate(invalid="ignore", divide="ignore"):
            now, before = (sums[:, side].sum(axis=1) / known[:, side].sum(axis=1) for side in (self.new, ~self.new))
            spread = self._spread(sums, known, getattr(self, "usual", None))
            error = np.sqrt(spread * sum(1 / known[:, side].sum(axis=1) for side in (self.new, ~self.new)))
            change = now - before
            return change, np.where(error > 0, change / error, np.nan)

    def _spread(self, sums: Floats, known: Floats, usual: float | None) -> Floats:
        """Return by how much windows vary, per unit of information, drawn towards what is usual."""
        past_sums, past_known = sums[:, ~self.new], known[:, ~self.new]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = past_sums.sum(axis=1) / past_known.sum(axis=1)
            squares = np.where(past_known > 0, (past_sums - mean[:, None] * past_known) ** 2 / past_known, 0.0)
        windows = np.maximum((past_known > 0).sum(axis=1) - 1, 0)
        if usual is None:
            return np.asarray(squares.sum(axis=1) / np.maximum(windows, 1))
        return np.asarray((squares.sum(axis=1) + _POOL * usual) / (windows + _POOL))

    def told(self, item: _Measured, tested: int) -> Slice:
        needed = NormalDist().inv_cdf(1 - LEVEL / (2 * max(1, tested)))
        rest_is_still = abs(item.z_rest) < 2.0 or abs(item.rest) < 0.25 * abs(item.change)
        better = item.z**2 - (0.0 if math.isnan(self.z_all) else self.z_all**2) > 2 * math.log(max(2, tested))
        alone = abs(item.z) >= needed and rest_is_still and better and item.weight <= MOST
        mean = self._mean_change(item.conditions)
        return Slice(
            conditions=tuple((self.columns[at].name, self.columns[at].labels[code]) for at, code in item.conditions),
            change=mean[0],
            rest=mean[1],
            z=item.z,
            z_rest=item.z_rest,
            z_all=self.z_all,
            share=item.share,
            tested=tested,
            alone=alone,
        )

    def _mean_change(self, conditions: Conditions) -> tuple[float, float]:
        """Return the change of the mean score per row, in the slice and in the rest."""
        inside = np.zeros(len(self.score), dtype=bool)
        inside[self.rows(conditions)] = True
        new = self.new[self.at]
        means = [
            float(self.score[side & new].mean() - self.score[side & ~new].mean())
            if (side & new).any() and (side & ~new).any() else 0.0
            for side in (inside, ~inside)
        ]  # fmt: skip
        return means[0], means[1]
