"""Patterns of loss that nothing in the frame can undo: frozen, cut, late, emptied, constant, without outcomes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from headwater.stats import measures
from headwater.stats.baselines import column_of, metric_of
from headwater.stats.cases import ABNORMAL, Candidate, Case
from headwater.stats.categories import coded_columns
from headwater.stats.gauge import row_hashes
from headwater.stats.repairs import Repair
from headwater.stats.views import Floats
from headwater.stats.vocabulary import NULL

_TABLE = ("rows", "copies", "nullpattern")


def _lost(fault: str, column: str, detail: str, explains: frozenset[str], **more: object) -> Candidate:
    parameters = {"columns": [name for name in column.split(", ") if name]}
    return Candidate(Repair("redeliver", fault, parameters), detail, explains=explains, column=column, **more)  # type: ignore[arg-type]


def propose_losses(case: Case) -> Iterator[Candidate]:
    """Yield every pattern of loss that is there without doubt."""
    yield from _frozen(case)
    yield from _empty(case)
    if case.view.height:
        yield from _cut(case)
        yield from _nulls(case)
        yield from _constants(case)
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
    rows = row_hashes(case.view, case.reference.content())
    if rows is None or len(np.unique(rows)) < 3:
        return
    shares = [float(np.isin(rows, one).mean()) for one in case.reference.hashes]
    best = int(np.argmax(shares))
    text = f"{shares[best]:.0%} of the {len(rows)} rows are those of window {case.reference.windows[best].key}"
    yield _lost("frozen", "", f"{text}, apart from times", _everything(case), prior=1.1)


def _empty(case: Case) -> Iterator[Candidate]:
    if case.view.height:
        return
    usual = np.exp(case.usual("rows:"))
    text = f"no rows at all, usually {usual:.0f}"
    if case.reference.snapshot:
        yield Candidate(Repair("previous_snapshot", "truncated"), text, column="")
    else:
        yield _lost("late_partition", "", text, _everything(case))


def _cut(case: Case) -> Iterator[Candidate]:
    rows, usual = case.view.height, float(np.exp(case.usual("rows:")))
    if case.reference.snapshot:
        if rows < 0.97 * usual and ({"uncovered:", "rows:"} & set(case.abnormal)):
            share = case.value("uncovered:")
            lost = f"; {share:.0%} of the keys of the last snapshot are gone" if np.isfinite(share) else ""
            yield Candidate(
                Repair("previous_snapshot", "truncated"),
                f"{rows} rows, usually {usual:.0f}{lost}",
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
            yield _lost("truncated", column, text, _everything(case))
    if case.r("rows:") > 2 and rows < 0.85 * usual:
        yield _lost("truncated", "", f"{rows} rows, usually {usual:.0f}", _everything(case), prior=0.8)


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
    yield _lost(
        "late_partition", "", f"{text}; until then {rows} rows, usually {before:.0f}", _everything(case), prior=1.05
    )


def _steady_values(case: Case, column: str, rows: float) -> bool:
    vocabulary = case.reference.vocabularies[column]
    shares = vocabulary.by_window / np.maximum(vocabulary.rows, 1)[:, None]
    known = [str(one) for one in vocabulary.values.head(shares.shape[1])]
    gone = vanished(case, column)
    return any(steady(shares[:, known.index(one)], rows) for one in gone)


def vanished(case: Case, column: str) -> list[str]:
    """Return usual values of a coded column that the frame has none of, the commonest first."""
    vocabulary = case.reference.vocabularies[column]
    codes = vocabulary.codes(case.view, column)
    typical = vocabulary.typical()
    counts = np.bincount(codes[(codes >= 0) & (codes < len(typical))], minlength=len(typical))
    places = [place for place in np.argsort(-typical) if counts[place] == 0 and typical[place] >= 0.02]
    return [str(vocabulary.values[int(place)]) for place in places]


def _nulls(case: Case) -> Iterator[Candidate]:
    """Nulls in combinations never seen before, or a column that is all null.

    Nulls that come together as they always did (a cancelled trip has no arrival) are the world's, however many.
    """
    patterns = case.reference.patterns(case.view)
    known = case.reference.known_patterns(case.view)
    odd = np.array([int(one) not in known for one in patterns])
    blamed = _emptied(case, patterns, odd) if case.r("nullpattern:") > ABNORMAL else []
    for column in blamed:
        share, usual = case.value(f"null:{column}"), case.usual(f"null:{column}")
        text = f"`{column}` is null in {share:.0%} of the rows, usually {usual:.1%}, and where it never was"
        yield _lost("null_burst", column, text, case.about(column))
    if len(blamed) > 1:
        text = f"`{'`, `'.join(blamed)}` are null where they never were"
        yield _lost("null_burst", ", ".join(blamed), text, case.about(*blamed))
    for name in case.abnormal:
        column = column_of(name)
        if metric_of(name) != "null" or column in blamed or not case.high(name):
            continue
        if case.value(name) > 0.98 and np.nanmax(case.reference.baseline.values[name]) < 0.9:
            text = f"`{column}` is null in {case.value(name):.0%} of the rows, usually {case.usual(name):.1%}"
            yield _lost("null_burst", column, text, case.about(column))


def _emptied(case: Case, patterns: np.ndarray, odd: np.ndarray) -> list[str]:
    """Return the columns whose nulls make the odd combinations odd: without them, the rest is known."""
    known = case.reference.known_patterns(case.view)
    found = []
    for series in case.view.frame:
        empty = series.is_null().to_numpy() & odd
        if empty.sum() < 0.3 * odd.sum():
            continue
        rest = patterns[empty] & ~np.int64(case.reference.null_bit(series.name))
        explained = np.mean([int(one) in known or int(one) == 0 for one in rest])
        if explained > 0.5 or (series.null_count() == series.len() and case.usual(f"null:{series.name}") < 0.5):
            found.append(series.name)
    if found or not odd.any():
        return found
    usual = {series.name: case.usual(f"null:{series.name}") for series in case.view.frame}
    return [one.name for one in case.view.frame if one.is_null().to_numpy()[odd].mean() > 0.5 and usual[one.name] < 0.2]


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
            yield _lost("default_fill", column, text, case.about(column))


def _usual_top(case: Case, column: str) -> float:
    """The highest share that the commonest value of a column had in any reference window."""
    top = case.reference.baseline.values.get(f"top:{column}")
    if top is not None:
        return float(np.nanmax(top))
    vocabulary = case.reference.vocabularies[column]
    return float((vocabulary.by_window / np.maximum(vocabulary.rows, 1)[:, None]).max(initial=0.0))


def steady(shares: Floats, rows: float) -> bool:
    """Tell whether a value comes so regularly that its absence is strange: never few rows, never far below usual."""
    least, typical = float(shares.min()), float(np.median(shares))
    return least * rows >= 6 and least >= 0.4 * typical


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
            if not steady(shares[:, code], len(given)) or now > 0.2 * least or now > 0.1 * typical:
                continue
            related = case.about(column) | {name for name in case.abnormal if metric_of(name) in _TABLE}
            fewer = 1 - case.view.height / float(np.exp(case.usual("rows:")))
            if _is_outcome(case, column) and abs(fewer - typical) < 0.5 * typical:
                related = _everything(case)
            text = f"{counts[code]} rows have `{column}` = {vocabulary.values[code]!r}, usually {typical:.0%} of them"
            if related:
                prior = 1.0 if _is_outcome(case, column) else 0.9
                yield _lost("missing_outcomes", column, text, frozenset(related), prior=prior)


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
            yield _lost("dependency", column, text, case.about(column), prior=1.2)


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
        yield _lost("missing_column", ", ".join(missing), text, frozenset(explains), prior=0.8)
