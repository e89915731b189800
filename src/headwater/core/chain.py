"""The arithmetic of the ledger: what names an entry, what chains it to those before it, and how a chain is checked.

Every ledger, whatever it stores its rows in, uses these four functions, so that their hashes agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from headwater.core.canonical import canonical
from headwater.core.clock import aware
from headwater.core.errors import DataError, LedgerBroken
from headwater.core.ports import Entry, Record

GENESIS = "0" * 64
"""The hash that stands before the first record."""


class Row(NamedTuple):
    """A record as it is stored: time as ISO text in UTC, body as canonical JSON text."""

    seq: int
    id: str
    kind: str
    subject: str
    time: str
    body: str
    hash: str


class Head(NamedTuple):
    """The place and hash of the last record, kept apart from the records so that a cut tail is noticed."""

    seq: int
    hash: str


def written(entry: Entry) -> tuple[str, str, str]:
    """Return an entry's content id, its time as text and its body as canonical text.

    Raises:
        DataError: The body is not plain JSON data.
        UsageError: The time has no zone.
    """
    time = aware(entry.time).isoformat()
    try:
        body = canonical(entry.body).decode()
        return content_id(entry.kind, entry.subject, time, body), time, body
    except (UnicodeEncodeError, RecursionError, ValueError, TypeError) as error:
        raise DataError(
            f"a `{entry.kind}` of `{entry.subject[:80]!r}` cannot be recorded: {error}", hint="record plain JSON values"
        ) from error


def content_id(kind: str, subject: str, time: str, body: str) -> str:
    """Return ``digest({kind, subject, time, body})`` for a body that is already canonical text."""
    parts = (json.dumps(part, ensure_ascii=False) for part in (kind, subject, time))
    text = '{{"body":{},"kind":{},"subject":{},"time":{}}}'.format(body, *parts)
    return hashlib.sha256(text.encode()).hexdigest()


def link(previous: str, record_id: str, seq: int) -> str:
    """Return the hash that chains a record to all records before it."""
    return hashlib.sha256(f"{previous}{record_id}{seq}".encode()).hexdigest()


def record(row: Row) -> Record:
    """Read a stored row back as a record."""
    try:
        body: Mapping[str, Any] = json.loads(row.body)
        return Record(row.seq, row.id, row.kind, row.subject, body, datetime.fromisoformat(row.time), row.hash)
    except (TypeError, ValueError) as error:
        raise broken(row.seq, f"it cannot be read: {error}") from error


def check(rows: Iterable[Row], head: Head) -> int:
    """Walk stored rows in order and return how many there are.

    Args:
        rows: Every row, in ``seq`` order.
        head: The head as it was kept apart, read *before* the rows. It may lag behind them, after a crash, but it
            can never be ahead of them.

    Raises:
        LedgerBroken: A row was changed, lost, reordered or cut off; the message names the first bad ``seq``.
    """
    previous, seq = GENESIS, 0
    for row in rows:
        seq += 1
        if row.seq != seq:
            raise broken(seq, f"it is missing, the next one there is {row.seq}")
        if content_id(row.kind, row.subject, row.time, row.body) != row.id:
            raise broken(seq, f"its content is not what was recorded as {row.id[:12]}")
        previous = link(previous, row.id, seq)
        if row.hash != previous:
            raise broken(seq, "its hash does not follow from the records before it")
        if seq == head.seq and head.hash != previous:
            raise broken(seq, "the head that was kept apart has another hash: the records before it were rewritten")
    if seq < head.seq:
        raise broken(seq + 1, f"it is missing: the last records were cut off, there were {head.seq}")
    return seq


def broken(seq: int, why: str) -> LedgerBroken:
    """Build the error that names the first bad record."""
    return LedgerBroken(
        f"record {seq} does not verify: {why}",
        doing="verifying the evidence ledger",
        hint="stop writing, keep the files as they are and restore the ledger from a backup; "
        f"records before {seq} are sound",
    )
