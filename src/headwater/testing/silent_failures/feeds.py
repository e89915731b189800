"""What the outside world can send instead of the truth: faults of sources, and changes of the world itself.

Each function is told where, and returns what begins the fault. ``share`` is what is hit at full severity; ``by`` names
a column whose values are hit or spared as a whole (a station, a carrier), else rows are chosen by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from headwater.core.errors import UnknownName
from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Doors, Draw, Plant

Change = Callable[[pl.DataFrame, Window, float, Draw], "pl.DataFrame | None"]
"""``change(frame, window, strength, draw)``: what is sent instead, ``strength`` in (0, 1]."""
Expression = Callable[[pl.Expr], pl.Expr]


def changed_feed(source: str, change: Change) -> Plant:
    """Change what a source sends from the onset on, in a way of your own."""

    def plant(doors: Doors, draw: Draw) -> None:
        lag = doors.lag(source)

        def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
            strength = draw.strength(window, lag)
            return change(frame, window, strength, draw) if strength > 0 else frame

        doors.feed(source, hook)

    return plant


def together(*plants: Plant) -> Plant:
    """Begin several things as one, e.g. a change of the world that shows in two feeds."""

    def plant(doors: Doors, draw: Draw) -> None:
        for one in plants:
            one(doors, draw)

    return plant


def chosen(frame: pl.DataFrame, share: float, draw: Draw, window: Window, by: str | None = None) -> pl.Series:
    """Choose about a share of the rows: by the values of a column, the same ones in every window, or by chance.

    Of a column's values those come first that a hash of the seed ranks first, until the share is reached.
    """
    if share >= 1:
        return pl.Series([True] * frame.height, dtype=pl.Boolean)
    if by is None:
        return pl.Series(draw.chance("rows", window.key).random(frame.height) < share, dtype=pl.Boolean)
    counts = {value: count for value, count in frame.group_by(by).len().iter_rows()}
    ranked = sorted(counts, key=lambda value: draw.chance("value", value).random())
    hit, covered = [], 0
    for value in ranked:
        if covered >= share * frame.height:
            break
        hit.append(value)
        covered += counts[value]
    return frame[by].is_in(hit, nulls_equal=True)


def only(frame: pl.DataFrame, mask: pl.Series, columns: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Change columns in the rows of a mask; integers stay integers."""
    made = []
    for name, value in columns.items():
        if name not in frame.columns:
            raise UnknownName.column(name, frame.columns, "what is changed")
        kind = frame.schema[name]
        whole = value.round().cast(kind) if kind.is_integer() else value.cast(kind, strict=False)
        made.append(pl.when(pl.lit(mask)).then(whole).otherwise(pl.col(name)).alias(name))
    return frame.with_columns(made)


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


# --- ingestion --------------------------------------------------------------------------------------------------------
def late_partition(source: str, empty: bool = False) -> Plant:
    """A window does not come in time; with ``empty`` it comes without rows."""
    return changed_feed(source, lambda frame, window, strength, draw: frame.clear() if empty else None)


def partial(source: str, share: float = 0.5, by: str | None = None) -> Plant:
    """Part of the rows does not come."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        return frame.filter(~chosen(frame, share * strength, draw, window, by))

    return changed_feed(source, change)


def duplicated_load(
    source: str,
    share: float = 1.0,
    rekey: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    by: str | None = None,
) -> Plant:
    """Rows come twice; ``rekey`` gives the copies keys of their own, so that no ``unique`` takes them back."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        copies = frame.filter(chosen(frame, share * strength, draw, window, by))
        return pl.concat([frame, rekey(copies) if rekey else copies], how="vertical_relaxed")

    return changed_feed(source, change)


def frozen(
    source: str,
    times: Sequence[str] = (),
    restamp: Callable[[pl.DataFrame, Window], pl.DataFrame] | None = None,
) -> Plant:
    """The rows of the window before the onset come again and again, ``times`` moved to the present window.

    ``restamp(frame, window)`` may mend what else tells the date, e.g. columns of year, month and day.
    """

    def plant(doors: Doors, draw: Draw) -> None:
        lag = doors.lag(source)
        last = draw.calendar.shift(draw.calendar.window(draw.onset), -1 - lag)

        def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
            held = doors.rows(source, last) if draw.strength(window, lag) > 0 else None
            return frame if held is None else moved(held, last, window, draw, times, restamp)

        doors.feed(source, hook)

    return plant


def moved(
    frame: pl.DataFrame,
    there: Window,
    here: Window,
    draw: Draw,
    times: Sequence[str],
    restamp: Callable[[pl.DataFrame, Window], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Move the rows of one window to another: the same local time of another day; hours that a clock skips are lost."""
    days = (here.start - there.start) / timedelta(days=1)
    zone = draw.calendar.timezone
    made = []
    for name in times:
        kind = frame.schema[name]
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None and draw.calendar.every == "1d":
            local = pl.col(name).dt.convert_time_zone(zone).dt.replace_time_zone(None) + pl.duration(days=round(days))
            stamped = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            made.append(stamped.dt.convert_time_zone(kind.time_zone).alias(name))
        else:
            made.append((pl.col(name) + pl.duration(seconds=round(days * 86_400))).cast(kind).alias(name))
    shifted = frame.with_columns(made)
    shifted = shifted.filter(*(pl.col(name).is_not_null() | frame[name].is_null() for name in times))
    return restamp(shifted, here) if restamp else shifted


def out_of_order_backfill(source: str, back: int = 3, share: float = 1.0, replace: bool = False) -> Plant:
    """Rows of the window ``back`` windows earlier arrive under their own old stamps, with or instead of today's."""

    def plant(doors: Doors, draw: Draw) -> None:
        lag = doors.lag(source)

        def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
            strength = draw.strength(window, lag)
            old = doors.rows(source, draw.calendar.shift(window, -back)) if strength > 0 else None
            if old is None:
                return frame
            old = old.filter(chosen(old, share * strength, draw, window))
            kept = frame.filter(~chosen(frame, share * strength, draw, window)) if replace else frame
            return pl.concat([kept, old], how="vertical_relaxed")

        doors.feed(source, hook)

    return plant


def truncated_snapshot(source: str, share: float = 0.6) -> Plant:
    """A full table ends early: the last ``share`` of its rows is missing."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        return frame.head(round(frame.height * (1 - share * strength)))

    return changed_feed(source, change)


# --- content ----------------------------------------------------------------------------------------------------------
def unit(
    source: str, columns: str | Sequence[str], convert: Expression, digits: int = 1, by: str | None = None
) -> Plant:
    """Columns come in another unit, in a share of the rows that is the severity."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        made = {name: convert(pl.col(name)).round(digits) for name in _names(columns)}
        return only(frame, chosen(frame, strength, draw, window, by), made)

    return changed_feed(source, change)


def scale_currency(
    source: str, columns: str | Sequence[str], factor: float = 100.0, digits: int = 2, by: str | None = None
) -> Plant:
    """Amounts come multiplied: in cents, in another currency."""
    return unit(source, columns, lambda column: column * factor, digits, by)


def enum_recode(source: str, column: str, codes: Mapping[Any, Any] | Expression, by: str | None = None) -> Plant:
    """Categories come under other codes; with less than full severity only some of the values do."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        coded = codes(pl.col(column)) if callable(codes) else pl.col(column).replace(codes)
        return only(frame, chosen(frame, strength, draw, window, by or column), {column: coded})

    return changed_feed(source, change)


def time_offset(
    source: str,
    columns: str | Sequence[str],
    hours: float,
    also: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    by: str | None = None,
) -> Plant:
    """Times come moved by some hours; ``also`` recomputes what the publisher derives from them."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        hit = chosen(frame, strength, draw, window, by)
        late = only(frame, hit, {name: pl.col(name) + pl.duration(seconds=hours * 3600) for name in _names(columns)})
        if also is None:
            return late
        derived = also(late)
        return derived.with_columns(
            pl.when(pl.lit(hit)).then(pl.col(name)).otherwise(pl.lit(frame[name])).alias(name) for name in frame.columns
        )

    return changed_feed(source, change)


def rename_or_type(
    source: str, column: str, to: str = "", cast: pl.DataType | type[pl.DataType] | None = None
) -> Plant:
    """A column comes under another name, or as another type (text by default)."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        return frame.rename({column: to}) if to else frame.with_columns(pl.col(column).cast(cast or pl.String))

    return changed_feed(source, change)


def null_burst_or_sentinel(
    source: str, columns: str | Sequence[str], value: Any = None, share: float = 1.0, by: str | None = None
) -> Plant:
    """Values are missing, or a ``value`` that means nothing stands in for them."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        hit = chosen(frame, share * strength, draw, window, by)
        return only(frame, hit, {name: pl.lit(value, dtype=frame.schema[name]) for name in _names(columns)})

    return changed_feed(source, change)


def late_positives(source: str, positive: pl.Expr, share: float = 1.0) -> Plant:
    """Outcomes of one class are not reported: rows that are ``positive`` do not come."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        lost = frame.select(hit=positive.fill_null(False))["hit"]
        return frame.filter(~(lost & chosen(frame, share * strength, draw, window)))

    return changed_feed(source, change)


# --- the world --------------------------------------------------------------------------------------------------------
def covariate(
    source: str, wanted: pl.Expr, rekey: Callable[[pl.DataFrame], pl.DataFrame] | None = None, share: float = 0.8
) -> Plant:
    """Other cases come than before: what is not ``wanted`` gives way, in part, to more of what is.

    The number of rows stays when ``rekey`` can make new rows of old ones (fresh keys); without it rows only go.
    """

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        more = frame.select(hit=wanted.fill_null(False))["hit"]
        gone = ~more & chosen(frame, share * strength, draw, window)
        kept, pool = frame.filter(~gone), frame.filter(more)
        if rekey is None or not pool.height or not gone.sum():
            return kept
        picked = draw.chance("more", window.key).integers(0, pool.height, int(gone.sum()))
        return pl.concat([kept, rekey(pool[picked])], how="vertical_relaxed")

    return changed_feed(source, change)


def other_season(
    sources: Mapping[str, Sequence[str]],
    windows: int,
    restamp: Callable[[pl.DataFrame, Window], pl.DataFrame] | None = None,
) -> Plant:
    """Other cases come than before: all sources send what they sent ``windows`` windows from now, under today's date.

    Args:
        sources: Their time columns, by source.
        windows: How far away the season is, negative for the past; a multiple of 7 days keeps the days of the week.
        restamp: Mends what else tells the date.
    """

    def plant(doors: Doors, draw: Draw) -> None:
        for source, times in sources.items():
            doors.feed(source, _season(doors, draw, source, times, windows, restamp))

    return plant


def _season(doors: Doors, draw: Draw, source: str, times: Sequence[str], windows: int, restamp: Any) -> Any:
    """Feeds that trail change with the windows they tell of, so that they go on fitting together."""

    def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
        if draw.strength(window) <= 0:
            return frame
        there = draw.calendar.shift(window, windows)
        other = doors.rows(source, there)
        return frame if other is None else moved(other, there, window, draw, times, restamp)

    return hook


def concept_global(source: str, columns: Mapping[str, Expression], share: float = 1.0) -> Plant:
    """The same cases end differently: outcome columns change, in a share of all rows."""
    return concept_slice(source, columns, pl.lit(True), share)


def concept_slice(source: str, columns: Mapping[str, Expression], where: pl.Expr, share: float = 1.0) -> Plant:
    """The same cases end differently in a slice: outcome columns change ``where`` it says so."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        slice_ = frame.select(hit=where.fill_null(False)).to_series()
        if slice_.len() != frame.height:  # a literal is one value, whatever the frame holds
            slice_ = pl.Series([bool(slice_[0])] * frame.height, dtype=pl.Boolean)
        hit = slice_ & chosen(frame, share * strength, draw, window)
        return only(frame, hit, {name: made(pl.col(name)) for name, made in columns.items()})

    return changed_feed(source, change)
