"""Bands drawn from history: quiet on what history did, loud on what it never did."""

import numpy as np
import pytest

from headwater.core.windows import Calendar
from headwater.stats.alarms.exceedance import Baseline
from headwater.stats.alarms.slots import Slots

DAYS = [window.key for window in Calendar().between("2013-01-01", "2013-07-31")]


def normal(count=181, seed=0, **metrics):
    random = np.random.default_rng(seed)
    return {
        day: {name: float(make(random, index)) for name, make in metrics.items()}
        for index, day in enumerate(DAYS[:count])
    }


def one(history, metric, value, day=DAYS[181]):
    return Baseline().fit(history).score(day, {metric: value})[metric]


def test_a_share_that_was_always_zero_alarms_on_a_jump_and_not_on_one_row():
    history = normal(**{"null_share.x": lambda random, index: 0.0})
    assert one(history, "null_share.x", 0.0).r == 0
    assert one(history, "null_share.x", 1 / 900).r < 1
    assert one(history, "null_share.x", 0.2).r > 2
    assert one(history, "null_share.x", 0.2).expected == 0.0


@pytest.mark.parametrize(("metric", "r"), [("null_share.x", True), ("unseen_share.x", False)])
def test_a_hundredth_of_nulls_where_there_were_none_leaves_the_band(metric, r):
    history = normal(**{metric: lambda random, index: 0.0})
    assert (one(history, metric, 0.01).r > 2) == r
    assert one(history, metric, 0.005).r < 2


def test_nulls_that_vary_set_their_own_band():
    history = normal(**{"null_share.x": lambda random, index: random.uniform(0.02, 0.12)})
    assert one(history, "null_share.x", 0.13).r < 2
    stable = normal(**{"null_share.x": lambda random, index: 0.1 + random.normal(0, 0.002)})
    assert one(stable, "null_share.x", 0.12).r > 2


def test_a_steady_share_in_the_middle_alarms_on_a_few_points():
    history = normal(**{"key_match.p": lambda random, index: 0.83 + random.normal(0, 0.003)})
    assert one(history, "key_match.p", 0.82).r < 1
    assert one(history, "key_match.p", 0.75).r > 2


def test_counts_are_compared_by_ratio():
    history = normal(rows=lambda random, index: 1000 * np.exp(random.normal(0, 0.02)))
    assert one(history, "rows", 1030).r < 1
    low, high = one(history, "rows", 500).r, one(history, "rows", 2000).r
    assert low > 2
    assert low == pytest.approx(high, rel=0.1)


def test_a_slow_season_moves_the_level_along():
    season = normal(count=212, **{"mean.temp": lambda random, index: 30 + 50 * index / 212 + random.normal(0, 4)})
    baseline = Baseline().fit({day: season[day] for day in DAYS[:181]})
    worst = 0.0
    for day in DAYS[181:]:
        worst = max(worst, baseline.score(day, season[day])["mean.temp"].r)
        baseline.update(day, season[day])
    assert worst < 1.6
    assert one({day: season[day] for day in DAYS[:181]}, "mean.temp", 20.0).r > 2


def test_weekdays_have_a_level_of_their_own():
    history = normal(rows=lambda random, index: (400 if index % 7 in (4, 5) else 1000) * np.exp(random.normal(0, 0.02)))
    baseline = Baseline().fit(history)
    expected = {day: baseline.score(day, {"rows": 1000.0})["rows"].expected for day in DAYS[181:188]}
    quiet = [day for index, day in enumerate(DAYS[181:188], 181) if index % 7 in (4, 5)]
    assert all(expected[day] == pytest.approx(400, rel=0.1) for day in quiet)
    assert all(expected[day] == pytest.approx(1000, rel=0.1) for day in expected if day not in quiet)


def test_a_slot_seen_rarely_is_pulled_to_the_pooled_level():
    holidays = [DAYS[40], DAYS[80]]
    history = normal(rows=lambda random, index: 500.0 if DAYS[index] in holidays else 1000.0)
    baseline = Baseline(Slots(Calendar(), [*holidays, DAYS[181]])).fit(history)
    expected = baseline.score(DAYS[181], {"rows": 500.0})["rows"].expected
    assert 700 < expected < 900  # two holidays of six: a third of the way, in logarithms


def test_hourly_windows_have_hours_of_the_day():
    calendar = Calendar("1h", "Europe/London")
    hours = [window.key for window in calendar.between("2013-05-01T00", "2013-05-28T23")]
    level = {key: 1000.0 if 8 <= (int(key[-2:]) + 1) % 24 < 20 else 50.0 for key in hours}
    baseline = Baseline(Slots(calendar)).fit({key: {"rows": level[key]} for key in hours})
    day, night = "2013-05-29T10", "2013-05-29T02"
    assert baseline.score(day, {"rows": 1000.0})["rows"].r < 1
    assert baseline.score(day, {"rows": 50.0})["rows"].r > 2
    assert baseline.score(night, {"rows": 1000.0})["rows"].r > 2


def test_no_verdict_in_the_first_two_weeks():
    history = normal(count=13, rows=lambda random, index: 1000.0)
    assert one(history, "rows", 1.0, DAYS[13]).r == 0
    history[DAYS[13]] = {"rows": 1000.0}
    assert one(history, "rows", 1.0, DAYS[14]).r > 2
    assert Baseline().score(DAYS[0], {"rows": 1.0}) == {}


def test_updating_is_close_to_fitting_again():
    history = normal(rows=lambda random, index: 1000 + random.normal(0, 20), **{"mean.x": lambda r, i: r.normal(5, 1)})
    late = DAYS[150:181]
    grown = Baseline().fit({day: history[day] for day in DAYS[:150]})
    for day in late:
        grown.update(day, history[day])
    whole = Baseline().fit(history)
    for name, value in (("rows", 1100.0), ("mean.x", 9.0)):
        a, b = grown.score(DAYS[181], {name: value})[name], whole.score(DAYS[181], {name: value})[name]
        assert a.expected == b.expected
        assert a.r == pytest.approx(b.r, rel=0.25)


def test_metrics_come_and_go():
    history = normal(rows=lambda random, index: 1000.0)
    for day in DAYS[100:181]:
        history[day]["mean.new"] = 5.0
    baseline = Baseline().fit(history)
    baseline.update(DAYS[181], {"rows": 1000.0, "mean.newest": 1.0})
    found = baseline.score(DAYS[182], {"rows": 1000.0, "mean.new": 50.0, "mean.newest": 2.0, "mean.unknown": 1.0})
    assert found["mean.new"].r > 2
    assert "mean.newest" not in found
    assert "mean.unknown" not in found
    assert baseline.values("mean.unknown").shape == (182,)


def test_a_lasting_shift_gathers_evidence_that_one_window_does_not():
    history = normal(**{"mean.x": lambda random, index: random.normal(0, 1)})
    baseline = Baseline().fit(history)
    seen = []
    for day in DAYS[181:187]:
        seen.append(baseline.score(day, {"mean.x": 3.0})["mean.x"])
        baseline.update(day, {"mean.x": 3.0})
    assert max(score.r for score in seen) < 2
    assert seen[-1].evidence > 10 * seen[0].evidence


def test_evidence_begins_anew_where_a_shift_is_known_and_the_band_stays():
    history = normal(**{"mean.x": lambda random, index: 100 + random.normal(0, 1) + (1.5 if index >= 165 else 0)})
    told = one(history, "mean.x", 101.5)
    known = Baseline().fit(history, {"mean.x": DAYS[180]}).score(DAYS[181], {"mean.x": 101.5})["mean.x"]
    assert told.evidence > 100 * known.evidence
    assert (known.r, known.expected) == (told.r, told.expected)
    later = Baseline().fit(history, {"mean.x": DAYS[190]}).drift(DAYS[181], {"mean.x": 101.5}, "mean.x")
    assert later.since == DAYS[181], "nothing is told of the windows before"


def test_the_band_is_given_in_the_metrics_own_unit():
    history = normal(rows=lambda random, index: 1000 * np.exp(random.normal(0, 0.05)))
    score = one(history, "rows", 1000.0)
    assert score.low < score.expected < score.high
    assert one(history, "rows", score.high).r == pytest.approx(1.0, rel=1e-6)


def test_only_a_number_that_hardly_ever_moves_is_steady():
    history = normal(rows=lambda random, index: 72.0 if index % 30 else 60.0, **{"mean.x": lambda r, i: r.normal()})
    baseline = Baseline().fit(history)
    assert baseline.steady("rows")
    assert not baseline.steady("mean.x")
    assert not baseline.steady("mean.unknown")


def hours_of_a_shop(random, count):
    """Ten rows at night, a hundred by day; of a row's products 95 % are listed."""
    history = {}
    for index in range(count):
        rows = int(random.poisson(10 if index % 24 < 10 else 100)) + 1
        history[HOURS[index]] = {"rows": float(rows), "key_match.products": random.binomial(rows, 0.95) / rows}
        amounts = random.normal(30, 20, rows)
        history[HOURS[index]] |= {"mean.amount": float(amounts.mean()), "std.amount": float(amounts.std())}
    return history


HOURS = [window.key for window in Calendar("1h").between("2024-01-01T00", "2024-01-31T23")]


def test_small_windows_do_not_set_the_band_of_large_ones():
    history = hours_of_a_shop(np.random.default_rng(21), 336)
    baseline = Baseline(Slots(Calendar("1h"))).fit(history)
    noon = {"rows": 100.0, "key_match.products": 0.75, "mean.amount": 55.0, "std.amount": 20.0}
    night = {"rows": 10.0, "key_match.products": 0.7, "mean.amount": 41.0, "std.amount": 20.0}
    by_day, by_night = baseline.score("2024-01-15T12", noon), baseline.score("2024-01-15T02", night)
    assert by_day["key_match.products"].r > 2 and by_day["mean.amount"].r > 2
    assert by_night["key_match.products"].r < 2 and by_night["mean.amount"].r < 2
    assert by_day["mean.amount"].high - by_day["mean.amount"].low < by_night["mean.amount"].high


def test_uneven_windows_do_not_alarm_by_themselves():
    random = np.random.default_rng(22)
    history = hours_of_a_shop(random, 600)
    baseline = Baseline(Slots(Calendar("1h"))).fit({key: history[key] for key in HOURS[:240]})
    out = 0
    for key in HOURS[240:600]:
        out += sum(score.r > 2 for score in baseline.score(key, history[key]).values())
        baseline.update(key, history[key])
    assert out <= 3


def test_shares_come_back_from_arcs():
    history = hours_of_a_shop(np.random.default_rng(23), 240)
    baseline = Baseline(Slots(Calendar("1h"))).fit(history)
    assert baseline.values("key_match.products")[:9].tolist() == pytest.approx(
        [history[key]["key_match.products"] for key in HOURS[:9]]
    )
    score = baseline.score(HOURS[240], history[HOURS[239]])["key_match.products"]
    assert 0.9 < score.expected < 0.99 and 0.0 <= score.low < score.expected < score.high <= 1.0
