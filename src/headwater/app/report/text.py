"""Profiles and comparisons of tables as plain text, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.app.report.markup import clean
from headwater.app.report.shapes import place, type_name
from headwater.app.report.tables import Change, TableComparison, TableProfile
from headwater.app.report.wording import count, elide, number, odd_sentence, percent, sentence_case
from headwater.stats.profiling.summaries import ColumnSummary

_NAME, _DETAIL, _MOST, _SCORE, _FEW = 28, 96, 40, 1000, 50


def profile_text(made: TableProfile) -> str:
    """Write a profile: one line per column."""
    summary = made.summary
    head = f"{made.name or 'Profile'}: {count(summary.rows, 'row')}, {count(len(summary.columns), 'column')}"
    lines: list[tuple[str, ...]] = [
        ("column", "type", "nulls", "distinct", "min", "median", "mean", "max", "most frequent")
    ]
    lines += [_line(one) for one in summary.columns.values()]
    odd = [
        f"{_name(name)}: {clean(odd_sentence(found))}" for name in summary.columns if (found := made.odd_writings(name))
    ]
    return "\n".join([head, *_table(lines), *odd])


def comparison_text(made: TableComparison) -> str:
    """Write a comparison: what changed, the gravest first, and what it looks like."""
    rows = f"{count(made.reference.rows, 'row')} of reference, {count(made.current.rows, 'row')} in question"
    judged = f" {count(made.pieces, made.unit)} judged." if made.banded else ""
    head = f"{rows}. {sentence_case(made.basis)}.{judged}"
    if not made.changes:
        return f"{head}\n" + (
            "As it was: nothing left its band."
            if made.banded
            else "The schema is as it was; nothing else was compared."
        )
    lines = [("", "column", "score", "when", "what")]
    for change in made.changes[:_MOST]:
        name, when = _name(change.column or "(table)"), _when(change, made)
        lines.append((change.severity, name, _score(change.score), when, _cut(change.detail)))
    text = [head, *_table(lines)]
    if len(made.changes) > _MOST:
        text.append(f"and {len(made.changes) - _MOST} more")
    said = {change.detail for change in made.changes[:_MOST] if len(change.detail) <= _DETAIL}
    for one in made.diagnoses[:3]:
        told = "" if one.detail in said else f": {clean(one.detail)}"
        text.append(f"looks like: {one.fault.replace('_', ' ')}{told}")
    return "\n".join(text)


def _when(change: Change, made: TableComparison) -> str:
    """Say in how many pieces something was found, and whose numbers are told: the line's are one piece's."""
    if not made.pieces or not change.pieces or change.metric.startswith("schema."):
        return ""
    if len(change.pieces) == 1:
        return change.pieces[0]
    told = f"{len(change.pieces)} of {count(made.pieces, made.unit)}, first {change.pieces[0]}"
    return (
        told
        if change.worst in ("", change.pieces[0]) or "has drifted since" in change.detail
        else (f"{told}, most {change.worst}")
    )


def _cut(text: str) -> str:
    """Shorten a sentence at the end of a word."""
    text = clean(text).replace("\n", " ")
    return text if len(text) <= _DETAIL else text[:_DETAIL].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _line(one: ColumnSummary) -> tuple[str, ...]:
    values = one.rows - one.nulls
    nulls = percent(one.nulls / one.rows) if one.nulls else ""
    distinct = ("" if one.distinct_exact else "~") + number(one.distinct) if one.kind != "other" else ""
    ends = [""] * 4
    if one.kind in ("number", "time"):
        middle = ("" if one.kind == "time" or _exact(one) else "~") + place(one.quantile(0.5), one)
        mean = place(one.mean, one) if one.kind == "number" else ""
        ends = [place(one.minimum, one), middle, mean, place(one.maximum, one)]
    top = ""
    if one.top and values and (one.kind in ("text", "boolean") or (one.distinct or _FEW) < _FEW):
        value, times = one.top[0]
        top = f"{elide(clean(value), 20)} ({percent(times / values)})"
    return (_name(one.name), type_name(one), nulls, distinct, *ends, top)


def _exact(one: ColumnSummary) -> bool:
    """Tell whether quantiles are exact: read off values, not off the cells of a histogram."""
    return (one.grid is not None and one.grid.kind == "values") or (one.table is not None and one.table.exact)


def _score(score: float) -> str:
    """What never moved in the reference has no band: how many times it left it says nothing."""
    return number(score) if score < _SCORE else f"> {_SCORE}"


def _name(text: str) -> str:
    return elide(clean(text).replace("\n", " "), _NAME)


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
