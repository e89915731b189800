"""Nulls that nothing in the frame can undo: in new combinations, in a whole column, or on rows at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.stats.signatures import measures
from headwater.stats.signatures.baselines import column_of, metric_of
from headwater.stats.signatures.cases import ABNORMAL, Candidate, Case, lost
from headwater.stats.signatures.categories import coded_columns
from headwater.stats.signatures.views import Bools, Ints

_FAR = 3.0


def propose_nulls(case: Case) -> Iterator[Candidate]:
    """Nulls in combinations never seen before, or a column that is all null.

    Nulls that come together as they always did (a cancelled trip has no arrival) are the world's, however many.
    """
    patterns = case.reference.patterns(case.view)
    known = case.reference.known_patterns(case.view)
    odd = np.array([int(one) not in known for one in patterns])
    blamed = _emptied(case, patterns, odd) if case.r("nullpattern:") > ABNORMAL else []
    for column in blamed:
        share, usual = case.value(f"null:{column}"), case.usual(f"null:{column}")
        text = f"`{column}` is null in {share:.0%} of the rows, usually {usual:.1%}, and where it never was"
        yield lost("null_burst", column, text, case.about(column))
    if len(blamed) > 1:
        text = f"`{'`, `'.join(blamed)}` are null where they never were"
        yield lost("null_burst", ", ".join(blamed), text, case.about(*blamed))
    for name in case.abnormal:
        column = column_of(name)
        if metric_of(name) != "null" or column in blamed or not case.high(name):
            continue
        share = case.value(name)
        gone = share > 0.98 and np.nanmax(case.reference.baseline.values[name]) < 0.9
        if gone or (share < 0.98 and case.r(name) > _FAR and _at_random(case, column)):
            text = f"`{column}` is null in {share:.0%} of the rows, usually {case.usual(name):.1%}"
            text += "" if gone else ", without regard to what the rows are"
            yield lost("null_burst", column, text, case.about(column))


def _at_random(case: Case, column: str) -> bool:
    """Tell whether a column's nulls fall on any row alike: what the world empties (a storm) it empties in places."""
    empty = case.view.frame.get_column(column).is_null().to_numpy()
    groups = [
        case.reference.vocabularies[name].codes(case.view, name) for name in coded_columns(case) if name != column
    ]
    if case.reference.time is not None and case.view.present(case.reference.time):
        groups.append(measures.slots_of(case.view.elapsed(case.reference.time), case.view.length))
    return bool(groups) and all(_independent(empty, group) for group in groups)


def _independent(empty: Bools, group: Ints) -> bool:
    """Chi-squared test of independence, in standard deviations above its mean (Fisher 1922); at most four."""
    sizes = np.bincount(group + 2)
    hits = np.bincount(group + 2, weights=empty, minlength=len(sizes))
    used = sizes * empty.mean() >= 2
    if used.sum() < 2:
        return True
    expected = sizes[used] * empty.mean()
    chi = float(((hits[used] - expected) ** 2 / (expected * (1 - empty.mean()))).sum())
    free = int(used.sum()) - 1
    return bool((chi - free) / np.sqrt(2 * free) < 4)


def _emptied(case: Case, patterns: np.ndarray, odd: np.ndarray) -> list[str]:
    """Return the columns whose nulls make the odd combinations odd: without them, the rest is known."""
    known = case.reference.known_patterns(case.view)
    found = []
    for series in case.view.frame:
        empty = series.is_null().to_numpy() & odd
        if empty.sum() < 0.3 * odd.sum():
            continue
        rest = patterns[empty] & ~np.int64(case.reference.null_bit(series.name))
        explained = np.mean([int(one) in known or int(one) == 0 for one in rest])
        if explained > 0.5 or (series.null_count() == series.len() and case.usual(f"null:{series.name}") < 0.5):
            found.append(series.name)
    if found or not odd.any():
        return found
    usual = {series.name: case.usual(f"null:{series.name}") for series in case.view.frame}
    return [one.name for one in case.view.frame if one.is_null().to_numpy()[odd].mean() > 0.5 and usual[one.name] < 0.2]
