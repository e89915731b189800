"""CBPE for more than two classes: each class against the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError
from headwater.stats.estimates.cbpe import Cbpe, Tally, checked, realised
from headwater.stats.estimates.estimation import Point

Floats = npt.NDArray[np.float64]

_SUM = 1e-3  # how far from 1 the probabilities of a row may add up to
_AVERAGED = ("precision", "recall", "f1")


def tallies(p: Floats, decision: npt.ArrayLike, outcome: npt.ArrayLike | None = None) -> tuple[Tally, ...]:
    """Count one window, class by class.

    Args:
        p: Probability of each class, shape (rows, classes); rows add up to 1.
        decision: The chosen class of each row, from 0.
        outcome: The class that it was; None while labels are to come.

    Raises:
        DataError: values are missing or impossible.

    Example:
        >>> import numpy as np
        >>> len(tallies(np.array([[0.2, 0.5, 0.3]]), np.array([1])))
        3
    """
    try:
        table = np.asarray(p, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`p` is not made of numbers: {error}") from error
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(f"`p` has the shape {table.shape}", hint="give a row per row and a column per class")
    if len(table) and not (np.abs(table.sum(axis=1) - 1) <= _SUM).all():
        raise DataError("`p` does not add up to 1 in some rows")
    chosen, came = _classes("decision", decision, table.shape), None
    if outcome is not None:
        came = _classes("outcome", outcome, table.shape)
    return tuple(
        Tally.of(np.clip(table[:, at], 0.0, 1.0), (chosen == at).astype(np.float64),
                 None if came is None else (came == at).astype(np.float64))
        for at in range(table.shape[1])
    )  # fmt: skip


@dataclass
class MulticlassCbpe:
    """CBPE of each class against the rest: ``accuracy``, and macro ``precision``, ``recall`` and ``f1``.

    Classes are calibrated one by one, so their calibrated probabilities need not add up to 1 in a row; what accuracy
    sums over classes is brought back to the number of rows. It misleads for classes with few labelled rows; one that no
    row was decided to be leaves the macro averages out.

    Args:
        memory: Weight of a labelled window relative to the one after it.
    """

    memory: float = 1.0

    def __post_init__(self) -> None:
        self._classes: list[Cbpe] = []

    @property
    def name(self) -> str:
        """The method and its memory."""
        return f"multiclass cbpe {self.memory:g}"

    def points(self, settled: Sequence[tuple[Tally, ...]], current: tuple[Tally, ...]) -> dict[str, Point]:
        """Return the estimate of each metric."""
        n = self.size(current)
        if not n:
            return {}
        each = self._by_class(settled, len(current))
        right = expected = chance = 0.0
        for (one, past), window in zip(each, current, strict=True):
            q = one.calibration(past)[1]
            right += float(window.rows[1] @ q)
            chance += float(window.rows[1] @ (q * (1 - q)))
            expected += float(window.rows.sum(axis=0) @ q)
        share = min(1.0, right / expected) if expected > 0 else 0.0
        found = {"accuracy": Point(share, math.sqrt(chance) / n)}
        told = [one.points(past, window) for (one, past), window in zip(each, current, strict=True)]
        for name in _AVERAGED:
            there = [points[name] for points in told if name in points]
            if len(there) == len(told):
                spread = math.sqrt(sum(point.deviation**2 for point in there)) / len(there)
                found[name] = Point(float(np.mean([point.value for point in there])), spread)
        return found

    def realised(self, window: tuple[Tally, ...]) -> dict[str, float]:
        """Return the metrics of a window with labels."""
        n = self.size(window)
        if not n or any(one.positive is None for one in window):
            return {}
        found = {"accuracy": sum(float(one.positive[1].sum()) for one in window if one.positive is not None) / n}
        told = [realised(one) for one in window]
        for name in _AVERAGED:
            if all(name in metrics for metrics in told):
                found[name] = float(np.mean([metrics[name] for metrics in told]))
        return found

    def size(self, window: tuple[Tally, ...]) -> int:
        """Return the rows of a window."""
        return window[0].n

    def doubt(self, settled: Sequence[tuple[Tally, ...]], current: tuple[Tally, ...]) -> str:
        """Doubt a window that any class alone gives reason to doubt."""
        for at, (one, past) in enumerate(self._by_class(settled, len(current))):
            if doubt := one.doubt(past, current[at]):
                return f"class {at}: {doubt}"
        return ""

    def _by_class(self, settled: Sequence[tuple[Tally, ...]], classes: int) -> list[tuple[Cbpe, list[Tally]]]:
        if any(len(window) != classes for window in settled):
            raise DataError(f"the window has {classes} classes, and labelled ones have others")
        self._classes += [Cbpe(self.memory) for _ in range(classes - len(self._classes))]
        return [(self._classes[at], [window[at] for window in settled]) for at in range(classes)]


def _classes(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return class numbers from 0, one per row."""
    found = checked(name, values, shape[0], high=shape[1] - 1)
    if (found != np.round(found)).any():
        raise DataError(f"`{name}` is not a class number everywhere", hint="number the classes from 0")
    return found
