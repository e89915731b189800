"""Calibration, confidence and latency: laws, known answers, and streams that must stay quiet."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import UsageError
from headwater.mlops.outcome import reliability as measured
from headwater.observe.calibration import CalibrationMonitor
from headwater.observe.history import History
from headwater.observe.latency import LatencyMonitor
from headwater.stats.alarms.levels import READY, changed_levels
from headwater.stats.outcomes.calibration import calibration, confidence, expected_error, reliability
from headwater.stats.outcomes.latency import Latencies
from property import clean_flights
from unit.observe.worlds import CALENDAR, evidence

ROWS = st.lists(st.tuples(st.integers(0, 1).map(float), st.sampled_from([0, 0.1, 0.5, 0.7, 1.0])), max_size=60)
TIMES = st.lists(st.floats(0, 1e5), max_size=80)


@settings(deadline=None)
@given(ROWS, st.integers(1, 12))
def test_every_row_is_in_one_bin_and_equal_p_is_never_parted(rows, bins):
    y, p = np.array(rows, dtype=float).reshape(-1, 2).T
    found = reliability(y, p, bins)
    assert sum(bin.rows for bin in found) == len(rows) and len(found) <= max(bins, 1)
    assert sum(bin.rows * bin.said for bin in found) == pytest.approx(p.sum())
    assert sum(bin.rows * bin.came.value for bin in found) == pytest.approx(y.sum())
    assert all(bin.came.low <= bin.came.value <= bin.came.high for bin in found)
    assert all(a.said < b.said for a, b in itertools.pairwise(found))
    values = calibration(y, p)
    assert all(math.isfinite(value) for name, value in values.items() if name != "bins")
    assert all(math.isfinite(value) for value in confidence(p).values())


def test_a_perfect_model_has_an_error_by_chance_and_little_of_it_is_left_corrected():
    random = np.random.default_rng(1)
    plain, fair, slopes = [], [], 0
    for _ in range(300):
        p = random.uniform(0.02, 0.98, 300)
        y = (random.random(300) < p).astype(float)
        errors = expected_error(reliability(y, p))
        plain.append(errors[0])
        fair.append(errors[1] ** 2)
        values = calibration(y, p)
        slopes += values["slope_low"] <= 1 <= values["slope_high"]
    assert np.mean(plain) > 0.04, "the bias is what it is said to be"
    assert np.mean(fair) < 0.4 * np.mean(np.square(plain))
    assert slopes / 300 == pytest.approx(0.95, abs=0.04)


def test_what_is_wrong_with_a_model_shows():
    random = np.random.default_rng(2)
    p = random.uniform(0.05, 0.95, 5000)
    logit = np.log(p / (1 - p))
    y = (random.random(5000) < 1 / (1 + np.exp(-(0.5 * logit - 0.3)))).astype(float)
    found = calibration(y, p)
    assert found["slope_low"] < 0.5 < found["slope_high"] < 1 and found["intercept"] == pytest.approx(-0.3, abs=0.1)
    assert found["gap_high"] < 0 and found["ece_corrected"] > 0.05
    assert confidence(p)["certainty"] < confidence(np.where(p > 0.5, 0.99, 0.01))["certainty"]


def test_bad_input_of_calibration_is_defined():
    none = np.zeros(0)
    assert calibration(none, none) == {"rows": 0, "bins": []} and confidence(none) == {}
    assert all(math.isnan(side) for side in expected_error([]))
    assert "slope" not in calibration(np.ones(9), np.full(9, 0.5))
    assert calibration(np.array([1.0, math.nan]), np.array([0.5, 0.5]))["rows"] == 1
    for wrong in (np.array([2.0]), np.array([0.5])), (np.array([1.0]), np.array([1.5])), (np.ones(2), np.ones(3)):
        with pytest.raises(UsageError):
            calibration(*wrong)
    with pytest.raises(UsageError):
        reliability(np.ones(1), np.ones(1), 0)


@settings(deadline=None)
@given(TIMES, TIMES, TIMES)
def test_latencies_of_windows_add_up_to_those_of_the_whole(one, two, three):
    parts = [Latencies.of(times) for times in (one, two, three)]
    whole = Latencies.of([*one, *two, *three])
    left, right = parts[0].merge(parts[1]).merge(parts[2]), parts[0].merge(parts[1].merge(parts[2]))
    assert left.counts == right.counts == whole.counts and left.rows == len(one + two + three)
    assert left.total == pytest.approx(whole.total) and Latencies.from_body(whole.body()) == whole


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_quantile_is_within_a_cell_of_the_exact_one(times, q):
    found = Latencies.of(times).quantile(q)
    exact = np.quantile(times, q, method="inverted_cdf")
    assert found.value == pytest.approx(exact, rel=0.045)
    assert found.low <= found.value <= found.high


def test_bounds_of_a_quantile_cover_and_bad_latencies_are_counted():
    random = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        low, high = Latencies.of(random.lognormal(3, 0.5, 500)).quantile(0.95)[1:]
        held += low * 0.978 <= math.exp(3 + 0.5 * 1.6449) <= high * 1.022
    assert held / 400 >= 0.93
    odd = Latencies.of([1.0, -1.0, math.nan, None, math.inf])
    assert (odd.rows, odd.failed) == (1, 4) and odd.quantile(0.99).high == math.inf
    assert math.isnan(Latencies.of([]).quantile(0.5).value) and math.isnan(Latencies.of([]).mean)
    assert Latencies.of([1.0, 10.0, 100.0]).above(50.0) == pytest.approx(1 / 3)
    with pytest.raises(UsageError):
        odd.quantile(1.0)


def test_levels_of_clean_series_with_memory_hardly_ever_change():
    """Twenty series of 400 windows with lag-one correlation: the promise is one false alarm in 1000 windows of all."""
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(5):
        noise = random.standard_t(5, (400, 20))
        for at in range(1, 400):
            noise[at] = 0.25 * noise[at - 1] + noise[at]
        last = -1
        for at in range(READY, 400, 5):
            told, _ = changed_levels(noise[: at + 1], noise[: at + 1] * 0, np.ones(at, dtype=bool), max(0, last + 1))
            if np.nanmax(told) >= 1000 * 20:
                alarms, last = alarms + 1, at
    assert alarms <= 3  # of 2000 windows


def played(monitor, items):
    history, found = History(CALENDAR), []
    for item in items:
        history.add_evidence(item)
        for finding in monitor.evaluate([item], history, CALENDAR, item.time):
            history.add_finding(finding)
            found.append(finding)
    return found


def days_of(frame):
    model = clean_flights.model()
    return [evidence(day, measured(model, log, labels), "calibration", "model:nyc/delay")
            for day, log, labels in clean_flights.days(frame)]  # fmt: skip


@pytest.mark.slow
def test_calibration_of_clean_flights_is_quiet_and_of_a_lost_calibrator_is_not():
    frame = clean_flights.scored()
    clean = played(CalibrationMonitor(), days_of(frame))
    assert len(clean) <= 3 and all(finding.severity == "notice" for finding in clean)
    lost = pl.when(pl.col("window") >= "2013-09-15").then(pl.col("p") ** 0.5).otherwise(pl.col("p"))
    found = played(CalibrationMonitor(), days_of(frame.with_columns(p=lost)))
    assert any("2013-09-15" <= finding.window <= "2013-10-05" and finding.metric == "gap" for finding in found)


def latencies(slower_from=None, factor=1.0, windows=300):
    random = np.random.default_rng(6)
    days = [window.key for window in CALENDAR.between("2013-01-01", "2013-12-31")][:windows]
    load, items = 0.0, []
    for index, day in enumerate(days):
        load = 0.5 * load + random.normal(0, 0.06)
        level = 12 * math.exp(load + (0.15 if index % 7 < 5 else 0.0))
        late = slower_from is not None and index >= slower_from
        times = Latencies.of(level * (factor if late else 1.0) * random.lognormal(0, 0.4, 2000))
        values = {"n": times.rows, "version": "2" if late else "1"}
        values |= {f"p{round(q * 100)}": times.quantile(q).value for q in (0.5, 0.95, 0.99)}
        items.append(evidence(day, values, "latency", "deployment:nyc/delay"))
    return items


def test_latency_is_quiet_on_busy_days_and_tells_the_version_that_is_slow():
    assert played(LatencyMonitor(), latencies()) == []
    slow = played(LatencyMonitor(), latencies(200, 3.0, 210))
    assert slow[0].window == latencies()[200].window and slow[0].severity == "alarm"
    assert slow[0].detail.startswith("version 2 took")
    assert played(LatencyMonitor(), latencies(200, 0.3, 210)) == []
    few = [evidence(item.window, {**item.values, "n": 20}, "latency", "deployment:nyc/delay")
           for item in latencies(200, 3.0, 210)]  # fmt: skip
    assert played(LatencyMonitor(), few) == []
