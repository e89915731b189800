"""Gaps between groups: laws of the sums, hand numbers, and a year of real flights that must stay quiet."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import UsageError
from headwater.mlops.fairness import cells_of, fairness, parsed
from headwater.observe.fairness import FairnessMonitor
from headwater.observe.history import History
from headwater.stats.alarms.levels import READY
from headwater.stats.outcomes.fairness import Sums, beta_binomial, difference, gaps, groups, merge, normal_means
from property import clean_flights
from unit.observe.worlds import CALENDAR, evidence

MODEL = "model:nyc/delay"
COUNTS = st.tuples(st.integers(1, 60), st.integers(0, 60)).map(lambda pair: Sums(pair[0], *[min(pair)] * 2))
CELLS = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), COUNTS, min_size=1).map(
    lambda cells: {cell: {"selection": sums} for cell, sums in cells.items()}
)


@settings(deadline=None)
@given(CELLS, CELLS, CELLS)
def test_windows_recombine_in_any_order(one, two, three):
    assert merge([one, two, three]) == merge([three, merge([two, one])])


@settings(deadline=None)
@given(CELLS)
def test_groups_of_any_depth_hold_every_row_once(cells):
    rows = sum(own["selection"].n for own in cells.values())
    for depth, parts in ((1, 2), (2, 1)):
        assert sum(own["selection"].n for own in groups(cells, ["g", "h"], depth).values()) == rows * parts


@settings(deadline=None)
@given(CELLS)
def test_a_gap_lies_within_its_bounds_and_shrinks_towards_the_others(cells):
    for gap in gaps(cells, ["g", "h"], ["selection"], least=1):
        assert gap.rate.low <= gap.rate.value <= gap.rate.high
        if math.isfinite(gap.gap.value):
            assert gap.gap.low - 1e-12 <= gap.gap.value <= gap.gap.high + 1e-12
            assert gap.gap.low >= -1 and gap.gap.high <= 1 and math.isfinite(gap.shrunk)


def test_the_difference_of_shares_is_newcombe_s_own_example():
    """Newcombe (1998), table II, case a: 56/70 - 48/80, method 10."""
    found = difference(Sums(70, 56, 56), Sums(80, 48, 48))
    assert [round(side, 4) for side in found] == [0.2, 0.0524, 0.3339]
    assert difference(Sums(0, 0, 0), Sums(5, 1, 1)).low == -math.inf


def test_shrinkage_recovers_the_spread_of_the_groups():
    random = np.random.default_rng(2)
    n = random.integers(60, 600, 4000)
    k = random.binomial(n, random.beta(6, 14, 4000))
    mean, strength = beta_binomial(k, n)
    assert mean == pytest.approx(0.3, abs=0.01) and strength == pytest.approx(20, rel=0.15)
    same = random.binomial(n, 0.3)
    assert beta_binomial(same, n)[1] > 500
    truth = random.normal(0, 1, 500)
    seen = truth + random.normal(0, 2, 500)
    shrunk = np.array(normal_means(seen, [4.0] * 500))
    assert ((shrunk - truth) ** 2).mean() < 0.35 * ((seen - truth) ** 2).mean()
    with pytest.raises(UsageError):
        beta_binomial([3], [2])


def small(rows=240, seed=1):
    random = np.random.default_rng(seed)
    p = random.uniform(0.1, 0.9, rows)
    log = pl.DataFrame(
        {
            "flight_id": np.arange(rows), "carrier": random.choice(["AA", "UA", None], rows, p=[0.5, 0.4, 0.1]),
            "origin": random.choice(["EWR", "JFK"], rows), "dest": ["X"] * rows,
            **dict.fromkeys(clean_flights.FEATURES, 1.0), "p": p, "decision": (p > 0.5).astype(int),
        }
    ).with_columns(temp=pl.when((pl.col("carrier") == "AA") & (pl.col("flight_id") % 2 == 0)).then(1.0))  # fmt: skip
    truth = pl.DataFrame({"flight_id": np.arange(rows - 40), "late": (random.random(rows - 40) < p[:-40]).astype(int)})
    return log, truth


def test_rates_are_those_counted_by_hand():
    model, (log, truth) = clean_flights.model(), small()
    values = fairness(model, log, truth)
    rows = log.join(truth, on="flight_id", how="left")
    own, rest = rows.filter(carrier="AA"), rows.filter(pl.col("carrier").ne_missing("AA"))

    def rate(part, late):
        return part.filter(late=late)["decision"].mean()

    assert values["gap.selection.carrier=AA"] == pytest.approx(own["decision"].mean() - rest["decision"].mean())
    assert values["gap.tpr.carrier=AA"] == pytest.approx(rate(own, 1) - rate(rest, 1))
    assert values["gap.fpr.carrier=AA"] == pytest.approx(rate(own, 0) - rate(rest, 0))
    error = [(part["late"] - part["p"]).mean() for part in (own, rest)]
    assert values["gap.calibration.carrier=AA"] == pytest.approx(error[0] - error[1])
    assert values["maturity"] == pytest.approx(200 / 240)
    assert values["gap.late.origin=JFK"] == -values["gap.late.origin=EWR"]
    assert "gap.selection.carrier=(null)" in values
    assert values["nulls"]["carrier=UA"]["feature"] == "temp" and "carrier=AA" not in values["nulls"]
    assert parsed(values) == cells_of(model, rows)


def test_intersections_need_fifty_rows_and_are_counted_over_windows():
    model = clean_flights.model()
    log, truth = small(240)
    log = log.with_columns(
        decision=pl.when((pl.col("carrier") == "UA") & (pl.col("origin") == "JFK"))
        .then(0)
        .otherwise(pl.col("decision"))
    )
    first = fairness(model, log, truth)
    assert not [item for item in first["intersections"] if "UA" in item["group"] and "JFK" in item["group"]]
    later = fairness(model, log, truth, [first] * 3)
    worst = next(item for item in later["intersections"] if item["metric"] == "selection")
    assert worst["group"] == "carrier=UA & origin=JFK" and worst["rate"] == 0 and worst["high"] < 0
    assert worst["gap"] < worst["shrunk"] < 0


def play(frame):
    """Let the days pass one by one; return the findings."""
    model, history, past, found = clean_flights.model(), History(CALENDAR), [], []
    for day, log, labels in clean_flights.days(frame):
        past.append(fairness(model, log, labels, past[-13:]))
        item = evidence(day, past[-1], "fairness", MODEL)
        history.add_evidence(item)
        for finding in FairnessMonitor().evaluate([item], history, CALENDAR, item.time):
            history.add_finding(finding)
            found.append(finding)
    return found


@pytest.mark.slow
def test_seven_months_of_clean_flights_have_at_most_one_day_in_alarm():
    assert len({finding.window for finding in play(clean_flights.scored())}) <= 1


@pytest.mark.slow
def test_a_group_that_is_treated_otherwise_is_found_with_its_cause():
    frame = clean_flights.scored().filter(pl.col("window") < "2013-10-20")
    since = pl.col("window") >= "2013-09-15"
    harmed = since & (pl.col("carrier") == "VX")
    found = play(
        frame.with_columns(
            decision=pl.when(harmed).then(1).otherwise(pl.col("decision")), temp=pl.when(~harmed).then(pl.col("temp"))
        )
    )
    assert found and "2013-09-16" <= found[0].window <= "2013-09-22"
    assert found[0].metric.endswith("carrier=VX") and found[0].severity == "alarm"
    assert "`temp`" in found[0].detail and "null" in found[0].detail
    assert {finding.metric.partition(".")[2] for finding in found} == {"carrier=VX"}


def test_it_waits_for_its_warm_up_and_for_labels():
    history = History(CALENDAR)
    days = [window.key for window in CALENDAR.between("2013-01-01", "2013-04-30")]
    random, found = np.random.default_rng(0), []
    for index, day in enumerate(days):
        jump = 0.0 if index < READY - 1 or index > READY + 30 else 5.0
        values = {"maturity": 0.5 if index < READY + 15 else 1.0}
        values |= {f"gap.{name}.g=a": random.normal(0, 0.02) + jump for name in ("tpr", "selection")}
        values |= {f"se.{name}.g=a": 0.01 for name in ("tpr", "selection")}
        item = evidence(day, values, "fairness", MODEL)
        history.add_evidence(item)
        found += FairnessMonitor().evaluate([item], history, CALENDAR, item.time)
    first = {name: min(item.window for item in found if item.metric == f"{name}.g=a") for name in ("selection", "tpr")}
    assert days[READY] <= first["selection"] <= days[READY + 8] and first["tpr"] >= days[READY + 15]
