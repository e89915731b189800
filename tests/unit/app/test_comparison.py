"""Two tables are compared as the line would: breaks are named, what moves by itself is left alone."""

import math
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

import headwater
from headwater.core.clock import SimulatedClock
from headwater.core.errors import UnknownName, UsageError

CLOCK = SimulatedClock(datetime(2024, 5, 1, tzinfo=UTC))


def world(seed: int, rows: int = 6000) -> pl.DataFrame:
    """A few months of orders with a weekly season, day after day."""
    random = np.random.default_rng(seed)
    hours = np.arange(rows) / 2
    return pl.DataFrame(
        {
            "order": np.arange(rows),
            "at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=float(hour)) for hour in hours],
            "amount": random.lognormal(3, 0.6, rows) * (1 + 0.2 * np.sin(hours / 168 * 2 * math.pi)),
            "items": random.poisson(3, rows) + 1,
            "country": random.choice(["DE", "FR", "PL", "US"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "coupon": [None if draw < 0.9 else "SPRING" for draw in random.random(rows)],
            "gift": random.random(rows) < 0.1,
        }
    )


def compared(current: pl.DataFrame, reference: pl.DataFrame | None = None, **options) -> headwater.Comparison:
    options = {"time": "at", **options}
    return headwater.compare(OLD if reference is None else reference, current, clock=CLOCK, **options)


WHOLE = world(1)
OLD, NEW = WHOLE[: 48 * 90], WHOLE[48 * 90 : 48 * 100]


@pytest.mark.parametrize("time", ["at", None])
@pytest.mark.parametrize("seed", range(4))
def test_what_did_not_change_is_left_alone(seed, time):
    whole = world(100 + seed)
    found = headwater.compare(whole[: 48 * 90], whole[48 * 90 :], time=time, clock=CLOCK)
    assert found.alarms == () and len(found.changes) <= 1
    assert found.unit == ("day" if time else "block")


FAULTS = {
    "default": (pl.lit(0.0).alias("amount"), "amount", "default fill"),
    "unit": (pl.col("amount") * 100, "amount", "unit"),
    "nulls": (pl.when(pl.col("items") > 2).then(None).otherwise(pl.col("items")).alias("items"), "items", "null burst"),
    "recode": (pl.col("country").replace({"DE": "Germany"}), "country", "enum recode"),
}


@pytest.mark.parametrize("time", ["at", None])
@pytest.mark.parametrize("name", FAULTS)
def test_what_broke_is_told_by_column_and_named(name, time):
    change, column, fault = FAULTS[name]
    found = compared(NEW.with_columns(change), time=time)
    assert [item.column for item in found.alarms] == [column]
    assert fault.replace(" ", "_") in {item.fault for item in found.diagnoses}


def test_a_mix_that_moved_between_known_values_is_told_as_such():
    moved = pl.when((pl.col("country") == "DE") & (pl.col("order") % 5 > 0)).then(pl.lit("FR"))
    (change,) = compared(NEW.with_columns(moved.otherwise(pl.col("country")).alias("country"))).changes
    assert change.column == "country"
    assert change.metric in ("share[DE].country", "share[FR].country")


def test_rows_that_were_loaded_twice_are_found_by_their_key():
    found = compared(pl.concat([NEW, NEW]), key="order")
    assert {change.metric for change in found.alarms} >= {"duplicate_share"}


def test_fewer_rows_a_day_are_a_break_only_where_there_are_days():
    third = NEW.gather_every(3)
    assert "rows" in {change.metric for change in compared(third).alarms}
    assert compared(third, time=None).alarms == ()


def test_the_schema_is_compared_whatever_the_number_of_rows():
    changed = NEW.drop("gift").with_columns(pl.col("items").cast(pl.String), more=pl.lit(1))
    for reference in (OLD, OLD[:5]):
        found = compared(changed, reference, time=None)
        told = {change.column: change.severity for change in found.changes}
        assert told == {"gift": "alarm", "items": "alarm", "more": "notice"}
    assert not compared(NEW, OLD[:5], time=None).changes


def test_a_column_of_ever_new_numbers_is_an_identifier():
    far = NEW.with_columns(pl.col("order") + 10**9)
    assert compared(far).changes == () and compared(far, time=None).changes == ()


def test_a_change_says_in_which_pieces_it_was_found():
    late = NEW.with_columns(
        pl.when(pl.col("at") >= datetime(2024, 4, 7, tzinfo=UTC)).then(pl.col("amount") * 100).otherwise("amount")
    )
    [change] = compared(late).alarms
    assert change.pieces[0] == "2024-04-07" and change.expected < 30 < change.value


def test_large_tables_are_summarised_and_told_the_same():
    random = np.random.default_rng(5)

    def rows(count: int) -> pl.DataFrame:
        return pl.DataFrame({"x": random.normal(0, 1, count), "k": random.integers(0, 40, count)})

    old, new = rows(900_000), rows(200_000)
    assert headwater.compare(old, new, clock=CLOCK).changes == ()
    moved = headwater.compare(old, new.with_columns(pl.col("x") * 2.54), clock=CLOCK)
    assert [change.column for change in moved.alarms] == ["x"]


def test_every_kind_of_table_can_be_compared():
    changed = NEW.with_columns(pl.col("amount") * 100)
    frames = {"old": OLD.to_pandas(), "new": changed.to_pandas()}
    assert isinstance(frames["old"], pd.DataFrame)
    pandas = headwater.compare(frames["old"], frames["new"], clock=CLOCK)
    with duckdb.connect() as base:
        base.register("old", OLD.to_arrow())
        base.register("new", changed.to_arrow())
        duck = headwater.compare(base.sql("from old"), base.sql("from new"), clock=CLOCK)
    arrow = headwater.compare(OLD.to_arrow(), changed.to_arrow(), clock=CLOCK)
    assert pandas.as_dict()["changes"] == arrow.as_dict()["changes"] == duck.as_dict()["changes"]
    assert arrow.alarms[0].column == "amount"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param({"x": []}, id="empty"),
        pytest.param({"x": [1.0]}, id="one row"),
        pytest.param({"x": [None] * 100}, id="all null"),
        pytest.param({"x": [math.nan] * 100}, id="all NaN"),
        pytest.param({"x": [math.inf, -math.inf] * 50}, id="infinite"),
        pytest.param({"x": [7] * 100}, id="constant"),
        pytest.param({"x": [2**63 - 1, -(2**63)] * 50}, id="huge"),
        pytest.param({"x": [-0.0, 0.0] * 50}, id="zeros"),
        pytest.param({"x": [[1], [2]] * 50}, id="nested"),
        pytest.param({"": [1] * 100}, id="no name"),
        pytest.param({"a.b": [1, 2] * 50}, id="a dot"),
        pytest.param({"<script>": ["<img onerror=x>", "&"] * 50}, id="markup"),
    ],
)
def test_odd_tables_compare_with_themselves_and_are_drawn(rows):
    found = headwater.compare(rows, rows, clock=CLOCK)
    assert found.changes == () and str(found)
    page = found._repr_html_()
    assert "<img" not in page and "NaN" not in page.replace("NaN, infinite", "") and "<script" not in page
    made = headwater.profile(rows)
    assert str(made) and made._repr_html_().startswith("<div")


def test_inputs_are_checked():
    with pytest.raises(UnknownName):
        compared(NEW, key="ordre")
    with pytest.raises(UnknownName):
        headwater.compare(OLD, NEW, columns=["ammount"])
    with pytest.raises(UsageError):
        headwater.compare(OLD, None)


def test_columns_can_be_chosen():
    changed = NEW.with_columns(pl.col("amount") * 100, pl.col("items") * 100)
    found = compared(changed, columns=["items", "country"], time=None)
    assert list(found.current.columns) == ["items", "country"]
    assert [change.column for change in found.alarms] == ["items"]


def test_pages_are_written_whole(tmp_path):
    found = compared(NEW.with_columns(pl.col("amount") * 100))
    page = found.save(tmp_path / "deep" / "comparison.html").read_text()
    assert page.startswith("<!doctype html>") and "amount" in page and "http" not in page.replace("http-equiv", "")
    assert headwater.profile(OLD, name="orders").save(tmp_path / "profile.html").exists()


def test_text_tells_the_gravest_first():
    text = str(compared(NEW.with_columns(pl.col("amount") * 100)))
    assert "alarm" in text.splitlines()[2] and "amount" in text.splitlines()[2]
    assert "looks like: unit" in text
    assert "As it was" in str(compared(NEW))


def test_the_time_and_the_key_need_not_be_among_the_columns():
    doubled = pl.concat([NEW, NEW.with_columns(pl.col("items") * 100)])
    found = compared(doubled, columns=["items"], key="order")
    assert found.unit == "day" and set(found.current.columns) == {"items", "at", "order"}
    assert {change.metric.partition(".")[0] for change in found.alarms} >= {"duplicate_share"}
    assert "items" in {change.column for change in found.changes}


def test_an_hour_that_left_its_clock_is_told_of_a_column_that_is_there():
    hours = WHOLE.with_columns(hour=pl.col("at").dt.hour().cast(pl.Int64))
    late = hours[48 * 90 : 48 * 100].with_columns(hour=(pl.col("hour") + 5) % 24)
    found = headwater.compare(hours[: 48 * 90], late, time="at", clock=CLOCK)
    assert {change.column for change in found.alarms} <= set(hours.columns)
    assert any(change.metric.startswith("offset") for change in found.alarms)
    assert "gone" not in found._repr_html_()


def test_a_diagnosis_names_nothing_that_did_not_change():
    days = WHOLE.with_columns(day=pl.col("at").dt.day().cast(pl.Int64))
    old, new = days.filter(pl.col("at") < datetime(2024, 4, 1, tzinfo=UTC)), days.filter(
        pl.col("at") >= datetime(2024, 4, 1, tzinfo=UTC)
    )  # fmt: skip
    found = headwater.compare(old, new.with_columns(pl.col("amount") * 100), time="at", clock=CLOCK)
    named = {column for one in found.diagnoses for column in one.column.split(",") if column}
    assert named <= {change.column for change in found.changes}


def test_blocks_are_called_by_their_rows_whatever_stands_in_for_them():
    found = headwater.compare(OLD, OLD.with_columns(pl.col("items") * 100), clock=CLOCK)
    assert found.alarms and "2000-" not in str(found)


def test_holidays_are_checked():
    assert compared(NEW, holidays=["2024-04-01"]).unit == "day"
    with pytest.raises(UsageError, match=r"25\.12\.2024"):
        compared(NEW, holidays=["25.12.2024"])


def test_what_was_too_little_to_compare_is_not_called_as_it_was():
    found = headwater.compare(OLD[:5], NEW, clock=CLOCK)
    assert not found.changes and not found.banded
    for told in (str(found), found._repr_html_()):
        assert "As it was" not in told and "too few" in told and "schema" in told
    assert found.as_dict()["banded"] is False and compared(NEW).as_dict()["banded"] is True


def test_duplicates_are_looked_for_in_large_tables_too():
    random = np.random.default_rng(5)
    rows = pl.DataFrame({"id": np.arange(1_000_000), "x": random.normal(0, 1, 1_000_000)})
    twice = pl.concat([rows[900_000:], rows[960_000:]])
    found = headwater.compare(rows[:900_000], twice.with_columns(x=random.normal(0, 1, 140_000)), key="id", clock=CLOCK)
    assert "duplicate_share" in {change.metric for change in found.alarms}


def test_an_index_of_windows_is_told_as_it_goes():
    told: list[tuple[int, int]] = []
    compared(NEW, progress=lambda done, total: told.append((done, total)))
    assert told and told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_profile_is_refused_with_a_way_out():
    with pytest.raises(UsageError, match="Profile") as caught:
        headwater.compare(headwater.profile(OLD), NEW)
    assert "table" in str(caught.value.hint)


def test_utc_by_another_name_is_no_change_of_type():
    other = NEW.with_columns(pl.col("at").dt.convert_time_zone("Etc/UTC"))
    assert compared(other).as_dict()["changes"] == compared(NEW).as_dict()["changes"]


def test_the_text_shows_a_comparison_in_a_console():
    found = compared(NEW)
    assert repr(found) == str(found)
    assert repr(headwater.profile(OLD)).startswith("Profile: 4,320 rows")


def test_a_table_without_rows_is_a_break():
    [change] = headwater.compare(OLD, NEW[:0], clock=CLOCK).alarms
    assert (change.column, change.metric, change.value) == ("", "rows", 0.0)
    assert not headwater.compare(OLD[:0], NEW[:0], clock=CLOCK).changes


@pytest.mark.parametrize("column", ["amount", "country", "at"])
def test_a_column_that_holds_nothing_any_more_is_a_break_even_without_a_type(column):
    emptied = NEW.with_columns(pl.lit(None).alias(column))
    alarms = headwater.compare(OLD, emptied, clock=CLOCK).alarms
    assert [change.metric for change in alarms if change.column == column] == [f"null_share.{column}"]


def test_a_key_may_name_a_column_twice():
    assert not compared(NEW, key=["order", "order"]).alarms


@pytest.mark.parametrize("many", [False, True])
def test_a_column_that_names_the_month_brings_a_new_one(monkeypatch, many):
    monkeypatch.setattr("headwater.app.measuring._SUMMARISED", 0 if many else 10**9)
    whole = world(1, 48 * 81).with_columns(month=pl.col("at").dt.strftime("%Y-%m"))
    for days in (60, 65):  # with and without a month that began in the reference's last quarter
        assert not compared(whole[48 * days :], whole[: 48 * days], columns=["month"]).changes


@pytest.mark.parametrize("time", ["at", None])
def test_a_drift_is_told_from_where_to_where_and_since_when(monkeypatch, time):
    whole = world(3)
    last = whole[48 * 90 :].with_columns(gift=pl.col("gift") | (pl.int_range(pl.len()) % 7 == 0))
    if time is None:  # blocks of a day, to have as many
        monkeypatch.setattr("headwater.app.pieces.MOST", 90)
        monkeypatch.setattr("headwater.app.pieces.LEAST", 90)
    found = compared(last, whole[: 48 * 90], time=time, columns=["gift"])
    (drift,) = [one for one in found.changes if "has drifted" in one.detail]
    assert drift.value == pytest.approx(0.23, abs=0.03) and drift.expected == pytest.approx(0.1, abs=0.02)
    assert ("since 2024-0" if time else "since rows 1 to 48 (") in drift.detail


@pytest.mark.parametrize("hours", [0, -5])
def test_a_clock_that_was_moved_is_named_when_many_windows_agree(hours):
    random, times = np.random.default_rng(7), []
    for day in range(134):
        busy = np.concatenate([random.normal(8.5, 1.5, 90), random.normal(18, 2.5, 160), random.uniform(0, 24, 50)])
        times += [datetime(2024, 1, 1) + timedelta(days=day, hours=float(hour)) for hour in np.sort(busy % 24)]
    trips = pl.DataFrame({"at": times, "fare": random.lognormal(2.5, 0.5, len(times))})
    trips = trips.with_columns(left=pl.col("at") + pl.duration(minutes=15))
    old, new = trips[: 300 * 120], trips[300 * 120 :].with_columns(pl.col("at", "left").dt.offset_by(f"{hours}h"))
    found = compared(new.filter(pl.col("at") >= datetime(2024, 4, 30)), old)
    named = [one for one in found.diagnoses if one.fault == "time_offset"]
    assert bool(named) == bool(hours) and bool(found.alarms) == bool(hours)
    assert [one.detail for one in named if "5 h early" not in one.detail or "windows" not in one.detail] == []


@pytest.mark.parametrize("key", ["", "_window"])
def test_a_column_may_be_called_as_the_mark_of_a_window(key):
    random = np.random.default_rng(4)
    past, now = (
        pl.DataFrame({"_window": random.normal(mean, 1, rows), "x": random.normal(0, 1, rows)})
        for mean, rows in ((5, 4000), (50, 400))
    )
    found = headwater.compare(past, now, key=key or ())
    assert [change.column for change in found.changes] == ["_window"]
    assert not headwater.compare(past[:3600], past[3600:]).changes


def test_the_text_says_when_and_the_name_does_not_repeat_the_line():
    broken = NEW.with_columns(
        amount=pl.when(pl.int_range(pl.len()) >= 96).then(pl.col("amount") * 100).otherwise("amount")
    )
    found = compared(broken)
    text = str(found)
    assert "10 days judged" in text and f"8 of 10 days, first {found.changes[0].pieces[0]}" in text
    assert found.changes[0].worst in found.changes[0].pieces


def test_missing_rows_are_told_with_one_expectation():
    random, days = np.random.default_rng(5), []
    for day in range(70):
        size = round(3000 * math.exp(random.normal(0, 0.1))) if day < 66 else 250
        start = datetime(2024, 1, 1) + timedelta(days=day)
        days.append(pl.DataFrame({"at": [start + timedelta(seconds=28 * row) for row in range(size)]}))
    rows = pl.concat(days).with_columns(x=pl.int_range(pl.len()) % 7)
    found = compared(
        rows.filter(pl.col("at") >= datetime(2024, 3, 2)), rows.filter(pl.col("at") < datetime(2024, 3, 2))
    )
    (change,) = [one for one in found.alarms if one.metric == "rows"]
    assert change.expected == pytest.approx(3000, rel=0.1)
    assert all("1,5" not in one.detail and " usually 1" not in one.detail for one in found.diagnoses)
