"""Cut two tables into comparable pieces: windows of time where a time is given, else blocks of rows in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from headwater.app.report.wording import count
from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.windows import Calendar, Window

LEAST = 20
"""Pieces of the reference below which no band can be drawn: a monitor needs 14 to warm up."""
MOST = 60
LOOKED_AT = 200
_FAR, _FEW = 30 * 86_400.0, 0.05
"""Seconds that a window must be apart from the others, and its rows' most share, to be called astray."""
_FIRST_YEAR, _LAST_YEAR = 2, 9998
_CUT_SHORT = 0.05  # of a window, by which it must end earlier than any before it to count as still open
_BLOCKS = Calendar()
_FIRST_BLOCK = "2000-01-01"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a table: a window of time, or a block.

    Attributes:
        window: The window; blocks get consecutive days as stand-ins, so that their order is kept.
        frame: The rows; none of them where they lie in an engine.
        label: What to call it, e.g. ``2013-07-01`` or ``rows 1 to 500``.
        newest: The last time in it, in seconds since 1970; None for blocks and dates.
        held: How many rows it has where they lie in an engine.
    """

    window: Window
    frame: pl.DataFrame
    label: str
    newest: float | None = None
    held: int | None = None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.frame.height if self.held is None else self.held


@dataclass(frozen=True, slots=True)
class Cut:
    """Two tables in pieces.

    Attributes:
        reference: Pieces of the reference, oldest first; fewer than `LEAST` when it is too short for a band.
        current: Pieces of the current table, all later than the reference's.
        calendar: The calendar that names the windows.
        unit: What a piece is: ``day``, ``hour`` or ``block``.
        basis: What says what is usual, for people.
        astray: Windows of the current table far from all others, with few rows: nothing can be said of them but that.
    """

    reference: tuple[Piece, ...]
    current: tuple[Piece, ...]
    calendar: Calendar
    unit: str
    basis: str
    astray: tuple[Piece, ...] = ()

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
        DataError: The reference has no times.
    """
    if time is None:
        return _blocks(reference, current, "the rows are taken in the order given")
    old, new = (windows(frame, time, calendar, what) for frame, what in _named(reference, current))
    found = arranged(old, new, time, calendar)
    if found.banded:
        return found
    why = f"{found.basis}, so its rows are taken by `{time}` instead"
    made = _blocks(reference.sort(time, maintain_order=True), current.sort(time, maintain_order=True), why)
    return replace(made, astray=found.astray)


def arranged(old: tuple[Piece, ...], new: tuple[Piece, ...], time: str, calendar: Calendar) -> Cut:
    """Put the windows of two tables after each other, without those that one of them has in part only.

    Raises:
        UsageError: The two tables share windows, or the current one is not the later.
        DataError: The reference has no times.
    """
    if not old:
        hint = f"every row of the reference is without a time, or it has no rows; give one with values in `{time}`"
        raise DataError(f"`{time}` of the reference has no times", hint=hint)
    old, gone = _together(old, 0.0)
    new, astray = _current(old, new)
    shared = sorted({piece.window.key for piece in old} & {piece.window.key for piece in new})
    if len(shared) > 1:
        raise UsageError(
            f"window {shared[0]} is in the reference and in the current table, and {len(shared) - 1} more are",
            hint="split them at a point in time, or leave `time` out to compare blocks of rows",
        )
    if shared and len(new) > 1:  # where the one ends and the other begins, neither has a whole window
        old, new = old[:-1], new[1:]
    if not old or (new and old[-1].window.key >= new[0].window.key):
        raise UsageError(f"the current table is not later than the reference by `{time}`", hint="swap the two?")
    unit = "day" if calendar.every == "1d" else "hour"
    if len(old) < LEAST:
        few = f"the {count(len(old), 'window')} of the reference are too few for a band"
        return Cut(old, new, calendar, unit, few, astray)
    basis = f"{len(old)} {unit}s of the reference say what is usual"
    if gone:
        basis += f"; its {rows_at(gone)}, far from the rest, {'is' if held_by(gone) == 1 else 'are'} left out"
    if len(new) > 1 and _is_open(new[-1], old):
        new, basis = new[:-1], f"{basis}; {new[-1].label} is not over and gets no verdict"
    return Cut(old, new, calendar, unit, basis, astray)


def _current(old: tuple[Piece, ...], new: tuple[Piece, ...]) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Set apart what of the current table is older than the whole reference, or far from the rest of it."""
    early = tuple(piece for piece in new if old and piece.window.end <= old[0].window.start)
    if 2 * held_by(early) >= held_by(new):  # it is the reference's turn to be the older
        early = ()
    kept, late = _together(new[len(early) :], _length(old))
    return kept, early + late


def _together(pieces: tuple[Piece, ...], least: float) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Set apart the windows that lie further from most rows than those do from each other, where they are few."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and (piece.window.start - groups[-1][-1].window.end).total_seconds() <= _FAR:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    if len(groups) < 2:
        return pieces, ()
    main = max(groups, key=held_by)
    reach = max(_FAR, least, _length(main))
    first, last = main[0].window.start, main[-1].window.end
    apart = tuple(
        piece
        for piece in pieces
        if max((first - piece.window.end).total_seconds(), (piece.window.start - last).total_seconds()) > reach
    )
    if held_by(apart) > _FEW * held_by(pieces):
        return pieces, ()
    return tuple(piece for piece in pieces if piece not in apart), apart


def _length(pieces: Sequence[Piece]) -> float:
    return (pieces[-1].window.end - pieces[0].window.start).total_seconds() if pieces else 0.0


def held_by(pieces: Sequence[Piece]) -> int:
    """Return how many rows some pieces have together."""
    return sum(piece.rows for piece in pieces)


def rows_at(pieces: Sequence[Piece]) -> str:
    """Say how many rows some windows have, and which those are: ``3 rows at 1970-01-01``."""
    labels = [piece.label for piece in pieces]
    where = labels[0] if len(labels) == 1 else f"{labels[0]} to {labels[-1]}"
    return f"{count(held_by(pieces), 'row')} at {where}"


def _named(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[tuple[pl.DataFrame, str], ...]:
    return (reference, "the reference"), (current, "the current table")


def checked_time(schema: pl.Schema, time: str, what: str) -> None:
    """Check that a table has a column of dates or times of this name.

    Raises:
        UnknownName: It has no such column.
        UsageError: The column holds something else.
    """
    if time not in schema:
        raise UnknownName.column(time, schema, what)
    kind = schema[time]
    if kind not in (pl.Date, pl.Datetime):
        raise UsageError(f"`{time}` of {what} holds {kind}, no dates or times", hint="name a date or time column")


def windows(frame: pl.DataFrame, time: str, calendar: Calendar, what: str) -> tuple[Piece, ...]:
    """Cut a table into the windows it has rows in, oldest first.

    Raises:
        UnknownName: It has no such time column.
        UsageError: The column holds no dates or times.
    """
    checked_time(frame.schema, time, what)
    kind = frame.schema[time]
    known = frame.filter(pl.col(time).is_not_null())
    keyed = known.with_columns(_key(time, kind, calendar).alias("\x00window"))
    parts = keyed.sort("\x00window", maintain_order=True).partition_by("\x00window", as_dict=True, include_key=False)
    return tuple(
        Piece(calendar.window(str(key)), part, _label(str(key)), _newest(part, time)) for (key,), part in parts.items()
    )


def _label(key: str) -> str:
    if key.startswith(f"{_FIRST_YEAR:04}-01-01"):
        return f"{key} or earlier"
    return f"{key} or later" if key.startswith(f"{_LAST_YEAR}-12-31") else key


def _newest(part: pl.DataFrame, time: str) -> float | None:
    if part.schema[time] == pl.Date:
        return None
    return float(part.select(pl.col(time).dt.timestamp("us").max()).item()) / 1e6


def _is_open(last: Piece, past: Sequence[Piece]) -> bool:
    """Tell whether the newest window ends long before windows usually do: it is still filling up."""
    left = [piece.window.end.timestamp() - piece.newest for piece in (last, *past) if piece.newest is not None]
    length = (last.window.end - last.window.start).total_seconds()
    return last.newest is not None and left[0] > max(left[1:], default=math.inf) + _CUT_SHORT * length


def _key(time: str, kind: object, calendar: Calendar) -> pl.Expr:
    """Return the expression of a row's window; years that no calendar has are taken for the last one that it has."""
    year, hours = pl.col(time).dt.year(), "" if calendar.every == "1d" else "T00"
    return (
        pl.when(year < _FIRST_YEAR)
        .then(pl.lit(f"{_FIRST_YEAR:04}-01-01{hours}"))
        .when(year > _LAST_YEAR)
        .then(pl.lit(f"{_LAST_YEAR}-12-31{hours}"))
        .otherwise(_named_window(time, kind, calendar))
    )


def _named_window(time: str, kind: object, calendar: Calendar) -> pl.Expr:
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
    said = f"{len(old)} blocks of {count(size, 'row')} of the reference say what is usual; {why}"
    if len(old) < LEAST:
        said = f"{count(reference.height, 'row')} of the reference are too few to say what is usual"
    elif current.height > size * len(new):
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
