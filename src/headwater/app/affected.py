"""Which predictions an incident moved: the list behind the count, made again from the case as it was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.judging import case
from headwater.app.line import Line
from headwater.core.errors import DataError, IncidentError, StorageError
from headwater.core.records import Verdict
from headwater.triage.case import Case
from headwater.triage.effect import affected
from headwater.triage.incidents import Incident
from headwater.triage.replay import Plan
from headwater.triage.weighing import weigh


def affected_by(line: Line, incident: Incident) -> pl.DataFrame:
    """List the predictions that an incident's culprit moved; see `headwater.triage.effect.affected`.

    The project is put back to the moment of the verdict, so the list is the same after a repair.

    Raises:
        IncidentError: Nobody is named.
        DataError: What is named cannot be undone in a replay, so that nobody knows which predictions it moved.
    """
    verdict = incident.verdict
    if verdict is None or verdict.status != "named":
        raise IncidentError(
            f"incident `{incident.id}` names no asset, so no predictions can be said to be affected",
            hint=f"headwater why {incident.id}",
        )
    made, plan = as_judged(line, incident, verdict)
    if plan is None:
        raise DataError(
            f"what {verdict.subject} should have held cannot be replayed ({verdict.fault}), so that nobody knows "
            "which predictions it moved",
            hint="every prediction since "
            f"{verdict.start_window} that reads it is in question; once it is delivered again, compare them",
        )
    return affected(made, plan)


def as_judged(line: Line, incident: Incident, verdict: Verdict) -> tuple[Case, Plan | None]:
    """Return the case as it was when the verdict was given, and what repairs its culprit; None where nothing does."""
    judged = [item for item in line.services.ledger.read(kind="verdict") if item.body["incident"] == incident.id]
    record = next(item for item in reversed(judged) if Verdict.of(item.body).id == verdict.id)
    past = line.then(record.seq, verdict.time)
    made = case(past, past.state.incidents.get(incident.id), verdict.window)
    found = (item for item in weigh(made) if item.subject(made) == verdict.subject and not item.exonerated)
    culprit = next(found, None)
    return made, None if culprit is None else culprit.plan


def write_affected(line: Line, incident: Incident, path: Path) -> dict[str, Any]:
    """Write the list of affected predictions to a CSV file; say how many there are and what they cost."""
    frame = affected_by(line, incident)
    try:
        frame.write_csv(path)
    except OSError as error:
        raise StorageError(f"the list cannot be written to {path}: {error.strerror or error}") from error
    effect = incident.verdict.effect if incident.verdict is not None else None
    price = effect if effect is not None and effect.unit else None
    return {
        "incident": incident.id,
        "file": str(path),
        "listed": frame.height,
        "affected": frame.height if effect is None else effect.affected_predictions,
        "scored": None if effect is None else effect.scored_predictions,
        "cost": None if price is None else price.value,
        "low": None if price is None else price.low,
        "high": None if price is None else price.high,
        "unit": "" if effect is None else effect.unit,
    }
