"""Two versions of a table, cell by cell."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from headwater.stats.frames.tables import Difference, compare

NAN, INF = math.nan, math.inf
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)


def table(**columns):
    return pl.DataFrame(columns, strict=False)


def both(left, right, key=()):
    """Compare both ways round; the share must not depend on which table is called the observed one."""
    there, back = compare(left, right, key), compare(right, left, key)
    assert (there.share, there.lost, there.extra, there.rows) == (back.share, back.extra, back.lost, back.rows)
    assert there.columns == back.columns
    return there


def test_equal_tables_do_not_differ():
    rows = table(id=[1, 2, 3], x=[0.5, None, NAN], s=["a", None, "c"])
    assert both(rows, rows.clone(), ["id"]) == Difference(0.0, 0, 0, 3)
    assert both(rows, rows.clone()) == Difference(0.0, 0, 0, 3)


def test_a_differing_cell_counts_once_and_names_its_column():
    left, right = table(id=[1, 2, 3, 4], x=[1, 2, 3, 4], y=[0] * 4), table(id=[4, 3, 2, 1], x=[4, 3, 9, 1], y=[0] * 4)
    assert both(left, right, ["id"]) == Difference(1 / 12, 0, 0, 4, {"x": 0.25})


@pytest.mark.parametrize(
    ("gap", "share"), [(0.0, 0.0), (0.9e-5, 0.0), (1.000005e-5, 0.0), (1.2e-5, 1.0), (-0.9e-5, 0.0), (-1.2e-5, 1.0)]
)
@pytest.mark.parametrize("size", [1e-3, 1.0, -7e6, 1e200])
def test_floats_agree_to_a_relative_1e_5(gap, share, size):
    assert both(table(x=[size]), table(x=[size * (1 + gap)])).share == share


@pytest.mark.parametrize("other", [5.0, -INF, None, NAN, 1e308])
def test_infinity_is_near_nothing_but_itself(other):
    assert both(table(x=[INF]), table(x=[other]).cast(pl.Float64)).share == 1.0
    assert both(table(x=[INF]), table(x=[INF])).share == 0.0


def test_null_and_nan_are_one_but_not_zero():
    assert both(table(x=[None, NAN, None]).cast(pl.Float64), table(x=[NAN, None, None]).cast(pl.Float64)).share == 0.0
    assert both(table(x=[None, NAN]).cast(pl.Float64), table(x=[0.0, 0.0])).share == 1.0
    assert both(table(x=[None, None]), table(x=[NAN, None]).cast(pl.Float64)).share == 0.0
    rows = table(x=[NAN, None], y=[2, 1]).cast({"x": pl.Float64})
    assert both(rows, table(x=[None, NAN], y=[2, 1]).cast({"x": pl.Float64})).share == 0.0
    assert both(rows, table(x=[None, NAN], y=[2, 1]).cast({"x": pl.Float64}).reverse(), ["y"]).share == 0.0


@pytest.mark.parametrize("key", [["id"], []])
def test_an_empty_text_is_not_a_null(key):
    assert both(table(id=[1], s=[""]), table(id=[1], s=[None]).cast({"s": pl.String}), key).share == 0.5


def test_row_order_does_not_count():
    rows = table(id=[3, 1, 2], x=[0.1, 0.2, 0.3], s=["c", "a", "b"])
    assert both(rows, rows[[2, 0, 1]], ["id"]).share == 0.0
    assert both(rows, rows[[2, 0, 1]]).share == 0.0


def test_rows_that_repeat_a_key_may_swap_places():
    left, right = table(id=[1, 1, 2], x=[5, 6, 7]), table(id=[1, 1, 2], x=[6, 5, 7])
    assert both(left, right, ["id"]) == Difference(0.0, 0, 0, 3)
    assert both(left, table(id=[1, 1, 2], x=[6, 6, 7]), ["id"]).columns == {"x": 1 / 3}


def test_a_lost_row_differs_in_every_cell_and_so_does_an_extra_one():
    rows = table(id=[1, 2, 3, 4], x=[1, 2, 3, 4])
    assert compare(rows[1:], rows, ["id"]) == Difference(0.25, 1, 0, 4)
    assert compare(rows, rows[:2], ["id"]) == Difference(0.5, 0, 2, 4)
    assert both(rows[:2], rows[2:], ["id"]).share == 1.0
    moved = both(rows[1:], rows[:3].with_columns(x=pl.lit(0)), ["id"])
    assert (moved.lost, moved.extra, moved.rows, moved.share) == (1, 1, 3, 1.0)
    assert moved.columns == {"x": 1.0}  # 2 of 2 pairs, and both rows without a partner: never above 1


def test_duplicates_are_extra_rows():
    rows = table(id=[1, 2, 3], x=[1, 2, 3])
    found = both(pl.concat([rows, rows]), rows, ["id"])
    assert (found.lost, found.extra, found.rows) == (0, 3, 6)
    assert 0.5 <= found.share <= 1.0


def test_a_key_with_a_null_still_pairs():
    left, right = table(a=[1, 1, None], b=["x", None, "x"], v=[1, 2, 3]), table(a=[None, 1, 1], b=["x", "x", None])
    right = right.with_columns(v=pl.Series([3, 1, 2]))
    assert both(left, right, ["a", "b"]).share == 0.0
    left = table(k=[NAN, 1.0], v=[1, 2])
    assert both(left, table(k=[1.0, None], v=[2, 1]), ["k"]).share == 0.0


def test_a_key_that_is_not_in_both_does_not_pair():
    found = both(table(x=[2, 1]), table(id=[1, 2], x=[1, 2]), ["id"])
    assert found == Difference(0.5, 0, 0, 2, {"id": 1.0})


def test_a_column_that_only_one_has_differs_throughout():
    assert both(table(id=[1, 2], x=[1, 2]), table(id=[1, 2]), ["id"]).columns == {"x": 1.0}
    assert both(table(a=[1]), table(b=[1])).share == 1.0


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pl.Int64, pl.Int32),
        (pl.Int64, pl.Float64),
        (pl.Float32, pl.Float64),
        (pl.UInt8, pl.Int8),
        (pl.Int64, pl.String),
        (pl.String, pl.Categorical),
        (pl.Enum(["1", "2"]), pl.String),
        (pl.Enum(["1", "2"]), pl.Enum(["2", "1"])),
        (pl.Decimal(10, 1), pl.Decimal(10, 3)),
    ],
)
@pytest.mark.parametrize("key", [["id"], []])
def test_the_type_of_a_column_does_not_count_but_its_values_do(left, right, key):
    def made(dtype, values):
        column = pl.Series(values)
        if isinstance(dtype, (pl.Enum, pl.Categorical)) or dtype == pl.Categorical:
            column = column.cast(pl.String)
        return pl.DataFrame({"id": [1, 2], "x": column.cast(dtype)})

    assert both(made(left, [2, 1]), made(right, [2, 1]), key).share == 0.0
    assert both(made(left, [2, 1]), made(right, [2, 2]), key).columns == {"x": 0.5}


@pytest.mark.parametrize(("left", "right"), [(pl.Int64, pl.Int32), (pl.Int64, pl.UInt64), (pl.Int16, pl.Int64)])
def test_whole_numbers_are_compared_exactly_whatever_their_width(left, right):
    big = 30_000 if left == pl.Int16 else 1_000_001
    one, other = (pl.DataFrame({"x": pl.Series([n], dtype=t)}) for n, t in ((big, left), (big - 1, right)))
    assert both(one, other).share == 1.0
    if right == pl.UInt64:
        huge = (pl.DataFrame({"x": pl.Series([2**60 + n], dtype=t)}) for n, t in ((0, left), (1, right)))
        assert both(*huge).share == 1.0


@pytest.mark.parametrize("dtype", [pl.Int32, pl.Float64, pl.UInt64])
def test_rows_pair_by_a_key_of_another_number_type(dtype):
    left, right = table(id=[2, 1], x=["b", "a"]), table(id=[1, 2], x=["a", "b"]).cast({"id": dtype})
    assert both(left, right, ["id"]).share == 0.0


def test_durations_of_two_units_are_one_time():
    rows = table(x=[timedelta(seconds=1), timedelta(seconds=2)])
    assert both(rows, rows.cast(pl.Duration("ms"))).share == 0.0
    assert both(rows, rows.cast(pl.Duration("ms")) * 2).share == 1.0


def test_a_key_that_became_text_pairs_with_nothing():
    found = both(table(id=[1, 2], x=[1, 2]), table(id=["1", "2"], x=[1, 2]), ["id"])
    assert (found.lost, found.extra, found.share) == (2, 2, 1.0)


def test_instants_count_not_how_they_are_written():
    rows = pl.DataFrame({"t": [NOON, NOON + timedelta(hours=1)]})
    there = rows.with_columns(pl.col("t").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ms"))
    assert both(rows, there).share == 0.0
    shifted = rows.with_columns(pl.col("t").dt.replace_time_zone("America/New_York"))
    assert both(rows, shifted).share == 1.0
    assert NOON.astimezone(ZoneInfo("America/New_York")).hour == 8  # the clock went forward that morning


@pytest.mark.parametrize(
    ("left", "right", "share"),
    [
        ([[1.0], [2.0, None]], [[1.0], [2.0, NAN]], 0.0),
        ([[1.0], [2.0]], [[1.0 + 1e-7], [2.1]], 0.5),
        ([[1.0], []], [[1.0], None], 0.5),
        ([[1.0, 2.0]], [[2.0, 1.0]], 1.0),
        ([[1, 2]], [[1.0, 2.0]], 0.0),
        ([[1], None], [["1"], None], 0.0),
        ([[[1], [2]]], [[[1], [3]]], 1.0),
        ([{"a": 1.0}, {"a": None}], [{"a": 1}, {"a": 2}], 0.5),
        ([{"a": 1}], [{"b": 1}], 1.0),
        ([{"a": None}, {"a": 1}], [None, {"a": 1}], 0.5),
        ([{"a": [1.0]}, None], [{"a": [NAN]}, None], 0.5),
        ([[1]], [1], 1.0),
        ([[1]], ["1"], 1.0),
        ([b"\xff"], ["a"], 1.0),
    ],
)
@pytest.mark.parametrize("key", [["id"], []])
def test_what_lies_inside_of_cells_is_compared_like_cells(left, right, share, key):
    ids = list(range(len(left)))
    frames = [pl.DataFrame({"id": ids, "x": pl.Series(values, strict=False)}) for values in (left, right)]
    assert both(*frames, key).columns.get("x", 0.0) == share


def test_arrays_are_lists_of_one_length():
    one = pl.DataFrame({"x": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2))})
    assert both(one, table(x=[[1, 2], [3, 5]])).share == 0.5
    assert both(one, one.clone()).share == 0.0


def test_empty_tables():
    none = pl.DataFrame(schema={"id": pl.Int64, "x": pl.Float64})
    assert both(none, none.clone(), ["id"]) == Difference(0.0, 0, 0, 0)
    assert both(none, none.select("x", "id"), ["id"]).share == 0.0
    assert both(none, none.drop("x")).share == 1.0
    assert both(none, pl.DataFrame()).share == 1.0
    rows = table(id=[1, 2], x=[0.5, 0.6])
    for key in ([], ["id"]):
        assert compare(none, rows, key) == Difference(1.0, 2, 0, 2)
        assert compare(rows, none, key) == Difference(1.0, 0, 2, 2)
    assert both(pl.DataFrame({"id": []}), rows, ["id"]).share == 1.0


@pytest.mark.parametrize("name", ["_o", "_e", "index", "row"])
def test_any_name_will_do_for_a_key(name):
    left, right = pl.DataFrame({name: [1, 2], "x": [1, 2]}), pl.DataFrame({name: [2, 1], "x": [2, 1]})
    assert both(left, right, [name]).share == 0.0


def test_the_tables_themselves_are_left_alone():
    left, right = table(id=[2, 1], x=[NAN, 1.0]), table(id=[1, 2], x=[1.0, None])
    before = left.clone(), right.clone()
    compare(left, right, ["id"])
    assert left.equals(before[0])
    assert right.equals(before[1])
