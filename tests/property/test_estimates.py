"""Laws of estimates: bounds, order of rows, equal to what comes on average when p is right, and never NaN."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.stats.estimates.cbpe import Cbpe, Tally, expected, realised
from headwater.stats.estimates.estimation import Track
from headwater.stats.estimates.recalibration import CELLS, Reliability, cell_of

rows = st.lists(
    st.tuples(
        st.floats(0, 1, allow_nan=False) | st.sampled_from([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9, 5e-324]),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=60,
)
SHARES = ("accuracy", "precision", "recall", "specificity", "f1", "base_rate")


def arrays(made):
    p, d, y = (np.array(part, dtype=float) for part in zip(*made, strict=True))
    return p, d, y


@given(rows, rows)
@settings(max_examples=150, deadline=None)
def test_estimates_are_finite_and_shares_lie_between_0_and_1(past, now):
    p, d, y = arrays(past)
    found = Cbpe().points([Tally.of(p, d, y)], Tally.of(*arrays(now)[:2]))
    assert {"accuracy", "log_loss", "base_rate"} <= set(found)
    for name, point in found.items():
        assert math.isfinite(point.value) and math.isfinite(point.deviation), name
        assert point.deviation >= 0
        assert name not in SHARES or 0 <= point.value <= 1
        assert point.value >= 0


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_rows_does_not_matter(made, random):
    mixed = list(made)
    random.shuffle(mixed)
    one, other = (Tally.of(*arrays(part)) for part in (made, mixed))
    q = one.reliability.recalibrated()
    np.testing.assert_allclose(q, other.reliability.recalibrated(), atol=1e-12)
    for name, point in expected(one, q).items():
        assert math.isclose(point.value, expected(other, q)[name].value, rel_tol=1e-9, abs_tol=1e-9)


@given(rows, rows)
@settings(max_examples=80, deadline=None)
def test_recalibration_rises_and_merging_is_adding(one, other):
    left, right = (Tally.of(*arrays(part)) for part in (one, other))
    both = Tally.of(*arrays(one + other))
    merged = left.merge(right)
    np.testing.assert_allclose(merged.rows, both.rows)
    assert realised(merged) == {name: value for name, value in realised(both).items()} or all(
        math.isclose(realised(merged)[name], value, rel_tol=1e-9) for name, value in realised(both).items()
    )
    q = merged.reliability.recalibrated()
    assert (np.diff(q) >= -1e-12).all() and q.min() >= 0 and q.max() <= 1


@given(rows)
@settings(max_examples=80, deadline=None)
def test_isotonic_recalibration_keeps_the_level(made):
    """Pooled blocks keep their sums, so calibrated on itself the base rate is what it was, up to interpolation."""
    p, _, y = arrays(made)
    q = Reliability.of(p, y).recalibrated()[cell_of(p)]
    assert 0 <= q.mean() <= 1
    if len(set(cell_of(p))) == 1:
        assert math.isclose(q.mean(), y.mean(), abs_tol=1e-9)


def test_with_p_right_the_estimate_is_what_comes_on_average():
    random = np.random.default_rng(0)
    p = random.beta(2, 3, 3000)
    d = (p > 0.4).astype(float)
    middle = (np.arange(CELLS) + 0.5) / CELLS
    told = expected(Tally.of(p, d), middle)
    draws = [realised(Tally.of(p, d, (random.random(len(p)) < p).astype(float))) for _ in range(400)]
    for name, point in told.items():
        came = np.array([draw[name] for draw in draws])
        assert abs(came.mean() - point.value) < 4 * came.std() / 20 + 1e-3, name


@given(st.lists(rows, min_size=2, max_size=12))
@settings(max_examples=30, deadline=None)
def test_a_track_never_shows_what_is_not_finite(windows):
    track = Track([Cbpe(0.65), Cbpe(1.0)])
    for at, made in enumerate(windows):
        p, d, y = arrays(made)
        for item in track.estimate(f"{at:02}", Tally.of(p, d)).values():
            assert math.isfinite(item.value)
            if item.valid:
                assert item.low <= item.value <= item.high
                assert math.isfinite(item.low) and math.isfinite(item.high)
            else:
                assert item.reason
        track.settle(f"{at:02}", Tally.of(p, d, y))
