"""Profile a delivered table beside its parents, the window before it and the values known so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
import polars.selectors as cs

from headwater.app.line import Line
from headwater.core.assets import Asset
from headwater.core.errors import CorruptTable, DataError, OutsideError
from headwater.core.records import Evidence
from headwater.core.windows import Window
from headwater.dataops.delivery import Delivery, mark, read_parents
from headwater.stats.frames.tables import compare
from headwater.stats.profiling.links import WINDOW, Parent
from headwater.stats.profiling.mixes import followed, frequent_values
from headwater.stats.profiling.profile import KNOWN_LIMIT, known_values, profile, profile_windows

CHANGE_SHARE = "change.share"
"""Share of cells that differ from what the last accepted version gives for the same parents."""
RELEASE_MISMATCH = "release.mismatch"
"""Number of loaded model parts that are not the approved ones."""
_AFRESH, _MOST = 28, 8
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def profile_of(
    line: Line, asset: Asset, frame: pl.DataFrame, window: Window, parents: Mapping[str, pl.DataFrame]
) -> dict[str, float]:
    """Profile one window of an asset against the values and the window before it."""
    previous_key = line.calendar.shift(window, -1).key
    previous = None if asset.snapshot else line.services.tables.read(asset.name, [previous_key])
    linked = {
        name: Parent(parents[name], keys)
        for name in asset.parents
        if name in parents and (keys := _link(line.assets[name], asset, frame.columns))
    }
    return profile(
        frame,
        window=window,
        key=asset.key,
        known=known(line, asset),
        previous=previous,
        parents=linked,
        frequent=frequent(line, asset, frame),
    )


def profiles_of(
    line: Line, asset: Asset, pieces: Mapping[str, pl.DataFrame], delivered: Mapping[str, Delivery]
) -> dict[str, dict[str, float]]:
    """Profile every window of a range, each beside the one before it and what its own parents held."""
    keys, rows = sorted(pieces), mark(pieces)
    return profile_windows(
        rows,
        windows=[line.calendar.window(key) for key in keys],
        key=asset.key,
        parents=parents_of(line, asset, rows, keys, delivered),
        known=known_values(rows),
        frequent=frequent_values(rows),
    )


def _link(parent: Asset, child: Asset, columns: Iterable[str]) -> tuple[str, ...]:
    """The parent's key, when the child carries it; an only parent with the same key is no join."""
    joined = len(child.reads) > 1 or parent.key != child.key
    return parent.key if parent.key and joined and set(parent.key) <= set(columns) else ()


def parents_of(
    line: Line, asset: Asset, frame: pl.DataFrame, keys: list[str], delivered: Mapping[str, Delivery]
) -> dict[str, Parent]:
    """Return the parents that an asset's rows point to, over a range of windows, as delivered or as stored."""
    found = {}
    for read in asset.reads:
        parent = line.assets[read.parent]
        if link := _link(parent, asset, frame.columns):
            fresh = delivered[parent.name].pieces if parent.name in delivered else {}
            there = [key for key in line.services.tables.keys(parent.name) if key not in fresh and key <= keys[-1]]
            older = [key for key in there if key < keys[0]][-max(1, read.lookback) :]
            older += [key for key in there if key >= keys[0]]
            stored = {key: rows for key in older if (rows := line.services.tables.read(parent.name, [key])) is not None}
            rows = mark({**stored, **fresh})
            found[parent.name] = Parent(rows, link, lookback=read.lookback, snapshot=parent.snapshot)
    return found


def known(line: Line, asset: Asset) -> Mapping[str, frozenset[str]]:
    """Return the text values that accepted windows of an asset have shown; columns with too many are left out."""
    told = line.state.vocabulary.get(asset.name, {})
    return {column: values for column, values in told.items() if values}


def frequent(line: Line, asset: Asset, frame: pl.DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Return the values whose shares are followed: those of the newest profile, and now and then what is new.

    They are chosen from the first range that is delivered. A value that becomes frequent later, and an asset that was
    profiled before there were shares, is looked at in every 28th window.
    """
    history, ref = line.state.history, line.ref(asset.name)
    windows = history.windows("profile", ref)
    now = followed(history.values("profile", ref, windows[-1])) if windows else {}
    if len(windows) % _AFRESH:
        return now
    fresh = frequent_values(frame)
    return {name: tuple(dict.fromkeys((*now.get(name, ()), *fresh.get(name, ()))))[:_MOST] for name in {**now, **fresh}}


def vocabulary(line: Line, asset: Asset, frame: pl.DataFrame) -> Evidence | None:
    """Record what an accepted frame adds to the known values; None when it adds nothing.

    A column that has shown more than `KNOWN_LIMIT` values is told as empty: it has no vocabulary.
    """
    told = line.state.vocabulary.get(asset.name, {})
    texts = [
        name for name, kind in frame.schema.items()
        if name != WINDOW and kind in _TEXT and told.get(name) != frozenset()
    ]  # fmt: skip
    seen = known_values(frame.select(*texts, cs.by_name(WINDOW, require_all=False)), limit=KNOWN_LIMIT, known=told)
    grown: dict[str, list[str]] = {}
    for column in sorted(texts):
        before = told.get(column)
        now = (before or frozenset()) | seen.get(column, frozenset())
        if column not in seen or len(now) > KNOWN_LIMIT:
            grown[column] = []
        elif now != before:
            grown[column] = sorted(now - (before or frozenset()))
    if not grown:
        return None
    return Evidence(
        type="vocabulary",
        subject=line.ref(asset.name),
        window=line.calendar.containing(line.services.clock.now()).key,
        values=grown,
        time=line.services.clock.now(),
    )


def change_metrics(
    line: Line, asset: Asset, frame: pl.DataFrame, window: Window, parents: Mapping[str, pl.DataFrame] | None = None
) -> dict[str, float]:
    """Measure what prevention checks of code and releases look at, before the frame of one window is written.

    Without ``parents`` they are read where they are needed: a window of a range that has none has nothing to compare.
    """
    deployment = None
    if (model := line.model_of(asset.name)) is not None:
        deployment = line.state.deployments.get(model.name)
    found = {RELEASE_MISMATCH: 0.0 if deployment is None else float(len(deployment.mismatch)), CHANGE_SHARE: 0.0}
    accepted, present = line.state.accepted.get(asset.name), line.mechanism(asset.name)
    intended = present is not None and line.approval(asset.name, present.code) is not None
    changed = accepted is not None and present != accepted and not intended
    if asset.recomputable and accepted is not None and changed:
        try:
            parents = _read(line, asset, window) if parents is None else parents
            if parents is None:
                return found
            expected = line.compute(asset.name, accepted)(parents, window)
            found[CHANGE_SHARE] = compare(frame, expected, asset.key).share
        except (OutsideError, CorruptTable, MemoryError):
            raise
        except Exception:
            found[CHANGE_SHARE] = 1.0  # the accepted code does not run on what its parents are now
    return found


def _read(line: Line, asset: Asset, window: Window) -> Mapping[str, pl.DataFrame] | None:
    try:
        return read_parents(line.calendar, asset, line.assets, line.services.tables, window)[0]
    except CorruptTable:
        raise
    except DataError:
        return None
