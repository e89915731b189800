from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headwater.core.canonical import digest
from headwater.core.chain import GENESIS, Head, Row, check, content_id, link, record, written
from headwater.core.errors import DataError, LedgerBroken
from headwater.core.ports import Entry

TIME = datetime(2013, 7, 1, tzinfo=UTC)


def rows(count: int) -> list[Row]:
    made: list[Row] = []
    for seq in range(1, count + 1):
        record_id, time, body = written(Entry("event", "s", {"n": seq}, TIME))
        made.append(
            Row(seq, record_id, "event", "s", time, body, link(made[-1].hash if made else GENESIS, record_id, seq))
        )
    return made


@pytest.mark.parametrize("text", ["plain", 'quo"ted\\', "é🛰", "\x00\n\x7f", ""])
def test_the_id_is_the_digest_of_the_content(text: str) -> None:
    entry = Entry(text, text, {text: [text, 1.0, None]}, TIME)
    record_id, time, body = written(entry)
    assert record_id == digest({"kind": text, "subject": text, "time": TIME, "body": entry.body})
    assert record_id == content_id(text, text, time, body)


def test_a_row_is_read_back() -> None:
    [row] = rows(1)
    assert record(row).body == {"n": 1} and record(row).time == TIME


@pytest.mark.parametrize("change", [{"body": "{"}, {"time": "yesterday"}])
def test_a_row_that_cannot_be_read_is_named(change: dict[str, str]) -> None:
    with pytest.raises(LedgerBroken, match="record 1 "):
        record(rows(1)[0]._replace(**change))


def test_what_is_not_plain_is_refused_by_name() -> None:
    deep: dict[str, object] = {}
    deep["deep"] = deep
    for bad in ({"a": object()}, {"a": "\ud800"}, deep):
        with pytest.raises(DataError):
            written(Entry("event", "dataset:nyc/a", bad, TIME))


def test_check_counts_and_knows_the_head() -> None:
    sound = rows(5)
    assert (
        check(sound, Head(0, GENESIS))
        == check(sound, Head(3, sound[2].hash))
        == check(sound, Head(5, sound[4].hash))
        == 5
    )
    with pytest.raises(LedgerBroken, match=r"record 6 .*there were 7"):
        check(sound, Head(7, "a"))
    with pytest.raises(LedgerBroken, match="record 3 "):
        check(sound, Head(3, "a"))
    with pytest.raises(LedgerBroken, match="record 2 "):
        check([sound[0], *sound[2:]], Head(0, GENESIS))
