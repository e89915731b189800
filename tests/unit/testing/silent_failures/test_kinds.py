"""The 37 kinds, and which of them nothing may be fitted on."""

from __future__ import annotations

import pytest

from headwater.testing.silent_failures.entry import SHAPES
from headwater.testing.silent_failures.kinds import GROUPS, HELD_OUT, KINDS


def test_there_are_37_kinds_in_the_groups_of_the_design() -> None:
    sizes = {group: sum(kind.group == group for kind in KINDS.values()) for group in GROUPS}
    assert sizes == {
        "ingestion": 6, "content": 6, "transform": 6, "feature": 5, "training": 3, "release": 3, "serving": 3,
        "labels": 3, "world": 2,
    }  # fmt: skip


def test_every_group_holds_kinds_out_and_keeps_most() -> None:
    for group in GROUPS:
        names = {kind.name for kind in KINDS.values() if kind.group == group}
        assert 1 <= len(names & HELD_OUT) <= len(names) / 2


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_kind_is_named_by_its_own_name_and_not_by_another_word(kind) -> None:
    assert kind.named_by(kind.name)
    assert not kind.named_by("undetermined")
    assert set(kind.shapes) <= set(SHAPES) and kind.remedies


def test_words_with_a_star_stand_for_any_end() -> None:
    assert KINDS["missing_calibrator"].named_by("loaded_calibrator")
    assert not KINDS["missing_calibrator"].named_by("unit")
