"""CBPE: exact on counts, merges, refuses what is no window, and agrees with the plain sums over rows."""

import numpy as np
import polars as pl
import pytest

from headwater.core.errors import DataError, UsageError
from headwater.stats.estimates.cbpe import METRICS, Cbpe, Tally, expected, realised, remembered
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.recalibration import cell_of


def drawn(n=4000, seed=0, shape=(1.5, 4.0)):
    random = np.random.default_rng(seed)
    p = random.beta(*shape, n)
    return p, (p > 0.4).astype(float), (random.random(n) < p).astype(float)


def by_rows(q, d):
    """What the metrics are on average, from rows instead of counts."""
    hit = (q * d).sum()
    return {
        "accuracy": float(np.where(d == 1, q, 1 - q).mean()),
        "precision": hit / d.sum(),
        "recall": hit / q.sum(),
        "specificity": ((1 - q) * (1 - d)).sum() / (1 - q).sum(),
        "f1": 2 * hit / (d.sum() + q.sum()),
        "base_rate": q.mean(),
    }


def test_counts_say_what_rows_say():
    p, d, y = drawn()
    q = remembered([Tally.of(p, d, y)], 1.0).recalibrated()
    found = expected(Tally.of(p, d), q)
    for name, value in by_rows(q[cell_of(p)], d).items():
        assert found[name].value == pytest.approx(value, abs=1e-9), name


def test_realised_is_what_the_field_calls_it():
    from sklearn import metrics

    p, d, y = drawn()
    found = realised(Tally.of(p, d, y))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, d))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, d))
    assert found["precision"] == pytest.approx(metrics.precision_score(y, d))
    assert found["recall"] == pytest.approx(metrics.recall_score(y, d))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))


def test_the_deviation_is_that_of_repeated_outcomes():
    p, d, _ = drawn(800)
    random = np.random.default_rng(5)
    outcomes = [(random.random(len(p)) < p).astype(float) for _ in range(600)]
    believed = (np.arange(4096) + 0.5) / 4096
    found = expected(Tally.of(p, d, costs=(d * 2.0, 10.0 - d)), believed)
    draws = [realised(Tally.of(p, d, y, costs=(d * 2.0, 10.0 - d))) for y in outcomes]
    for name in METRICS:
        values = np.array([draw[name] for draw in draws])
        assert found[name].value == pytest.approx(values.mean(), abs=4 * found[name].deviation / np.sqrt(600) + 1e-3)
        assert found[name].deviation == pytest.approx(values.std(), rel=0.15), name


def test_segments_add_up_to_their_window():
    p, d, y = drawn()
    whole, parts = (
        Tally.of(p, d, y),
        Tally.of(p[:1000], d[:1000], y[:1000]).merge(Tally.of(p[1000:], d[1000:], y[1000:])),
    )
    assert realised(parts) == pytest.approx(realised(whole))
    assert parts.n == whole.n
    assert parts.merge(Tally.of(p, d)).positive is None


def test_cost_is_a_row_s_mean_cost():
    p, d = np.array([0.25, 0.75]), np.array([0, 1])
    window = Tally.of(p, d, np.array([1, 1]), costs=(np.array([0.0, 1.0]), np.array([8.0, 0.0])))
    assert realised(window)["cost"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("p", "decision", "outcome", "match"),
    [
        ([0.2, 1.2], [0, 1], None, "`p` goes from 0.2 to 1.2"),
        ([-0.1, 0.2], [0, 1], None, "`p` goes from -0.1"),
        ([0.2, np.nan], [0, 1], None, "`p` is missing or infinite"),
        ([0.2, np.inf], [0, 1], None, "`p` is missing or infinite"),
        ([0.2, 0.3], [0, 2], None, "`decision` is not 0 or 1"),
        ([0.2, 0.3], [0, None], None, "`decision` is missing"),
        ([0.2, 0.3], [0, 1], [0, 0.5], "`outcome` is not 0 or 1"),
        ([0.2, 0.3], [0, 1], [0], r"`outcome` has the shape \(1,\) for 2 rows"),
        ([0.2, "high"], [0, 1], None, "`p` is not made of numbers"),
        ([[0.2, 0.3], [0.1]], [0, 1], None, "`p` is not made of numbers"),
    ],
)
def test_what_is_no_window_is_named(p, decision, outcome, match):
    with pytest.raises(DataError, match=match):
        Tally.of(p, decision, outcome)


def test_mixed_kinds_of_numbers_are_numbers():
    window = Tally.of([0, np.float32(0.5), True], [False, 1, np.int8(0)], ["0", 1, 0.0])
    assert (window.n, realised(window)["base_rate"]) == (3, pytest.approx(1 / 3))


def test_an_empty_window_says_nothing():
    empty = Tally.of(np.array([]), np.array([]), np.array([]))
    assert (empty.n, expected(empty, np.full(4096, 0.5)), realised(empty)) == (0, {}, {})


def test_precision_is_left_out_when_nothing_was_decided_1():
    found = expected(Tally.of(np.array([0.1, 0.2]), np.zeros(2)), np.full(4096, 0.1))
    assert "precision" not in found
    assert {"recall", "accuracy", "f1"} <= set(found)


def test_one_class_alone_is_doubted():
    p, d, y = drawn()
    assert "too few of one kind" in Cbpe().doubt([Tally.of(p, d, np.zeros(len(p)))], Tally.of(p, d))
    assert Cbpe().doubt([Tally.of(p, d, y)], Tally.of(p, d)) == ""


def test_p_that_no_labelled_row_had_is_doubted():
    p, d, y = drawn()
    low = p < 0.5
    assert "a p that no labelled row had" in Cbpe().doubt([Tally.of(p[low], d[low], y[low])], Tally.of(p, d))


def test_features_that_no_labelled_row_had_are_doubted():
    p, d, y = drawn()
    kind = pl.DataFrame({"kind": ["a", "b"] * 2000})
    cells = Encoding.of(kind)
    settled = [Tally.of(p, d, y, given=(cells, kind))]
    assert Cbpe().doubt(settled, Tally.of(p, d, given=(cells, kind))) == ""
    strange = kind.with_columns(kind=pl.lit("c"))
    assert "`kind` outside of what labelled rows had" in Cbpe().doubt(settled, Tally.of(p, d, given=(cells, strange)))


def test_the_newest_window_weighs_most():
    p, d, _ = drawn()
    none, all_of_them = Tally.of(p, d, np.zeros(len(p))), Tally.of(p, d, np.ones(len(p)))
    rate = Cbpe(0.5).points([none, all_of_them], Tally.of(p, d))["base_rate"].value
    assert rate == pytest.approx(2 / 3, abs=0.01)


def test_a_window_without_labels_teaches_nothing():
    p, d, _ = drawn()
    with pytest.raises(UsageError, match="without labels"):
        _ = Tally.of(p, d).reliability
