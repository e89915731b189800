"""Tests on the rows of a changed world: what moved with the inputs, what given them, and which rows carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.stats.estimates.encoding import Codes, Encoding
from headwater.stats.estimates.moved import carried, climbs, moved
from headwater.stats.estimates.shift import Split, membership, split
from headwater.stats.outcomes.performance import expected_log_loss
from headwater.stats.outcomes.slices import Slice, bearing
from headwater.triage.case import Case
from headwater.triage.outcomes import Outcomes, Table, columns_of, losses, score_of

PAST = 42
"""Accepted windows that the incident's are compared with."""
_TOLD = 3
LATE = 2
"""Windows that inputs must have moved for before their monitor says so, beside the one that it says it in."""


@dataclass
class Look:
    """What is looked at of one model, and what was seen there, test by test."""

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
    def moved_first(self) -> str:
        """The model's own window since which its inputs moved: a monitor of them tells it a few windows late."""
        told = [item.window for item in self.case.findings if item.monitor == "inputs" and item.severity == "alarm"]
        calendar = self.case.replay.calendar
        return min([self.first, *(calendar.shift(calendar.window(key), -LATE).key for key in told)])

    @property
    def labelled_first(self) -> str:
        """The first window whose labels were there when the incident began, and not before."""
        calendar = self.case.replay.calendar
        lag = self.case.assets[self.model.labels].lag
        return calendar.shift(calendar.window(self.case.windows[0]), -lag).key

    def note(self, name: str, text: str, **numbers: float) -> None:
        """Keep what a test said, under the name of its chief number."""
        self.numbers |= {key: float(value) for key, value in numbers.items()}
        self.texts.append((name, text))


@dataclass(frozen=True, slots=True)
class Inputs:
    """Features that moved.

    Attributes:
        columns: Their names, the furthest first.
        exceedance: How many times further the furthest lies off than it ever did.
        windows: Windows that they moved in.
        matters: Whether the predictions moved with them, beyond what they vary by.
    """

    columns: tuple[str, ...]
    exceedance: float
    windows: int
    matters: bool


def windows_of(look: Look, since: str, *, labelled: bool) -> tuple[list[str], list[str]]:
    """Return the accepted windows before the change, and those since."""
    own = look.outcomes.windows if labelled else look.outcomes.scored
    before = [key for key in own if key < since and (not labelled or key in look.outcomes.accepted)][-PAST:]
    if labelled:
        return before, [key for key in own if key >= since]
    calendar, last = look.case.replay.calendar, look.case.windows[-1]
    newest = calendar.shift(calendar.window(last), -look.case.assets[look.model.predictions].lag).key
    return before, [window.key for window in calendar.between(since, newest)] if since <= newest else []


def parts_of(look: Look, metric: str, rows: Table) -> Split | None:
    """Split the change of the loss, or of the signed error where that is what moved (DISDE)."""
    judged, loss, expected = losses(look.model, rows)
    if metric in ("error", "bias"):
        loss, expected = score_of(look.model, metric, judged)[0], np.zeros(len(judged.told))
    known = _codes(look.model, judged)
    if known is None or not judged.in_question.any() or judged.in_question.all():
        return None
    codes, sizes, _ = known
    chance = membership(codes, sizes, judged.in_question)
    parts = split(loss - expected, expected, chance, judged.windows, judged.in_question)
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
    old = rows.frame.filter(~rows.in_question)
    if not old.height:
        return None
    try:
        encoding = Encoding.of(old.select(names))
        codes = encoding.codes(rows.frame)
    except DataError:
        return None  # a column became another kind, which is a finding of its own
    kept = [at for at, size in enumerate(encoding.sizes) if not climbs(codes[:, at], size, rows.windows, rows.recent)]
    return codes[:, kept], tuple(encoding.sizes[at] for at in kept), tuple(encoding.columns[at] for at in kept)


def slice_of(look: Look, metric: str, rows: Table) -> Slice | None:
    """Find the slice that carries a change of a residual best, whether or not it explains it."""
    if look.model.task == "ranking":
        return None
    score, information = score_of(look.model, metric, rows)
    found = bearing(score, information, columns_of(look.model, rows), rows.windows, rows.recent)
    if found is None:
        return None
    text = (
        f"the slice that changed most is {found.name} ({found.share:.0%} of the rows): {found.change:+.4g} per row, "
        f"{found.rest:+.4g} in the rest; against the rest of its windows {found.z:+.1f} standard errors, clearly in "
        f"{found.raised} windows, of {found.tested} slices"
    )
    look.note("slice_change", text, slice_change=found.change, slice_rest=found.rest, slice_z=found.z,
              slice_rest_z=found.z_rest, slice_share=found.share, slice_raised=found.raised)  # fmt: skip
    return found


def inputs_of(look: Look, recent: Sequence[str], rows: Table) -> Inputs | None:
    """Say which features moved further than they ever did, and what that does to the predictions."""
    known = _codes(look.model, rows)
    if known is None:
        return None
    codes, sizes, names = known
    found = moved(codes, sizes, rows.told, rows.windows, rows.recent)
    features = [item for item in found if names[item.column] != look.model.predicted]
    if not features:
        return None
    for item in features[:_TOLD]:
        name = names[item.column]
        text = (
            f"`{name}` lies {item.exceedance:.1f} times further off than it ever did (distance {item.distance:.2f}); "
            f"that alone moves the mean prediction by {item.carried:+.4g}"
        )
        look.note(f"moved.{name}", text, **{f"moved.{name}": item.exceedance, f"carried.{name}": item.carried})
    new = rows.in_question
    columns = [item.column for item in features]
    change = float(np.nanmean(rows.told[new]) - np.nanmean(rows.told[~new]))
    together = carried(codes, sizes, rows.told, new, columns)
    usual = _wander(rows)
    text = (
        f"all features that moved carry {together:+.4g} of the change of {change:+.4g} in the mean prediction, which "
        f"varies by {usual:.4g} over as many windows"
    )
    look.note("carried", text, carried=together, prediction_change=change, prediction_usual=usual)
    if look.model.task == "binary":
        expected = expected_log_loss(rows.told)
        part = carried(codes, sizes, expected, new, columns)
        now = float(expected[new].mean() - expected[~new].mean())
        text = f"and {part:+.4g} of the change of {now:+.4g} in the loss to expect"
        look.note("carried_loss", text, carried_loss=part, loss_change=now)
    matters = any(names[item.column] == look.model.predicted for item in found) or abs(together) > 2 * usual
    return Inputs(tuple(names[item.column] for item in features), features[0].exceedance, len(recent), matters)


def _wander(rows: Table) -> float:
    """Return how the mean prediction of as many windows of the past in a row varies."""
    sums, counts = (np.bincount(rows.windows, heavy, len(rows.recent)) for heavy in (np.nan_to_num(rows.told), None))
    old, length = np.flatnonzero(~rows.recent), int(rows.recent.sum())
    starts = range(0, max(1, len(old) - length + 1), max(1, length // 2))
    means = [sums[old[at : at + length]].sum() / max(1, counts[old[at : at + length]].sum()) for at in starts]
    return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
