"""The report's colours: two themes, and the river's scale, computed so that equal steps look equal.

The scale is a straight line in OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020), where
equal distances are about equally visible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Lab = tuple[float, float, float]

QUIET_STEPS = 7
ALARM_STEPS = 3
ALARM_AT = (1.0, 2.0, 5.0)
# Under half of its alarm limit an asset is calm: windows differ by nature, and their noise must not catch the eye.
CALM = 0.5

# Lightness, chroma, hue in degrees: where the water begins, where it is deepest, where alarm begins and ends.
RAMPS: Mapping[str, Mapping[str, tuple[Lab, Lab]]] = {
    "light": {"water": ((0.945, 0.014, 205), (0.43, 0.085, 222)), "alarm": ((0.72, 0.165, 48), (0.50, 0.19, 30))},
    "dark": {"water": ((0.275, 0.022, 215), (0.76, 0.105, 205)), "alarm": ((0.66, 0.175, 36), (0.83, 0.135, 68))},
}

THEMES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "bg": "#eef4f4",
        "surface": "#ffffff",
        "sunk": "#f4f8f8",
        "ink": "#0b2730",
        "soft": "#3f5b64",
        "faint": "#546d76",
        "line": "#d7e3e5",
        "grid": "#e7eff0",
        "water": "#0f5e73",
        "water-soft": "#dcedf0",
        "alarm": "#b9370f",
        "alarm-soft": "#fcefe8",
        "data": "#0b7285",
        "ml": "#5b4fa3",
    },
    "dark": {
        "bg": "#06141a",
        "surface": "#0b1e26",
        "sunk": "#081920",
        "ink": "#e4f0f2",
        "soft": "#a9c2c8",
        "faint": "#87a4ac",
        "line": "#1d3a44",
        "grid": "#142d36",
        "water": "#6cc6d6",
        "water-soft": "#12343f",
        "alarm": "#ff9566",
        "alarm-soft": "#2c1a15",
        "data": "#4fc3d6",
        "ml": "#b3a7f5",
    },
}


def lab(lightness: float, chroma: float, hue: float) -> Lab:
    """Turn lightness, chroma and hue (degrees) into OKLab."""
    angle = math.radians(hue)
    return lightness, chroma * math.cos(angle), chroma * math.sin(angle)


def to_hex(colour: Lab) -> str:
    """Turn an OKLab colour into sRGB hex, clipping what the screen cannot show."""
    light, a, b = colour
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    small = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * small,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * small,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * small,
    )
    return "#" + "".join(f"{round(255 * _gamma(min(max(part, 0.0), 1.0))):02x}" for part in linear)


def _gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055


def ramp(first: Lab, last: Lab, steps: int) -> list[str]:
    """Return ``steps`` colours at equal OKLab distances between two colours given as lightness, chroma, hue."""
    start, end = lab(*first), lab(*last)

    def between(axis: int, share: float) -> float:
        return start[axis] + (end[axis] - start[axis]) * share

    shares = [step / (steps - 1) for step in range(steps)]
    return [to_hex((between(0, share), between(1, share), between(2, share))) for share in shares]


def river_scale(theme: str) -> list[str]:
    """Return the colours of levels 0 .. QUIET_STEPS + ALARM_STEPS - 1."""
    ends = RAMPS[theme]
    return ramp(*ends["water"], QUIET_STEPS) + ramp(*ends["alarm"], ALARM_STEPS)


def level(strength: float, alarm: bool) -> int:
    """Return the step of the scale for a strength; only an alarm is drawn warm."""
    if not strength > 0:  # also NaN
        strength = 0.0
    if alarm:
        return QUIET_STEPS + max(sum(strength >= limit for limit in ALARM_AT), 1) - 1
    share = (min(strength, 1.0) - CALM) / (1 - CALM)
    return 0 if share < 0 else min(1 + int(share * (QUIET_STEPS - 1)), QUIET_STEPS - 1)


def variables(theme: str) -> str:
    """Return a theme as CSS custom properties."""
    pairs = [f"--{name}:{value}" for name, value in THEMES[theme].items()]
    pairs += [f"--q{index}:{value}" for index, value in enumerate(river_scale(theme))]
    return ";".join(pairs)


def contrast(first: str, second: str) -> float:
    """Return the WCAG 2.2 contrast ratio of two hex colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)
