"""The world's own changes: other inputs (covariate), or other outcomes of the same inputs (concept).

Looked at only once assets are cleared: a fault that nobody found looks like a changed world too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from headwater.core.project import Model
from headwater.core.records import Evidence, Step, Verdict
from headwater.stats.alarms.rise import Rise, rise
from headwater.triage.case import REALISED, Case
from headwater.triage.chain import NAMED, Keep
from headwater.triage.outcomes import STREAMS, TOLD, in_own_unit, table
from headwater.triage.shifts import PAST, Look, inputs_of, parts_of, slice_of, windows_of
from headwater.triage.suspects import Weighed

Fault = Literal["covariate", "concept", "concept_slice"]
WORLD_WINDOWS = 3
"""Concept change is never claimed on fewer windows of raised residuals."""
_WARM = 7
_RESERVE = 7  # windows before the incident in which a change may have begun: they do not set its scale
_CLAIM, _CALM = 20.0, 3.0  # e-values above which a residual moved, and below which it did not
_TRIED = (3, 5, 7)
_LASTED = 0.75  # what it adds that the inputs stay where they moved: of kinds of faults, most leave a signature
_OPEN = -0.5  # weight of what one or two windows say: less than that nothing is wrong
_VETO = -4.0
WRONG_OUTCOMES = math.log(0.08)
"""Log odds that outcomes which changed are reported wrongly: no number here tells that from a changed world."""
WRONG_INPUTS = math.log(0.4)
"""The same of inputs that moved and carry no signature, until outcomes are known that still follow the predictions."""


@dataclass(frozen=True)
class World:
    """A change of the world, as far as one model shows it.

    Attributes:
        model: The model's name.
        fault: What kind of change.
        weight: Log odds against "nothing is wrong".
        since: First window of the change.
        numbers: What was measured.
        texts: One sentence per test, with the name of its number.
        retrain: Whether a model that learned the windows since would do better.
        slice: The condition that carries a concept change; empty where it is everywhere.
        columns: The features that moved, the furthest first.
    """

    model: str
    fault: Fault
    weight: float
    since: str
    numbers: Mapping[str, float]
    texts: tuple[tuple[str, str], ...]
    retrain: bool
    slice: str = ""
    columns: tuple[str, ...] = ()

    @property
    def doubt(self) -> float:
        """Log odds that what looks like a changed world is delivered wrongly."""
        return WRONG_INPUTS if self.fault == "covariate" and "calm" not in self.numbers else WRONG_OUTCOMES

    @property
    def text(self) -> str:
        """The change in words."""
        if self.fault == "concept_slice":
            return f"concept, in {self.slice}"
        return "concept, everywhere" if self.fault == "concept" else f"covariate: {', '.join(self.columns[:3])} moved"

    def values(self, incident: str) -> dict[str, Any]:
        """The values of ``world`` evidence."""
        return {
            "incident": incident,
            "model": self.model,
            "fault": self.fault,
            "since": self.since,
            "slice": self.slice,
            "columns": list(self.columns),
            **{name: value for name, value in self.numbers.items() if math.isfinite(value)},
        }


def world(case: Case, suspects: Sequence[Weighed]) -> World | None:
    """Say how the world changed, if it did; None where nothing of the kind shows, or where an asset is in doubt.

    A concept change needs `WORLD_WINDOWS` label-mature windows of raised residuals and an e-value that does not hang on
    one of them. A covariate change needs features that moved further than the past ever did; outcomes that still follow
    the predictions speak for it, because inputs that are wrong would give wrong predictions.
    """
    if doubted(suspects):
        return None
    found = [made for model in case.models if (made := of_model(case, model)) is not None]
    return max(found, key=lambda made: made.weight, default=None)


def doubted(suspects: Sequence[Weighed]) -> bool:
    """Whether the world must not be claimed: an asset is proven, or its columns, put back, foretell better."""
    left = [item for item in suspects if not item.exonerated]
    return any(item.proven or item.numbers.get("restored_high", 0.0) < 0 for item in left)


def of_model(case: Case, model: Model) -> World | None:
    """Say how the world changed as far as one model shows it; see `world`."""
    outcomes = case.outcomes.get(model.name)
    if outcomes is None:
        return None
    look = Look(case, model, outcomes)
    metric, told, since = _residual(look)
    claimed = told is not None and told.raised >= WORLD_WINDOWS and told.evidence >= _CLAIM and told.without > 1.0
    if claimed and told is not None:
        made = _concept(look, metric, told, since)
        if made is not None:
            return made
    elif (made := _slice(look)) is not None:
        return made
    return _covariate(look, told, claimed=claimed)


def _residual(look: Look) -> tuple[str, Rise | None, str]:
    """Bet on every residual of the task; return the one that says most, and since when."""
    past = [key for key in look.outcomes.windows if key in look.outcomes.accepted and key < look.labelled_first]
    reference = past[:-_RESERVE] if len(past) >= 2 * _WARM else past[:_WARM]
    if len(reference) < _WARM:
        return "", None, ""
    since = [key for key in look.outcomes.windows if key > reference[-1]]
    since = [key for key in since if key in look.outcomes.accepted or key >= look.labelled_first]
    if not since:
        return "", None, ""
    streams = STREAMS[look.model.task]
    found = [
        (metric, made)
        for metric, bets in streams.items()
        if (made := rise(look.outcomes.stream(metric, reference), look.outcomes.stream(metric, since), bets))
    ]
    if not found:
        return "", None, ""
    metric, best = max(found, key=lambda item: item[1].evidence)
    share = sum(made.evidence for _, made in found) / len(streams)  # the mean of e-values is one
    best = replace(best, evidence=share)
    shift, usual = in_own_unit(metric, best.mean, best.usual)
    text = (
        f"{TOLD[metric]} moved by {shift:+.4g} from {usual:.4g} since {since[best.start]}: raised in "
        f"{best.raised} of {best.windows} label-mature windows, e-value {best.evidence:.3g} "
        f"({best.without:.3g} without the loudest window)"
    )
    look.note("e_value", text, e_value=best.evidence, e_value_without=best.without, raised=best.raised,
              windows=best.windows, shift=shift, usual=usual)  # fmt: skip
    return metric, best, since[best.start]


def _concept(look: Look, metric: str, told: Rise, since: str) -> World | None:
    """Split the change of the residual; None where other inputs account for it."""
    weight = 0.5 + 0.5 * math.log(min(told.evidence, 1e6))
    earlier, recent = windows_of(look, since, labelled=True)
    rows = table(look.outcomes, look.model, earlier, recent)
    if rows is None or len(earlier) < _WARM:
        return _made(look, "concept", weight - 1.5, since, retrain=True)
    parts = parts_of(look, metric, rows.known())
    if parts is not None:
        shown = parts.concept.low > 0 or parts.concept.high < 0
        mostly = abs(parts.concept.value) >= abs(parts.covariate.value)
        if not shown and not mostly:
            return None
        weight += 0.5 if shown else -1.0
    where = slice_of(look, metric, rows.known())
    if where is not None and where.alone:
        return _made(look, "concept_slice", weight, since, retrain=True, slice=where.name)
    return _made(look, "concept", weight, since, retrain=True)


def _slice(look: Look) -> World | None:
    """Look for one slice that changed where all rows together do not show it.

    Only where a monitor of outcomes complains: some slice of a healthy world always does otherwise than it used to.
    """
    if not any(item.monitor in REALISED and item.severity == "alarm" for item in look.case.findings):
        return None
    metric = next(iter(STREAMS[look.model.task]))
    metric = {"excess": "error", "mae": "bias"}.get(metric, metric)
    for count in _TRIED:
        recent = list(look.outcomes.windows[-count:])
        earlier = [key for key in look.outcomes.windows if key in look.outcomes.accepted and key < recent[0]][-PAST:] \
            if recent else []  # fmt: skip
        rows = table(look.outcomes, look.model, earlier, recent) if len(earlier) >= _WARM else None
        tried = replace(look, numbers={}, texts=[])
        where = None if rows is None else slice_of(tried, metric, rows.known())
        if where is not None and where.alone and where.raised >= WORLD_WINDOWS:
            look.numbers |= tried.numbers
            look.texts += tried.texts
            weight = min(3.0, 0.5 + 0.5 * (where.z**2 / 2 - math.log(where.tested * len(_TRIED))))
            return _made(look, "concept_slice", weight, recent[0], retrain=True, slice=where.name)
    return None


def _covariate(look: Look, told: Rise | None, *, claimed: bool) -> World | None:
    """Look for features that moved further than they ever did, and what that does to predictions."""
    since = look.moved_first
    earlier, recent = windows_of(look, since, labelled=False)
    rows = table(look.outcomes, look.model, earlier, recent) if len(earlier) >= _WARM else None
    found = None if rows is None or look.model.task == "ranking" else inputs_of(look, recent, rows)
    if found is None:
        return None
    weight = min(1.5, math.log(found.exceedance)) + min(1.0, 0.25 * found.windows) + (0.75 if found.matters else -1.0)
    labelled = [key for key in look.outcomes.windows if key >= since]
    if len(labelled) >= WORLD_WINDOWS and told is not None and told.evidence < _CALM:
        weight += 1.5
        look.note("calm", f"outcomes follow the predictions in {len(labelled)} label-mature windows since: inputs that "
                  "were wrong would have given wrong predictions", calm=len(labelled))  # fmt: skip
    elif claimed:
        weight += 1.0  # the residual moved because inputs are where the model knows little
    if found.windows < WORLD_WINDOWS:
        weight = min(weight, _OPEN)
    elif any(item.monitor == "inputs" and item.severity == "alarm" for item in look.case.findings):
        weight += _LASTED
    return _made(look, "covariate", weight, recent[0], retrain=claimed, columns=found.columns)


def _made(look: Look, fault: Fault, weight: float, since: str, *, retrain: bool, **told: Any) -> World:
    if look.case.broken:
        weight += _VETO  # something is wrong that weather and customers do not do
    return World(look.model.name, fault, weight, since, dict(look.numbers), tuple(look.texts), retrain, **told)


def telling(verdict: Verdict, case: Case, made: World | None, keep: Keep) -> Verdict:
    """Say in a verdict on the world what changed, with every test as a step; as it is where no test showed it."""
    if made is None:
        return verdict
    text = (
        f"No asset failed; the world changed from window {made.since} ({made.text}): "
        f"{'; '.join(text for _, text in made.texts)}."
    )
    remedy = verdict.remedy
    if remedy is not None and remedy.action == "retrain":
        what = "Train a version that has learned windows from"
        then = f"{what} {made.since} on, and let the gate compare it with the one that serves."
        remedy = replace(remedy, text=f"{_confirmed(case, made)}{then}")
    return replace(
        verdict,
        fault=made.fault,
        text=text,
        start_window=made.since,
        remedy=remedy,
        chain=steps(case, made, verdict.time, keep),
    )


def _confirmed(case: Case, made: World) -> str:
    """Say who can tell outcomes that changed from outcomes that are reported wrongly."""
    labels = next(model.labels for model in case.models if model.name == made.model)
    sources = [
        name for name, asset in case.assets.items()
        if not asset.parents and labels in {name, *case.replay.descendants(name)}
    ]  # fmt: skip
    if made.fault == "covariate" or not sources:
        return ""
    asked = " and ".join(f"{case.owner(name)} (`{name}`)" for name in sorted(sources)[:2])
    return f"Have {asked} confirm some outcomes first: reported wrongly, they would look the same here. "


def steps(case: Case, made: World, time: datetime, keep: Keep) -> tuple[Step, ...]:
    """Write the tests down, each with its number and the command that computes it again."""
    subject = case.ref(made.model).replace("dataset:", "model:")
    values = made.values(case.incident)
    record = Evidence(type="world", subject=subject, window=case.windows[-1], values=values, time=time)
    keep(record)
    model = next(item for item in case.models if item.name == made.model)
    return tuple(
        Step(
            subject=subject,
            side="ml",
            owner=case.owner(model.features),
            test=_TESTS.get(name.partition(".")[0], name),
            value=made.numbers.get(name),
            text=text,
            command=f"headwater recompute {record.id[:NAMED]} {name}",
            versions={"window": case.windows[-1]},
            causes=(record.id,),
        )
        for name, text in made.texts
    )


_TESTS = {
    "e_value": "residual e-process",
    "concept": "DISDE split",
    "slice_change": "slice search",
    "moved": "distance of a feature",
    "carried": "reweighted past",
    "carried_loss": "reweighted past",
    "calm": "residual e-process",
}
