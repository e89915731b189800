"""The segment finder: what is planted is found, what is not is not, and false discoveries stay rare."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from headwater.core.errors import UsageError
from headwater.mlops.segments import segments
from headwater.observe.history import History
from headwater.observe.segments import SegmentMonitor
from headwater.stats.outcomes.segments import cut, find, two_sided
from property import clean_flights
from unit.observe.worlds import CALENDAR, evidence


@settings(deadline=None)
@given(st.floats(0, 60), st.integers(1, 200))
def test_the_tail_of_student_s_t_is_scipy_s(t, degrees):
    assert two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-6, abs=1e-300)


def world(seed=0, rows=42_000, windows=42):
    random = np.random.default_rng(seed)
    window = np.repeat(np.arange(windows), rows // windows)
    shock = random.normal(0, 0.5, windows)[window]  # a day that is bad for all
    columns = {
        "shop": random.choice(list("abcdefghij"), rows), "size": random.normal(size=rows),
        "kind": random.choice(["x", "y", "z"], rows), "age": random.uniform(18, 80, rows),
    }  # fmt: skip
    return window, columns, random.normal(size=rows) + shock


def searched(window, columns, values, **more):
    return find({"error": values}, [cut(name, part) for name, part in columns.items()], window, range(28, 42), **more)


def test_a_planted_segment_of_one_percent_is_found_and_told_once():
    window, columns, values = world()
    hit = (columns["shop"] == "c") & (columns["size"] < np.quantile(columns["size"], 0.2))
    narrow = hit & (columns["kind"] == "x")
    assert narrow.mean() < 0.01
    found = searched(window, columns, values + 1.0 * (narrow & (window >= 28)))
    (one,) = found
    assert {name for name, _ in one.conditions} == {"shop", "size", "kind"} and one.name.startswith("kind=x & shop=c")
    assert one.share == pytest.approx(narrow.mean(), rel=0.2)
    assert abs(one.change - 1.0) < 4 * one.error and 0 < one.shrunk < one.change


def test_a_change_of_a_whole_value_is_not_told_by_its_parts():
    window, columns, values = world(1)
    found = searched(window, columns, values + 0.8 * ((columns["shop"] == "c") & (window >= 28)))
    assert [one.name for one in found] == ["shop=c"]


def test_two_segments_are_both_told_and_fewer_errors_too():
    window, columns, values = world(2)
    values = values + (window >= 28) * (0.8 * (columns["shop"] == "c") - 0.8 * (columns["kind"] == "z"))
    assert {(one.name, one.change > 0) for one in searched(window, columns, values)} == {
        ("shop=c", True), ("kind=z", False)
    }  # fmt: skip


def test_a_change_of_all_rows_is_nobody_s_segment_and_a_standing_gap_is_no_change():
    window, columns, values = world(3)
    assert searched(window, columns, values + 3.0 * (window >= 28)) == []
    assert searched(window, columns, values + 3.0 * (columns["shop"] == "c")) == []


def test_false_discoveries_are_rare_though_segments_and_windows_hang_together():
    found = 0
    for seed in range(120):
        random = np.random.default_rng([7, seed])
        window, columns, values = world(seed, rows=8400)
        mood = random.normal(0, 0.4, (42, 10))  # each shop has good and bad days
        values = values + mood[window, np.unique(columns["shop"], return_inverse=True)[1]]
        found += bool(searched(window, columns, values + random.standard_t(4, len(values))))
    assert found <= 12  # 5 % of 120 is 6; twice that has a chance of 2 %


def test_bad_input_is_defined():
    window, columns, values = world(4, rows=4200)
    cuts = [cut(name, part) for name, part in columns.items()]
    assert find({"error": values}, cuts, window, [41]) == [], "one window is none to compare"
    assert find({"error": np.full(4200, math.nan)}, cuts, window, range(28, 42)) == []
    assert find({"error": np.ones(4200)}, cuts, window, range(28, 42)) == []
    assert find({"error": values}, [cut("one", ["a"] * 4200)], window, range(28, 42)) == []
    assert find({"error": values[:0]}, [cut("none", [])], window[:0], []) == []
    for wrong in ({"error": values[1:]}, cuts), ({"error": values}, [cut("shop", columns["shop"][1:])]):
        with pytest.raises(UsageError):
            find(*wrong, window, range(28, 42))


def test_columns_are_cut_into_values_and_ranges():
    assert cut("flag", [True, False, True]).labels == ("0", "1")
    assert cut("x", np.full(5, math.nan)).labels == ("null",)
    many = cut("id", [str(number % 70) for number in range(700)] + ["7"] * 9)
    assert len(many.labels) == 40 and "7" in many.labels and (many.codes == -1).any()
    ranged = cut("x", np.arange(100.0))
    assert len(ranged.labels) == 5 and np.bincount(ranged.codes).tolist() == [20] * 5


def flights(harmed=None):
    frame = clean_flights.scored().filter(pl.col("window").is_between(pl.lit("2013-09-20"), pl.lit("2013-11-14")))
    frame = frame.drop("carrier_code")
    if harmed is not None:
        random = pl.Series(np.random.default_rng(0).random(frame.height) < 0.5)
        hit = harmed & (pl.col("window") >= "2013-11-01") & random
        frame = frame.with_columns(late=pl.when(hit).then(1).otherwise(pl.col("late")))
    return clean_flights.days(frame)


MODEL = clean_flights.model()


def harmed_model():
    from dataclasses import replace

    return replace(MODEL, columns=tuple(name for name in MODEL.columns if name != "carrier_code"))


def test_a_planted_segment_of_one_percent_of_real_flights_is_found():
    hit = (pl.col("carrier") == "MQ") & (pl.col("origin") == "LGA") & (pl.col("dest") == "RDU")
    days = flights(hit)
    share = np.mean([log.select(hit.mean()).item() for _, log, _ in days])
    assert 0.005 < share < 0.015
    values = segments(harmed_model(), days)
    assert (values["windows"], values["earlier"]) == (14, 42)
    assert "dest=RDU" in values["segments"][0]["name"] and values["segments"][0]["change"] > 0.2
    history = History(CALENDAR)
    item = evidence("2013-11-14", values, "segment", "model:nyc/delay")
    found = SegmentMonitor().evaluate([item], history, CALENDAR, item.time)
    assert found and all(finding.severity == "notice" for finding in found)
    for finding in found:
        history.add_finding(finding)
    assert SegmentMonitor().evaluate([item], history, CALENDAR, item.time) == [], "told once"


@pytest.mark.slow
def test_permuted_clean_flights_have_hardly_any_segment():
    random = np.random.default_rng(1)
    days = clean_flights.days(clean_flights.scored())
    found = 0
    for _ in range(20):
        picked = [days[index] for index in random.permutation(len(days))[:42]]
        found += bool(segments(MODEL, picked)["segments"])
    assert found <= 3  # 5 % of 20 is 1


def test_groups_with_a_memory_from_window_to_window_are_rarely_taken_for_a_change():
    """Prints how many searches found something: four fifths of a group's shock are left in the next window."""
    random, found = np.random.default_rng(31), 0
    windows, rows, searches = 30, 150, 40
    for _ in range(searches):
        window = np.repeat(np.arange(windows), rows)
        shop = random.integers(0, 8, len(window))
        shocks = random.normal(size=(windows, 8))
        for at in range(1, windows):
            shocks[at] = 0.8 * shocks[at - 1] + 0.6 * shocks[at]
        values = random.normal(size=len(window)) + 0.7 * shocks[window, shop]
        columns = [cut("shop", np.array(list("abcdefgh"))[shop])]
        columns += [cut(f"c{n}", random.choice(list("abcdefgh"), len(window))) for n in range(4)]
        found += bool(find({"error": values}, columns, window, range(22, 30)))
    print(f"{found} of {searches} searches found something")
    assert found <= 0.15 * searches
