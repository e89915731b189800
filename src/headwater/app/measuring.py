"""Lay two tables beside each other: cut both into windows or blocks, and measure each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from headwater.app.pieces import Cut, Piece
from headwater.core.windows import Window
from headwater.stats.profiling.links import WINDOW
from headwater.stats.profiling.mixes import frequent_in, opened, stamped, texts
from headwater.stats.profiling.profile import known_values, profile_windows
from headwater.stats.profiling.summaries import Summary, summarise

_SUMMARISED = 1_000_000
"""Rows from which the windows' metrics come from mergeable summaries: the same numbers, many times faster."""
_UNIQUE = 0.99
_OWN = "\x01window"  # a column of the tables that is called as the mark of a row's window
_WINDOWED = frozenset({"offset", "offset_wall", "min_hours", "mean_hours", "max_hours", "repeat_share", "echo_share"})
Metrics = Mapping[str, Mapping[str, float]]
"""Window key to metrics."""
Texts = Mapping[str, Mapping[str, int]]
"""Column to its texts and their counts."""
Fetch = Callable[[Sequence[Piece], int], list[tuple[Window, pl.DataFrame]]]
"""Returns rows of some pieces, at most so many of each."""


@dataclass(frozen=True, slots=True)
class Laid:
    """Two tables beside each other.

    Attributes:
        old: The reference; of a table in an engine the columns alone.
        new: The current table, likewise.
        parts: Both in pieces.
        whole: The reference summarised.
        latest: The current table summarised on the same cells.
        key: Columns that identify a row.
        measured: What is measured of each piece; nothing where there is no band.
        fetch: What fetches rows of pieces.
        left_out: What was not looked at because it needs rows, for people; empty when nothing was.
    """

    old: pl.DataFrame
    new: pl.DataFrame
    parts: Cut
    whole: Summary
    latest: Summary
    key: tuple[str, ...]
    measured: Metrics
    fetch: Fetch
    left_out: str = ""


def measure(parts: Cut, whole: Summary, key: Sequence[str]) -> dict[str, dict[str, float]]:
    """Measure every piece of two tables that are in hand; nothing where the current one has none."""
    if not parts.current:
        return {}
    pieces = [*parts.reference, *parts.current]
    if sum(piece.frame.height for piece in pieces) > _SUMMARISED:
        made = {piece.window.key: summed(piece, whole, key) for piece in pieces}
        found = {window: metrics for window, (metrics, _) in made.items()}
        past = opened([made[piece.window.key][1] for piece in parts.reference])
    else:
        alike = same(parts.reference[0].frame.schema, parts.current[0].frame.schema)
        renamed = {WINDOW: _OWN} if WINDOW in alike else {}
        chosen = [*(renamed.get(name, name) for name in alike), WINDOW]
        marked = [
            piece.frame.rename(renamed).with_columns(pl.lit(piece.window.key).alias(WINDOW)).select(chosen)
            for piece in pieces
        ]
        known = known_values(pl.concat(marked[: len(parts.reference)], how="vertical_relaxed"))
        windows = [piece.window for piece in pieces]
        rows = pl.concat(marked, how="vertical_relaxed")
        frequent = {renamed.get(name, name): some for name, some in frequent_in(whole.columns).items()}
        keys = [renamed.get(name, name) for name in key]
        told = profile_windows(rows, windows=windows, key=keys, known=known, frequent=frequent)
        found = {
            window: {metric.replace(_OWN, WINDOW): value for metric, value in metrics.items()}
            for window, metrics in told.items()
        }
        past = set()
    return telling(found, whole, parts, past)


def summed(piece: Piece, whole: Summary, key: Sequence[str]) -> tuple[dict[str, float], Texts]:
    """Measure a piece by its summary; of what needs rows side by side, the duplicates of a key alone.

    Returns:
        The metrics, and the texts of columns with a closed list.
    """
    made = summarise(piece.frame, like=whole)
    found = made.metrics(window=piece.window, frequent=frequent_in(whole.columns))
    if key and piece.frame.height and set(key) <= set(piece.frame.columns):
        found["duplicate_share"] = 1 - piece.frame.select(key).n_unique() / piece.frame.height
    return found, texts(made.columns)


def telling(found: Metrics, whole: Summary, parts: Cut, opened: Collection[str] = ()) -> dict[str, dict[str, float]]:
    """Keep the metrics that say something: of an identifier, that it is there, of a stamp of the window no shares.

    Nor the share of unseen texts in columns that always bring new ones (``opened``).
    """
    unsaid = {f"unseen_share.{name}" for name in opened}
    stamps = stamped([found[piece.window.key] for piece in parts.reference if piece.window.key in found])
    identifiers = {
        name for name, one in whole.columns.items()
        if (one.distinct or 0) > _UNIQUE * max(one.count, 1) > 1
        and (one.kind == "text" or (one.kind == "number" and not one.field.is_float))
    }  # fmt: skip
    return {
        window: {
            metric: value
            for metric, value in values.items()
            if metric not in unsaid and _tells(metric, identifiers, stamps, parts)
        }
        for window, values in found.items()
    }


def same(old: Mapping[str, pl.DataType], new: Mapping[str, pl.DataType]) -> list[str]:
    """Leave out columns whose type changed so that the two cannot be laid together: that is the schema's case.

    A column of nulls alone goes with any.
    """
    shared = [name for name in old if name in new]
    return [name for name in shared if old[name] == new[name] or _go_together(old[name], new[name])]


def _go_together(old: pl.DataType, new: pl.DataType) -> bool:
    return pl.Null in (old, new) or (old.is_numeric() and new.is_numeric())


def _tells(metric: str, identifiers: set[str], stamps: set[str], parts: Cut) -> bool:
    """Tell whether a metric says anything: what needs whole windows does not in blocks, nor an identifier's mean."""
    name, _, column = metric.partition(".")
    if not parts.timed and name in _WINDOWED:
        return False
    if metric.startswith("share[") and column in stamps:
        return False
    return name in ("null_share", "nan_share") or column not in identifiers
