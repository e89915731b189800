"""Candidates for a table's form: renamed columns, changed types, copies of rows, broken dependencies."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from headwater.stats.signatures.cases import NORMAL, Candidate, Case
from headwater.stats.signatures.copies import compared, often
from headwater.stats.signatures.repairs import Repair, apply
from headwater.stats.signatures.texts import ways
from headwater.stats.signatures.views import kind_matches

_FORM, _READ = 4.0, 50.0
_RARE = 0.005
"""Share of a usual window's rows that may be alike but for their key, where copies are told by that."""


def propose_names(case: Case) -> Iterator[Candidate]:
    """Yield renamings of new columns that look like the ones that are gone."""
    reference, frame = case.reference, case.view.raw
    missing = [name for name in reference.schema if name not in frame.columns]
    extra = [name for name in frame.columns if name not in reference.schema]
    pairs: list[tuple[float, str, str]] = []
    for name in missing:
        for other in extra:
            if kind_matches(frame.schema[other], reference.schema[name]) or frame.schema[other] == pl.Null:
                pairs.append((_unlike(case, name, other), other, name))
    chosen: dict[str, str] = {}
    for cost, other, name in sorted(pairs):
        alone = len(missing) == len(extra) == 1
        if cost < (4.0 if alone else 1.5) and other not in chosen and name not in chosen.values():
            chosen[other] = name
    if chosen:
        text = "; ".join(
            f"column `{name}` is gone and the new `{other}` has its values" for other, name in chosen.items()
        )
        named = ", ".join(chosen.values())
        yield Candidate(
            Repair("rename", "rename", {"columns": chosen}), text, cost=len(chosen), limit=_FORM, column=named
        )


def _unlike(case: Case, name: str, other: str) -> float:
    """Worst exceedance of the missing column's metrics if the other stood in for it, less for a similar name."""
    frame = case.view.raw.select(pl.col(other).alias(name))
    view = case.reference.sampled(frame, case.window)
    if not view.present(name):
        return 99.0
    found: dict[str, float] = {}
    case.reference.measure_column(view, name, None, False, {}, found)
    worst = max((case.ratio(metric, value) for metric, value in found.items()), default=0.0)
    alike = difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()
    return worst - 0.3 * alike


def propose_types(case: Case) -> Iterator[Candidate]:
    """Yield casts of columns back to their usual types."""
    frame, reference = case.view.raw, case.reference
    chosen: dict[str, str] = {}
    for name, dtype in reference.schema.items():
        if f"dtype:{name}" not in case.abnormal or name not in frame.columns:
            continue
        how = _best_way(case, name)
        if how:
            chosen[name] = how
            text = f"`{name}` is {_type(frame.schema[name])}, usually {_type(dtype)}"
            yield Candidate(Repair("cast", "type_change", {"columns": {name: how}}), text, limit=_READ)
    if len(chosen) > 1:
        text = f"the types of `{'`, `'.join(chosen)}` changed"
        yield Candidate(Repair("cast", "type_change", {"columns": chosen}), text, limit=_READ)


def _type(dtype: pl.DataType) -> str:
    return str(dtype).lower()


def _best_way(case: Case, name: str) -> str | None:
    series, best = case.view.raw.get_column(name), (1.5, "")
    for how in ways(series, case.reference.schema[name]):
        trial = apply(
            Repair("cast", "type_change", {"columns": {name: how}}), case.view.raw.select(name), case.reference
        )
        lost = trial.get_column(name).null_count() - series.null_count()
        share = max(lost, 0) / max(series.len() - series.null_count(), 1)
        found: dict[str, float] = {}
        view = case.reference.sampled(trial, case.window)
        case.reference.measure_column(view, name, None, False, {}, found)
        worst = max((case.ratio(metric, value) for metric, value in found.items()), default=0.0)
        cost = share + min(worst, 50) / 50
        if share < 0.5 and cost < best[0]:
            best = (cost, how)
    return best[1] or None


def propose_copies(case: Case) -> Iterator[Candidate]:
    """Yield removals of rows that are here twice, or that an earlier window already had."""
    reference, rows = case.reference, case.view.rows
    usual = float(np.exp(case.usual("rows:")))
    if {"copies:", "paired:"} & set(case.abnormal):
        share = case.value("copies:")
        text = f"{share:.0%} of the {rows} rows repeat another row; a window usually has {usual:.0f} rows"
        for parameters, cost in _removals(case):
            yield Candidate(Repair("deduplicate", "duplicate_load", parameters), text, column="", cost=cost)
    if "alike:" in case.abnormal and not {"copies:", "paired:"} & set(case.abnormal):
        yield from _rekeyed(case, usual)
    time = reference.time
    if time and (f"outside:{time}" in case.abnormal or ("rows:" in case.abnormal and case.high("rows:"))):
        text = f"{rows} rows where {usual:.0f} are usual, among them rows of earlier windows"
        yield Candidate(Repair("drop_delivered", "duplicate_load", {}), text, column="")


def _rekeyed(case: Case, usual: float) -> Iterator[Candidate]:
    """A part of the rows came again under other keys; where rows are alike by nature nobody can tell."""
    frame, known = case.view.raw, case.reference.baseline.values["alike:"]
    rest = compared(case.reference.schema, frame, case.reference.key)
    if float(np.nanmax(known)) > _RARE or case.value("rows:") < case.usual("rows:") or not often(frame, rest):
        return
    named = "`, `".join(case.reference.key)
    text = f"{case.value('alike:'):.0%} of the {case.view.rows} rows repeat another row under a new `{named}`"
    text += f"; a window usually has {usual:.0f} rows"
    yield Candidate(Repair("deduplicate", "duplicate_load", {"key": rest}), text, column="")


def _removals(case: Case) -> Iterator[tuple[dict[str, Any], int]]:
    key = list(case.reference.key)
    if key and set(key) <= set(case.view.raw.columns):
        yield {"key": key}, 1
        return
    # Some tables have equal rows by nature; then every row twice is not the same as every row once, and a few more
    # equal rows than usual are nothing.
    natural = case.usual("copies:")
    if natural > 0.05 and case.value("paired:") < 0.9:
        return
    yield {"key": [], "copies": _times(case.view.raw)}, 2 if natural <= 0.001 else 1
    yield {"key": []}, 1 if natural <= 0.001 else 2


def _times(frame: pl.DataFrame) -> int:
    """Return how often every row is here: the largest number that divides the count of nearly every row, at least 2."""
    _, counts = np.unique(frame.hash_rows(seed=0).to_numpy(), return_counts=True)
    whole = (times for times in (5, 4, 3, 2) if counts[counts % times == 0].sum() > 0.9 * counts.sum())
    return next(whole, 2)


def propose_dependencies(case: Case) -> Iterator[Candidate]:
    """Yield rebuilds of columns that used to follow from others, and fills of nulls that an id determines."""
    reference = case.reference
    for linear in reference.linears:
        if f"linear:{linear.column}" in case.abnormal:
            yield from _rebuilds(case, linear.column)
    for lookup in reference.lookups:
        name = f"lookup:{lookup.by}>{lookup.column}"
        if not case.view.present(lookup.by) and case.reference.kind(lookup.by) != "other":
            continue
        if name in case.abnormal:
            share = case.value(name)
            text = f"`{lookup.column}` differs from what its `{lookup.by}` is known to have in {share:.0%} of the rows"
            parameters = {"columns": {lookup.column: lookup.by}, "overwrite": True}
            yield Candidate(Repair("fill", "dependency", parameters), text, cost=3, prior=0.7)
        if f"null:{lookup.column}" in case.abnormal and case.high(f"null:{lookup.column}"):
            share, usual = case.value(f"null:{lookup.column}"), case.usual(f"null:{lookup.column}")
            text = f"`{lookup.column}` is null in {share:.0%} of the rows, usually {usual:.0%}"
            text += f"; its `{lookup.by}` tells the value"
            yield Candidate(Repair("fill", "null_burst", {"columns": {lookup.column: lookup.by}}), text)


def _rebuilds(case: Case, column: str) -> Iterator[Candidate]:
    """A weighted sum can be solved for any of its columns; the one that is off by itself is the one to rebuild."""
    linear = next(one for one in case.reference.linears if one.column == column)
    share = case.value(f"linear:{column}")
    for target in (column, *linear.weights):
        weights = {name: weight for name, weight in linear.weights.items() if name != target}
        constant = linear.constant
        if target != column:
            own = linear.weights[target]
            weights = {column: 1 / own, **{name: -weight / own for name, weight in weights.items()}}
            constant = -constant / own
        recipe = {"weights": weights, "constant": constant}
        text = f"`{target}` no longer follows from `{'`, `'.join(weights)}` in {share:.0%} of the rows"
        repair = Repair("rebuild", "dependency", {"columns": {target: recipe}})
        worst = max((case.r(name) for name in case.about(target) if name.endswith(f":{target}")), default=0.0)
        yield Candidate(repair, text, cost=2, prior=0.8 if worst > NORMAL else 0.7)
