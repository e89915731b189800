"""Windows of a drifting schema, read together."""

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.core.errors import DataError
from headwater.stats.frames.stacking import stack

NOON = dt.datetime(2013, 7, 1, 12, tzinfo=dt.UTC)


def test_equal_schemas_are_stacked_as_they_are():
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert_frame_equal(stack([frame, frame[:1]]), pl.concat([frame, frame[:1]]))
    assert stack([frame.clear(), frame.clear()]).schema == frame.schema


def test_an_added_and_a_dropped_column_are_null_where_they_lack():
    got = stack([pl.DataFrame({"a": [1], "old": ["o"]}), pl.DataFrame({"new": [True], "a": [2]})])
    assert_frame_equal(got, pl.DataFrame({"new": [None, True], "a": [1, 2], "old": ["o", None]}))


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (pl.Series([1]), pl.Series([0.5]), [1.0, 0.5]),
        (pl.Series([1]), pl.Series(["n/a"]), ["1", "n/a"]),
        (pl.Series(["a"], dtype=pl.Enum(["a"])), pl.Series(["b"], dtype=pl.Enum(["b"])), ["a", "b"]),
        (pl.Series([None]), pl.Series([2], dtype=pl.Int8), [None, 2]),
    ],
)
def test_changed_types_meet_without_losing_values(older, newer, expected):
    assert stack([older.to_frame("x"), newer.to_frame("x")])["x"].to_list() == expected


def test_times_keep_their_instant_in_the_newest_zone_and_the_finest_unit():
    older = pl.Series([NOON.replace(microsecond=5)]).cast(pl.Datetime("us", "UTC"))
    newer = pl.Series([NOON]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("America/New_York")
    got = stack([older.to_frame("t"), newer.to_frame("t")])
    assert got.schema["t"] == pl.Datetime("us", "America/New_York")
    assert got["t"].to_list() == [NOON.replace(microsecond=5), NOON]


def test_a_local_time_is_never_taken_for_an_instant():
    zoned = pl.Series([NOON]).cast(pl.Datetime("us", "UTC")).to_frame("t")
    naive = zoned.with_columns(pl.col("t").dt.replace_time_zone(None))
    assert stack([zoned, naive]).schema["t"] == pl.String


def test_an_empty_window_does_not_change_the_types():
    assert stack([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": []}, schema={"x": pl.String})]).schema["x"] == pl.Int64


def test_types_that_do_not_meet_are_named():
    with pytest.raises(DataError, match="cannot be read together"):
        stack([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [{"a": 1}]}), pl.DataFrame({"x": [b"\xff"]})])
    with pytest.raises(DataError, match="no frame"):
        stack([])
