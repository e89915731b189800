"""A seal drawn from a hash: the same evidence gives the same figure, another hash visibly another one."""

from __future__ import annotations

import hashlib
import math

from headwater.app.report.markup import Markup, el


def seal(evidence: str, size: int = 88) -> Markup:
    """Draw the seal of an evidence hash as nested ripples; everything in it follows from the hash alone."""
    grain = hashlib.sha256(evidence.encode("utf-8", "replace")).digest()
    middle = size / 2
    rings = [
        el(
            "path",
            d=_ripple(grain[6 * ring : 6 * ring + 6], middle, middle * (0.94 - 0.17 * ring)),
            class_=f"ring-{ring}",
        )
        for ring in range(5)
    ]
    return el(
        "svg",
        *rings,
        viewBox=f"0 0 {size} {size}",
        width=size,
        height=size,
        class_="seal",
        role="img",
        aria_label=f"Seal of evidence {evidence[:12]}",
    )


def _ripple(grain: bytes, middle: float, radius: float) -> str:
    waves = (3 + grain[0] % 4, 5 + grain[1] % 6)
    turns = (grain[2] / 256 * math.tau, grain[3] / 256 * math.tau)
    depths = (0.05 + grain[4] / 256 * 0.06, 0.02 + grain[5] / 256 * 0.05)
    points = []
    for step in range(96):
        angle = math.tau * step / 96
        swing = sum(
            depth * math.cos(wave * angle + turn) for wave, turn, depth in zip(waves, turns, depths, strict=True)
        )
        reach = radius * (1 - sum(depths) + swing)
        points.append(f"{middle + reach * math.cos(angle):.1f} {middle + reach * math.sin(angle):.1f}")
    return f"M{'L'.join(points)}Z"
