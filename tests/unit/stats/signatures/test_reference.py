import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.stats.signatures.reference import Reference
from headwater.stats.signatures.signatures import diagnose
from unit.stats.feeds import day, orders, products, readings


def test_no_rows_is_no_reference() -> None:
    with pytest.raises(DataError):
        Reference.learn([])
    with pytest.raises(DataError):
        Reference.learn([(day(0), orders(0).head(0))], time="placed_at")


def test_a_column_without_a_name_is_learned_and_named() -> None:
    frames = [(day(p), readings(p).rename({"temperature": ""})) for p in range(28)]
    reference = Reference.learn(frames, time="read_at")
    cold = readings(28).rename({"temperature": ""}).with_columns((pl.col("") - 32) / 1.8)
    [found, *_] = diagnose(cold, reference, window=day(28))
    assert (found.fault, found.column) == ("unit", "")


def test_relations_are_learned() -> None:
    reference = Reference.learn([(day(p), orders(p)) for p in range(21)], time="placed_at")
    assert {(one.by, one.column) for one in reference.lookups} == {("product", "group")}
    assert {frozenset((one.column, *one.weights)) for one in reference.linears} == {frozenset(("net", "tax", "gross"))}
    readings_reference = Reference.learn([(day(p), readings(p)) for p in range(14)], time="read_at")
    assert {(one.column, one.part, one.offset) for one in readings_reference.calendars} == {
        ("day", "day", "local"),
        ("hour", "hour", "local"),
    }


def test_every_reference_window_is_within_its_own_scale() -> None:
    frames = [(day(p), orders(p)) for p in range(28)]
    reference = Reference.learn(frames, time="placed_at")
    for place in (5, 14, 27):
        score = reference.compare(reference.measure(reference.view(*frames[place][::-1]), without=place), day(place))
        assert score.total <= 1.01


def test_weekly_habits_are_not_abnormal() -> None:
    reference = Reference.learn([(day(p), orders(p)) for p in range(28)], time="placed_at")
    assert "rows:" in reference.baseline.weekdays
    saturday, monday = 29, 31
    assert reference.score(orders(saturday), day(saturday)).ratios["rows:"] < 1.5
    # A Saturday's rows on a Monday are too few.
    assert (
        reference.score(orders(saturday), day(monday)).ratios["rows:"]
        > reference.score(orders(saturday), day(saturday)).ratios["rows:"]
    )


def test_nulls_in_a_new_combination_are_told_from_known_ones() -> None:
    def feed(place: int, share: float) -> pl.DataFrame:
        gone = pl.int_range(pl.len()) < share * pl.len()
        return readings(place).with_columns(
            pl.when(gone).then(None).otherwise(pl.col(name)).alias(name) for name in ("temperature", "dew_point")
        )

    reference = Reference.learn([(day(p), feed(p, 0.02 + 0.01 * (p % 3))) for p in range(28)], time="read_at")
    assert reference.score(feed(28, 0.5), day(28)).ratios["nullpattern:"] == 0
    only = feed(28, 0.03).with_columns(pl.lit(None, pl.Float64).alias("wind"))
    assert reference.score(only, day(28)).ratios["nullpattern:"] > 2


def test_naive_local_times_lie_in_their_windows() -> None:
    def local(place: int) -> pl.DataFrame:
        return readings(place).with_columns(
            pl.col("read_at").dt.convert_time_zone("Europe/Berlin").dt.replace_time_zone(None)
        )

    reference = Reference.learn([(day(p), local(p)) for p in range(10)], time="read_at")
    assert reference.naive_local
    assert reference.score(local(10), day(10)).ratios["outside:read_at"] == 0


def test_odd_frames_can_be_scored() -> None:
    reference = Reference.learn([(day(p), readings(p)) for p in range(10)], time="read_at")
    window = day(10)
    for frame in (
        readings(10).head(0),
        readings(10).head(1),
        readings(10).select("station"),
        readings(10).with_columns(pl.lit(None).alias("temperature"), pl.lit(float("nan")).alias("wind")),
        pl.DataFrame({"something": [1, 2, 3]}),
    ):
        assert reference.score(frame, window).total >= 0


def test_few_snapshots_are_enough() -> None:
    reference = Reference.learn([(day(0), products(0))], key=("product",), snapshot=True)
    assert reference.score(products(1), day(1)).total < 2
