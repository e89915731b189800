"""Code that is deployed over code: faults of transforms, features, serving and labels, as wrappers of what ran before.

A wrapper has other code than what it wraps, wherever it stands: lineage and code store see a new mechanism. ``parent``
is the name of the parameter that brings a parent's frame. Rows are chosen by a hash of their key, so that a function
gives for a range what it gives for its windows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Doors, Draw, Plant
from headwater.testing.silent_failures.feeds import Expression, only

Frames = dict[str, Any]


@dataclass(frozen=True)
class Hit:
    """How hard code is hit where it runs: the window (None where code does not ask for it) and the strength."""

    window: Window | None
    strength: float
    draw: Draw

    def rows(self, frame: pl.DataFrame, keys: str | Sequence[str] | None = None, share: float = 1.0) -> pl.Series:
        """Choose a share of the rows by a hash of their keys (of all columns by default)."""
        share = share * self.strength
        if share >= 1 or not frame.height:
            return pl.Series([share > 0] * frame.height, dtype=pl.Boolean)
        names = frame.columns if keys is None else [keys] if isinstance(keys, str) else list(keys)
        text = frame.select(pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator="|",
                                          ignore_nulls=True)).to_series()  # fmt: skip
        return (text.hash(self.draw.seed) % 10_000) < int(share * 10_000)


Before = Callable[[Frames, Hit], Frames]
"""``before(frames, hit) -> frames``: changes what the function reads, by parameter name."""
After = Callable[[Any, Hit], Any]
"""``after(made, hit) -> made``: changes what the function returned."""


@dataclass(frozen=True)
class Deployed:
    """A function with something done before and after it; equal to no function that ran before.

    Attributes:
        present: What it wraps.
        draw: What chance decided.
        before: Changes the inputs, by parameter name.
        after: Changes the output.
        dated: Whether it wants to know the window, even if the function it wraps does not.
    """

    present: Callable[..., Any]
    draw: Draw
    before: Before | None = None
    after: After | None = None
    dated: bool = False

    @property
    def __signature__(self) -> inspect.Signature:
        """The parameters of what it wraps, and ``window`` if it wants that too."""
        own = inspect.signature(self.present)
        if not self.dated or "window" in own.parameters:
            return own
        window = inspect.Parameter("window", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return own.replace(parameters=[*own.parameters.values(), window])

    def __call__(self, *given: Any) -> Any:
        """Run it."""
        frames = dict(zip(self.__signature__.parameters, given, strict=True))
        window = frames.get("window")
        strength = self.draw.severity if window is None else self.draw.of_code(window)
        hit = Hit(window, strength, self.draw)
        if strength > 0 and self.before is not None:
            frames = self.before(frames, hit)
        made = self.present(*(frames[name] for name in inspect.signature(self.present).parameters))
        return self.after(made, hit) if strength > 0 and self.after is not None else made


def changed_code(asset: str, before: Before | None = None, after: After | None = None, dated: bool = False) -> Plant:
    """Deploy code that does something of your own before or after what an asset's code does now."""

    def plant(doors: Doors, draw: Draw) -> None:
        wants = dated or draw.shape != "abrupt"
        doors.code(asset, Deployed(doors.function(asset), draw, before, after, wants))

    return plant


def _input(asset: str, parent: str, change: Callable[[pl.DataFrame, Hit], pl.DataFrame], dated: bool = False) -> Plant:
    def before(frames: Frames, hit: Hit) -> Frames:
        return {**frames, parent: change(frames[parent], hit)}

    return changed_code(asset, before=before, dated=dated)


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


# --- transforms -------------------------------------------------------------------------------------------------------
def join_key_case(asset: str, parent: str, column: str, write: Expression | None = None) -> Plant:
    """A join key is written otherwise in one parent (lower case by default), so that rows find no partner."""

    def change(frame: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        written = write(pl.col(column)) if write else pl.col(column).str.to_lowercase()
        return only(frame, hit.rows(frame, column), {column: written})

    return _input(asset, parent, change)


def fan_out(asset: str, parent: str, keys: str | Sequence[str] | None = None, share: float = 1.0) -> Plant:
    """A parent is joined with rows that repeat their key, so that the join multiplies rows."""

    def change(frame: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        return pl.concat([frame, frame.filter(hit.rows(frame, keys, share))])

    return _input(asset, parent, change)


def inner_for_left(
    asset: str, child: str, parent: str, on: str | Sequence[str], parent_on: str | Sequence[str] | None = None
) -> Plant:
    """Rows of ``child`` that find no partner in ``parent`` are lost in the join."""

    def before(frames: Frames, hit: Hit) -> Frames:
        rows = frames[child]
        known = rows.with_row_index("_row").join(
            frames[parent], left_on=_names(on), right_on=_names(parent_on or on), how="semi"
        )["_row"]
        kept = pl.Series(range(rows.height), dtype=pl.UInt32).is_in(known.implode()) | ~hit.rows(rows)
        return {**frames, child: rows.filter(kept)}

    return changed_code(asset, before=before)


def filter_bug(asset: str, parent: str, keep: pl.Expr) -> Plant:
    """A filter keeps the wrong rows: what is not in ``keep`` is lost."""

    def change(frame: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        kept = frame.select(hit=keep.fill_null(True))["hit"]
        return frame.filter(kept | ~hit.rows(frame))

    return _input(asset, parent, change)


def parse_bug(asset: str, parent: str, column: str, read: Expression) -> Plant:
    """A column is read wrongly, e.g. day for month or without its sign."""

    def change(frame: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        return only(frame, hit.rows(frame), {column: read(pl.col(column))})

    return _input(asset, parent, change)


def default_fill(asset: str, columns: str | Sequence[str], value: Any, share: float = 1.0) -> Plant:
    """Values give way to a default, in a share of the rows."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        rows = hit.rows(made, share=share)
        return only(made, rows, {name: pl.lit(value, dtype=made.schema[name]) for name in _names(columns)})

    return changed_code(asset, after=after)


# --- features ---------------------------------------------------------------------------------------------------------
def stale_feature(asset: str, parent: str, time: str, delay: timedelta) -> Plant:
    """A feature is of an earlier window: what a parent knows counts as known ``delay`` later than it was."""
    return _input(asset, parent, lambda frame, hit: frame.with_columns(pl.col(time) + delay))


def wrong_window(asset: str, parent: str, time: str, keep: timedelta) -> Plant:
    """An aggregate covers only ``keep`` before the window that it is computed for."""

    def change(frame: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        assert hit.window is not None
        begin: Any = hit.window.start - keep
        kind = frame.schema[time]
        if kind == pl.Date:
            begin = begin.date()
        elif isinstance(kind, pl.Datetime) and kind.time_zone is None:
            begin = begin.replace(tzinfo=None)
        return frame.filter((pl.col(time) >= begin) | ~pl.lit(hit.rows(frame)))

    return _input(asset, parent, change, dated=True)


def future_leak(asset: str, parent: str, time: str, ahead: timedelta) -> Plant:
    """A feature is made of what is known only later: what a parent knows counts as known ``ahead`` of its time."""
    return _input(asset, parent, lambda frame, hit: frame.with_columns(pl.col(time) - ahead))


def off_by_one_entity(asset: str, columns: str | Sequence[str], within: str | None = None) -> Plant:
    """An entity gets its neighbour's features: the row before it, in the order of the rows or within a group."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        moved = {name: pl.col(name).shift(1).over(within) if within else pl.col(name).shift(1)
                 for name in _names(columns)}  # fmt: skip
        return only(made, hit.rows(made), {name: value.fill_null(pl.col(name)) for name, value in moved.items()})

    return changed_code(asset, after=after)


def scale_mismatch(asset: str, columns: str | Sequence[str], factor: float) -> Plant:
    """Features are scaled otherwise than in training (hours for minutes, percent for shares)."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        floats = made.cast({name: pl.Float64 for name in _names(columns)})
        return only(floats, hit.rows(made), {name: pl.col(name) * factor for name in _names(columns)})

    return changed_code(asset, after=after)


# --- serving ----------------------------------------------------------------------------------------------------------
def column_swap(asset: str, one: str, other: str) -> Plant:
    """Two columns reach the scorer in each other's place; ``asset`` is ``<model>_served``."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        rows = pl.lit(hit.rows(made))
        return made.with_columns(
            pl.when(rows).then(pl.col(other)).otherwise(pl.col(one)).alias(one),
            pl.when(rows).then(pl.col(one)).otherwise(pl.col(other)).alias(other),
        )

    return changed_code(asset, after=after)


def stale_cache(asset: str, columns: str | Sequence[str], value: Any = 0) -> Plant:
    """The online store answers ``value`` for some columns (None: the first row's, as a cache that is never renewed)."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        held = {name: pl.col(name).drop_nulls().first() if value is None else pl.lit(value, dtype=made.schema[name])
                for name in _names(columns)}  # fmt: skip
        return only(made, hit.rows(made), held)

    return changed_code(asset, after=after)


def batch_misaligned(asset: str, rows: int = 1) -> Plant:
    """Answers go to the wrong requests of a batch; ``asset`` is ``<model>_predictions``, whose code is the scorer.

    At less than full severity only the batch's first part is out of step.
    """

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        part = round(made.height * hit.strength)
        order = np.concatenate([np.roll(np.arange(part), rows), np.arange(part, made.height)])
        return made[order.tolist()]

    return changed_code(asset, after=after)


# --- labels -----------------------------------------------------------------------------------------------------------
def label_definition(asset: str, outcome: str, means: pl.Expr) -> Plant:
    """The label means something else: ``means`` over the columns of the label build."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        return only(made, hit.rows(made), {outcome: means})

    return changed_code(asset, after=after)


def label_join_loss(asset: str, keys: str | Sequence[str] | None = None, share: float = 0.7) -> Plant:
    """Labels are lost in a join: rows whose key finds no partner."""

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        return made.filter(~hit.rows(made, keys, share))

    return changed_code(asset, after=after)


# --- no harm ----------------------------------------------------------------------------------------------------------
def refactored(asset: str) -> Plant:
    """Other code with the same output."""
    return changed_code(asset, after=_same)


def _same(made: Any, hit: Hit) -> Any:
    return made


def rounded(asset: str, columns: str | Sequence[str], relative: float = 1e-7) -> Plant:
    """Numbers that differ in their last digits, as after a change of library."""
    factors: Mapping[str, pl.Expr] = {name: pl.col(name) * (1 + relative) for name in _names(columns)}

    def after(made: pl.DataFrame, hit: Hit) -> pl.DataFrame:
        return made.with_columns(value.alias(name) for name, value in factors.items())

    return changed_code(asset, after=after)
