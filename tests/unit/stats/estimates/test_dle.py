"""DLE: where the loss is large, sums that add up, refusal of what cannot be compared."""

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import DataError, UsageError
from headwater.stats.estimates.dle import Dle, Losses, candidates, encoding_of
from headwater.stats.estimates.estimation import Track


def parcels(seed, far=0.5, n=3000):
    """Errors are four times as large for far parcels; ``far`` of them are."""
    random = np.random.default_rng(seed)
    distance = np.where(random.random(n) < far, random.uniform(80, 100, n), random.uniform(0, 20, n))
    prediction = 5 + distance
    error = random.normal(0, np.where(distance > 50, 8.0, 2.0))
    return pl.DataFrame({"distance": distance, "noise": random.random(n)}), prediction, prediction + error


def cells():
    features, prediction, _ = parcels(0)
    return encoding_of(features, prediction)


def window(encoding, rows, labelled=True):
    features, prediction, outcome = rows
    return Losses.of(encoding, features, prediction, outcome if labelled else None)


@pytest.mark.parametrize("by", ["features", "prediction"])
def test_more_of_the_hard_rows_is_a_larger_expected_loss(by):
    made = cells()
    settled = [window(made, parcels(seed, n=9000)) for seed in range(5)]
    for far in (0.1, 0.5, 0.9):
        rows = parcels(9, far, n=9000)
        found, truth = Dle(by=by).points(settled, window(made, rows, False)), Dle().realised(window(made, rows))
        for metric in ("mae", "rmse"):
            assert found[metric].value == pytest.approx(truth[metric], rel=0.08), (far, metric)
        assert found["bias"].value == pytest.approx(truth["bias"], abs=4 * found["bias"].deviation)


def test_realised_is_what_the_field_calls_it():
    features, prediction, outcome = parcels(3)
    found = Dle().realised(Losses.of(cells(), features, prediction, outcome))
    assert found["mae"] == pytest.approx(np.abs(outcome - prediction).mean())
    assert found["rmse"] == pytest.approx(np.sqrt(((outcome - prediction) ** 2).mean()))
    assert found["bias"] == pytest.approx((outcome - prediction).mean())


def test_the_additive_model_is_the_ridge_regression_of_its_cells():
    features, prediction, outcome = parcels(1, n=500)
    made = encoding_of(features, prediction)
    one, other = window(made, (features, prediction, outcome)), parcels(2, n=400)
    codes = made.codes(features.with_columns(prediction=pl.Series(prediction)))
    starts = np.r_[0, np.cumsum(made.sizes)[:-1]]
    design = np.zeros((500, sum(made.sizes)))
    for at in range(codes.shape[1]):
        design[np.arange(500), codes[:, at] + starts[at]] = 1
    loss = np.abs(outcome - prediction)
    effect = np.linalg.solve(design.T @ design + 30 * np.eye(design.shape[1]), design.T @ (loss - loss.mean()))
    place = made.codes(other[0].with_columns(prediction=pl.Series(other[1]))) + starts
    expected = loss.mean() + effect[place].sum(axis=1).mean()
    assert Dle().points([one], window(made, other, False))["mae"].value == pytest.approx(expected)


def test_losses_are_never_below_nothing():
    made = cells()
    features, prediction, _ = parcels(1)
    perfect = Losses.of(made, features, prediction, prediction)
    found = Dle().points([perfect], window(made, parcels(2), False))
    assert (found["mae"].value, found["rmse"].value, found["rmse"].deviation) == (0, 0, 0)


def test_few_labels_and_strange_rows_are_doubted():
    made = cells()
    assert "only 150 rows" in Dle().doubt([window(made, parcels(1, n=150))], window(made, parcels(2), False))
    features, prediction, outcome = parcels(3)
    strange = window(made, (features.with_columns(pl.col("distance") + 500), prediction, outcome), False)
    assert "`distance` outside" in Dle().doubt([window(made, parcels(1))], strange)


def test_a_track_of_regressions():
    made, track = cells(), Track(candidates(), "mae")
    for at in range(14):
        found = track.estimate(f"{at:02}", window(made, parcels(at, far=0.2 + 0.05 * at), False))
        track.settle(f"{at:02}", window(made, parcels(at, far=0.2 + 0.05 * at)))
    assert set(found) == {"mae", "mse", "rmse", "bias"}
    assert found["mae"].valid
    truth = Dle().realised(window(made, parcels(13, far=0.85)))["mae"]
    assert found["mae"].low < truth < found["mae"].high


@pytest.mark.parametrize(
    ("prediction", "outcome", "match"),
    [
        ([1.0, np.nan], [1.0, 2.0], "`prediction` is missing"),
        ([1.0, 2.0], [1.0, np.inf], "`outcome` is missing or infinite"),
        ([1.0, 2.0], [1.0], "`outcome` has the shape"),
        ([1.0, "x"], [1.0, 2.0], "`prediction` is not made of numbers"),
    ],
)
def test_what_is_no_window_is_named(prediction, outcome, match):
    frame = pl.DataFrame({"distance": [1.0, 2.0], "noise": [0.0, 1.0]})
    with pytest.raises(DataError, match=match):
        Losses.of(cells(), frame, prediction, outcome)


def test_windows_have_to_be_cut_alike():
    features, prediction, outcome = parcels(7)
    other = window(encoding_of(features, prediction * 2), (features, prediction, outcome))
    with pytest.raises(UsageError, match="different cells"):
        Dle().points([other], window(cells(), parcels(1), False))


def test_empty_and_one_row_windows():
    made = cells()
    empty = window(made, tuple(part[:0] for part in parcels(1)))
    assert (Dle().points([window(made, parcels(1))], empty), Dle().realised(empty)) == ({}, {})
    one = window(made, tuple(part[:1] for part in parcels(1)), False)
    assert Dle().points([window(made, parcels(1))], one)["mae"].value > 0


def test_the_name_of_the_prediction_is_taken():
    with pytest.raises(DataError, match="feature is called `prediction`"):
        encoding_of(pl.DataFrame({"prediction": [1.0]}), np.array([1.0]))
    with pytest.raises(UsageError, match="cannot be learned by"):
        Dle(by="magic")


@pytest.mark.parametrize("outcome", [1.7e308, -1.7e308, 1e80])
def test_an_outcome_out_of_all_proportion_is_refused_and_the_largest_others_give_numbers(outcome):
    features, prediction, outcomes = parcels(1)
    for one in (outcomes, np.sign(outcome) * np.full(len(outcomes), 9e69)):
        found = Dle().points([Losses.of(cells(), features, prediction, one)], window(cells(), parcels(2), False))
        assert all(np.isfinite(point).all() for point in found.values())
    outcomes[7] = outcome
    with pytest.raises(DataError, match="from its prediction"):
        Losses.of(cells(), features, prediction, outcomes)
