"""What a profile says of a table, and that it always says something finite."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.windows import Calendar
from headwater.stats.profiling.links import Parent
from headwater.stats.profiling.profile import known_values, profile, profile_windows

DAYS = Calendar("1d", "America/New_York")
DAY = DAYS.window("2013-07-01")
HOURS = Calendar("1h", "UTC")


def at(hour: float, day: int = 1) -> dt.datetime:
    return DAYS.window(f"2013-07-{day:02}").start + dt.timedelta(hours=hour)


def test_numbers_are_measured_over_finite_values():
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0, None, float("nan"), float("inf")]})
    found = profile(frame, window=DAY)
    assert found["rows"] == 6
    assert found["null_share.x"] == pytest.approx(1 / 6)
    assert found["nan_share.x"] == pytest.approx(2 / 6)
    assert found["zero_share.x"] == pytest.approx(1 / 6)
    assert (found["mean.x"], found["std.x"], found["min.x"], found["max.x"]) == (1.0, 1.0, 0.0, 2.0)
    assert (found["q05.x"], found["q50.x"], found["q95.x"]) == (pytest.approx(0.1), 1.0, pytest.approx(1.9))


def test_texts_flags_and_unseen_values():
    frame = pl.DataFrame({"c": ["AA", "AA", "ZZZ", None], "ok": [True, False, True, None]})
    found = profile(frame, window=DAY, known={"c": frozenset({"AA", "BB"})})
    assert found["distinct.c"] == 2
    assert found["top_share.c"] == 0.5
    assert found["unseen_share.c"] == 0.25
    assert found["length_mean.c"] == pytest.approx(7 / 3)
    assert found["true_share.ok"] == pytest.approx(2 / 3)


def test_columns_with_too_many_known_values_are_not_looked_at():
    many = frozenset(str(number) for number in range(501))
    assert "unseen_share.c" not in profile(pl.DataFrame({"c": ["x"]}), window=DAY, known={"c": many})


def test_times_are_hours_after_the_window_start_whatever_their_zone():
    moments = [at(1), at(3)]
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        frame = pl.DataFrame({"t": pl.Series(moments).dt.convert_time_zone(zone)})
        found = profile(frame, window=DAY)
        assert (found["min_hours.t"], found["mean_hours.t"], found["max_hours.t"]) == (1.0, 2.0, 3.0)
    naive = pl.DataFrame({"t": [moment.replace(tzinfo=None) for moment in moments]})
    assert profile(naive, window=DAY)["min_hours.t"] == 1.0
    assert profile(pl.DataFrame({"d": [dt.date(2013, 7, 1)]}), window=DAY)["min_hours.d"] == -4.0


def test_duplicates_are_by_key_and_without_a_key_by_whole_rows():
    frame = pl.DataFrame({"id": [1, 1, 2, 2], "x": [1, 2, 3, 3]})
    assert profile(frame, window=DAY, key=["id"])["duplicate_share"] == 0.5
    assert profile(frame, window=DAY)["duplicate_share"] == 0.25
    assert "duplicate_share" not in profile(frame, window=DAY, key=["gone"])


def test_a_replayed_feed_repeats_even_when_its_times_are_stamped_anew():
    old = pl.DataFrame({"t": [at(1), at(2)], "day": [1, 1], "x": [1.5, 2.5], "c": ["a", None]})
    again = old.with_columns(pl.col("t") + dt.timedelta(days=1), day=pl.lit(2))
    assert profile(again, window=DAYS.window("2013-07-02"), previous=old)["repeat_share"] == 1.0
    fresh = again.with_columns(x=pl.Series([1.5, 9.0]))
    assert profile(fresh, window=DAYS.window("2013-07-02"), previous=old)["repeat_share"] == 0.5
    assert "repeat_share" not in profile(again, window=DAY)


def test_an_old_delivery_under_new_keys_echoes_in_its_order():
    random = np.random.default_rng(1)
    old = pl.DataFrame({"id": range(200), "c": random.choice(["a", "b", "c"], 200), "x": random.integers(0, 9, 200)})
    fresh = old.with_columns(pl.col("id") + 200, old["c"].shuffle(2), old["x"].shuffle(3))
    again = old.with_columns(pl.col("id") + 200)
    day = DAYS.window("2013-07-02")
    assert profile(again, window=day, key=["id"], previous=old)["echo_share"] == 1.0
    assert 0.1 < profile(fresh, window=day, key=["id"], previous=old)["echo_share"] < 0.35
    assert profile(again.head(50), window=day, key=["id"], previous=old)["echo_share"] == 1.0
    assert profile(again, window=day, key=["id"], previous=old.head(50))["echo_share"] == 0.25
    assert "echo_share" not in profile(again, window=day, key=["id"])
    assert "echo_share" not in profile(again.select("id"), window=day, key=["id"], previous=old)


def test_columns_of_objects_echo_nothing():
    frame = pl.DataFrame({"o": pl.Series([object(), object()], dtype=pl.Object), "x": [1, 2]})
    assert profile(frame, window=DAY, previous=frame)["echo_share"] == 1.0
    assert profile(frame, window=DAY)["rows"] == 2.0


@given(sizes=st.lists(st.integers(0, 6), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_echoes_of_a_range_are_those_of_its_windows(sizes, seed):
    random = np.random.default_rng(seed)
    days = list(DAYS.between("2013-07-01", "2013-07-31"))[: len(sizes)]
    frames = [
        pl.DataFrame({"c": random.choice(["a", "b"], n), "x": random.choice([1.0, 2.0, None], n).tolist()},
                     schema={"c": pl.String, "x": pl.Float64})
        for n in sizes
    ]  # fmt: skip
    whole = profile_windows(
        pl.concat(frame.with_columns(_window=pl.lit(day.key)) for frame, day in zip(frames, days, strict=True)),
        windows=days,
    )
    for place in range(1, len(days)):
        alone = profile(frames[place], window=days[place], previous=frames[place - 1])
        assert whole[days[place].key].get("echo_share") == pytest.approx(alone.get("echo_share"))


def test_key_match_counts_rows_that_find_their_parent():
    frame = pl.DataFrame({"k": ["a", "b", None, "z"], "n": [1, 2, 3, 4]})
    parent = pl.DataFrame({"k": ["a", "b", None], "code": [1.0, 2.0, 9.0]})
    assert profile(frame, window=DAY, parents={"p": (parent, ["k"])})["key_match.p"] == 0.5
    named = Parent(parent, [("n", "code")])
    assert profile(frame, window=DAY, parents={"p": named})["key_match.p"] == 0.5
    assert "key_match.p" not in profile(frame, window=DAY, parents={"p": (parent, ["gone"])})


def test_keys_of_different_types_are_compared_by_meaning():
    utc = pl.DataFrame({"t": [at(1), at(2)]})
    local = utc.with_columns(pl.col("t").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ms"))
    assert profile(utc, window=DAY, parents={"p": (local, ["t"])})["key_match.p"] == 1.0
    numbers, texts = pl.DataFrame({"k": [1, 2]}), pl.DataFrame({"k": ["1", "x"]})
    assert profile(numbers, window=DAY, parents={"p": (texts, ["k"])})["key_match.p"] == 0.5


def test_integer_columns_that_follow_a_clock_give_their_offset():
    hours = [5, 6, 7, 9, 12, 20]
    frame = pl.DataFrame({"t": [at(hour) for hour in hours], "hour": hours, "day": [1] * 6, "n": [3, 1, 4, 1, 5, 9]})
    found = profile(frame, window=DAY)
    assert found["offset.t.hour"] == 0.0
    assert found["offset_wall.t.hour"] == 4.0
    assert found["offset.t.day"] == 0.0
    assert not any(name.endswith(".n") and name.startswith("offset") for name in found)
    shifted = profile(frame.with_columns(pl.col("t") - pl.duration(hours=4)), window=DAY)
    assert (shifted["offset.t.hour"], shifted["offset_wall.t.hour"]) == (-4.0, 0.0)


def test_a_day_with_a_clock_change_gives_no_local_offset():
    window = DAYS.window("2013-11-03")
    hours = [5, 6, 7, 9, 12, 20]
    frame = pl.DataFrame({"t": [window.start + dt.timedelta(hours=hour + 1) for hour in hours], "hour": hours})
    found = profile(frame, window=window)
    assert "offset.t.hour" not in found
    assert found["offset_wall.t.hour"] == 5.0


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_odd_frames_give_defined_results(rows):
    odd = pl.DataFrame(
        {
            "nothing": pl.Series([None] * rows, dtype=pl.Null),
            "null_number": pl.Series([None] * rows, dtype=pl.Float64),
            "null_text": pl.Series([None] * rows, dtype=pl.String),
            "nan": pl.Series([float("nan")] * rows, dtype=pl.Float64),
            "huge": pl.Series([1e308] * rows, dtype=pl.Float64),
            "constant": pl.Series([7] * rows, dtype=pl.UInt64),
            "decimal": pl.Series(["1.10"] * rows, dtype=pl.String).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["a"] * rows, dtype=pl.Categorical),
            "list": pl.Series([[1]] * rows, dtype=pl.List(pl.Int64)),
            "binary": pl.Series([b"x"] * rows, dtype=pl.Binary),
            "time": pl.Series([dt.time(1)] * rows, dtype=pl.Time),
            "duration": pl.Series([dt.timedelta(hours=1)] * rows, dtype=pl.Duration),
            "date": pl.Series([dt.date(1, 1, 1)] * rows, dtype=pl.Date),
            "nano": pl.Series([at(1)] * rows, dtype=pl.Datetime("ns", "UTC")),
        }
    )
    found = profile(odd, window=DAY, key=["constant"], previous=odd, parents={"p": (odd, ["kind"])})
    assert found["rows"] == rows
    assert all(math.isfinite(value) for value in found.values())
    assert profile(pl.DataFrame(), window=DAY)["rows"] == 0


def _range(days: int = 5) -> pl.DataFrame:
    frames = []
    for day in range(1, days + 1):
        if day == 3:
            continue
        count = 10 + day
        frames.append(
            pl.DataFrame(
                {
                    "_window": [f"2013-07-{day:02}"] * count,
                    "t": [at(index % 24, day) for index in range(count)],
                    "hour": [index % 24 for index in range(count)],
                    "x": [None if index % 7 == 0 else (index * 0.1) ** 2 / day for index in range(count)],
                    "c": [f"v{index * day % 4}" for index in range(count)],
                    "k": [index % 5 for index in range(count)],
                }
            )
        )
    return pl.concat(frames)


def test_a_range_gives_exactly_what_its_windows_give():
    frame = _range()
    windows = list(DAYS.between("2013-07-01", "2013-07-05"))
    parent = frame.select("_window", "k").filter(pl.col("k") < 3)
    known = {"c": frozenset({"v0", "v1"})}
    whole = profile_windows(frame, windows=windows, key=["t"], known=known, parents={"p": Parent(parent, ["k"])})
    previous = None
    for window in windows:
        rows = frame.filter(pl.col("_window") == window.key).drop("_window")
        mine = parent.filter(pl.col("_window") == window.key).drop("_window")
        one = profile(rows, window=window, key=["t"], known=known, previous=previous, parents={"p": (mine, ["k"])})
        assert one == whole[window.key]
        previous = rows
    assert whole["2013-07-03"] == {"rows": 0.0}
    assert "repeat_share" not in whole["2013-07-04"]


def test_a_parent_is_seen_as_far_back_as_the_lookback_and_a_snapshot_from_its_day_on():
    frame = pl.DataFrame({"_window": ["2013-07-01", "2013-07-02", "2013-07-04"], "k": [1, 1, 1]})
    parent = pl.DataFrame({"_window": ["2013-07-01"], "k": [1]})
    windows = list(DAYS.between("2013-07-01", "2013-07-04"))

    def match(**how):
        found = profile_windows(frame, windows=windows, parents={"p": Parent(parent, ["k"], **how)})
        return [found[window.key].get("key_match.p") for window in windows]

    assert match() == [1.0, 0.0, None, 0.0]
    assert match(lookback=1) == [1.0, 1.0, None, 0.0]
    assert match(snapshot=True) == [1.0, 1.0, None, 1.0]


def test_known_values_are_those_of_closed_lists():
    months = pl.DataFrame(
        {
            "carrier": ["AA", "BB"] * 50,
            "month": ["May"] * 80 + ["June"] * 20,
            "id": [str(index) for index in range(100)],
        }
    )
    assert known_values(months) == {"carrier": frozenset({"AA", "BB"})}
    assert known_values(pl.DataFrame({"c": pl.Series([], dtype=pl.String)})) == {"c": frozenset()}


def test_a_stamp_of_the_window_has_no_closed_list():
    batches = pl.DataFrame({"_window": ["a"] * 6 + ["b"] * 6, "batch": ["x1"] * 3 + [None] * 3 + ["x2"] * 6})
    same = batches.with_columns(pl.lit("A").alias("source"), pl.Series("kind", ["p", "q"] * 6))
    assert known_values(same) == {"source": frozenset({"A"}), "kind": frozenset({"p", "q"})}
    assert known_values(batches.head(6)) == {"batch": frozenset({"x1"})}, "within one window nothing tells it"


def test_a_known_list_stays_closed_on_a_day_whose_rare_values_come_last():
    day = pl.DataFrame({"shop": ["web"] * 80 + ["store"] * 20})
    assert known_values(day) == {}
    assert known_values(day, known={"shop": frozenset({"web", "store", "app"})}) == {"shop": {"web", "store", "app"}}
    assert known_values(day, known={"shop": frozenset({"web", "app"})}) == {}, "a fifth of the rows are new"


@pytest.mark.parametrize("values", [[None, None], [1.0, None]])
def test_a_column_with_less_than_two_numbers_has_no_deviation(values):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    assert "std.x" not in profile(frame, window=DAY)


def test_hourly_windows_know_the_hour_by_the_columns_own_clock():
    window = HOURS.window("2013-07-01T05")
    frame = pl.DataFrame({"t": [window.start + dt.timedelta(minutes=minute) for minute in range(6)], "hour": [5] * 6})
    assert profile(frame, window=window)["offset_wall.t.hour"] == 0.0


def test_a_large_window_is_measured_as_a_small_one(monkeypatch):
    random = np.random.default_rng(8)
    rows = 20_000
    numbers = random.lognormal(2, 1, rows)
    frame = pl.DataFrame(
        {
            "amount": np.where(random.random(rows) < 0.1, np.nan, numbers),
            "items": random.poisson(3, rows),
            "hour": random.integers(0, 24, rows),
            "country": random.choice(["DE", "FR", "XX", None], rows),
            "gift": random.random(rows) < 0.2,
            "nothing": [None] * rows,
            "order": np.arange(rows),
        }
    ).with_columns(pl.lit(at(0)).dt.offset_by(pl.col("hour").cast(pl.String) + "h").alias("time"))
    parents = {"orders": Parent(frame[:15_000].select("order"), ("order",))}
    given = {"window": DAY, "key": ["order"], "known": {"country": frozenset({"DE", "FR"})}, "parents": parents}
    exact = profile(frame, **given)
    monkeypatch.setattr("headwater.stats.profiling.profile.LARGE", 1000)
    found = profile(frame, **given)
    assert found.keys() == exact.keys()
    for name, value in exact.items():
        quantile = name[0] == "q" and name[1:3].isdigit()
        scale = exact["q95." + name.partition(".")[2]] if quantile else abs(value)
        assert found[name] == pytest.approx(value, abs=max(scale, 1.0) * (2e-3 if quantile else 1e-9)), name
