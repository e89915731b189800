"""The loss of a regression expected from what is scored, learned on labelled windows (DLE)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, UsageError
from headwater.stats.estimates.cbpe import checked
from headwater.stats.estimates.encoding import Encoding, unlike
from headwater.stats.estimates.estimation import Point
from headwater.stats.estimates.recalibration import sums

Floats = npt.NDArray[np.float64]

PREDICTION = "prediction"
"""Name of the prediction among the columns that the loss is learned from."""
_RIDGE = 30.0  # rows' worth of belief that a cell is like the others
_ENOUGH = 200
_FARTHEST = 1e70  # the sum of fourth powers of larger errors leaves the range of a float


def encoding_of(features: pl.DataFrame, prediction: Floats) -> Encoding:
    """Learn the cells of features and predictions from reference rows, e.g. the first labelled windows."""
    return Encoding.of(_joined(features, prediction))


@dataclass(frozen=True)
class Losses:
    """One scored window of a regression as sums: an additive model of the loss needs no more. Windows add up.

    Attributes:
        encoding: How columns were cut into cells; the same for all windows that are compared.
        n: Rows.
        margins: Rows in each cell, column after column.
        pairs: Rows in each pair of cells; None without labels.
        by_cell: Of each loss its sum in each cell.
        total: Of each loss its sum.
        squares: Of each loss the sum of its squares.
    """

    encoding: Encoding
    n: int
    margins: Floats
    pairs: Floats | None = None
    by_cell: Mapping[str, Floats] = field(default_factory=dict)
    total: Mapping[str, float] = field(default_factory=dict)
    squares: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, encoding: Encoding, features: pl.DataFrame, prediction: Floats, outcome: Floats | None = None
    ) -> Losses:
        """Sum up a window; losses are ``mae`` (absolute), ``mse`` (squared) and ``bias`` (outcome less prediction).

        Args:
            encoding: See `encoding_of`.
            features: What the model was given.
            prediction: What it predicted.
            outcome: What became of it; None while labels are to come. Rows without label are to be left out.

        Raises:
            DataError: numbers are missing or out of all proportion, or a column is not there or has become another
                kind.
        """
        n = features.height
        f = checked("prediction", prediction, n, low=None)
        codes = encoding.codes(_joined(features, f))
        sizes = encoding.sizes
        starts = np.r_[0, np.cumsum(sizes)[:-1]].astype(np.intp)
        place = codes + starts
        cells = int(sum(sizes))
        if outcome is None:
            return cls(encoding, n, np.bincount(place.ravel(), minlength=cells).astype(np.float64))
        with np.errstate(over="ignore"):
            error = checked("outcome", outcome, n, low=None) - f
        if n and np.abs(error).max() > _FARTHEST:
            raise DataError(
                f"an outcome lies {np.abs(error).max():.3g} from its prediction",
                hint="no loss can be estimated from that; leave such rows out and count them",
            )
        losses = {"mae": np.abs(error), "mse": error**2, "bias": error}
        pairs = np.zeros((cells, cells))
        for i, size in enumerate(sizes):
            for j in range(i + 1):
                both = np.bincount(codes[:, i] * sizes[j] + codes[:, j], minlength=size * sizes[j])
                block = both.reshape(size, sizes[j]).astype(np.float64)
                rows, columns = slice(starts[i], starts[i] + size), slice(starts[j], starts[j] + sizes[j])
                pairs[rows, columns], pairs[columns, rows] = block, block.T
        return cls(
            encoding,
            n,
            pairs.diagonal().copy(),
            pairs,
            {name: sums(place.ravel(), np.repeat(loss, len(sizes)), cells) for name, loss in losses.items()},
            {name: float(loss.sum()) for name, loss in losses.items()},
            {name: float((loss**2).sum()) for name, loss in losses.items()},
        )


@dataclass(frozen=True)
class Dle:
    """Direct loss estimation: learn on labelled windows how large the loss is where, then look where the rows are.

    The loss model is additive over cells of the features and of the prediction, by ridge regression; its mean over a
    window needs the window's margins only.

    It misleads when the loss hangs on a combination of columns that none of them shows, and with few labelled rows in
    the cells that matter.

    Args:
        memory: Weight of a labelled window relative to the one after it.
        by: ``features``, or ``prediction``: learn from the prediction alone, which needs fewer labels.

    References:
        The idea of a model of the loss is NannyML's DLE (2022); the additive form is that of Hastie, Tibshirani (1990),
        Generalized Additive Models, ch. 4, on cells.
    """

    memory: float = 1.0
    by: str = "features"

    def __post_init__(self) -> None:
        if self.by not in ("features", PREDICTION):
            raise UsageError(f"a loss cannot be learned by `{self.by}`", hint=f"by=`features` or `{PREDICTION}`")

    @property
    def name(self) -> str:
        """The method, what it learns by, and its memory."""
        return f"dle {self.by} {self.memory:g}"

    def points(self, settled: Sequence[Losses], current: Losses) -> dict[str, Point]:
        """Return the estimate of each loss and of ``rmse``; ``bias`` above 0 is a prediction too low."""
        labelled = [window for window in settled if window.pairs is not None and window.n]
        if not labelled or not current.n:
            return {}
        if any(window.encoding is not current.encoding and window.encoding != current.encoding for window in labelled):
            raise UsageError("windows were cut into different cells", hint="use one encoding for all of them")
        age = [self.memory ** (len(labelled) - 1 - at) for at in range(len(labelled))]
        kept = self._columns(current.encoding)
        weight = sum(part * window.n for part, window in zip(age, labelled, strict=True))
        pairs = np.add.reduce([part * window.pairs[np.ix_(kept, kept)]  # type: ignore[index]
                               for part, window in zip(age, labelled, strict=True)])  # fmt: skip
        margins = pairs.diagonal().copy()
        pairs[np.diag_indices_from(pairs)] += _RIDGE
        found = {}
        for name in labelled[0].total:
            mean = sum(part * window.total[name] for part, window in zip(age, labelled, strict=True)) / weight
            square = sum(part * window.squares[name] for part, window in zip(age, labelled, strict=True)) / weight
            sums = np.add.reduce(
                [part * window.by_cell[name][kept] for part, window in zip(age, labelled, strict=True)]
            )
            effect = np.linalg.solve(pairs, sums - mean * margins)
            value = mean + float(current.margins[kept] @ effect) / current.n
            spread = math.sqrt(max(0.0, square - mean**2))
            if name != "bias":
                value = max(0.0, value)
                spread *= value / mean if mean > 0 else 1.0
            found[name] = Point(value, spread / math.sqrt(current.n))
        if "mse" in found:
            found["rmse"] = _root(found["mse"])
        return found

    def realised(self, window: Losses) -> dict[str, float]:
        """Return the losses of a window with labels."""
        if not window.n or window.pairs is None:
            return {}
        found = {name: total / window.n for name, total in window.total.items()}
        return found | ({"rmse": math.sqrt(found["mse"])} if "mse" in found else {})

    def size(self, window: Losses) -> int:
        """Return the rows of a window."""
        return window.n

    def doubt(self, settled: Sequence[Losses], current: Losses) -> str:
        """Doubt a window when labelled rows are few, or of another kind."""
        rows = sum(window.n for window in settled)
        if rows < _ENOUGH:
            return f"only {rows} rows have labels, {_ENOUGH} are needed"
        return unlike(current.encoding, [window.margins for window in settled], current.margins)

    def _columns(self, encoding: Encoding) -> npt.NDArray[np.intp]:
        ends = np.cumsum(encoding.sizes)
        if self.by == "features":
            return np.arange(ends[-1])
        at = encoding.columns.index(PREDICTION)
        return np.arange(ends[at] - encoding.sizes[at], ends[at])


def candidates() -> list[Dle]:
    """Return the estimators to choose from; which is best depends on how many labels come, and how fast they age."""
    return [*(Dle(memory) for memory in (0.65, 0.9, 1.0)), *(Dle(memory, PREDICTION) for memory in (0.65, 0.35))]


def _root(mean_square: Point) -> Point:
    value = math.sqrt(mean_square.value)
    return Point(value, mean_square.deviation / (2 * value) if value > 0 else 0.0)


def _joined(features: pl.DataFrame, prediction: Floats) -> pl.DataFrame:
    if PREDICTION in features.columns:
        raise DataError(f"a feature is called `{PREDICTION}`", hint="rename it: the name stands for what was predicted")
    return features.with_columns(pl.Series(PREDICTION, prediction, dtype=pl.Float64))
