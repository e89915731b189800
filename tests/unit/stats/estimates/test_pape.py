"""PAPE: weights that match margins, calibration that follows the mix, refusal when too few rows count."""

import numpy as np
import polars as pl
import pytest

from headwater.stats.estimates.cbpe import Cbpe, Tally, realised
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.estimation import Track
from headwater.stats.estimates.pape import Pape, effective, raked


def test_weighted_rows_have_the_wanted_margins():
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (5000, 3))
    codes[:, 1] = np.where(random.random(5000) < 0.5, codes[:, 0], codes[:, 1])
    wanted = [np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.25)]
    weight = raked(codes, [4, 4, 4], wanted)
    for at, shares in enumerate(wanted):
        np.testing.assert_allclose(np.bincount(codes[:, at], weight) / weight.sum(), shares, atol=0.01)
    assert weight.mean() == pytest.approx(1)
    assert weight.max() <= 25


def test_rows_alike_need_no_weights():
    codes = np.random.default_rng(1).integers(0, 3, (300, 2))
    shares = [np.bincount(codes[:, at], minlength=3) / 300 for at in (0, 1)]
    weight = raked(codes, [3, 3], shares)
    np.testing.assert_allclose(weight, 1, atol=1e-6)
    assert effective(weight) == pytest.approx(1)


def mixed(share, seed, n=6000):
    """In kind b, p says half of what is true; ``share`` of the rows are b."""
    random = np.random.default_rng(seed)
    b = random.random(n) < share
    p = random.uniform(0.05, 0.45, n)
    y = (random.random(n) < np.where(b, 2 * p, p)).astype(float)
    return p, (p > 0.25).astype(float), y, pl.DataFrame({"kind": np.where(b, "b", "a")})


def tally(cells, rows, labelled=True):
    p, d, y, frame = rows
    return Tally.of(p, d, y if labelled else None, given=(cells, frame))


def test_it_follows_a_mix_that_calibration_alone_cannot():
    cells = Encoding.of(mixed(0.2, 0)[3])
    settled = [tally(cells, mixed(0.2, seed)) for seed in range(4)]
    now = mixed(0.9, 9)
    truth = realised(tally(cells, now))["base_rate"]
    window = tally(cells, now, labelled=False)
    plain, weighted = (made.points(settled, window)["base_rate"].value for made in (Cbpe(), Pape()))
    assert abs(weighted - truth) < 0.02 < 0.1 < abs(plain - truth)
    assert Pape().doubt(settled, window) == ""


def test_it_refuses_when_hardly_any_row_counts():
    cells = Encoding.of(mixed(0.5, 0)[3])
    settled = [tally(cells, mixed(0.004, seed)) for seed in range(4)]
    assert "labelled rows count for" in Pape().doubt(settled, tally(cells, mixed(1.0, 9), labelled=False))


def test_without_rows_there_is_nothing_to_weight():
    p, d, y, _ = mixed(0.5, 0)
    assert Pape().points([Tally.of(p, d, y)], Tally.of(p, d)) == {}
    assert "without their rows" in Pape().doubt([Tally.of(p, d, y)], Tally.of(p, d))


def test_the_track_falls_back_to_what_can_judge():
    cells = Encoding.of(mixed(0.5, 0)[3])
    track = Track([Pape(), Cbpe()])
    for at in range(8):
        track.settle(f"{at}", tally(cells, mixed(0.004, at)))
    found = track.estimate("8", tally(cells, mixed(1.0, 9), labelled=False))
    assert {item.method for item in found.values()} <= {"cbpe 1", "pape 0.8"}
    assert found["accuracy"].method == "cbpe 1" or not found["accuracy"].valid
