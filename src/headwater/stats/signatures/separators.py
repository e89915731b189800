"""Values of another column whose rows changed unit together: one station, one vendor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from headwater.stats.signatures.cases import Case
from headwater.stats.signatures.categories import coded_columns
from headwater.stats.signatures.units import CONVERSIONS
from headwater.stats.signatures.views import Floats, thinned

_VALUES = 60
_RECENT, _SAMPLE, _LEAST = 14, 1500, 5
_ODD, _BACK = 2.0, 1.2


@dataclass(frozen=True)
class Separator:
    """The rows with some values of a column changed unit; ``usual = observed * scale + shift`` is the way back."""

    by: str
    values: tuple[str, ...]
    scale: float
    shift: float
    text: str
    order: float


def separators(case: Case, column: str) -> Iterator[Separator]:
    """Yield the categories that tell the rows that changed unit from the others, with every factor that fits.

    A group's median is compared with what it is in the last accepted windows, the largest distance there being the
    scale: as it is, and against the other groups of its window, so that a cold day of all stations is no news.
    """
    for by in coded_columns(case):
        if by == column or not 2 <= case.reference.vocabularies[by].values.len() <= _VALUES:
            continue
        medians = _medians(case, column, by)
        if medians is None:
            continue
        found: dict[tuple[str, ...], list[Separator]] = {}
        for contrast in (False, True):
            for one in _changed(case, column, by, *medians, contrast=contrast):
                found.setdefault(one.values, []).append(one)
        for values in sorted(found, key=lambda values: -len(values))[:2]:
            yield from found[values]


def _medians(case: Case, column: str, by: str) -> tuple[list[str], Floats, Floats] | None:
    """Return the groups, their medians in each of the last windows, and now, NaN below five rows."""
    frames = [*case.reference.frames[-_RECENT:], case.view.frame]
    parts = []
    for place, frame in enumerate(frames):
        if column in frame.columns and by in frame.columns:
            some = frame.select(
                pl.col(column).cast(pl.Float64, strict=False).alias("value"), pl.col(by).cast(pl.String).alias("group")
            )
            parts.append(thinned(some, _SAMPLE).with_columns(pl.lit(place).alias("window")))
    rows = pl.concat(parts).drop_nulls().filter(pl.col("value").is_finite())
    grouped = rows.group_by("window", "group").agg(pl.col("value").median(), pl.len().alias("rows"))
    grouped = grouped.filter(pl.col("rows") >= _LEAST)
    names = sorted(grouped.filter(pl.col("window") == len(frames) - 1).get_column("group").to_list())
    if len(names) < 2:
        return None
    table = np.full((len(frames), len(names)), np.nan)
    places = {name: place for place, name in enumerate(names)}
    for window, group, value, _ in grouped.iter_rows():
        if group in places:
            table[window, places[group]] = value
    enough = np.isfinite(table[:-1]).sum(axis=0) >= min(7, len(frames) - 1)
    if enough.sum() < 2:
        return None
    return [name for name, yes in zip(names, enough, strict=True) if yes], table[:-1, enough], table[-1, enough]


def _changed(
    case: Case, column: str, by: str, names: list[str], past: Floats, now: Floats, *, contrast: bool
) -> list[Separator]:
    middle = np.nanmedian(now) if contrast else 0.0
    rows = np.isfinite(past).any(axis=1)
    past = past[rows]
    usual = past - np.nanmedian(past, axis=1, keepdims=True) if contrast else past
    center = np.nanmedian(usual, axis=0)
    scale = np.nanmax(np.abs(usual - center), axis=0) * (1 + 2 / len(past))
    scale = np.maximum(scale, max(0.02 * case.reference.spreads.get(column, 0.0), 1e-9))
    odd = np.abs(now - middle - center) / scale > _ODD
    if not odd.any() or odd.all():
        return []
    found = []
    for back, shift, text, free in _backs(now[odd], (center + middle)[odd]):
        left = np.abs(now * back + shift - middle - center) / scale
        hit = odd & (left < _BACK)
        if hit.any():
            groups = tuple(name for name, yes in zip(names, hit, strict=True) if yes)
            found.append(Separator(by, groups, back, shift, text, float(left[hit].mean()) + free))
    most = max((len(one.values) for one in found), default=0)
    return [one for one in found if len(one.values) == most]


def _backs(now: Floats, usual: Floats) -> Iterator[tuple[float, float, str, float]]:
    for one in CONVERSIONS:
        yield 1 / one.scale, 0.0 - one.shift / one.scale, one.text, 0.0
    with np.errstate(all="ignore"):
        ratio = float(np.median(usual / now))
    if np.isfinite(ratio) and ratio > 0 and abs(ratio - 1) > 0.05:
        yield ratio, 0.0, "", 0.5
