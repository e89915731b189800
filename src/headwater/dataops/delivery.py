"""Deliver a dataset for a window: read its parents, run its function, check its contract, write one version.

There is no scheduler here: datasets are delivered once, in order. A failed dataset leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.core.assets import Asset, Mechanism
from headwater.core.errors import CorruptTable, DataError, HeadwaterError, OutsideError
from headwater.core.ports import TableStore, TableVersion
from headwater.core.windows import Calendar, Window
from headwater.stats.frames.stacking import stack

Check = Callable[[Asset, pl.DataFrame, Window, Mapping[str, pl.DataFrame], Mapping[str, pl.DataFrame]], Sequence[Any]]
"""Executes an asset's contract on a frame (given its parents, and the frame cut into windows) before it is written;
raises `ContractBroken` to refuse it."""
Guard = Callable[[Mapping[str, pl.DataFrame]], None]
"""Looks at the windows that are about to be written; raises `WindowConflict` to keep what is there."""


MARK = "_window"
"""The column that names the window of a row, where several windows are put together."""


@dataclass(frozen=True, slots=True)
class Input:
    """A parent as it was read: which version, and which of its windows with their content hashes."""

    dataset: str
    version: int
    contents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of delivering one asset.

    ``state`` is ``COMPLETE``, ``FAIL`` (its own function or contract failed; ``error`` says why) or ``SKIP`` (a parent
    was not there).
    """

    asset: str
    window: Window
    state: str
    mechanism: Mechanism | None = None
    inputs: tuple[Input, ...] = ()
    version: TableVersion | None = None
    frame: pl.DataFrame | None = None
    checks: tuple[Any, ...] = ()
    error: HeadwaterError | None = None
    parents: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    pieces: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def marked(self) -> pl.DataFrame:
        """The delivered rows with a column ``_window`` that names their window."""
        return mark(self.pieces)


def mark(pieces: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Put windows together with a column ``_window`` that names them."""
    if not pieces:
        return pl.DataFrame({"_window": []})
    return stack([frame.with_columns(pl.lit(key).alias("_window")) for key, frame in pieces.items()])


class _NotThere(DataError):
    """A parent has nothing for the window that is asked for."""


def own_window(calendar: Calendar, asset: Asset, first: str, last: str, stored: Sequence[str]) -> Window | None:
    """Return the window an asset delivers at the run of first..last; None when that leaves nothing.

    It is shifted by the asset's lag, without reaching further back than where its history begins.
    """
    start = calendar.shift(calendar.window(first), -asset.lag).key
    end = calendar.shift(calendar.window(last), -asset.lag).key
    if not stored:
        start = max(start, first) if first != last else start
    if asset.snapshot:
        start = end = max(first, start) if first != last else end
    return calendar.span(start, end) if start <= end else None


def read_parents(
    calendar: Calendar, asset: Asset, assets: Mapping[str, Asset], tables: TableStore, window: Window
) -> tuple[dict[str, pl.DataFrame], tuple[Input, ...]]:
    """Read what an asset's function needs for its window; raise `DataError` naming the parent that is missing.

    A parent that comes later than the asset is read as far as it had come at the asset's own run, whatever has been
    delivered since: a backfill must not see what the first delivery could not. A lookback may begin before history
    does, but the newest window that it reaches must be there: a failed parent holds up what reads it.
    """
    first, _, last = window.key.partition("..")
    last = last or first
    frames: dict[str, pl.DataFrame] = {}
    inputs: list[Input] = []
    for read in asset.reads:
        parent = assets[read.parent]
        stored = tables.keys(parent.name)
        newest = calendar.shift(calendar.window(last), -max(0, parent.lag - asset.lag)).key
        if parent.snapshot:
            there = [key for key in stored if key <= last]
            keys = [key for key in there if key <= newest][-1:] or there[:1]
        else:
            begin = calendar.shift(calendar.window(first), -read.lookback).key
            keys = [key for key in stored if begin <= key <= newest]
            if newest not in keys:
                keys = []
        frame = tables.read(parent.name, keys) if keys else None
        version = tables.version(parent.name)
        if frame is None or version is None:
            raise _NotThere(
                f"dataset `{parent.name}` has no rows for window {window.key}",
                doing=f"delivering `{asset.name}`",
                hint=f"deliver it first: headwater run --window {last}",
            )
        frames[parent.name] = frame
        inputs.append(Input(parent.name, version, {key: tables.content(parent.name, key) or "" for key in keys}))
    return frames, tuple(inputs)


def cut(calendar: Calendar, asset: Asset, frame: pl.DataFrame, window: Window) -> dict[str, pl.DataFrame]:
    """Cut a delivered frame into windows by the asset's event time (a single window is taken as it is)."""
    first, _, last = window.key.partition("..")
    if not last or asset.snapshot:
        return {first: frame}
    if asset.time is None or asset.time not in frame.columns:
        raise DataError(
            f"dataset `{asset.name}` cannot be cut into windows",
            hint="its function must keep the event-time column named by `time=`",
        )
    moment = frame[asset.time]
    if isinstance(moment.dtype, pl.Datetime):
        if moment.dtype.time_zone is None:
            raise DataError(f"column `{asset.time}` of `{asset.name}` has no time zone", hint="make it zone-aware")
        keyed = (
            moment.dt.convert_time_zone(calendar.timezone).dt.strftime("%Y-%m-%d")
            if calendar.every == "1d"
            else moment.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H")
        )
    elif moment.dtype == pl.Date and calendar.every == "1d":
        keyed = moment.dt.strftime("%Y-%m-%d")
    else:
        raise DataError(f"column `{asset.time}` of `{asset.name}` is {moment.dtype}, not a time")
    if keyed.null_count():
        raise DataError(f"column `{asset.time}` of `{asset.name}` has {keyed.null_count()} nulls; rows fit no window")
    outside = (keyed < first) | (keyed > last)
    if bool(outside.any()):
        raise DataError(
            f"{int(outside.sum())} rows of `{asset.name}` fall outside {window.key}",
            hint=f"its event time `{asset.time}` must lie in the window delivered, {window.start.isoformat()} to "
            f"{window.end.isoformat()}; `window` is in UTC, its days are those of {calendar.timezone}",
        )
    parts = frame.with_columns(keyed.alias("_window")).partition_by(
        "_window", as_dict=True, include_key=False, maintain_order=True
    )
    found = {str(key[0]): part for key, part in parts.items()}
    return {item.key: found.get(item.key, frame.clear()) for item in calendar.between(first, last)}


def deliver(
    asset: Asset,
    mechanism: Mechanism,
    compute: Callable[[Mapping[str, pl.DataFrame], Window], Any],
    *,
    assets: Mapping[str, Asset],
    window: Window,
    calendar: Calendar,
    tables: TableStore,
    check: Check,
    run_id: str,
    guard: Guard = lambda pieces: None,
) -> Delivery:
    """Deliver one asset for its own window; whatever goes wrong in it is returned, not raised.

    Trouble with the outside world (a full disk, a corrupt table) is raised: the run cannot go on.
    """
    try:
        frames, inputs = read_parents(calendar, asset, assets, tables, window)
    except CorruptTable:
        raise
    except DataError as error:
        return Delivery(asset.name, window, "SKIP", mechanism, error=error)
    try:
        if ".." in window.key and asset.time is None and not asset.snapshot:
            pieces = _one_by_one(asset, compute, assets, tables, calendar, window)
            window = calendar.span(min(pieces), max(pieces))
            frame = stack(list(pieces.values()))
        else:
            frame = _computed(asset, compute, frames, window)
            pieces = cut(calendar, asset, frame, window)
        checks = tuple(check(asset, frame, window, frames, pieces))
        guard(pieces)
        version = tables.write(asset.name, pieces, run_id=run_id)
    except (OutsideError, CorruptTable):
        raise
    except _NotThere as error:
        return Delivery(asset.name, window, "SKIP", mechanism, error=error)
    except HeadwaterError as error:
        broken = tuple(getattr(error, "checks", ()))
        return Delivery(asset.name, window, "FAIL", mechanism, inputs, checks=broken, error=error)
    return Delivery(
        asset.name, window, "COMPLETE", mechanism, inputs, version, frame, checks, parents=frames, pieces=pieces
    )


def _one_by_one(
    asset: Asset,
    compute: Callable[[Mapping[str, pl.DataFrame], Window], Any],
    assets: Mapping[str, Asset],
    tables: TableStore,
    calendar: Calendar,
    window: Window,
) -> dict[str, pl.DataFrame]:
    """Compute a range window by window, for an asset whose rows do not say when they happened.

    Its history may begin later than the range, where a parent's does.
    """
    first, _, last = window.key.partition("..")
    begun = bool(tables.keys(asset.name))
    pieces: dict[str, pl.DataFrame] = {}
    for single in calendar.between(first, last):
        try:
            frames, _ = read_parents(calendar, asset, assets, tables, single)
        except _NotThere:
            if begun or pieces or single.key == last:
                raise
            continue
        pieces[single.key] = _computed(asset, compute, frames, single)
    return pieces


def _computed(
    asset: Asset,
    compute: Callable[[Mapping[str, pl.DataFrame], Window], Any],
    frames: Mapping[str, pl.DataFrame],
    window: Window,
) -> pl.DataFrame:
    try:
        frame = compute(frames, window)
    except (HeadwaterError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a function may exit, and what breaks in an extension need not be an Exception
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        raise DataError(
            f"the function of `{asset.name}` failed: {type(error).__name__}: {first}",
            doing=f"delivering `{asset.name}`, window {window.key}",
            hint="fix the function or its input; nothing was written",
        ) from error
    if not isinstance(frame, pl.DataFrame):
        what, hint = _no_frame(frame)
        raise DataError(f"the function of `{asset.name}` returned {what}, not a polars DataFrame", hint=hint)
    if MARK in frame.columns:
        raise DataError(
            f"the function of `{asset.name}` returned a column `{MARK}`, which says in a table what window a row is of",
            hint="give the column another name",
        )
    return frame


def _no_frame(made: Any) -> tuple[str, str]:
    """Say what a function returned in place of a frame, and how it becomes one."""
    name = type(made).__name__
    if made is None:
        return "nothing", "end it with `return` and the frame"
    if type(made).__module__.partition(".")[0] == "pandas":
        return f"a pandas {name}", "return pl.from_pandas(...) of it"
    if isinstance(made, pl.LazyFrame):
        return f"a {name}", "call .collect() on it"
    return f"a {name}", "return a polars DataFrame, e.g. pl.DataFrame(...) of it"
