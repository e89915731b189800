"""Values of a closed list that are written differently from all others: a fault that was there from the first window.

What changed can be told from history; what was wrong from the beginning is normal to every monitor. Such values only
stand out among their own kind: ``10-20`` in a list of ``0-10%``, ``20-30%``, ``30-40%``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

LEAST = 5
"""Values below which nothing says what the usual writing is."""
_SHARED = 0.75


def odd_writings(values: Iterable[str]) -> dict[str, str]:
    """Find values that would be written as the others are, if something all others have were added, cut or recased.

    At least three quarters of the values must share one shape (runs of digits, runs of capitals, runs of small letters,
    and every other sign as it is). It misleads where a list really holds both writings; a value whose corrected form is
    in the list as well is told too, because then both stand for one thing.

    Args:
        values: The distinct values of one column that draws on a closed list.

    Returns:
        Odd value to how it would be written; empty when nothing stands out.

    Example:
        >>> odd_writings(["0-10%", "10-20", "20-30%", "30-40%", "40-50%", "50-60%"])
        {'10-20': '10-20%'}
        >>> odd_writings(["AA", "DL", "US", "b6", "UA", "WN"])
        {}
    """
    listed = sorted(set(values))
    if len(listed) < LEAST:
        return {}
    shapes = {value: _shape(value) for value in listed}
    usual, count = Counter(shapes.values()).most_common(1)[0]
    alike = [value for value in listed if shapes[value] == usual]
    if count < _SHARED * len(listed) or count == len(listed):
        return {}
    start, end = (
        _shared_signs(re.findall(pattern, value)[0] for value in alike) for pattern in (r"^[\W_]*", r"[\W_]*$")
    )
    lengths = range(min(map(len, alike)) - 1, max(map(len, alike)) + 2)
    found = {}
    for value in listed:
        if shapes[value] != usual:
            forms = _mended(value, start, end)
            right = next((one for one in forms if _shape(one) == usual and len(one) in lengths), None)
            if right is not None:
                found[value] = right
    return found


def _shared_signs(signs: Iterable[str]) -> str:
    found = set(signs)
    return found.pop() if len(found) == 1 else ""


def _shape(value: str) -> str:
    found = re.sub(r"[0-9]+", "9", value)
    return re.sub(r"[a-z]+", "a", re.sub(r"[A-Z]+", "A", found))


def _mended(value: str, start: str, end: str) -> Iterable[str]:
    bare = value.strip()
    yield bare
    yield from (bare + end, start + bare)
    yield from (bare.upper(), bare.lower(), bare.title())
    yield from (bare.strip("%$€£'\".,;:-_ "), bare.replace(",", "."), bare.replace("_", " "), bare.replace("_", "-"))
