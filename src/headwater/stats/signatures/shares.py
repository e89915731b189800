"""Candidates for a numeric column of which some rows came in another unit: those of one station, one vendor, or any.

The column is then a mixture, ``(1 - s) P(x) + s P(x / f)``. Where the hit rows can be told from the others, the repair
touches these only, and is proposed where accepted windows never have nearly as many rows that the same rule picks.
Where the components overlap so that rows cannot be told apart, the fault is named and nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from headwater.stats.signatures import measures
from headwater.stats.signatures.baselines import column_of, metric_of
from headwater.stats.signatures.cases import NORMAL, Candidate, Case, lost
from headwater.stats.signatures.categories import coded_columns
from headwater.stats.signatures.mixtures import blended, sizes_of
from headwater.stats.signatures.parts import (
    LEAST,
    SHARE,
    Column,
    Part,
    by_agreement,
    by_form,
    by_size,
    by_value,
    came,
    said_of,
)
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.rows import strangeness
from headwater.stats.signatures.units import CONVERSIONS
from headwater.stats.signatures.views import Bools, Floats, numbers

_MARGIN, _TIMES = 0.03, 2.0
_MISSED, _WRONG, _HALF = 0.05, 0.01, 0.5
_LIMIT, _NEARLY = 1.6, 0.15
_SAMPLE = 1500
_DIGITS = 4  # beyond so many decimals, more of them show nothing
_FACTORS = np.array(sorted({one.scale for one in CONVERSIONS if not one.shift and one.scale > 0}))
_FACTORS = _FACTORS[np.abs(np.log10(_FACTORS)) > 0.45]


def propose_shares(case: Case, left: frozenset[str]) -> Iterator[Candidate]:
    """Yield a repair of some rows of each column about which abnormal metrics are left unexplained.

    It misleads where the world brings a second population that happens to be a factor away, such as another kind of
    goods. It is blind to a factor within a column's own spread, unless form, another column or agreement tells, and to
    a share that leaves every metric within its usual variation. A column that an exact relation rebuilds is left to
    that repair, under its name.

    Args:
        case: The frame under diagnosis.
        left: The abnormal metrics that no other signature accounts for.
    """
    columns = {column_of(name).split(">")[-1] for name in left if metric_of(name) != "dtype"}
    for name in case.columns("number"):
        known = case.reference.vocabularies[name]
        if name not in columns or known.coded or known.values.len() < 3:
            continue
        column = Column(case, name)
        if len(column.values) < LEAST or (column.values == column.values[0]).all():
            continue
        with np.errstate(all="ignore"):
            yield from _candidates(column)


def _candidates(column: Column) -> Iterator[Candidate]:
    done: set[tuple[float, str]] = set()
    for find in (by_value, by_form, by_agreement, by_size):
        for part in _chosen(column, find(column)):
            share, complete = _convincing(column, part)
            if not share:
                continue
            named = _named(column, part, column.hit(column.frame, part))
            part = named if complete or named is not part else replace(part, sure=False)
            told = (part.scale, str(part.where))
            if told not in done:
                done.add(told)
                yield from _repairs(column, part, share)
    yield from _overlapping(column)


def _repairs(column: Column, part: Part, share: float) -> Iterator[Candidate]:
    factor: dict[str, Any] = {"scale": part.scale, "shift": part.shift}
    if part.lossy:
        factor["round"] = True
    start = f"`{column.name}` of {share:.0%} of the rows ({part.said}) came "
    repair = Repair("affine", "unit", {"columns": {column.name: factor}, "where": dict(part.where)})
    candidate = Candidate(
        repair,
        start + part.text,
        cost=2,
        prior=1.0 if "form" not in part.where and "agreement" not in part.where else 0.98,
        limit=NORMAL if part.by_value else _LIMIT,
        amounts=part.by_value,
        mute=frozenset({"dtype"} if part.by_value else ()),
    )
    if part.sure:
        yield candidate
        return
    outcome = column.case.try_out(candidate)
    if outcome is not None and outcome.fires:
        text = f"{start}about {part.text}, but not so clearly that it can be undone"
        yield lost("unit", column.name, text, outcome.mended, prior=0.95)


def _chosen(column: Column, parts: Iterable[Part]) -> list[Part]:
    """Return the best factor of each rule: the one that gives ordinary values back, powers of ten before others."""
    rules: dict[str, list[Part]] = {}
    for part in parts:
        rules.setdefault(str(part.where), []).append(part)
    return [one for group in rules.values() for one in _best(column, group)]


def _best(column: Column, parts: Sequence[Part]) -> list[Part]:
    values = column.numbers
    some = values[np.isfinite(values) & (values != 0)]
    ranked = []
    for part in parts:
        picked = column.hit(column.frame, part)
        hit, others = (values[rows & np.isfinite(values) & (values != 0)] for rows in (picked, ~picked))
        if len(hit) < 3 or len(hit) > 0.97 * len(some):
            continue
        strange, lossy = _strange(column, hit[:: max(1, len(hit) // 300)], part)
        new = strangeness(column.case.reference, column.name, others[:: max(1, len(others) // 300)])
        if float((strange > 0).mean()) > max(column.strange, float((new > 0).mean())) + 0.25:
            continue
        sure = part.sure and not (lossy and "column" not in part.where and not part.tidy)
        ranked.append(
            (round(float(strange.mean()), 1), not part.tidy, part.order, replace(part, lossy=lossy, sure=sure))
        )
    if not ranked:
        return []
    least = min(item[0] for item in ranked) + _NEARLY
    ranked = sorted((item for item in ranked if item[0] <= least), key=lambda item: item[1:3])
    _, _, order, best = ranked[0]
    rivals = [one for _, _, rival, one in ranked[1:] if rival < max(1.5 * order, 0.5) and not _same(one, best)]
    return [best if best.tidy else replace(best, sure=best.sure and not rivals)]


def _same(one: Part, other: Part) -> bool:
    return one.shift == other.shift and abs(one.scale / other.scale - 1) < 0.004


def _strange(column: Column, values: Floats, part: Part) -> tuple[Floats, bool]:
    """Return how strange values still are once converted back, and whether that needs rounding.

    Rounding may undo what the digits of the observed values explain, and no more: else it would tidy any factor.
    """
    reference = column.case.reference
    back = values * part.scale + part.shift
    places, digits = reference.decimals[column.name], measures.decimals_of(values)
    lossy = False
    if places < 9 and digits < 4:
        rounded = np.round(back, places)
        near = np.abs(back - rounded) <= 0.5 * abs(part.scale) * 10.0**-digits * 1.001 + 1e-9
        lossy = bool((near & (np.abs(back - rounded) > 1e-6 * np.maximum(1.0, np.abs(back)))).any())
        back = np.where(near, rounded, back)
    return strangeness(reference, column.name, back), lossy


def _named(column: Column, part: Part, hit: Bools) -> Part:
    """Name the hit rows by the values of another column, where those and no others were hit."""
    case = column.case
    values = column.numbers
    rows = np.isfinite(values) & (values != 0)
    if "column" in part.where or not rows.any():
        return part
    for by in coded_columns(case):
        if by == column.name or not 2 <= case.reference.vocabularies[by].values.len() <= 200:
            continue
        frame = pl.DataFrame({"by": column.frame.get_column(by).cast(pl.String), "hit": pl.Series(hit)})
        rates = frame.filter(pl.Series(rows)).group_by("by").agg(pl.col("hit").sum(), pl.len().alias("rows"))
        inside = rates.filter((pl.col("hit") >= 0.95 * pl.col("rows")) & pl.col("by").is_not_null())
        caught, all_hit = int(inside.get_column("hit").sum()), int(rates.get_column("hit").sum())
        if inside.height and caught >= 0.97 * all_hit and inside.get_column("rows").max() >= 5:  # type: ignore[operator]
            found = inside.sort("rows", descending=True).get_column("by").to_list()
            return replace(part, where={"column": by, "values": found}, said=said_of(by, found))
    return part


def _convincing(column: Column, part: Part) -> tuple[float, bool]:
    """Return the share of rows that a rule picks, 0 unless no accepted window has nearly as many, and if it picks all.

    Accepted rows it would pick are wrong; accepted rows it would not pick once they are converted are missed.
    """
    values = column.numbers
    given = np.isfinite(values)
    share = float(column.hit(column.frame, part)[given].mean())
    past, owner = column.past
    if share < SHARE or not past.height:
        return 0.0, False
    if "column" in part.where:
        return share, True
    known = numbers(past.get_column(column.name))
    there = np.isfinite(known)
    if not there.any():
        return 0.0, False
    rows = np.bincount(owner[there], minlength=owner.max() + 1)
    picked = column.hit(past, part) & there
    wrong = np.bincount(owner[picked], minlength=len(rows))[rows > 0] / rows[rows > 0]
    if share < _TIMES * float(wrong.max()) + _MARGIN:
        return 0.0, False
    if "above" in part.where or "below" in part.where:
        return share, True
    converted = (known - part.shift) / part.scale
    moved = there & (converted != known)
    caught = column.hit(past.with_columns(pl.Series(column.name, converted).fill_nan(None)), part)
    missed = 1 - float(caught[moved].mean()) if moved.any() else 1.0
    return (share if missed < _HALF else 0.0), missed <= _MISSED and float(wrong.mean()) <= _WRONG


def _keeps_form(column: Column, factor: float) -> bool:
    """Tell whether multiplied values would have no more digits than the column ever has."""
    return column.case.reference.decimals[column.name] > _DIGITS or abs(factor - round(factor)) < 1e-9 * factor


def _overlapping(column: Column) -> Iterator[Candidate]:
    """Yield a mixture whose rows cannot be told apart: named, for the sender to deliver again."""
    case = column.case
    past, owner = column.past
    # A size is nothing to a column of both signs: late flights are not early ones times a factor.
    if not past.height or max(case.usual(f"negative:{column.name}"), case.value(f"negative:{column.name}")) > _MARGIN:
        return
    known = numbers(past.get_column(column.name))
    history = [sizes_of(known[owner == place], _SAMPLE) for place in range(int(owner.max()) + 1)]
    found = blended(sizes_of(column.values), history, _FACTORS)
    if found is None or found.before < 0.7 or found.gain < 1.2:
        return
    if found.after > min(0.3 * found.before, 0.5 * found.moved):
        return
    if not _keeps_form(column, found.factor) and not case.odd(column.name, "fine"):
        return  # dearer goods, not converted ones: those would have odd digits
    text = (
        f"`{column.name}` of about {found.share:.0%} of the rows came {came(1 / found.factor, 0.0)}, "
        "but which rows cannot be told from the values"
    )
    own = frozenset(name for name in case.abnormal if column_of(name) == column.name)
    yield lost("unit", column.name, text, own, prior=0.95)
