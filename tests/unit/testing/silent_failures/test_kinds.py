"""The 37 kinds, and which of them nothing may be fitted on."""

from __future__ import annotations

import pytest

from headwater.testing.silent_failures.entry import SHAPES
from headwater.testing.silent_failures.kinds import GROUPS, HELD_OUT, KINDS

CODE = ("transform_code", "feature_code", "label_code", "scoring_code", "serving_features")


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


def test_a_bug_is_said_by_whose_code_it_is() -> None:
    for kind in KINDS.values():
        if kind.group == "transform":
            assert {word for word in CODE if kind.named_by(word)} == {"transform_code", "feature_code", "label_code"}
    assert not KINDS["wrong_window"].named_by("label_code")


def test_a_version_that_is_trained_wrongly_may_be_loaded_or_released() -> None:
    for kind in KINDS.values():
        assert kind.named_by("released_version") == (kind.group == "training"), kind.name
    assert KINDS["label_leak"].named_by("loaded_version")


def test_an_old_full_table_lacks_what_came_since_and_an_old_window_does_not() -> None:
    for name in ("frozen", "out_of_order_backfill"):
        assert KINDS[name].named_by("truncated", snapshot=True) and not KINDS[name].named_by("truncated")
        assert not KINDS[name].named_by("unit", snapshot=True)
