"""Tell what changed between two schemas of a dataset, and whether somebody who reads it breaks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["added", "removed", "renamed", "retyped", "narrowed", "emptied", "widened"]
_ALIKE = 0.5
# How many bits a number type holds exactly, below and above zero.
_BITS = {
    **{f"int{bits}": (bits - 1, bits - 1) for bits in (8, 16, 32, 64, 128)},
    **{f"uint{bits}": (0, bits) for bits in (8, 16, 32, 64, 128)},
    "float32": (24, 24),
    "float64": (53, 53),
}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference between two schemas.

    Attributes:
        column: The column as it was called before (for an added one: as it is called now).
        kind: ``added``, ``removed``, ``renamed`` (a removed and an added column look like one), ``widened`` (to a type
            that holds all of the old one's values), ``narrowed`` (to one whose values the old one held: some may have
            been cut to fit), ``retyped`` (to another altogether) or ``emptied`` (to the type of a column that holds
            nothing but nulls, which is a matter of its null share).
        severity: ``breaking`` when a consumer reads the column and it is gone, renamed, narrowed or retyped; else
            ``additive``.
        before: Old type; None for an added column.
        after: New type; None for a removed column.
        now: The new name of a renamed column.
    """

    column: str
    kind: Kind
    severity: Literal["breaking", "additive"]
    before: str | None
    after: str | None
    now: str | None = None

    @property
    def text(self) -> str:
        """The change as a sentence's worth of words."""
        what = {
            "added": f"is new ({self.after})",
            "removed": f"is gone (was {self.before})",
            "renamed": f"is gone, perhaps renamed to `{self.now}`",
            "narrowed": f"is narrowed from {self.before} to {self.after}",
            "emptied": f"holds nothing but nulls (was {self.before})",
            "retyped": f"is {self.after}, was {self.before}",
            "widened": f"is widened from {self.before} to {self.after}",
        }[self.kind]
        return f"column `{self.column}` {what}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any], consumed: Collection[str]) -> list[SchemaChange]:
    """Compare a schema with the last accepted one.

    A renamed column is a guess from names and types, each new column used once; it misleads when an unrelated column
    of the same type comes on the day another one goes. The severity does not depend on the guess.

    Args:
        old: The last accepted types by column, as text or as Polars types.
        new: The types now.
        consumed: Columns that a consumer reads. Their order in the table means nothing, and whether they may be null
            is a promise of the contract, not of the type.

    Returns:
        Changes, breaking ones first, then by column.

    Example:
        >>> [item.text for item in changes({"temp": "Float64"}, {"temp_f": "Float64"}, ["temp"])]
        ['column `temp` is gone, perhaps renamed to `temp_f`']
        >>> changes({"x": "Int32"}, {"x": "Int64"}, ["x"])[0].severity
        'additive'
    """
    before = {name: str(dtype) for name, dtype in old.items()}
    after = {name: str(dtype) for name, dtype in new.items()}
    gone = {name: dtype for name, dtype in before.items() if name not in after}
    come = {name: dtype for name, dtype in after.items() if name not in before}
    renamed = _renames(gone, come)
    found: list[SchemaChange] = []
    for name, dtype in gone.items():
        severity: Literal["breaking", "additive"] = "breaking" if name in consumed else "additive"
        if name in renamed:
            found.append(SchemaChange(name, "renamed", severity, dtype, come[renamed[name]], renamed[name]))
        else:
            found.append(SchemaChange(name, "removed", severity, dtype, None))
    for name in before.keys() & after.keys():
        if _plain(before[name]) != _plain(after[name]):
            kind = _change(before[name], after[name])
            severity = "breaking" if name in consumed and kind in ("retyped", "narrowed") else "additive"
            found.append(SchemaChange(name, kind, severity, before[name], after[name]))
    taken = set(renamed.values())
    found.extend(
        SchemaChange(name, "added", "additive", None, dtype) for name, dtype in come.items() if name not in taken
    )
    return sorted(found, key=lambda item: (item.severity != "breaking", item.column))


def _change(before: str, after: str) -> Literal["widened", "emptied", "narrowed", "retyped"]:
    if holds_values_of(after, before):
        return "widened"
    if _plain(after) == "null":
        return "emptied"
    return "narrowed" if holds_values_of(before, after) else "retyped"


def holds_values_of(wider: str, narrower: str) -> bool:
    """Tell whether one type holds every value of another with the same meaning (`Int64` those of `Int32`).

    Text does not count as holding numbers, nor one time zone's local times another's: a consumer would see something
    else.
    """
    new, old = _plain(wider), _plain(narrower)
    if new == old or old == "null":
        return True
    if old in _BITS and new in _BITS:
        fits = all(wide >= narrow for wide, narrow in zip(_BITS[new], _BITS[old], strict=True))
        return fits and (new.startswith("float") or not old.startswith("float"))
    text = ("string", "categorical", "enum")
    if old.startswith(text) and new in ("string", "categorical"):
        return True
    times = [re.fullmatch(r"(datetime|duration)\((ns|us|ms)(.*)\)", kind) for kind in (old, new)]
    if all(times):
        first, second = times
        assert first is not None and second is not None
        units = ("ms", "us", "ns")
        same = first[1] == second[1] and first[3] == second[3]
        return same and units.index(second[2]) >= units.index(first[2])
    return False


def _renames(gone: Mapping[str, str], come: Mapping[str, str]) -> dict[str, str]:
    """Pair columns that went with columns that came, the most alike first."""
    pairs = [
        (_likeness(was, now), was, now)
        for was, dtype in gone.items()
        for now, other in come.items()
        if holds_values_of(other, dtype)
    ]
    if len(gone) == len(come) == 1 and pairs:
        return {pairs[0][1]: pairs[0][2]}
    found: dict[str, str] = {}
    for likeness, was, now in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if likeness >= _ALIKE and was not in found and now not in found.values():
            found[was] = now
    return found


def _likeness(one: str, other: str) -> float:
    first, second = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (one, other))
    if not first or not second:
        return 0.0
    if first in second or second in first:
        return max(_ALIKE, min(len(first), len(second)) / max(len(first), len(second)))
    return difflib.SequenceMatcher(None, first, second).ratio()


def _plain(dtype: str) -> str:
    """Write a type the same way whether it came as Polars' short, long or our text."""
    text = dtype.strip().lower().replace("μs", "us").replace("µs", "us").replace("'", "").replace('"', "")
    text = text.replace("time_unit=", "").replace("time_zone=", "").replace("none", "").replace(" ", "")
    text = re.sub(r"^(datetime|duration)[\[(](.*?),?[\])]$", r"\1(\2)", text)
    if text.startswith("datetime"):  # DuckDB calls UTC by another name
        text = re.sub(r",(etc/(uct|utc|universal|zulu)|uct|universal|zulu|\+00:00)\)$", ",utc)", text)
    return {"utf8": "string", "str": "string", "boolean": "bool"}.get(text, text)
