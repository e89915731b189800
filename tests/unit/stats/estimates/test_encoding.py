"""Cells of columns: numbers, texts, missing ones, kinds that change, and rows of another kind."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.stats.estimates.encoding import Encoding, Rows, unlike

FRAME = pl.DataFrame(
    {
        "x": [float(n) for n in range(100)],
        "whole": list(range(100)),
        "text": ["a"] * 60 + ["b"] * 38 + ["rare", None],
        "flag": [True, False] * 50,
        "day": [date(2024, 1, 1)] * 100,
        "nested": [[1]] * 100,
    }
)


def margins(cells, frame):
    return Rows(cells, cells.codes(frame), np.zeros(frame.height), np.zeros(frame.height)).margins


def test_every_row_has_a_cell_of_every_column_that_can_be_cut():
    cells = Encoding.of(FRAME)
    assert set(cells.columns) == {"x", "whole", "text", "flag", "day"}
    codes = cells.codes(FRAME)
    assert codes.shape == (100, 5)
    assert (codes < np.array(cells.sizes)).all()
    assert (codes >= 0).all()
    assert margins(cells, FRAME).sum() == 500


def test_missing_unseen_and_beyond_have_cells_of_their_own():
    cells = Encoding.of(FRAME.select("x", "text"))
    odd = pl.DataFrame(
        {"x": [None, float("nan"), float("inf"), -5.0, 500.0, 3.0], "text": [None, "new", "a", "b", "rare", "a"]}
    )
    codes = cells.codes(odd)
    assert codes[:5, 0].tolist() == [0, 0, 0, 1, 2]
    assert codes[:2, 1].tolist() == [0, 1]
    assert len({*codes[2:5, 1].tolist()}) == 3


@pytest.mark.parametrize("frame", [FRAME.drop("x"), FRAME.with_columns(x=pl.lit("text")), FRAME.with_columns(text=1)])
def test_a_column_that_is_gone_or_of_another_kind_is_named(frame):
    with pytest.raises(DataError, match=r"column `(x|text)` (is not there|is (String|Int32|Int64) now)"):
        Encoding.of(FRAME).codes(frame)


@pytest.mark.parametrize("values", [[None, None], [7.0, 7.0], [float("nan"), float("nan")], [float("inf"), 1.0]])
def test_columns_without_variety_can_be_cut(values):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    cells = Encoding.of(frame)
    assert margins(cells, frame).sum() == 2


def test_rows_of_a_known_kind_are_like_the_others_and_new_values_are_not():
    cells = Encoding.of(FRAME)
    known = [margins(cells, FRAME[:50]), margins(cells, FRAME[50:])]
    assert unlike(cells, known, margins(cells, FRAME)) == ""
    assert "`x` outside" in unlike(cells, known, margins(cells, FRAME.with_columns(pl.col("x") + 60)))
    assert "`text` outside" in unlike(cells, known, margins(cells, FRAME.with_columns(text=pl.lit("new"))))
    few = FRAME.with_columns(text=pl.when(pl.int_range(100) < 10).then(pl.lit("new")).otherwise("text"))
    assert unlike(cells, known, margins(cells, few)) == ""


def test_what_a_labelled_window_had_is_known_from_then_on():
    cells = Encoding.of(FRAME)
    strange = margins(cells, FRAME.with_columns(text=pl.lit("new")))
    assert unlike(cells, [margins(cells, FRAME), strange], strange) == ""


def test_a_value_that_most_rows_share_has_a_cell_of_its_own() -> None:
    rain = pl.DataFrame({"rain": [0.0] * 95 + [0.1, 0.2, 0.3, 0.4, 0.5]})
    encoding = Encoding.of(rain)
    dry, wet = encoding.codes(pl.DataFrame({"rain": [0.0, 0.3]}))[:, 0]
    assert dry != wet
    assert encoding.codes(rain).max() < encoding.sizes[0]
