"""Profiling a range is profiling its windows, whatever the rows."""

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.windows import Calendar
from headwater.stats.profiling.profile import profile, profile_windows

CALENDAR = Calendar("1d", "Europe/London")
WINDOWS = list(CALENDAR.between("2013-03-30", "2013-04-01"))

rows = st.fixed_dictionaries(
    {
        "_window": st.sampled_from([window.key for window in WINDOWS]),
        "x": st.one_of(st.none(), st.floats()),
        "n": st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        "c": st.one_of(st.none(), st.text(max_size=3)),
        "b": st.one_of(st.none(), st.booleans()),
        "t": st.one_of(st.none(), st.integers(0, 71)),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=25))
def test_a_range_equals_its_windows_and_holds_only_finite_numbers(given_rows):
    schema = {"_window": pl.String, "x": pl.Float64, "n": pl.Int64, "c": pl.String, "b": pl.Boolean, "t": pl.Int64}
    start = pl.lit(WINDOWS[0].start)
    frame = pl.DataFrame(given_rows, schema=schema).with_columns(t=start + pl.duration(hours=pl.col("t")))

    whole = profile_windows(frame, windows=WINDOWS, key=["n"], known={"c": frozenset({"a"})})
    previous = None
    for window in WINDOWS:
        part = frame.filter(pl.col("_window") == window.key).drop("_window")
        one = profile(part, window=window, key=["n"], known={"c": frozenset({"a"})}, previous=previous)
        assert one == pytest.approx(whole[window.key], rel=1e-12)  # a mean by group adds up in another order
        assert all(math.isfinite(value) for value in one.values())
        previous = part
