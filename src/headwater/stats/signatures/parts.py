"""Where a share of a column's rows may have come in another unit: the factor, and a rule that picks the rows.

They are told from the others by the value of another column, by their form, by agreement with the other columns, or by
size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from headwater.stats.signatures.cases import Case
from headwater.stats.signatures.mixtures import sparsest, unlike
from headwater.stats.signatures.rows import expected_values, hit_rows, strangeness
from headwater.stats.signatures.separators import separators
from headwater.stats.signatures.units import CONVERSIONS, Conversion
from headwater.stats.signatures.views import Bools, Floats, numbers, thinned

LEAST, SHARE = 20, 0.04
"""Values below which a share of them says nothing, and the least share that is looked for."""
_NEW, _ALIKE, _FORMED, _APART = 0.03, 1.6, 6.0, 0.09
_ROWS, _SAMPLE = 4000, 800


@dataclass(frozen=True)
class Part:
    """A change back, ``usual = observed * scale + shift``, and the rule that picks the rows it is for.

    Attributes:
        scale: Factor of the way back.
        shift: What is added after it.
        text: What happened, in words.
        where: The rule.
        said: The rule in words.
        order: How badly the repaired rows fit; smaller is better.
        lossy: Digits were lost on the way, so that what is repaired has to be rounded.
        sure: Whether no other factor fits about as well, and the rule leaves no hit row out.
        by_value: It was found by comparing groups, which are many, so that more has to speak for it.
    """

    scale: float
    shift: float
    text: str
    where: Mapping[str, Any]
    said: str
    order: float
    lossy: bool = False
    sure: bool = True
    by_value: bool = False

    @property
    def tidy(self) -> bool:
        """Whether the factor is a power of ten, the likeliest of slips."""
        return not self.shift and abs(np.log10(abs(self.scale)) % 1) < 1e-9


@dataclass
class Column:
    """One column under suspicion, with samples of its accepted windows."""

    case: Case
    name: str

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows of the frame, thinned evenly where there are many."""
        return thinned(self.case.view.frame, _ROWS)

    @cached_property
    def numbers(self) -> Floats:
        """The column in these rows, nulls as NaN."""
        return numbers(self.frame.get_column(self.name))

    @cached_property
    def values(self) -> Floats:
        """The values that are given."""
        return self.numbers[np.isfinite(self.numbers)]

    @cached_property
    def strange(self) -> float:
        """The largest share of values never seen that any accepted window has."""
        shares = self.case.reference.baseline.values.get(f"unseen:{self.name}")
        return 1.0 if shares is None or not np.isfinite(shares).any() else float(np.nanmax(shares))

    @cached_property
    def past(self) -> tuple[pl.DataFrame, np.ndarray]:
        """A sample of the accepted windows' rows, and the window of each."""
        reference = self.case.reference
        parts = []
        for frame, window in zip(reference.frames, reference.windows, strict=True):
            if self.name in frame.columns:
                parts.append(reference.view(thinned(frame, _SAMPLE), window).frame)
        parts = [part for part in parts if self.name in part.columns]
        owner = np.repeat(np.arange(len(parts)), [part.height for part in parts])
        return (pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()), owner

    def hit(self, frame: pl.DataFrame, part: Part) -> Bools:
        """Return which rows of a frame the part picks."""
        factor = {"scale": part.scale, "shift": part.shift}
        return hit_rows(part.where, self.name, factor, frame, self.case.reference)


def said_of(by: str, values: Sequence[str]) -> str:
    """Name some values of a column."""
    named = ", ".join(values[:3]) + (", ..." if len(values) > 3 else "")
    return f"{by}={named}" if len(values) == 1 else f"{by} {named}"


def came(scale: float, shift: float, text: str = "") -> str:
    """Say what happened to the rows whose inverse this is."""
    if shift:
        return f"in another unit: {text}"
    if scale < 0:
        return "with the opposite sign"
    return f"{1 / scale:.4g} times as large" if scale < 1 else f"{scale:.4g} times as small"


def _part(conversion: Conversion, where: Mapping[str, Any], said: str, order: float) -> Part:
    scale, shift = 1 / conversion.scale, 0.0 - conversion.shift / conversion.scale
    return Part(scale, shift, came(scale, shift, conversion.text), where, said, order)


def by_value(column: Column) -> Iterator[Part]:
    """Yield groups of rows that share values of another column and changed unit together."""
    for one in separators(column.case, column.name):
        where = {"column": one.by, "values": list(one.values)}
        text = came(one.scale, one.shift, one.text)
        yield Part(one.scale, one.shift, text, where, said_of(one.by, one.values), one.order, by_value=True)


def by_form(column: Column) -> list[Part]:
    """Values never seen, or with too many digits, that are ordinary ones once converted back."""
    case = column.case
    if not case.odd(column.name, "unseen", "fine"):
        return []
    values = column.values[:: max(1, len(column.values) // 4000)]
    odd = strangeness(case.reference, column.name, values)
    finer = odd == 2
    # Where many values are new on any day, digits tell more.
    strange, plain = values[finer if finer.sum() > _NEW * len(values) else odd > 0], values[odd == 0]
    # A few new names of things are known ones by some factor.
    if len(np.unique(strange)) < 5 or len(plain) < 5:
        return []
    some = strange[:: max(1, len(strange) // 300)]
    some_odd = strangeness(case.reference, column.name, some)
    found = []
    for conversion in CONVERSIONS:
        back = (some - conversion.shift) / conversion.scale
        ordinary = strangeness(case.reference, column.name, back) < some_odd
        if ordinary.mean() > 0.6:
            order = unlike(back[ordinary], plain)
            if order < (_FORMED if ordinary.mean() > 0.9 else _ALIKE):
                found.append(_part(conversion, {"form": True}, "those in a form that no other window has", order))
    return found


def by_agreement(column: Column) -> list[Part]:
    """Values that the other columns contradict, and confirm once converted back."""
    expected = expected_values(column.case.reference, column.name, column.frame)
    if expected is None:
        return []
    values = column.numbers
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(expected))
    rows = rows[:: max(1, len(rows) // 1500)]
    if len(rows) < LEAST:
        return []
    own, there = values[rows], expected[rows]
    gap = np.abs(own - there)
    found = []
    for conversion in CONVERSIONS:
        back = np.abs((own - conversion.shift) / conversion.scale - there)
        nearer = back < gap
        if nearer.mean() > SHARE:
            order = float(np.minimum(gap, back).mean() / max(float(gap.mean()), 1e-300))
            if order < 0.6:
                found.append(_part(conversion, {"agreement": True}, "those that the other columns contradict", order))
    return found


def by_size(column: Column) -> list[Part]:
    """Values on one side of a gap that look like those on the other side once converted back."""
    values = column.values[:: max(1, len(column.values) // 4000)]
    values = values[values != 0]
    sizes = np.sort(np.log10(np.abs(values)))
    found = []
    for place, width in sparsest(sizes, SHARE):
        if width < _APART:
            continue
        cut = float(10.0**place)
        upper, lower = values[np.abs(values) > cut], values[np.abs(values) <= cut]
        for conversion in CONVERSIONS:
            high = conversion.scale > 1 if not conversion.shift else conversion.shift > 0
            one, other = (upper, lower) if high else (lower, upper)
            order = unlike((one - conversion.shift) / conversion.scale, other)
            if order < _ALIKE and (conversion.shift or width > 0.3 * abs(np.log10(abs(conversion.scale)))):
                where = {"above" if high else "below": cut}
                found.append(_part(conversion, where, f"those {'above' if high else 'below'} {cut:.4g}", order))
        ratio = float(np.median(np.abs(upper)) / np.median(np.abs(lower)))
        for side, one, other, scale in (("above", upper, lower, 1 / ratio), ("below", lower, upper, ratio)):
            if not found and np.isfinite(scale) and ratio > 2 and unlike(one * scale, other) < 1:
                said = f"those {side} {cut:.4g}"
                found.append(Part(scale, 0.0, came(scale, 0.0), {side: cut}, said, 1.0, sure=False))
    return found
