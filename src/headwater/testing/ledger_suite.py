"""What every ledger must do: run each of `CASES` with a factory of empty ledgers.

Example:
    >>> from headwater.testing.memory_ledger import MemoryLedger
    >>> for case in CASES:
    ...     case(MemoryLedger)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from headwater.core.canonical import digest
from headwater.core.chain import GENESIS, link
from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.ports import Entry, Ledger

Factory = Callable[[], Ledger]
"""Make a ledger that is empty and that nobody else writes to."""

START = datetime(2013, 7, 1, tzinfo=UTC)


def entry(number: int, kind: str = "event", subject: str = "dataset:nyc/weather", **body: Any) -> Entry:
    """Make an entry that differs from those with another number."""
    return Entry(kind, subject, {"number": number, **body}, START + timedelta(seconds=number))


def empty_verifies(factory: Factory) -> None:
    """An empty ledger verifies and reads as nothing; appending nothing is no append."""
    ledger = factory()
    assert ledger.append([]) == []
    assert ledger.verify() == 0
    assert list(ledger.read()) == []


def appended_is_read_back(factory: Factory) -> None:
    """Records come back as acknowledged: same order, place, identity, body and instant."""
    ledger = factory()
    nested: dict[str, Any] = {
        "text": "naïve \x00 'quoted' 🛰",
        "list": [1, 2.5, None, True, {"deep": []}],
        "zero": 0.0,
        "": {},
    }
    appended = ledger.append([entry(1, **nested), entry(2, kind="alias", subject="")])
    assert [one.seq for one in appended] == [1, 2]
    assert list(ledger.read()) == appended
    assert appended[0].body == {"number": 1, **nested}
    assert appended[0].time == START + timedelta(seconds=1)
    assert appended[0].time.utcoffset() == timedelta(0)
    assert ledger.verify() == 2


def identity_is_content(factory: Factory) -> None:
    """The id is the digest of kind, subject, time and body, and the hash chains it to the record before."""
    ledger = factory()
    first, second = ledger.append([entry(1), entry(2)])
    content = {"kind": first.kind, "subject": first.subject, "time": first.time, "body": first.body}
    assert first.id == digest(content)
    assert first.hash == link(GENESIS, first.id, 1)
    assert second.hash == link(first.hash, second.id, 2)


def again_is_returned(factory: Factory) -> None:
    """An entry that is there already is returned, not repeated: in a later append, in the same one, in another zone."""
    ledger = factory()
    first = ledger.append([entry(1, a=1, b=2)])
    assert ledger.append([entry(1, b=2, a=1)]) == first
    mixed = ledger.append([entry(2), entry(1, a=1, b=2), entry(2)])
    assert [one.seq for one in mixed] == [2, 1, 2]
    original = entry(1, a=1, b=2)
    elsewhere = original.time.astimezone(timezone(timedelta(hours=-4)))
    assert ledger.append([Entry(original.kind, original.subject, original.body, elsewhere)]) == first
    assert ledger.verify() == 2


def all_or_none(factory: Factory) -> None:
    """One bad entry refuses the whole append, and what was there stays."""
    ledger = factory()
    ledger.append([entry(1)])
    naive = Entry("event", "dataset:nyc/weather", {}, START.replace(tzinfo=None))
    _refuses(lambda: ledger.append([entry(2), entry(3, bad=object())]), DataError)
    _refuses(lambda: ledger.append([entry(2), entry(3, bad="\ud800")]), DataError)
    _refuses(lambda: ledger.append([entry(2), naive]), UsageError)
    assert [one.body["number"] for one in ledger.read()] == [1]
    assert ledger.append([entry(2)])[0].seq == 2
    assert ledger.verify() == 2


def reading_filters(factory: Factory) -> None:
    """Reading filters by kind, subject and place, alone and together, always in order."""
    ledger = factory()
    kinds, subjects = ("event", "alias", "finding"), ("dataset:nyc/a", "dataset:nyc/b")
    ledger.append([entry(n, kind=kinds[n % 3], subject=subjects[n % 2]) for n in range(60)])
    everything = list(ledger.read())
    assert [one.seq for one in everything] == list(range(1, 61))
    for kind in (None, *kinds, "nothing"):
        for subject in (None, *subjects, "nothing"):
            for after in (0, 1, 31, 60, 99):
                wanted = [
                    one
                    for one in everything
                    if kind in (None, one.kind) and subject in (None, one.subject) and one.seq > after
                ]
                assert list(ledger.read(kind, subject, after)) == wanted, (kind, subject, after)


def reading_while_appending(factory: Factory) -> None:
    """A reader sees what was there when it began, even if its loop appends."""
    ledger = factory()
    ledger.append([entry(n) for n in range(5)])
    for one in ledger.read():
        ledger.append([entry(100 + one.seq)])
    assert ledger.verify() == 10


def bodies_are_kept_apart(factory: Factory) -> None:
    """Changing a body after it was appended, or after it was read, changes nothing in the ledger."""
    ledger = factory()
    body: dict[str, Any] = {"list": [1]}
    [appended] = ledger.append([Entry("event", "dataset:nyc/a", body, START)])
    body["list"].append(2)
    appended.body["list"].append(3)
    next(ledger.read()).body["list"].append(4)
    assert next(ledger.read()).body == {"list": [1]}
    assert ledger.verify() == 1


def got_by_id(factory: Factory) -> None:
    """A record is found by its id or a prefix of 8 characters; anything else is a usage error."""
    ledger = factory()
    appended = ledger.append([entry(n) for n in range(20)])
    for one in appended:
        assert ledger.get(one.id) == one
        assert ledger.get(one.id[:8].upper()) == one
    _refuses(lambda: ledger.get(appended[0].id[:7]), UsageError)
    _refuses(lambda: ledger.get("f" * 64), UnknownName)
    _refuses(lambda: ledger.get("%" * 12), UnknownName)


def threads_take_turns(factory: Factory) -> None:
    """Threads that append at once, some of it the same, lose nothing and repeat nothing."""
    ledger = factory()
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda n: ledger.append([entry(n // 2), entry(1000 + n)]), range(24)))
    assert all(one == ledger.get(one.id) for batch in batches for one in batch)
    assert ledger.verify() == 12 + 24


def _refuses(act: Callable[[], object], error: type[Exception]) -> None:
    try:
        act()
    except error:
        return
    raise AssertionError(f"no {error.__name__} was raised")


CASES: tuple[Callable[[Factory], None], ...] = (
    empty_verifies,
    appended_is_read_back,
    identity_is_content,
    again_is_returned,
    all_or_none,
    reading_filters,
    reading_while_appending,
    bodies_are_kept_apart,
    got_by_id,
    threads_take_turns,
)
