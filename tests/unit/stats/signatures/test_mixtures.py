import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.stats.signatures.mixtures import blended, sizes_of, sparsest, unlike

FACTORS = np.array([0.001, 0.01, 0.1, 10, 100, 1000])


def days(count: int = 20, rows: int = 400) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(rng.normal(0, 0.05), 0.3, rows) for _ in range(count)]


@pytest.mark.parametrize(("factor", "share"), [(100, 0.2), (0.01, 0.35), (1000, 0.28), (0.001, 0.5)])
def test_a_share_of_a_column_times_a_factor_is_found(factor: float, share: float) -> None:
    now = days(21)[-1] + np.log10(factor) * (np.random.default_rng(2).random(400) < share)
    found = blended(now, days(), FACTORS)
    assert found is not None
    assert found.factor == pytest.approx(factor)
    assert found.share == pytest.approx(share, abs=0.1)
    assert found.after < 0.4 * found.before
    assert found.gain > 1.2
    assert found.after < 0.5 * found.moved


def test_a_world_that_moves_is_better_explained_by_moving() -> None:
    found = blended(days(21)[-1] * 1.2 + 0.3, days(), FACTORS)
    assert found is not None
    assert found.before > 1.5
    assert found.moved < 2 * found.after


def test_too_little_says_nothing() -> None:
    assert blended(np.zeros(5), days(), FACTORS) is None
    assert blended(np.zeros(100), days(3), FACTORS) is None


def test_the_gap_between_two_groups_is_found() -> None:
    rng = np.random.default_rng(3)
    sizes = np.sort(np.concatenate([rng.normal(0, 0.1, 900), rng.normal(2, 0.1, 100), [1.0]]))
    (place, width), *_ = sparsest(sizes, 0.04)
    assert 0.3 < place < 1.8
    assert width > 0.8
    assert sparsest(np.zeros(3), 0.04) == []


def test_samples_are_alike_or_not() -> None:
    rng = np.random.default_rng(4)
    assert unlike(rng.normal(5, 1, 80), rng.normal(5, 1, 300)) < 1
    assert unlike(rng.normal(50, 10, 80), rng.normal(5, 1, 300)) > 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60))
def test_hostile_values_neither_fail_nor_warn(values: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = sizes_of(np.array(values))
        assert np.isfinite(sizes).all()
        sparsest(np.sort(sizes), 0.04)
        found = blended(sizes, [sizes] * 6 + [np.zeros(9)], FACTORS)
    assert found is None or (found.before >= 0 and np.isfinite(found.after))
