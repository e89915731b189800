from datetime import timedelta

import polars as pl
import pytest

from headwater.stats.signatures.copies import alike, compared, often
from headwater.stats.signatures.reference import Reference
from headwater.stats.signatures.repairs import apply
from headwater.stats.signatures.signatures import diagnose
from unit.stats.feeds import day, orders

TODAY = 40


@pytest.fixture(scope="module")
def sales() -> Reference:
    frames = [(day(place), orders(place)) for place in range(TODAY - 28, TODAY)]
    return Reference.learn(frames, key=("order_id",), time="placed_at")


def again(frame: pl.DataFrame, share: float) -> pl.DataFrame:
    """A part of the rows comes a second time, under ids of its own."""
    copies = frame.sample(fraction=share, seed=1).with_columns(pl.col("order_id") + "R")
    return pl.concat([frame, copies]).sort("placed_at", maintain_order=True)


@pytest.mark.parametrize("share", [0.2, 0.4, 1.0])
def test_rows_that_came_again_under_new_keys_are_found_and_taken_out(share: float, sales: Reference) -> None:
    right = orders(TODAY)
    found = diagnose(again(right, share), sales, window=day(TODAY))
    assert (found[0].fault, found[0].invertible) == ("duplicate_load", True)
    assert "under a new `order_id`" in found[0].detail
    assert apply(found[0].repair, again(right, share), sales).sort("order_id").equals(right.sort("order_id"))


@pytest.mark.parametrize("place", range(TODAY, TODAY + 10))
def test_orders_of_a_usual_day_are_not_alike(place: int, sales: Reference) -> None:
    assert diagnose(orders(place), sales, window=day(place)) == []


def coarse(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("order_id", pl.col("placed_at").dt.truncate("6h"), "shop", "quantity")


def test_where_rows_are_alike_by_nature_no_copy_is_named() -> None:
    frames = [(day(place), coarse(orders(place))) for place in range(TODAY - 28, TODAY)]
    reference = Reference.learn(frames, key=("order_id",), time="placed_at")
    found = diagnose(coarse(again(orders(TODAY), 0.4)), reference, window=day(TODAY))
    assert all("under a new" not in one.detail for one in found)


def test_rows_that_are_alike_since_their_values_were_lost_are_no_copies(sales: Reference) -> None:
    busy = orders(TODAY, volume=1.1).with_columns(
        pl.col("placed_at").dt.truncate("12h"), product=pl.lit("P100"), group=pl.lit("group-0"), late=pl.lit(0)
    )
    busy = busy.with_columns(net=pl.lit(5.0), tax=pl.lit(0.95), gross=pl.lit(5.95))
    assert alike(busy, compared(busy.columns, busy, ["order_id"])) > 0.5
    assert all("under a new" not in one.detail for one in diagnose(busy, sales, window=day(TODAY)))


def test_copies_come_as_often_as_each_other() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3, 4, 1, 2], "b": [1, 1, 1, 1, 1, 1]})
    assert often(frame, ["a", "b"]) and alike(frame, ["a", "b"]) == pytest.approx(1 / 3)
    assert not often(pl.DataFrame({"a": [1, 1, 2, 2, 2, 3]}), ["a"])
    assert not often(frame.unique(), ["a"])


@pytest.mark.parametrize(
    ("frame", "key", "told"),
    [
        (pl.DataFrame({"id": [1], "a": [1], "b": [1]}), ["id"], ["a", "b"]),
        (pl.DataFrame({"id": [1], "a": [1], "b": [1]}), [], []),
        (pl.DataFrame({"id": [1], "a": [1]}), ["id"], []),
        (pl.DataFrame({"id": [1], "a": [1], "b": [[1]]}), ["id"], []),
    ],
)
def test_rows_are_compared_by_all_that_is_not_their_key(frame: pl.DataFrame, key: list[str], told: list[str]) -> None:
    assert compared(frame.columns, frame, key) == told
    assert compared([*frame.columns, "gone"], frame, key) == []


def test_of_a_large_table_a_part_of_the_contents_tells() -> None:
    frame = pl.DataFrame({"a": list(range(4000)) * 2, "b": 1})
    assert alike(frame, ["a", "b"], 8) == pytest.approx(0.5)
    shifted = pl.DataFrame({"at": [timedelta(seconds=n) for n in range(4000)], "b": 1})
    assert alike(shifted, ["at", "b"], 8) == 0.0
