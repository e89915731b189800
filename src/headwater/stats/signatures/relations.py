"""Exact relations between a table's columns: sums and factors, and lookups by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from headwater.core.canonical import digest
from headwater.stats.signatures.calendars import sample
from headwater.stats.signatures.views import Floats, Ints, View
from headwater.stats.signatures.vocabulary import Vocabulary

_SAMPLE = 3000
_MISSED = 0.01


@dataclass(frozen=True)
class Linear:
    """A numeric column that is a weighted sum of others (one factor, or a total of its parts)."""

    column: str
    weights: Mapping[str, float]
    constant: float
    tolerance: float

    def expected(self, view: View) -> Floats:
        """Return the values that follow from the other columns."""
        total = np.full(view.height, self.constant)
        for name, weight in self.weights.items():
            total = total + weight * view.number(name)
        return cast(Floats, total)


@dataclass(frozen=True)
class Lookup:
    """An attribute that an id determines: ``values[code of the id]`` is the attribute (a number, or a code)."""

    by: str
    column: str
    values: Floats = field(compare=False)

    def expected(self, codes: Ints) -> Floats:
        """Return the attribute for each id code, NaN where the id is not known."""
        found = np.full(len(codes), np.nan)
        known = (codes >= 0) & (codes < len(self.values))
        found[known] = self.values[codes[known]]
        return found


def find_linear(columns: Mapping[str, Floats]) -> list[Linear]:
    """Find the columns that are exactly a factor times another, or a weighted sum of others."""
    names = [name for name, values in columns.items() if np.isfinite(values).mean() > 0.7 and np.nanstd(values) > 0]
    if len(names) < 2:
        return []
    rows = sample(len(columns[names[0]]), _SAMPLE // 4)
    matrix = np.column_stack([columns[name][rows] for name in names])
    matrix = matrix[np.isfinite(matrix).all(axis=1)]
    if not len(matrix):
        return []
    varies = np.ptp(matrix, axis=0) > 0
    matrix, names = matrix[:, varies], [name for name, yes in zip(names, varies, strict=True) if yes]
    if len(matrix) < 10 * len(names):
        return []
    found: list[Linear] = []
    for place, name in enumerate(names):
        others = [index for index in range(len(names)) if index != place]
        relation = _exact(name, place, others, names, matrix)
        ordinary = np.mean(matrix[:, place] == np.median(matrix[:, place])) < 0.7
        if relation and ordinary and not any({name, *relation.weights} == {one.column, *one.weights} for one in found):
            found.append(relation)
    return found


def _exact(name: str, place: int, others: list[int], names: list[str], matrix: Floats) -> Linear | None:
    target, spread = matrix[:, place], matrix.std(axis=0)
    used = others
    for _ in range(3):
        design = np.column_stack([matrix[:, used] / spread[used], np.ones(len(matrix))])
        solution, *_ = np.linalg.lstsq(design, target, rcond=1e-10)
        residual = np.abs(design @ solution - target)
        if np.quantile(residual, 0.9) > 1e-4 * spread[place]:
            # A few odd rows tilt a least-squares plane; fit again on the rows that lie on it.
            near = residual <= np.quantile(residual, 0.8)
            solution, *_ = np.linalg.lstsq(design[near], target[near], rcond=1e-10)
            residual = np.abs(design @ solution - target)
        keep = [index for index, weight in zip(used, solution, strict=False) if abs(weight) > 1e-3 * spread[place]]
        if keep == used or not keep:
            break
        used = keep
    tolerance = 1e-6
    if np.mean(residual > tolerance * np.maximum(1.0, np.abs(target))) > _MISSED or not keep or keep != used:
        return None
    weights = {
        names[index]: float(np.round(weight / spread[index], 9)) for index, weight in zip(used, solution, strict=False)
    }
    return Linear(name, weights, float(np.round(solution[-1], 9)), 2e-6)


def find_lookups(
    codes: Mapping[str, Ints], vocabularies: Mapping[str, Vocabulary], attributes: Mapping[str, Floats]
) -> list[Lookup]:
    """Find the attributes that an id determines.

    Args:
        codes: Row codes of the columns that may be ids.
        vocabularies: Their vocabularies.
        attributes: Values (numbers, or codes as numbers; NaN for null) of all columns that may be attributes.
    """
    found = []
    seen: set[str] = set()
    for by, rows in codes.items():
        size = vocabularies[by].values.len()
        # An id must repeat, and there must be enough of them that the map is not chance.
        if size < (20 if vocabularies[by].numeric else 4) or (rows >= 0).sum() < 3 * size:
            continue
        for column, values in attributes.items():
            if column == by:
                continue
            relation = _lookup(by, column, rows, values, size)
            if relation is not None:
                mark = digest([column, by])
                if mark not in seen:
                    seen.add(mark)
                    found.append(relation)
    return found


def _lookup(by: str, column: str, rows: Ints, values: Floats, size: int) -> Lookup | None:
    if len(rows) > _SAMPLE:
        few = sample(len(rows), _SAMPLE)
        if _fit_lookup(rows[few], values[few], size) is None:
            return None
    fitted = _fit_lookup(rows, values, size)
    return None if fitted is None else Lookup(by, column, fitted)


def _fit_lookup(rows: Ints, values: Floats, size: int) -> Floats | None:
    given = (rows >= 0) & np.isfinite(values)
    ids, own = rows[given], values[given]
    if len(ids) < 20:
        return None
    first = np.full(size, np.nan)
    first[ids[::-1]] = own[::-1]
    wrong = first[ids] != own
    if wrong.mean() > _MISSED:
        return None
    used = first[np.isfinite(first)]
    # A constant attribute, or one that most ids share, is not determined by the id.
    for values_seen in (used, own):
        _, counts = np.unique(values_seen, return_counts=True)
        if counts.max() > 0.8 * len(values_seen):
            return None
    return first
