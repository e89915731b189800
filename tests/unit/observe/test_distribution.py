"""A distribution that jumps is a notice, unless no weather can be the reason."""

import pytest

from headwater.observe.distribution import DistributionMonitor
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


def test_one_quantile_far_out_is_only_a_notice():
    (found,) = judge({"q75.x": 5000.0})
    assert found.severity == "notice"


def test_codes_of_another_length_alarm():
    (found,) = judge({"length_mean.carrier": 3.0})
    assert (found.metric, found.severity) == ("length_mean.carrier", "alarm")


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
