"""What counts as a frame's meaning, and what does not."""

import datetime as dt

import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.stats.frames.content import content_hash, dtype_text

NEW_YORK = dt.datetime(2013, 7, 1, 5, tzinfo=dt.UTC)

KINDS = {
    "int": pl.Series([1, None, 3], dtype=pl.Int32),
    "float": pl.Series([1.5, None, float("nan")]),
    "bool": pl.Series([True, None, False]),
    "string": pl.Series(["a", None, ""]),
    "binary": pl.Series([b"a", None, b""]),
    "categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
    "date": pl.Series([dt.date(2013, 1, 1), None, dt.date(2013, 1, 2)]),
    "time": pl.Series([dt.time(1), None, dt.time(2)]),
    "duration": pl.Series([dt.timedelta(1), None, dt.timedelta(2)]),
    "datetime": pl.Series([NEW_YORK, None, NEW_YORK + dt.timedelta(hours=1)]).dt.convert_time_zone("America/New_York"),
    "decimal": pl.Series(["1.10", None, "2.00"]).cast(pl.Decimal(10, 2)),
    "wide": pl.Series([1, None, 1 << 100], dtype=pl.Int128),
    "list": pl.Series([[1, None], None, []], dtype=pl.List(pl.Int8)),
    "array": pl.Series([[1.0, 2.0], None, [3.0, 4.0]], dtype=pl.Array(pl.Float64, 2)),
    "struct": pl.Series([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]),
    "nested": pl.Series([[{"x": ["q"]}], None, [{"x": None}]]),
    "null": pl.Series([None, None, None]),
}


def as_frame(series: pl.Series) -> pl.DataFrame:
    return series.alias("x").to_frame()


@pytest.mark.parametrize("kind", KINDS)
def test_layout_does_not_count(kind):
    frame = as_frame(KINDS[kind])
    chunked = pl.concat([frame[:1], frame[1:]], rechunk=False)
    sliced = pl.concat([frame, frame])[3:]
    assert content_hash(frame) == content_hash(chunked) == content_hash(sliced)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "null"])
def test_row_order_nulls_and_values_count(kind):
    frame = as_frame(KINDS[kind])
    variants = [frame, frame[::-1], frame[:2], frame[[0, 0, 2]], frame[[0, 1, 1]], frame[[1, 1, 1]]]
    assert len({content_hash(variant) for variant in variants}) == len(variants)


def test_every_kind_differs_from_every_other_even_when_empty():
    hashes = {content_hash(as_frame(series).clear()) for series in KINDS.values()}
    assert len(hashes) == len(KINDS)


def test_what_lies_under_a_null_does_not_count():
    for dtype in (pl.Int64, pl.Float64):
        clean = pl.Series([71, None, 73], dtype=dtype)
        computed = pl.Series([1, None, 3], dtype=dtype) + 70  # kernels run over the masked slot too
        assert content_hash(as_frame(clean)) == content_hash(as_frame(computed))


def test_negative_zero_and_nan_payloads_are_one():
    import numpy as np

    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    plain = np.array([float("nan"), float("nan")])
    assert content_hash(pl.DataFrame({"x": odd})) == content_hash(pl.DataFrame({"x": plain}))
    assert content_hash(pl.DataFrame({"x": [-0.0]})) == content_hash(pl.DataFrame({"x": [0.0]}))
    assert content_hash(pl.DataFrame({"x": [None, 1.0]})) != content_hash(pl.DataFrame({"x": [float("nan"), 1.0]}))


def test_bytes_cannot_move_between_rows_or_columns():
    assert content_hash(pl.DataFrame({"x": ["ab", "c"]})) != content_hash(pl.DataFrame({"x": ["a", "bc"]}))
    assert content_hash(pl.DataFrame({"x": ["a"], "y": [""]})) != content_hash(pl.DataFrame({"x": [""], "y": ["a"]}))
    assert content_hash(pl.DataFrame({"x": ["", None]})) != content_hash(pl.DataFrame({"x": [None, ""]}))


def test_names_types_zones_and_column_order_count():
    frame = pl.DataFrame({"x": [1], "y": [1]})
    zoned = as_frame(KINDS["datetime"])
    variants = [
        frame,
        frame.select("y", "x"),
        frame.rename({"x": "z"}),
        frame.cast({"x": pl.Int32}),
        zoned,
        zoned.select(pl.col("x").dt.convert_time_zone("UTC")),
        zoned.select(pl.col("x").dt.cast_time_unit("ms")),
        pl.DataFrame(),
        pl.DataFrame(height=3),
    ]
    assert len({content_hash(variant) for variant in variants}) == len(variants)


def test_a_categorical_is_its_text_whatever_was_seen_before():
    first = pl.DataFrame({"x": pl.Series(["z", "a"], dtype=pl.Categorical)})[1:]
    second = pl.DataFrame({"x": pl.Series(["a"], dtype=pl.Categorical)})
    assert content_hash(first) == content_hash(second)


def test_long_text_takes_another_road_to_the_same_hash():
    words = [f"wört {number}" if number % 7 else None for number in range(150_000)]
    frame = pl.DataFrame({"x": words})
    quick = content_hash(frame)
    import headwater.stats.frames.content as content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "_FEW", len(words) + 1)
        assert content_hash(frame) == quick


def test_python_objects_are_refused():
    with pytest.raises(DataError, match="Python objects"):
        content_hash(pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)}))


def test_the_hash_is_pinned():
    """Changing the algorithm orphans every stored version: then raise the format's number, and this."""
    frame = pl.DataFrame({kind: series for kind, series in KINDS.items()})
    assert content_hash(frame) == PINNED


PINNED = "ba124797861cc64b5f56a29b80746119802f158d7a1a1f1394b53e48d795e06a"


def test_dtype_text_names_every_detail():
    assert dtype_text(pl.Enum(["b", "a"])) == 'enum["b", "a"]'
    assert dtype_text(pl.Struct({"x": pl.Duration("ms")})) == 'struct[["x", "duration[ms]"]]'
    assert dtype_text(pl.Array(pl.Decimal(10, 2), 3)) == "array[decimal[10,2],3]"
    assert dtype_text(pl.Datetime("us")) == "datetime[us,]"
