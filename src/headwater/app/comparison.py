"""Compare two tables without a workspace: what broke, what moved, and what would undo it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.frames import as_frame, pick
from headwater.app.judging import SURE
from headwater.app.pieces import Cut, Piece, cut, sample
from headwater.app.profiles import checked_key
from headwater.app.report.columns import comparison_fragment, comparison_page
from headwater.app.report.page import write_text
from headwater.app.report.tables import Change, TableComparison
from headwater.app.report.text import comparison_text
from headwater.core.clock import Clock, SystemClock
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.dataops.schema import changes
from headwater.observe.distribution import DistributionMonitor
from headwater.observe.history import History
from headwater.observe.monitors import evaluate
from headwater.observe.schema import SchemaMonitor
from headwater.observe.structure import StructureMonitor
from headwater.stats.profiling.links import WINDOW
from headwater.stats.profiling.profile import known_values, profile_windows
from headwater.stats.profiling.summaries import Summary, summarise
from headwater.stats.signatures.signatures import Diagnosis, Reference, diagnose

_MONITORS = (SchemaMonitor(), StructureMonitor(), DistributionMonitor())
_SUBJECT = "dataset:comparison/current"
_SUMMARISED = 1_000_000
"""Rows from which the windows' metrics come from mergeable summaries: the same numbers, many times faster."""
_LEARNED, _SAMPLE = 28, 2000
_UNIQUE = 0.99
_OFTEN, _PLAIN = 0.1, 4.0
"""A notice in fewer than a tenth of the pieces is told only when it is twice as far out as a notice has to be."""
_WINDOWED = frozenset({"offset", "offset_wall", "min_hours", "mean_hours", "max_hours", "repeat_share"})


class Comparison(TableComparison):
    """What `compare` found; shows itself in a notebook, prints as text, and is saved as a page."""

    def __str__(self) -> str:
        return comparison_text(self)

    def _repr_html_(self) -> str:
        return str(comparison_fragment(self))

    def save(self, path: str | Path) -> Path:
        """Write the comparison as one HTML page that needs no network; returns the path."""
        return write_text(comparison_page(self), path)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return {
            "basis": self.basis,
            "pieces": self.pieces,
            "unit": self.unit,
            "rows": {"reference": self.reference.rows, "current": self.current.rows},
            "changes": [
                {item.name: getattr(change, item.name) for item in fields(change)} | {"pieces": list(change.pieces)}
                for change in self.changes
            ],
            "diagnoses": [
                {"fault": one.fault, "column": one.column, "detail": one.detail, "repair": one.repair.as_dict()}
                for one in self.diagnoses
            ],
        }


def compare(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    key: str | Sequence[str] = (),
    time: str | None = None,
    every: str = "1d",
    timezone: str = "UTC",
    holidays: Iterable[str] = (),
    clock: Clock | None = None,
) -> Comparison:
    """Tell how a table differs from a reference, as the monitors of a workspace would.

    The unit is the window, not the row: the reference is cut into windows (with ``time``) or into blocks of rows in
    their order, which say how much a healthy table moves by itself. A change is what leaves twice that band, at any
    number of rows, so large tables do not alarm on differences that mean nothing.

    It misleads when the reference itself is faulty, and without ``time`` when its rows were shuffled: blocks then
    differ less than days do. Below 20 windows or blocks only the schema is compared.

    Args:
        reference: Rows known to be good, and older: anything that `as_frame` takes.
        current: The rows in question.
        columns: Columns to look at; all by default.
        key: Columns that identify a row.
        time: A date or time column by which both are cut into windows.
        every: Length of a window, ``1d`` or ``1h``.
        timezone: IANA zone that days are cut in.
        holidays: Days (``YYYY-MM-DD``) that are a slot of their own.
        clock: What tells the time of the findings.

    Raises:
        UsageError: The inputs are no tables, or cannot be cut by ``time``.
        DataError: They cannot be read.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(1)
        >>> before = {"temperature": random.normal(70, 5, 4000), "station": random.integers(0, 9, 4000)}
        >>> now = {"temperature": (random.normal(70, 5, 500) - 32) / 1.8, "station": random.integers(0, 9, 500)}
        >>> found = compare(before, now)
        >>> [(change.column, change.severity) for change in found.changes]
        [('temperature', 'alarm')]
        >>> found.diagnoses[0].fault
        'unit'
    """
    old = pick(as_frame(reference, what="the reference"), columns, "the reference")
    new = as_frame(current, what="the current table")
    if columns is not None:
        new = new.select(name for name in old.columns if name in new.columns)
    parts = cut(old, new, time, Calendar(every, timezone))
    whole = summarise(old)
    now = (clock or SystemClock()).now()
    keys = checked_key(key, old)
    changed = _schema(old, new, parts, now)
    if parts.banded and new.height:
        changed += _metrics(parts, whole, keys, frozenset(holidays), now)
    found = _collapse(changed, parts)
    named = _diagnoses(parts, found, keys, time) if parts.banded else ()
    found = _escalated(found, named)
    return Comparison(whole, summarise(new, like=whole), found, named, parts.basis, len(parts.current), parts.unit)


def _schema(old: pl.DataFrame, new: pl.DataFrame, parts: Cut, now: Any) -> list[Finding]:
    told = [
        {"column": item.column, "severity": item.severity, "text": item.text}
        for item in changes(dict(old.schema), dict(new.schema), old.columns)
    ]
    window = parts.current[0].window.key if parts.current else ""
    item = Evidence(type="schema", subject=_SUBJECT, window=window, values={"changes": told}, time=now)
    return SchemaMonitor().evaluate([item], History(parts.calendar), parts.calendar, now)


def _metrics(parts: Cut, whole: Summary, key: Sequence[str], holidays: frozenset[str], now: Any) -> list[Finding]:
    """Replay the current pieces after the reference's, each judged on what came before it."""
    history = History(parts.calendar, holidays)
    measured = _measure(parts, whole, key)
    for piece in parts.reference:
        history.add_evidence(_evidence(piece, measured, now))
    found: list[Finding] = []
    for piece in parts.current:
        item = _evidence(piece, measured, now)
        fresh = evaluate([item], history, parts.calendar, now, _MONITORS)
        for finding in fresh:
            history.add_finding(finding)
        history.add_evidence(item)
        found += [finding for finding in fresh if _counts(finding, parts)]
    return found


def _evidence(piece: Piece, measured: Mapping[str, Mapping[str, float]], now: Any) -> Evidence:
    window = piece.window.key
    return Evidence(type="profile", subject=_SUBJECT, window=window, values=measured[window], time=now)


def _measure(parts: Cut, whole: Summary, key: Sequence[str]) -> dict[str, dict[str, float]]:
    pieces = [*parts.reference, *parts.current]
    if sum(piece.frame.height for piece in pieces) > _SUMMARISED:
        found = {piece.window.key: summarise(piece.frame, like=whole).metrics(window=piece.window) for piece in pieces}
    else:
        shared = [name for name in parts.reference[0].frame.columns if name in parts.current[0].frame.columns]
        marked = [
            piece.frame.with_columns(pl.lit(piece.window.key).alias(WINDOW)).select(*_same(parts, shared), WINDOW)
            for piece in pieces
        ]
        known = known_values(pl.concat([piece.frame for piece in parts.reference]))
        windows = [piece.window for piece in pieces]
        found = profile_windows(pl.concat(marked, how="vertical_relaxed"), windows=windows, key=key, known=known)
    identifiers = {
        name for name, one in whole.columns.items()
        if (one.distinct or 0) > _UNIQUE * max(one.count, 1) > 1
        and (one.kind == "text" or (one.kind == "number" and not one.field.is_float))
    }  # fmt: skip
    return {
        window: {metric: value for metric, value in values.items() if _tells(metric, identifiers, parts)}
        for window, values in found.items()
    }


def _same(parts: Cut, shared: Sequence[str]) -> list[str]:
    """Leave out columns whose type changed so that the two cannot be laid together: that is the schema's case."""
    old, new = parts.reference[0].frame.schema, parts.current[0].frame.schema
    return [name for name in shared if old[name] == new[name] or (old[name].is_numeric() and new[name].is_numeric())]


def _tells(metric: str, identifiers: set[str], parts: Cut) -> bool:
    """Tell whether a metric says anything: what needs whole windows does not in blocks, nor an identifier's mean."""
    name, _, column = metric.partition(".")
    if not parts.timed and name in _WINDOWED:
        return False
    return name in ("null_share", "nan_share") or column not in identifiers


def _counts(finding: Finding, parts: Cut) -> bool:
    """Leave out the rows of a block, which are as many as were cut, and columns come and gone: the schema's case."""
    return not finding.metric.startswith("column.") and (parts.timed or finding.metric != "rows")


def _collapse(found: Sequence[Finding], parts: Cut) -> tuple[Change, ...]:
    """Make one change per column of the findings of all pieces."""
    labels = {piece.window.key: piece.label for piece in parts.current}
    columns: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        name, _, column = finding.metric.partition(".")
        columns["" if name in ("key_match",) else column].append(finding)
    made = []
    for column, group in columns.items():
        graver = [item for item in group if item.severity == "alarm"] or group
        if graver[0].severity == "notice" and _passing(graver, parts):
            continue
        worst = max(graver, key=lambda item: item.score)
        pieces = tuple(dict.fromkeys(labels[item.window] for item in graver if item.window in labels))
        made.append(
            Change(column, worst.severity, worst.metric, worst.score, worst.value, worst.expected, worst.detail, pieces)
        )
    return _ranked(made)


def _escalated(found: Sequence[Change], named: Sequence[Diagnosis]) -> tuple[Change, ...]:
    """Make an alarm of a notice that a signature explains: a jump wakes nobody, a fault that can be undone does."""
    sure = [one for one in named if one.confidence >= SURE and one.invertible]
    told = {column: one for one in reversed(sure) for column in one.column.split(",") if column}
    raised = [
        replace(item, severity="alarm", detail=told[item.column].detail)
        if item.severity == "notice" and item.column in told and not item.metric.startswith("schema.")
        else item
        for item in found
    ]
    return _ranked(raised)


def _ranked(found: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(sorted(found, key=lambda change: (change.severity != "alarm", -change.score, change.column)))


def _passing(group: Sequence[Finding], parts: Cut) -> bool:
    """Tell whether a column was merely unusual, in so few of many pieces as chance makes it."""
    few = len({item.window for item in group}) < max(2, _OFTEN * len(parts.current))
    plain = all(item.monitor != SchemaMonitor.name and item.score <= _PLAIN for item in group)
    return few and plain and len(parts.current) > 1


def _diagnoses(parts: Cut, found: Sequence[Change], key: Sequence[str], time: str | None) -> tuple[Diagnosis, ...]:
    """Look for a repair that would undo what was found, on a sample of the first piece it was found in."""
    if not found:
        return ()
    first = next((piece for piece in parts.current if piece.label in found[0].pieces), parts.current[0])
    clock = time if parts.timed else None
    learned = Reference.learn(sample(parts.reference[-_LEARNED:], _SAMPLE), key=key, time=clock)
    [(window, frame)] = sample([first], _SAMPLE)
    return tuple(diagnose(frame, learned, window=window))
