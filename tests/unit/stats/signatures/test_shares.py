"""A share of a column's rows in another unit: named, and repaired where the rows can be told."""

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.stats.signatures.repairs import Repair, apply
from headwater.stats.signatures.signatures import Diagnosis, Reference, diagnose
from headwater.stats.signatures.views import thinned
from unit.stats.feeds import day, orders, readings

TODAY = 40


def trips(place: int, rows: int = 400, seed: int = 9000) -> pl.DataFrame:
    """Trips of two vendors, with a length that nothing else tells and a wide price."""
    rng = np.random.default_rng(seed + place)
    start = day(place).start.replace(tzinfo=None)
    seconds = pl.Series(rng.integers(0, 86_000, rows) * 10**6).cast(pl.Duration("us"))
    return pl.DataFrame(
        {
            "at": pl.Series([start] * rows, dtype=pl.Datetime("us")) + seconds,
            "vendor": rng.choice(["1", "2"], rows, p=[0.66, 0.34]),
            "distance": np.round(np.exp(rng.normal(2.0 + 0.1 * np.sin(place), 0.4, rows)), 2),
            "weight": np.exp(rng.normal(1.0, 1.1, rows)),
        }
    )


@pytest.fixture(scope="module")
def rides() -> Reference:
    return Reference.learn([(day(place), trips(place)) for place in range(TODAY - 28, TODAY)], time="at")


@pytest.fixture(scope="module")
def weather() -> Reference:
    frames = [(day(place), readings(place)) for place in range(TODAY - 28, TODAY)]
    return Reference.learn(frames, key=("station", "read_at"), time="read_at")


def hurt(frame: pl.DataFrame, column: str, factor: float, hit: pl.Expr | pl.Series, shift: float = 0) -> pl.DataFrame:
    return frame.with_columns(pl.when(hit).then(pl.col(column) * factor + shift).otherwise(column).alias(column))


def some(rows: int, share: float, seed: int = 5) -> pl.Series:
    return pl.Series(np.random.default_rng(seed).random(rows) < share)


def best(frame: pl.DataFrame, reference: Reference) -> Diagnosis:
    found = diagnose(frame, reference, window=day(TODAY))
    assert found, "nothing fired"
    return found[0]


def assert_restored(found: Diagnosis, frame: pl.DataFrame, clean: pl.DataFrame, reference: Reference) -> None:
    assert found.invertible
    mended = apply(found.repair, frame, reference).get_column(found.column)
    assert (mended - clean.get_column(found.column)).abs().max() < 1e-6  # type: ignore[operator]


def test_the_vendor_whose_rows_were_hit_is_named(rides: Reference) -> None:
    clean = trips(TODAY)
    frame = hurt(clean, "distance", 0.1, pl.col("vendor") == "2")
    found = best(frame, rides)
    share = (clean["vendor"] == "2").mean()
    assert (found.fault, found.column) == ("unit", "distance")
    assert found.detail == f"`distance` of {share:.0%} of the rows (vendor=2) came 10 times as small"
    assert found.repair.parameters["where"] == {"column": "vendor", "values": ["2"]}
    assert_restored(found, frame, clean, rides)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("factor", [100, 0.01, 1.609344, 1 / 1.609344, 3.28084, 0.0254])
def test_any_rows_are_put_right(share: float, factor: float, rides: Reference) -> None:
    clean = trips(TODAY)
    frame = hurt(clean, "distance", factor, some(clean.height, share))
    found = best(frame, rides)
    assert (found.fault, found.column) == ("unit", "distance")
    assert_restored(found, frame, clean, rides)


def test_a_station_in_another_scale_is_put_right(weather: Reference) -> None:
    clean = readings(TODAY)
    frame = hurt(clean, "temperature", 1.8, pl.col("station") == "BER", 32)
    found = best(frame, weather)
    assert (found.fault, found.column) == ("unit", "temperature")
    assert "(station=BER) came in another unit: °C now in °F" in found.detail
    assert_restored(found, frame, clean, weather)


def test_rows_that_cannot_be_told_apart_are_held(rides: Reference) -> None:
    clean = trips(TODAY)
    found = best(hurt(clean, "weight", 100, some(clean.height, 0.35)), rides)
    assert (found.fault, found.column, found.invertible) == ("unit", "weight", False)
    assert "cannot be told" in found.detail


@pytest.mark.parametrize("factor", [28.349523, 68.947573])
def test_longer_journeys_that_are_measured_as_ever_are_no_unit(rides: Reference, factor: float) -> None:
    """To the same digits: the world brings such rides, a conversion by such a factor would leave odd digits."""
    frame = hurt(trips(TODAY), "distance", factor, some(400, 0.3)).with_columns(pl.col("distance").round(2))
    assert all("cannot be told" not in found.detail for found in diagnose(frame, rides, window=day(TODAY)))


@pytest.mark.parametrize("place", range(TODAY, TODAY + 12))
def test_clean_days_are_left_alone(place: int, rides: Reference) -> None:
    assert not diagnose(trips(place), rides, window=day(place))


def test_a_longer_day_is_no_unit(rides: Reference) -> None:
    frame = trips(TODAY).with_columns(pl.col("distance") * 1.5, pl.col("weight") * 2.2)
    assert all("rows" not in found.detail for found in diagnose(frame, rides, window=day(TODAY)))


def test_the_repair_survives_storage(rides: Reference) -> None:
    frame = hurt(trips(TODAY), "distance", 0.1, pl.col("vendor") == "2")
    repair = best(frame, rides).repair
    assert apply(Repair.of(repair.as_dict()), frame, rides).equals(apply(repair, frame, rides))


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.sampled_from([0.0, -1.0, 1e300, -1e300, float("nan"), float("inf"), 1e-300]), st.floats()),
        min_size=1,
        max_size=40,
    )
)
def test_hostile_values_neither_fail_nor_warn(values: list[float], rides: Reference) -> None:
    frame = trips(TODAY, rows=len(values)).with_columns(pl.Series("distance", values))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diagnose(frame, rides, window=day(TODAY))


@pytest.mark.parametrize("value", [0.0, 7.0, 1e300, float("nan"), float("inf")])
def test_constants_are_no_mixture(value: float, rides: Reference) -> None:
    frame = trips(TODAY).with_columns(pl.lit(value).alias("distance"))
    assert all("rows (" not in found.detail for found in diagnose(frame, rides, window=day(TODAY)))


def test_orders_of_one_shop_in_cents() -> None:
    reference = Reference.learn([(day(place), orders(place)) for place in range(TODAY - 28, TODAY)], time="placed_at")
    frame = hurt(orders(TODAY), "net", 100, pl.col("shop") == "web")
    assert diagnose(frame, reference, window=day(TODAY)), "a total, a lookup or the shop must tell"


def taking_turns(place: int, rows: int) -> pl.DataFrame:
    """Rows of two kinds that take turns; one of them has an amount."""
    amount = np.random.default_rng(place).lognormal(2.0, 0.6, rows).round(2)
    second = pl.int_range(pl.len()) % 2 == 1
    return pl.DataFrame({"amount": amount}).select(
        kind=pl.when(second).then(pl.lit("paid")).otherwise(pl.lit("seen")), amount=pl.when(second).then("amount")
    )


@pytest.mark.parametrize("rows", [8000, 7900])
def test_rows_that_take_turns_are_all_seen(rows: int) -> None:
    reference = Reference.learn([(day(place), taking_turns(place, 8000)) for place in range(TODAY - 14, TODAY)])
    frame = taking_turns(TODAY, rows).with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("amount") * 100).otherwise("amount").alias("amount")
    )
    assert [found.fault for found in diagnose(frame, reference, window=day(TODAY))] == ["unit"]


def test_a_thinned_frame_keeps_its_stretches_and_its_mixture() -> None:
    frame = pl.DataFrame({"n": range(24_000)}).with_columns(station=pl.col("n") % 24)
    some = thinned(frame, 1000)
    assert some.height == 1000 and (some["n"] // 24).to_list() == list(range(1000))
    assert some["station"].value_counts()["count"].min() > 30
    assert thinned(frame.head(1999), 1000).height == 1999
    assert thinned(frame.clear(), 0).height == 0
