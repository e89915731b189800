"""Shares of frequent values: which are followed, under which names, and the same numbers from rows and summaries."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.windows import Calendar
from headwater.stats.alarms.forms import SHARE, kind
from headwater.stats.profiling.mixes import followed, frequent_in, frequent_values, share_metric, stamped
from headwater.stats.profiling.profile import LARGE, profile
from headwater.stats.profiling.summaries import summarise

DAY = Calendar().window("2013-07-01")
FRAME = pl.DataFrame(
    {
        "carrier": ["UA", "UA", "U.S. Air", None, "AA"],
        "stops": [0, 1, 1, 2, None],
        "direct": [True, False, False, False, None],
        "fare": [1.5, 2.0, 2.0, 3.0, 4.0],
    }
)


def days(values, name="c"):
    """Lay a column's values by window side by side."""
    return pl.concat(
        [pl.DataFrame({name: rows, "_window": [f"2013-07-{day:02}"] * len(rows)}) for day, rows in enumerate(values, 1)]
    )


def shares(metrics):
    return {name: value for name, value in metrics.items() if name.startswith("share[")}


def test_a_share_is_of_the_rows_that_are_not_null_and_may_be_nothing():
    found = profile(FRAME, window=DAY, frequent={"carrier": ("UA", "U.S. Air", "ZZ"), "stops": ("1", "7")})
    assert shares(found) == {
        "share[UA].carrier": 0.5,
        "share[U%2ES%2E Air].carrier": 0.25,
        "share[ZZ].carrier": 0.0,
        "share[1].stops": 0.5,
        "share[7].stops": 0.0,
    }


def test_a_summary_gives_the_same_names_and_numbers():
    frequent = {**frequent_values(FRAME), "carrier": ("UA", "U.S. Air", "ZZ"), "stops": ("1", "7")}
    by_rows = shares(profile(FRAME, window=DAY, frequent=frequent))
    assert by_rows
    assert shares(summarise(FRAME).metrics(frequent=frequent)) == by_rows


def test_a_window_of_many_rows_is_summarised_to_the_same_shares():
    random = np.random.default_rng(1)
    rows = pl.DataFrame({"c": random.choice(["a", "b", "c"], LARGE), "n": random.integers(0, 4, LARGE)})
    frequent = frequent_values(rows)
    found = profile(rows, window=DAY, frequent=frequent)
    assert found["share[a].c"] == float((rows["c"] == "a").mean())
    assert found["share[3].n"] == float((rows["n"] == 3).mean())


def test_a_column_that_is_of_another_type_now_has_no_shares_that_cannot_be():
    texts = FRAME.with_columns(pl.col("stops").cast(pl.String), pl.lit(1.0).alias("carrier"))
    found = shares(profile(texts, window=DAY, frequent={"carrier": ("UA",), "stops": ("1",)}))
    assert found == {"share[1].stops": 0.5}
    assert shares(profile(FRAME.select("fare"), window=DAY, frequent={"carrier": ("UA",)})) == {}


def test_at_most_five_values_are_followed_the_most_frequent_first_and_no_rare_one():
    many = [f"v{place}" for place in range(9) for _ in range(90 - 10 * place)]
    assert frequent_values(pl.DataFrame({"c": many})) == {"c": ("v0", "v1", "v2", "v3", "v4")}
    assert frequent_values(pl.DataFrame({"c": ["a"] * 99 + ["b"]})) == {"c": ("a",)}


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", [f"id{row}" for row in range(600)]),
        pl.Series("c", range(600)),
        pl.Series("c", ["always"] * 600),
        pl.Series("c", [0.5, 1.5] * 300),
        pl.Series("c", [True, False] * 300),  # has true_share
        pl.Series("c", [None] * 600, dtype=pl.String),
    ],
)
def test_ids_constants_and_measures_have_no_mix(column):
    assert frequent_values(column.to_frame()) == {}


def test_a_stamp_of_the_window_has_no_mix():
    months = days([[1 + day // 15] * 40 for day in range(30)])
    assert frequent_values(months) == {}
    windows = [summarise(part).metrics() for part in months.partition_by("_window", include_key=False)]
    assert stamped(windows) == {"c"}
    assert stamped([summarise(part).metrics() for part in days([["a", "b"], ["a"]] * 9).partition_by("_window")]) == {
        "_window"
    }
    assert frequent_values(days([["a", "b"] * 20] * 30)) == {"c": ("a", "b")}
    assert frequent_values(days([["a", "b"] * 20])) == {"c": ("a", "b")}


def test_the_same_values_are_chosen_from_summaries():
    rows = days([["a"] * 10 + ["b"] * 7 + ["c"] * 3] * 5)
    assert frequent_in(summarise(rows.select("c")).columns) == frequent_values(rows) == {"c": ("a", "b", "c")}


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=1, unique=True), max_size=3))
def test_names_carry_any_value_of_any_column(given_values):
    names = [share_metric(column, value) for column, values in given_values.items() for value in values]
    assert followed([*names, "rows", "mean.x"]) == {column: tuple(values) for column, values in given_values.items()}
    assert all(name.partition(".")[2] == column for column, values in given_values.items()
               for name in (share_metric(column, value) for value in values))  # fmt: skip
    assert all(kind(name) == SHARE for name in names)
