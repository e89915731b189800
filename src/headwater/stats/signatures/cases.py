"""One frame under diagnosis: what is abnormal about it, and what a candidate repair would leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from headwater.core.errors import DataError
from headwater.core.windows import Window
from headwater.stats.signatures.baselines import column_of, metric_of
from headwater.stats.signatures.reference import Reference, Score
from headwater.stats.signatures.repairs import Repair, apply
from headwater.stats.signatures.views import View

ABNORMAL, NORMAL = 2.0, 1.2
_STRONG, _EXTREME, _TOLD, _CERTAIN, _BYSTANDER, _FAR = 3.0, 8.0, 1.8, 3.0, 3.5, 6.0
# Metrics of form rather than amount: no storm moves them, so what they tell needs less support from the rest.
_TELLING = frozenset(
    (
        *("unseen", "fine", "grain", "outside", "copies", "paired", "alike", "repeat", "replay"),
        *("dtype", "schema", "calendar", "linear", "lookup"),
    )
)
# Exact relations: nothing but the right repair mends them on every row.
_EXACT = frozenset(("calendar", "linear", "lookup", "replay", "repeat"))
_AGREEMENT = frozenset(("fit", "scatter", "phase", "course"))
_OF_ROWS = frozenset(
    (
        *("rows", "copies", "paired", "alike", "outside", "first", "middle", "last"),
        *("uncovered", "churn", "repeat", "replay"),
    )
)


def _weight(name: str) -> float:
    """Return how much a metric that is still off counts: some values were never seen before on any record day."""
    return 0.5 if metric_of(name) == "unseen" else 1.0


@dataclass(frozen=True)
class Candidate:
    """A repair to try.

    Attributes:
        repair: What to apply.
        detail: What it would mean, for people, with numbers.
        wrap: The repaired times may lie in neighbouring windows, because the rows were cut after the times moved.
        tolerance: Per column, how far repaired numbers may be from known ones, because digits were lost.
        excused: Metrics that need not return to normal, because the repair is known not to restore them.
        demand: How abnormal the metrics that it mends must have been.
        amounts: It rests on amounts or shares, which the world moves as well: without a metric of form or of agreement
            to tell, several metrics must have been far off.
        mute: Metrics of form that cannot speak for it, because it would mend them on any record day.
        cost: How many free parameters it has.
        prior: Plausibility against other explanations of the same metrics, 0 to 1.
        limit: How abnormal the mended columns may stay: where the form tells enough, the values may be odd as well.
        column: What to name as affected, if not the repair's columns.
        explains: For repairs without an inverse: the metrics that the pattern accounts for.
    """

    repair: Repair
    detail: str
    wrap: bool = False
    tolerance: Mapping[str, float] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()
    demand: float = ABNORMAL
    cost: int = 1
    amounts: bool = False
    mute: frozenset[str] = frozenset()
    prior: float = 1.0
    limit: float = NORMAL
    explains: frozenset[str] = frozenset()
    column: str | None = None

    @property
    def named(self) -> str:
        """The affected columns as one text; empty for the whole table."""
        if self.column is not None:
            return self.column
        return ", ".join(self.repair.parameters.get("columns", ()))


def lost(fault: str, column: str, detail: str, explains: frozenset[str], **more: object) -> Candidate:
    """Return the candidate for a loss: nothing here undoes it, the sender has to deliver again."""
    parameters = {"columns": [name for name in column.split(", ") if name]}
    return Candidate(Repair("redeliver", fault, parameters), detail, explains=explains, column=column, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Outcome:
    """What a candidate did: worst exceedance of the metrics it changed, before and after, and which it mended."""

    candidate: Candidate
    before: float
    after: float
    mended: frozenset[str]
    rest: float = 0.0
    limit: float = NORMAL

    @property
    def fires(self) -> bool:
        """Whether clearly abnormal metrics became normal."""
        if not self.candidate.repair.invertible:
            return self.before > ABNORMAL
        return self.before > self.candidate.demand and self.after < self.limit and bool(self.mended)


@dataclass
class Case:
    """A frame, its window and its exceedances."""

    reference: Reference
    window: Window
    view: View
    score: Score

    @classmethod
    def of(cls, frame: pl.DataFrame, window: Window, reference: Reference) -> Case:
        """Measure a frame."""
        view = reference.sampled(frame, window)
        return cls(reference, window, view, reference.compare(reference.measure(view), window))

    @cached_property
    def abnormal(self) -> dict[str, float]:
        """The metrics beyond the limit, worst first."""
        return self.score.abnormal(ABNORMAL)

    def r(self, name: str) -> float:
        """Return one metric's exceedance; 0 when it is not defined."""
        return self.score.ratios.get(name, 0.0)

    def value(self, name: str) -> float:
        """Return one metric's value, NaN when it is not defined."""
        return self.score.values.get(name, np.nan)

    def usual(self, name: str) -> float:
        """Return one metric's usual value, NaN when it is not known."""
        return self.reference.baseline.usual(name, self.window)

    def ratio(self, name: str, value: float) -> float:
        """Return the exceedance that a metric would have with another value."""
        return self.reference.baseline.ratio(name, value, self.window)

    def high(self, name: str) -> bool:
        """Tell whether a metric is above its usual value."""
        return bool(self.value(name) > self.usual(name))

    def columns(self, kind: str) -> list[str]:
        """Return the present columns of a kind that do not just repeat the calendar."""
        reference = self.reference
        return [
            name
            for name in reference.schema
            if reference.kind(name) == kind and self.view.present(name) and not reference.derived(name)
        ]

    def odd(self, column: str, *metrics: str) -> bool:
        """Tell whether a column has an abnormal metric (of those named, or any)."""
        return any(
            column_of(name) == column or column_of(name).endswith(f">{column}")
            for name in self.abnormal
            if not metrics or metric_of(name) in metrics
        )

    def about(self, *columns: str) -> frozenset[str]:
        """Return the abnormal metrics that are about the columns, or about agreement with them."""
        loose = ("fit", "scatter", "linear", "lookup", "phase", "course", "nullpattern", "alike")
        return frozenset(
            name for name in self.abnormal if set(column_of(name).split(">")) & set(columns) or metric_of(name) in loose
        )

    def try_out(self, candidate: Candidate) -> Outcome | None:
        """Apply a candidate and measure what it changed; None when it cannot be applied."""
        if not candidate.repair.invertible:
            before = max((self.r(name) for name in candidate.explains), default=0.0)
            return Outcome(candidate, before, before, candidate.explains)
        try:
            repaired = apply(candidate.repair, self.view.raw, self.reference)
        except DataError:
            return None
        changed = candidate.repair.columns()
        if candidate.repair.operator == "rename":
            changed = None
        view = self.reference.sampled(
            repaired, self.window, sharing=None if changed is None else self.view, changed=changed or ()
        )
        values = self.reference.measure(view, columns=changed, wrap=candidate.wrap, tolerance=candidate.tolerance)
        return self._compare(candidate, self.reference.compare(values, self.window).ratios)

    def _compare(self, candidate: Candidate, after: Mapping[str, float]) -> Outcome:
        names = [name for name in after if name not in candidate.excused]
        touched = [name for name in names if abs(after[name] - self.r(name)) > 0.05]
        own = [name for name in touched if self._is_own(candidate, name)]
        before = max((self.r(name) for name in touched), default=0.0)
        left = max((_weight(name) * after[name] for name in own), default=0.0)
        bystanders = set(touched) - set(own)
        left = max([left, *(after[name] for name in bystanders if self._is_worse(candidate, name, after[name]))])
        limit, told = candidate.limit, False
        speaking = [name for name in touched if metric_of(name) not in candidate.mute]
        if any(self.r(name) > max(3 * after[name], self._telling(name)) for name in speaking):
            limit, told = max(limit, _TOLD), True
        if any(metric_of(name) in _EXACT and self.r(name) > _EXTREME and after[name] < NORMAL for name in touched):
            limit = max(limit, _CERTAIN)
        mended = {
            name
            for name in touched
            if self.r(name) > ABNORMAL and (after[name] < NORMAL or after[name] < min(0.35 * self.r(name), limit))
        }
        if candidate.amounts and not told and (before < _FAR or len(mended) < 3):
            mended = set()
        rest = float(np.mean([after[name] for name in touched])) if touched else 0.0
        return Outcome(candidate, before, left, frozenset(mended), rest, limit)

    @staticmethod
    def _telling(name: str) -> float:
        """Return the exceedance from which a metric that was mended speaks for the repair by itself."""
        metric = metric_of(name)
        return _STRONG if metric in _TELLING else _EXTREME if metric in _AGREEMENT else np.inf

    def _is_worse(self, candidate: Candidate, name: str, after: float) -> bool:
        """Tell whether a metric that the repair only brushes speaks against it.

        Agreement with other columns may stay as odd as those are today, and what was hidden by extra rows may show.
        """
        if candidate.repair.columns() is None:
            return after > max(_BYSTANDER, 1.3 * self.r(name) + 0.5)
        before = self.r(name)
        return after > max(NORMAL, 0.35 * before) and after > before + 0.1 * (after < _BYSTANDER)

    def _is_own(self, candidate: Candidate, name: str) -> bool:
        changed = candidate.repair.columns()
        if changed is None:
            return metric_of(name) in _OF_ROWS
        loose = metric_of(name) in _AGREEMENT and column_of(name) != self.reference.time
        return not loose and (column_of(name) in changed or metric_of(name) in ("linear", "lookup"))
