"""The false-alarm rates that the detectors promise, on simulated clean worlds."""

import numpy as np
import pytest

from headwater.core.windows import Calendar
from headwater.stats.alarms.eprocess import UPWARD, alarms, e_bh, e_cusum, standardise
from headwater.stats.alarms.exceedance import Baseline
from headwater.stats.alarms.lasting import crept
from headwater.stats.outcomes.intervals import t_interval, wilson


@pytest.mark.parametrize("tail", ["normal", "t5", "laplace"])
def test_the_average_run_length_is_at_least_the_threshold(tail):
    random = np.random.default_rng(11)
    size = 40_000
    draws = {
        "normal": random.normal(size=size),
        "t5": random.standard_t(5, size) / np.sqrt(5 / 3),
        "laplace": random.laplace(size=size) / np.sqrt(2),
    }[tail]
    assert alarms(standardise(draws, 0.0, 1.0), 200) <= size / 200
    assert alarms(standardise(draws, 0.0, 1.0), 200, UPWARD) <= size / 200


def test_a_shift_of_two_deviations_is_found_within_a_week_or_two():
    random = np.random.default_rng(12)
    delays = []
    for _ in range(200):
        path = e_cusum(standardise(random.normal(2, 1, 40), 0.0, 1.0), UPWARD)
        delays.append(int(np.argmax(path >= 1000)) + 1 if (path >= 1000).any() else 99)
    assert np.median(delays) <= 12


def test_e_bh_keeps_the_false_discovery_rate_under_dependence():
    random = np.random.default_rng(13)
    shares = []
    for _ in range(400):
        common = random.normal()
        noise = 0.9 * common + np.sqrt(1 - 0.81) * random.normal(size=60)
        signal = np.r_[np.full(10, 4.0), np.zeros(50)]
        evidence = np.exp(2 * (noise + signal) - 2)
        chosen = e_bh(evidence, 0.1)
        shares.append(chosen[10:].sum() / max(1, chosen.sum()))
    assert np.mean(shares) <= 0.1


def test_clean_windows_rarely_leave_their_band():
    random = np.random.default_rng(14)
    days = [window.key for window in Calendar().between("2013-01-01", "2013-12-31")]
    names = [f"mean.c{index}" for index in range(60)]
    values = random.standard_t(4, (len(days), len(names))) + np.sin(np.arange(len(days)) / 58)[:, None] * 3
    history = {day: dict(zip(names, row.tolist(), strict=True)) for day, row in zip(days, values, strict=True)}
    baseline = Baseline().fit({day: history[day] for day in days[:181]})
    out = 0
    for day in days[181:]:
        out += sum(score.r > 2 for score in baseline.score(day, history[day]).values())
        baseline.update(day, history[day])
    assert 0 < out <= 0.002 * len(names) * len(days[181:])


TAILS = {
    "normal": lambda random, shape: random.normal(size=shape),
    "t3": lambda random, shape: random.standard_t(3, shape),
    "lognormal": lambda random, shape: random.lognormal(0, 1, shape),
}
AGES = [(14, 20), (20, 28), (28, 60), (60, 100)]
PER_1000 = {"normal": (1, 1, 1, 1), "t3": (3, 2, 3, 3), "lognormal": (6, 6, 5, 5)}


@pytest.mark.parametrize("tail", list(TAILS))
def test_young_bands_are_rarely_left_whatever_the_tail(tail):
    """Prints the alarms per 1000 by age, and the share of shifts by 6, 10 and 15 deviations that are seen."""
    random = np.random.default_rng(18)
    days = [window.key for window in Calendar().between("2013-01-01", "2013-04-10")]
    names = [f"mean.c{index}" for index in range(1000)]
    values, baseline, out, seen = TAILS[tail](random, (len(days), len(names))), Baseline(), np.zeros(len(days)), {}
    for at, day in enumerate(days):
        given = dict(zip(names, values[at].tolist(), strict=True))
        out[at] = sum(score.r > 2 for score in baseline.score(day, given).values())
        if at in (14, 28, 60, 99):
            moved = [{name: value + size for name, value in given.items()} for size in (6, 10, 15)]
            seen[at] = [np.mean([one.r > 2 for one in baseline.score(day, each).values()]).round(2) for each in moved]
        baseline.update(day, given)
    rates = [1000 * out[low:high].mean() / len(names) for low, high in AGES]
    print(tail, dict(zip(AGES, np.round(rates, 1).tolist(), strict=True)), seen if tail == "normal" else "")
    assert all(rate <= most for rate, most in zip(rates, PER_1000[tail], strict=True)), rates
    assert tail != "normal" or (seen[14][2] > 0.8 and seen[60][1] > 0.95)


def test_intervals_cover():
    random = np.random.default_rng(15)
    hits = [t_interval(row).low <= 0 <= t_interval(row).high for row in random.normal(size=(2000, 8))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)
    counts = random.binomial(40, 0.1, 3000)
    covered = [wilson(int(count), 40).low <= 0.1 <= wilson(int(count), 40).high for count in counts]
    assert np.mean(covered) >= 0.93


@pytest.mark.parametrize(("memory", "most"), [(0.5, 0.001), (0.9, 0.02), (0.97, 0.15)])
def test_a_share_with_a_long_memory_seems_to_creep_now_and_then(memory, most):
    """Prints how many clean windows of 300 are told as a creep; those of a share near 5 % that wanders by itself."""
    random, told, worlds = np.random.default_rng(19), 0, 30
    for _ in range(worlds):
        drawn = random.normal(size=300)
        for at in range(1, 300):
            drawn[at] = memory * drawn[at - 1] + np.sqrt(1 - memory**2) * drawn[at]
        shares = 1 / (1 + np.exp(3 - drawn))
        told += sum(crept(shares[: at + 1], 14) is not None for at in range(60, 300))
    rate = told / (worlds * 240)
    print(f"memory {memory}: {1000 * rate:.1f} in 1000")
    assert rate <= most
