"""Simple detectives on scenes that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import UnknownName, UsageError
from headwater.core.windows import Calendar
from headwater.testing.silent_failures.detectives import (
    DETECTIVES,
    Scene,
    answered,
    detective,
    most_drifted,
    nearest_change,
    upstream_most,
)
from unit.testing.silent_failures.shop_entry import ENTRY

CALENDAR = Calendar("1h")
RUNS = [f"2024-01-11T{hour:02d}" for hour in range(24)]
BEFORE, DURING = tuple(RUNS[:20]), tuple(RUNS[20:])


def scene(shifted: str = "amount", metrics=None, changes=()) -> Scene:
    project = ENTRY.build()
    model = project.models["refund"]
    chance = np.random.default_rng(1)

    def rows(asset: str, key: str) -> pl.DataFrame | None:
        names = {"raw_sessions": ["pages"], "sessions": ["pages"], "visits": ["pages"]}.get(asset, ["amount"])
        if asset == "refund_features":
            names = list(model.columns)
        off = {name: 5.0 if name == shifted and key >= DURING[0] else 0.0 for name in names}
        return pl.DataFrame({name: chance.normal(off[name], 1, 50) for name in names})

    return Scene(
        case="made/up", assets={asset.name: asset for asset in project.ordered()}, model=model, calendar=CALENDAR,
        before=BEFORE, during=DURING, subject=project.ref, side=lambda subject: "data", rows=rows,
        metrics=metrics or (lambda asset: {}), changes=tuple(changes),
    )  # fmt: skip


@pytest.mark.parametrize("name", list(DETECTIVES))
def test_every_detective_ranks_every_asset_once(name: str) -> None:
    ranked = list(DETECTIVES[name](scene()))
    assert sorted(ranked) == sorted(f"dataset:shop/{asset}" for asset in scene().assets)
    assert ranked == list(DETECTIVES[name](scene()))


def test_the_change_at_the_onset_comes_before_a_later_one() -> None:
    made = scene(changes=[("visits", DURING[2]), ("basket", DURING[0])])
    assert nearest_change(made)[:2] == ["dataset:shop/basket", "dataset:shop/visits"]


@pytest.mark.parametrize(("column", "source"), [("amount", "raw_orders"), ("pages", "raw_sessions")])
def test_the_source_of_the_feature_that_drifted_is_blamed(column: str, source: str) -> None:
    assert most_drifted(scene(column))[0] == f"dataset:shop/{source}"


def test_the_upstream_most_of_what_is_off_is_blamed() -> None:
    made = scene()

    def metrics(asset: str) -> dict[str, dict[str, float]]:
        off = {"sessions": 40.0, "visits": 90.0}.get(asset, 0.0)
        shifts = {run: off if run in DURING else 0.0 for run in RUNS}
        return {made.own(asset, run): {"rows": 100 + at % 5 + shifts[run]} for at, run in enumerate(RUNS)}

    assert upstream_most(replace(made, metrics=metrics))[0] == "dataset:shop/sessions"


def test_detectives_of_ones_own_are_found_by_module_and_attribute() -> None:
    found = detective("headwater.testing.silent_failures.detectives:nearest_change")
    assert found is nearest_change
    with pytest.raises(UnknownName, match="holmes"):
        detective("holmes")
    with pytest.raises(UsageError, match="cannot be loaded"):
        detective("headwater.testing:holmes")


def test_an_answer_is_a_list_of_who_is_in_the_scene_each_once() -> None:
    here = scene()
    good = ("dataset:shop/basket", "deployment:shop/refund", "model:shop/refund", "dataset:shop/refund_predictions")
    assert answered("mine", iter(good), here) == list(good) and answered("mine", [], here) == []


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("dataset:shop/basket", "a str, not a list"),
        (None, "a NoneType, not a list"),
        ({"dataset:shop/basket": 0.9}, "a dict, not a list"),
        ([3], "a int in its list"),
        (["dataset:shop/basket", "dataset:shop/basket"], "`dataset:shop/basket` twice"),
        (["basket"], "asset `basket` is not in the scene"),
        (["dataset:shop/baskets"], "asset `dataset:shop/baskets` is not in the scene"),
    ],
)
def test_any_other_answer_is_told_with_detective_and_case(told: object, says: str) -> None:
    with pytest.raises(UsageError, match="detective `mine`") as found:
        answered("mine", told, scene())
    assert says in found.value.message and "made/up" in found.value.message and found.value.hint
