"""Scores of verdicts that are made up, so that each number can be counted by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from headwater.testing.silent_failures.cases import Planned, Size
from headwater.testing.silent_failures.detectives import Scene
from headwater.testing.silent_failures.effects import Effect
from headwater.testing.silent_failures.kinds import KINDS
from headwater.testing.silent_failures.playing import Past, Played, Told
from headwater.testing.silent_failures.scoring import ece, interval, quiet_cases, score, summary
from house.tree import ROOT
from unit.testing.silent_failures.shop_entry import ENTRY

RUNS = ["2024-01-11T20", "2024-01-11T21"]
ORDERS, BASKET = "dataset:shop/raw_orders", "dataset:shop/basket"


def told(subject: str = ORDERS, status: str = "named", **changes) -> Told:
    suspects = ((ORDERS, 0.8 if subject == ORDERS else 0.1, False), (BASKET, 0.1, False), ("dataset:shop/x", 0.0, True))
    said = Told(
        incident="incident:shop/1", run=RUNS[-1], status=status, subject=subject, fault="unit", side="data",
        confidence=0.9, action="repair", target=subject, automatic=False,
        suspects=suspects,
    )  # fmt: skip
    return replace(said, **changes)


def played(*said: Told, role="fault", faults=("cents",), effect=0.2, opened=RUNS[0]) -> Played:
    case = Planned("shop/cents", "shop", role, RUNS[0], 8, faults)
    names = {item.incident: opened for item in said}
    return Played(case, list(RUNS), names, list(said), {"T2": [], "T1": []}, Effect(displacement=effect), 1.0)


def scored(*said: Told, tier="T3", **how):
    return score(ENTRY, played(*said, **how), tier, 10)


def test_a_right_verdict_is_right_in_all_respects() -> None:
    one = scored(told())
    assert (one.top1, one.top3, one.side, one.kind, one.remedy) == (True,) * 5
    assert not one.harmful and one.delay == 0 and one.level == "S3" and one.headline
    assert one.surety == ((0.9, True),) and one.cleared == (2, 3) and one.chance == 0.1


@pytest.mark.parametrize(("source", "right"), [("raw_products", True), ("raw_orders", False)])
def test_only_a_full_table_that_is_stale_is_truncated_too(source: str, right: bool) -> None:
    ref = f"dataset:shop/{source}"
    entry = replace(ENTRY, faults=(replace(ENTRY.faults[0], kind="frozen", asset=ref),))
    one = score(entry, played(told(ref, fault="truncated")), "T3", 10)
    assert one.top1 and one.kind == right
    assert score(entry, played(told(ref, fault="frozen")), "T3", 10).kind


def test_a_wrong_verdict_harms_what_it_acts_on() -> None:
    one = scored(told(BASKET, action="rollback_code", automatic=True))
    assert not one.top1 and one.top3 and one.harmful and one.automatic and not one.remedy
    assert one.surety == ((0.9, False),)


def test_nothing_said_is_a_miss_without_harm() -> None:
    one = scored()
    assert not one.detected and one.delay is None and not one.top1 and not one.harmful and one.incidents == 0


def test_undetermined_is_no_answer_but_ranks() -> None:
    one = scored(told("", "undetermined", action="hold"))
    assert not one.top1 and one.top3 and not one.harmful and one.surety == ()


def test_an_act_that_came_before_the_last_word_counts_when_it_runs_by_itself() -> None:
    first = told(BASKET, run=RUNS[0], action="rollback_code", automatic=True)
    assert scored(first, told()).harmful
    assert not scored(replace(first, automatic=False), told()).harmful


def test_retraining_on_a_fault_is_harmful_and_on_a_changed_world_is_not() -> None:
    said = told("", "world", action="retrain")
    assert scored(said).harmful
    assert not scored(said, role="world", faults=()).harmful


def test_a_control_is_right_when_nobody_is_blamed() -> None:
    assert scored(role="decoy", faults=()).top1
    assert scored(told("", "world", action="hold"), role="decoy", faults=()).top1
    blamed = scored(told(), role="decoy", faults=())
    assert not blamed.top1 and blamed.harmful and blamed.level == ""


def test_a_gap_of_the_real_data_may_be_named_where_nothing_but_waiting_follows() -> None:
    entry = replace(ENTRY, gaps={ORDERS: (RUNS[0],)})
    waits = score(entry, played(told(action="hold"), role="clean", faults=()), "T3", 10)
    assert (waits.top1, waits.harmful, waits.incidents, waits.gaps, waits.surety) == (True, False, 0, 1, ())
    acts = score(entry, played(told(action="repair"), role="clean", faults=()), "T3", 10)
    assert (acts.top1, acts.harmful, acts.incidents, acts.gaps) == (False, True, 1, 0)
    elsewhere = score(entry, played(told(BASKET, action="hold"), role="clean", faults=()), "T3", 10)
    assert (elsewhere.harmful, elsewhere.gaps) == (True, 0)
    assert not score(entry, played(told(action="hold"), faults=("cents",)), "T3", 10).gaps


def test_both_of_two_faults_are_wanted() -> None:
    both = scored(told(), told(BASKET, incident="incident:shop/2"), role="double", faults=("cents", "basket_inner"))
    assert both.top1 and both.top3 and both.incidents == 2
    assert not scored(replace(told(), suspects=((ORDERS, 0.9, False),)), role="double",
                      faults=("cents", "basket_inner")).top3  # fmt: skip


def test_what_a_tier_does_not_see_is_not_scored_on_it() -> None:
    assert scored(told(), tier="T2").detected is False


def test_calibration_is_what_can_be_counted() -> None:
    assert ece([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0.0)
    assert ece([(1.0, False)] * 2 + [(0.5, True), (0.5, False)]) == pytest.approx(0.5)
    assert ece([]) is None


def test_intervals_take_kinds_as_they_stand_together() -> None:
    right, wrong = scored(told()), scored(told(BASKET))
    cases = [replace(right, kinds=("unit",))] * 50 + [replace(wrong, kinds=("partial",))] * 50
    assert interval(cases, lambda case: case.top1) == (0.0, 1.0)
    assert interval(cases[:50], lambda case: case.top1) is None


def test_a_summary_counts_headline_controls_and_noise_apart() -> None:
    weak = scored(effect=0.001)
    quiet = scored(role="decoy", faults=())
    noisy = scored(told("", "none", action="none"), role="decoy", faults=())
    answer = summary([scored(told()), scored(told(BASKET, action="rollback_code")), weak, quiet, noisy])
    assert answer["faults"] == 2 and answer["top1"] == 0.5 and answer["levels"]["S0"]["faults"] == 1
    assert answer["incidents_per_1000_clean"] == pytest.approx(250) and answer["incidents_per_fault"] == 1
    assert answer["harmful_act_rate"] == pytest.approx(0.2) and answer["controls"] == pytest.approx(0.4)
    assert answer["lift"] == pytest.approx(5.0)


def test_a_summary_of_nothing_says_nothing() -> None:
    assert summary([])["top1"] is None


def test_the_clean_past_is_cut_at_its_storms() -> None:
    storm = "2024-01-11T19"
    entry = replace(ENTRY, storms=(storm,))
    size = Size(onsets=1, windows=7)
    past = Past("shop", {}, None, [], [told(run=storm)])
    cases = quiet_cases(entry, past, size)
    assert [(case.case.role, case.case.onset, len(case.runs), len(case.told)) for case in cases] == [
        ("clean", "2024-01-11T17", 2, 0), ("storm", storm, 1, 1), ("clean", "2024-01-11T20", 7, 0),
    ]  # fmt: skip


def test_the_guide_says_what_every_score_kind_and_field_is() -> None:
    guide = (ROOT / "docs/guides/enter-silent-failures.md").read_text()
    named = [*summary([]), *(kind.name for kind in KINDS.values()), *(field.name for field in fields(Scene))]
    assert [name for name in named if f"`{name}`" not in guide and f"`{name}(" not in guide] == []
