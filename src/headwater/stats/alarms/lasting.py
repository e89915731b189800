"""Changes that no single window shows: a share that crept up and stays, nulls that are gone for good, a stuck column.

All three compare windows with windows of the same metric and assume nothing of its distribution. A yearly season, of
which history has seen less than a year, can look like a creep: hence the least change that counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CREEP = 0.03
"""Least change of a share, beyond what it reached in nineteen of twenty older windows, that is a creep."""
_USUAL, _FADED, _LEAST_NULLS, _BLOCKS = 0.95, 0.1, 0.005, 4


def candidates(shares: Floats, newest: int) -> tuple[Bools, Bools]:
    """Tell cheaply of which shares `crept` and `faded` may say something: of all others without gaps they say nothing.

    Args:
        shares: Shape (windows, shares), the window that is judged last; those for which less is better.
        newest: As there.
    """
    recent, older = shares[-newest:], shares[:-newest]
    if len(older) < newest:
        none = np.zeros(shares.shape[1], dtype=np.bool_)
        return none, none
    count = np.maximum(np.isfinite(older).sum(axis=0), 1)
    before, now = np.nansum(older, axis=0) / count, np.nansum(recent, axis=0) / newest
    return now >= CREEP / 2, (2 * before >= _LEAST_NULLS) & (now <= 2 * _FADED * before)


def crept(values: Floats, newest: int, direction: int = 1) -> float | None:
    """Return where a share lay in the older half of its windows, if it left that for good; None if it did not.

    It did if each of the newest windows lies beyond what nineteen of twenty older ones reached, and their median by
    `CREEP`. Were the windows exchangeable, m older and n newest ones would fall so with probability of at most about
    ``0.05 ** n`` for large m, whatever their distribution.

    Args:
        values: Shares in window order, the one that is judged last; NaN where unknown.
        newest: How many windows must agree.
        direction: 1 for a share that creeps up, -1 for one that creeps down.

    Example:
        >>> import numpy as np
        >>> round(crept(np.linspace(0.0, 0.2, 101), 14), 3), crept(np.tile([0.0, 0.2], 50), 14)
        (0.093, None)
    """
    known = direction * values[np.isfinite(values)]
    older = known[: len(known) // 2]
    if len(older) < 2 * newest:
        return None
    recent, edge = known[-newest:], float(np.quantile(older, _USUAL))
    if recent.min() > edge and float(np.median(recent)) - edge >= CREEP:
        return direction * edge
    return None


def faded(values: Floats, newest: int) -> float | None:
    """Return how large a share usually was, if it is gone in the newest windows; None if it is not.

    It is if the mean of the newest windows is a tenth of the least mean of as many windows side by side before them.

    Args:
        values: Shares in window order, the one that is judged last; NaN where unknown.
        newest: How many windows a good run must last.

    Example:
        >>> import numpy as np
        >>> round(faded(np.r_[np.tile([0.0, 0.2], 40), np.zeros(14)], 14), 3), faded(np.tile([0.0, 0.2], 40), 14)
        (0.1, None)
    """
    known = values[np.isfinite(values)]
    older = known[:-newest]
    if len(older) < _BLOCKS * newest:
        return None
    sums = np.concatenate([[0.0], np.cumsum(older)])
    least = float((sums[newest:] - sums[:-newest]).min()) / newest
    gone = least >= _LEAST_NULLS and float(known[-newest:].mean()) <= _FADED * least
    return float(older.mean()) if gone else None


def stuck(value: float, quantiles: Floats, least: int) -> bool:
    """Tell whether a column that now holds one value never held much of it, nor much of any other.

    Args:
        value: What all rows hold now.
        quantiles: Shape (windows, quantiles), ascending in each row: what history held in windows of comparable size;
            NaN where unknown.
        least: Windows that history must have.

    Returns:
        Whether in no window two quantiles were the same or one was the value.

    Example:
        >>> import numpy as np
        >>> past = np.arange(100.0).reshape(20, 5) + 1
        >>> stuck(0.0, past, 14), stuck(7.0, past, 14), stuck(0.0, past, 21)
        (True, False, False)
    """
    past = quantiles[np.isfinite(quantiles).all(axis=1)]
    varied = bool((np.diff(past, axis=1) > 0).all()) and not bool((past == value).any())
    return len(past) >= least and varied
