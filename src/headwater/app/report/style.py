"""The page's style sheet and script, read from the files beside this module and made ready for inlining."""

from __future__ import annotations

import re
from importlib.resources import files

from headwater.app.report.colour import ALARM_STEPS, QUIET_STEPS, variables

_SPACE = re.compile(r"/\*.*?\*/|\n\s*", re.DOTALL)


def sheet() -> str:
    """Return the whole style sheet: both themes, the river's levels, and the layout."""
    fonts = (
        '--sans:system-ui,-apple-system,"Segoe UI",Inter,Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;'
        '--serif:"Iowan Old Style","Palatino Linotype",Palatino,"Book Antiqua",P052,"Noto Serif",Georgia,'
        '"Liberation Serif",serif;'
        '--mono:ui-monospace,"SF Mono","Cascadia Code",Menlo,Consolas,"DejaVu Sans Mono",monospace'
    )
    light, dark = variables("light"), variables("dark")
    themes = (
        f":root{{color-scheme:light;{fonts};{light}}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
        f"@media print{{:root:root:root{{color-scheme:light;{light}}}}}"
    )
    return themes + levels() + _SPACE.sub("", _text("page.css"))


def script() -> str:
    """Return the page's script; the page is whole without it."""
    return _text("page.js")


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def levels() -> str:
    """Return the strokes of the river: the stronger the evidence, the wider and the deeper."""
    rules = []
    for index in range(QUIET_STEPS + ALARM_STEPS):
        share = 0.34 + 0.5 * index / (QUIET_STEPS - 1) if index < QUIET_STEPS else 1.0
        rules.append(f".q{index}{{stroke:var(--q{index});stroke-width:calc(var(--h)*{share:.2f});fill:none}}")
    return "".join(rules)
