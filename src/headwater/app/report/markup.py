"""HTML and SVG as strings that are escaped by construction: a plain ``str`` never reaches the page unescaped."""

from __future__ import annotations

import html
import json
import re
from typing import Any

# Control characters break parsers, lone surrogates cannot be encoded, bidi overrides let a name pose as another.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
VOID = frozenset({"meta", "br", "hr", "input", "col"})

Child = Any


class Markup(str):
    """Text that is markup already; only this module's functions and literals in this package make it."""

    __slots__ = ()


def clean(text: object) -> str:
    """Return outside text with the characters that could harm a page replaced by U+FFFD."""
    return _UNSAFE.sub("\ufffd", str(text))


def escape(text: object) -> Markup:
    """Return text made safe for element content and quoted attributes; markup passes unchanged."""
    return text if isinstance(text, Markup) else Markup(html.escape(clean(text), quote=True))


def join(*children: Child) -> Markup:
    """Concatenate children: markup as it is, anything else escaped, None and False left out, lists flattened."""
    parts: list[str] = []
    for child in children:
        if child is None or child is False:
            continue
        parts.append(join(*child) if isinstance(child, (list, tuple)) else escape(child))
    return Markup("".join(parts))


def el(name: str, /, *children: Child, **attributes: Any) -> Markup:
    """Build one element.

    Attribute names lose a trailing underscore and turn ``_`` into ``-``; None and False drop the attribute, True
    writes it bare.

    Example:
        >>> el("p", "a < b", class_="note")
        '<p class="note">a &lt; b</p>'
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        parts.append(label if value is True else f'{label}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    if name in VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(*children)}</{name}>")


def data_block(value: object, **attributes: Any) -> Markup:
    """Embed plain data as a JSON block that no text inside can close."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return el("script", Markup(text), type="application/json", **attributes)
