"""Inputs that moved and carry no signature: were they wrong, or did the world move them? Outcomes tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.stats.alarms.rise import rise
from headwater.stats.outcomes.intervals import Interval, t_interval
from headwater.stats.outcomes.task_loss import NAMES
from headwater.triage.case import Case
from headwater.triage.mechanism import loss_gap
from headwater.triage.outcomes import STREAMS, table
from headwater.triage.replay import Plan
from headwater.triage.shifts import Look, inputs_of, windows_of
from headwater.triage.suspects import Weighed

FEWEST, MOST = 3, 7
"""Label-mature windows of the incident that tell something, and of which the newest are tried."""
WRONG, CLEARED = 3.0, -4.0
"""What the weight of a source grows by whose columns, put back, foretell better; its weight where they do worse."""
_WARM, _DISTINCT, _NEWS = 7, 12, 3.0

Origins = Callable[[Case, str, str], set[str]]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a model's loss would have been, had the columns that moved been where they used to lie.

    Attributes:
        columns: The columns.
        gap: Loss of the predictions from restored columns less that of the predictions as served, over windows.
        windows: Label-mature windows.
    """

    columns: tuple[str, ...]
    gap: Interval
    windows: int


def tested(case: Case, found: Sequence[Weighed], origins: Origins) -> list[Weighed]:
    """Judge unusual sources without a signature by what became of the rows they fed.

    The columns that moved are put back, each value to the place in the earlier distribution that it has in the new one,
    and the model scores again. A feed that multiplies, shifts or mixes up units is undone by that, whatever the factor:
    the predictions get better. Where the world itself moved, they get worse. It tells nothing without labels, of
    columns that are no numbers, and of faults that keep the distribution.

    Args:
        case: The case.
        found: The suspects.
        origins: Follows a column of an asset up to the sources that it came from.
    """
    result = [_foretold(case, item) if _unsigned(item) else item for item in found]
    unusual = {item.asset for item in result if _unsigned(item)}
    for model in case.models if unusual else ():
        made = restored(case, model)
        if made is None:
            continue
        fed = {source for column in made.columns for source in origins(case, model.served, f"mean.{column}")}
        fed -= {name for name in fed if model.labels in case.replay.descendants(name)}  # their outcomes are its own
        result = [_judged(model, item, made) if item.asset in unusual & fed else item for item in result]
    return result


def _unsigned(item: Weighed) -> bool:
    return item.kind == "source" and not item.exonerated and item.repair is None and item.fault.startswith("abnormal")


def _foretold(case: Case, item: Weighed) -> Weighed:
    """Clear a source of labels whose outcomes are unusual, but as the predictions foretold."""
    for model in case.models:
        outcomes = case.outcomes.get(model.name)
        above = case.replay.ancestors(model.labels) - case.replay.ancestors(model.predictions)
        about = {finding.metric.partition(".")[2] for finding in case.of(item.asset)}
        if outcomes is None or item.asset not in above or not about <= {model.outcome}:
            continue
        metric = next((name for name in ("error", "bias") if name in STREAMS[model.task]), "")
        first = case.keys(model.labels)[0]
        past = [key for key in outcomes.windows if key in outcomes.accepted and key < first]
        now = [key for key in outcomes.windows if key >= first]
        enough = metric and len(now) >= FEWEST
        told = rise(outcomes.stream(metric, past), outcomes.stream(metric, now)) if enough else None
        if told is not None and told.evidence < _NEWS:
            reason = (
                f"its outcomes are as the predictions foretold in {len(now)} label-mature windows (e-value "
                f"{told.evidence:.2g}), unusual as they are"
            )
            return replace(item, fault="", weight=CLEARED, exonerated=True, reason=reason)
    return item


def _judged(model: Model, item: Weighed, made: Restored) -> Weighed:
    names = ", ".join(f"`{name}`" for name in made.columns)
    said = (
        f"with {names} put back where they lay the {NAMES[model.task]} would be {made.gap.value:+.4g} "
        f"({made.gap.low:+.4g} to {made.gap.high:+.4g}) over {made.windows} label-mature windows"
    )
    numbers = {
        **item.numbers,
        "restored_loss": made.gap.value,
        "restored_high": made.gap.high,
        "restored_windows": float(made.windows),
    }
    if made.gap.high < 0:
        return replace(item, weight=item.weight + WRONG, reason=f"{item.reason}; but {said}", numbers=numbers)
    if made.gap.low > 0:
        reason = f"the outcomes follow its rows as they came: {said}"
        return replace(item, fault="", weight=CLEARED, exonerated=True, reason=reason, numbers=numbers)
    return replace(item, numbers=numbers)


def restored(case: Case, model: Model) -> Restored | None:
    """Put the columns that moved back and score again; None where nothing moved or too few windows are labelled."""
    outcomes = case.outcomes.get(model.name)
    if outcomes is None or model.task == "ranking":
        return None
    look = Look(case, model, outcomes)
    keys = [key for key in outcomes.windows if key >= look.first][-MOST:]
    earlier, recent = windows_of(look, look.first, labelled=False)
    if len(keys) < FEWEST or len(earlier) < _WARM:
        return None
    rows = table(outcomes, model, earlier, recent)
    moved = None if rows is None else inputs_of(look, recent, rows)
    if rows is None or moved is None:
        return None
    sides = rows.frame.filter(~rows.in_question), rows.frame.filter(rows.in_question)
    maps = {
        name: found for name in moved.columns
        if (found := _mapping(*sides, name)) is not None
    }  # fmt: skip
    gaps = [gap for key in keys if maps and (gap := _gap(case, model, key, maps)) is not None]
    return Restored(tuple(maps), t_interval(np.array(gaps)), len(gaps)) if len(gaps) >= FEWEST else None


def _mapping(old: pl.DataFrame, new: pl.DataFrame, name: str) -> tuple[npt.NDArray[np.float64], ...] | None:
    """Return quantiles of a column now, and where it used to have them; None for what is no number."""
    sides = []
    for frame in (new, old):
        values = frame[name]
        if not values.dtype.is_numeric() or values.dtype.is_decimal():
            return None
        known = values.cast(pl.Float64).drop_nulls().to_numpy()
        known = known[np.isfinite(known)]
        if len(np.unique(known[:5000])) <= _DISTINCT:
            return None
        sides.append(np.quantile(known, np.linspace(0, 1, 101)))
    return tuple(sides)


def _gap(case: Case, model: Model, key: str, maps: Mapping[str, tuple[npt.NDArray[np.float64], ...]]) -> float | None:
    """Return by how much the loss of a window would differ with restored columns."""
    served, labels = case.replay.observed(model.served, key), case.replay.observed(model.labels, key)
    before = case.replay.observed(model.predictions, key)
    if served is None or labels is None or before is None or not set(maps) <= set(served.columns):
        return None
    put = [_restored(served[name], *maps[name]) for name in maps]
    try:
        plan = Plan(frames={(model.served, key): served.with_columns(put)})
        after = case.replay.value(model.predictions, key, plan)
    except DataError:
        return None
    return None if after is None or after is before else loss_gap(model, before, after, labels)


def _restored(column: pl.Series, now: npt.NDArray[np.float64], then: npt.NDArray[np.float64]) -> pl.Series:
    values = column.cast(pl.Float64).to_numpy()
    mapped = pl.Series(column.name, np.interp(values, now, then)).set(column.is_null(), None)
    return mapped if column.dtype.is_float() else mapped.fill_nan(None).round().cast(column.dtype, strict=False)
