"""Delivering one asset: what it reads, how its rows are cut into windows, and what a failure leaves behind."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from headwater.adapters.delta_tables import DeltaTables
from headwater.core.assets import Asset, Mechanism, Read
from headwater.core.errors import ContractBroken, CorruptTable, DataError, ModelError, StorageError
from headwater.core.windows import Calendar
from headwater.dataops.delivery import cut, deliver, own_window, read_parents
from headwater.testing.memory_tables import MemoryTables

DAYS = Calendar("1d", "America/New_York")
HOURS = Calendar("1h", "Europe/London")
CODE = Mechanism("c1")
SOURCE = Asset("trips", "raw", key=("id",), time="at", recomputable=False)


@pytest.fixture(params=["memory", "delta"])
def tables(request, tmp_path):
    return MemoryTables() if request.param == "memory" else DeltaTables(tmp_path / "tables")


def day(number):
    return f"2024-03-{number:02d}"


def rows(*numbers):
    return pl.DataFrame({"id": list(numbers)}, schema={"id": pl.Int64})


def fill(tables, name, numbers):
    """Deliver windows of a parent; each holds one row with the number of its day."""
    tables.write(name, {day(number): rows(number) for number in numbers}, run_id="before")


def passed(asset, frame, window, parents, pieces):
    return ["looked at"]


def one(asset, compute, tables, window, *parents, check=passed, calendar=DAYS):
    assets = {item.name: item for item in (asset, *parents)}
    return deliver(
        asset, CODE, compute, assets=assets, window=window, calendar=calendar, tables=tables, check=check, run_id="r"
    )


def everything(tables):
    return {name: {key: tables.content(name, key) for key in tables.keys(name)} for name in tables.datasets()}


# --- what an asset reads ----------------------------------------------------------------------------------------------
def read(tables, window, parent, lookback=0, lag=0, calendar=DAYS):
    child = Asset("child", "modeled", (Read(parent.name, lookback),), lag=lag)
    frames, inputs = read_parents(calendar, child, {parent.name: parent}, tables, window)
    return frames[parent.name]["id"].to_list(), inputs[0]


def test_a_child_reads_its_own_window_alone(tables):
    fill(tables, "trips", [1, 2, 3])
    assert read(tables, DAYS.window(day(2)), SOURCE)[0] == [2]


def test_a_lookback_reads_the_windows_before_and_never_the_ones_after(tables):
    fill(tables, "trips", [1, 2, 3, 4, 5])
    assert read(tables, DAYS.window(day(4)), SOURCE, lookback=2)[0] == [2, 3, 4]
    assert read(tables, DAYS.window(day(2)), SOURCE, lookback=9)[0] == [1, 2]


def test_a_lookback_does_not_make_do_without_the_newest_window(tables):
    fill(tables, "trips", [1, 2, 3])
    with pytest.raises(DataError, match="`trips` has no rows for window 2024-03-04"):
        read(tables, DAYS.window(day(4)), SOURCE, lookback=3)
    late = Asset("trips", "raw", lag=1, recomputable=False)
    assert read(tables, DAYS.window(day(4)), late, lookback=3)[0] == [1, 2, 3]
    with pytest.raises(DataError, match="`trips` has no rows for window 2024-03-05"):
        read(tables, DAYS.window(day(5)), late, lookback=3)


def test_a_range_reads_all_its_windows_and_the_lookback_of_the_first(tables):
    fill(tables, "trips", range(1, 9))
    assert read(tables, DAYS.span(day(4), day(6)), SOURCE)[0] == [4, 5, 6]
    assert read(tables, DAYS.span(day(4), day(6)), SOURCE, lookback=2)[0] == [2, 3, 4, 5, 6]


def test_a_lookback_counts_days_across_a_change_of_the_clock(tables):
    fill(tables, "trips", range(8, 13))  # the clock goes forward on 10 March
    assert read(tables, DAYS.window(day(12)), SOURCE, lookback=3)[0] == [9, 10, 11, 12]


@pytest.mark.parametrize(
    ("lag", "seen"), [(0, [1, 2, 3]), (1, [1, 2, 3, 4]), (2, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_a_parent_that_comes_late_is_read_as_far_as_it_had_come(tables, lag, seen):
    """At the run of day 5 + lag the parent had delivered up to day 3 + lag; it makes no difference what came since."""
    fill(tables, "trips", range(1, 10))
    late = Asset("trips", "raw", lag=2, recomputable=False)
    assert read(tables, DAYS.window(day(5)), late, lookback=4, lag=lag)[0] == seen
    assert read(tables, DAYS.span(day(5), day(6)), late, lookback=4, lag=lag)[0] == [*seen, seen[-1] + 1]


def test_a_snapshot_is_read_as_it_stood_at_the_window(tables):
    fleet = Asset("fleet", "raw", snapshot=True, recomputable=False)
    fill(tables, "fleet", [1, 4, 6])
    assert [read(tables, DAYS.window(day(at)), fleet)[0] for at in (1, 3, 4, 5, 6, 9)] == [[1], [1], [4], [4], [6], [6]]
    assert read(tables, DAYS.span(day(2), day(5)), fleet)[0] == [4]
    with pytest.raises(DataError, match="`fleet` has no rows for window 2024-02-28"):
        read(tables, DAYS.window("2024-02-28"), fleet)


def test_a_late_snapshot_is_read_as_it_was_known_at_the_run(tables):
    """At the run of day 5 the snapshot of day 5 had not come yet; only the first one is better than none."""
    fleet = Asset("fleet", "raw", snapshot=True, lag=1, recomputable=False)
    fill(tables, "fleet", [3, 4, 5])
    assert read(tables, DAYS.window(day(5)), fleet)[0] == [4]
    assert read(tables, DAYS.window(day(5)), fleet, lag=1)[0] == [5]
    assert read(tables, DAYS.window(day(3)), fleet)[0] == [3]


def test_an_input_says_which_version_and_which_contents_were_read(tables):
    fill(tables, "trips", [1, 2, 3])
    tables.write("trips", {day(2): rows(20)}, run_id="again")
    ids, found = read(tables, DAYS.window(day(3)), SOURCE, lookback=1)
    assert ids == [20, 3]
    assert (found.dataset, found.version) == ("trips", tables.version("trips"))
    assert found.contents == {day(n): tables.content("trips", day(n)) for n in (2, 3)}


def test_a_window_that_was_delivered_without_rows_is_there(tables):
    tables.write("trips", {day(1): rows()}, run_id="r")
    assert read(tables, DAYS.window(day(1)), SOURCE)[0] == []


# --- which window is an asset's own -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asset", "first", "last", "stored", "key"),
    [
        (Asset("a", "raw"), 5, 5, [], "2024-03-05"),
        (Asset("a", "raw", lag=2), 5, 5, [], "2024-03-03"),
        (Asset("a", "raw", lag=2), 5, 9, [], "2024-03-05..2024-03-07"),  # history begins with the first run
        (Asset("a", "raw", lag=2), 5, 9, [day(1)], "2024-03-03..2024-03-07"),
        (Asset("a", "raw", lag=2), 5, 6, [], None),
        (Asset("a", "raw", lag=4), 5, 9, [], "2024-03-05"),
        (Asset("a", "raw", snapshot=True), 5, 5, [], "2024-03-05"),
        (Asset("a", "raw", snapshot=True), 5, 9, [], "2024-03-05"),
        (Asset("a", "raw", snapshot=True, lag=1), 5, 5, [day(1)], "2024-03-04"),
    ],
)
def test_own_window(asset, first, last, stored, key):
    found = own_window(DAYS, asset, day(first), day(last), stored)
    assert (found and found.key) == key


# --- cutting a range --------------------------------------------------------------------------------------------------
def at(*times):
    return pl.DataFrame({"id": range(len(times)), "at": [datetime.fromisoformat(time) for time in times]})


def ids(pieces):
    return {key: piece["id"].to_list() for key, piece in pieces.items()}


def test_rows_are_cut_by_the_local_day_also_when_it_has_23_or_25_hours():
    spring = at("2024-03-10T04:59:00Z", "2024-03-10T05:00:00Z", "2024-03-11T03:59:00Z", "2024-03-11T04:00:00Z")
    assert ids(cut(DAYS, SOURCE, spring, DAYS.span("2024-03-09", "2024-03-12"))) == {
        "2024-03-09": [0], "2024-03-10": [1, 2], "2024-03-11": [3], "2024-03-12": [],
    }  # fmt: skip
    autumn = at("2024-11-03T03:59:00Z", "2024-11-03T04:00:00Z", "2024-11-04T04:59:00Z", "2024-11-04T05:00:00Z")
    assert ids(cut(DAYS, SOURCE, autumn, DAYS.span("2024-11-02", "2024-11-04"))) == {
        "2024-11-02": [0], "2024-11-03": [1, 2], "2024-11-04": [3],
    }  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_the_zone_that_times_are_written_in_does_not_count(zone, unit):
    frame = at("2024-03-01T04:59:00Z", "2024-03-01T05:00:00Z").with_columns(
        pl.col("at").dt.convert_time_zone(zone).dt.cast_time_unit(unit)
    )
    assert ids(cut(DAYS, SOURCE, frame, DAYS.span("2024-02-29", day(1)))) == {"2024-02-29": [0], day(1): [1]}


def test_hours_are_cut_in_utc_so_that_the_hour_that_comes_twice_is_two():
    frame = at("2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z").with_columns(
        pl.col("at").dt.convert_time_zone("Europe/London")
    )
    assert frame["at"].dt.hour().to_list() == [1, 1]
    pieces = cut(HOURS, SOURCE, frame, HOURS.span("2024-10-27T00", "2024-10-27T02"))
    assert ids(pieces) == {"2024-10-27T00": [0], "2024-10-27T01": [1], "2024-10-27T02": []}


def test_plain_dates_are_days_already():
    frame = pl.DataFrame({"id": [1, 2], "at": [date(2024, 3, 2), date(2024, 3, 1)]})
    assert ids(cut(DAYS, SOURCE, frame, DAYS.span(day(1), day(2)))) == {day(1): [2], day(2): [1]}
    with pytest.raises(DataError, match="`at` of `trips` is Date, not a time"):
        cut(HOURS, SOURCE, frame, HOURS.span("2024-03-01T00", "2024-03-01T02"))


def test_rows_keep_their_order_and_columns_in_each_piece_and_empty_windows_keep_the_columns():
    frame = at("2024-03-01T12:00:00Z", "2024-03-02T12:00:00Z", "2024-03-01T13:00:00Z", "2024-03-01T11:00:00Z")
    pieces = cut(DAYS, SOURCE, frame, DAYS.span(day(1), day(3)))
    assert ids(pieces)[day(1)] == [0, 2, 3]
    assert all(piece.schema == frame.schema for piece in pieces.values())
    assert pieces[day(3)].height == 0


def test_a_single_window_is_taken_as_it_is():
    frame = at("1999-01-01T12:00:00Z")
    assert ids(cut(DAYS, SOURCE, frame, DAYS.window(day(1)))) == {day(1): [0]}


def test_a_snapshot_is_never_cut():
    fleet = Asset("fleet", "raw", snapshot=True, time="at")
    assert ids(cut(DAYS, fleet, at("1999-01-01T12:00:00Z"), DAYS.span(day(1), day(3)))) == {day(1): [0]}


def test_an_empty_range_is_cut_into_empty_windows():
    frame = at("2024-03-01T12:00:00Z").clear()
    assert {key: piece.height for key, piece in cut(DAYS, SOURCE, frame, DAYS.span(day(1), day(2))).items()} == {
        day(1): 0, day(2): 0,
    }  # fmt: skip


@pytest.mark.parametrize("time", ["2024-03-01T04:59:59Z", "2024-03-03T05:00:00Z"])
def test_rows_outside_of_the_range_are_refused(time):
    with pytest.raises(DataError, match=r"1 rows of `trips` fall outside 2024-03-01\.\.2024-03-02") as told:
        cut(DAYS, SOURCE, at("2024-03-01T12:00:00Z", time), DAYS.span(day(1), day(2)))
    assert "`at`" in str(told.value.hint)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("at").dt.replace_time_zone(None), "`at` of `trips` has no time zone"),
        (pl.when(pl.col("id") > 0).then("at"), "`at` of `trips` has 1 nulls"),
        (pl.col("at").dt.strftime("%Y-%m-%d").alias("at"), "`at` of `trips` is String, not a time"),
        (pl.col("id").alias("at"), "`at` of `trips` is Int64, not a time"),
    ],
)
def test_times_that_fit_no_window_are_refused(change, said):
    frame = at("2024-03-01T12:00:00Z", "2024-03-02T12:00:00Z").cast({"id": pl.Int64}).with_columns(change)
    with pytest.raises(DataError, match=said):
        cut(DAYS, SOURCE, frame, DAYS.span(day(1), day(2)))


def test_a_range_without_its_time_column_is_refused():
    with pytest.raises(DataError, match="`trips` cannot be cut into windows"):
        cut(DAYS, SOURCE, rows(1), DAYS.span(day(1), day(2)))


# --- delivering -------------------------------------------------------------------------------------------------------
def noon(window):
    """One row at noon of each day of a window or range."""
    days = round((window.end - window.start) / timedelta(days=1))
    start = window.start.astimezone(UTC) + timedelta(hours=12)
    return pl.DataFrame({"id": range(days), "at": [start + timedelta(days=n) for n in range(days)]})


def test_a_window_is_delivered_and_stored(tables):
    found = one(SOURCE, lambda frames, window: noon(window), tables, DAYS.window(day(1)))
    assert (found.state, found.error, found.checks, found.mechanism) == ("COMPLETE", None, ("looked at",), CODE)
    assert found.frame.equals(tables.read("trips", [day(1)]))
    assert found.version.contents == {day(1): tables.content("trips", day(1))}
    assert found.version.rows == {day(1): 1}


def test_the_function_is_given_its_parents_and_its_window(tables):
    fill(tables, "trips", [1, 2])
    child = Asset("child", "modeled", (Read("trips", 1),))
    seen = []

    def compute(frames, window):
        seen.append(({name: frame["id"].to_list() for name, frame in frames.items()}, window))
        return rows(7)

    found = one(child, compute, tables, DAYS.window(day(2)), SOURCE)
    assert seen == [({"trips": [1, 2]}, DAYS.window(day(2)))]
    assert list(found.inputs[0].contents) == [day(1), day(2)]
    assert found.parents["trips"]["id"].to_list() == [1, 2]


def test_a_range_is_one_call_and_one_version(tables):
    calls = []

    def compute(frames, window):
        calls.append(window.key)
        return noon(window)

    found = one(SOURCE, compute, tables, DAYS.span(day(8), day(12)))
    assert calls == ["2024-03-08..2024-03-12"]
    assert tables.keys("trips") == [day(n) for n in range(8, 13)] == sorted(found.version.contents)
    assert tables.version("trips") == found.version.version == 0


def test_a_range_of_rows_without_a_time_is_computed_window_by_window(tables):
    fill(tables, "trips", range(1, 6))
    child = Asset("child", "modeled", (Read("trips", 1),))
    found = one(child, lambda frames, window: frames["trips"].sum(), tables, DAYS.span(day(2), day(4)), SOURCE)
    assert found.state == "COMPLETE"
    assert {key: tables.read("child", [key])["id"].to_list() for key in tables.keys("child")} == {
        day(2): [3], day(3): [5], day(4): [7],
    }  # fmt: skip
    assert found.frame["id"].to_list() == [3, 5, 7]
    assert tables.version("child") == 0


def test_windows_without_a_time_whose_types_cannot_meet_fail_the_range(tables):
    untimed = Asset("odd", "raw", recomputable=False)

    def compute(frames, window):
        return pl.DataFrame({"x": [1] if window.key == day(1) else [[1]]})

    found = one(untimed, compute, tables, DAYS.span(day(1), day(2)))
    assert found.state == "FAIL"
    assert tables.datasets() == []


@pytest.mark.parametrize("window", [DAYS.window(day(2)), DAYS.span(day(1), day(2))])
@pytest.mark.parametrize("child", [Asset("child", "modeled", (Read("trips"),)),
                                   Asset("child", "modeled", (Read("trips"),), time="at")])  # fmt: skip
def test_a_missing_parent_is_skipped_without_calling_the_function(tables, window, child):
    fill(tables, "trips", [1])
    before = everything(tables)
    found = one(child, lambda frames, window: rows(len(frames)) / 0, tables, window, SOURCE)
    assert (found.state, found.version, found.frame) == ("SKIP", None, None)
    assert "`trips` has no rows for window" in str(found.error)
    assert "headwater run --window 2024-03-02" in found.error.hint
    assert everything(tables) == before


def test_a_hole_in_the_parents_history_skips_a_range_that_is_computed_window_by_window(tables):
    fill(tables, "trips", [1, 3])
    child = Asset("child", "modeled", (Read("trips"),))
    found = one(child, lambda frames, window: frames["trips"], tables, DAYS.span(day(1), day(3)), SOURCE)
    assert (found.state, found.version) == ("SKIP", None)
    assert tables.keys("child") == []


def test_history_that_is_computed_window_by_window_begins_where_its_parents_does(tables):
    fill(tables, "trips", [1, 2, 3, 4])
    late = Asset("trips", "raw", lag=2, recomputable=False)
    child = Asset("child", "modeled", (Read("trips", 3),))
    found = one(child, lambda frames, window: frames["trips"].sum(), tables, DAYS.span(day(1), day(6)), late)
    assert (found.state, found.window.key) == ("COMPLETE", f"{day(3)}..{day(6)}")
    assert {key: tables.read("child", [key])["id"].to_list() for key in tables.keys("child")} == {
        day(3): [1], day(4): [3], day(5): [5], day(6): [7],
    }  # fmt: skip
    fill(tables, "trips", [6])
    again = one(child, lambda frames, window: frames["trips"].sum(), tables, DAYS.span(day(7), day(8)), late)
    assert again.state == "SKIP"  # a hole that opens once history has begun is no beginning


PANDAS = type("DataFrame", (), {"__module__": "pandas.core.frame"})()


class Panic(BaseException):
    """What an extension in Rust raises when it breaks is no `Exception`."""


def raising(error):
    def compute(frames, window):
        raise error

    return compute


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "the function of `trips` failed: ZeroDivisionError: division by zero"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (RuntimeError(), "RuntimeError: no message"),
        (pl.exceptions.ColumnNotFoundError("gone"), "ColumnNotFoundError: gone"),
        (DataError("its own words"), "its own words"),
        (ModelError("p is outside 0..1"), "p is outside 0..1"),
        (Panic("index out of bounds"), "the function of `trips` failed: Panic: index out of bounds"),
    ],
)
def test_a_function_that_fails_is_told_and_leaves_nothing(tables, error, said):
    found = one(SOURCE, raising(error), tables, DAYS.window(day(1)))
    assert (found.state, found.version, found.frame) == ("FAIL", None, None)
    assert said in str(found.error)
    assert "second" not in str(found.error)
    assert tables.datasets() == []


@pytest.mark.parametrize("error", [StorageError("disk full"), CorruptTable("torn"), MemoryError(), KeyboardInterrupt()])
def test_trouble_with_the_outside_world_stops_the_run(tables, error):
    with pytest.raises(type(error)):
        one(SOURCE, raising(error), tables, DAYS.window(day(1)))
    assert tables.datasets() == []


@pytest.mark.parametrize("made", [None, [1], {"id": [1]}, pl.Series([1]), pl.LazyFrame({"id": [1]})])
@pytest.mark.parametrize("window", [DAYS.window(day(1)), DAYS.span(day(1), day(2))])
def test_what_is_no_frame_is_refused(tables, made, window):
    found = one(SOURCE, lambda frames, at: made, tables, window)
    assert found.state == "FAIL"
    said = "nothing" if made is None else f"a {type(made).__name__}"
    assert f"`trips` returned {said}, not a polars DataFrame" in str(found.error)
    assert tables.datasets() == []


@pytest.mark.parametrize(
    ("made", "said", "hint"),
    [
        (None, "returned nothing", "return"),
        (pl.LazyFrame({"id": [1]}), "returned a LazyFrame", ".collect()"),
        (PANDAS, "returned a pandas DataFrame", "pl.from_pandas"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_way_to_one(tables, made, said, hint):
    error = one(SOURCE, lambda frames, at: made, tables, DAYS.window(day(1))).error
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize("window", [DAYS.window(day(1)), DAYS.span(day(1), day(2))])
def test_the_column_that_marks_windows_is_refused_rather_than_lost(tables, window):
    """Outside readers see which window a row is of in `_window`."""
    frame = pl.DataFrame({"id": [1], "at": [datetime(2024, 3, 1, 9, tzinfo=UTC)], "_window": ["mine"]})
    found = one(SOURCE, lambda frames, at: frame, tables, window)
    assert found.state == "FAIL"
    assert "`_window`" in found.error.message and "another name" in found.error.hint
    assert tables.datasets() == []


def test_a_frame_that_cannot_be_stored_fails_and_leaves_nothing(tables):
    frame = pl.DataFrame({"id": pl.Series([object()], dtype=pl.Object)})
    found = one(SOURCE, lambda frames, window: frame, tables, DAYS.window(day(1)))
    assert found.state == "FAIL"
    assert "Python objects" in str(found.error)
    assert tables.keys("trips") == []


def test_rows_outside_of_a_range_fail_the_whole_range(tables):
    found = one(SOURCE, lambda frames, window: noon(DAYS.span(day(1), day(4))), tables, DAYS.span(day(1), day(3)))
    assert (found.state, tables.datasets()) == ("FAIL", [])


def test_a_refused_contract_leaves_the_table_as_it_was(tables):
    one(SOURCE, lambda frames, window: noon(window), tables, DAYS.window(day(1)))
    before = everything(tables), tables.version("trips")
    seen = []

    def refuse(asset, frame, window, parents, pieces):
        seen.append((asset.name, frame.height, window.key, dict(parents)))
        raise ContractBroken("id is below 0")

    for window in (DAYS.window(day(1)), DAYS.window(day(2)), DAYS.span(day(1), day(3))):
        found = one(SOURCE, lambda frames, window: noon(window), tables, window, check=refuse)
        assert (found.state, found.error.code, found.version) == ("FAIL", "contract-broken", None)
    assert (everything(tables), tables.version("trips")) == before
    assert seen == [("trips", 1, day(1), {}), ("trips", 1, day(2), {}), ("trips", 3, f"{day(1)}..{day(3)}", {})]


def test_a_rerun_changes_nothing_and_a_changed_run_makes_a_version(tables):
    def again(compute):
        return one(SOURCE, compute, tables, DAYS.span(day(1), day(3)))

    first, second = again(lambda frames, window: noon(window)), again(lambda frames, window: noon(window))
    assert first.version == second.version
    assert tables.version("trips") == 0
    other = again(lambda frames, window: noon(window).with_columns(id=pl.col("id") * 10))
    assert other.version.version == tables.version("trips") == 1
    assert tables.read("trips", [day(3)])["id"].to_list() == [20]
    assert tables.read("trips", [day(3)], 0)["id"].to_list() == [2]
    assert other.version.contents[day(1)] == first.version.contents[day(1)]
