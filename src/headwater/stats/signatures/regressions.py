"""How well a table's numeric columns agree with one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from headwater.stats.signatures.views import Floats, View

_RIDGE = 1e-3
_WORTH, _TOLD = 0.5, 0.85
_WIDE = 100  # columns from which one fit has to do for all


@dataclass(frozen=True)
class Consistency:
    """Each numeric column predicted from the others by ridge regression, where that explains at least half of it.

    A change of unit in one column breaks its agreement with the others; a storm, which moves them together, does not.
    """

    columns: Sequence[str]
    means: Floats
    spreads: Floats
    weights: Floats
    explained: Sequence[str]

    @classmethod
    def of(cls, columns: Mapping[str, Floats]) -> Consistency | None:
        """Fit on the pooled reference rows; None when no column is explained by the others."""
        names = [name for name, values in columns.items() if np.isfinite(values).mean() > 0.2]
        names = [name for name in names if np.nanstd(columns[name]) > 0]
        if len(names) < 2:
            return None
        matrix = np.column_stack([columns[name] for name in names])
        means = np.nanmedian(matrix, axis=0)
        spreads = _spread(matrix)
        scaled = (matrix - means) / spreads
        given = np.isfinite(scaled)
        # Outliers would steer the fit; nulls say nothing and stand at the middle.
        scaled = np.clip(np.where(given, scaled, 0.0), -5, 5)
        weights = _weights(scaled, given)
        with np.errstate(invalid="ignore", divide="ignore"):
            left = _mean_square(scaled - scaled @ weights, given) / np.maximum(_mean_square(scaled, given), 1e-12)
        told = 1 - left >= _WORTH
        weights[:, ~told] = 0.0
        explained = [name for name, there in zip(names, told, strict=True) if there]
        return cls(names, means, spreads, weights, explained) if explained else None

    def touches(self, columns: Collection[str] | None) -> bool:
        """Tell whether a change of these columns can change the metrics."""
        return columns is None or bool(set(columns) & set(self.columns))

    def _scaled(self, view: View) -> Floats:
        present = [view.present(name) for name in self.columns]
        columns = [
            view.number(name) if here else np.full(view.height, np.nan)
            for name, here in zip(self.columns, present, strict=True)
        ]
        return (np.column_stack(columns) - self.means) / self.spreads

    def predicted(self, view: View, column: str) -> Floats | None:
        """Return what a column's values would be by the others; None for a column that they do not explain."""
        if column not in self.explained:
            return None
        place = list(self.columns).index(column)
        scaled = self._scaled(view)
        scaled = np.clip(np.where(np.isfinite(scaled), scaled, 0.0), -1e3, 1e3)
        return cast(Floats, (scaled @ self.weights[:, place]) * self.spreads[place] + self.means[place])

    def metrics(self, view: View) -> dict[str, float]:
        """Return, per explained column, the median residual (``fit``) and the 75 % size of residuals (``scatter``)."""
        scaled = self._scaled(view)
        given = np.isfinite(scaled)
        scaled = np.where(given, scaled, 0.0)
        residuals = scaled - np.clip(scaled, -1e3, 1e3) @ self.weights
        size = np.abs(self.weights)
        # A row says nothing about agreement where most of what a column is predicted from is null.
        told = given @ size > _TOLD * size.sum(axis=0)
        result = {}
        for place, name in enumerate(self.columns):
            rows = given[:, place] & told[:, place]
            if name in self.explained and rows.sum() > 0.2 * given[:, place].sum():
                own = residuals[rows, place]
                result[f"fit:{name}"] = float(abs(np.median(own)))
                result[f"scatter:{name}"] = float(np.quantile(np.abs(own), 0.75))
        return result


def _weights(scaled: Floats, given: npt.NDArray[np.bool_]) -> Floats:
    """Return each column's ridge weights on the others, fitted on the rows in which it is given.

    Columns given in the same rows share one inverse: by its blocks, column j of the inverse over minus its diagonal is
    what a solution for j alone gives, at a cost that k columns would pay k times. Of a wide table all columns share one
    even so, and their nulls stand at the middle.
    """
    count = scaled.shape[1]
    weights = np.zeros((count, count))
    groups: dict[bytes, list[int]] = defaultdict(list)
    for place in range(count):
        rows = given[:, place] if count <= _WIDE else np.ones(len(scaled), dtype=bool)
        groups[rows.tobytes()].append(place)
    for key, places in groups.items():
        design = scaled[np.frombuffer(key, dtype=bool)]
        precision = np.linalg.inv(design.T @ design + _RIDGE * len(design) * np.eye(count))
        weights[:, places] = -precision[:, places] / precision[places, places]
        weights[places, places] = 0.0
    return weights


def _mean_square(values: Floats, given: npt.NDArray[np.bool_]) -> Floats:
    return cast(Floats, (np.where(given, values, 0.0) ** 2).sum(axis=0) / given.sum(axis=0))


def _spread(matrix: Floats) -> Floats:
    low, high = np.nanquantile(matrix, [0.05, 0.95], axis=0)
    spread = (high - low) / 3.3
    return cast(Floats, np.where(spread > 0, spread, np.nanstd(matrix, axis=0)))
