"""The level of a series: windows that resemble those before them are no change of it."""

import numpy as np
import pytest

from headwater.stats.alarms.levels import changed_levels


def lasting(random, windows, series, memory):
    drawn = random.normal(size=(windows, series))
    for at in range(1, windows):
        drawn[at] = memory * drawn[at - 1] + np.sqrt(1 - memory**2) * drawn[at]
    return drawn


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.8])
def test_a_long_memory_is_not_taken_for_a_change(memory):
    values = lasting(np.random.default_rng(8), 100, 200, memory)
    told, _ = changed_levels(values, np.zeros_like(values), np.ones(99, dtype=bool), 40)
    assert np.mean(told >= 1000) <= 0.02


def test_a_shift_of_windows_without_memory_is_told_within_two_weeks():
    values = lasting(np.random.default_rng(9), 114, 100, 0.0) + 2.0 * (np.arange(114) >= 100)[:, None]
    told, _ = changed_levels(values, np.zeros_like(values), np.ones(113, dtype=bool), 0)
    assert np.mean(told >= 1000) >= 0.7
