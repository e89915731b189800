"""The values a column is known to take, with the windows they were seen in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from headwater.stats.signatures.views import Floats, Ints, View, numbers, texts

UNSEEN, NULL = -1, -2
TOP = 200
_CODED = 50


@dataclass
class Vocabulary:
    """Distinct values of one column, the most frequent first; the place in that order is the value's code.

    Attributes:
        values: The values, as strings for categories and floats for numbers.
        windows: In how many reference windows each value occurs.
        by_window: Row counts of the first ``TOP`` values, one row per reference window.
        rows: Rows that are not null per reference window.
        numeric: Whether the values are numbers.
        coded: Whether so few values occur that they are codes rather than amounts.
    """

    values: pl.Series
    windows: Ints
    by_window: Ints
    rows: Ints
    numeric: bool
    coded: bool

    @classmethod
    def of(cls, series: pl.Series, window: Ints, count: int) -> tuple[Vocabulary, Ints]:
        """Build the vocabulary of a pooled column; also return the code of every row."""
        numeric = series.dtype.is_numeric()
        values = pl.Series("value", numbers(series)).fill_nan(None) if numeric else texts(series).alias("value")
        table = (
            pl.DataFrame({"value": values, "window": window})
            .drop_nulls("value")
            .group_by("value")
            .agg(pl.len().alias("rows"), pl.col("window").n_unique().alias("windows"))
            .sort(["rows", "value"], descending=[True, False])
        )
        total = table.height
        coded = total <= _CODED and (not numeric or _whole(table.get_column("value"), series.len()))
        empty = np.zeros((count, min(total, TOP)), dtype=np.int64)
        found = cls(
            table.get_column("value"),
            table.get_column("windows").to_numpy(),
            empty,
            np.zeros(count, dtype=np.int64),
            numeric,
            coded,
        )
        codes = found.codes_of(values)
        known = codes >= 0
        found.rows = np.bincount(window[known], minlength=count)
        top = empty.shape[1]
        if top:
            inside = known & (codes < top)
            flat = np.bincount(window[inside] * top + codes[inside], minlength=count * top)
            found.by_window = flat.reshape(count, top)
        return found, codes

    def codes_of(self, series: pl.Series) -> Ints:
        """Return each row's code; `UNSEEN` for other values and `NULL` for nulls."""
        if series.len() == 0:
            return np.zeros(0, dtype=np.int64)
        if self.numeric:
            return self.near(numbers(series), 0.0)
        values = texts(series)
        if self.values.len() == 0:
            codes = np.full(values.len(), UNSEEN, dtype=np.int64)
        else:
            order = pl.Series(np.arange(self.values.len()), dtype=pl.Int64)
            codes = values.replace_strict(self.values, order, default=UNSEEN, return_dtype=pl.Int64).to_numpy().copy()
        codes[values.is_null().to_numpy()] = NULL
        return cast(Ints, codes)

    def near(self, values: Floats, tolerance: float, part: float = 1e-6) -> Ints:
        """Return the code of the nearest known number within a tolerance, at least a part of the number."""
        codes = np.full(len(values), NULL, dtype=np.int64)
        given = np.isfinite(values)
        if not given.any():
            return codes
        known, order = self._sorted()
        if not len(known):
            codes[given] = UNSEEN
            return codes
        asked = values[given]
        right = np.searchsorted(known, asked).clip(0, len(known) - 1)
        left = (right - 1).clip(0)
        nearest = np.where(np.abs(known[left] - asked) < np.abs(known[right] - asked), left, right)
        close = np.abs(known[nearest] - asked) <= np.maximum(tolerance, part * np.maximum(np.abs(asked), 1e-3))
        codes[given] = np.where(close, order[nearest], UNSEEN)
        return codes

    def _sorted(self) -> tuple[Floats, Ints]:
        cached = getattr(self, "_cache", None)
        if cached is None:
            values = self.values.to_numpy()
            order = np.argsort(values)
            cached = (values[order], order)
            self._cache = cached
        return cast("tuple[Floats, Ints]", cached)

    def codes(self, view: View, column: str) -> Ints:
        """Return the codes of a view's column, made once."""
        slot = f"codes\0{column}"
        if slot not in view.arrays:
            view.arrays[slot] = (
                self.near(view.number(column), 0.0) if self.numeric else self.codes_of(view.frame.get_column(column))
            )
        return cast(Ints, view.arrays[slot])

    def shares(self, without: int | None = None) -> Floats:
        """Return the pooled shares of the first `TOP` values, optionally without one reference window."""
        counts, rows = self.by_window.sum(axis=0), int(self.rows.sum())
        if without is not None:
            counts, rows = counts - self.by_window[without], rows - int(self.rows[without])
        return cast(Floats, counts / max(rows, 1))

    def steady(self, code: int, rows: float) -> bool:
        """Tell whether a value comes so regularly that its absence would be strange: never few rows of so many."""
        shares = self.by_window[:, code] / np.maximum(self.rows, 1)
        least = float(shares.min())
        return least * rows >= 20 or (least * rows >= 6 and least >= 0.4 * float(np.median(shares)))

    def typical(self) -> Floats:
        """Return the median share over windows of each of the first `TOP` values."""
        if not self.by_window.size:
            return np.zeros(0)
        return cast(Floats, np.median(self.by_window / np.maximum(self.rows, 1)[:, None], axis=0))


def _whole(values: pl.Series, rows: int) -> bool:
    array = values.to_numpy()
    return bool(len(array) and np.all(array == np.round(array)) and len(array) <= max(2, rows / 5))
