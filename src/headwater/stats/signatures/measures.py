"""Window metrics of a table's columns, each a plain number that can be compared with other windows.

A metric is named ``<metric>:<column>`` (``rows:`` and the like for the whole table). NaN means not defined.
"""

from __future__ import annotations

import numpy as np

from headwater.stats.signatures.views import Floats, Ints
from headwater.stats.signatures.vocabulary import NULL, UNSEEN, Vocabulary

SLOTS = 24
_QUANTILES = (("q05", 0.05), ("q25", 0.25), ("q50", 0.5), ("q75", 0.75), ("q95", 0.95))
_LOGS = (("log10", 0.1), ("log50", 0.5), ("log90", 0.9))
QUANTILE_METRICS = tuple(name for name, _ in _QUANTILES)
LOG_METRICS = tuple(name for name, _ in _LOGS)


def at(ordered: Floats, share: float) -> float:
    """Return a quantile of sorted values (linear interpolation)."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def number_metrics(values: Floats, decimals: int) -> dict[str, float]:
    """Measure a numeric column: nulls, quantiles, quantiles of size in decades, signs, commonest value, precision."""
    given = np.sort(values[np.isfinite(values)])
    result = {"null": 1 - len(given) / len(values) if len(values) else 0.0}
    if not len(given):
        return result
    for name, share in _QUANTILES:
        result[name] = at(given, share)
    sizes = np.abs(given)
    sizes = np.sort(np.log10(sizes[sizes > 0]))
    # The size of a few values that are not zero is chance.
    if len(sizes) >= min(5, len(given)):
        for name, share in _LOGS:
            result[name] = at(sizes, share)
    count = len(given)
    result["zero"] = 1 - len(sizes) / count
    result["negative"] = float(np.searchsorted(given, 0.0)) / count
    starts = np.flatnonzero(np.concatenate(([True], given[1:] != given[:-1], [True])))
    result["top"] = float(np.diff(starts).max()) / count
    if decimals < 9:
        scaled = given * 10.0**decimals
        result["fine"] = float(np.mean(np.abs(scaled - np.round(scaled)) > 1e-6 * np.maximum(1.0, np.abs(scaled))))
    return result


def decimals_of(values: Floats) -> int:
    """Return how many decimals (at most 8) write 99 % of the values exactly; 9 when none do."""
    given = values[np.isfinite(values)]
    if not len(given):
        return 9
    if len(given) > 4000:
        given = given[:: len(given) // 4000]
    for places in range(9):
        scaled = given * 10.0**places
        off = np.abs(scaled - np.round(scaled)) > 1e-6 * np.maximum(1.0, np.abs(scaled))
        if off.mean() <= 0.01:
            return places
    return 9


def category_metrics(codes: Ints, vocabulary: Vocabulary, without: int | None) -> dict[str, float]:
    """Measure a column of categories or codes against the known values.

    Args:
        codes: The rows' codes.
        vocabulary: The known values.
        without: Leave this reference window out of what is known, because it is the one being measured.
    """
    given = codes[codes != NULL]
    result = {"null": 1 - len(given) / len(codes) if len(codes) else 0.0}
    if not len(given):
        return result
    result["unseen"] = unseen_share(given, vocabulary, without)
    if vocabulary.numeric and not vocabulary.coded:
        return result
    usual = vocabulary.shares(without)
    top = len(usual)
    if top:
        counts = np.bincount(given[(given >= 0) & (given < top)], minlength=top)
        shares = counts / len(given)
        rest = abs((1 - shares.sum()) - (1 - usual.sum()))
        result["moved"] = float(0.5 * (np.abs(shares - usual).sum() + rest))
        typical = vocabulary.typical()
        expected = (typical * len(given) >= 5) & (typical >= 0.02)
        result["gone"] = float(usual[expected & (counts == 0)].sum())
        result["most"] = float(shares[0])
    return result


def unseen_share(codes: Ints, vocabulary: Vocabulary, without: int | None) -> float:
    """Return the share of rows with a value that no (other) reference window has."""
    unseen = int((codes == UNSEEN).sum())
    if without is not None:
        known = codes[codes >= 0]
        unseen += int((vocabulary.windows[known] < 2).sum())
    return unseen / max(len(codes), 1)


def time_metrics(elapsed: Floats, length: float, wrap: bool) -> dict[str, float]:
    """Measure when in the window the rows lie: outside it, first, middle, last (shares of the window's length)."""
    given = elapsed[np.isfinite(elapsed)] / length
    result = {"null": 1 - len(given) / len(elapsed) if len(elapsed) else 0.0}
    if not len(given):
        return result
    if wrap:
        given = given % 1.0
    given = np.sort(given)
    result["outside"] = float(np.mean((given < -1e-9) | (given >= 1.0)))
    result["first"], result["middle"], result["last"] = float(given[0]), at(given, 0.5), float(given[-1])
    return result


def within_hour(elapsed: Floats) -> Ints:
    """Return the second of the hour of each time that is given."""
    given = elapsed[np.isfinite(elapsed)]
    return np.round(given * 3600).astype(np.int64) % 3600


def slots_of(elapsed: Floats, length: float) -> Ints:
    """Return which of the window's 24 slots each time falls in, wrapped into the window; -1 for nulls."""
    given = np.isfinite(elapsed)
    slots = np.full(len(elapsed), -1, dtype=np.int64)
    slots[given] = np.floor((elapsed[given] / length) % 1.0 * SLOTS + 1e-9).astype(np.int64) % SLOTS
    return slots


def slot_means(values: Floats, slots: Ints) -> Floats:
    """Return a column's mean per slot, NaN where a slot has no value."""
    given = np.isfinite(values) & (slots >= 0)
    counts = np.bincount(slots[given], minlength=SLOTS)
    sums = np.bincount(slots[given], weights=values[given], minlength=SLOTS)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
