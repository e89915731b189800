"""The loss by which models of any task are compared, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.outcomes.performance import log_loss
from headwater.stats.outcomes.ranking import per_query

Floats = npt.NDArray[np.float64]
NAMES = {"binary": "log loss", "regression": "mean absolute error", "ranking": "1 - NDCG"}
"""What the loss of a task is called."""


class Losses(NamedTuple):
    """A loss per judged unit, and the row that stands for it (the row itself, or the first one of a query)."""

    loss: Floats
    row: npt.NDArray[np.int64]


def task_loss(
    task: str, outcome: Floats, predicted: Floats, query: Sequence[Any] | npt.NDArray[Any] | None = None
) -> Losses:
    """Return the loss of each row, or of each query for a ranking; lower is better.

    Binary: log loss. Regression: absolute error, in the outcome's unit, because one absurd outcome should not decide
    between two models. Ranking: 1 - NDCG at 10; queries without anything relevant are left out. Rows of which outcome
    or prediction is not finite are left out.

    Example:
        >>> import numpy as np
        >>> task_loss("regression", np.array([1.0, 2.0, np.nan]), np.array([1.0, 5.0, 0.0])).loss.tolist()
        [0.0, 3.0]
    """
    if task not in NAMES:
        raise UsageError(f"no loss is known for task `{task}`", hint=f"take {', '.join(NAMES)}")
    outcome, predicted = np.asarray(outcome, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if outcome.shape != predicted.shape:
        raise UsageError(f"{outcome.shape} outcomes do not fit {predicted.shape} predictions")
    row = np.flatnonzero(np.isfinite(outcome) & np.isfinite(predicted))
    if task != "ranking":
        kept, told = outcome[row], predicted[row]
        return Losses(log_loss(kept, told) if task == "binary" else np.abs(kept - told), row)
    if query is None:
        raise UsageError("a ranking is judged by query", hint="say which query each row belongs to")
    of = np.asarray(query).astype(str)[row]
    found = per_query(outcome[row], predicted[row], of)
    _, first = np.unique(of, return_index=True)
    answered = np.isfinite(found.ndcg)
    return Losses(1 - found.ndcg[answered], row[first[answered]])
