"""Code that is deployed over code."""

from __future__ import annotations

import inspect
from datetime import timedelta

import polars as pl
import pytest

from headwater.adapters.code_store import FileCodeStore
from headwater.core.project import arguments
from headwater.core.windows import Calendar
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.entry import Draw

CALENDAR = Calendar("1d", "UTC")
WINDOW = CALENDAR.window("2024-05-10")
ORDERS = pl.DataFrame({
    "id": [f"o{n}" for n in range(100)], "sku": [f"S{n % 10}" for n in range(100)],
    "amount": [float(n) for n in range(100)], "day": [WINDOW.start - timedelta(days=n % 4) for n in range(100)],
})  # fmt: skip
PRODUCTS = pl.DataFrame({"sku": [f"S{n}" for n in range(8)], "price": [float(n) for n in range(8)]})


def basket(orders, products):
    return orders.join(products, on="sku", how="left").sort("id")


def recent(orders, window):
    return orders.group_by("sku").agg(pl.col("amount").sum(), n=pl.len().cast(pl.Int64)).sort("sku")


def answers(parts, served):
    return pl.DataFrame({"p": served["amount"] / 100, "decision": (served["amount"] > 50).cast(pl.Int64)})


class Code:
    """Doors of which only the code is used."""

    def __init__(self, **functions) -> None:
        self.functions = functions

    def function(self, asset: str):
        return self.functions[asset]

    def code(self, asset: str, function) -> None:
        self.functions[asset] = function

    def run(self, asset: str, window=WINDOW, **frames):
        function = self.functions[asset]
        return function(*arguments(function, frames, list(frames), window))


def planted(begin, severity: float = 1.0, shape="abrupt") -> Code:
    code = Code(basket=basket, recent=recent, answers=answers)
    begin(code, Draw(11, severity, shape, WINDOW.key, CALENDAR))
    return code


ON_BASKET = {
    "join_key_case": plant.join_key_case("basket", "products", "sku"),
    "fan_out": plant.fan_out("basket", "products", "sku"),
    "inner_for_left": plant.inner_for_left("basket", "orders", "products", "sku"),
    "filter_bug": plant.filter_bug("basket", "orders", pl.col("amount") < 50),
    "parse_bug": plant.parse_bug("basket", "orders", "amount", lambda column: column // 10),
    "default_fill": plant.default_fill("basket", "price", 9.0),
    "off_by_one_entity": plant.off_by_one_entity("basket", ["price"]),
    "scale_mismatch": plant.scale_mismatch("basket", "amount", 60.0),
    "column_swap": plant.column_swap("basket", "amount", "price"),
    "stale_cache": plant.stale_cache("basket", ["price", "amount"], 0),
    "label_definition": plant.label_definition("basket", "amount", pl.col("amount") * 2),
    "label_join_loss": plant.label_join_loss("basket", "id"),
}


@pytest.mark.parametrize("begin", ON_BASKET.values(), ids=list(ON_BASKET))
def test_faulty_code_gives_other_rows_and_comes_back_from_the_store_as_it_was(begin, tmp_path) -> None:
    code = planted(begin, 0.7)
    made = code.run("basket", orders=ORDERS, products=PRODUCTS)
    assert not made.equals(basket(ORDERS, PRODUCTS))
    store = FileCodeStore(tmp_path)
    name = store.put(code.functions["basket"])
    assert name != store.put(basket)
    again = FileCodeStore(tmp_path).load(name)
    assert again(ORDERS, PRODUCTS).equals(made)


@pytest.mark.parametrize("begin", ON_BASKET.values(), ids=list(ON_BASKET))
def test_intermittent_code_asks_for_the_window_and_is_well_in_between(begin) -> None:
    code = planted(begin, shape="intermittent")
    assert list(inspect.signature(code.functions["basket"]).parameters) == ["orders", "products", "window"]
    calm = code.run("basket", CALENDAR.shift(WINDOW, 1), orders=ORDERS, products=PRODUCTS)
    assert calm.equals(basket(ORDERS, PRODUCTS))
    assert not code.run("basket", orders=ORDERS, products=PRODUCTS).equals(calm)


EMPTY = {
    **ON_BASKET,
    "rounding": plant.rounding("basket", "dataset:shop/basket", "amount").plant,
    "stale_cache_first": plant.stale_cache("basket", "price", None),
    "within": plant.off_by_one_entity("basket", "price", within="sku"),
}


@pytest.mark.parametrize("severity", [1.0, 0.5])
@pytest.mark.parametrize("begin", EMPTY.values(), ids=list(EMPTY))
def test_faulty_code_takes_a_window_without_rows(begin, severity: float) -> None:
    code = planted(begin, severity)
    assert code.run("basket", orders=ORDERS.clear(), products=PRODUCTS).height == 0
    assert code.run("basket", orders=ORDERS.clear(), products=PRODUCTS.clear()).height == 0


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_faulty_features_and_scorers_take_a_window_without_rows(severity: float) -> None:
    for begin in (
        plant.wrong_window("recent", "orders", "day", timedelta(days=1)),
        plant.stale_feature("recent", "orders", "day", timedelta(hours=5)),
        plant.future_leak("recent", "orders", "day", timedelta(hours=5)),
    ):
        assert planted(begin, severity).run("recent", orders=ORDERS.clear()).height == 0
    scorer = planted(plant.batch_misaligned("answers"), severity).functions["answers"]
    assert scorer({}, ORDERS.select("amount").clear()).height == 0


def test_a_lower_severity_hits_fewer_rows() -> None:
    hit = {
        severity: (planted(ON_BASKET["parse_bug"], severity).run("basket", orders=ORDERS, products=PRODUCTS)["amount"]
                   != basket(ORDERS, PRODUCTS)["amount"]).sum()
        for severity in (0.2, 1.0)
    }  # fmt: skip
    assert 0 < hit[0.2] < hit[1.0]


def test_a_range_gives_what_its_windows_give() -> None:
    code = planted(ON_BASKET["parse_bug"], 0.5)
    whole = code.run("basket", orders=ORDERS, products=PRODUCTS)
    halves = [code.run("basket", orders=ORDERS[at : at + 50], products=PRODUCTS) for at in (0, 50)]
    assert pl.concat(halves).sort("id").equals(whole)


def test_an_inner_join_drops_exactly_what_finds_no_partner() -> None:
    made = planted(ON_BASKET["inner_for_left"]).run("basket", orders=ORDERS, products=PRODUCTS)
    assert made["price"].null_count() == 0 and made.height == 80


def test_a_window_that_is_too_short_keeps_the_newest_rows() -> None:
    code = planted(plant.wrong_window("recent", "orders", "day", timedelta(days=1)))
    assert code.run("recent", orders=ORDERS)["n"].sum() == 50


def test_stale_and_leaking_features_move_when_a_parent_knows() -> None:
    seen = {}

    def features(orders):
        seen["day"] = orders["day"]
        return orders

    for begin, hours in (
        (plant.stale_feature("features", "orders", "day", timedelta(hours=5)), 5),
        (plant.future_leak("features", "orders", "day", timedelta(hours=3)), -3),
    ):
        code = Code(features=features)
        begin(code, Draw(1, 1.0, "abrupt", WINDOW.key, CALENDAR))
        code.run("features", orders=ORDERS)
        assert (seen["day"] - ORDERS["day"]).unique().to_list() == [timedelta(hours=hours)]


def test_answers_go_to_the_wrong_rows_and_none_is_lost() -> None:
    served = ORDERS.select("amount")
    scorer = planted(plant.batch_misaligned("answers")).functions["answers"]
    made, true = scorer({}, served), answers({}, served)
    assert made["p"].to_list() == [true["p"][-1], *true["p"][:-1]]
    half = planted(plant.batch_misaligned("answers"), 0.5).functions["answers"]({}, served)
    assert half["p"][50:].to_list() == true["p"][50:].to_list() and half["p"][0] == true["p"][49]


def test_harmless_code_gives_the_same_rows_under_another_name(tmp_path) -> None:
    store = FileCodeStore(tmp_path)
    refactor = plant.refactor("basket", "dataset:shop/basket")
    code = planted(refactor.plant)
    assert code.run("basket", orders=ORDERS, products=PRODUCTS).equals(basket(ORDERS, PRODUCTS))
    assert store.put(code.functions["basket"]) != store.put(basket)
    rounding = planted(plant.rounding("basket", "dataset:shop/basket", "amount").plant)
    made = rounding.run("basket", orders=ORDERS, products=PRODUCTS)
    assert made["amount"].to_list() == pytest.approx(basket(ORDERS, PRODUCTS)["amount"].to_list(), rel=1e-6)
    assert not made.equals(basket(ORDERS, PRODUCTS))


def test_two_changes_of_one_function_add_up() -> None:
    code = planted(ON_BASKET["scale_mismatch"])
    plant.refactor("basket", "dataset:shop/basket").plant(code, Draw(2, 1.0, "intermittent", WINDOW.key, CALENDAR))
    made = code.run("basket", orders=ORDERS, products=PRODUCTS)
    assert made["amount"].max() == pytest.approx(99 * 60)
