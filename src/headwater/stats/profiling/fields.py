"""What a column is: the format texts of the Arrow C data interface, read into kinds and units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

_WHOLE = {
    "c": "int8",
    "C": "uint8",
    "s": "int16",
    "S": "uint16",
    "i": "int32",
    "I": "uint32",
    "l": "int64",
    "L": "uint64",
}
_REAL = {"e": "float16", "f": "float32", "g": "float64"}
_PER_SECOND = {"s": 1, "m": 10**3, "u": 10**6, "n": 10**9}
_BYTE = np.dtype(np.uint8)
_UNIT = {"s": "s", "m": "ms", "u": "us", "n": "ns"}
_OTHER = {
    "z": "binary",
    "Z": "large_binary",
    "vz": "binary_view",
    "+l": "list",
    "+L": "large_list",
    "+vl": "list_view",
    "+vL": "large_list_view",
    "+s": "struct",
    "+m": "map",
    "+r": "run_end_encoded",
    "_pli128": "int128",
    "_plu128": "uint128",
}


@dataclass(frozen=True)
class Field:
    """A column's name and type.

    Attributes:
        name: The column.
        kind: ``number``, ``boolean``, ``text``, ``time`` or ``other``; ``other`` is counted and nothing more.
        dtype: The type as text, e.g. ``int64`` or ``timestamp[us, UTC]``.
        form: How it is laid out: ``int``, ``float``, ``decimal``, ``code``, ``bool``, ``text``, ``view``, ``null``,
            ``union`` or ``other``.
        storage: The fixed-width numbers, the dictionary codes, or the offsets of text.
        factor: What a stored whole number is multiplied with for its value: decimals by their scale, durations to
            seconds, times of day to hours.
        per_second: Stored units per second of a timestamp; a date has 1/86400.
        zone: Zone of a timestamp; empty when it has none.
        values: What dictionary codes stand for.
        format: The format text it was read from.
        digits: Most digits of a decimal.
    """

    name: str
    kind: str
    dtype: str
    form: str
    storage: np.dtype[Any] = _BYTE
    factor: Fraction = Fraction(1)
    per_second: Fraction = Fraction(1)
    zone: str = ""
    values: Field | None = None
    format: str = ""
    digits: int = 0

    @property
    def is_float(self) -> bool:
        """Whether the column can hold NaN and infinity."""
        return (self.values or self).form == "float"

    @property
    def storage_whole(self) -> bool:
        """Whether a decimal fits a signed 64-bit number."""
        return self.form == "decimal" and self.digits <= 18

    @property
    def is_whole(self) -> bool:
        """Whether the stored numbers are whole."""
        inner = self.values or self
        return inner.form == "int" or inner.storage_whole

    @property
    def shift(self) -> int:
        """What is added to a stored number for its value: unsigned 64-bit numbers are stored from -2**63 on."""
        return 1 << 63 if (self.values or self).storage == np.dtype(np.uint64) and self.kind == "number" else 0

    @property
    def lattice(self) -> tuple[str, bool, Fraction, Fraction, int]:
        """What two columns must share for their stored numbers to mean the same."""
        return self.kind, self.is_whole, self.factor, self.per_second, self.shift


def read_field(name: str, text: str, values: Field | None = None) -> Field:
    """Read a format text, e.g. ``tsu:Europe/Berlin``; an unknown one becomes kind ``other``.

    Example:
        >>> read_field("t", "tsu:UTC").dtype
        'timestamp[us, UTC]'
    """
    return replace(_coded(name, text, values) if values is not None else _plain(name, text), format=text)


def _plain(name: str, text: str) -> Field:
    if text in _WHOLE:
        return Field(name, "number", _WHOLE[text], "int", np.dtype(_WHOLE[text]))
    if text in _REAL:
        return Field(name, "number", _REAL[text], "float", np.dtype(_REAL[text]))
    if text == "b":
        return Field(name, "boolean", "bool", "bool")
    if text in ("u", "U"):
        width = np.dtype(np.int32 if text == "u" else np.int64)
        return Field(name, "text", "string" if text == "u" else "large_string", "text", width)
    if text == "vu":
        return Field(name, "text", "string_view", "view", np.dtype(np.int32))
    if text == "n":
        return Field(name, "other", "null", "null")
    if text.startswith("t"):
        return _temporal(name, text)
    if text.startswith("d:"):
        return _decimal(name, text)
    if text.startswith("+u"):
        return Field(name, "other", "union", "union")
    return Field(name, "other", _OTHER.get(text, text or "unknown"), "other")


def _coded(name: str, text: str, values: Field) -> Field:
    if text not in _WHOLE or values.form in ("code", "other", "null", "union"):
        return Field(name, "other", f"dictionary[{values.dtype}]", "other")
    return Field(
        name,
        values.kind,
        f"dictionary[{values.dtype}]",
        "code",
        np.dtype(_WHOLE[text]),
        values.factor,
        values.per_second,
        values.zone,
        values,
    )


def _temporal(name: str, text: str) -> Field:
    if text == "tdD":
        return Field(name, "time", "date32", "int", np.dtype(np.int32), per_second=Fraction(1, 86400))
    if text == "tdm":
        return Field(name, "time", "date64", "int", np.dtype(np.int64), per_second=Fraction(1000))
    unit = text[2:3]
    if unit not in _PER_SECOND:
        return Field(name, "other", text, "other")
    per = _PER_SECOND[unit]
    if text.startswith("ts"):
        zone = text[4:]
        label = f"timestamp[{_UNIT[unit]}, {zone}]" if zone else f"timestamp[{_UNIT[unit]}]"
        return Field(name, "time", label, "int", np.dtype(np.int64), per_second=Fraction(per), zone=zone)
    if text.startswith("tD"):
        return Field(name, "number", f"duration[{_UNIT[unit]}]", "int", np.dtype(np.int64), Fraction(1, per))
    if text.startswith("tt"):
        width = np.dtype(np.int32 if unit in "sm" else np.int64)
        return Field(name, "number", f"time[{_UNIT[unit]}]", "int", width, Fraction(1, per * 3600))
    return Field(name, "other", text, "other")


def _decimal(name: str, text: str) -> Field:
    try:
        parts = [int(part) for part in text[2:].split(",")]
    except ValueError:
        return Field(name, "other", text, "other")
    precision, scale, bits = (*parts, 128)[:3] if len(parts) in (2, 3) else (0, 0, 0)
    if bits not in (32, 64, 128, 256) or abs(scale) > 400:
        return Field(name, "other", text, "other")
    label = f"decimal[{precision}, {scale}]"
    factor = Fraction(1, 10**scale) if scale >= 0 else Fraction(10**-scale)
    if bits in (32, 64):
        return Field(name, "number", label, "int", np.dtype(f"int{bits}"), factor)
    # The lowest limb of a number of up to 18 digits is the number; longer ones are read as floats.
    return Field(name, "number", label, "decimal", np.dtype((np.void, bits // 8)), factor, digits=precision)
