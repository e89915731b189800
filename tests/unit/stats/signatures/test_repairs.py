from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.canonical import canonical
from headwater.core.errors import DataError, UnknownName
from headwater.stats.signatures.reference import Reference
from headwater.stats.signatures.repairs import OPERATORS, Repair, apply
from headwater.stats.signatures.units import CONVERSIONS
from unit.stats.feeds import day, orders, products, readings


@pytest.fixture(scope="module")
def weather() -> Reference:
    return Reference.learn([(day(p), readings(p)) for p in range(10, 20)], key=("station", "read_at"), time="read_at")


@pytest.fixture(scope="module")
def sales() -> Reference:
    return Reference.learn([(day(p), orders(p)) for p in range(10, 20)], time="placed_at")


def repair(operator: str, **parameters: object) -> Repair:
    return Repair(operator, "unit", parameters)


def test_a_repair_is_plain_data() -> None:
    made = repair("affine", columns={"wind": {"scale": 0.5, "shift": 0.0}})
    assert Repair.of(made.as_dict()) == made
    assert b"affine" in canonical(made.as_dict())


def test_an_unknown_operator_is_refused(weather: Reference) -> None:
    with pytest.raises(UnknownName, match="afine"):
        Repair.of({"operator": "afine", "fault": "unit"})
    with pytest.raises(UnknownName):
        apply(repair("afine"), readings(1), weather)


def test_a_loss_cannot_be_applied(weather: Reference) -> None:
    made = repair("redeliver")
    assert not made.invertible
    with pytest.raises(DataError, match="cannot be computed"):
        apply(made, readings(1), weather)


@pytest.mark.parametrize("operator", [one for one in OPERATORS if one not in ("redeliver", "deduplicate")])
def test_a_column_that_is_not_there_is_a_data_error(operator: str, weather: Reference) -> None:
    if operator in ("drop_delivered", "previous_snapshot"):
        return
    made = {
        "affine": repair("affine", columns={"nope": {"scale": 1.0, "shift": 0.0}}),
        "time_shift": repair("time_shift", columns=["nope"], seconds=3600),
        "calendar": repair("calendar", columns=["nope"], source="read_at", zone_hours=1.0),
        "recode": repair("recode", columns={"nope": {"map": [["a", "b"]]}}),
        "rename": repair("rename", columns={"nope": "station"}),
        "cast": repair("cast", columns={"nope": "point"}),
        "to_null": repair("to_null", columns={"nope": [0]}),
        "fill": repair("fill", columns={"nope": "station"}),
        "rebuild": repair("rebuild", columns={"nope": {"weights": {"wind": 1.0}, "constant": 0.0}}),
        "swap": repair("swap", columns=["nope", "station"]),
        "realign": repair("realign", columns=["nope"], rows=1),
    }[operator]
    with pytest.raises(DataError, match="cannot be applied"):
        apply(made, readings(1), weather)


def test_frames_are_not_changed(weather: Reference) -> None:
    frame = readings(1)
    before = frame.clone()
    apply(repair("affine", columns={"wind": {"scale": 2.0, "shift": 0.0}}), frame, weather)
    apply(repair("time_shift", columns=["read_at"], seconds=60), frame, weather)
    assert frame.equals(before)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CONVERSIONS), st.integers(0, 30))
def test_every_conversion_is_undone_exactly(weather: Reference, conversion: object, place: int) -> None:
    scale, shift = conversion.scale, conversion.shift  # type: ignore[attr-defined]
    frame = readings(place)
    observed = frame.with_columns(pl.col("temperature") * scale + shift)
    made = repair("affine", columns={"temperature": {"scale": 1 / scale, "shift": -shift / scale}})
    assert (apply(made, observed, weather)["temperature"] - frame["temperature"]).abs().max() < 1e-6


def test_whole_numbers_stay_whole(sales: Reference) -> None:
    frame = orders(12)
    observed = frame.with_columns(pl.col("quantity") / 12)
    mended = apply(repair("affine", columns={"quantity": {"scale": 12.0, "shift": 0.0}}), observed, sales)
    assert mended.equals(frame)


def test_times_and_their_calendar_move_together(weather: Reference) -> None:
    frame = readings(12)
    moved = frame.with_columns(pl.col("read_at") + timedelta(hours=3))
    made = repair(
        "time_shift", columns=["read_at"], seconds=-3 * 3600, calendar=["day", "hour"], source="read_at", zone_hours=1.0
    )
    assert apply(made, moved.with_columns(hour=pl.lit(0, pl.Int64), day=pl.lit(0, pl.Int64)), weather).equals(frame)


def test_equal_rows_by_nature_survive(sales: Reference) -> None:
    frame = pl.DataFrame({"item": ["a", "a", "b"], "n": [1, 1, 2]})
    assert apply(repair("deduplicate", key=[], copies=2), pl.concat([frame, frame]), sales).equals(frame)
    assert apply(repair("deduplicate", key=[]), pl.concat([frame, frame]), sales).height == 2


def test_rows_of_earlier_windows_are_dropped_with_their_nulls(sales: Reference) -> None:
    frame, earlier = orders(20), orders(19)
    assert apply(repair("drop_delivered"), pl.concat([earlier, frame]), sales).equals(frame)


def test_rules_also_map_values_that_were_not_in_the_diagnosed_window(sales: Reference) -> None:
    frame = orders(12)
    spoiled = frame.with_columns((" " + pl.col("product").str.to_lowercase()).alias("product"))
    assert apply(repair("recode", columns={"product": {"rule": "case"}}), spoiled, sales).equals(frame)


def test_a_lookup_fills_only_nulls_unless_told_to_overwrite(sales: Reference) -> None:
    frame = orders(12)
    holes = frame.with_columns(
        group=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("wrong")).otherwise(pl.lit(None, pl.String))
    )
    filled = apply(repair("fill", columns={"group": "product"}), holes, sales)
    assert (filled["group"] == "wrong").sum() == (holes["group"] == "wrong").sum()
    assert apply(repair("fill", columns={"group": "product"}, overwrite=True), holes, sales).equals(frame)


def test_a_total_is_rebuilt_from_its_parts(sales: Reference) -> None:
    frame = orders(12)
    recipe = {"weights": {"net": 1.0, "tax": 1.0}, "constant": 0.0}
    spoiled = frame.with_columns(gross=pl.lit(0.0))
    assert (
        apply(repair("rebuild", columns={"gross": recipe}), spoiled, sales)["gross"] - frame["gross"]
    ).abs().max() < 1e-9


def test_the_previous_snapshot_stands_in() -> None:
    reference = Reference.learn([(day(p), products(p)) for p in range(3)], key=("product",), snapshot=True)
    assert apply(repair("previous_snapshot"), products(3).head(2), reference).equals(products(2))


def test_swapping_twice_is_nothing(weather: Reference) -> None:
    made = repair("swap", columns=["wind", "temperature"])
    assert apply(made, apply(made, readings(1), weather), weather).equals(readings(1))
