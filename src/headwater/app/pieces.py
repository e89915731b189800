"""Cut two tables into comparable pieces: windows of time where a time is given, else blocks of rows in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.windows import Calendar, Window

LEAST = 20
"""Pieces of the reference below which no band can be drawn: a monitor needs 14 to warm up."""
MOST = 60
LOOKED_AT = 200
_CUT_SHORT = 0.05  # of a window, by which it must end earlier than any before it to count as still open
_BLOCKS = Calendar()
_FIRST_BLOCK = "2000-01-01"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a table: a window of time, or a block.

    Attributes:
        window: The window; blocks get consecutive days as stand-ins, so that their order is kept.
        frame: The rows.
        label: What to call it, e.g. ``2013-07-01`` or ``rows 1 to 500``.
    """

    window: Window
    frame: pl.DataFrame
    label: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Two tables in pieces.

    Attributes:
        reference: Pieces of the reference, oldest first; fewer than `LEAST` when it is too short for a band.
        current: Pieces of the current table, all later than the reference's.
        calendar: The calendar that names the windows.
        unit: What a piece is: ``day``, ``hour`` or ``block``.
        basis: What says what is usual, for people.
    """

    reference: tuple[Piece, ...]
    current: tuple[Piece, ...]
    calendar: Calendar
    unit: str
    basis: str

    @property
    def timed(self) -> bool:
        """Whether the pieces are windows of time."""
        return self.unit != "block"

    @property
    def banded(self) -> bool:
        """Whether there are enough pieces to say what is usual."""
        return len(self.reference) >= LEAST


def cut(reference: pl.DataFrame, current: pl.DataFrame, time: str | None, calendar: Calendar) -> Cut:
    """Cut both tables by time, or into blocks when no time is given or it does not make enough windows.

    Raises:
        UnknownName: A table has no such time column.
        UsageError: The column holds no dates or times, or the two tables share windows.
    """
    if time is None:
        return _blocks(reference, current, "the rows are taken in the order given")
    old, new = (_windows(frame, time, calendar, what) for frame, what in _named(reference, current))
    shared = sorted({piece.window.key for piece in old} & {piece.window.key for piece in new})
    if len(shared) > 1:
        raise UsageError(
            f"window {shared[0]} is in the reference and in the current table, and {len(shared) - 1} more are",
            hint="split them at a point in time, or leave `time` out to compare blocks of rows",
        )
    if shared and len(new) > 1:  # where the one ends and the other begins, neither has a whole window
        old, new = old[:-1], new[1:]
    if not old or not new or old[-1].window.key >= new[0].window.key:
        raise UsageError(f"the current table is not later than the reference by `{time}`", hint="swap the two?")
    if len(old) < LEAST:
        why = f"{len(old)} windows of the reference are too few for a band, so its rows are taken by `{time}` instead"
        return _blocks(reference.sort(time, maintain_order=True), current.sort(time, maintain_order=True), why)
    unit = "day" if calendar.every == "1d" else "hour"
    basis = f"{len(old)} {unit}s of the reference say what is usual"
    if len(new) > 1 and _is_open(new[-1], old, time):
        new, basis = new[:-1], f"{basis}; {new[-1].label} is not over and gets no verdict"
    return Cut(old, new, calendar, unit, basis)


def _named(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[tuple[pl.DataFrame, str], ...]:
    return (reference, "the reference"), (current, "the current table")


def _windows(frame: pl.DataFrame, time: str, calendar: Calendar, what: str) -> tuple[Piece, ...]:
    if time not in frame.columns:
        raise UnknownName.of(f"column of {what}", time, frame.columns)
    kind = frame.schema[time]
    if kind not in (pl.Date, pl.Datetime):
        raise UsageError(f"`{time}` of {what} holds {kind}, no dates or times", hint="name a date or time column")
    known = frame.filter(pl.col(time).is_not_null())
    if known.is_empty():
        raise DataError(f"`{time}` of {what} has no times")
    keyed = known.with_columns(_key(time, kind, calendar).alias("\x00window"))
    parts = keyed.sort("\x00window", maintain_order=True).partition_by("\x00window", as_dict=True, include_key=False)
    return tuple(Piece(calendar.window(str(key)), part, str(key)) for (key,), part in parts.items())


def _is_open(last: Piece, past: Sequence[Piece], time: str) -> bool:
    """Tell whether the newest window ends long before windows usually do: it is still filling up."""
    if last.frame.schema[time] == pl.Date:
        return False

    def left(piece: Piece) -> float:
        newest = piece.frame.select(pl.col(time).dt.timestamp("us").max()).item() / 1e6
        return piece.window.end.timestamp() - float(newest)

    length = (last.window.end - last.window.start).total_seconds()
    return left(last) > max(left(piece) for piece in past) + _CUT_SHORT * length


def _key(time: str, kind: object, calendar: Calendar) -> pl.Expr:
    moment = pl.col(time)
    if kind == pl.Date:
        return moment.cast(pl.String) if calendar.every == "1d" else moment.dt.strftime("%Y-%m-%dT00")
    zoned = moment.dt.replace_time_zone("UTC") if getattr(kind, "time_zone", None) is None else moment
    if calendar.every == "1d":
        return zoned.dt.convert_time_zone(calendar.timezone).dt.strftime("%Y-%m-%d")
    return zoned.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H")


def _blocks(reference: pl.DataFrame, current: pl.DataFrame, why: str) -> Cut:
    """Cut blocks of one size, the current table's or smaller to get `LEAST` of them: extremes depend on the size."""
    size = max(1, min(current.height, reference.height // LEAST))
    old = _spread(reference.height, size, MOST)
    new = _spread(current.height, size, LOOKED_AT)
    said = f"{len(old)} blocks of {size:,} rows of the reference say what is usual; {why}"
    if len(old) < LEAST:
        said = f"{reference.height} rows of the reference are too few to say what is usual"
    if current.height > size * len(new):
        said += f"; {len(new)} of the current table's {-(-current.height // size)} blocks are looked at"
    return Cut(_split(reference, old, size, 0), _split(current, new, size, len(old)), _BLOCKS, "block", said)


def _spread(rows: int, size: int, most: int) -> list[int]:
    """Return where blocks begin: all rows are in one, a few in two, unless that takes more than ``most`` blocks."""
    count = min(-(-rows // size), most)
    return [(rows - size) * place // max(count - 1, 1) for place in range(count)]


def _split(frame: pl.DataFrame, starts: Sequence[int], size: int, place: int) -> tuple[Piece, ...]:
    first = _BLOCKS.shift(_BLOCKS.window(_FIRST_BLOCK), place)
    return tuple(
        Piece(_BLOCKS.shift(first, index), frame.slice(start, size), f"rows {start + 1:,} to {start + size:,}")
        for index, start in enumerate(starts)
    )


def sample(pieces: Sequence[Piece], most: int) -> list[tuple[Window, pl.DataFrame]]:
    """Return pieces with every n-th row, so that none has more than ``most``."""
    return [(piece.window, piece.frame.gather_every(max(1, -(-piece.frame.height // most)))) for piece in pieces]
