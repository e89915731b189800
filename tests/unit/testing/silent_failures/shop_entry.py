"""The web shop as an entry: small enough to play in a test, with a fault of each sort."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from headwater.core.project import Project
from headwater.testing import webshop
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.entry import Entry, Fault, Plant
from headwater.testing.silent_failures.kinds import KINDS

SERVER = "deployment:shop/refund"


def build() -> Project:
    return webshop.build(5)


def fault(name: str, kind: str, asset: str, begin: Plant) -> Fault:
    what = KINDS[kind]
    ref = asset if ":" in asset or not asset else f"dataset:shop/{asset}"
    return Fault(name, kind, ref, what.side, what.remedies, begin)


ENTRY = Entry(
    name="shop",
    build=build,
    history=("2024-01-07T00", "2024-01-11T16"),
    live=("2024-01-11T17", "2024-01-12T14"),
    onsets=("2024-01-11T20",),
    faults=(
        fault("cents", "scale_currency", "raw_orders", plant.scale_currency("raw_orders", "amount", 100.0)),
        fault("basket_inner", "inner_for_left", "basket",
              plant.inner_for_left("basket", "orders", "raw_products", "product_id")),
        fault("no_calibrator", "missing_calibrator", SERVER, plant.missing_calibrator()),
    ),
    decoys=(
        plant.refactor("visits", "dataset:shop/visits"),
        plant.reorder("raw_sessions", "dataset:shop/raw_sessions"),
        plant.added_column("raw_customers", "dataset:shop/raw_customers"),
    ),
)  # fmt: skip


def returning(name: str, made: Callable[[Any], Any], entry: Entry = ENTRY) -> Entry:
    """An entry in which a function's frame becomes something else."""

    def altered() -> Project:
        project = build()
        function = project.functions[name]
        if project.assets[name].recomputable:
            project.functions[name] = Then(function, made)
        else:
            project.functions[name] = lambda window: made(function(window))
        return project

    return replace(entry, build=altered)


class Then:
    """A function with something done to what it returns."""

    def __init__(self, function: Any, made: Any) -> None:
        self.function, self.made = function, made
        self.__signature__ = inspect.signature(function)

    def __call__(self, *given: Any) -> Any:
        return self.made(self.function(*given))
