"""Which inputs moved, and how much of a change of the predictions each of them carries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.stats.estimates.encoding import Codes
from headwater.stats.estimates.pape import raked

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

BEYOND = 1.5
"""How many times the largest distance that the past has shown a column must have moved."""
_FEWEST = 4
_SHARED = 0.3
_OWN = 0.92  # of weather .7 to .95 was measured, of what each case has of its own .96 to 1
_LEAST = 0.05  # a smaller distance is none: a week without its holiday


@dataclass(frozen=True, slots=True)
class Moved:
    """A column whose distribution lies elsewhere in the recent windows.

    Attributes:
        column: Its place.
        distance: Hellinger distance between its cells in the recent windows and in the earlier ones, 0 to 1.
        exceedance: That distance over the largest that as many windows of the past had from all others.
        carried: Change of the mean value (a prediction, say) that comes of this column's move alone.
    """

    column: int
    distance: float
    exceedance: float
    carried: float


def climbs(column: Ints, size: int, windows: Ints, recent: npt.NDArray[np.bool_]) -> bool:
    """Tell whether a column is a clock: the later half of the past shares next to nothing with the earlier half.

    Args:
        column: Cell of each row.
        size: Cells of the column.
        windows: Window of each row, numbered from 0 in order.
        recent: By window: whether it is one of the recent ones, which do not count.
    """
    old = np.flatnonzero(~recent)
    if len(old) < _FEWEST:
        return False
    late, past = windows >= old[len(old) // 2], ~recent[windows]
    sides = [np.bincount(column[side & past], minlength=size) for side in (late, ~late)]
    return float(np.minimum(*(_shares(side) for side in sides)).sum()) < _SHARED


def shared(column: Ints, size: int, windows: Ints) -> bool:
    """Tell whether rows of one window share much of a column's value, like weather or the price of the day.

    Such a column says one thing in a window, however many rows there are: a few odd windows are a storm.

    It does where two rows of one window are more often alike than any two rows are: the chance that they differ is less
    than `_OWN` of that of any two rows.

    Args:
        column: Cell of each row.
        size: Cells of the column.
        windows: Window of each row, numbered from 0.

    Example:
        >>> import numpy as np
        >>> windows = np.repeat(np.arange(50), 20)
        >>> weather, carrier = windows % 7, np.tile(np.arange(20) % 7, 50)
        >>> shared(weather, 7, windows), shared(carrier, 7, windows)
        (True, False)
    """
    counts = np.bincount(windows * size + column, minlength=(int(windows.max()) + 1) * size).reshape(-1, size)
    rows = counts.sum(axis=1)
    many = rows > 1
    if not many.any():
        return False
    n, squares = rows[many].astype(float), (counts[many].astype(float) ** 2).sum(axis=1)
    differ = float(np.average(1 - (squares - n) / (n * (n - 1)), weights=n))
    total = 1 - float((_shares(counts.sum(axis=0)) ** 2).sum())
    return differ < _OWN * total


def hellinger(one: Floats, other: Floats) -> float:
    """Return the Hellinger distance of two distributions over the same cells; 1 where they share nothing.

    Example:
        >>> import numpy as np
        >>> hellinger(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        1.0
    """
    return math.sqrt(max(0.0, 1.0 - float(np.sqrt(one * other).sum())))


def moved(
    codes: Codes, sizes: Sequence[int], values: Floats, windows: Ints, recent: npt.NDArray[np.bool_]
) -> list[Moved]:
    """Return the columns that moved further than the past ever did, the furthest first.

    As many windows of the past in a row, each time against all others, say how far a column wanders by itself: on real
    feeds windows differ far more than their rows would lead to expect. What a column carries is found by weighting the
    earlier rows until this one column is distributed as it is now.

    It misleads for a column that climbs by nature (a counter), and where only the dependence between columns changed.

    Args:
        codes: Cell of each row and column.
        sizes: Cells of each column.
        values: What is carried, one number per row.
        windows: Window of each row, numbered from 0 in order.
        recent: By window: whether it is one of the recent ones.
    """
    old = np.flatnonzero(~recent)
    length = int(recent.sum())
    if not length or len(old) < _FEWEST:
        return []
    new_rows = recent[windows]
    blocks = [old[start : start + length] for start in range(0, max(1, len(old) - length + 1), max(1, length // 2))]
    found = []
    for at, size in enumerate(sizes):
        counts = np.bincount(windows * size + codes[:, at], minlength=len(recent) * size).reshape(-1, size)
        now, before = (_shares(counts[side].sum(axis=0)) for side in (recent, ~recent))
        distance = hellinger(now, before)
        whole = counts[old].sum(axis=0)
        usual = max((_from_rest(counts[block].sum(axis=0), whole) for block in blocks), default=0.0)
        exceedance = distance / max(usual, _LEAST)
        if exceedance >= BEYOND:
            carried = _carried(codes[~new_rows][:, [at]], [size], values[~new_rows], [now])
            found.append(Moved(at, distance, exceedance, carried))
    return sorted(found, key=lambda item: -item.exceedance)


def carried(
    codes: Codes, sizes: Sequence[int], values: Floats, recent: npt.NDArray[np.bool_], columns: Sequence[int]
) -> float:
    """Return the change of a mean that the move of several columns together brings about.

    Args:
        codes: Cell of each row and column.
        sizes: Cells of each column.
        values: What is carried, one number per row.
        recent: Which rows are of the recent windows.
        columns: The columns that moved.
    """
    if not columns or not recent.any() or recent.all():
        return 0.0
    chosen = [sizes[at] for at in columns]
    now = [_shares(np.bincount(codes[recent, at], minlength=sizes[at])) for at in columns]
    return _carried(codes[~recent][:, list(columns)], chosen, values[~recent], now)


def _carried(codes: Codes, sizes: Sequence[int], values: Floats, now: Sequence[Floats]) -> float:
    weight = raked(codes, sizes, now)
    return float(np.average(values, weights=weight) - values.mean())


def _from_rest(block: Floats, whole: Floats) -> float:
    rest = whole - block
    return hellinger(_shares(block), _shares(rest)) if block.sum() and rest.sum() else 0.0


def _shares(counts: npt.NDArray[Any]) -> Floats:
    total = float(counts.sum())
    return np.asarray(counts / total if total else counts, dtype=np.float64)
