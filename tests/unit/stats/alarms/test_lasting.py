"""What no single window shows: creeps, nulls that are gone, stuck columns. And quiet where nothing lasts."""

import numpy as np
import pytest

from headwater.stats.alarms.lasting import CREEP, candidates, crept, faded, stuck

RANDOM = np.random.default_rng(5)


def noisy(level, count, spread=0.005):
    return np.clip(level + np.random.default_rng(3).normal(0, spread, count), 0, 1)


def test_a_share_that_grows_a_little_each_day_creeps():
    slow = np.r_[noisy(0.006, 60), noisy(np.linspace(0.006, 0.09, 120), 120)]
    first = next(at for at in range(40, len(slow) + 1) if crept(slow[:at], 14) is not None)
    assert 0.03 < slow[first - 1] < 0.08
    assert crept(slow, 14) < 0.03
    assert crept(1 - slow, 14) is None, "better is no creep"
    assert crept(1 - slow, 14, -1) > 0.97


@pytest.mark.parametrize(
    "values",
    [
        np.r_[np.zeros(80), np.full(13, 0.2)],  # not long enough
        np.r_[np.zeros(80), np.full(20, CREEP / 2)],  # not enough
        np.r_[np.zeros(80), np.full(10, 0.2), 0.0, np.full(10, 0.2)],  # not for good
        np.r_[np.tile([0.0, 0.0, 0.3], 30), np.full(20, 0.2)],  # nothing that was not there before
        np.r_[np.zeros(10), np.full(17, 0.2)],  # too little history
        np.full(200, np.nan),
        np.zeros(0),
    ],
)
def test_what_is_short_small_or_known_is_no_creep(values):
    assert crept(values, 14) is None


def test_clean_shares_hardly_ever_creep_or_fade():
    told = 0
    for _ in range(300):
        walk = np.zeros(200)
        for at in range(1, 200):
            walk[at] = 0.6 * walk[at - 1] + RANDOM.normal(0, 0.05)
        shares = np.clip(0.08 + walk, 0, 1)
        told += sum(crept(shares[:at], 14) is not None or faded(shares[:at], 14) is not None for at in range(60, 201))
    assert told <= 0.0005 * 300 * 141


def test_nulls_that_come_and_go_are_gone_only_when_they_stay_away():
    come_and_go = RANDOM.random(120) * (RANDOM.random(120) < 0.5) * 0.4
    assert faded(come_and_go, 14) is None
    away = np.r_[come_and_go, np.zeros(20)]
    assert faded(away[: 120 + 7], 14) is None
    assert faded(away, 14) == pytest.approx(come_and_go.mean(), abs=0.03)
    odd_row = away.copy()
    odd_row[-3] = 0.01
    assert faded(odd_row, 14) is not None, "one row does not bring them back"


def test_what_was_away_for_as_long_before_is_not_gone():
    season = np.r_[np.full(40, 0.2), np.zeros(14), np.full(40, 0.2), np.zeros(14)]
    assert faded(season, 14) is None
    assert faded(np.zeros(100), 14) is None
    assert faded(np.full(100, np.nan), 14) is None


def test_a_column_that_always_varied_is_stuck_when_it_holds_one_value():
    past = np.sort(RANDOM.normal(60, 5, (30, 5)), axis=1)
    assert stuck(0.0, past, 14)
    calm = past.copy()
    calm[7] = 0.0
    assert not stuck(0.0, calm, 14), "it was calm once"
    common = past.copy()
    common[3, 0] = 0.0
    assert not stuck(0.0, common, 14), "the value was a twentieth of a window"
    assert not stuck(0.0, past[:13], 14)


def test_no_candidate_is_lost():
    told = 0
    for _ in range(3000):
        levels = RANDOM.choice([0.0, 0.01, 0.1, 0.9], 2)
        shares = np.clip(
            RANDOM.normal(np.repeat(levels, RANDOM.integers(14, 90, 2)), RANDOM.choice([0.001, 0.03])), 0, 1
        )
        creeping, fading = candidates(shares[:, None], 14)
        crawled, gone = crept(shares, 14) is not None, faded(shares, 14) is not None
        assert creeping[0] >= crawled
        assert fading[0] >= gone
        told += crawled + gone
    assert told > 300
