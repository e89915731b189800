"""Cases of the shop played for real: in forks of one clean past, through doors, to their verdicts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headwater.app.bench import InMemory
from headwater.core.errors import UsageError
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.cases import Planned
from headwater.testing.silent_failures.doors import opened
from headwater.testing.silent_failures.playing import Played, Stage, live, play
from headwater.testing.silent_failures.scoring import score, without_effect
from unit.testing.silent_failures.shop_entry import ENTRY, returning

ONSET = ENTRY.onsets[0]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    project, truth = opened(ENTRY.build())
    workspaces = InMemory(project, tmp_path_factory.mktemp("shop"))
    yield Stage.of(ENTRY, live(ENTRY, workspaces, ENTRY.onsets, 3), workspaces, truth)


def case(*faults: str, decoys: Any = (), role: Any = "fault", windows: int = 3, **more: Any) -> Planned:
    return Planned("shop/case", "shop", role, ONSET, windows, faults, decoys, seed=5, **more)


def told(played: Played) -> list[tuple[str, str, str]]:
    return [(item.run, item.status, item.subject) for item in played.told]


def test_the_clean_past_blames_nobody(stage: Stage) -> None:
    assert stage.past.runs[0] == ENTRY.live[0] and stage.past.runs[-1] > ONSET
    assert not [item for item in stage.past.told if item.status == "named"]


@pytest.mark.parametrize("name", [fault.name for fault in ENTRY.faults])
def test_a_fault_is_played_until_its_verdict_stands(stage: Stage, name: str) -> None:
    played = play(stage, case(name, decoys=(("refactor_visits", 0),)))
    one = score(ENTRY, played, "T3", 20)
    assert not played.error and one.top1 and one.delay == 0
    assert len(played.runs) == 2, "the same verdict twice settles it"
    assert played.effect.level in ("S2", "S3")
    assert set(played.tiers) >= {"T1", "T2"}


def test_a_case_leaves_no_trace_in_the_next(stage: Stage) -> None:
    first = play(stage, case("cents"))
    assert told(play(stage, case(role="decoy", decoys=(("refactor_visits", 0), ("reorder_raw_sessions", 1))))) == []
    again = play(stage, case("cents"))
    assert told(again) == told(first) and again.effect == first.effect


def test_what_a_fork_learns_for_the_next_does_not_change_a_verdict(stage: Stage) -> None:
    fresh = copy.deepcopy(stage.past.standings[ONSET])
    fresh.references.clear()
    one = play(stage, case("cents"))
    assert stage.past.standings[ONSET].references["raw_orders"]
    past = replace(stage.past, standings={ONSET: fresh})
    other = play(replace(stage, past=past), case("cents"))
    assert [(item.subject, item.confidence, item.suspects) for item in one.told] == [
        (item.subject, item.confidence, item.suspects) for item in other.told
    ]


def test_nothing_planted_is_the_clean_past_again(stage: Stage) -> None:
    played = play(stage, case(role="decoy", decoys=()))
    assert played.effect.size == 0 and played.opened == {}


def test_a_mild_fault_does_less(stage: Stage) -> None:
    hard, mild = (play(stage, case("cents", severity=severity)).effect.size for severity in (1.0, 0.2))
    assert 0 < mild < hard


def planted(stage: Stage, begin: Any) -> Played:
    """Play a fault of one's own."""
    entry = replace(ENTRY, faults=(replace(ENTRY.faults[0], name="mine", plant=begin),))
    return play(replace(stage, entry=entry), case("mine", windows=2))


def test_a_column_that_a_change_of_a_feed_asks_for_in_vain_is_the_entrys_own_error(stage: Stage) -> None:
    own = plant.changed_feed("raw_orders", lambda frame, *_: frame.with_columns(pl.col("amuont") * 2))
    other = plant.changed_feed("raw_orders", lambda frame, *_: frame.filter(frame["amuont"] > 2))
    for begin in (plant.unit("raw_orders", "amuont", lambda amount: amount * 2), own, other):
        played = planted(stage, begin)
        first = played.error.splitlines()[0]
        assert "fault `mine`" in first and ONSET in first and "`raw_orders`" in first and "no column `amuont`" in first
        assert "did you mean `amount`" in played.error and played.told == []


def test_whatever_else_a_change_of_a_feed_raises_is_told_of_its_fault_and_window(stage: Stage) -> None:
    lazy = planted(stage, plant.changed_feed("raw_orders", lambda frame, *_: frame.lazy()))
    assert "fault `mine`" in lazy.error and "returned a LazyFrame" in lazy.error
    late = planted(stage, lambda doors, draw: 1 / 0)
    assert f"fault `mine` cannot be planted at {ONSET}: ZeroDivisionError" in late.error


def test_a_ready_made_plant_that_fails_is_not_laid_to_the_entrys_own_code(stage: Stage) -> None:
    typed = planted(stage, plant.unit("raw_orders", "customer_id", lambda amount: amount))
    assert "a ready-made plant that failed" in typed.error and "mend it" not in typed.error
    own = planted(
        stage, plant.changed_feed("raw_orders", lambda frame, *_: frame.select(pl.col("amount").str.len_chars()))
    )
    given = planted(stage, plant.duplicated_load("raw_orders", rekey=lambda copies: 1 / 0))
    for played in (own, given):
        assert "the entry's own code: mend it" in played.error and "ready-made" not in played.error


@pytest.mark.parametrize(
    ("name", "made", "says"),
    [
        ("raw_orders", lambda frame: frame.to_pandas(), "a pandas DataFrame, not a polars DataFrame"),
        ("raw_orders", lambda frame: None, "nothing has landed from `raw_orders`"),
        ("basket", lambda frame: frame.to_pandas(), "a pandas DataFrame, not a polars DataFrame"),
        ("basket", lambda frame: frame["amuont"], "amuont"),
    ],
)
def test_history_that_is_not_delivered_names_asset_window_and_cause(tmp_path, name: str, made: Any, says: str) -> None:
    entry = returning(name, made)
    workspaces = InMemory(opened(entry.build())[0], tmp_path)
    with pytest.raises(UsageError) as found:
        live(entry, workspaces, entry.onsets, 3)
    assert f"`{name}` is not delivered in history {'..'.join(entry.history)}" in found.value.message
    assert says in found.value.message and "pipeline `shop`" in str(found.value.doing) and found.value.hint
    assert "from_pandas" in str(found.value.hint) or "pandas" not in says
    assert "so is not" in found.value.message, "what reads it is held up"


def test_code_that_fails_is_not_silent(stage: Stage) -> None:
    fault = replace(ENTRY.faults[1], plant=plant.filter_bug("basket", "orders", pl.col("amuont") < 8))
    entry = replace(ENTRY, faults=(fault,))
    played = play(replace(stage, entry=entry), case("basket_inner", windows=2))
    assert not played.error and "fault `basket_inner` is not silent" in played.loud
    assert ONSET in played.loud and "amuont" in played.loud
    assert play(stage, case("basket_inner", windows=2)).loud == ""


def test_a_feed_that_does_not_come_is_no_error_of_the_entry(stage: Stage) -> None:
    assert planted(stage, plant.late_partition("raw_orders")).error == ""


def test_a_fault_that_does_nothing_is_named(stage: Stage) -> None:
    idle = planted(stage, plant.changed_feed("raw_orders", lambda frame, *_: frame.with_columns(nobody=pl.lit(1))))
    assert not idle.error and idle.effect.size == 0 and idle.effect.level == "S0"
    assert without_effect([idle, idle, play(stage, case("cents"))]) == {"mine": 2}
