"""A stored summary that was damaged is refused by name, or gives finite numbers; nothing else."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.stats.profiling.summaries import Summary, summarise

FRAME = pl.DataFrame(
    {
        "real": [1.5, None, math.nan, -math.inf, 3e9] * 8,
        "whole": [2**40 * n for n in range(40)],
        "small": list(range(40)),
        "text": ["a", "b", None, "c", "a"] * 8,
        "flag": [True, None] * 20,
        "day": pl.Series(range(40)).cast(pl.Date),
        "code": pl.Series(["a", "b"] * 20, dtype=pl.Categorical),
        "list": [[1]] * 40,
    }
)
BODY = json.loads(json.dumps(summarise(FRAME).body()))
GONE = object()
WRONG: tuple[Any, ...] = (
    GONE, None, -1, 1.5, "x", "", [], {}, [None], [[1, 2]], True, 10**30, -(10**9), math.nan, math.inf, {"a": 1},
)  # fmt: skip


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    keys = body if isinstance(body, dict) else range(min(len(body), 8)) if isinstance(body, list) else ()
    for key in keys:
        yield from places(body[key], (*path, key))


def changed(path: tuple[Any, ...], value: Any) -> Any:
    body = copy.deepcopy(BODY)
    at = body
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


@pytest.mark.parametrize("column", range(len(FRAME.columns)), ids=FRAME.columns)
def test_any_part_may_be_damaged(column: int) -> None:
    refused = 0
    for path in places(BODY["columns"][column], ("columns", column)):
        for value in WRONG:
            try:
                found = Summary.of(changed(path, value))
            except DataError as error:
                assert error.hint
                refused += 1
                continue
            assert all(math.isfinite(number) for number in found.metrics().values()), (path, value)
            for one in found.columns.values():
                told = (one.mean, one.std, one.skew, one.quantile(0.5), one.distinct, one.minimum)
                assert all(number is None or math.isfinite(number) for number in told), (path, value)
                assert len(one.top) <= 10 and one.histogram() is not None
            assert found.merge(found).rows == 2 * found.rows
    assert refused > 100


@pytest.mark.parametrize("body", [None, [], {}, {"rows": 1}, {"rows": -1, "columns": []}, {"rows": "1", "columns": []}])
def test_what_is_no_summary_is_refused(body: Any) -> None:
    with pytest.raises(DataError, match="damaged"):
        Summary.of(body)


def test_the_column_is_named_and_nothing_huge_is_built() -> None:
    place = FRAME.columns.index("whole")
    with pytest.raises(DataError, match=r"column `whole`: .*`cells\.size` is 1000000000000"):
        Summary.of(changed(("columns", place, "cells", "size"), 10**12))


def test_columns_of_different_tables_are_refused() -> None:
    body = copy.deepcopy(BODY)
    body["columns"][0] = json.loads(json.dumps(summarise(FRAME[:7]).columns["real"].body()))
    with pytest.raises(DataError, match="not those of one table"):
        Summary.of(body)


def test_undamaged_bodies_are_read_back() -> None:
    assert json.loads(json.dumps(Summary.of(BODY).body(), allow_nan=False)) == BODY
