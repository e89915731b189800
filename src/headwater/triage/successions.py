"""What a release succeeded: the same served rows, scored by the version that served and by the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.core.assets import Mechanism
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.stats.outcomes.intervals import Interval, t_interval
from headwater.stats.outcomes.paired import worse
from headwater.triage.mechanism import loss_of
from headwater.triage.replay import Replay


@dataclass(frozen=True, slots=True)
class Gap:
    """One label-mature window: the loss of a version beside that of its predecessor, on the same served rows.

    Attributes:
        window: The window.
        loss: Mean loss of the version.
        before: Mean loss of its predecessor.
        rows: Labelled rows.
        evidence: Id of the evidence that says so.
        unseen: Whether the version was not trained on it: one that was flatters it.
        lived: Whether the version served it; else its predecessor did.
    """

    window: str
    loss: float
    before: float
    rows: int
    evidence: str
    unseen: bool = True
    lived: bool = True

    @property
    def gap(self) -> float:
        """How much greater the loss was than the predecessor's would have been."""
        return self.loss - self.before


@dataclass(frozen=True, slots=True)
class Succession:
    """A release and what it succeeded.

    Attributes:
        version: The version that serves.
        predecessor: The champion before it.
        since: First window that it scored.
        parts: Content hash of each of its parts.
        before: The same of the predecessor.
        gaps: Label-mature windows that it served, oldest first.
        tried: Label-mature windows of its predecessor that it was tried on when it was released.
        promised: What its held-out windows said of it, see `headwater.mlops.training.Trained`.
        promised_before: The same of the predecessor.
        trained: First and last window it was trained on.
        faulted: What is known to have been wrong with windows it was trained on, in words; with the id of the record.
    """

    version: str
    predecessor: str
    since: str
    parts: Mapping[str, str]
    before: Mapping[str, str]
    gaps: tuple[Gap, ...] = ()
    tried: tuple[Gap, ...] = ()
    promised: Mapping[str, float] = field(default_factory=dict)
    promised_before: Mapping[str, float] = field(default_factory=dict)
    trained: tuple[str, str] = ("", "")
    faulted: tuple[tuple[str, str], ...] = ()


def bound(gaps: Sequence[Gap]) -> Interval:
    """Bound the mean gap, 95 % over windows."""
    return t_interval(np.array([gap.gap for gap in gaps]))


def usual_loss(gaps: Sequence[Gap]) -> float:
    """Return the predecessor's mean loss."""
    return float(np.mean([gap.before for gap in gaps])) if gaps else 0.0


def losing(gaps: Sequence[Gap]) -> bool:
    """Whether a version does worse than its predecessor, see `headwater.stats.outcomes.paired.worse`."""
    return worse([gap.gap for gap in gaps], usual_loss(gaps), tried=any(not gap.lived for gap in gaps))


def compared(replay: Replay, model: Model, key: str, before: Mapping[str, str]) -> dict[str, float]:
    """Score a window's served rows with other parts, and compare the losses of the labelled ones.

    The scoring code is the one that served; where it cannot run the other parts, nothing is compared.

    Returns:
        ``loss`` as served, ``loss_before`` with the other parts, their ``gap`` and the labelled ``rows``; empty where
        fewer than ten rows can be compared.
    """
    name = model.predictions
    made, observed, labels = replay.made(name, key), replay.observed(name, key), replay.observed(model.labels, key)
    if made is None or observed is None or labels is None or not before:
        return {}
    rival = Mechanism(made.code, dict(before))
    try:
        rerun = replay.rerun(name, key, rival)
    except DataError:
        return {}
    pair = loss_of(model, observed, rerun, labels)
    if pair is None:
        return {}
    served, other = pair
    return {
        "loss": float(served.mean()),
        "loss_before": float(other.mean()),
        "gap": float((served - other).mean()),
        "rows": float(len(served)),
    }
