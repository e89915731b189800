"""Candidates for categories and codes: another way of writing, another code for the same thing, permuted codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from headwater.stats.signatures.cases import Candidate, Case
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.stand_ins import STAND_IN_EXCUSED
from headwater.stats.signatures.texts import RULES, canonical_form
from headwater.stats.signatures.views import Floats, kind_of, texts
from headwater.stats.signatures.vocabulary import UNSEEN, Vocabulary

_MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "unknown", "unk",
                            "missing", "undefined", "#n/a", "not available", "tbd", "\\n", "<na>", "nat", "0", "-1",
                            "-999", "-9999", "999", "9999", "xxx", "other", "default"})  # fmt: skip


def coded_columns(case: Case) -> list[str]:
    """Return the present columns whose values are names or codes."""
    known = case.reference.vocabularies
    return [*case.columns("category"), *(name for name in case.columns("number") if known[name].coded)]


def propose_recodes(case: Case) -> Iterator[Candidate]:
    """Yield recodings that bring known values back."""
    changes: dict[str, dict[str, Any]] = {}
    stand_ins: dict[str, list[Any]] = {}
    for column in coded_columns(case):
        if not case.odd(column):
            continue
        words = _missing_words(case, column)
        if words:
            stand_ins[column] = words
            yield _stand_in(case, {column: words})
        for change, text in _changes(case, column):
            if column not in changes:
                changes[column] = change
            yield Candidate(
                Repair("recode", "enum_recode", {"columns": {column: change}}),
                text,
                # Shares that two values might have exchanged also move by themselves.
                amounts=True,
                demand=2.0 if f"unseen:{column}" in case.abnormal or case.odd(column, "lookup") else 3.5,
                cost=1 if "rule" in change else 1 + len(change["map"]).bit_length() // 2,
            )
    if len(changes) > 1:
        text = f"the values of `{'`, `'.join(changes)}` are written differently than before"
        yield Candidate(Repair("recode", "enum_recode", {"columns": changes}), text, cost=len(changes))
    if len(stand_ins) > 1:
        yield _stand_in(case, stand_ins)


def _stand_in(case: Case, columns: dict[str, list[Any]]) -> Candidate:
    named = "; ".join(f"{', '.join(repr(one) for one in words)} in `{column}`" for column, words in columns.items())
    return Candidate(
        Repair("to_null", "sentinel", {"columns": columns}),
        f"{named} stands for nothing and was never seen before",
        excused=STAND_IN_EXCUSED | {f"null:{column}" for column in columns},
        limit=2.5,
        cost=len(columns),
    )


def _missing_words(case: Case, column: str) -> list[Any]:
    if case.reference.kind(column) != "category" or f"unseen:{column}" not in case.abnormal:
        return []
    unseen = _unseen(case, column)
    if not unseen or sum(unseen.values()) > 0.98 * case.view.height:
        return []
    words = [one for one in unseen if str(one).strip().lower() in _MISSING_WORDS]
    return words if sum(unseen[one] for one in words) > 0.9 * sum(unseen.values()) else []


def _unseen(case: Case, column: str) -> dict[Any, int]:
    """Return the values never seen before, with their counts, the commonest first."""
    codes = case.reference.vocabularies[column].codes(case.view, column)
    series = case.view.frame.get_column(column).filter(pl.Series(codes == UNSEEN))
    series = series if kind_of(series.dtype) == "number" else texts(series)
    counted = series.value_counts(sort=True)
    return dict(zip(counted.get_column(column).to_list(), counted.get_column("count").to_list(), strict=True))


def _changes(case: Case, column: str) -> Iterator[tuple[dict[str, Any], str]]:
    unseen = _unseen(case, column)
    if unseen and f"unseen:{column}" in case.abnormal:
        share = case.value(f"unseen:{column}")
        example = next(iter(unseen))
        start = f"{share:.0%} of the values of `{column}` were never seen before ({example!r}, ...)"
        if case.reference.kind(column) == "category":
            for rule in _rules(case, column, list(unseen), unseen):
                yield rule, f"{start}; without regard to {rule['rule']} they are known ones"
        for mapping in _maps(case, column, unseen):
            yield {"map": mapping}, f"{start}; {_arrow(mapping)} restores the usual shares"
    elif case.odd(column, "moved", "most", "lookup", "top", "q50", "q25", "q75", "zero"):
        for mapping in _permutations(case, column):
            text = f"the values of `{column}` are exchanged: {_arrow(mapping)} restores the usual shares"
            yield {"map": mapping}, text


def _code(value: object) -> str:
    """Write a code as it is kept: whole numbers are compared as floats here."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


def _arrow(mapping: list[list[Any]]) -> str:
    return ", ".join(f"{_code(old)} -> {_code(new)}" for old, new in mapping[:4]) + (
        ", ..." if len(mapping) > 4 else ""
    )


def _rules(case: Case, column: str, values: list[str], counts: dict[Any, int]) -> Iterator[dict[str, Any]]:
    known = case.reference.vocabularies[column].values
    given = pl.Series(values, dtype=pl.String)
    weight = np.array(list(counts.values()), dtype=float)
    for rule in RULES:
        for affix, usual in _affixes(rule, values, known.head(200).to_list()):
            forms = canonical_form(known, rule, usual)
            hit = canonical_form(given, rule, affix).is_in(forms.implode()).fill_null(False).to_numpy()
            clash = forms.n_unique() < 0.98 * known.len()
            if (weight * hit).sum() > 0.8 * weight.sum() and not clash:
                change = {"rule": rule}
                if affix or usual:
                    change |= {"affix": affix, "usual": usual}
                yield change
                return


def _shared(values: list[str]) -> str:
    """Return the longest text that all values start with."""
    first, last = min(values, default=""), max(values, default="")
    size = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    return first[: min(len(first), len(last)) if size is None else size]


def _affixes(rule: str, values: list[str], known: list[str]) -> list[tuple[str, str]]:
    if rule not in ("prefix", "suffix"):
        return [("", "")]
    step = -1 if rule == "suffix" else 1
    new, usual = (_shared([one[::step] for one in group])[::step] for group in (values, known))
    found = [(new[:size] if rule == "prefix" else new[-size:], "") for size in range(len(new), 0, -1)]
    if usual:
        found.append(("", usual))
    return found


def _maps(case: Case, column: str, unseen: dict[Any, int]) -> Iterator[list[list[Any]]]:
    """Map unseen values onto vanished ones: through an id that determines them, else by share and company."""
    vocabulary = case.reference.vocabularies[column]
    through = _through_ids(case, column, list(unseen))
    if through:
        yield through
    # A constant that changes to another one may as well name a batch or a month.
    if len(unseen) > 60 or vocabulary.values.len() < 2:
        return
    counts = np.bincount(np.maximum(vocabulary.codes(case.view, column), -1) + 1, minlength=1)[1:]
    typical = vocabulary.typical()
    here = np.zeros(len(typical))
    here[: min(len(counts), len(here))] = counts[: len(here)]
    vanished = [code for code in range(len(typical)) if here[code] == 0 and typical[code] > 0]
    vanished = sorted(vanished, key=lambda code: -typical[code])
    olds = list(unseen)
    # What is new can only have replaced what is missing.
    if not any(vocabulary.steady(code, case.view.height) for code in vanished):
        return
    size = min(len(olds), len(vanished))
    if sum(list(unseen.values())[size:]) > 0.1 * sum(unseen.values()):
        return
    pairs = match(case, column, olds[:size], vanished[: max(size, min(len(vanished), size + 3))])
    if pairs and pairs != through:
        yield pairs


def _through_ids(case: Case, column: str, values: list[Any]) -> list[list[Any]]:
    """Map each value to the one that the rows' ids are known to have."""
    vocabulary = case.reference.vocabularies[column]
    own = case.view.frame.get_column(column)
    own = own if kind_of(own.dtype) == "number" else texts(own)
    for lookup in case.reference.lookups:
        if lookup.column != column or not case.view.present(lookup.by):
            continue
        expected = lookup.expected(case.reference.vocabularies[lookup.by].codes(case.view, lookup.by))
        pairs = []
        for value in values:
            given = expected[(own == value).fill_null(False).to_numpy() & np.isfinite(expected)]
            if not len(given):
                continue
            kinds, counts = np.unique(given, return_counts=True)
            if counts.max() < 0.8 * len(given):
                break
            best = kinds[counts.argmax()]
            pairs.append([value, float(best) if vocabulary.numeric else vocabulary.values[int(best)]])
        else:
            changed = [pair for pair in pairs if pair[0] != pair[1]]
            if changed:
                return changed
    return []


def match(case: Case, column: str, values: list[Any], codes: list[int]) -> list[list[Any]]:
    """Pair values with known codes by how often and in what company they come, the clearest pairs first."""
    vocabulary = case.reference.vocabularies[column]
    here = np.array([_portrait(case, case.view.frame, column, value, case.view.height) for value in values])
    recent = [_window_columns(case, frame, column) for frame in case.reference.frames[-7:]]
    portraits = [
        [_portrait(case, frame, column, _value(vocabulary, code), frame.height) for code in codes] for frame in recent
    ]
    table = np.array(portraits)
    counts = np.isfinite(table).sum(axis=0)
    there = np.where(counts > 0, np.nansum(table, axis=0) / np.maximum(counts, 1), np.nan)
    gap = np.abs(here[:, None, :] - there[None, :, :])
    cost = np.nanmean(np.where(np.isfinite(gap), np.minimum(gap, 3.0), np.nan), axis=2) + 2 * np.nan_to_num(
        gap[:, :, 0]
    )
    pairs = []
    for _ in range(min(len(values), len(codes))):
        row, place = np.unravel_index(int(np.nanargmin(cost)), cost.shape)
        pairs.append((int(row), [values[int(row)], _value(vocabulary, codes[int(place)])]))
        cost[row, :] = cost[:, place] = np.inf
    return [pair for _, pair in sorted(pairs)]


def _window_columns(case: Case, frame: pl.DataFrame, column: str) -> pl.DataFrame:
    names = [column, *_company(case, column)]
    return frame.select(pl.col(name).cast(case.reference.schema[name], strict=False) for name in names)


def _company(case: Case, column: str) -> list[str]:
    return [name for name in case.columns("number") if name != column and not case.odd(name)][:10]


def _value(vocabulary: Vocabulary, code: int) -> Any:
    value = vocabulary.values[code]
    return float(value) if vocabulary.numeric else value


def _portrait(case: Case, frame: pl.DataFrame, column: str, value: Any, height: int) -> Floats:
    """Describe the rows with a value: log share, then the scaled medians of the other numeric columns."""
    series = frame.get_column(column)
    series = series if kind_of(series.dtype) == "number" else texts(series)
    rows = frame.filter(series == value)
    places = np.flatnonzero((series == value).fill_null(False).to_numpy())
    # Where in the delivery the rows stand tells names apart when a feed is written in their order.
    result = [
        np.log(max(rows.height, 0.5) / max(height, 1)),
        3 * float(places.mean()) / max(height, 1) if len(places) else np.nan,
    ]
    for name in _company(case, column):
        spread = case.reference.spreads.get(name, 0.0) or 1.0
        middle = rows.get_column(name).cast(pl.Float64).mean() if rows.height else None
        result.append(3 * float(middle) / spread if isinstance(middle, float) else np.nan)
    return np.array(result)


def _permutations(case: Case, column: str) -> Iterator[list[list[Any]]]:
    """Yield exchanges among the known values: through ids, else the two whose shares changed most."""
    vocabulary = case.reference.vocabularies[column]
    codes = vocabulary.codes(case.view, column)
    top = len(vocabulary.typical())
    counts = np.bincount(codes[(codes >= 0) & (codes < top)], minlength=top)
    common = [code for code in np.argsort(-counts, kind="stable")[:60] if counts[code]]
    through = _through_ids(case, column, [_value(vocabulary, int(code)) for code in common])
    if through and {str(pair[0]) for pair in through} <= {str(pair[1]) for pair in through}:
        yield through
    if f"moved:{column}" not in case.abnormal or top < 2:
        return
    gap = counts / max(counts.sum(), 1) - vocabulary.typical()
    one, other = int(gap.argmax()), int(gap.argmin())
    yield [[_value(vocabulary, one), _value(vocabulary, other)], [_value(vocabulary, other), _value(vocabulary, one)]]
    if 2 < top <= 12 and len(common) == top:
        everything = match(case, column, [_value(vocabulary, int(code)) for code in common], list(range(top)))
        changed = [pair for pair in everything if pair[0] != pair[1]]
        if len(changed) > 2:
            yield changed
