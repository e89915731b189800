"""One way to write a value as bytes, so that equal meaning has equal identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from headwater.core.errors import DataError


def plain(value: Any) -> Any:
    """Turn a value into plain JSON data: zone-aware ISO times, tuples as lists, NaN and infinity as strings."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DataError(f"time {value.isoformat()} has no zone")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (dict, Mapping)):  # asking a dict first spares it the slower question
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if hasattr(value, "item"):  # numpy scalars
        return plain(value.item())
    raise DataError(f"a {type(value).__name__} cannot be recorded", hint="record plain JSON values")


def canonical(value: Any) -> bytes:
    """Return the canonical JSON bytes of a value (sorted keys, no spaces, UTF-8).

    Example:
        >>> canonical({"b": 1, "a": (1.5, None)})
        b'{"a":[1.5,null],"b":1}'
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical bytes (of the bytes themselves if it is bytes), as hex."""
    return hashlib.sha256(value if isinstance(value, bytes) else canonical(value)).hexdigest()
