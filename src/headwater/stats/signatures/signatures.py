"""Name what happened to a source table: find the repair that brings an abnormal frame back to normal.

A source has no code to run again, so its faults are told by their signatures: for each operator the frame is repaired
and measured again, and the operator fires when clearly abnormal metrics become normal. Its inverse names the fault and
is the candidate repair. What no operator explains (storms, holidays, a changed world) stays without a diagnosis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from headwater.core.errors import UsageError
from headwater.core.windows import Window
from headwater.stats.signatures.amounts import propose_realignments, propose_swaps, propose_units
from headwater.stats.signatures.cases import Candidate, Case, Outcome
from headwater.stats.signatures.categories import propose_recodes
from headwater.stats.signatures.losses import propose_losses
from headwater.stats.signatures.nulls import propose_nulls
from headwater.stats.signatures.offsets import propose_offsets
from headwater.stats.signatures.reference import Reference, Score
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.shares import propose_shares
from headwater.stats.signatures.stand_ins import propose_stand_ins
from headwater.stats.signatures.structures import (
    propose_copies,
    propose_dependencies,
    propose_names,
    propose_types,
)

__all__ = ["Diagnosis", "Reference", "Repair", "diagnose", "score"]

_PROPOSERS = (
    propose_types,
    propose_names,
    propose_copies,
    propose_offsets,
    propose_units,
    propose_recodes,
    propose_stand_ins,
    propose_swaps,
    propose_dependencies,
    propose_realignments,
    propose_losses,
    propose_nulls,
)

_CLOSE = 0.15


@dataclass(frozen=True)
class Diagnosis:
    """A fault that explains why a frame is abnormal.

    Attributes:
        repair: The inverse as a candidate repair; ``redeliver`` when there is none.
        fault: Kind of fault.
        column: Affected columns, comma-separated; empty for the whole table.
        before: Worst exceedance among the metrics that the repair changes, as delivered.
        after: The same after the repair; equal to ``before`` when nothing can be repaired.
        detail: What was seen, for people, with numbers.
        invertible: Whether the repair restores the values.
        confidence: How much of the abnormality it explains, 0 to 1; a ranking weight, not a probability.
        explains: The abnormal metrics that it accounts for.
    """

    repair: Repair
    fault: str
    column: str
    before: float
    after: float
    detail: str
    invertible: bool
    confidence: float
    explains: tuple[str, ...] = ()


def score(frame: pl.DataFrame, reference: Reference, *, window: Window) -> Score:
    """Return how abnormal a frame is against its reference windows."""
    return reference.score(frame, window)


def diagnose(
    frame: pl.DataFrame,
    reference: Reference,
    *,
    window: Window,
    key: Sequence[str] | None = None,
    time: str | None = None,
    snapshot: bool | None = None,
    demand: float = math.inf,
) -> list[Diagnosis]:
    """Name the faults of a frame, the best explanation first; empty when it is normal or nothing explains it.

    It misleads when the reference was learned on faulty windows, and cannot tell faults with the same effect apart
    (see docs). A fault that leaves every metric within its usual variation is not seen.

    Args:
        frame: The frame as delivered.
        reference: The table's trailing accepted windows.
        window: The frame's window.
        key: If given, must be the reference's key.
        time: If given, must be the reference's time column.
        snapshot: If given, must be the reference's.
        demand: The most by which a repair must do better than chance: 2, where many windows are asked that must agree,
            for what a single odd one may show (a course of the day that looks moved).

    Raises:
        UsageError: The reference was built for another key or time column.
    """
    _agree(reference, key, time, snapshot)
    # Numbers may be endless or near it.
    with np.errstate(all="ignore"):
        case = Case.of(frame, window, reference)
        if not case.abnormal:
            return []
        fired = _fired(case, (replace(one, demand=min(one.demand, demand)) for one in _candidates(case)))
        explained = {name for outcome in fired for name in outcome.mended}
        fired += _fired(case, propose_shares(case, frozenset(case.abnormal) - explained))
    fired.sort(key=lambda one: (-round(_confidence(case, one), 3), one.rest))
    return _occam([_diagnosis(case, outcome) for outcome in fired])


def _agree(reference: Reference, key: Sequence[str] | None, time: str | None, snapshot: bool | None) -> None:
    given = {"key": None if key is None else tuple(key), "time": time, "snapshot": snapshot}
    for name, value in given.items():
        if value is not None and value != getattr(reference, name):
            raise UsageError(
                f"the reference was built with {name} {getattr(reference, name)!r}, not {value!r}",
                hint="build it again with Reference.learn",
            )


def _candidates(case: Case) -> Iterator[Candidate]:
    for propose in _PROPOSERS:
        yield from propose(case)


def _fired(case: Case, candidates: Iterable[Candidate]) -> list[Outcome]:
    outcomes = (case.try_out(candidate) for candidate in candidates)
    return [outcome for outcome in outcomes if outcome is not None and outcome.fires]


def _diagnosis(case: Case, outcome: Outcome) -> Diagnosis:
    candidate = outcome.candidate
    repair = candidate.repair
    return Diagnosis(
        repair=repair,
        fault=repair.fault,
        column=candidate.named,
        before=round(outcome.before, 3),
        after=round(outcome.after, 3),
        detail=candidate.detail,
        invertible=repair.invertible,
        confidence=round(min(_confidence(case, outcome), 1.0), 3),
        explains=tuple(sorted(outcome.mended)),
    )


def _confidence(case: Case, outcome: Outcome) -> float:
    """Share of the abnormality explained, less for each free parameter, for what is left, and for what is lost."""
    weights = {name: float(np.log(ratio)) for name, ratio in case.abnormal.items()}
    covered = sum(weights[name] for name in outcome.mended if name in weights) / sum(weights.values())
    candidate = outcome.candidate
    value = candidate.prior * (0.35 + 0.65 * covered) - 0.02 * (candidate.cost - 1)
    if not candidate.repair.invertible:
        value *= 0.85
    elif candidate.wrap:
        value *= 0.97
    return max(float(value), 0.0)


def _occam(found: list[Diagnosis]) -> list[Diagnosis]:
    """Keep the best explanation of each set of abnormal metrics, and close rivals of it."""
    kept: list[Diagnosis] = []
    for one in found:
        better = [other for other in kept if set(one.explains) <= set(other.explains)]
        if any(other.fault == one.fault and other.column == one.column for other in better):
            continue
        if not better or one.confidence > better[0].confidence - _CLOSE:
            kept.append(one)
    return kept
