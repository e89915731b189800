"""CBPE of several classes: right on average when p is, realised as the field has it, odd input named."""

import numpy as np
import pytest

from headwater.core.errors import DataError
from headwater.stats.estimates.estimation import Track
from headwater.stats.estimates.multiclass import MulticlassCbpe, tallies


def drawn(seed, n=4000, sharp=(4.0, 1.0, 1.0)):
    random = np.random.default_rng(seed)
    p = random.dirichlet(sharp, n)
    p = np.array([random.permutation(row) for row in p])
    y = (p.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return p, p.argmax(axis=1), y


def test_realised_is_what_the_field_calls_it():
    from sklearn import metrics

    p, d, y = drawn(0)
    found = MulticlassCbpe().realised(tallies(p, d, y))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, d))
    for name, score in (("f1", metrics.f1_score), ("recall", metrics.recall_score)):
        assert found[name] == pytest.approx(score(y, d, average="macro"))


def test_with_p_right_the_estimate_is_what_comes():
    settled = [tallies(*drawn(seed)) for seed in range(5)]
    p, d, y = drawn(9, sharp=(9.0, 1.0, 1.0))
    found, truth = MulticlassCbpe().points(settled, tallies(p, d)), MulticlassCbpe().realised(tallies(p, d, y))
    assert set(found) == {"accuracy", "precision", "recall", "f1"}
    for name, point in found.items():
        assert point.value == pytest.approx(truth[name], abs=0.03), name
        assert 0 < point.deviation < 0.02


def test_a_track_of_classes():
    track = Track([MulticlassCbpe()], chief="accuracy")
    for at in range(9):
        track.settle(f"{at}", tallies(*drawn(at, 1000)))
    p, d, y = drawn(20, 1000)
    found = track.estimate("9", tallies(p, d))["accuracy"]
    assert found.valid
    assert found.low <= (d == y).mean() <= found.high


def test_a_class_without_labels_is_doubted():
    p, d, y = drawn(0)
    assert MulticlassCbpe().doubt([tallies(p, d, np.where(y == 2, 1, y))], tallies(p, d)).startswith("class 2: 0 of")


@pytest.mark.parametrize(
    ("p", "decision", "match"),
    [
        ([[0.5, 0.2]], [0], "does not add up to 1"),
        ([[0.5, np.nan]], [0], "does not add up to 1"),
        ([0.5, 0.5], [0, 1], r"has the shape \(2,\)"),
        ([["a", "b"]], [0], "not made of numbers"),
        ([[0.5, 0.5]], [2], "`decision` goes from 2"),
        ([[0.5, 0.5]], [0.5], "not a class number"),
        ([[0.5, 0.5]], [0, 1], "`decision` has the shape"),
    ],
)
def test_what_is_no_window_is_named(p, decision, match):
    with pytest.raises(DataError, match=match):
        tallies(p, decision)


def test_another_number_of_classes_is_an_error_and_an_empty_window_says_nothing():
    p, d, y = drawn(0)
    with pytest.raises(DataError, match="2 classes"):
        MulticlassCbpe().points([tallies(p, d, y)], tallies(np.array([[0.5, 0.5]]), [0]))
    empty = tallies(np.zeros((0, 3)), [], [])
    assert (MulticlassCbpe().points([tallies(p, d, y)], empty), MulticlassCbpe().realised(empty)) == ({}, {})
