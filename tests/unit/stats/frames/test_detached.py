"""A frame that was handed over stays as it was."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing.parametric import dataframes

from headwater.stats.frames.content import content_hash
from headwater.stats.frames.detached import detached


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float32, np.float64, "bool"])
@pytest.mark.parametrize("shape", [(1,), (3,), (3, 2)])
def test_whoever_fills_the_array_again_changes_nothing(dtype, shape):
    numbers = np.zeros(shape, dtype=dtype)
    own = detached(pl.DataFrame({"name": ["a"] * shape[0], "x": numbers}))
    before = own.rows()
    numbers[:] = np.ones(shape).astype(dtype)
    assert own.rows() == before


def test_a_column_without_a_name_stays_the_only_one():
    assert detached(pl.DataFrame({"": np.arange(3), "x": [1, 2, 3]})).columns == ["", "x"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=dataframes(max_cols=4, max_size=6, allow_null=True))
def test_the_frame_is_the_same(frame):
    own = detached(frame)
    assert list(own.schema.items()) == list(frame.schema.items())
    assert content_hash(own) == content_hash(frame)
