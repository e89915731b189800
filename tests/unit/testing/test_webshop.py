from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.testing import webshop
from headwater.testing.webshop import FAULTS, LABEL_LAG, Shop, ShopFault, build
from unit.testing.tiny_line import TinyLine

FIRST, LAST = "2024-01-01T00", "2024-01-14T23"
LIVE = "2024-01-15T00", "2024-01-16T02"


@pytest.fixture(scope="module")
def shop() -> TinyLine:
    line = TinyLine(build(3))
    line.run(FIRST, LAST)
    line.train("refund", "2024-01-02T00", "2024-01-13T22", 1)
    return line


def resumed(line: TinyLine) -> TinyLine:
    again = TinyLine(build(3))
    again.tables = {name: dict(table) for name, table in line.tables.items()}
    again.parts = dict(line.parts)
    return again


@pytest.fixture(scope="module")
def lived(shop: TinyLine) -> TinyLine:
    line = resumed(shop)
    for window in line.project.calendar.between(*LIVE):
        line.run(window.key)
    return line


def test_rows_depend_on_seed_and_window_alone() -> None:
    window = webshop.CALENDAR.window("2024-01-05T18")
    alone = Shop(3).orders(window)
    webshop._happened.cache_clear()
    range_ = Shop(3).orders(webshop.CALENDAR.span("2024-01-05T17", "2024-01-05T19"))
    inside = range_.filter(pl.col("ordered_at").is_between(window.start, window.end, closed="left"))
    assert_frame_equal(alone, inside, check_exact=True)
    assert not alone.equals(Shop(4).orders(window))


def test_hours_give_what_their_range_gives(shop: TinyLine, lived: TinyLine) -> None:
    whole = resumed(shop)
    whole.run(*LIVE)
    for name, asset in shop.project.assets.items():
        if asset.layer in ("served", "prediction") or asset.snapshot:
            continue
        for key in sorted(set(lived.tables[name]) - set(shop.tables[name])):
            assert_frame_equal(lived.tables[name][key], whole.tables[name][key], check_exact=True)


def test_days_weeks_and_promotions_show_in_the_orders() -> None:
    def count(key: str) -> int:
        return Shop(3).orders(webshop.CALENDAR.window(key)).height

    assert count("2024-01-10T19") > 2 * count("2024-01-10T07")
    assert sum(count(f"2024-01-14T{hour:02d}") for hour in range(24)) > 1.15 * sum(
        count(f"2024-01-09T{hour:02d}") for hour in range(24)
    )
    assert webshop.is_promotion(webshop.CALENDAR.window("2024-01-12T18").start)
    assert count("2024-01-12T18") > 2 * count("2024-01-05T18")


def test_some_outcomes_come_later_than_the_rest() -> None:
    window = webshop.CALENDAR.span("2024-01-03T00", "2024-01-03T23")
    first, later = Shop(3).refunds(window), Shop(3).refunds_restated(window)
    open_share = first["refunded"].null_count() / first.height
    assert 0.01 < open_share < 0.06 and later["refunded"].null_count() == 0
    known = first.drop_nulls("refunded").join(later, on="order_id", suffix="_later")
    assert known["refunded"].equals(known["refunded_later"])


def test_history_is_older_than_the_label_lag(lived: TinyLine) -> None:
    """Against a plain count of the outcomes that were known when an hour began."""
    calendar = lived.project.calendar
    key = "2024-01-15T12"
    newest = calendar.shift(calendar.window(key), -(LABEL_LAG + 1))
    oldest = calendar.shift(newest, -(webshop.HISTORY_HOURS - 1))
    known = lived.frame("outcomes", oldest.key, newest.key)
    for category, rate in lived.frame("refund_features", key).select("category", "category_rate").unique().rows():
        rows = known.filter(pl.col("category") == category)
        assert rate == (webshop.BASE_RATE if category is None else rows["refunded"].sum() / rows.height)


def test_the_model_is_worth_having(lived: TinyLine) -> None:
    from sklearn.metrics import roc_auc_score

    labels = lived.frame("refund_labels", LIVE[0], LIVE[1])
    rows = lived.frame("refund_predictions", *LIVE).join(labels, on="order_id")
    assert rows.height > 100
    judged = lived.training("refund", "2024-01-14T00", "2024-01-15T02")
    p = lived.project.models["refund"].score(lived.parts["refund"], judged)["p"]
    assert roc_auc_score(judged["refunded"], p) > 0.7


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_matters_and_can_be_undone(fault: ShopFault, shop: TinyLine, lived: TinyLine) -> None:
    line = resumed(shop)
    healthy = fault.plant(line.project)
    hours = [window.key for window in line.project.calendar.between(LIVE[0], "2024-01-15T03")]
    for key in hours:
        line.run(key)
    faulty, clean = (each.frame("refund_predictions", hours[0], hours[-1]) for each in (line, lived))
    pairs = faulty.join(clean, on="order_id", suffix="_clean")
    dp: Any = (pairs["p"] - pairs["p_clean"]).abs().mean()
    first = line.project.calendar.shift(line.project.calendar.window(hours[0]), -LABEL_LAG).key
    labels = line.frame("refund_labels", first, hours[0]), lived.frame("refund_labels", first, hours[0])
    changed = labels[0].height != labels[1].height or labels[0]["refunded"].sum() < labels[1]["refunded"].sum()
    assert dp > 0.01 or pairs.height < 0.98 * clean.height or (fault.layer == "label" and changed)
    assert line.project.assets[fault.asset].side == fault.side
    line.project.replace(fault.asset, healthy)
    for key in hours:
        line.run(key)
    assert line.frame("refund_predictions", hours[0], hours[-1]).equals(clean)


def test_the_harmless_rewrite_gives_the_same_rows(shop: TinyLine, lived: TinyLine) -> None:
    line = resumed(shop)
    line.project.replace("basket", webshop.refactored_basket)
    line.run(LIVE[0])
    assert_frame_equal(line.frame("basket", LIVE[0]), lived.frame("basket", LIVE[0]), check_exact=True)
