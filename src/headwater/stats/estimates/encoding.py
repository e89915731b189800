"""Columns of any kind as small whole numbers: the cells that loss models and density ratios are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

STRANGE = 0.25
"""Share of rows with a value outside of what labelled windows have shown from which an estimate is withheld."""
ENOUGH = 0.1
"""Effective sample size, as a share of the rows, below which reweighted rows stand for nothing."""

_BINS = 16  # quantile cells of a number
_VALUES = 24  # text values that are told apart
_ENOUGH = 30  # rows without which a text value is one of the others
_SPARE = 3  # cells before the first of a column: missing, below or never seen, above


@dataclass(frozen=True)
class Encoding:
    """How columns were cut into cells, learned from reference rows.

    Cell 0 of each column is missing, 1 is below everything seen (or a text never seen), 2 above; then come the
    quantile cells of a number, of which a frequent value has one for itself, or the most frequent values of a text with
    one more cell for the rest that was seen.

    Attributes:
        edges: Of a numeric column: its least and greatest value and the inner edges of its cells.
        values: Of a text column: its values in order of frequency, those with a cell of their own first.
        told: How many values of a text column have a cell of their own.
    """

    edges: Mapping[str, tuple[float, float, tuple[float, ...]]]
    values: Mapping[str, tuple[str, ...]]
    told: Mapping[str, int]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Encoding:
        """Learn from reference rows; columns that are neither numbers, booleans, times nor texts are left out."""
        edges, values, told = {}, {}, {}
        for name in frame.columns:
            column = _plain(frame[name])
            if column is None:
                continue
            if column.dtype == pl.String:
                counts = column.drop_nulls().value_counts(sort=True)
                ordered = counts.sort(["count", name], descending=[True, False])
                values[name] = tuple(ordered[name].to_list())
                told[name] = min(_VALUES, int((ordered["count"] >= _ENOUGH).sum()))
            else:
                there = column.drop_nulls().to_numpy()
                shares = np.linspace(0, 1, _BINS + 1)[1:-1]
                inner = _inner(np.quantile(there, shares)) if len(there) else np.zeros(0)
                bounds = (float(there.min()), float(there.max())) if len(there) else (np.inf, -np.inf)
                edges[name] = (*bounds, tuple(float(edge) for edge in inner))
        return cls(edges, values, told)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of their codes."""
        return (*self.edges, *self.values)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many cells each column has."""
        numbers = [_SPARE + len(inner) + 1 for _, _, inner in self.edges.values()]
        return (*numbers, *(_SPARE + told + 1 for told in self.told.values()))

    def codes(self, frame: pl.DataFrame) -> Codes:
        """Return the cell of each row and column, shape (rows, columns).

        Raises:
            DataError: a column is not there or has become another kind.
        """
        found = np.zeros((frame.height, len(self.columns)), dtype=np.intp)
        for at, name in enumerate(self.columns):
            column = _plain(frame[name]) if name in frame.columns else None
            if column is None or (column.dtype == pl.String) != (name in self.values):
                what = "is not there" if name not in frame.columns else f"is {frame[name].dtype} now"
                raise DataError(f"column `{name}` {what}", doing="comparing rows with those of labelled windows")
            found[:, at] = self._text(name, column) if name in self.values else self._number(name, column)
        return found

    def _number(self, name: str, column: pl.Series) -> Codes:
        low, high, inner = self.edges[name]
        x = column.to_numpy()
        code = np.searchsorted(np.array(inner), x, side="right") + _SPARE
        code = np.where(x < low, 1, np.where(x > high, 2, code))
        return np.where(np.isfinite(x), code, 0)

    def _text(self, name: str, column: pl.Series) -> Codes:
        known, told = self.values[name], self.told[name]
        place = [_SPARE + min(at, told) for at in range(len(known))]
        coded = column.replace_strict(list(known), place, default=1, return_dtype=pl.Int64) if known else None
        found = np.ones(len(column), dtype=np.intp) if coded is None else coded.to_numpy().astype(np.intp)
        return np.where(column.is_null().to_numpy(), 0, found)


@dataclass(frozen=True)
class Rows:
    """A window's rows as cells, for what needs rows: density ratios, and the test whether they are of a known kind.

    Attributes:
        encoding: How columns were cut into cells.
        codes: Cell of each row and column.
        p: Prediction of each row.
        outcome: What became of each row; NaN while that is not known.
    """

    encoding: Encoding
    codes: Codes
    p: Floats
    outcome: Floats

    @cached_property
    def margins(self) -> Floats:
        """Rows in each cell, column after column."""
        parts = [np.bincount(self.codes[:, at], minlength=size) for at, size in enumerate(self.encoding.sizes)]
        return np.concatenate([np.zeros(0), *parts])


def unlike(encoding: Encoding, settled: Sequence[Floats], current: Floats) -> str:
    """Tell why rows are of another kind than all labelled ones, or nothing.

    Column by column: a quarter of the rows more than in any labelled window lie where no labelled row did, below or
    above all of them, or in a text value that is new. A smaller share does not make estimates worse (measured on
    flights, hotels and a shop), and neither does a distribution that merely moved.

    Args:
        encoding: How columns were cut into cells.
        settled: Rows in each cell of each labelled window.
        current: Rows in each cell of the window in question.
    """
    start = 0
    seen = np.add.reduce(settled) > 0
    for name, size in zip(encoding.columns, encoding.sizes, strict=True):
        place = slice(start, start + size)
        start += size
        usual = max(float(_shares(window[place])[1:_SPARE].sum()) for window in settled)
        now = _shares(current[place])
        strange = float(now[1:_SPARE].sum() + now[_SPARE:][~seen[place][_SPARE:]].sum())
        if strange - usual > STRANGE:
            return f"{strange:.0%} of the rows have a `{name}` outside of what labelled rows had"
    return ""


def _inner(quantiles: Floats) -> Floats:
    """Return inner edges; a value that more than one cell's rows share has a cell of its own, like no rain."""
    edges, times = np.unique(quantiles, return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[times > 1], np.inf)]))


def _shares(counts: Floats) -> Floats:
    total = float(counts.sum())
    shares: Floats = counts / total if total > 0 else counts
    return shares


def _plain(column: pl.Series) -> pl.Series | None:
    """A column as floats with missing ones NaN, or as text; None for what is neither."""
    if column.dtype == pl.String or column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype.is_temporal():
        return column.to_physical().cast(pl.Float64)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        number = column.cast(pl.Float64)
        return number.set(~number.is_finite(), None) if number.null_count() < len(number) else number
    return None
