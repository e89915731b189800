"""Profiles and comparisons of tables as plain text, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.app.report.markup import clean
from headwater.app.report.shapes import place, type_name
from headwater.app.report.tables import TableComparison, TableProfile
from headwater.app.report.wording import count, elide, number, odd_sentence, percent, sentence_case
from headwater.stats.profiling.summaries import ColumnSummary

_NAME, _DETAIL, _MOST, _SCORE = 28, 96, 40, 1000


def profile_text(made: TableProfile) -> str:
    """Write a profile: one line per column."""
    summary = made.summary
    head = f"{made.name or 'Profile'}: {count(summary.rows, 'row')}, {count(len(summary.columns), 'column')}"
    lines: list[tuple[str, ...]] = [("column", "type", "nulls", "distinct", "min", "median", "max", "most frequent")]
    lines += [_line(one) for one in summary.columns.values()]
    odd = [
        f"{_name(name)}: {clean(odd_sentence(found))}" for name in summary.columns if (found := made.odd_writings(name))
    ]
    return "\n".join([head, *_table(lines), *odd])


def comparison_text(made: TableComparison) -> str:
    """Write a comparison: what changed, the gravest first, and what it looks like."""
    rows = f"{count(made.reference.rows, 'row')} of reference, {count(made.current.rows, 'row')} in question"
    head = f"{rows}. {sentence_case(made.basis)}."
    if not made.changes:
        return f"{head}\n" + (
            "As it was: nothing left its band."
            if made.banded
            else "The schema is as it was; nothing else was compared."
        )
    lines = [("", "column", "score", "what")]
    for change in made.changes[:_MOST]:
        lines.append((change.severity, _name(change.column or "(table)"), _score(change.score), _cut(change.detail)))
    text = [head, *_table(lines)]
    if len(made.changes) > _MOST:
        text.append(f"and {len(made.changes) - _MOST} more")
    text += [f"looks like: {one.fault.replace('_', ' ')}: {clean(one.detail)}" for one in made.diagnoses[:3]]
    return "\n".join(text)


def _cut(text: str) -> str:
    """Shorten a sentence at the end of a word."""
    text = clean(text).replace("\n", " ")
    return text if len(text) <= _DETAIL else text[:_DETAIL].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _line(one: ColumnSummary) -> tuple[str, ...]:
    values = one.rows - one.nulls
    nulls = percent(one.nulls / one.rows) if one.nulls else ""
    distinct = ("" if one.distinct_exact else "~") + number(one.distinct) if one.kind != "other" else ""
    ends = [""] * 3
    if one.kind in ("number", "time"):
        ends = [place(one.minimum, one), place(one.quantile(0.5), one), place(one.maximum, one)]
    top = ""
    if one.top and values and one.kind in ("text", "boolean"):
        value, times = one.top[0]
        top = f"{elide(clean(value), 20)} ({percent(times / values)})"
    return (_name(one.name), type_name(one), nulls, distinct, *ends, top)


def _score(score: float) -> str:
    """What never moved in the reference has no band: how many times it left it says nothing."""
    return number(score) if score < _SCORE else f"> {_SCORE}"


def _name(text: str) -> str:
    return elide(clean(text).replace("\n", " "), _NAME)


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
