"""The tables as the pandas frames that the peers read: nullable integers as floats, texts as plain strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from tables import TEXTS, loaded


def pandas_frame(path: Path, rows: int | None) -> Any:
    """Read ``rows`` rows as pandas would have read them from a file."""
    table = loaded(path, rows)
    for name in TEXTS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    return table.to_pandas()
