"""The tables as they stood at a moment: old versions to read, and nothing to write to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from headwater.core.ports import Lost, TableStore, TableVersion
from headwater.stats.frames.content import content_hash


class TablesThen:
    """A table store at given versions; what is written to it goes nowhere.

    Args:
        tables: Where the versions are.
        versions: The newest version of each dataset at that moment; a dataset that is not named was not there.
    """

    def __init__(self, tables: TableStore, versions: Mapping[str, int]) -> None:
        self._tables = tables
        self._versions = versions

    def write(self, dataset: str, frames: Mapping[str, pl.DataFrame], *, run_id: str) -> TableVersion:
        """Say what would have been written."""
        contents = {key: content_hash(frame) for key, frame in frames.items()}
        return TableVersion(
            dataset, self._versions.get(dataset, 0), contents, {key: item.height for key, item in frames.items()}
        )

    def read(self, dataset: str, keys: Sequence[str], version: int | None = None) -> pl.DataFrame | None:
        """Return rows as they were then."""
        at = self._at(dataset, version)
        return None if at is None else self._tables.read(dataset, keys, at)

    def keys(self, dataset: str, version: int | None = None) -> list[str]:
        """Return the windows that were there then."""
        at = self._at(dataset, version)
        return [] if at is None else self._tables.keys(dataset, at)

    def version(self, dataset: str) -> int | None:
        """Return the version that was the newest then."""
        return self._versions.get(dataset)

    def content(self, dataset: str, key: str, version: int | None = None) -> str | None:
        """Return the content hash of a window as it was then."""
        at = self._at(dataset, version)
        return None if at is None else self._tables.content(dataset, key, at)

    def datasets(self) -> list[str]:
        """Return the datasets that were there then."""
        return sorted(self._versions)

    def lost(self, dataset: str, contents: Mapping[str, Collection[str]], *, deep: bool = False) -> list[Lost]:
        """Return what cannot be given back today."""
        return self._tables.lost(dataset, contents, deep=deep)

    def _at(self, dataset: str, version: int | None) -> int | None:
        newest = self._versions.get(dataset)
        return newest if version is None or newest is None else min(version, newest)
