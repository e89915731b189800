"""Few rows come in any number; many do not."""

import numpy as np
import pytest

from headwater.stats.alarms.scatter import by_chance, least_width, scattered


@pytest.mark.parametrize(("rows", "expected"), [(0, 0.5), (4, 0.5), (0, 6.0), (14, 5.0), (70, 100.0)])
def test_what_chance_does_is_no_finding(rows, expected):
    assert by_chance(rows, expected)


@pytest.mark.parametrize(("rows", "expected"), [(12, 0.5), (0, 8.0), (30, 5.0), (50, 100.0)])
def test_what_chance_does_not_is_one(rows, expected):
    assert not by_chance(rows, expected)


def test_the_least_band_ends_where_chance_does():
    for expected in (20.0, 300.0):
        for upwards, sign in ((True, 1), (False, -1)):
            edge = np.expm1(np.log1p(expected) + sign * 2 * least_width(expected, upwards))
            assert by_chance(edge - sign, expected) and not by_chance(edge + sign, expected)
    assert 2 * least_width(3.0, False) > np.log1p(3.0), "no count below three is a finding"


def test_a_sensor_does_not_scatter():
    assert not scattered(np.r_[np.full(60, 72.0), 60.0], np.full(61, 72.0))
    assert scattered(np.random.default_rng(0).poisson(72, 60), np.full(60, 72.0))
    assert scattered(np.array([np.nan, 3.0]), np.array([1.0, np.nan])), "so few windows do not say"
