"""Candidates for numeric columns: another unit or factor, exchanged columns, moved rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from headwater.stats.signatures import measures
from headwater.stats.signatures.cases import NORMAL, Candidate, Case
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.units import CONVERSIONS
from headwater.stats.signatures.views import Floats, numbers
from headwater.stats.signatures.vocabulary import UNSEEN, Vocabulary

_OWN = (*measures.QUANTILE_METRICS, *measures.LOG_METRICS, "negative", "zero")
_STRONG, _FAR, _NEARLY = 3.0, 8.0, 1.8
_UNEXPLAINED, _PARTLY = 0.05, 0.2


@dataclass(frozen=True)
class Factor:
    """An inverse ``usual = observed * scale + shift`` for one column and how well it restores the column's own look."""

    column: str
    scale: float
    shift: float
    text: str
    worst: float
    lossy: bool = False
    free: int = 1


def propose_units(case: Case) -> Iterator[Candidate]:
    """Yield unit repairs: the best factor of every affected column together, then column by column."""
    best: dict[str, list[Factor]] = {}
    for column in case.columns("number"):
        if case.odd(column):
            found = factors(case, column)
            if found:
                best[column] = found
    scaled = {column: [one for one in found if one.scale != 1] for column, found in best.items()}
    odd = [found[0] for column, found in scaled.items() if found and case.odd(column, "unseen", "fine", *_OWN)]
    if len(odd) > 1:
        yield _unit(case, odd)
        yield from _together(case, scaled)
    for found in best.values():
        for factor in found[:3]:
            yield _unit(case, [factor])
        for factor in scaled[found[0].column][:2]:
            group = [factor, *_companions(case, factor)]
            if len(group) > 1:
                yield _unit(case, group)


def _together(case: Case, best: dict[str, list[Factor]]) -> Iterator[Candidate]:
    """Yield each conversion that fits several columns, on all of them."""
    shared: dict[tuple[float, float], list[Factor]] = {}
    for found in best.values():
        for factor in found:
            shared.setdefault((factor.scale, factor.shift), []).append(factor)
    for group in sorted(shared.values(), key=len, reverse=True)[:6]:
        if len(group) > 1:
            yield _unit(case, group)


def _companions(case: Case, factor: Factor) -> list[Factor]:
    """Return other columns that may have changed unit together with one, whether or not they look odd themselves."""
    found = []
    for column in case.columns("number"):
        if column == factor.column or case.odd(column, *_OWN, "unseen", "fine"):
            continue
        values = case.view.number(column)
        given = np.sort(values[np.isfinite(values)])
        if not len(given) or column not in _agreeing(case):
            continue
        worst = own_score(case, column, given * factor.scale + factor.shift)
        same = Factor(column, factor.scale, factor.shift, factor.text, worst)
        if worst < NORMAL and _ranked(case, column, values, [same]):
            found.append(same)
    return found


def _agreeing(case: Case) -> tuple[str, ...]:
    consistency = case.reference.consistency
    return () if consistency is None else tuple(consistency.columns)


def _unit(case: Case, chosen: list[Factor]) -> Candidate:
    columns, tolerance = {}, {}
    for factor in chosen:
        columns[factor.column] = {"scale": factor.scale, "shift": factor.shift}
        if factor.lossy:
            columns[factor.column]["round"] = True
            tolerance[factor.column] = _tolerance(case.view.number(factor.column), factor.scale)
    usual = [case.usual(f"q50:{factor.column}") for factor in chosen]
    now = [case.value(f"q50:{factor.column}") for factor in chosen]
    text = "; ".join(
        f"median of `{factor.column}` is {here:.4g}, usually {before:.4g}: {factor.text}"
        for factor, here, before in zip(chosen, now, usual, strict=True)
    )
    plain_evidence = any(case.r(f"{metric}:{one.column}") > 2 for one in chosen for metric in ("unseen", "fine"))
    # Rounded numbers are always near known ones, and a shift along the steps between them always hits some.
    loose = any(one.scale == 1 for one in chosen)
    loose = loose or any(_covered(case, column, reach) > 0.25 for column, reach in tolerance.items())
    return Candidate(
        Repair("affine", "unit", {"columns": columns}),
        text,
        tolerance=tolerance,
        demand=_FAR if any(one.scale == 1 for one in chosen) else 2.0 if plain_evidence and not tolerance else _STRONG,
        amounts=True,
        mute=frozenset({"unseen", "dtype"} if loose else {"dtype"}),
        cost=sum(factor.free for factor in chosen),
    )


def _covered(case: Case, column: str, tolerance: float) -> float:
    """Return which part of a column's range lies within a tolerance of a known value: the chance of a chance hit."""
    known = case.reference.vocabularies[column].values.to_numpy()
    low, high = case.usual(f"q05:{column}"), case.usual(f"q95:{column}")
    inside = int(((known >= low) & (known <= high)).sum())
    return 2 * tolerance * inside / (high - low) if high > low else 1.0


def factors(case: Case, column: str) -> list[Factor]:
    """Return the inverses that restore the column's own distribution, the best first."""
    values = case.view.number(column)
    given = np.sort(values[np.isfinite(values)])
    known = case.reference.vocabularies[column]
    if not len(given) or given[0] == given[-1] == 0 or (known.values.len() < 2 and known.coded):
        return []
    found = []
    for conversion in CONVERSIONS:
        scale, shift = 1 / conversion.scale, -conversion.shift / conversion.scale
        worst = own_score(case, column, given * scale + shift)
        if worst < _NEARLY:
            found.append(Factor(column, scale, shift, conversion.text, worst))
    for scale, shift in _estimated(case, column, given):
        if not scale or (abs(scale - 1) < 0.003 and not shift):  # what was made 0 cannot be given back
            continue
        worst = own_score(case, column, given * scale + shift)
        if worst < _NEARLY:
            text = f"{1 / scale:.4g} times the usual" if not shift else f"{-shift / scale:+.4g} off the usual"
            found.append(Factor(column, scale, shift, text, worst, free=2))
    return _ranked(case, column, values, found)


def own_score(case: Case, column: str, values: Floats) -> float:
    """Return the worst exceedance of a column's own quantiles, signs and zeros for given values."""
    metrics = measures.number_metrics(values, 9)
    return max((case.ratio(f"{name}:{column}", metrics[name]) for name in _OWN if name in metrics), default=0.0)


def _ranked(case: Case, column: str, values: Floats, found: list[Factor]) -> list[Factor]:
    vocabulary = case.reference.vocabularies[column]
    name = f"unseen:{column}"
    ranked = []
    for factor in found:
        if case.odd(column, "fine") and _too_plain(case, column, values, factor):
            continue
        repaired = values * factor.scale + factor.shift
        lossy = False
        ratio = _unseen_ratio(case, name, vocabulary.near(repaired, 0.0))
        finer = measures.decimals_of(repaired) > case.reference.decimals[column]
        if (ratio >= 2 * _NEARLY or finer) and not vocabulary.coded:
            # Digits may have been lost on the way: then known values are near, not equal.
            lossy = True
            tolerance = _tolerance(values, factor.scale)
            if finer and _off_grid(repaired, case.reference.decimals[column], tolerance) > _UNEXPLAINED:
                continue
            ratio = _unseen_ratio(case, name, vocabulary.near(repaired, tolerance))
        if ratio < max(2 * _NEARLY, 0.35 * case.r(name)):
            one = Factor(column, factor.scale, factor.shift, factor.text, factor.worst, lossy, factor.free)
            ranked.append((lossy, factor.free, round(ratio, 1), factor.worst, one))
    ranked.sort(key=lambda item: item[:4])
    return [item[-1] for item in ranked]


def _unseen_ratio(case: Case, name: str, codes: np.ndarray) -> float:
    given = codes[codes >= UNSEEN]
    return case.ratio(name, float((given == UNSEEN).mean()) if len(given) else 0.0)


def _too_plain(case: Case, column: str, values: Floats, factor: Factor) -> bool:
    """Tell whether far more values have no digits too many than if all had been converted: then only some were."""
    frame, places = case.reference.frames[-1], case.reference.decimals[column]
    if places >= 9 or column not in frame.columns:
        return False
    usual = numbers(frame.get_column(column))
    converted = (usual - factor.shift) / factor.scale
    return _off_grid(values, places, 0.0) < _off_grid(converted, places, 0.0) - _PARTLY


def _off_grid(values: Floats, places: int, tolerance: float) -> float:
    """Return the share of values that rounding moves further than the digits lost on the way explain."""
    given = values[np.isfinite(values)]
    if places >= 9 or not len(given):
        return 0.0
    reach = 1.001 * tolerance + 1e-6 * np.maximum(1.0, np.abs(given))
    return float((np.abs(given - np.round(given, places)) > reach).mean())


def _tolerance(values: Floats, scale: float) -> float:
    """Half a unit of the last digit that the observed values are written with, in the usual unit."""
    places = measures.decimals_of(values)
    return 0.0 if places >= 4 else 0.5 * abs(scale) * 10.0**-places


def _estimated(case: Case, column: str, given: Floats) -> list[tuple[float, float]]:
    """Return factors from the data: ratio of medians, ratios of the commonest values, and a plain offset."""
    usual, now = case.usual(f"q50:{column}"), float(np.median(given))
    found: list[tuple[float, float]] = []
    if not np.isfinite(usual):
        return found
    vocabulary = case.reference.vocabularies[column]
    known = vocabulary.values.head(10).to_numpy()
    values, counts = np.unique(given, return_counts=True)
    common = values[np.argsort(-counts)[:10]]
    ratios = [k / c for k in known for c in common if c and k]
    sizes = (case.usual(f"log50:{column}"), case.value(f"log50:{column}"))
    middle = 10 ** (sizes[0] - sizes[1]) if abs(sizes[0] - sizes[1]) < 300 else 0.0
    near = {float(f"{one:.9g}") for one in ratios if middle and 0.4 < one / middle < 2.5 and abs(one - 1) > 0.005}
    thin = given[:: max(1, len(given) // 200)]
    scored = sorted((float((vocabulary.near(thin * one, 0.0) == UNSEEN).mean()), one) for one in near)
    fitting = [one for share, one in scored if share < min(0.5, scored[0][0] + 0.1)][:6]
    if not fitting and middle:
        likely = sorted(near, key=lambda one: abs(np.log(one / middle)))[:6]
        fitting = [_refined(vocabulary, thin, one) for one in likely]
    found += [(one, 0.0) for one in sorted(fitting, key=lambda one: own_score(case, column, given * one))[:2]]
    found += [(one, 0.0) for one in (_by_step(vocabulary, values), _by_others(case, column)) if one]
    if now and usual and usual / now > 0:
        found.append((usual / now, 0.0))
    if middle and abs(middle - 1) > 0.02:
        found.append((middle, 0.0))
    if case.odd(column, "fit", "linear"):
        found.append((1.0, usual - now))
    return found


def _by_step(vocabulary: Vocabulary, values: Floats) -> float:
    """Ratio of the steps between neighbouring values: usual over observed."""
    steps = []
    for ordered in (np.sort(vocabulary.values.to_numpy()), values):
        gaps = np.diff(ordered)
        gaps = gaps[gaps > 1e-9 * max(float(np.abs(ordered).max()), 1e-9)] if len(ordered) else gaps
        if len(gaps) < 5:
            return 0.0
        steps.append(float(np.quantile(gaps, 0.02)))
    return float(f"{steps[0] / steps[1]:.7g}")


def _by_others(case: Case, column: str) -> float:
    """Factor that brings a column closest to what the other columns let expect."""
    consistency = case.reference.consistency
    expected = None if consistency is None else consistency.predicted(case.view, column)
    if expected is None:
        return 0.0
    values = case.view.number(column)
    given = np.isfinite(values)
    square = float((values[given] ** 2).sum())
    factor = float((values[given] * expected[given]).sum() / square) if square else 0.0
    return factor if factor > 0 else 0.0


def _refined(vocabulary: Vocabulary, values: Floats, factor: float) -> float:
    """Sharpen a factor that rounding has blurred: least squares on the known values that it comes close to."""
    for reach in (0.02, 0.01, 0.005):
        codes = vocabulary.near(values * factor, 0.0, reach)
        near = codes >= 0
        if near.sum() < 3:
            break
        known = vocabulary.values.to_numpy()[codes[near]]
        factor = float((known * values[near]).sum() / max((values[near] ** 2).sum(), 1e-12))
    return factor


def propose_swaps(case: Case) -> Iterator[Candidate]:
    """Yield exchanges of two columns of the same kind whose contents look like each other's."""
    for kind in ("number", "category"):
        names = case.columns(kind)
        pairs = [pair for pair in combinations(names, 2) if case.odd(pair[0]) or case.odd(pair[1])]
        crossed = _crossed if kind == "number" else _crossed_names
        for one, other in pairs[:100]:
            if not crossed(case, one, other):
                continue
            yield Candidate(
                Repair("swap", "column_swap", {"columns": [one, other]}),
                f"the values of `{one}` look like those of `{other}` and the other way round",
                amounts=True,
            )


def _crossed(case: Case, one: str, other: str) -> bool:
    if not any(case.odd(name, "unseen", "fine") for name in (one, other)):
        # Nearly constant columns can stand for one another any day.
        known = case.reference.vocabularies
        if any(known[name].typical().max(initial=0.0) > 0.8 for name in (one, other)):
            return False
    here, there = case.view.number(one), case.view.number(other)
    return own_score(case, other, here) < _NEARLY and own_score(case, one, there) < _NEARLY


def _crossed_names(case: Case, one: str, other: str) -> bool:
    known = case.reference.vocabularies
    for name, source in ((one, other), (other, one)):
        codes = known[name].codes_of(case.view.frame.get_column(source))
        if _unseen_ratio(case, f"unseen:{name}", codes) > _NEARLY:
            return False
    return True


def propose_realignments(case: Case) -> Iterator[Candidate]:
    """Yield moves of one column by a row or two, when only its agreement with the others is broken."""
    broken = [name for name in case.abnormal if name.startswith(("fit:", "scatter:", "lookup:", "linear:"))]
    if not broken:
        return
    for column in [*case.columns("number"), *case.columns("category")]:
        own = [
            name for name in case.abnormal if name.endswith(f":{column}") and not name.startswith(("fit", "scatter"))
        ]
        related = any(name.endswith((f":{column}", f">{column}")) or f":{column}>" in name for name in broken)
        if own or not related:
            continue
        for rows in (1, -1):
            yield Candidate(
                Repair("realign", "misaligned", {"columns": [column], "rows": rows}),
                f"`{column}` agrees with the other columns again when it is moved by {rows:+d} row",
                demand=_STRONG,
            )
