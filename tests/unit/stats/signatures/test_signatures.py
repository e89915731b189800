from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.core.windows import Window
from headwater.stats.signatures.repairs import Repair, apply
from headwater.stats.signatures.signatures import Diagnosis, Reference, diagnose
from unit.stats.feeds import day, orders, products, readings

TODAY = 40


@pytest.fixture(scope="module")
def weather() -> Reference:
    frames = [(day(place), readings(place)) for place in range(TODAY - 28, TODAY)]
    return Reference.learn(frames, key=("station", "read_at"), time="read_at")


@pytest.fixture(scope="module")
def sales() -> Reference:
    return Reference.learn([(day(place), orders(place)) for place in range(TODAY - 28, TODAY)], time="placed_at")


@pytest.fixture(scope="module")
def catalogue() -> Reference:
    frames = [(day(place), products(place)) for place in range(TODAY - 5, TODAY)]
    return Reference.learn(frames, key=("product",), snapshot=True)


def best(frame: pl.DataFrame, reference: Reference, window: Window | None = None) -> Diagnosis:
    found = diagnose(frame, reference, window=window or day(TODAY))
    assert found, "nothing fired"
    return found[0]


def mended(frame: pl.DataFrame, wanted: pl.DataFrame, reference: Reference) -> Diagnosis:
    """The best diagnosis, whose repair must give the wanted frame back."""
    found = best(frame, reference)
    assert found.invertible and found.before > 2 and found.after < found.before
    repaired = apply(found.repair, frame, reference)
    assert repaired.schema == wanted.schema
    for name in wanted.columns:
        one, other = repaired.get_column(name), wanted.get_column(name)
        if other.dtype.is_float():
            assert ((one - other).abs() < 1e-6).fill_null(one.is_null() & other.is_null()).all(), name
        else:
            assert one.equals(other, null_equal=True), name
    return found


def col(name: str) -> pl.Expr:
    return pl.col(name)


Change = Callable[[pl.DataFrame], pl.DataFrame]

WEATHER: dict[str, tuple[str, str, Change]] = {
    "fahrenheit": ("unit", "temperature", lambda f: f.with_columns(col("temperature") * 1.8 + 32)),
    "both in fahrenheit": (
        "unit",
        "dew_point",
        lambda f: f.with_columns(col("temperature") * 1.8 + 32, col("dew_point") * 1.8 + 32),
    ),
    "wind in km/h": ("unit", "wind", lambda f: f.with_columns(col("wind") * 1.609344)),
    "tenths": ("unit", "temperature", lambda f: f.with_columns(col("temperature") * 10)),
    "time late": ("time_offset", "read_at", lambda f: f.with_columns(col("read_at") + timedelta(hours=2))),
    "half an hour": ("time_offset", "read_at", lambda f: f.with_columns(col("read_at") - timedelta(minutes=330))),
    "loaded twice": ("duplicate_load", "", lambda f: pl.concat([f, f])),
    "lower case": ("enum_recode", "station", lambda f: f.with_columns(col("station").str.to_lowercase())),
    "prefix": ("enum_recode", "station", lambda f: f.with_columns(("EU." + col("station")).alias("station"))),
    "renamed": ("rename", "temperature", lambda f: f.rename({"temperature": "temp_c"})),
    "numbers as text": ("type_change", "wind", lambda f: f.with_columns(col("wind").cast(pl.String))),
    "swapped": (
        "column_swap",
        "wind",
        lambda f: f.rename({"wind": "temperature", "temperature": "wind"}).select(f.columns),
    ),
}


@pytest.mark.parametrize("name", WEATHER)
def test_the_inverse_gives_the_readings_back(name: str, weather: Reference) -> None:
    fault, column, change = WEATHER[name]
    clean = readings(TODAY)
    found = mended(change(clean), clean, weather)
    assert found.fault == fault
    assert column in found.column
    assert found.detail


ORDERS: dict[str, tuple[str, str, Change]] = {
    "cents": ("unit", "net", lambda f: f.with_columns(col("net") * 100, col("tax") * 100, col("gross") * 100)),
    "total of something else": (
        "dependency",
        "gross",
        lambda f: f.with_columns((col("net") - col("tax")).alias("gross")),
    ),
    "group lost": (
        "null_burst",
        "group",
        lambda f: f.with_columns(pl.when(pl.int_range(pl.len()) % 3 > 0).then(col("group")).alias("group")),
    ),
    "codes for names": (
        "enum_recode",
        "shop",
        lambda f: f.with_columns(col("shop").replace({"web": "S1", "app": "S2", "store": "S3"})),
    ),
    "new name for one": ("enum_recode", "shop", lambda f: f.with_columns(col("shop").replace({"web": "online"}))),
    "times as text": (
        "type_change",
        "placed_at",
        lambda f: f.with_columns(col("placed_at").dt.strftime("%d.%m.%Y %H:%M")),
    ),
    "loaded twice": ("duplicate_load", "", lambda f: pl.concat([f, f])),
    "yesterday again": ("duplicate_load", "", lambda f: pl.concat([f, orders(TODAY - 1)])),
    "all text": ("type_change", "net", lambda f: f.with_columns(pl.all().cast(pl.String))),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_inverse_gives_the_orders_back(name: str, sales: Reference) -> None:
    fault, column, change = ORDERS[name]
    clean = orders(TODAY)
    found = mended(change(clean), clean, sales)
    assert found.fault == fault
    assert column in found.column


def test_sentinels_become_nulls(weather: Reference) -> None:
    clean = readings(TODAY)
    hit = pl.int_range(pl.len()) % 5 == 0
    frame = clean.with_columns(pl.when(hit).then(-999.0).otherwise(col("temperature")).alias("temperature"))
    wanted = clean.with_columns(pl.when(hit).then(None).otherwise(col("temperature")).alias("temperature"))
    assert mended(frame, wanted, weather).fault == "sentinel"


def test_words_for_nothing_become_nulls(sales: Reference) -> None:
    clean = orders(TODAY)
    hit = pl.int_range(pl.len()) % 4 == 0
    frame = clean.with_columns(pl.when(hit).then(pl.lit("N/A")).otherwise(col("shop")).alias("shop"))
    wanted = clean.with_columns(pl.when(hit).then(None).otherwise(col("shop")).alias("shop"))
    assert mended(frame, wanted, sales).fault == "sentinel"


LOST: dict[str, tuple[str, str, Change]] = {
    "frozen": ("frozen", "", lambda f: readings(TODAY - 1)),
    "replayed as today": (
        "frozen",
        "",
        lambda f: readings(TODAY - 3).with_columns(col("read_at") + timedelta(days=3), f["day"].alias("day")),
    ),
    "half": ("truncated", "", lambda f: f.head(f.height // 2)),
    "a station missing": ("truncated", "station", lambda f: f.filter(col("station") != "BER")),
    "late": ("late_partition", "", lambda f: f.filter(col("hour") < 17)),
    "empty": ("late_partition", "", lambda f: f.head(0)),
    "nulls": (
        "null_burst",
        "wind",
        lambda f: f.with_columns(pl.when(pl.int_range(pl.len()) % 4 > 0).then(col("wind")).alias("wind")),
    ),
    "constant": ("default_fill", "temperature", lambda f: f.with_columns(pl.lit(0.0).alias("temperature"))),
    "copied": ("dependency", "dew_point", lambda f: f.with_columns((col("temperature") * 0.9).alias("dew_point"))),
    "column gone": ("missing_column", "wind", lambda f: f.drop("wind")),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_undone_is_named(name: str, weather: Reference) -> None:
    fault, column, change = LOST[name]
    found = best(change(readings(TODAY)), weather)
    assert (found.fault, found.invertible, found.repair.operator) == (fault, False, "redeliver")
    assert column in found.column
    assert found.before > 2


@pytest.mark.parametrize("change", ["dropped", "null", "recorded as the other"])
def test_missing_outcomes_are_told_from_missing_rows(change: str, sales: Reference) -> None:
    clean = orders(TODAY, late=0.3)
    reference = Reference.learn([(day(p), orders(p, late=0.3)) for p in range(TODAY - 28, TODAY)], time="placed_at")
    frame = {
        "dropped": clean.filter(col("late") == 0),
        "null": clean.with_columns(pl.when(col("late") == 0).then(col("late")).alias("late")),
        "recorded as the other": clean.with_columns(pl.lit(0, pl.Int64).alias("late")),
    }[change]
    found = best(frame, reference)
    assert found.fault == "missing_outcomes"
    assert found.column == "late"


@pytest.mark.parametrize("calendar", [False, True])
@pytest.mark.parametrize("hours", [3, -5])
def test_an_offset_is_found_when_the_rows_were_cut_afterwards(hours: int, calendar: bool, weather: Reference) -> None:
    window = day(TODAY)
    near = pl.concat([readings(TODAY + step) for step in (-1, 0, 1)])
    moved = near.with_columns(col("read_at") + timedelta(hours=hours))
    if calendar:
        local = col("read_at").dt.convert_time_zone("Europe/Berlin")
        moved = moved.with_columns(
            local.dt.day().cast(pl.Int64).alias("day"), local.dt.hour().cast(pl.Int64).alias("hour")
        )
    frame = moved.filter((col("read_at") >= window.start) & (col("read_at") < window.end))
    found = best(frame, weather)
    assert found.fault == "time_offset"
    assert found.repair.parameters["seconds"] == -hours * 3600
    repaired = apply(found.repair, frame, weather)
    keyed = repaired.join(near, on=["station", "read_at"], suffix="_true")
    assert keyed.height == frame.height
    assert (keyed["temperature"] == keyed["temperature_true"]).all()
    assert (keyed["hour"] == keyed["hour_true"]).all()


def test_snapshots_fall_back_on_the_last_one(catalogue: Reference) -> None:
    found = best(products(TODAY).head(20), catalogue)
    assert (found.fault, found.repair.operator) == ("truncated", "previous_snapshot")
    assert apply(found.repair, products(TODAY).head(20), catalogue).equals(products(TODAY - 1))


def test_a_snapshot_in_pounds(catalogue: Reference) -> None:
    clean = products(TODAY)
    found = mended(clean.with_columns(col("weight_kg") / 0.45359237), clean, catalogue)
    assert (found.fault, found.column) == ("unit", "weight_kg")


def test_two_faults_are_both_named(weather: Reference) -> None:
    frame = readings(TODAY).with_columns(col("temperature") * 1.8 + 32, col("station").str.to_lowercase())
    faults = {one.fault for one in diagnose(frame, weather, window=day(TODAY))}
    assert {"unit", "enum_recode"} <= faults


def test_a_copied_column_does_not_hide_a_wrong_clock(weather: Reference) -> None:
    copied = readings(TODAY).with_columns((col("temperature") * 1.1).alias("dew_point"))
    frame = copied.with_columns(col("read_at") + pl.duration(hours=5))
    assert {"dependency", "time_offset"} <= {one.fault for one in diagnose(frame, weather, window=day(TODAY))}
    assert not [one for one in diagnose(copied, weather, window=day(TODAY)) if one.fault == "time_offset"]


@pytest.fixture(scope="module")
def fees() -> Reference:
    """Orders with a fee that was always null and a levy that was always nothing."""
    frames = [
        (day(p), orders(p).with_columns(fee=pl.lit(None, pl.Float64), levy=0.0)) for p in range(TODAY - 28, TODAY)
    ]
    return Reference.learn(frames, time="placed_at")


def test_a_column_that_was_always_null_and_is_one_value_now_was_filled(fees: Reference) -> None:
    filled = orders(TODAY).with_columns(fee=3.0, levy=0.0)
    found = best(filled, fees)
    assert (found.fault, found.column, found.invertible) == ("default_fill", "fee", False)
    begun = filled.with_columns(fee=pl.col("net") * 0.1)
    assert not [one for one in diagnose(begun, fees, window=day(TODAY)) if one.fault == "default_fill"]


def test_in_a_column_of_one_value_only_known_stand_ins_are_sentinels(fees: Reference) -> None:
    for value, right in ((3.5, False), (-999.0, True)):
        odd = pl.when(pl.int_range(pl.len()) % 5 > 0).then(value).otherwise(0.0)
        frame = orders(TODAY).with_columns(fee=pl.lit(None, pl.Float64), levy=odd)
        assert any(one.fault == "sentinel" for one in diagnose(frame, fees, window=day(TODAY))) == right, value


def test_clean_windows_are_quiet(weather: Reference, sales: Reference, catalogue: Reference) -> None:
    fired = []
    for place in range(TODAY, TODAY + 12):
        fired += diagnose(readings(place), weather, window=day(place))
        fired += diagnose(orders(place), sales, window=day(place))
        fired += diagnose(products(place), catalogue, window=day(place))
    assert not fired


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.6])
def test_storms_are_not_faults(strength: float, weather: Reference) -> None:
    frame = readings(TODAY, storm=strength)
    assert weather.score(frame, day(TODAY)).total > 2, "the storm must be abnormal for this test to say anything"
    assert not diagnose(frame, weather, window=day(TODAY))


@pytest.mark.parametrize("volume", [0.75, 1.5, 3.0])
def test_busy_and_slow_days_are_not_faults(volume: float, sales: Reference) -> None:
    assert not diagnose(orders(TODAY, volume=volume, late=0.2), sales, window=day(TODAY))


def test_no_rows_is_a_fault_only_of_a_feed_that_always_has_some(sales: Reference) -> None:
    """Events, outages, holidays: such feeds have rows on some days only."""
    places = range(TODAY - 28, TODAY)
    frames = [(day(place), orders(place) if place % 4 else orders(place).clear()) for place in places]
    sparse = Reference.learn(frames, time="placed_at")
    assert best(orders(TODAY).clear(), sales).fault == "late_partition"
    assert diagnose(orders(TODAY).clear(), sparse, window=day(TODAY)) == []


def test_clock_changes_are_not_faults() -> None:
    # 31 March 2024 has 23 hours in Berlin.
    reference = Reference.learn(
        [(day(p), readings(p)) for p in range(2, 30)], key=("station", "read_at"), time="read_at"
    )
    assert day(30).key == "2024-03-31"
    assert not [one for one in diagnose(readings(30), reference, window=day(30)) if one.fault == "time_offset"]


def test_a_reference_for_another_key_is_refused(weather: Reference) -> None:
    with pytest.raises(UsageError, match="key"):
        diagnose(readings(TODAY), weather, window=day(TODAY), key=("station",))


def test_a_stored_repair_mends_later_windows(weather: Reference) -> None:
    found = best(readings(TODAY).with_columns(col("temperature") * 1.8 + 32), weather)
    stored = Repair.of(found.repair.as_dict())
    later = readings(TODAY + 2)
    repaired = apply(stored, later.with_columns(col("temperature") * 1.8 + 32), weather)
    assert (repaired["temperature"] - later["temperature"]).abs().max() < 1e-6
