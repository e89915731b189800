"""Assets that cannot be run again: foreign jobs, known from their tables, their lineage and their changes alone."""

from __future__ import annotations

from dataclasses import replace

from headwater.core.records import Finding
from headwater.triage.case import OF_OUTCOMES, Case
from headwater.triage.suspects import Weighed, source

INHERITED, OWN = -2.0, 1.0
"""What an asset's weight changes by where something above it is unusual too, and where all above it is normal."""
CHANGED, LATELY = 2.0, -1.5
"""What a change of its code adds to an unusual asset's weight; the weight where all looks normal after a change."""


def observed(case: Case, name: str) -> Weighed:
    """Weigh an asset whose code nobody can run here: by statistics, order of lineage, and changes.

    It is what a triage without replay has to go by, so it names less often and is wrong more often: an unusual table
    under unusual parents carries on what came in, one under normal parents made it itself. What the job would have
    given with its last code stays unknown, so nothing is proven and nobody is exonerated whose code just changed.
    """
    found = source(case, name)
    own = [item for item in case.of(name) if item.monitor not in OF_OUTCOMES]
    model = next((item for item in case.models if item.predictions == name), None)
    found = replace(found, kind="release" if model is not None else "source")
    if own:
        found = replace(found, weight=found.weight + _lineage(case, name, own))
    window = case.changes.get(name)
    if window is None:
        return found
    if not own:
        reason = f"its code changed in window {window}, and its tables look as they always did"
        return replace(found, weight=LATELY, exonerated=False, reason=reason, since=window)
    return replace(found, weight=found.weight + CHANGED, reason=f"{found.reason}; its code changed in window {window}")


def _lineage(case: Case, name: str, own: list[Finding]) -> float:
    first = min(item.window for item in own)
    worst = max(item.score for item in own)
    above = [item for parent in case.replay.ancestors(name) for item in case.of(parent)]
    inherited = any(item.window <= first and item.score >= min(worst, 2.0) for item in above)
    return INHERITED if inherited else OWN
