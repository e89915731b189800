"""Rows that came twice are told from rows that were lost on the other side of a join."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from headwater.triage.case import unreplayed
from headwater.triage.copies import copies, instead
from headwater.triage.weighing import _origins, weigh
from unit.triage.pipelines import DAYS, Pipeline, day, made, source
from unit.triage.shop import Shop, finding, ref

ROWS = 60


def drawn(window):
    random = np.random.default_rng(window.start.toordinal())
    return pl.DataFrame(
        {
            "id": [f"{window.key}/{n}" for n in range(ROWS)],
            "guest": random.choice(["a", "b", "c"], ROWS),
            "nights": random.integers(1, 5, ROWS),
            "asked": random.lognormal(3.0, 1.0, ROWS).round(2),
            "paid": random.lognormal(3.0, 1.0, ROWS).round(2),
        }
    )


class Inn(Pipeline):
    """raw_orders, raw_rates -> stays (by id); raw_guests -> stays (by guest)."""

    def __init__(self, orders=lambda rows: rows, rates=lambda rows: rows, guests=lambda rows: rows, since=4):
        def faulty(window, change, rows):
            return change(rows) if window.key >= day(since) else rows

        def stays(frames, window, parts):
            told = frames["orders"].join(frames["raw_rates"], on="id", how="left")
            return told.join(frames["raw_guests"], on="guest", how="left")

        names = pl.DataFrame({"guest": ["a", "b", "c"], "country": ["PT", "ES", "FR"]})
        code = {
            "raw_orders": lambda frames, window, parts: faulty(window, orders, drawn(window).drop("paid")),
            "raw_rates": lambda frames, window, parts: faulty(window, rates, drawn(window).select("id", "paid")),
            "raw_guests": lambda frames, window, parts: faulty(window, guests, names),
            "orders": lambda frames, window, parts: frames["raw_orders"],
            "stays": stays,
        }
        assets = [
            source("raw_orders", key=("id",)), source("raw_rates", key=("id",)), source("raw_guests", key=("guest",)),
            made("orders", "raw_orders", layer="staged"), made("stays", "orders", "raw_rates", "raw_guests"),
        ]  # fmt: skip
        super().__init__(assets, code)
        for number in range(6):
            self.run(day(number))

    def case(self, *findings):
        """The incident of days 4 and 5 of these alarms."""
        shop = Shop().days(0, 5).case(4, 5, findings=findings)
        return replace(
            shop, tests={}, replay=self.replay(), models=(), blame=ref, side=lambda name: "data",
            accepted={name: self.current[name] for name in self.assets},
        )  # fmt: skip


def unmatched(parent="raw_rates", number=4):
    return finding("stays", metric=f"key_match.{parent}", number=number, score=9.0)


def under_new_keys(rows):
    return pl.concat([rows, rows.with_columns(pl.col("id") + "x")])


def test_copies_under_new_keys_are_followed_to_the_source_that_brought_them():
    case = Inn(orders=under_new_keys).case(unmatched(), finding("stays", metric="null_share.paid", number=4, score=9.0))
    (told,) = copies(case, _origins).values()
    assert (told.source, told.since, told.share) == ("raw_orders", day(4), 1.0)
    assert instead({"raw_orders": told}) == {"raw_rates": "raw_orders"}
    first, *others = weigh(case)
    assert (first.asset, first.fault) == ("raw_orders", "duplicate_load")
    assert all(item.weight < 1.0 or item.exonerated for item in others)


def test_amounts_in_whole_cents_are_no_ids():
    def cents(rows):
        return rows.with_columns((pl.col("asked") * 100).round().cast(pl.Int64)).drop("nights")

    assert list(copies(Inn(orders=lambda rows: under_new_keys(cents(rows))).case(unmatched()), _origins)) == [
        "raw_orders"
    ]
    assert copies(Inn(orders=cents, rates=lambda rows: rows.head(ROWS // 2)).case(unmatched()), _origins) == {}


@pytest.mark.parametrize(
    "lost",
    [
        lambda rows: rows.head(ROWS // 2),
        lambda rows: rows.filter(pl.int_range(pl.len()) % 3 != 0),
    ],
)
def test_rows_that_were_lost_beside_are_not_copies(lost):
    case = Inn(rates=lost).case(unmatched(), finding("stays", metric="null_share.paid", number=4, score=9.0))
    assert copies(case, _origins) == {}
    assert weigh(case)[0].asset == "raw_rates"


def test_rows_that_are_alike_by_nature_tell_nothing():
    alike = Inn(
        orders=lambda rows: under_new_keys(rows.with_columns(nights=pl.lit(2), guest=pl.lit("a"), asked=pl.lit(9.5)))
    ).case(unmatched())
    assert copies(alike, _origins) == {}


def test_a_key_that_came_twice_is_followed_to_its_source():
    case = Inn(guests=lambda rows: pl.concat([rows, rows.head(1)])).case(
        finding("stays", metric="duplicate_share", number=4, score=9.0)
    )
    (told,) = copies(case, _origins).values()
    assert (told.source, told.share) == ("raw_guests", 0.25)
    assert "`guest`" in told.text
    assert weigh(case)[0].fault == "duplicate_load"


def test_a_key_that_always_came_twice_is_nobodys_fault():
    case = Inn(guests=lambda rows: pl.concat([rows, rows.head(1)]), since=0).case(
        finding("stays", metric="duplicate_share", number=4, score=9.0)
    )
    assert copies(case, _origins) == {}


@pytest.mark.parametrize(("orders", "rates", "blamed"), [(20, 1, "raw_orders"), (1, 20, "raw_rates")])
def test_of_two_sources_whose_keys_came_twice_the_one_with_more_is_followed(orders, rates, blamed):
    inn = Inn(
        orders=lambda rows: pl.concat([rows, rows.head(orders)]), rates=lambda rows: pl.concat([rows, rows.head(rates)])
    )
    assert list(copies(inn.case(finding("stays", metric="duplicate_share", number=4)), _origins)) == [blamed]


def test_a_source_that_always_has_keys_twice_hides_no_other():
    inn = Inn(orders=lambda rows: pl.concat([rows, rows.head(20)]))
    for number in range(6):
        key = day(number)
        guests = inn.tables.read("raw_guests", [key])
        inn.tables.write("raw_guests", {key: pl.concat([guests, guests.head(1)])}, run_id="always")
    case = inn.case(finding("stays", metric="duplicate_share", number=4))
    assert list(copies(case, _origins)) == ["raw_orders"]


def test_keys_that_are_not_given_did_not_come_twice():
    def emptied(rows):
        return rows.with_columns(id=pl.when(pl.int_range(pl.len()) % 5 > 0).then("id"))

    case = Inn(orders=emptied).case(finding("stays", metric="duplicate_share", number=4, score=9.0))
    assert copies(case, _origins) == {}


def test_each_window_of_a_source_is_read_for_its_keys_once(monkeypatch):
    asked = []
    honest = pl.DataFrame.n_unique
    monkeypatch.setattr(pl.DataFrame, "n_unique", lambda frame: asked.append(frame.height) or honest(frame))
    case = Inn(guests=lambda rows: pl.concat([rows, rows.head(1)])).case(
        *(finding("stays", metric="duplicate_share", number=number) for number in (4, 5))
    )
    assert list(copies(case, _origins)) == ["raw_guests"]
    assert len([rows for rows in asked if rows in (3, 4)]) == 6  # two windows of the incident, and four before it


def test_without_rows_nothing_is_said():
    case = Inn(orders=under_new_keys).case(unmatched())
    assert copies(unreplayed(case, changes=True), _origins) == {}


def test_odd_tables_are_survived():
    def broken(rows):
        return rows.with_columns(pl.col("id").hash(), tags=pl.Series([["x"]] * rows.height))

    case = Inn(orders=lambda rows: rows.clear(), rates=lambda rows: rows.clear()).case(unmatched())
    assert copies(case, _origins) == {}
    inn = Inn()
    inn.tables.write("raw_rates", {day(4): broken(drawn(DAYS.window(day(4))))}, run_id="odd")
    assert copies(inn.case(unmatched(), unmatched("gone"), unmatched(number=30)), _origins) == {}
