"""Which cases are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.testing.silent_failures.cases import CONTROLS, FULL, QUICK, plan, quiet_runs
from headwater.testing.silent_failures.kinds import KINDS
from headwater.testing.silent_failures.pipelines import load

FLIGHTS = load("flights")


@pytest.mark.parametrize("size", [FULL, QUICK], ids=["full", "quick"])
def test_a_draw_is_repeated_by_its_seed_and_changed_by_another(size) -> None:
    assert plan(FLIGHTS, size, 1) == plan(FLIGHTS, size, 1)
    assert plan(FLIGHTS, size, 1) != plan(FLIGHTS, size, 2)
    names = [case.name for case in plan(FLIGHTS, size)]
    assert len(names) == len(set(names))


def test_the_full_draw_is_as_the_design_wants_it() -> None:
    cases = plan(FLIGHTS, FULL)
    faults = [case for case in cases if case.role == "fault"]
    doubles = [case for case in cases if case.role == "double"]
    controls = [case for case in cases if case.role in CONTROLS]
    quiet = quiet_runs(FLIGHTS, FULL)
    assert len(controls) + len(quiet) >= 0.4 * (len(cases) + len(quiet))
    assert len(controls) >= 0.2 * (len(cases) - len(controls))
    assert len(doubles) == pytest.approx(0.1 * len(faults), abs=1)
    assert sum(bool(case.decoys) for case in faults) > 0.8 * len(faults)
    assert {case.onset for case in faults} == set(FLIGHTS.onsets)
    assert {case.shape for case in faults} == {"abrupt", "gradual", "intermittent"}
    assert {kind for case in faults for kind in [fault.kind for fault in FLIGHTS.faults if fault.name in case.faults]} \
        == {fault.kind for fault in FLIGHTS.faults}  # fmt: skip


def test_no_harmless_change_stands_where_the_fault_does() -> None:
    assets = {fault.name: fault.asset for fault in FLIGHTS.faults} | {
        decoy.name: decoy.asset for decoy in FLIGHTS.decoys
    }
    for case in plan(FLIGHTS, FULL):
        hit = {assets[name] for name in case.faults if name in assets}
        assert not hit & {assets[name] for name, _ in case.decoys}


def test_two_faults_are_of_two_groups_and_assets() -> None:
    faults = {fault.name: fault for fault in FLIGHTS.faults}
    for case in plan(FLIGHTS, FULL):
        if case.role == "double":
            one, other = (faults[name] for name in case.faults)
            assert one.asset != other.asset and KINDS[one.kind].group != KINDS[other.kind].group


def test_a_shape_is_one_that_the_kind_can_have() -> None:
    kinds = {fault.name: KINDS[fault.kind] for fault in (*FLIGHTS.faults, *FLIGHTS.worlds)}
    for case in plan(FLIGHTS, replace(FULL, rounds=12)):
        assert all(case.shape in kinds[name].shapes for name in case.faults)


def test_a_small_draw_takes_turns_among_the_kinds() -> None:
    faults = {fault.name: fault.kind for fault in FLIGHTS.faults}
    cases = [case for case in plan(FLIGHTS, QUICK) if case.role == "fault"]
    kinds = [faults[case.faults[0]] for case in cases]
    assert len(cases) == QUICK.faults and len(set(kinds)) == len(kinds)
