"""Conversions between units that feeds are known to switch between."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conversion:
    """``observed = usual * scale + shift`` when a feed switched from one unit to the other."""

    usual: str
    observed: str
    scale: float
    shift: float = 0.0

    @property
    def text(self) -> str:
        """The change in words."""
        return f"{self.usual} now in {self.observed}"


_PAIRS = (
    ("°C", "°F", 1.8, 32.0),
    ("°C", "K", 1.0, 273.15),
    ("°F", "K", 1 / 1.8, 459.67 / 1.8),
    ("mph", "km/h", 1.609344, 0.0),
    ("mph", "m/s", 0.44704, 0.0),
    ("mph", "knots", 1 / 1.150779448, 0.0),
    ("km/h", "m/s", 1 / 3.6, 0.0),
    ("knots", "km/h", 1.852, 0.0),
    ("knots", "m/s", 1.852 / 3.6, 0.0),
    ("in", "mm", 25.4, 0.0),
    ("in", "cm", 2.54, 0.0),
    ("in", "m", 0.0254, 0.0),
    ("ft", "m", 0.3048, 0.0),
    ("yd", "m", 0.9144, 0.0),
    ("ft", "in", 12.0, 0.0),
    ("hPa", "inHg", 0.0295299831, 0.0),
    ("hPa", "mmHg", 0.750061683, 0.0),
    ("hPa", "psi", 0.0145037738, 0.0),
    ("lb", "kg", 0.45359237, 0.0),
    ("oz", "g", 28.349523125, 0.0),
    ("gal", "L", 3.785411784, 0.0),
    ("kcal", "kJ", 4.184, 0.0),
    ("h", "min", 60.0, 0.0),
    ("d", "h", 24.0, 0.0),
    ("h", "s", 3600.0, 0.0),
    ("week", "d", 7.0, 0.0),
    ("dozen", "pieces", 12.0, 0.0),
    ("kilo (1024)", "units", 1024.0, 0.0),
    ("tens", "units", 10.0, 0.0),
    ("hundreds (or a share)", "units (or percent)", 100.0, 0.0),
    ("thousands", "units", 1e3, 0.0),
    ("ten thousands (or a share)", "units (or basis points)", 1e4, 0.0),
    ("millions", "units", 1e6, 0.0),
    ("the usual sign", "the opposite sign", -1.0, 0.0),
)


def _both() -> tuple[Conversion, ...]:
    found = []
    for usual, observed, scale, shift in _PAIRS:
        found.append(Conversion(usual, observed, scale, shift))
        if scale != -1.0:
            found.append(Conversion(observed, usual, 1 / scale, -shift / scale))
    return tuple(found)


CONVERSIONS = _both()
