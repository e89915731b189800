"""Patterns of loss that nothing in the frame can undo: frozen, cut, late, emptied, constant, without outcomes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from headwater.stats.signatures import measures
from headwater.stats.signatures.baselines import column_of, metric_of
from headwater.stats.signatures.cases import Candidate, Case, lost
from headwater.stats.signatures.categories import coded_columns
from headwater.stats.signatures.repairs import Repair
from headwater.stats.signatures.vocabulary import NULL

_TABLE = ("rows", "copies", "nullpattern")
_FILLED = 10  # rows of one value in a column that was always null, from which it is filled in rather than begun


def propose_losses(case: Case) -> Iterator[Candidate]:
    """Yield every pattern of loss that is there without doubt."""
    yield from _frozen(case)
    yield from _empty(case)
    if case.view.rows:
        yield from _cut(case)
        yield from _constants(case)
        yield from _filled(case)
        yield from _outcomes(case)
        yield from _copied_columns(case)
        yield from _missing_columns(case)


def _everything(case: Case) -> frozenset[str]:
    return frozenset(case.abnormal)


def _frozen(case: Case) -> Iterator[Candidate]:
    if max(case.value("replay:"), case.value("repeat:"), 0.0) < 0.9 or not (
        {"replay:", "repeat:"} & set(case.abnormal)
    ):
        return
    rows, _ = case.reference.contents(case.view)
    if len(np.unique(rows)) < 3:
        return
    shares = [float(np.isin(rows, one).mean()) for one in case.reference.hashes]
    best = int(np.argmax(shares))
    text = f"{shares[best]:.0%} of the {case.view.rows} rows are those of window {case.reference.windows[best].key}"
    yield lost("frozen", "", f"{text}, apart from times", _everything(case), prior=1.3)


def _empty(case: Case) -> Iterator[Candidate]:
    if case.view.rows or case.reference.empty:
        return
    usual = np.exp(case.usual("rows:"))
    text = f"no rows at all, usually {usual:.0f}"
    if case.reference.snapshot:
        yield Candidate(Repair("previous_snapshot", "truncated"), text, column="")
    else:
        yield lost("late_partition", "", text, _everything(case))


def _cut(case: Case) -> Iterator[Candidate]:
    rows, usual = case.view.rows, float(np.exp(case.usual("rows:")))
    if case.reference.snapshot:
        if rows < 0.97 * usual and ({"uncovered:", "rows:"} & set(case.abnormal)):
            share = case.value("uncovered:")
            tail = f"; {share:.0%} of the keys of the last snapshot are gone" if np.isfinite(share) else ""
            yield Candidate(
                Repair("previous_snapshot", "truncated"),
                f"{rows} rows, usually {usual:.0f}{tail}",
                column="",
                prior=0.9,
            )
        return
    yield from _late(case, rows, usual)
    if case.high("rows:") or rows > 0.97 * usual:
        return
    gone = [column_of(name) for name in case.abnormal if metric_of(name) == "gone"]
    gone = [column for column in gone if not _is_outcome(case, column)]
    for column in gone:
        share = case.value(f"gone:{column}")
        if not _steady_values(case, column, usual):
            continue
        if abs((1 - rows / usual) - share) < 0.5 * share:
            values = ", ".join(repr(one) for one in vanished(case, column)[:4])
            text = f"{rows} rows, usually {usual:.0f}: all rows with {values} in `{column}` are missing"
            yield lost("truncated", column, text, _everything(case))
    # Holidays halve a table too; only far less than that is a loss by itself.
    if case.r("rows:") > 3 and rows < 0.55 * usual:
        yield lost("truncated", "", f"{rows} rows, usually {usual:.0f}", _everything(case), prior=0.8)


def _late(case: Case, rows: int, usual: float) -> Iterator[Candidate]:
    time = case.reference.time
    if time is None or f"last:{time}" not in case.abnormal or case.high(f"last:{time}"):
        return
    clockwork = case.reference.clockwork
    courses = None if clockwork is None else clockwork.courses.get("")
    if courses is None or case.odd(time, "outside", "first"):
        return
    last = case.value(f"last:{time}")
    cut = min(int(last * measures.SLOTS) + 1, measures.SLOTS)
    before = float(courses.mean(axis=0)[:cut].sum()) * usual
    if not 0.75 * before < rows < 1.33 * before or rows > 0.97 * usual:
        return
    hours = last * case.view.length
    text = (
        f"the last row is {hours:.1f} h into the window, usually {case.usual(f'last:{time}') * case.view.length:.1f} h"
    )
    yield lost(
        "late_partition", "", f"{text}; until then {rows} rows, usually {before:.0f}", _everything(case), prior=1.05
    )


def _steady_values(case: Case, column: str, rows: float) -> bool:
    vocabulary = case.reference.vocabularies[column]
    known = [str(one) for one in vocabulary.values.head(vocabulary.by_window.shape[1])]
    return any(vocabulary.steady(known.index(one), rows) for one in vanished(case, column))


def vanished(case: Case, column: str) -> list[str]:
    """Return usual values of a coded column that the frame has none of, the commonest first."""
    vocabulary = case.reference.vocabularies[column]
    codes = vocabulary.codes(case.view, column)
    typical = vocabulary.typical()
    counts = np.bincount(codes[(codes >= 0) & (codes < len(typical))], minlength=len(typical))
    places = [place for place in np.argsort(-typical) if counts[place] == 0 and typical[place] >= 0.02]
    return [str(vocabulary.values[int(place)]) for place in places]


def _constants(case: Case) -> Iterator[Candidate]:
    for column in [*case.columns("number"), *case.columns("category")]:
        series = case.view.frame.get_column(column).drop_nulls()
        if series.len() < 3 or not case.odd(column) or case.reference.vocabularies[column].values.len() < 3:
            continue
        counts = series.value_counts(sort=True)
        value, share = counts.get_column(column)[0], counts.get_column("count")[0] / series.len()
        usual = _usual_top(case, column)
        if share >= 0.97 and usual < 0.6:
            text = f"`{column}` is {value!r} in {share:.0%} of the rows; its commonest value usually has {usual:.0%}"
            yield lost("default_fill", column, text, case.about(column))


def _filled(case: Case) -> Iterator[Candidate]:
    """A column that never held anything and now holds one value everywhere was filled in, not measured."""
    for column in [*case.columns("number"), *case.columns("category")]:
        series = case.view.frame.get_column(column).drop_nulls()
        if case.reference.vocabularies[column].values.len() or not case.odd(column) or series.len() < _FILLED:
            continue
        if series.n_unique() == 1 and series.len() >= 0.97 * case.view.height:
            text = f"`{column}` is {series[0]!r} in {series.len()} rows; it was always null"
            yield lost("default_fill", column, text, case.about(column))


def _usual_top(case: Case, column: str) -> float:
    """The highest share that the commonest value of a column had in any reference window."""
    top = case.reference.baseline.values.get(f"top:{column}")
    if top is not None:
        return float(np.nanmax(top))
    vocabulary = case.reference.vocabularies[column]
    return float((vocabulary.by_window / np.maximum(vocabulary.rows, 1)[:, None]).max(initial=0.0))


def _is_outcome(case: Case, column: str) -> bool:
    """An outcome is a flag or a small number code that is not part of the key; text more often names an entity."""
    few = case.reference.vocabularies[column].values.len() <= 6
    return few and case.reference.schema[column] != pl.String and column not in case.reference.key


def _outcomes(case: Case) -> Iterator[Candidate]:
    """One of a few outcomes is missing although it never was: the rows are gone, or another value stands for it."""
    for column in coded_columns(case):
        vocabulary = case.reference.vocabularies[column]
        if column in case.reference.key or not 2 <= vocabulary.values.len() <= 6:
            continue
        codes = vocabulary.codes(case.view, column)
        given = codes[codes != NULL]
        if not len(given) or (given < 0).any():
            continue
        shares = vocabulary.by_window / np.maximum(vocabulary.rows, 1)[:, None]
        counts = np.bincount(given, minlength=shares.shape[1])
        for code in range(shares.shape[1]):
            least, typical = float(shares[:, code].min()), float(np.median(shares[:, code]))
            now = counts[code] / len(given)
            if not vocabulary.steady(code, len(given)) or now > 0.2 * least or now > 0.1 * typical:
                continue
            related = case.about(column) | {name for name in case.abnormal if metric_of(name) in _TABLE}
            fewer = 1 - case.view.rows / float(np.exp(case.usual("rows:")))
            if _is_outcome(case, column) and abs(fewer - typical) < 0.5 * typical:
                related = _everything(case)
            text = f"{counts[code]} rows have `{column}` = {vocabulary.values[code]!r}, usually {typical:.0%} of them"
            if related:
                prior = 1.0 if _is_outcome(case, column) else 0.9
                yield lost("missing_outcomes", column, text, frozenset(related), prior=prior)


def _copied_columns(case: Case) -> Iterator[Candidate]:
    """A column that is suddenly another one times a constant was computed from it."""
    odd = [name for name in case.columns("number") if case.odd(name)]
    for column in odd:
        own = case.view.number(column)
        for other in case.columns("number"):
            if other == column:
                continue
            factor = _factor(own, case.view.number(other))
            if factor is None or _related(case, column, other):
                continue
            text = f"`{column}` is now {factor:.6g} times `{other}` in every row, which it never was"
            yield lost("dependency", column, text, case.about(column), prior=1.2)


def _factor(own: np.ndarray, other: np.ndarray) -> float | None:
    rows = np.isfinite(own) & np.isfinite(other) & (other != 0)
    if rows.sum() < 10:
        return None
    kinds, counts = np.unique(other[rows], return_counts=True)
    if len(kinds) < 4 or counts.max() > 0.8 * rows.sum():
        return None
    ratio = own[rows] / other[rows]
    middle = float(np.median(ratio))
    return middle if middle and np.mean(np.abs(ratio - middle) > 1e-6 * abs(middle)) < 0.02 else None


def _related(case: Case, column: str, other: str) -> bool:
    frame = case.reference.frames[-1]
    if column not in frame.columns or other not in frame.columns:
        return False
    own, second = (frame.get_column(name).cast(pl.Float64, strict=False).to_numpy() for name in (column, other))
    return _factor(own, second) is not None


def _missing_columns(case: Case) -> Iterator[Candidate]:
    missing = [name for name in case.reference.schema if name not in case.view.raw.columns]
    if missing:
        text = f"column `{'`, `'.join(missing)}` is not delivered any more"
        explains = case.about(*missing) | {"schema:"}
        yield lost("missing_column", ", ".join(missing), text, frozenset(explains), prior=0.8)
