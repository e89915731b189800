"""Comparing two versions of a table: laws that hold whatever is in them."""

import math

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.stats.frames.tables import compare

SCHEMA = {"id": pl.Int64, "x": pl.Float64, "n": pl.Int64, "s": pl.String, "l": pl.List(pl.Float64)}
floats = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]), st.floats())
rows = st.fixed_dictionaries(
    {
        "id": st.one_of(st.none(), st.integers(0, 9)),
        "x": floats,
        "n": st.one_of(st.none(), st.integers(-(2**60), 2**60)),
        "s": st.one_of(st.none(), st.text(max_size=2)),
        "l": st.one_of(st.none(), st.lists(floats, max_size=2)),
    }
)
tables = st.lists(rows, max_size=8).map(lambda found: pl.DataFrame(found, schema=SCHEMA))
unique = st.lists(rows, max_size=8, unique_by=lambda row: row["id"]).map(lambda some: pl.DataFrame(some, schema=SCHEMA))
keys = st.sampled_from([[], ["id"], ["id", "s"], ["missing"]])
laws = settings(max_examples=60, deadline=None)


@laws
@given(tables, tables, keys)
def test_shares_are_shares_and_the_same_both_ways(left, right, key):
    there, back = compare(left, right, key), compare(right, left, key)
    assert 0.0 <= there.share <= 1.0
    assert all(0.0 < share <= 1.0 for share in there.columns.values())
    assert there.rows == max(left.height, right.height)
    assert left.height - right.height == there.extra - there.lost
    assert (there.share, there.lost, there.extra) == (back.share, back.extra, back.lost)
    assert there.columns == back.columns
    assert (there.share == 0) == (not there.columns and not there.lost and not there.extra)


@laws
@given(tables, keys, st.randoms(use_true_random=False))
def test_a_table_never_differs_from_itself_nor_with_its_columns_in_another_order(table, key, random):
    names = list(table.columns)
    random.shuffle(names)
    assert compare(table, table.select(names), key).share == 0.0


@laws
@given(unique, unique, st.randoms(use_true_random=False))
def test_with_a_unique_key_the_order_of_rows_does_not_count(left, right, random):
    places = list(range(left.height))
    random.shuffle(places)
    assert compare(left[places], left, ["id"]).share == 0.0
    assert compare(left[places], right, ["id"]) == compare(left, right, ["id"])


@laws
@given(unique.filter(lambda table: table.height > 0), st.data())
def test_with_a_unique_key_each_change_is_counted_exactly(table, data):
    spoilt = data.draw(st.sets(st.integers(0, table.height - 1)))
    lost = data.draw(st.sets(st.integers(0, table.height - 1)))
    index = pl.int_range(pl.len())
    changed = table.with_columns(n=pl.when(index.is_in(sorted(spoilt))).then(pl.lit(2**61)).otherwise("n"))
    changed = changed.filter(~index.is_in(sorted(lost)))
    found = compare(changed, table, ["id"])
    assert (found.lost, found.extra) == (len(lost), 0)
    wrong = len(spoilt - lost)
    assert math.isclose(found.share, (wrong + 5 * len(lost)) / (5 * table.height))
    assert found.columns == ({"n": (wrong + len(lost)) / table.height} if wrong else {})
