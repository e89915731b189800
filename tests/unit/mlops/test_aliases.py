from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import DataError, UsageError
from headwater.core.ports import Entry
from headwater.mlops.aliases import AliasChange, Aliases
from headwater.testing.memory_ledger import MemoryLedger


def day(number: float) -> datetime:
    return datetime(2013, 7, 1, tzinfo=UTC) + timedelta(days=number - 1)


def change(version: str | None, valid: float, known: float | None = None, **more: Any) -> AliasChange:
    known = valid if known is None else known
    return AliasChange(model="delay", version=version, valid_from=day(valid), known_at=day(known), **more)


def held(*changes: AliasChange) -> Aliases:
    ledger = MemoryLedger()
    ledger.append([Entry("event", "noise", {}, day(1))])
    ledger.append([made.entry() for made in changes])
    return Aliases.of(ledger.read())


def version(aliases: Aliases, as_of: float | None = None, known: float | None = None, **more: Any) -> str | None:
    found = aliases.champion(
        "delay", as_of=None if as_of is None else day(as_of), known_at=None if known is None else day(known), **more
    )
    return None if found is None else found.version


def test_who_was_champion_when() -> None:
    aliases = held(change("1", 1), change("2", 5), change("3", 9))
    assert [version(aliases, n) for n in (0.9, 1, 4.99, 5, 8, 9, 20)] == [None, "1", "1", "2", "2", "3", "3"]
    assert version(aliases) == "3"


def test_a_release_told_late_and_what_was_known_before() -> None:
    aliases = held(change("1", 1), change("2", 3, known=6))
    assert version(aliases, 4) == "2"
    assert version(aliases, 4, known=5.9) == "1"
    assert version(aliases, 4, known=6) == "2"
    assert version(aliases, 4, known=0.5) is None


def test_a_correction_holds_up_to_the_next_known_change() -> None:
    aliases = held(change("1", 1), change("2", 5), change("9", 3, known=7))
    assert [version(aliases, n) for n in (2, 3, 4, 5, 8)] == ["1", "9", "9", "2", "2"]
    assert [version(aliases, n, known=6) for n in (2, 3, 4, 5, 8)] == ["1", "1", "1", "2", "2"]


def test_of_two_statements_for_one_instant_the_last_told_holds() -> None:
    aliases = held(change("1", 1), change("2", 1, known=2), change("3", 1, known=2, reason="typo"))
    assert version(aliases, 1) == "3"
    assert version(aliases, 1, known=1.5) == "1"


def test_an_alias_can_be_taken_away_and_given_again() -> None:
    aliases = held(change("1", 1), change(None, 3), change("1", 5))
    assert [version(aliases, n) for n in (2, 3, 4, 5)] == ["1", None, None, "1"]


def test_aliases_and_models_are_apart() -> None:
    aliases = held(change("1", 1), change("2", 2, alias="shadow"))
    assert version(aliases) == "1"
    assert version(aliases, alias="shadow") == "2"
    assert aliases.champion("other") is None
    assert aliases.models() == ["delay"]


def test_history_is_told_in_the_order_it_became_known() -> None:
    aliases = held(
        change("2", 5, by="ann", reason="better", displacement=0.02),
        change("1", 1, known=9),
        change("s", 2, alias="shadow"),
    )
    assert [made.version for made in aliases.history("delay")] == ["s", "2", "1"]
    told = aliases.history("delay", "champion")[0]
    assert (told.by, told.reason, told.displacement, told.known_at) == ("ann", "better", 0.02, day(5))
    assert len(told.record) == 64
    assert aliases.history("other") == []


def test_folding_one_by_one_is_folding_at_once() -> None:
    ledger = MemoryLedger()
    ledger.append([change("1", 1).entry(), Entry("event", "noise", {}, day(1)), change("2", 3, known=6).entry()])
    aliases = Aliases()
    for record in ledger.read():
        aliases.add(record)
    assert aliases.history("delay") == Aliases.of(ledger.read()).history("delay") != []


def test_times_in_any_zone_but_never_without() -> None:
    aliases = held(change("1", 1))
    there = timezone(timedelta(hours=-4))
    assert aliases.champion("delay", as_of=datetime(2013, 6, 30, 20, tzinfo=there)) is not None
    assert aliases.champion("delay", as_of=datetime(2013, 6, 30, 19, 59, tzinfo=there)) is None
    with pytest.raises(UsageError, match="no zone"):
        aliases.champion("delay", as_of=datetime(2013, 7, 1))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "delay", "version": "1"},
        {"model": "delay", "version": "1", "valid_from": "soon"},
        {"model": "delay", "version": "1", "valid_from": "2013-07-01T00:00:00"},
        {"model": "delay", "version": "1", "valid_from": None},
    ],
)
def test_a_broken_record_is_a_clear_error(body: dict[str, Any]) -> None:
    ledger = MemoryLedger()
    ledger.append([Entry("alias", "delay", body, day(1))])
    with pytest.raises(DataError, match="record 1 is not an alias record"):
        Aliases.of(ledger.read())


statements = st.lists(st.tuples(st.sampled_from(["1", "2", None]), st.integers(1, 6), st.integers(1, 6)), max_size=8)


@given(made=statements, as_of=st.integers(0, 7), known=st.integers(0, 7))
def test_it_agrees_with_the_definition(made: list[tuple[str | None, int, int]], as_of: int, known: int) -> None:
    aliases = Aliases(change(version, valid, told) for version, valid, told in made)
    candidates = [
        (valid, told, place, version)
        for place, (version, valid, told) in enumerate(made)
        if valid <= as_of and told <= known
    ]
    expected = max(candidates, key=lambda row: row[:3])[3] if candidates else None
    assert version(aliases, as_of, known) == expected
