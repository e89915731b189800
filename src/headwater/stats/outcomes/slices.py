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
_POOL = 8.0  # windows' worth of belief that a slice's windows vary as other slices' do
_PRESENT = 0.6  # share of the windows, recent and earlier, in which a slice must have rows
_CLEARLY = 0.5  # standard deviations of the earlier windows from which a window counts
_REST, _STILL = 0.25, 2.0  # the rest is as it was below this share of the change, or within so many standard errors


@dataclass(frozen=True, slots=True)
class Slice:
    """The slice that carries a change.

    Attributes:
        conditions: (column, value) pairs.
        change: Change of the mean score within it, recent less earlier.
        rest: The same of all other rows.
        z: The change against the rest of its windows, in standard errors.
        z_rest: The change of all other rows, in standard errors over windows.
        z_all: The same of all rows.
        share: Share of the recent rows that is in it.
        raised: Recent windows in which it lies clearly to that side of the rest.
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
    raised: int
    tested: int
    alone: bool

    @property
    def name(self) -> str:
        """The slice in words."""
        return " & ".join(f"{column}={value}" for column, value in self.conditions)


def bearing(
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
    slice is compared with the rest of the same windows, so that a bad day for everybody is nobody's slice; how much
    that gap varies is taken from the earlier windows, drawn towards how it varies for other slices.

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
        >>> found = bearing(error, np.ones(3000), [cut("shop", shop)], window, np.arange(30) >= 26)
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
    z: float
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
        self.sums, self.known = (np.bincount(windows, part, len(recent)) for part in (score, information))
        self.usual = self._usual()

    def rows(self, conditions: Conditions) -> Ints:
        mask = np.ones(len(self.score), dtype=bool)
        for column, code in conditions:
            mask &= self.codes[column] == code
        return np.flatnonzero(mask)

    def children(self, conditions: Conditions, rows: Ints) -> list[_Measured]:
        """Measure every value of every further column among some rows."""
        taken, count = {column for column, _ in conditions}, len(self.new)
        at, score, information = self.at[rows], self.score[rows], self.information[rows]
        found: list[tuple[list[Conditions], Floats, Floats]] = []
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
            # What comes and goes by the day, weather say, is no part of the rows but a name for some windows.
            for side in (self.new, ~self.new):
                enough &= (counts[:, side] > 0).mean(axis=1) >= _PRESENT
            if enough.any():
                named = [(*conditions, (column, int(code))) for code in np.flatnonzero(enough)]
                found.append((named, sums[enough], known[enough]))
        if not conditions and found:
            self.usual = max(self.usual, self._typical(found))
        return [item for named, sums, known in found for item in self._measured(named, sums, known)]

    def _typical(self, found: Sequence[tuple[Sequence[Conditions], Floats, Floats]]) -> float:
        """Return how slices' windows vary, as a rule: rows of one window and slice share more than their day."""
        spreads = np.concatenate([self._gaps(sums, known)[2] for _, sums, known in found])
        return float(np.median(spreads[np.isfinite(spreads)])) if np.isfinite(spreads).any() else 0.0

    def _measured(self, named: Sequence[Conditions], sums: Floats, known: Floats) -> list[_Measured]:
        z = self._contrast(sums, known)
        weight = known[:, self.new].sum(axis=1) / max(1e-12, float(self.known[self.new].sum()))
        return [_Measured(name, float(z[at]), float(weight[at])) for at, name in enumerate(named) if np.isfinite(z[at])]

    def _contrast(self, sums: Floats, known: Floats) -> Floats:
        """Return the change of slice against rest, window by window, in standard errors."""
        change, heavy, own = self._gaps(sums, known)
        degrees = np.maximum((heavy[:, ~self.new] > 0).sum(axis=1) - 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (np.nan_to_num(own) * degrees + _POOL * self.usual) / (degrees + _POOL)
            error = np.sqrt(spread * sum(1 / heavy[:, side].sum(axis=1) for side in (self.new, ~self.new)))
            return np.asarray(change / error)

    def _gaps(self, sums: Floats, known: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the change of slice against rest, each window's weight in it, and how earlier windows vary."""
        with np.errstate(invalid="ignore", divide="ignore"):
            others, left = self.sums - sums, np.maximum(self.known - known, 0.0)
            gap = sums / known - others / left
            heavy = np.where((known > 0) & (left > 0), 1 / (1 / known + 1 / left), 0.0)
            gap = np.where(heavy > 0, gap, 0.0)
            now, before = (
                (gap * heavy)[:, side].sum(axis=1) / heavy[:, side].sum(axis=1) for side in (self.new, ~self.new)
            )
            off = np.where(heavy[:, ~self.new] > 0, gap[:, ~self.new] - before[:, None], 0.0)
            degrees = np.maximum((heavy[:, ~self.new] > 0).sum(axis=1) - 1, 0)
            own = (heavy[:, ~self.new] * off**2).sum(axis=1) / np.maximum(degrees, 1)
        return now - before, heavy, np.where(degrees > 0, own, np.nan)

    def _usual(self) -> float:
        """Return how rows vary by themselves, per unit of information: what a slice's windows vary by at least."""
        old = ~self.new[self.at]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(self.known > 0, self.sums / self.known, 0.0)[self.at[old]]
        off = self.score[old] - mean * self.information[old]
        return float((off**2).sum() / max(1e-12, float(self.information[old].sum())))

    def told(self, item: _Measured, tested: int) -> Slice:
        inside = np.zeros(len(self.score), dtype=bool)
        inside[self.rows(item.conditions)] = True
        (change, z), (rest, z_rest), (_, z_all) = (
            self._moved(side) for side in (inside, ~inside, np.ones(len(inside), dtype=bool))
        )
        needed = NormalDist().inv_cdf(1 - LEVEL / (2 * max(1, tested)))
        still = abs(rest) < _REST * abs(change) or (abs(z_rest) < _STILL and abs(rest) < abs(change) / 2)
        new = self.new[self.at]
        means = [self._mean(side) for side in (inside, ~inside)]
        return Slice(
            conditions=tuple((self.columns[at].name, self.columns[at].labels[code]) for at, code in item.conditions),
            change=means[0],
            rest=means[1],
            z=item.z,
            z_rest=z_rest,
            z_all=z_all,
            share=float((inside & new).sum() / max(1, new.sum())),
            raised=self._raised(item.conditions, item.z > 0),
            tested=tested,
            alone=abs(item.z) >= needed and still and item.weight <= MOST and abs(z) > _STILL,
        )

    def _raised(self, conditions: Conditions, upwards: bool) -> int:
        rows = self.rows(conditions)
        sums, known = (np.bincount(self.at[rows], part[rows], len(self.new)) for part in (self.score, self.information))
        left = self.known - known
        there = (known > 0) & (left > 0)
        gap = np.zeros(len(self.new))
        gap[there] = sums[there] / known[there] - (self.sums - sums)[there] / left[there]
        usual = gap[there & ~self.new]
        if len(usual) < _FEWEST:
            return 0
        off = (gap - float(np.median(usual))) * (1 if upwards else -1)
        return int((off[there & self.new] > _CLEARLY * float(usual.std(ddof=1))).sum())

    def _moved(self, rows: npt.NDArray[np.bool_]) -> tuple[float, float]:
        """Return the change of some rows per unit of information, and the same in standard errors over windows."""
        count = len(self.new)
        sums, known = (np.bincount(self.at[rows], part[rows], count) for part in (self.score, self.information))
        with np.errstate(invalid="ignore", divide="ignore"):
            each = np.where(known > 0, sums / known, np.nan)
        there = np.isfinite(each)
        sides = [np.flatnonzero(there & side) for side in (~self.new, self.new)]
        if min(map(len, sides)) < 1 or len(sides[0]) < 3:
            return 0.0, 0.0
        before, now = (float(sums[side].sum() / known[side].sum()) for side in sides)
        error = float(each[sides[0]].std(ddof=1)) * math.sqrt(sum(1 / len(side) for side in sides))
        return now - before, (now - before) / error if error > 0 else 0.0

    def _mean(self, rows: npt.NDArray[np.bool_]) -> float:
        """Return the change of the mean score per row."""
        sides = [self.score[rows & side] for side in (self.new[self.at], ~self.new[self.at])]
        return float(sides[0].mean() - sides[1].mean()) if all(map(len, sides)) else 0.0
