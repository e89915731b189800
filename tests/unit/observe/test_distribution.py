"""A distribution that jumps is a notice, unless no weather can be the reason."""

import itertools

import numpy as np
import pytest

from headwater.observe.distribution import DistributionMonitor
from headwater.observe.history import History
from unit.observe.worlds import CALENDAR, DAYS, NOW, evidence, learned, table


def judge(changed, days=120):
    history, random = learned(days)
    return DistributionMonitor().evaluate(
        [evidence(DAYS[days], table(days, random, **changed))], history, CALENDAR, NOW
    )


def body(by):
    return {"mean.x": 60.0 + by, "q25.x": 57.0 + by, "q50.x": 60.0 + by, "q75.x": 63.0 + by}


def test_a_normal_day_is_no_finding():
    assert judge({}) == []


def test_a_heat_wave_is_one_notice_for_the_column():
    (found,) = judge(body(48))
    assert (found.severity, found.monitor) == ("notice", "distribution")
    assert found.metric.endswith(".x")
    assert found.score > 2
    assert "also" in found.detail


def test_a_column_a_hundred_times_as_large_alarms():
    (found,) = judge(body(6000))
    assert found.severity == "alarm"


@pytest.mark.parametrize("lost", [["std.x"], ["std.x", "mean.x"]])
def test_numbers_too_large_to_be_squared_or_summed_alarm(lost):
    history, random = learned(120)
    values = table(120, random, **{name: value * 1e158 for name, value in body(0).items()})
    for metric in lost:
        del values[metric]
    (found,) = DistributionMonitor().evaluate([evidence(DAYS[120], values)], history, CALENDAR, NOW)
    assert found.severity == "alarm"


def test_a_constant_without_a_spread_is_no_alarm():
    history, random = learned(120)
    values = table(120, random, **dict.fromkeys(body(0), 6000.0))
    del values["std.x"]
    (found,) = DistributionMonitor().evaluate([evidence(DAYS[120], values)], history, CALENDAR, NOW)
    assert found.severity == "notice"


def test_of_what_was_always_the_same_nobody_knows_how_far_it_may_move():
    """The first snow in the tables of a year is no fault."""
    history, random = History(CALENDAR), np.random.default_rng(1)
    none = dict.fromkeys(("mean.snow", "std.snow", "q25.snow", "q50.snow", "q75.snow"), 0.0)
    for place in range(120):
        history.add_evidence(evidence(DAYS[place], table(place, random, **none)))
    some = {"mean.snow": 1.3, "std.snow": 0.4, "q25.snow": 1.0, "q50.snow": 1.3, "q75.snow": 1.6}
    found = DistributionMonitor().evaluate([evidence(DAYS[120], table(120, random, **some))], history, CALENDAR, NOW)
    assert {finding.severity for finding in found} == {"notice"}


def test_one_quantile_far_out_is_only_a_notice():
    (found,) = judge({"q75.x": 5000.0})
    assert found.severity == "notice"


def test_codes_of_another_length_alarm():
    (found,) = judge({"length_mean.carrier": 3.0})
    assert (found.metric, found.severity) == ("length_mean.carrier", "alarm")


def test_the_name_of_a_month_is_as_long_as_it_is():
    """All rows of a window have it; so far it was March, now it is September."""
    history, random = History(CALENDAR), np.random.default_rng(1)
    for place in range(40):
        name = {"distinct.carrier": 1.0, "length_mean.carrier": 5.0}
        history.add_evidence(evidence(DAYS[place], table(place, random, **name)))
    later = table(40, random, **{"distinct.carrier": 1.0, "length_mean.carrier": 9.0})
    found = DistributionMonitor().evaluate([evidence(DAYS[40], later)], history, CALENDAR, NOW)
    assert {finding.severity for finding in found} == {"notice"}


def test_structural_metrics_are_the_other_monitors():
    assert judge({"null_share.x": 0.9, "rows": 1.0}) == []


def test_a_drift_that_stays_inside_the_band_is_noticed():
    history, random = learned(120)
    found = []
    for index in range(120, 135):
        item = evidence(DAYS[index], table(index, random, **body(17)))
        history.add_evidence(item)
        found += DistributionMonitor().evaluate([item], history, CALENDAR, NOW)
    assert found
    assert all(item.severity == "notice" for item in found)
    assert all("drifted" in item.detail for item in found)


def test_a_drift_is_told_with_its_beginning_and_both_levels_though_the_newest_window_is_as_before():
    random, history, found = np.random.default_rng(4), History(CALENDAR), []
    for day in range(150):
        nulls = 0.0 if day < 120 or day % 3 == 0 else 0.012
        item = evidence(DAYS[day], {"rows": 1000.0 + random.integers(0, 50), "null_share.vendor": nulls})
        history.add_evidence(item)
        fresh = DistributionMonitor().evaluate([item], history, CALENDAR, NOW)
        for one in fresh:
            history.add_finding(one)
        found += fresh
    (first, *_) = [one for one in found if one.metric == "null_share.vendor"]
    assert f"since {DAYS[121]}" in first.detail
    assert first.expected == 0.0 and 0.006 < first.value < 0.012
    assert first.detail.endswith(f"{first.value:.4g} on average, 0 before")


@pytest.mark.parametrize(
    ("kept", "noise", "severity"), [(0.5, 0.2, "alarm"), (0.72, 0.1, "notice"), (2.2, 0.2, "alarm")]
)
def test_half_of_the_rows_gone_for_days_wakes_somebody_where_rows_breathe(kept, noise, severity):
    random, history, found = np.random.default_rng(6), History(CALENDAR), []
    for day in range(150):
        rows = round(1000 * np.exp(random.normal(0, noise)) * (kept if day >= 120 else 1))
        item = evidence(DAYS[day], {"rows": float(rows)})
        fresh = DistributionMonitor().evaluate([item], history, CALENDAR, NOW)
        history.add_evidence(item)
        for one in fresh:
            history.add_finding(one)
        found += [one for one in fresh if "drifted" in one.detail]
    told = [one for one in found if one.severity == severity]
    assert told and (severity == "alarm" or told == found)
    assert told[0].value == pytest.approx(1000 * kept, rel=0.2)


@pytest.mark.parametrize(
    ("metric", "value", "noticed"),
    [
        ("null_share.x", 0.02, True),  # far below what makes a jump, and there from some day on
        ("duplicate_share", 0.015, True),
        ("key_match.planes", 0.999, False),  # better than it was
    ],
)
def test_a_share_that_stays_elsewhere_is_noticed_when_that_is_worse(metric, value, noticed):
    history, random = learned(120)
    found = []
    for index in range(120, 150):
        item = evidence(DAYS[index], table(index, random, **{metric: value + 0.0002 * (index % 3)}))
        history.add_evidence(item)
        found += [one for one in DistributionMonitor().evaluate([item], history, CALENDAR, NOW) if one.metric == metric]
    assert bool(found) == noticed
    assert all(one.severity == "notice" and "drifted" in one.detail for one in found)


def mixed(day, random, moved=0.0):
    """A day on which three carriers have shares that vary more than rows would, and a part of one's goes to another."""
    shares = np.array([0.5 - moved, 0.3 + moved, 0.2]) * np.exp(random.normal(0, 0.01, 3))
    counts = random.multinomial(4000, shares / shares.sum()) / 4000
    named = {f"share[{value}].carrier": float(share) for value, share in zip("ABC", counts, strict=True)}
    return evidence(DAYS[day], {"rows": 4000.0, "null_share.carrier": 0.0, "distinct.carrier": 3.0, **named})


@pytest.mark.parametrize(("moved", "least", "most"), [(0.0, 0, 0.02), (0.1, 0.95, 1.0)])
def test_a_mix_that_moves_between_known_values_is_one_notice(moved, least, most):
    told = []
    for seed in range(20):
        random, history = np.random.default_rng(seed), History(CALENDAR)
        for day in range(100):
            history.add_evidence(mixed(day, random))
        found = DistributionMonitor().evaluate([mixed(100, random, moved)], history, CALENDAR, NOW)
        assert all(one.metric.endswith("].carrier") and one.severity == "notice" for one in found)
        assert len(found) <= 1
        told.append(bool(found))
    assert least <= np.mean(told) <= most


def test_five_points_of_a_mix_that_stay_are_noticed_within_a_week():
    random, history = np.random.default_rng(4), History(CALENDAR)
    for day in range(100):
        history.add_evidence(mixed(day, random))
    found = []
    for day in range(100, 107):
        item = mixed(day, random, 0.05)
        history.add_evidence(item)
        found += DistributionMonitor().evaluate([item], history, CALENDAR, NOW)
    assert found


def test_a_standing_drift_is_not_repeated_every_other_day():
    history, random = learned(120)
    told = []
    for index in range(120, 150):
        item = evidence(DAYS[index], table(index, random, **body(17)))
        history.add_evidence(item)
        for one in DistributionMonitor().evaluate([item], history, CALENDAR, NOW):
            history.add_finding(one)
            told.append(one)
    days = [one.window for one in told if one.metric.endswith(".x")]
    assert 1 <= len(days) <= 3
    assert all(DAYS.index(later) - DAYS.index(earlier) >= 14 for earlier, later in itertools.pairwise(days))


def test_what_never_moved_is_told_without_edges():
    history = History(CALENDAR)
    for day in range(60):
        history.add_evidence(evidence(DAYS[day], {"rows": 100.0, "std.x": 0.0}))
    found = DistributionMonitor().evaluate([evidence(DAYS[60], {"rows": 100.0, "std.x": 3.0})], history, CALENDAR, NOW)
    assert [one.detail for one in found] == ["std.x is 3, expected 0 as ever"]
