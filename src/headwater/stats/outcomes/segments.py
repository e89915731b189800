"""Find the part of the rows that does worse than it did: conditions on up to three columns, with few false ones.

What is compared is a number per row (a loss, an error), less its window's mean, so that a bad day for everybody is
nobody's segment. A segment's change is its mean in the recent windows less its mean in the earlier ones; windows are
the independent unit, not rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BINS = 5
VALUES = 40
"""Values of a column that are told apart; rarer ones are no segment of their own."""
BEAM = 12
_SHARES = (1 / 2, 1 / 3, 1 / 6)  # of the false discovery rate, for segments of one, two and three conditions
_SIMPLER = 0.85  # a simpler segment is preferred when it tells at least so much of what the best one does
_EXTRA = 3.5  # standard errors that must remain of a segment when those found before it are taken into account
_WINDOWS = 5
_LAGS = 4  # windows before, of which a segment's error takes in what they share


@dataclass(frozen=True, slots=True)
class Column:
    """A column cut into values: the code of each row (-1: none), and what the codes mean."""

    name: str
    codes: npt.NDArray[np.int16]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that changed.

    Attributes:
        conditions: (column, value) pairs, e.g. ``(("origin", "JFK"), ("hour", "18 to 21"))``.
        target: Which number per row changed.
        change: Its mean in the recent windows less that in the earlier ones, beyond what the rest of the rows did.
        error: Standard error of the change, windows as blocks.
        shrunk: The change without what chance adds to the largest of many.
        p: p-value of the change alone (two-sided t over windows).
        rows: Rows of the segment in the recent windows.
        share: Share of the recent rows.
        tested: Segments that were candidates.
    """

    conditions: tuple[tuple[str, str], ...]
    target: str
    change: float
    error: float
    shrunk: float
    p: float
    rows: int
    share: float
    tested: int

    @property
    def name(self) -> str:
        """The segment in words, e.g. ``origin=JFK & hour=18 to 21``."""
        return " & ".join(f"{column}={value}" for column, value in self.conditions)


def cut(name: str, values: Sequence[Any] | npt.NDArray[Any], edges: Sequence[float] | None = None) -> Column:
    """Cut a column into at most 40 values: texts as they are, numbers by ``edges`` or into fifths of what is there.

    Numbers with at most 12 distinct values stay as they are. Nulls and NaN are a value of their own, called ``null``.

    Example:
        >>> column = cut("hour", [1.0, 2.0, 30.0, None], edges=[10.0])
        >>> column.labels, column.codes.tolist()
        (('below 10', '10 and more', 'null'), [0, 0, 1, 2])
    """
    given = np.asarray(values)
    if given.dtype.kind in "biuf" or (given.dtype == object and _numeric(given)):
        return _cut_numbers(name, np.array(given, dtype=np.float64), edges)
    text = np.array(["null" if item is None else str(item) for item in given.tolist()])
    labels, codes, counts = np.unique(text, return_inverse=True, return_counts=True)
    return _most(name, codes, [str(label) for label in labels], counts)


def _numeric(values: npt.NDArray[Any]) -> bool:
    return all(item is None or isinstance(item, (int, float)) for item in values.tolist())


def _cut_numbers(name: str, values: Floats, edges: Sequence[float] | None) -> Column:
    known = np.isfinite(values)
    distinct = np.unique(values[known][:100_000])
    codes = np.full(len(values), -1, dtype=np.int64)
    if edges is None and len(distinct) <= 12 and np.isin(values[known], distinct).all():
        codes[known] = np.searchsorted(distinct, values[known])
        labels = [f"{value:g}" for value in distinct]
    else:
        if edges is None:
            edges = np.quantile(values[known], np.arange(1, BINS) / BINS).tolist() if known.any() else []
        steps = np.unique(np.asarray(edges, dtype=np.float64))
        codes[known] = np.searchsorted(steps, values[known], side="right")
        labels = _ranges(steps.tolist())
    codes[~known] = len(labels)
    counts = np.bincount(codes, minlength=len(labels) + 1)
    return _most(name, codes, [*labels, "null"], counts)


def _ranges(steps: Sequence[float]) -> list[str]:
    if not steps:
        return ["any"]
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(steps)]
    return [f"below {steps[0]:g}", *between, f"{steps[-1]:g} and more"]


def _most(name: str, codes: Ints, labels: Sequence[str], counts: Ints) -> Column:
    """Number the most frequent values anew; the others belong to no segment."""
    kept = [int(code) for code in np.sort(np.argsort(-counts, kind="stable")[:VALUES]) if counts[code]]
    renamed = np.full(len(labels), -1, dtype=np.int16)
    renamed[kept] = np.arange(len(kept), dtype=np.int16)
    return Column(name, renamed[codes], tuple(labels[code] for code in kept))


def find(
    targets: Mapping[str, Floats],
    columns: Sequence[Column],
    windows: Sequence[Any] | npt.NDArray[Any],
    recent: Sequence[Any],
    *,
    level: float = 0.05,
    depth: int = 3,
    least: int = 50,
    most: int = 10,
) -> list[Segment]:
    """Return the segments whose numbers changed, the clearest first, each told once.

    Benjamini-Hochberg over all segments that have enough rows, searched or not (those that the beam passed by count
    with p = 1, which can only make it stricter); segments of one, two and three conditions have a half, a third and a
    sixth of the level. A segment is left out when the ones before it explain it: inside one of them, around it, or
    mostly the same rows. The rate holds for independent or positively dependent segments, as overlapping ones are; it
    is checked by permuting the windows of clean flights. A beam finds a pair of conditions only through one of its
    single ones: a change that cancels out in both is missed.

    Args:
        targets: Numbers per row by name; what is not finite is left out.
        columns: The columns to cut by, see `cut`.
        windows: The window of each row.
        recent: The windows that are compared with all others; five of each kind are the least.
        level: Wanted false discovery rate.
        depth: Most conditions of a segment.
        least: Rows that a segment must have in the recent windows, and in the earlier ones.
        most: Segments to return.

    Raises:
        UsageError: lengths differ.

    References:
        Benjamini, Hochberg (1995), JRSS B 57; weights: Genovese, Roeder, Wasserman (2006), False discovery control with
        p-value weighting, Biometrika 93; search: Lemmerich, Atzmueller, Puppe (2016), Fast exhaustive subgroup
        discovery, DMKD 30 (beam and support pruning); shrinkage: James, Stein (1961).

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> window, shop = np.repeat(np.arange(40), 100), random.choice(list("abcd"), 4000)
        >>> error = random.normal(size=4000) + 1.0 * ((window >= 26) & (shop == "b"))
        >>> [one.name for one in find({"error": error}, [cut("shop", shop)], window, range(26, 40))]
        ['shop=b']
    """
    names, at = np.unique(np.asarray(windows), return_inverse=True)
    new = np.isin(names, np.asarray(list(recent)))
    for column in columns:
        if len(column.codes) != len(at):
            raise UsageError(f"column `{column.name}` has {len(column.codes)} rows for {len(at)} windows")
    if new.sum() < _WINDOWS or (~new).sum() < _WINDOWS:
        return []
    found: list[Segment] = []
    for name, values in targets.items():
        if len(values) != len(at):
            raise UsageError(f"target `{name}` has {len(values)} rows for {len(at)} windows")
        search = _Search(name, np.asarray(values, dtype=np.float64), columns, at, new, least)
        found += search.run(level / len(targets), min(depth, len(columns), 3), most)
    return sorted(found, key=lambda one: one.p)[:most]


@dataclass(slots=True)
class _Candidate:
    conditions: tuple[tuple[int, int], ...]
    t: float
    p: float
    change: float
    error: float
    rows: int


class _Search:
    def __init__(self, name: str, values: Floats, columns: Sequence[Column], at: Ints, new: Any, least: int) -> None:
        known = np.isfinite(values)
        self.name, self.columns, self.new, self.least = name, columns, new, least
        self.at, values = at[known], values[known]
        self.codes = [column.codes[known].astype(np.int64) for column in columns]
        self.counts = np.maximum(np.bincount(self.at, minlength=len(new)), 1)
        self.values = self._centred(values)
        self.degrees = int(min(new.sum(), (~new).sum())) - 1
        self.recent = int(new[self.at].sum())

    def _centred(self, values: Floats) -> Floats:
        centred: Floats = (
            values - (np.bincount(self.at, weights=values, minlength=len(self.new)) / self.counts)[self.at]
        )
        return centred

    def run(self, level: float, depth: int, most: int) -> list[Segment]:
        layers: list[list[_Candidate]] = []
        sizes: list[int] = []
        everything = np.arange(len(self.values))
        for deep in range(1, depth + 1):
            if deep == 1:
                layer = self._children((), everything, 0)
                sizes.append(len(layer))
            else:
                parents = sorted(layers[-1], key=lambda item: -abs(item.t))[:BEAM]
                unique = {
                    tuple(sorted(child.conditions)): child
                    for parent in parents
                    for child in self._children(parent.conditions, self._rows(parent.conditions), None)
                }
                layer = list(unique.values())
                sizes.append(max(len(layer), self._possible(layers[0], deep)))
            layers.append(layer)
        chosen = [
            item
            for layer, size, share in zip(layers, sizes, _SHARES[: len(layers)], strict=True)
            for item in _benjamini_hochberg(layer, size, level * share / sum(_SHARES[: len(layers)]))
        ]
        return self._told_once(chosen, sum(sizes), most)

    def _possible(self, singles: Sequence[_Candidate], deep: int) -> int:
        """Bound how many segments of a depth have enough rows: all combinations of single conditions that have."""
        by_column: dict[int, int] = {}
        for item in singles:
            by_column[item.conditions[0][0]] = by_column.get(item.conditions[0][0], 0) + 1
        whole = [1] + [0] * deep
        for size in by_column.values():
            for done in range(deep, 0, -1):
                whole[done] += whole[done - 1] * size
        return whole[deep]

    def _rows(self, conditions: Sequence[tuple[int, int]]) -> Ints:
        mask = np.ones(len(self.values), dtype=bool)
        for column, code in conditions:
            mask &= self.codes[column] == code
        return np.flatnonzero(mask)

    def _children(self, conditions: tuple[tuple[int, int], ...], rows: Ints, first: int | None) -> list[_Candidate]:
        """Measure every value of every further column among some rows."""
        taken = {column for column, _ in conditions}
        at, values = self.at[rows], self.values[rows]
        windows, found = len(self.new), []
        for column in range(len(self.columns)):
            kinds = len(self.columns[column].labels)
            if column in taken or not kinds:
                continue
            codes = self.codes[column][rows]
            place = (codes + 1) * windows + at
            counts = np.bincount(place, minlength=(kinds + 1) * windows).reshape(kinds + 1, windows)[1:]
            sums = np.bincount(place, weights=values, minlength=(kinds + 1) * windows).reshape(kinds + 1, windows)[1:]
            enough = (counts[:, self.new].sum(axis=1) >= self.least) & (counts[:, ~self.new].sum(axis=1) >= self.least)
            enough &= counts.sum(axis=1) < len(rows)  # a condition that all rows meet is none
            if enough.any():
                named = [(*conditions, (column, int(code))) for code in np.flatnonzero(enough)]
                found += self._measured(named, counts[enough], sums[enough])
        return found

    def _measured(self, named: Sequence[tuple[tuple[int, int], ...]], counts: Ints, sums: Floats) -> list[_Candidate]:
        """Measure segments from their rows and sums per window, both of shape (segments, windows)."""
        (recent, one), (before, other) = (_mean(counts[:, side], sums[:, side]) for side in (self.new, ~self.new))
        rows = counts[:, self.new].sum(axis=1)
        # The windows' means, from which all is measured, hold the segment itself: against the rest it moved by more.
        against = 1 / (1 - np.minimum(rows / max(1, self.recent), 0.99))
        change, error = (recent - before) * against, np.sqrt(one + other) * against
        found = []
        for at in np.flatnonzero((error > 0) & np.isfinite(error)).tolist():
            t = float(change[at] / error[at])
            p = two_sided(abs(t), self.degrees) if abs(t) > 2 else 1.0  # no segment is chosen by that
            found.append(_Candidate(named[at], t, p, float(change[at]), float(error[at]), int(rows[at])))
        return found

    def _told_once(self, chosen: Sequence[_Candidate], tested: int, most: int) -> list[Segment]:
        """Tell the simplest of the clearest, take its change out of the rows, and look at what remains."""
        found: list[Segment] = []
        left = {item.conditions: item for item in chosen}
        whole = dict(left)
        while left and len(found) < most:
            best = max(abs(item.t) for item in left.values())
            if best < _EXTRA:
                break
            near = [item for item in left.values() if abs(item.t) >= _SIMPLER * best]
            told = min(near, key=lambda item: (len(item.conditions), -abs(item.t)))
            found.append(self._segment(replace(told, p=whole[told.conditions].p), tested))
            rows = self._rows(told.conditions)
            self.values[rows] -= np.where(self.new[self.at[rows]], told.change, 0.0)
            self.values = self._centred(self.values)  # what it did to its windows' means is not the others' doing
            del left[told.conditions]
            for conditions in list(left):
                again = self._again(conditions)
                if again is None or abs(again.t) < _EXTRA:
                    del left[conditions]
                else:
                    left[conditions] = again
        return found

    def _again(self, conditions: tuple[tuple[int, int], ...]) -> _Candidate | None:
        rows = self._rows(conditions)
        counts = np.bincount(self.at[rows], minlength=len(self.new))
        sums: Floats = np.bincount(self.at[rows], weights=self.values[rows], minlength=len(self.new)).astype(np.float64)
        return next(iter(self._measured([conditions], counts[None], sums[None])), None)

    def _segment(self, item: _Candidate, tested: int) -> Segment:
        named = sorted(
            (self.columns[column].name, self.columns[column].labels[code]) for column, code in item.conditions
        )
        kept = max(0.0, 1 - 1 / item.t**2)
        return Segment(
            conditions=tuple(named),
            target=self.name,
            change=item.change,
            error=item.error,
            shrunk=item.change * kept,
            p=item.p,
            rows=item.rows,
            share=item.rows / max(1, self.recent),
            tested=tested,
        )


def _mean(counts: Ints, sums: Floats) -> tuple[Floats, Floats]:
    """Return the means over rows and their squared standard errors, windows as blocks (ratio estimate).

    What a window shares with those before it counts as well where it makes the error larger: with as few windows as
    these, that takes in a part of a long memory only.

    References:
        Newey, West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
        covariance matrix, Econometrica 55.
    """
    blocks, n = (counts > 0).sum(axis=1), counts.sum(axis=1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums.sum(axis=1) / n
        apart = sums - mean[:, None] * counts
        shared = np.zeros(len(mean))
        for lag in range(1, min(_LAGS, apart.shape[1] - 1) + 1):
            shared += 2 * (1 - lag / (_LAGS + 1)) * (apart[:, lag:] * apart[:, :-lag]).sum(axis=1)
        off = (apart**2).sum(axis=1) + np.maximum(shared, 0.0)
        error = np.where(blocks >= _WINDOWS, blocks / (blocks - 1) * off / n**2, np.inf)
    return mean, error


def _benjamini_hochberg(layer: Sequence[_Candidate], size: int, level: float) -> list[_Candidate]:
    ordered = sorted(layer, key=lambda item: item.p)
    passed = [rank for rank, item in enumerate(ordered, start=1) if item.p <= level * rank / max(size, 1)]
    return ordered[: passed[-1]] if passed else []


def two_sided(t: float, degrees: int) -> float:
    """Return the chance that Student's t, with whole degrees of freedom, is beyond ``t`` on either side.

    Precise in the tail, where one less a share would be 0.

    References:
        Abramowitz, Stegun (1964), 26.5.8 and 26.7.1: the incomplete beta function.

    Example:
        >>> round(two_sided(2.160368656, 13), 6)
        0.05
    """
    if not math.isfinite(t):
        return 0.0 if t == math.inf else 1.0
    x = degrees / (degrees + t * t)
    return _incomplete_beta(degrees / 2, 0.5, x)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for step in range(1, 300):
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * value / a


def _away(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
