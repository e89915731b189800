"""The world's own changes: other inputs (covariate), or other outcomes of the same inputs (concept).

Looked at only once assets are cleared: a fault that nobody found looks like a changed world too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.core.records import Evidence, Step, Verdict
from headwater.stats.alarms.rise import Rise, rise
from headwater.stats.estimates.encoding import Codes, Encoding
from headwater.stats.estimates.moved import Moved, carried, moved
from headwater.stats.estimates.shift import Split, membership, split
from headwater.stats.outcomes.performance import expected_log_loss
from headwater.stats.outcomes.slices import Slice, carrier
from headwater.triage.case import Case
from headwater.triage.chain import NAMED, Keep
from headwater.triage.outcomes import STREAMS, TOLD, Outcomes, Table, columns_of, losses, score_of, table
from headwater.triage.suspects import Weighed

Fault = Literal["covariate", "concept", "concept_slice"]
WORLD_WINDOWS = 3
"""Concept change is never claimed on fewer windows of raised residuals."""
PAST = 42
"""Accepted windows that the incident's are compared with."""
_WARM = 7
_RESERVE = 7  # windows before the incident in which a change may have begun: they do not set its scale
_CLAIM = 20.0
_VETO = -4.0


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
    """Say how the world changed, if it did; None where nothing of the kind shows, or where an asset is proven.

    A concept change needs `WORLD_WINDOWS` label-mature windows of raised residuals and an e-value that does not hang on
    one of them. A covariate change needs features that moved further than the past ever did; outcomes that still follow
    the predictions speak for it, because inputs that are wrong would give wrong predictions.
    """
    if any(item.proven for item in suspects):
        return None
    found = [made for model in case.models if (made := of_model(case, model)) is not None]
    return max(found, key=lambda made: made.weight, default=None)


@dataclass
class _Look:
    """What was seen of one model, collected test by test."""

    case: Case
    model: Model
    outcomes: Outcomes
    numbers: dict[str, float] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The model's own window at which the incident began."""
        calendar = self.case.replay.calendar
        lag = self.case.assets[self.model.predictions].lag
        return calendar.shift(calendar.window(self.case.windows[0]), -lag).key

    @property
    def labelled_first(self) -> str:
        """The first window whose labels were there when the incident began, and not before."""
        calendar = self.case.replay.calendar
        lag = self.case.assets[self.model.labels].lag
        return calendar.shift(calendar.window(self.case.windows[0]), -lag).key

    def note(self, name: str, text: str, **numbers: float) -> None:
        self.numbers |= {key: float(value) for key, value in numbers.items()}
        self.texts.append((name, text))


def of_model(case: Case, model: Model) -> World | None:
    """Say how the world changed as far as one model shows it; see `world`."""
    outcomes = case.outcomes.get(model.name)
    if outcomes is None:
        return None
    look = _Look(case, model, outcomes)
    metric, told, since = _residual(look)
    claimed = told is not None and told.raised >= WORLD_WINDOWS and told.evidence >= _CLAIM and told.without > 1.0
    if claimed and told is not None:
        made = _concept(look, metric, told, since)
        if made is not None:
            return made
    return _covariate(look, told, claimed=claimed)


def _residual(look: _Look) -> tuple[str, Rise | None, str]:
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
    text = (
        f"{TOLD[metric]} moved by {best.mean:+.4g} from {best.usual:.4g} since {since[best.start]}: raised in "
        f"{best.raised} of {best.windows} label-mature windows, e-value {best.evidence:.3g} "
        f"({best.without:.3g} without the loudest window)"
    )
    look.note("e_value", text, e_value=best.evidence, e_value_without=best.without, raised=best.raised,
              windows=best.windows, shift=best.mean, usual=best.usual)  # fmt: skip
    return metric, best, since[best.start]


def _windows(look: _Look, since: str, *, labelled: bool) -> tuple[list[str], list[str]]:
    """Return the accepted windows before the change, and those since."""
    own = look.outcomes.windows if labelled else look.outcomes.scored
    before = [key for key in own if key < since and (not labelled or key in look.outcomes.accepted)][-PAST:]
    if labelled:
        return before, [key for key in own if key >= since]
    calendar, last = look.case.replay.calendar, look.case.windows[-1]
    newest = calendar.shift(calendar.window(last), -look.case.assets[look.model.predictions].lag).key
    return before, [window.key for window in calendar.between(since, newest)] if since <= newest else []


def _concept(look: _Look, metric: str, told: Rise, since: str) -> World | None:
    """Split the change of the residual; None where other inputs account for it."""
    weight = 0.5 + 0.5 * math.log(min(told.evidence, 1e6))
    earlier, recent = _windows(look, since, labelled=True)
    rows = table(look.outcomes, look.model, earlier, recent)
    if rows is None or len(earlier) < _WARM:
        return _made(look, "concept", weight - 1.5, since, retrain=True)
    parts = _split(look, metric, rows.known())
    if parts is not None:
        shown = parts.concept.low > 0 or parts.concept.high < 0
        mostly = abs(parts.concept.value) >= abs(parts.covariate.value)
        if not shown and not mostly:
            return None
        weight += 0.5 if shown else -1.0
    where = _slice(look, metric, rows.known())
    if where is not None and where.alone:
        return _made(look, "concept_slice", weight, since, retrain=True, slice=where.name)
    return _made(look, "concept", weight, since, retrain=True)


def _split(look: _Look, metric: str, rows: Table) -> Split | None:
    """Split the change of the loss, or of the signed error where that is what moved (DISDE)."""
    judged, loss, expected = losses(look.model, rows)
    if metric in ("error", "bias"):
        loss, expected = score_of(look.model, metric, judged)[0], np.zeros(len(judged.told))
    known = _codes(look.model, judged)
    if known is None or not judged.new.any() or judged.new.all():
        return None
    codes, sizes, _ = known
    chance = membership(codes, sizes, judged.new)
    parts = split(loss - expected, expected, chance, judged.windows, judged.new)
    what = "outcomes less predictions" if metric == "error" else "predictions less outcomes" if metric == "bias" \
        else "the loss"  # fmt: skip
    text = (
        f"of the change of {parts.total.value:+.4g} in {what}, {parts.covariate.value:+.4g} "
        f"({parts.covariate.low:+.4g} to {parts.covariate.high:+.4g}) comes of other inputs and "
        f"{parts.concept.value:+.4g} ({parts.concept.low:+.4g} to {parts.concept.high:+.4g}) of other outcomes of the "
        f"same inputs; 95 % over {len(rows.keys)} windows"
    )
    look.note("concept", text, total=parts.total.value, covariate=parts.covariate.value,
              covariate_low=parts.covariate.low, covariate_high=parts.covariate.high, concept=parts.concept.value,
              concept_low=parts.concept.low, concept_high=parts.concept.high, shared=parts.recent)  # fmt: skip
    return parts


def _codes(model: Model, rows: Table) -> tuple[Codes, tuple[int, ...], tuple[str, ...]] | None:
    """Cut features, and the prediction, into cells by the earlier rows; without columns that only tell the time."""
    names = [name for name in (*model.columns, model.predicted) if name in rows.frame.columns]
    old = rows.frame.filter(~rows.new)
    if not old.height:
        return None
    try:
        encoding = Encoding.of(old.select(names))
        codes = encoding.codes(rows.frame)
    except DataError:
        return None  # a column became another kind, which is a finding of its own
    kept = [at for at, size in enumerate(encoding.sizes) if not _climbs(codes[:, at], size, rows)]
    return codes[:, kept], tuple(encoding.sizes[at] for at in kept), tuple(encoding.columns[at] for at in kept)


def _climbs(column: np.ndarray, size: int, rows: Table) -> bool:
    """Tell whether a column is a clock: the later half of the past shares next to nothing with the earlier half."""
    old = np.flatnonzero(~rows.recent)
    if len(old) < 4:
        return False
    late = rows.windows >= old[len(old) // 2]
    sides = [np.bincount(column[side & ~rows.new], minlength=size) for side in (late, ~late)]
    shares = [side / max(1, side.sum()) for side in sides]
    return float(np.minimum(*shares).sum()) < 0.3


def _slice(look: _Look, metric: str, rows: Table) -> Slice | None:
    if look.model.task == "ranking":
        return None
    score, information = score_of(look.model, metric, rows)
    found = carrier(score, information, columns_of(look.model, rows), rows.windows, rows.recent)
    if found is None:
        return None
    text = (
        f"the slice that changed most is {found.name} ({found.share:.0%} of the rows): {found.change:+.4g} per row, "
        f"{found.rest:+.4g} in the rest ({found.z:+.1f} and {found.z_rest:+.1f} standard errors), of {found.tested}"
    )
    look.note("slice_change", text, slice_change=found.change, slice_rest=found.rest, slice_z=found.z,
              slice_rest_z=found.z_rest, slice_share=found.share)  # fmt: skip
    return found


def _covariate(look: _Look, told: Rise | None, *, claimed: bool) -> World | None:
    """Look for features that moved further than they ever did, and what that does to predictions."""
    earlier, recent = _windows(look, look.first, labelled=False)
    rows = table(look.outcomes, look.model, earlier, recent) if len(earlier) >= _WARM else None
    if rows is None or look.model.task == "ranking":
        return None
    known = _codes(look.model, rows)
    if known is None:
        return None
    codes, sizes, names = known
    features = [at for at, name in enumerate(names) if name != look.model.predicted]
    codes, sizes, names = codes[:, features], tuple(sizes[at] for at in features), tuple(names[at] for at in features)
    found = moved(codes, sizes, rows.told, rows.windows, rows.recent)
    if not found:
        return None
    _note_moved(look, rows, codes, sizes, names, found)
    count = len(recent)
    weight = min(2.0, math.log(found[0].exceedance)) + min(1.0, 0.25 * count)
    if count < WORLD_WINDOWS:
        weight = min(weight, -0.5)
    labelled = [key for key in look.outcomes.windows if key >= look.first]
    calm = told is not None and told.evidence < 3.0
    if len(labelled) >= WORLD_WINDOWS and calm:
        weight += 1.5
        look.note("calm", f"outcomes follow the predictions in {len(labelled)} label-mature windows since: inputs that "
                  "were wrong would have given wrong predictions", calm=len(labelled))  # fmt: skip
    elif claimed:
        weight += 1.0  # the residual moved because inputs are where the model knows little
    return _made(look, "covariate", weight, recent[0], retrain=claimed,
                 columns=tuple(names[item.column] for item in found))  # fmt: skip


def _note_moved(
    look: _Look, rows: Table, codes: Codes, sizes: Sequence[int], names: Sequence[str], found: Sequence[Moved]
) -> None:
    new = rows.new
    change = float(np.nanmean(rows.told[new]) - np.nanmean(rows.told[~new]))
    together = carried(codes, sizes, rows.told, new, [item.column for item in found])
    for item in found[:3]:
        name = names[item.column]
        text = (
            f"`{name}` lies {item.exceedance:.1f} times further off than it ever did (distance {item.distance:.2f}); "
            f"that alone moves the mean prediction by {item.carried:+.4g}"
        )
        look.note(f"moved.{name}", text, **{f"moved.{name}": item.exceedance, f"carried.{name}": item.carried})
    text = f"all features that moved carry {together:+.4g} of the change of {change:+.4g} in the mean prediction"
    look.note("carried", text, carried=together, prediction_change=change)
    if look.model.task == "binary":
        expected = expected_log_loss(rows.told)
        known = carried(codes, sizes, expected, new, [item.column for item in found])
        now = float(expected[new].mean() - expected[~new].mean())
        text = f"and {known:+.4g} of the change of {now:+.4g} in the loss to expect"
        look.note("carried_loss", text, carried_loss=known, loss_change=now)


def _made(look: _Look, fault: Fault, weight: float, since: str, *, retrain: bool, **told: Any) -> World:
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
    return replace(
        verdict,
        fault=made.fault,
        text=text,
        start_window=made.since,
        chain=steps(case, made, verdict.time, keep),
    )


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
