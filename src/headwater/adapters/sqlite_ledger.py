"""The evidence ledger in one SQLite file, durable and safe with several processes at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock

from headwater.core.chain import GENESIS, Head, Row, broken, check, link, record, written
from headwater.core.errors import LedgerBroken, StorageError, UnknownName, UsageError
from headwater.core.ports import Entry, Record

_APPLICATION = 0x48575452  # "HWTR": tells a ledger from any other SQLite file
_VERSION = 1
_PAGE = 1000
_SCHEMA = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, subject TEXT NOT NULL,
    time TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE INDEX entries_kind ON entries (kind);
CREATE INDEX entries_subject ON entries (subject);
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: a record cannot be changed'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: a record cannot be deleted'); END;
CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: a record goes to the end'); END;
"""
_COLUMNS = "seq, id, kind, subject, time, body, hash"
_TROUBLE = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and repeat the command: nothing was half-written"),
    sqlite3.SQLITE_BUSY: ("it is locked by another process", "wait for the other command to finish and repeat"),
    sqlite3.SQLITE_LOCKED: ("it is locked by another connection", "wait for the other command to finish and repeat"),
    sqlite3.SQLITE_READONLY: ("it is read-only", "make the file and its folder writable for this user"),
    sqlite3.SQLITE_PERM: ("this user may not use it", "make the file and its folder writable for this user"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that its folder exists and is writable for this user"),
    sqlite3.SQLITE_NOTADB: ("it is not a ledger", "move the file away, or restore it from a backup"),
    sqlite3.SQLITE_CORRUPT: ("its file is damaged", "restore it from a backup; every record is also chained by hash"),
    sqlite3.SQLITE_IOERR: ("its disk cannot be read or written", "is the disk full or broken? is it a network disk?"),
}


class SqliteLedger:
    """Append-only, content-addressed, hash-chained records in ``path``, with the head kept in ``<name>.head``.

    A record is acknowledged once it is on disk (WAL, ``synchronous=FULL``). The head file is written after the
    commit: a crash may leave it behind the records, never ahead of them, so a head that is ahead, or that disagrees,
    means that records were cut off or rewritten. Records cut off in the moment between a commit and its head cannot
    be told from a crash.

    Args:
        path: The database file; made, with its folder, when it is not there.
        patience: Seconds to wait for another process that is writing.

    Raises:
        StorageError: The file cannot be opened or is not a ledger.
    """

    def __init__(self, path: Path, *, patience: float = 30.0) -> None:
        self.path = Path(path)
        self._head_path = self.path.with_suffix(".head")
        self._lock_path = self.path.with_suffix(".lock")
        self._patience = patience
        self._lock = RLock()
        self._pid = os.getpid()
        self._seen = False
        with self._edge("opening"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Append all entries or none, durably; an entry that is already there is returned, not repeated.

        Raises:
            StorageError: Disk full, locked or read-only; nothing was appended.
            LedgerBroken: The ledger's end was cut off or rewritten; it must not be written over.
        """
        prepared = [(entry, *written(entry)) for entry in entries]
        if not prepared:
            return []
        with self._lock, self._edge("appending to"):
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                before = self._checked_head(connection)
                head, rows = before, []
                for entry, record_id, time, body in prepared:
                    row = _find(connection, record_id)
                    if row is None:
                        seq = head.seq + 1
                        head = Head(seq, link(head.hash, record_id, seq))
                        row = Row(seq, record_id, entry.kind, entry.subject, time, body, head.hash)
                        connection.execute(f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                    rows.append(row)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        if head.seq > before.seq:
            self._keep_head(head)
        return [record(row) for row in rows]

    def read(self, kind: str | None = None, subject: str | None = None, after: int = 0) -> Iterator[Record]:
        """Yield records in order, filtered, with ``seq`` greater than ``after``; those there when reading began.

        Raises:
            LedgerBroken: Its end was cut off or rewritten, or all of it is gone: what is left must not pass for all.
        """
        self._look_at_end()
        return map(record, self._rows(kind, subject, after))

    def get(self, record_id: str) -> Record:
        """Return one record by its content id (a unique prefix of 8 or more characters will do)."""
        if len(record_id) < 8:
            raise UsageError(f"record id `{record_id}` is too short", hint="give at least 8 characters of it")
        self._look_at_end()
        low = record_id.lower()
        with self._lock, self._edge("reading"):
            query = f"SELECT {_COLUMNS} FROM entries WHERE id >= ? AND id < ? LIMIT 2"
            found = self._open().execute(query, (low, low + "~")).fetchall()
        if len(found) > 1:
            raise UsageError(f"record id `{record_id}` fits several records", hint="give more characters of it")
        if not found:
            raise UnknownName(f"record `{record_id}` is not in the ledger")
        return record(Row(*found[0]))

    def verify(self) -> int:
        """Walk the whole chain; return the number of records or raise `LedgerBroken` naming the first bad one."""
        with self._edge("verifying"):
            head = self._read_head()  # first: the head may lag behind the rows, so it must not be newer than they are
            count = check(self._rows(), head)
            with self._lock:
                [(state,)] = self._open().execute("PRAGMA integrity_check(1)").fetchall()
        if state != "ok":
            raise LedgerBroken(f"the records are sound but the file's index is not: {state}", hint="restore a backup")
        return count

    def close(self) -> None:
        """Close the file; the ledger cannot be used any more."""
        with self._lock:
            self._connection.close()

    def _look_at_end(self) -> None:
        """Compare the newest record with the head, once per opening: the whole chain is for `verify`."""
        if not self._seen:
            with self._lock, self._edge("reading"):
                self._checked_head(self._open())
            self._seen = True

    def _rows(self, kind: str | None = None, subject: str | None = None, after: int = 0) -> Iterator[Row]:
        # Page by page: no read transaction stays open while the caller works, which would keep the WAL from shrinking.
        clauses, values = ["seq > ?", "seq <= ?"], []
        if subject is not None:
            clauses.append("subject = ?")
            values.append(subject)
        if kind is not None:
            clauses.append("kind = ?" if subject is None else "+kind = ?")
            values.append(kind)
        query = f"SELECT {_COLUMNS} FROM entries WHERE {' AND '.join(clauses)} ORDER BY seq LIMIT {_PAGE}"
        with self._lock, self._edge("reading"):
            [(last,)] = self._open().execute("SELECT coalesce(max(seq), 0) FROM entries").fetchall()
        while after < last:
            with self._lock, self._edge("reading"):
                page = [Row(*row) for row in self._open().execute(query, (after, last, *values))]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def _open(self) -> sqlite3.Connection:
        if self._pid != os.getpid():  # a forked child must not share its parent's connection
            self._connection, self._pid = self._connect(), os.getpid()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self.path.exists() and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            return self._connect_to_read()
        connection = self._connection_to(str(self.path))
        try:
            if self._marks(connection) != (_APPLICATION, _VERSION):
                self._create(connection)
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_to_read(self) -> sqlite3.Connection:
        """Open a ledger that this user may not write: beside whoever has it open, else as a file that nobody changes.

        A WAL database cannot be read without the files beside it, which its last user takes away and only a writer
        may make; without them nobody is writing, so that it may be read as it lies there.
        """
        wal = self.path.with_name(f"{self.path.name}-wal")
        if not wal.exists() or not wal.stat().st_size:
            with contextlib.suppress(sqlite3.OperationalError):
                return self._checked("mode=ro")
            return self._checked("immutable=1")
        return self._checked("mode=ro")

    def _checked(self, way: str) -> sqlite3.Connection:
        connection = self._connection_to(f"{self.path.resolve().as_uri()}?{way}", uri=True)
        try:
            if self._marks(connection) != (_APPLICATION, _VERSION):
                raise self._trouble("opening", sqlite3.SQLITE_NOTADB, "an SQLite file of something else")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connection_to(self, name: str, *, uri: bool = False) -> sqlite3.Connection:
        return sqlite3.connect(
            name, uri=uri, timeout=self._patience, isolation_level=None, check_same_thread=False, cached_statements=32
        )

    def _create(self, connection: sqlite3.Connection) -> None:
        with self._turn():
            marks = self._marks(connection)
            if marks == (_APPLICATION, _VERSION):
                return
            if marks[0] == _APPLICATION:
                raise StorageError(
                    f"ledger `{self.path}` has format {marks[1]}, this version knows {_VERSION}",
                    hint="upgrade headwater",
                )
            [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            if tables or marks != (0, 0):
                raise self._trouble("opening", sqlite3.SQLITE_NOTADB, "an SQLite file of something else")
            if not self._head_path.exists():  # before the first record can be, so that a missing head means a lost one
                self._write_head(Head(0, GENESIS))
            connection.execute("PRAGMA journal_mode=WAL")
            marks_set = f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_VERSION};"
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {marks_set} COMMIT;")

    @staticmethod
    def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
        [(application,)] = connection.execute("PRAGMA application_id").fetchall()
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        return application, version

    def _checked_head(self, connection: sqlite3.Connection) -> Head:
        last = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        actual = Head(*last) if last else Head(0, GENESIS)
        kept = self._read_head()
        if kept != actual and kept.seq:
            there = connection.execute("SELECT hash FROM entries WHERE seq = ?", (kept.seq,)).fetchone()
            if there is None:
                raise broken(actual.seq + 1, f"it is missing: the last records were cut off, there were {kept.seq}")
            if there[0] != kept.hash:
                raise broken(kept.seq, "the head that was kept apart has another hash: the records were rewritten")
        return actual

    def _read_head(self) -> Head:
        try:
            kept = json.loads(self._head_path.read_bytes())
            return Head(int(kept["seq"]), str(kept["hash"]))
        except FileNotFoundError:
            why = "is missing"
        except (ValueError, KeyError, TypeError):
            why = "is damaged"
        raise LedgerBroken(
            f"the ledger's head file `{self._head_path}` {why}, so a cut-off end could not be noticed",
            hint="restore the ledger and its head file from a backup",
        )

    def _keep_head(self, head: Head) -> None:
        # The records are committed: a head that cannot be written only lags, and the next append brings it up to date.
        with contextlib.suppress(OSError, LedgerBroken), self._turn():
            if self._read_head().seq < head.seq:
                self._write_head(head)

    def _write_head(self, head: Head) -> None:
        fresh = self._head_path.with_suffix(".head.new")
        with fresh.open("w") as file:
            json.dump(head._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._head_path)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock between processes that guards creation and the head file."""
        with self._lock_path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _edge(self, doing: str) -> Iterator[None]:
        """Turn what SQLite and the file system say into `StorageError`."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise self._trouble(doing, code, str(error)) from error
        except OSError as error:
            raise StorageError(
                f"ledger `{self.path}`: {error.strerror or error}",
                doing=f"{doing} the evidence ledger",
                hint="check that its folder exists, has space, and is writable for this user",
            ) from error

    def _trouble(self, doing: str, code: int, said: str) -> StorageError:
        what, hint = _TROUBLE.get(code, ("SQLite refused", "see the message"))
        return StorageError(f"ledger `{self.path}`: {what} ({said})", doing=f"{doing} the evidence ledger", hint=hint)


def _find(connection: sqlite3.Connection, record_id: str) -> Row | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM entries WHERE id = ?", (record_id,)).fetchone()
    return Row(*row) if row else None
