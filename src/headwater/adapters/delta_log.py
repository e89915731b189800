"""Read a Delta log's commits one by one: which file was ever added for which window, whatever replaced it since."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from headwater.adapters.delta_layout import PARTITION


class Added(NamedTuple):
    """A file as a commit added it."""

    window: str
    path: str
    size: int
    rows: int


def added(log: Path) -> tuple[dict[str, list[Added]], list[str]]:
    """Return the files that the commits of a log added, by window, and the names of the commits that cannot be read."""
    found: dict[str, list[Added]] = defaultdict(list)
    broken: list[str] = []
    for file in sorted(log.glob("*.json")) if log.is_dir() else ():
        if not file.stem.isdigit():
            continue
        try:
            for item in _adds(file.read_text(encoding="utf-8")):
                found[item.window].append(item)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            broken.append(file.name)
    return found, broken


def _adds(text: str) -> Iterator[Added]:
    for line in filter(None, text.splitlines()):
        add: Any = json.loads(line).get("add")
        if add is not None:
            rows = json.loads(add.get("stats") or "{}").get("numRecords", -1)
            yield Added(str(add["partitionValues"][PARTITION]), unquote(add["path"]), int(add["size"]), int(rows))
