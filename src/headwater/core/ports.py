"""The narrow ports between the rooms and the outside systems. Adapters implement them; tests hold them to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from headwater.core.assets import Compute, Mechanism

Frame = Any
"""A Polars DataFrame. Named here so that the rooms agree without core importing it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to append to the ledger. ``kind`` and ``subject`` are indexed; ``body`` is plain JSON."""

    kind: str
    subject: str
    body: Mapping[str, Any]
    time: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """An acknowledged ledger entry: its place, its content id, and the hash that chains it to all before it."""

    seq: int
    id: str
    kind: str
    subject: str
    body: Mapping[str, Any]
    time: datetime
    hash: str


class Ledger(Protocol):
    """Append-only, content-addressed, hash-chained store of everything that happened."""

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Append all entries or none, durably; an entry that is already there is returned, not repeated."""
        ...

    def read(self, kind: str | None = None, subject: str | None = None, after: int = 0) -> Iterator[Record]:
        """Yield records in order, filtered, with ``seq`` greater than ``after``."""
        ...

    def get(self, record_id: str) -> Record:
        """Return one record by its content id (a unique prefix of 8 or more characters will do)."""
        ...

    def verify(self) -> int:
        """Walk the whole chain; return the number of records or raise `LedgerBroken` naming the first bad one."""
        ...


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A version of a table: its number, and the content hash and row count of each window it wrote."""

    dataset: str
    version: int
    contents: Mapping[str, str]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Lost:
    """A window's content that a table store should hold and cannot give back.

    Attributes:
        window: The window's key; empty when the whole table is lost.
        content: The content hash under which it was acknowledged; empty when the whole table is lost.
        why: What is wrong, e.g. that its file is missing.
    """

    window: str
    content: str
    why: str


class TableStore(Protocol):
    """Immutable versioned tables, cut into windows. Frames come and go without a window column.

    A dataset's name is its bare name (``weather``). Windows are named by key; the empty string is not a key.
    """

    def write(self, dataset: str, frames: Mapping[str, Frame], *, run_id: str) -> TableVersion:
        """Replace the given windows, all or none, as one new version. Unchanged content makes no new version."""
        ...

    def read(self, dataset: str, keys: Sequence[str], version: int | None = None) -> Frame | None:
        """Return the rows of the given windows, in key order and stored row order; None when none is there."""
        ...

    def keys(self, dataset: str, version: int | None = None) -> list[str]:
        """Return the keys of the windows that are there, sorted; empty for an unknown dataset."""
        ...

    def version(self, dataset: str) -> int | None:
        """Return the newest version's number."""
        ...

    def content(self, dataset: str, key: str, version: int | None = None) -> str | None:
        """Return the content hash of one window as recorded when it was written."""
        ...

    def datasets(self) -> list[str]:
        """Return the names of all stored datasets."""
        ...

    def lost(self, dataset: str, contents: Mapping[str, Collection[str]], *, deep: bool = False) -> list[Lost]:
        """Return what cannot be given back of the content hashes, by window, that were acknowledged at any time.

        A look at the log and the files will do, or, if ``deep``, every row is read and hashed again.
        """
        ...


class CodeStore(Protocol):
    """Content-addressed store of functions, so that the last good code can be run again later."""

    def put(self, function: Any) -> str:
        """Store a function and return its code hash (equal meaning, equal hash: comments and layout do not count)."""
        ...

    def load(self, code: str) -> Any:
        """Return the function with this hash, even when the project's file has changed since."""
        ...

    def source(self, code: str) -> str:
        """Return the function's source text as stored, for showing a diff; empty when unknown."""
        ...

    def flaw(self, code: str) -> str:
        """Say why the code with this hash cannot be given back as it was stored; empty when it can."""
        ...


class PartStore(Protocol):
    """Content-addressed store of model parts (scaler, model, calibrator, threshold)."""

    def put(self, part: Any) -> str:
        """Store a part and return its content hash."""
        ...

    def load(self, part: str) -> Any:
        """Return the part with this hash."""
        ...

    def flaw(self, part: str) -> str:
        """Say why the part with this hash cannot be given back as it was stored; empty when it can."""
        ...


class Tracking(Protocol):
    """Experiment tracking and model registry."""

    def log_version(
        self,
        model: str,
        *,
        parts: Mapping[str, Any],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        score: Any = None,
    ) -> tuple[str, str]:
        """Log a training run and register a model version; return (version, tracking run id).

        With ``score``, a plain client of the registry can load the version and score with it.
        """
        ...

    def versions(self, model: str) -> dict[str, str]:
        """Return the tracking run id of each registered version; empty for an unknown model. Makes nothing."""
        ...

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        ...


class Mechanisms(Protocol):
    """Resolve what an asset ran: the callable behind a mechanism."""

    def compute(self, asset: str, mechanism: Mechanism) -> Compute:
        """Return the callable that this mechanism stands for."""
        ...
