"""Compare two tables without a workspace: what broke, what moved, and what would undo it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.arrival import SURE
from headwater.app.engine_pieces import laid_in_engine
from headwater.app.frames import Progress, as_frame, pick
from headwater.app.holidays import days_of
from headwater.app.measuring import Laid, Metrics, measure
from headwater.app.moments import moments, named_too, without_echoes
from headwater.app.pieces import Cut, Piece, cut, sample
from headwater.app.profiles import checked_key, reading
from headwater.app.report.columns import comparison_fragment, comparison_page
from headwater.app.report.page import write_text
from headwater.app.report.tables import Change, TableComparison
from headwater.app.report.text import comparison_text
from headwater.app.wiring import in_engine
from headwater.core.clock import Clock, SystemClock
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar, Window
from headwater.dataops.schema import changes
from headwater.observe.distribution import DistributionMonitor
from headwater.observe.history import History
from headwater.observe.monitors import evaluate
from headwater.observe.schema import SchemaMonitor
from headwater.observe.structure import LIMIT, StructureMonitor
from headwater.stats.profiling.summaries import summarise
from headwater.stats.signatures.signatures import Diagnosis, Reference, diagnose

_MONITORS = (SchemaMonitor(), StructureMonitor(), DistributionMonitor())
_SUBJECT = "dataset:comparison/current"
_EMPTY_SCORE = 10.0
_LEARNED, _SAMPLE, _IN_HAND = 28, 2000, 20_000
_ASKED, _AGREEING, _MAJORITY = 28, 5, 0.4
_LAST_YEAR = 2100
_OFTEN, _PLAIN = 0.1, 4.0
"""A notice in fewer than a tenth of the pieces is told only when it is twice as far out as a notice has to be."""


class Comparison(TableComparison):
    """What `compare` found; shows itself in a notebook, prints as text, and is saved as a page."""

    def __str__(self) -> str:
        return comparison_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(comparison_fragment(self))

    def save(self, path: str | Path) -> Path:
        """Write the comparison as one HTML page that needs no network; returns the path."""
        return write_text(comparison_page(self), path)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return {
            "basis": self.basis,
            "banded": self.banded,
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
    holidays: str | Iterable[str] = (),
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Tell how a table differs from a reference, as the monitors of a workspace would.

    The unit is the window, not the row: the reference is cut into windows (with ``time``) or into blocks of rows in
    their order, which say how much a healthy table moves by itself. A change is what leaves twice that band, at any
    number of rows, so large tables do not alarm on differences that mean nothing.

    It misleads when the reference itself is faulty, and without ``time`` when its rows were shuffled: blocks then
    differ less than days do. Below 20 windows or blocks only the schema is compared.

    Args:
        reference: Rows known to be good, and older: anything that `as_frame` takes, or an Ibis table.
        current: The rows in question, likewise.
        columns: Columns to look at, besides ``time`` and ``key``; all by default.
        key: Columns that identify a row.
        time: A date or time column by which both are cut into windows.
        every: Length of a window, ``1d`` or ``1h``.
        timezone: IANA zone that days are cut in.
        holidays: Days (``YYYY-MM-DD``) that are a slot of their own, or the name of a public calendar (``US-NY``).
        clock: What tells the time of the findings.
        progress: Told the windows judged so far and how many there are, in place of the bar on a terminal.

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
    calendar, days = Calendar(every, timezone), _holidays(holidays)
    keys = (key,) if isinstance(key, str) else tuple(dict.fromkeys(key))
    wanted = None if columns is None else _with([columns] if isinstance(columns, str) else columns, time, *keys)
    with reading(progress, "windows") as told:
        laid = _laid(reference, current, wanted, keys, time, calendar, told)
        now = (clock or SystemClock()).now()
        changed = _schema(laid, now)
        if laid.measured:
            changed += _metrics(laid, days, now, told)
        timely = moments(laid, time)
        found = _ranked([*_emptied(laid), *without_echoes(_collapse(changed, laid), timely)])
        named = _diagnoses(laid, found, time) if laid.measured else ()
        named = named_too(named, timely)
    found = _escalated(found, named)
    parts = laid.parts
    basis = f"{parts.basis}; {laid.left_out}" if laid.left_out else parts.basis
    named = _explaining(named, found)
    return Comparison(laid.whole, laid.latest, found, named, basis, len(parts.current), parts.unit, bool(laid.measured))


def _laid(
    reference: Any,
    current: Any,
    columns: Sequence[str] | None,
    key: tuple[str, ...],
    time: str | None,
    calendar: Calendar,
    told: Progress,
) -> Laid:
    if in_engine(reference) or in_engine(current):
        return laid_in_engine(reference, current, columns, key, time, calendar, told)
    old = pick(as_frame(reference, what="the reference"), columns, "the reference")
    new = as_frame(current, what="the current table")
    if columns is not None:
        new = new.select(name for name in old.columns if name in new.columns)
    parts, keys = cut(old, new, time, calendar), checked_key(key, old, "the reference")
    whole = summarise(old)
    measured = measure(parts, whole, keys) if parts.banded and new.height else {}
    return Laid(old, new, parts, whole, summarise(new, like=whole), keys, measured, _held)


def _held(pieces: Sequence[Piece], most: int) -> list[tuple[Window, pl.DataFrame]]:
    """Return rows in hand, of all but very large pieces all of them: a sample has not their number, nor their gaps."""
    return sample(pieces, max(most, _IN_HAND))


def _with(columns: Sequence[str], *needed: str | None) -> list[str]:
    """Add what tables are cut and rows are told apart by to the columns that are looked at."""
    return list(dict.fromkeys([*columns, *(name for name in needed if name is not None)]))


def _holidays(holidays: str | Iterable[str]) -> frozenset[str]:
    if isinstance(holidays, str):
        return frozenset(days_of(holidays, _LAST_YEAR))
    days = Calendar()
    return frozenset(days.window(day).key for day in holidays)


def _schema(laid: Laid, now: Any) -> list[Finding]:
    old, new, parts = laid.old, laid.new, laid.parts
    told = [
        {"column": item.column, "severity": item.severity, "text": item.text}
        for item in changes(dict(old.schema), dict(new.schema), old.columns)
    ]
    window = parts.current[0].window.key if parts.current else ""
    item = Evidence(type="schema", subject=_SUBJECT, window=window, values={"changes": told}, time=now)
    return SchemaMonitor().evaluate([item], History(parts.calendar), parts.calendar, now)


def _emptied(laid: Laid) -> list[Change]:
    """A table without rows has no pieces that could be measured, and is a break nevertheless."""
    if laid.latest.rows or not laid.whole.rows:
        return []
    detail = f"no rows, where the reference has {laid.whole.rows:,}"
    return [Change("", "alarm", "rows", _EMPTY_SCORE, 0.0, float(laid.whole.rows), detail, ())]


def _metrics(laid: Laid, holidays: frozenset[str], now: Any, told: Progress) -> list[Finding]:
    """Replay the current pieces after the reference's, each judged on what came before it."""
    parts, measured = laid.parts, laid.measured
    history = History(parts.calendar, holidays)
    for piece in parts.reference:
        history.add_evidence(_evidence(piece, measured, now))
    found: list[Finding] = []
    for place, piece in enumerate(parts.current, start=1):
        item = _evidence(piece, measured, now)
        fresh = evaluate([item], history, parts.calendar, now, _MONITORS)
        for finding in fresh:
            history.add_finding(finding)
        history.add_evidence(item)
        found += [finding for finding in fresh if _counts(finding, parts)]
        told(place, len(parts.current))
    return found


def _evidence(piece: Piece, measured: Metrics, now: Any) -> Evidence:
    window = piece.window.key
    return Evidence(type="profile", subject=_SUBJECT, window=window, values=measured[window], time=now)


def _counts(finding: Finding, parts: Cut) -> bool:
    """Leave out the rows of a block, which are as many as were cut, and columns come and gone: the schema's case."""
    return not finding.metric.startswith("column.") and (parts.timed or finding.metric != "rows")


def _collapse(found: Sequence[Finding], laid: Laid) -> tuple[Change, ...]:
    """Make one change per column of the findings of all pieces."""
    parts, known = laid.parts, {*laid.old.columns, *laid.new.columns}
    labels = {piece.window.key: piece.label for piece in parts.current}
    columns: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        name, _, column = finding.metric.partition(".")
        columns["" if name in ("key_match",) else _column(column, known)].append(finding)
    made = []
    for column, group in columns.items():
        graver = [item for item in group if item.severity == "alarm"] or group
        if graver[0].severity == "notice" and _passing(graver, parts):
            continue
        worst = max(graver, key=lambda item: item.score)
        detail = _called(worst.detail, parts)
        pieces = tuple(dict.fromkeys(labels[item.window] for item in graver if item.window in labels))
        made.append(
            Change(
                column,
                worst.severity,
                worst.metric,
                worst.score,
                worst.value,
                worst.expected,
                detail,
                pieces,
                labels.get(worst.window, ""),
            )
        )
    return _ranked(made)


def _called(detail: str, parts: Cut) -> str:
    """Call a piece that a sentence speaks of by its label: blocks have stand-ins for windows."""
    for pieces, whose in ((parts.reference, " of the reference"), (parts.current, "")):
        for piece in () if parts.timed else pieces:
            detail = detail.replace(f"since {piece.window.key}", f"since {piece.label}{whose}")
    return detail


def _column(name: str, known: Collection[str]) -> str:
    """Return the column that a metric is about: of a relation of two, ``time.hour``, the first."""
    parts = name.split(".")
    heads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((head for head in heads if head in known), name)


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


def _diagnoses(laid: Laid, found: Sequence[Change], time: str | None) -> tuple[Diagnosis, ...]:
    """Look for a repair that would undo what was found, on a sample of the first piece it was found in."""
    if not found:
        return ()
    parts = laid.parts
    first = next((piece for piece in parts.current if piece.label in found[0].pieces), parts.current[0])
    past = parts.reference[-_LEARNED:]
    learned = Reference.learn(laid.fetch(past, _SAMPLE), key=laid.key, time=time if parts.timed else None)
    [(window, frame)] = laid.fetch([first], _SAMPLE)
    named = diagnose(frame, learned, window=window)
    if moved := _moved(laid, found, learned):
        named = [*moved, *(one for one in named if one.fault != "time_offset")]
    counted = (_counted(one, found, sampled=bool(laid.left_out)) for one in named)
    return tuple(_labelled(one, past) for one in counted if one is not None)


def _counted(one: Diagnosis, found: Sequence[Change], *, sampled: bool) -> Diagnosis | None:
    """Tell missing rows with the numbers that were measured of whole windows; a sample may only seem to lack some."""
    if one.fault != "truncated":
        return one
    rows = next((change for change in found if change.metric == "rows"), None)
    if rows is None:
        return None if sampled else one
    return one if one.column else replace(one, detail=rows.detail)


def _moved(laid: Laid, found: Sequence[Change], learned: Reference) -> list[Diagnosis]:
    """Ask many windows whether the clock was moved where times drift: one odd day may look so, many do not."""
    if not laid.parts.timed or not any(change.metric.startswith("mean_hours.") for change in found):
        return []
    votes: dict[str, list[Diagnosis]] = defaultdict(list)
    asked = laid.fetch(laid.parts.current[:_ASKED], _SAMPLE)
    for window, frame in asked:
        named = diagnose(frame, learned, window=window, demand=LIMIT)
        for one in [one for one in named if one.fault == "time_offset"][:1]:
            votes[str(sorted(one.repair.parameters.items(), key=str))].append(one)
    most = max(votes.values(), key=len, default=[])
    if len(most) < max(_AGREEING, _MAJORITY * len(asked)):
        return []
    return [replace(most[0], detail=f"{most[0].detail}; so say {len(most)} of {len(asked)} windows")]


def _labelled(one: Diagnosis, past: Sequence[Piece]) -> Diagnosis:
    """Call the pieces that a diagnosis speaks of by their labels: blocks have stand-ins for windows."""
    detail = one.detail
    for piece in past:
        if piece.label != piece.window.key:
            detail = detail.replace(f"window {piece.window.key}", piece.label)
    return replace(one, detail=detail)


def _explaining(named: Sequence[Diagnosis], found: Sequence[Change]) -> tuple[Diagnosis, ...]:
    """Keep what explains a change: a repair of a column that did not change explains nothing."""
    changed = {change.column for change in found}
    return tuple(one for one in named if not one.column or changed & set(one.column.split(",")))
