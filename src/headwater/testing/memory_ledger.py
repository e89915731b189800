"""A ledger in memory, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

from headwater.core.chain import GENESIS, Head, Row, check, link, record, written
from headwater.core.errors import UnknownName, UsageError
from headwater.core.ports import Entry, Record


class MemoryLedger:
    """Keep the ledger's rows in a list; everything else is as in a stored ledger.

    Example:
        >>> from datetime import datetime, UTC
        >>> from headwater.core.ports import Entry
        >>> ledger = MemoryLedger()
        >>> day = datetime(2013, 7, 1, tzinfo=UTC)
        >>> [one] = ledger.append([Entry("event", "dataset:nyc/weather", {"rows": 24}, day)])
        >>> one.seq, ledger.verify(), next(ledger.read(kind="event")).body
        (1, 1, {'rows': 24})
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._lock = Lock()

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Append all entries or none; an entry that is already there is returned, not repeated."""
        prepared = [(entry, *written(entry)) for entry in entries]
        with self._lock:
            return [record(self._put(entry, *parts)) for entry, *parts in prepared]

    def read(self, kind: str | None = None, subject: str | None = None, after: int = 0) -> Iterator[Record]:
        """Yield records in order, filtered, with ``seq`` greater than ``after``."""
        for row in self._rows[max(after, 0) :].copy():
            if kind in (None, row.kind) and subject in (None, row.subject):
                yield record(row)

    def get(self, record_id: str) -> Record:
        """Return one record by its content id (a unique prefix of 8 or more characters will do)."""
        if len(record_id) < 8:
            raise UsageError(f"record id `{record_id}` is too short", hint="give at least 8 characters of it")
        found = [row for key, row in self._by_id.items() if key.startswith(record_id.lower())]
        if len(found) > 1:
            raise UsageError(f"record id `{record_id}` fits {len(found)} records", hint="give more characters of it")
        if not found:
            raise UnknownName(f"record `{record_id}` is not in the ledger")
        return record(found[0])

    def verify(self) -> int:
        """Walk the whole chain; return the number of records or raise `LedgerBroken` naming the first bad one."""
        with self._lock:
            return check(self._rows, Head(0, GENESIS))

    def copy(self) -> MemoryLedger:
        """Return a ledger that goes on from the same rows on its own."""
        with self._lock:
            made = MemoryLedger()
            made._rows, made._by_id = self._rows.copy(), self._by_id.copy()
        return made

    def __getstate__(self) -> list[Row]:
        return self._rows

    def __setstate__(self, rows: list[Row]) -> None:
        self.__init__()  # type: ignore[misc]
        self._rows, self._by_id = rows, {row.id: row for row in rows}

    def _put(self, entry: Entry, record_id: str, time: str, body: str) -> Row:
        there = self._by_id.get(record_id)
        if there is None:
            previous = self._rows[-1].hash if self._rows else GENESIS
            seq = len(self._rows) + 1
            there = Row(seq, record_id, entry.kind, entry.subject, time, body, link(previous, record_id, seq))
            self._rows.append(there)
            self._by_id[record_id] = there
        return there
