"""Candidates for values that stand for nothing: sentinels, and defaults filled in for nulls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.stats.signatures.cases import NORMAL, Candidate, Case
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.views import Floats
from headwater.stats.signatures.vocabulary import UNSEEN

STAND_IN_EXCUSED = frozenset({"nullpattern:", "copies:", "uncovered:", "churn:"})
_RANGE = 3
_SENTINELS = (-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999, -2147483648, 2147483647, 9.96921e36)


def propose_stand_ins(case: Case) -> Iterator[Candidate]:
    """Yield stand-in values (sentinels, defaults) to turn back into nulls."""
    columns: dict[str, list[float]] = {}
    for column in case.columns("number"):
        if not case.odd(column):
            continue
        values = case.view.number(column)
        given = values[np.isfinite(values)]
        for value, share, sentinel in _overfull(case, column, given):
            if sentinel:
                columns.setdefault(column, []).append(value)
            yield _stand_in(case, {column: [value]}, share, sentinel)
    if len(columns) > 1:
        yield _stand_in(case, columns, float("nan"), True)


def _overfull(case: Case, column: str, given: Floats) -> Iterator[tuple[float, float, bool]]:
    kinds, counts = np.unique(given, return_counts=True)
    vocabulary = case.reference.vocabularies[column]
    known = vocabulary.values.to_numpy()
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    reach = max(high - low, 1e-9)
    top = vocabulary.shares()
    for place in np.argsort(-counts)[:4]:
        value, share = float(kinds[place]), float(counts[place] / max(len(given), 1))
        if share > 0.98 or counts[place] < 2:
            continue
        code = int(vocabulary.near(np.array([value]), 0.0)[0])
        usual = float(top[code]) if 0 <= code < len(top) else 0.0
        if share < 3 * usual + 0.01:
            continue
        # A column that hardly ever had two values has no range to be outside of.
        outside = len(known) >= _RANGE and (value < low - 10 * reach or value > high + 10 * reach or value < 0 <= low)
        sentinel = code == UNSEEN and (outside or value in _SENTINELS)
        if sentinel or (code == UNSEEN and value == 0) or _replaces_nulls(case, column, value, share - usual):
            yield value, share, sentinel


def _replaces_nulls(case: Case, column: str, value: float, excess: float) -> bool:
    """A value from the usual range is a default when the nulls are gone, and it is what one fills in for them."""
    usual, now = case.usual(f"null:{column}"), case.value(f"null:{column}")
    if not usual - now > 0.5 * excess > 0.005 or now > 0.1 * usual:
        return False
    known = case.reference.vocabularies[column].values.to_numpy()
    if not len(known):
        return False
    middle = case.usual(f"q50:{column}")
    return value in (0, -1, 1, known[0]) or abs(value - middle) <= 0.02 * abs(middle) or value not in known


def _stand_in(case: Case, columns: dict[str, list[float]], share: float, sentinel: bool) -> Candidate:
    named = ", ".join(f"{values[0]:g} in `{column}`" for column, values in columns.items())
    portion = "" if np.isnan(share) else f" ({share:.0%} of its values)"
    text = f"{named}{portion} was never seen before" if sentinel else f"{named}{portion} stands where nulls were usual"
    return Candidate(
        Repair("to_null", "sentinel" if sentinel else "default_fill", {"columns": columns}),
        text,
        excused=STAND_IN_EXCUSED | {f"null:{column}" for column in columns} if sentinel else frozenset(),
        limit=2.5 if sentinel else NORMAL,
        cost=len(columns),
    )
