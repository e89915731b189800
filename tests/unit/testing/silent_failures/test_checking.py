"""An entry is checked before it is played: each mistake is told with its place and a way out."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from headwater.core.errors import HeadwaterError, OutsideError, ProjectInvalid, UnknownName, UsageError
from headwater.core.project import Project
from headwater.testing.silent_failures import pipelines
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.checking import check
from headwater.testing.silent_failures.doors import TeamDoors, World, opened
from headwater.testing.silent_failures.entry import Entry, Fault
from headwater.testing.silent_failures.pipelines import landing, wide
from unit.testing.silent_failures.shop_entry import ENTRY as SHORT
from unit.testing.silent_failures.shop_entry import build, returning

ENTRY = replace(
    SHORT,
    history=("2024-01-07T00", "2024-01-11T03"),
    live=("2024-01-11T04", "2024-01-12T14"),
    onsets=("2024-01-11T20",),
    worlds=(Fault("sales", "covariate", "", "", frozenset({"none"}), plant.covariate("raw_orders", "amount")),),
    storms=("2024-01-11T18",),
)
CENTS, BASKET, _ = ENTRY.faults
REFACTOR = ENTRY.decoys[0]


def told(entry: Entry) -> HeadwaterError:
    with pytest.raises(UsageError) as found:
        check(entry)
    assert found.value.doing and found.value.hint
    return found.value


def fault(**changes: Any) -> Entry:
    return replace(ENTRY, faults=(replace(CENTS, **changes), BASKET))


def test_an_entry_that_fits_together_gives_its_project() -> None:
    assert check(ENTRY).name == "shop"


@pytest.mark.parametrize("name", pipelines.NAMES)
def test_the_pipelines_that_come_along_pass(name: str) -> None:
    try:
        check(pipelines.load(name))
    except OutsideError:
        assert not os.environ.get(landing.VARIABLE) or name in ("hotel", "taxi")
        pytest.skip(f"{landing.VARIABLE} names no folder with the data of {name}")


def test_a_wide_lineage_passes() -> None:
    check(wide.WIDE_500)


# --- names and references ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("twin", [{"faults": (CENTS, CENTS)}, {"decoys": (REFACTOR, replace(REFACTOR, name="cents"))}])
def test_a_name_is_there_once(twin: dict[str, Any]) -> None:
    error = told(replace(ENTRY, **twin))
    assert "`cents` is" in error.message and "`faults`" in error.message


@pytest.mark.parametrize(
    "entry",
    [
        fault(asset="dataset:shop/raw_oders"),
        fault(accepted=frozenset({"dataset:shop/raw_oders"})),
        replace(ENTRY, decoys=(replace(REFACTOR, asset="dataset:shop/raw_oders"),)),
    ],
)
def test_who_is_not_in_the_project_is_told_with_who_is(entry: Entry) -> None:
    error = told(entry)
    assert isinstance(error, UnknownName) and "`dataset:shop/raw_oders` is not in project `shop`" in error.message
    assert "did you mean `dataset:shop/raw_orders`" in str(error.hint)
    assert "`cents`" in str(error.doing) or "`refactor_visits`" in str(error.doing)


def test_model_and_deployment_can_be_named() -> None:
    check(fault(accepted=frozenset({"model:shop/refund", "deployment:shop/refund"})))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (fault(asset=""), "names no asset"),
        (fault(side=""), "has the side ``"),
        (fault(side="ops"), "has the side `ops`"),
        (fault(side="ml"), "has the side `ml`, and `dataset:shop/raw_orders` is of side `data`"),
        (fault(kind="concept"), "of which no asset is guilty"),
        (fault(remedies=frozenset()), "no set of remedies"),
        (fault(remedies=frozenset({"repare"})), "remedy `repare`"),
        (fault(shapes=("sudden",)), "shape `sudden`"),
        (fault(shapes="abrupt"), "shapes` of `cents` is text"),
        (fault(accepted="dataset:shop/orders"), "`accepted` of `cents` is text"),
        (fault(plant=None), "`plant` of `cents` is a NoneType"),
        (replace(ENTRY, worlds=(replace(ENTRY.worlds[0], asset="dataset:shop/orders"),)), "world `sales` blames"),
        (replace(ENTRY, worlds=(replace(ENTRY.worlds[0], kind="unit"),)), "world `sales` is a `unit`"),
        (replace(ENTRY, decoys=(replace(REFACTOR, kind="rename"),)), "kind `rename`"),  # type: ignore[arg-type]
        (replace(ENTRY, faults=()), "`faults` is empty"),
        (replace(ENTRY, faults=CENTS), "`faults` is a Fault, not a tuple"),  # type: ignore[arg-type]
        (replace(ENTRY, faults=(REFACTOR,)), "`faults` holds a Decoy"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_a_fault_is_told(entry: Entry, says: str) -> None:
    assert says in told(entry).message


def test_a_project_has_one_model() -> None:
    assert "0 models" in told(replace(ENTRY, build=lambda: Project("bare"))).message
    assert "not a Project" in told(replace(ENTRY, build=lambda: None)).message  # type: ignore[arg-type,return-value]
    with pytest.raises(ProjectInvalid, match="ZeroDivisionError"):
        check(replace(ENTRY, build=lambda: 1 / 0))  # type: ignore[arg-type,return-value]


# --- windows ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"history": ("2024-01-07", "2024-01-11T03")}, "`2024-01-07` is not a window"),
        ({"history": ("2024-01-07T00",)}, "`history` is ("),
        ({"live": ("2024-01-12T14", "2024-01-11T04")}, "before it begins"),
        ({"live": ("2024-01-11T03", "2024-01-12T14")}, "`history` ends at 2024-01-11T03"),
        ({"onsets": ()}, "`onsets` is empty"),
        ({"onsets": "2024-01-11T20"}, "`onsets` is a str"),
        ({"onsets": ("2024-01-11 20",)}, "`2024-01-11 20` is not a window"),
        ({"onsets": ("2024-01-13T20",)}, "is no live window"),
        ({"onsets": ("2024-01-11T20", "2024-01-11T20")}, "is twice in `onsets`"),
        ({"onsets": ("2024-01-11T21", "2024-01-11T20")}, "comes after"),
        ({"onsets": ("2024-01-11T18",)}, "has 14 live windows before it, and 15 are needed"),
        ({"onsets": ("2024-01-12T08",)}, "has 7 live windows from it on, and 8 are needed"),
        ({"storms": ("2024-01-09T18",)}, "2024-01-09T18 in `storms` is no live window"),
    ],
)
def test_windows_are_in_order_and_leave_room(changes: dict[str, Any], says: str) -> None:
    assert says in told(replace(ENTRY, **changes)).message


def test_the_outermost_onsets_have_just_room() -> None:
    check(replace(ENTRY, onsets=("2024-01-11T19", "2024-01-12T07")))


# --- doors ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("begin", "says", "hint"),
    [
        (plant.unit("raw_oders", "amount", lambda x: x), "raw_oders", "raw_orders"),
        (plant.changed_code("baskets"), "baskets", "basket"),
        (plant.unit("basket", "amount", lambda x: x), "`basket` is made by code", "changed_code"),
        (
            plant.together(plant.partial("raw_orders"), plant.partial("orders")),
            "`orders` is made by code",
            "doors.code",
        ),
        (lambda doors: None, "cannot be planted: TypeError", "`plant`"),
    ],
)
def test_a_door_that_leads_nowhere_is_told_before_anything_is_played(begin: Any, says: str, hint: str) -> None:
    error = told(fault(plant=begin))
    assert says in error.message and hint in str(error.hint) and "`cents`" in str(error.doing)


def foreign() -> Project:
    project = build()
    project.source(lambda window: None, name="ledger", parents=["raw_orders"], layer="staged")
    return project


def test_a_job_elsewhere_has_no_feed_to_change() -> None:
    error = told(replace(fault(plant=plant.partial("ledger")), build=foreign))
    assert "source `ledger` cannot be changed: its layer is `staged`" in error.message
    project, truth = opened(foreign())

    class Here:
        pass

    here = Here()
    here.project = project  # type: ignore[attr-defined]
    doors = TeamDoors(here, World(truth), ENTRY.history)
    with pytest.raises(UsageError, match="its layer is `staged`"):
        doors.feed("ledger", lambda frame, window: frame)


# --- frames -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["raw_orders", "basket"])
def test_a_function_that_returns_no_polars_frame_is_found(name: str) -> None:
    error = told(returning(name, lambda frame: frame.to_pandas(), ENTRY))
    assert f"`{name}` returned a pandas DataFrame" in error.message and "from_pandas" in str(error.hint)
    assert "a polars LazyFrame" in told(returning(name, lambda frame: frame.lazy(), ENTRY)).message


def test_a_window_in_which_nothing_lands_or_a_function_fails_is_no_matter_of_the_check() -> None:
    check(returning("raw_orders", lambda frame: None, ENTRY))
    check(returning("basket", lambda frame: 1 / 0, ENTRY))
