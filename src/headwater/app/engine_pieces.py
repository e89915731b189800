"""Lay two tables beside each other of which one lies in an engine, or both: only summaries and a sample leave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import polars as pl

from headwater.app.frames import Progress, as_frame, pick
from headwater.app.measuring import Laid, Texts, same, summed, telling
from headwater.app.pieces import Cut, Piece, arranged, checked_time, sample, windows
from headwater.app.wiring import engine_columns, engine_summaries, engine_windows, in_engine
from headwater.core.errors import UnknownName
from headwater.core.windows import Calendar, Window
from headwater.stats.profiling.mixes import opened
from headwater.stats.profiling.summaries import Summary, summarise

UNTIMED = "only the schema is compared: rows in an engine have no order, so name their `time`"
LEFT_OUT = (
    "whole windows that come again, rows that are there twice{}, and hours that left their clock are not looked for"
)


def laid_in_engine(
    reference: Any,
    current: Any,
    columns: Sequence[str] | None,
    key: tuple[str, ...],
    time: str | None,
    calendar: Calendar,
    told: Progress,
) -> Laid:
    """Cut and measure two tables, each where it lies.

    Of an engine's rows no more than a sample is fetched, and only when a change was found that wants a name.

    Args:
        reference: The older table: an Ibis expression, or anything that `as_frame` takes.
        current: The table in question, likewise.
        columns: Columns to look at; all by default.
        key: Columns that identify a row.
        time: A column of dates or times of both. Without it only the schema is compared.
        calendar: What cuts time into windows.
        told: Told the windows measured so far and how many there are.

    Raises:
        UnknownName: The reference lacks a column.
        UsageError: The tables cannot be cut by ``time``.
    """
    old, new = _side(reference, "the reference"), _side(current, "the current table")
    for name in key:
        if name not in old.shell.columns:
            raise UnknownName.column(name, old.shell.columns, "the reference")
    before = pick(old.shell, columns, "the reference")
    kept = [name for name in new.shell.columns if columns is None or name in before.columns]
    after = _agreed(new.shell.select(kept), before, in_engine(reference) != in_engine(current))
    whole = old.summary(None, before.columns)
    latest = new.summary(whole, after.columns)
    if time is None:
        parts = Cut((), (), calendar, "block", UNTIMED)
        return Laid(before, after, parts, whole, latest, key, {}, sample)
    parts = arranged(old.pieces(time, calendar), new.pieces(time, calendar), time, calendar)
    measured: dict[str, dict[str, float]] = {}
    past: list[Texts] = []
    if parts.banded:
        wanted = same(before.schema, after.schema)
        keys = key if set(key) <= set(after.columns) else ()
        total = len(parts.reference) + len(parts.current)
        for side, pieces in ((old, parts.reference), (new, parts.current)):
            for window, metrics, texts in side.metrics(pieces, whole, wanted, keys):
                measured[window] = dict(metrics)
                if pieces is parts.reference:
                    past.append(texts)
                told(len(measured), total)

    def fetch(pieces: Sequence[Piece], most: int) -> list[tuple[Window, pl.DataFrame]]:
        past = pieces[0].window.key <= parts.reference[-1].window.key
        side, shell = (old, before) if past else (new, after)
        found = side.rows(pieces, most, shell.columns)
        return [(window, _cast(frame, shell)) for window, frame in found]

    left_out = LEFT_OUT.format("" if not key else " by other columns than the key") if parts.banded else ""
    return Laid(
        before, after, parts, whole, latest, key, telling(measured, whole, parts, opened(past)), fetch, left_out
    )


def _agreed(after: pl.DataFrame, before: pl.DataFrame, mixed: bool) -> pl.DataFrame:
    """Give times the reference's type where only the engine makes the difference.

    An engine shows instants in the zone of its session, whatever was stored; and some have one kind of time only, so
    that of two tables one of which is in hand (``mixed``), one may have a zone and the other none.
    """
    for name, kind in after.schema.items():
        past = before.schema.get(name)
        if not isinstance(kind, pl.Datetime) or not isinstance(past, pl.Datetime):
            continue
        if mixed or (kind.time_zone and past.time_zone):
            unit = past.time_unit if mixed else kind.time_unit
            after = after.with_columns(pl.lit(None, pl.Datetime(unit, past.time_zone)).alias(name))
    return after.clear()


def _cast(frame: pl.DataFrame, shell: pl.DataFrame) -> pl.DataFrame:
    """Give fetched rows the types that were compared; a time without a zone is read as UTC."""
    for name, kind in shell.schema.items():
        have = frame.schema[name]
        if isinstance(kind, pl.Datetime) and isinstance(have, pl.Datetime) and kind.time_zone != have.time_zone:
            column = pl.col(name) if have.time_zone else pl.col(name).dt.replace_time_zone("UTC")
            zoned = column.dt.convert_time_zone(kind.time_zone or "UTC")
            frame = frame.with_columns(zoned if kind.time_zone else zoned.dt.replace_time_zone(None))
    return frame.cast(dict(shell.schema))  # type: ignore[arg-type]


class _Side(Protocol):
    """One of two tables."""

    shell: pl.DataFrame
    """Its columns, without rows."""

    def summary(self, like: Summary | None, columns: Sequence[str]) -> Summary: ...
    def pieces(self, time: str, calendar: Calendar) -> tuple[Piece, ...]: ...
    def metrics(
        self, pieces: Sequence[Piece], like: Summary, columns: Sequence[str], key: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, float], Texts]]: ...
    def rows(self, pieces: Sequence[Piece], most: int, columns: Sequence[str]) -> list[tuple[Window, pl.DataFrame]]: ...


def _side(data: Any, what: str) -> _Side:
    return _Afar(data, what) if in_engine(data) else _InHand(as_frame(data, what=what), what)


class _InHand:
    """A table that is here."""

    def __init__(self, frame: pl.DataFrame, what: str) -> None:
        self.frame, self.what, self.shell = frame, what, frame.head(0)

    def summary(self, like: Summary | None, columns: Sequence[str]) -> Summary:
        return summarise(self.frame.select(columns), like=like)

    def pieces(self, time: str, calendar: Calendar) -> tuple[Piece, ...]:
        return windows(self.frame, time, calendar, self.what)

    def metrics(
        self, pieces: Sequence[Piece], like: Summary, columns: Sequence[str], key: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, float], Texts]]:
        for piece in pieces:
            wanted = [*columns, *(name for name in key if name not in columns)]
            chosen = Piece(piece.window, piece.frame.select(wanted), piece.label)
            yield (piece.window.key, *summed(chosen, like, key))

    def rows(self, pieces: Sequence[Piece], most: int, columns: Sequence[str]) -> list[tuple[Window, pl.DataFrame]]:
        return [(window, frame.select(columns)) for window, frame in sample(pieces, most)]


class _Afar:
    """A table in an engine; its pieces carry no rows."""

    def __init__(self, table: Any, what: str) -> None:
        self.table, self.what, self.shell = table, what, engine_columns(table)
        self.windows: Any = None

    def summary(self, like: Summary | None, columns: Sequence[str]) -> Summary:
        made = engine_summaries(self.table, None, like, columns)
        assert isinstance(made, Summary)
        return made

    def pieces(self, time: str, calendar: Calendar) -> tuple[Piece, ...]:
        checked_time(self.shell.schema, time, self.what)
        self.windows = engine_windows(self.table, time, calendar)
        return tuple(
            Piece(calendar.window(name), self.shell, name, newest, held)
            for name, (held, newest) in self.windows.found.items()
        )

    def metrics(
        self, pieces: Sequence[Piece], like: Summary, columns: Sequence[str], key: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, float], Texts]]:
        names = [piece.window.key for piece in pieces]
        found: Iterator[tuple[str, dict[str, float], Texts]] = self.windows.metrics(
            names, like=like, columns=columns, key=key
        )
        return found

    def rows(self, pieces: Sequence[Piece], most: int, columns: Sequence[str]) -> list[tuple[Window, pl.DataFrame]]:
        found = self.windows.rows([piece.window.key for piece in pieces], columns, most)
        return [(piece.window, found[piece.window.key]) for piece in pieces]
