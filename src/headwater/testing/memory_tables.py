"""A table store that lives in memory: for tests, and for trying a pipeline without leaving files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.core.errors import DataError, UsageError
from headwater.core.names import NAME
from headwater.core.ports import Lost, TableVersion
from headwater.stats.frames.content import content_hash
from headwater.stats.frames.stacking import stack


@dataclass(frozen=True, slots=True)
class _Part:
    frame: pl.DataFrame
    content: str


class MemoryTables:
    """Immutable versioned tables in memory, with the behaviour of the real store.

    Example:
        >>> import polars as pl
        >>> tables = MemoryTables()
        >>> tables.write("trips", {"2013-07-01": pl.DataFrame({"id": [1]})}, run_id="r1").version
        0
        >>> tables.read("trips", ["2013-07-01"])["id"].to_list()
        [1]
    """

    def __init__(self) -> None:
        self._versions: dict[str, list[dict[str, _Part]]] = {}

    def write(self, dataset: str, frames: Mapping[str, pl.DataFrame], *, run_id: str) -> TableVersion:
        """Replace the given windows, all or none, as one new version. Unchanged content makes no new version."""
        _check(dataset, frames)
        parts = {key: _Part(frame.clone(), content_hash(frame)) for key, frame in frames.items()}
        versions = self._versions.setdefault(dataset, [])
        head = versions[-1] if versions else {}
        if not versions or any(key not in head or head[key].content != part.content for key, part in parts.items()):
            versions.append({**head, **parts})
        return TableVersion(
            dataset,
            len(versions) - 1,
            {key: part.content for key, part in parts.items()},
            {key: part.frame.height for key, part in parts.items()},
        )

    def read(self, dataset: str, keys: Sequence[str], version: int | None = None) -> pl.DataFrame | None:
        """Return the rows of the given windows, in key order and stored row order; None when none is there."""
        parts = self._parts(dataset, version)
        frames = [parts[key].frame for key in dict.fromkeys(keys) if key in parts]
        return stack(frames).clone() if frames else None

    def keys(self, dataset: str, version: int | None = None) -> list[str]:
        """Return the keys of the windows that are there, sorted; empty for an unknown dataset."""
        return sorted(self._parts(dataset, version))

    def version(self, dataset: str) -> int | None:
        """Return the newest version's number; None for an unknown dataset."""
        return len(self._versions[dataset]) - 1 if dataset in self._versions else None

    def content(self, dataset: str, key: str, version: int | None = None) -> str | None:
        """Return the content hash of one window as recorded when it was written."""
        part = self._parts(dataset, version).get(key)
        return None if part is None else part.content

    def datasets(self) -> list[str]:
        """Return the names of all stored datasets."""
        return sorted(self._versions)

    def lost(self, dataset: str, contents: Mapping[str, Collection[str]], *, deep: bool = False) -> list[Lost]:
        """Return what cannot be given back of the content hashes, by window, that were acknowledged at any time."""
        if dataset not in self._versions:
            return [Lost("", "", "there is no such table")]
        held = {(key, part.content) for version in self._versions[dataset] for key, part in version.items()}
        wanted = sorted((key, content) for key, known in contents.items() for content in known)
        return [Lost(*item, "no version of the table holds it") for item in wanted if item not in held]

    def copy(self) -> MemoryTables:
        """Return a store that goes on from the same versions on its own."""
        made = MemoryTables()
        made._versions = {name: versions.copy() for name, versions in self._versions.items()}
        return made

    def _parts(self, dataset: str, version: int | None) -> dict[str, _Part]:
        versions = self._versions.get(dataset)
        if versions is None:
            return {}
        if version is None:
            return versions[-1]
        if not 0 <= version < len(versions):
            raise UsageError(
                f"dataset `{dataset}` has no version {version}", hint=f"it has versions 0 to {len(versions) - 1}"
            )
        return versions[version]


def _check(dataset: str, frames: Mapping[str, Any]) -> None:
    if not NAME.fullmatch(dataset):
        raise UsageError(f"`{dataset}` cannot name a dataset", hint="use lower-case letters, digits and _")
    if not frames or not all(frames):
        raise UsageError(f"there is no window of `{dataset}` to write, or one without a key")
    for key, frame in frames.items():
        if not isinstance(frame, pl.DataFrame):
            raise DataError(f"window `{key}` of `{dataset}` is a {type(frame).__name__}, not a Polars DataFrame")
