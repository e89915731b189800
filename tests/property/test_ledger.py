from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.adapters.sqlite_ledger import SqliteLedger
from headwater.core.ports import Entry
from headwater.testing.memory_ledger import MemoryLedger

names = st.sampled_from(["a", "b", "c'; DROP TABLE entries; --", "\x00", "é"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
bodies = st.dictionaries(
    st.text(),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)),
    max_size=3,
)
times = st.datetimes(
    datetime(1, 1, 3), datetime(9999, 12, 28), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])
)
entries = st.builds(Entry, kind=names, subject=names, body=bodies | st.just({"same": 1}), time=times)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(entries, max_size=4), max_size=6), repeat=st.randoms(use_true_random=False))
def test_any_sequence_of_appends_reads_the_same_from_both(batches: list[list[Entry]], repeat: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = MemoryLedger()
        path = Path(folder) / "ledger.db"
        known: list[Entry] = []
        for batch in batches:
            if known:
                batch = [*batch, repeat.choice(known)]  # type: ignore[attr-defined]
            stored = SqliteLedger(path)  # reopened each time
            appended = stored.append(batch)
            assert appended == memory.append(batch)
            for entry, record in zip(batch, appended, strict=True):
                assert (record.kind, record.subject, record.body, record.time) == (
                    entry.kind,
                    entry.subject,
                    entry.body,
                    entry.time,
                )
            known += batch
            stored.close()
        stored = SqliteLedger(path)
        assert list(stored.read()) == list(memory.read())
        for kind in ("a", "\x00", "é"):
            assert list(stored.read(kind=kind, subject="b")) == list(memory.read(kind=kind, subject="b"))
        assert stored.verify() == memory.verify() == len({record.id for record in memory.read()})
        stored.close()
