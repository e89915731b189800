"""Check plain JSON data before a summary is made of it: damage is refused by name, and nothing huge is built."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError
from headwater.stats.profiling.fields import Field, read_field
from headwater.stats.profiling.grids import OUTER_SIZE, Grid
from headwater.stats.profiling.moments import Moments
from headwater.stats.profiling.sketches import PRECISION, REGISTERS, Frequencies

_DOING = "reading a stored summary"
_MOST = 2**63 - 1
_CELLS = 1 << 14  # several times what a grid has
_COUNTS = ("rows", "nulls", "nans", "infinities", "zeros")


def attributes(body: Any) -> dict[str, Any]:
    """Return what a column's summary is made of, as plain values of their types.

    Raises:
        DataError: Something is missing, of another type, out of range, or contradicts the rest.
    """
    field = _field(part(body, "field", list))
    try:
        found = {"field": field, **_parts(body, field)}
        _agree(field, found)
    except DataError as error:
        raise DataError(f"column `{field.name}`: {error.message}", doing=error.doing, hint=error.hint) from None
    return found


def part(body: Any, name: str, form: type | tuple[type, ...]) -> Any:
    """Return a part of an object, which must be there and of that form."""
    if not isinstance(body, Mapping) or name not in body:
        raise damaged(f"`{name}` is missing")
    if not isinstance(body[name], form):
        raise damaged(f"`{name}` is {type(body[name]).__name__}")
    return body[name]


def whole(value: Any, name: str, least: int = 0, most: int = _MOST) -> int:
    """Return a whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise damaged(f"`{name}` is {str(value)[:40]}, and should be a whole number from {least} on")
    return value


def damaged(what: str) -> DataError:
    """Say what of a stored summary cannot be right."""
    return DataError(f"the stored summary is damaged: {what}", doing=_DOING, hint="summarise the table again")


def _parts(body: Mapping[str, Any], field: Field) -> dict[str, Any]:
    optional = {
        name: part(body, name, (dict, list, str, type(None))) for name in ("grid", "cells", "registers", "table")
    }
    known, lengths = part(body, "known", (list, type(None))), part(body, "lengths", (list, type(None)))
    if known is not None and not all(isinstance(text, str) for text in known):
        raise damaged("`known` holds what is no text")
    if lengths is not None and len(lengths) != 3:
        raise damaged("`lengths` are not three")
    unseen, counted = body.get("unseen"), body.get("counted")
    return {
        **{name: whole(part(body, name, int), name) for name in _COUNTS},
        **{name: None if body.get(name) is None else _finite(body[name], name) for name in ("low", "high")},
        "unseen": None if unseen is None else whole(unseen, "unseen"),
        "grid": None if optional["grid"] is None else grid_of(optional["grid"]),
        "cells": None if optional["cells"] is None else _sparse(optional["cells"]),
        "outer": {whole(key, "outer", 0, 2 * OUTER_SIZE): times for key, times in _pairs(body.get("outer"), "outer")},
        "moments": _moments(part(body, "moments", list)),
        "registers": None if optional["registers"] is None else _unpacked(optional["registers"]),
        "counted": None if counted is None else _counted(counted),
        "table": None if optional["table"] is None else _table(optional["table"], field),
        "known": None if known is None else frozenset(known),
        "lengths": None if lengths is None else tuple(whole(size, "lengths") for size in lengths),
    }


def _agree(field: Field, found: Mapping[str, Any]) -> None:
    """Refuse parts that are each possible, but not together."""
    rows, grid, cells = found["rows"], found["grid"], found["cells"]
    count = rows - found["nulls"] - found["nans"] - found["infinities"]
    measured = field.kind in ("number", "time")
    if not 0 <= found["zeros"] <= max(count, 0) <= rows or (found["unseen"] or 0) > rows:
        raise damaged("more rows are null, NaN, infinite, zero or unseen than there are")
    if measured != (grid is not None) or measured != (cells is not None):
        raise damaged(f"a column of kind {field.kind} has cells" if not measured else "it has no cells")
    if not measured:
        return
    if (grid.whole, grid.shift) != (field.is_whole, field.shift):
        raise damaged("its cells are those of other numbers")
    if len(cells) != grid.size + 2 or int(cells.sum()) != count or sum(found["outer"].values()) != int(cells[0]):
        raise damaged("its cells do not hold as many rows as it has")
    ends = (found["low"], found["high"])
    if (None in ends) != (count == 0) or (count and ends[0] > ends[1]) or found["moments"].count > rows:
        raise damaged("its ends or moments do not go with its rows")


def _field(body: list[Any], deep: bool = False) -> Field:
    if len(body) != 3 or not isinstance(body[0], str) or not isinstance(body[1], str):
        raise damaged("`field` is no name and type")
    if body[2] is not None and (deep or not isinstance(body[2], list)):
        raise damaged("`field` has odd values")
    return read_field(body[0], body[1], None if body[2] is None else _field(body[2], deep=True))


def grid_of(body: Any) -> Grid:
    """Return the grid that `Grid.body` wrote."""
    kind = part(body, "kind", str)
    if kind not in ("linear", "log", "values"):
        raise damaged(f"a grid of kind `{kind[:40]}`")
    size = whole(part(body, "size", int), "grid.size", 1, _CELLS)
    numbers = part(body, "whole", bool)
    limits = {"linear": (0, 63) if numbers else (-1100, 1100), "log": (0, 63), "values": (0, 0)}[kind]
    return Grid(
        kind,
        whole(part(body, "low", int), "grid.low", -_MOST - 1),
        size,
        whole(part(body, "power", int), "grid.power", *limits),
        tuple(whole(cut, "grid.cuts", 0, size) for cut in part(body, "cuts", list)),
        numbers,
        whole(body.get("shift", 0), "grid.shift", 0, _MOST + 1),
    )


def _finite(value: Any, name: str) -> int | float:
    fits = isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**64)
    if not fits or not math.isfinite(value):
        raise damaged(f"`{name}` is {str(value)[:40]}, no finite number")
    return value  # type: ignore[no-any-return]


def _moments(body: list[Any]) -> Moments:
    if len(body) != 7:
        raise damaged("`moments` are not seven")
    high, low, second, third, fourth = (float(_finite(value, "moments")) for value in body[1:6])
    exponent = whole(body[6], "moments", -2200, 2200)
    return Moments(whole(body[0], "moments"), high, low, second, third, fourth, exponent)


def _table(body: Any, field: Field) -> Frequencies:
    counts = dict(_pairs(part(body, "values", list), "table"))
    if any(isinstance(value, str) != (field.kind == "text") for value in counts):
        raise damaged("`table` holds values of another type")
    return Frequencies(counts, whole(part(body, "slack", int), "slack"), part(body, "sampled", bool))


def _counted(value: Any) -> tuple[int, bool]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not isinstance(value[1], bool):
        raise damaged("`counted` is no count")
    return whole(value[0], "counted"), value[1]


def _pairs(value: Any, name: str) -> list[tuple[Any, int]]:
    if not isinstance(value, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in value):
        raise damaged(f"`{name}` is no list of pairs")
    for key, times in value:
        whole(times, f"{name}: a count")
        if not isinstance(key, str):
            _finite(key, name)
    if len({key for key, _ in value}) < len(value):
        raise damaged(f"`{name}` has a value twice")
    return [(key, times) for key, times in value]


def _sparse(body: Any) -> npt.NDArray[np.int64]:
    cells = np.zeros(whole(part(body, "size", int), "cells.size", 0, _CELLS), dtype=np.int64)
    at, counts = part(body, "at", list), part(body, "counts", list)
    if len(at) != len(counts):
        raise damaged("`cells` has places without counts")
    for place, times in zip(at, counts, strict=True):
        cells[whole(place, "cells.at", 0, len(cells) - 1)] = whole(times, "cells.counts", 0, 2**50)
    return cells


def _unpacked(text: Any) -> npt.NDArray[np.uint8]:
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), REGISTERS + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise damaged(f"`registers` cannot be unpacked: {error}") from None
    found = np.frombuffer(data, np.uint8).copy()
    if len(found) != REGISTERS or int(found.max()) > 64 - PRECISION + 1:
        raise damaged("`registers` are none")
    return found
