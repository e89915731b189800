"""Collect what became of a model's predictions, for what is judged from it."""

from __future__ import annotations

import polars as pl

from headwater.app.frozen import Frozen
from headwater.app.line import Line
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.mlops.labels import realised
from headwater.observe.outcome import MATURE
from headwater.triage.outcomes import Outcomes


def outcomes_of(line: Line, model: Model) -> Outcomes:
    """Return the label-mature windows of a model that nobody froze, and which of them its past may be learned from."""
    subject, history, tables = line.project.ref(model.name, "model"), line.state.history, line.services.tables
    performance = line.state.evidence[("performance", subject)]
    frozen = Frozen(line, model)
    mature = [
        key for key in sorted(performance)
        if float(performance[key].values.get("maturity", 0.0)) >= MATURE and key not in frozen
    ]  # fmt: skip
    logs = (line.ref(model.predictions), line.project.ref(model.name, "deployment"), subject)

    def rows(key: str) -> pl.DataFrame | None:
        log, labels = tables.read(model.predictions, [key]), tables.read(model.labels, [key])
        if log is None:
            return None
        try:
            return realised(log, labels, model.entity, model.outcome, task=model.task)
        except DataError:
            return None

    return Outcomes(
        windows=tuple(mature),
        values={key: performance[key].values for key in mature},
        accepted=frozenset(key for key in mature if history.learnable(subject, key)),
        scored=tuple(key for key in tables.keys(model.predictions) if all(history.learnable(ref, key) for ref in logs)),
        rows=rows,
    )
