"""Outcomes: one bad day is weather, a week of them is not; labels and money are watched beside."""

import numpy as np

from headwater.observe.history import History
from headwater.observe.monitors import evaluate
from headwater.stats.outcomes.regression import errors_by_size
from unit.observe.worlds import CALENDAR, DAYS, MODEL, NOW, evidence


def played(excess, maturity=None, **other):
    """Let windows pass one by one; return the findings."""
    history, found = History(CALENDAR), []
    for index, value in enumerate(excess):
        values = {"excess": float(value), "maturity": 1.0 if maturity is None else maturity[index]}
        values |= {name: series[index] for name, series in other.items()}
        item = evidence(DAYS[index], values, "performance", MODEL)
        history.add_evidence(item)
        for finding in evaluate([item], history, CALENDAR, NOW):
            history.add_finding(finding)
            found.append(finding)
    return found


def clean(count=90, seed=3):
    return np.random.default_rng(seed).normal(0, 0.1, count)


def test_clean_quarters_rarely_alarm():
    assert sum(bool(played(clean(seed=seed))) for seed in range(25)) <= 3


def test_a_storm_of_one_day_is_quiet():
    excess = clean()
    excess[60] = 0.9
    assert played(excess) == []


def test_outcomes_that_no_longer_follow_the_probabilities_alarm_within_days():
    excess = clean()
    excess[60:] += 0.3
    found = played(excess)
    assert found
    assert (found[0].monitor, found[0].metric, found[0].severity) == ("performance", "excess", "alarm")
    assert DAYS[61] <= found[0].window <= DAYS[70]


def test_one_window_however_far_out_is_no_alarm():
    """Bets on large shifts must not be won by a single window."""
    for seed in range(8):
        excess = clean(seed=seed)
        calm = [item.window for item in played(excess)]
        excess[60] = 3.0
        assert [item.window for item in played(excess)] == calm


def test_what_was_told_and_closed_as_the_world_is_not_told_again_of_the_same_windows():
    excess = clean()
    excess[60:63] += 0.45
    history, found = History(CALENDAR), []
    for index, value in enumerate(excess):
        item = evidence(DAYS[index], {"excess": float(value), "maturity": 1.0}, "performance", MODEL)
        history.add_evidence(item)
        for finding in evaluate([item], history, CALENDAR, NOW):
            history.add_finding(finding)
            history._acquitted.add(finding.id)
            history._alarms[finding.window][finding.subject].discard(finding.id)
            found.append(finding.window)
    assert len(found) == 1


def test_an_improvement_is_no_alarm():
    excess = clean()
    excess[60:] -= 0.3
    assert played(excess) == []


def test_frozen_labels_alarm_nobody_about_the_loss_and_the_labels_are_still_watched():
    excess = clean()
    excess[60:] += 2.0
    frozen = [""] * 60 + ["incident:nyc/1"] * 30
    assert played(excess, frozen=frozen) == []
    maturity = [1.0] * 60 + [0.5] * 30
    found = played(excess, maturity=maturity, frozen=frozen)
    assert {(item.monitor, item.metric) for item in found} == {("labels", "maturity")}


def test_immature_windows_give_no_verdict_on_the_loss_but_the_missing_labels_do():
    excess = clean()
    excess[60:] += 2.0
    maturity = [1.0] * 60 + [0.5] * 30
    found = played(excess, maturity=maturity)
    assert {(item.monitor, item.metric) for item in found} == {("labels", "maturity")}
    assert found[0].window == DAYS[60]


def test_labels_that_come_later_alarm():
    delay = [26.0 + index % 2 for index in range(60)] + [70.0]
    found = played(clean(61), label_delay_hours=delay)
    assert [(item.monitor, item.metric, item.severity) for item in found] == [("labels", "label_delay_hours", "alarm")]


def test_the_business_metric_is_a_notice_and_waits_for_labels():
    random = np.random.default_rng(5)
    history = History(CALENDAR)
    for day in DAYS[:60]:
        values = {"value": 1000 + random.normal(0, 50), "n": 10, "matured": 10, "unit": "min"}
        history.add_evidence(evidence(day, values, "business", MODEL))

    def judged(**values):
        item = evidence(DAYS[60], values, "business", MODEL)
        return [(one.metric, one.severity) for one in evaluate([item], history, CALENDAR, NOW)]

    assert judged(value=5000.0, n=10, matured=10) == [("value", "notice")]
    assert judged(value=5000.0, n=10, matured=3) == []
    assert judged(value=1010.0, n=10, matured=10) == []


def journeys(worse_from=999, *, sizes=True, long=None):
    """Days with more or fewer long journeys, whose errors are larger; the errors grow by a fifth from some day on."""
    random, history, found = np.random.default_rng(4), History(CALENDAR), []
    for index, day in enumerate(DAYS[:80]):
        share = random.uniform(0.05, 0.6) if long is None or index not in long else 0.9
        told = np.where(random.random(300) < share, 40.0, 8.0)
        errors = random.exponential(told / 4) * (1.2 if index >= worse_from else 1.0)
        values = {"mae": float(errors.mean()), "maturity": 1.0}
        if sizes:
            values["errors"] = errors_by_size(told + errors, told)
        item = evidence(day, values, "performance", MODEL)
        history.add_evidence(item)
        for finding in evaluate([item], history, CALENDAR, NOW):
            history.add_finding(finding)
            found.append(finding)
    return [item for item in found if item.metric == "mae"]


def test_errors_are_judged_by_the_sizes_of_the_predictions():
    assert journeys() == [] and journeys(long=range(60, 66)) == []
    assert journeys(worse_from=60, sizes=False) == []
    found = journeys(worse_from=60)
    assert found and DAYS[61] <= found[0].window <= DAYS[67]
    assert "with such predictions" in found[0].detail and found[0].value > found[0].expected
