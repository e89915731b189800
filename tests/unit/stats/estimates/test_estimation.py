"""Tracks: bands from past errors that hold, abstention with a reason, recovery, and nothing from the future."""

import math

import numpy as np
import pytest

from headwater.core.errors import UnknownName, UsageError
from headwater.stats.estimates.cbpe import MEMORIES, Cbpe, Tally, realised
from headwater.stats.estimates.estimation import MIN_PAST, Track, band, left_behind


def window(at, n=1500, seed=0, moved=0.0, mapping=lambda p, mood: p + mood):
    """One window: p from a mix that moves, outcomes that follow p up to the window's mood."""
    random = np.random.default_rng([seed, at])
    p = random.beta(2 + moved, 3, n)
    chance = np.clip(mapping(p, random.normal(0, 0.03)), 0, 1)
    return p, (p > 0.5).astype(float), (random.random(n) < chance).astype(float)


def lived(count, lag=1, track=None, **how):
    """Score windows one by one, labels coming ``lag`` later; return estimates and what became of each."""
    track = track or Track([Cbpe(memory) for memory in MEMORIES])
    made, told = [window(at, **how) for at in range(count)], []
    for at, (p, d, _) in enumerate(made):
        if at >= lag:
            track.settle(f"{at - lag:03}", Tally.of(*made[at - lag]))
        told.append(track.estimate(f"{at:03}", Tally.of(p, d)))
    return track, told, [realised(Tally.of(*item)) for item in made]


def test_bands_hold_what_they_promise_where_windows_are_alike():
    held, all_of_them = 0, 0
    for seed in range(6):
        _, told, truth = lived(40, seed=seed)
        for found, came in zip(told[12:], truth[12:], strict=True):
            held += sum(item.low <= came[name] <= item.high for name, item in found.items())
            all_of_them += len(found)
    assert 0.88 <= held / all_of_them <= 0.995


def test_windows_alike_are_seldom_withheld():
    _, told, _ = lived(60, seed=3)
    late = [item for found in told[10:] for item in found.values()]
    assert np.mean([item.valid for item in late]) > 0.85


def test_the_first_estimates_say_what_they_wait_for():
    _, told, _ = lived(MIN_PAST + 3)
    assert told[0] == {}
    first = told[1]["accuracy"]
    assert not first.valid
    assert math.isnan(first.high)
    assert first.reason == f"labels have checked 0 estimates so far, {MIN_PAST} are needed"
    assert told[-1]["accuracy"].errors >= MIN_PAST


def test_labelled_history_gives_a_band_at_once():
    track = Track([Cbpe()])
    for at in range(10):
        track.settle(f"{at:03}", Tally.of(*window(at)))
    p, d, _ = window(10)
    assert track.estimate("010", Tally.of(p, d))["accuracy"].valid


def changed(mapping):
    """Twenty windows as usual, then twelve whose outcomes follow another mapping."""
    track = Track([Cbpe(memory) for memory in MEMORIES])
    made = [window(at) for at in range(20)] + [window(at, mapping=mapping) for at in range(20, 32)]
    told = []
    for at, (p, d, _) in enumerate(made):
        if at:
            track.settle(f"{at - 1:03}", Tally.of(*made[at - 1]))
        told.append(track.estimate(f"{at:03}", Tally.of(p, d)))
    return track, told, [realised(Tally.of(*item)) for item in made]


def test_changed_labels_are_not_seen_before_they_come_and_withhold_once_they_have():
    track, told, truth = changed(lambda p, mood: 0.4 + 0.3 * p)
    assert told[20]["accuracy"].valid  # blind, as promised: nothing unlabelled tells
    assert not told[20]["accuracy"].low <= truth[20]["accuracy"] <= told[20]["accuracy"].high
    assert not any(item.valid for item in told[21].values())
    assert "outcomes no longer follow the estimate" in told[21]["accuracy"].reason
    assert abs(told[31]["accuracy"].value - truth[31]["accuracy"]) < 0.05  # learned again
    assert track.errors("accuracy")["020"] < -0.05


def test_labels_turned_round_stay_withheld():
    _, told, _ = changed(lambda p, mood: 1 - p)  # no calibration that rises with p can follow
    assert not any(found["accuracy"].valid for found in told[21:])


def test_a_hidden_estimate_is_withheld_with_the_reason_and_still_checked():
    track, _, _ = lived(12)
    p, d, y = window(12)
    track.settle("011", Tally.of(*window(11)))
    found = track.estimate("012", Tally.of(p, d), hidden="the server loaded another calibrator")
    assert {(item.valid, item.reason) for item in found.values()} == {(False, "the server loaded another calibrator")}
    track.settle("012", Tally.of(p, d, y))
    assert "012" in track.errors("accuracy")


def test_nothing_is_learned_from_windows_after():
    track = Track([Cbpe()])
    for at in (0, 1, 2, 3, 4, 5, 6, 9):
        track.settle(f"{at:03}", Tally.of(*window(at)))
    p, d, _ = window(7)
    found = track.estimate("007", Tally.of(p, d))["accuracy"]
    assert found.windows == 7
    other = Track([Cbpe()])
    for at in range(7):
        other.settle(f"{at:03}", Tally.of(*window(at)))
    assert other.estimate("007", Tally.of(p, d))["accuracy"] == found


def test_corrected_labels_replace_the_first():
    track, _, _ = lived(10)
    p, d, y = window(5)
    before = track.errors("base_rate")["005"]
    track.settle("005", Tally.of(p, d, 1 - y))
    assert track.errors("base_rate")["005"] != pytest.approx(before)


def test_the_memory_that_was_nearest_is_used():
    random = np.random.default_rng(8)
    track = Track([Cbpe(1.0), Cbpe(0.35)])
    for at in range(25):  # a level that wanders: long memories are late
        p = random.beta(2, 3, 2000)
        level = 0.25 * np.sin(at / 4)
        y = (random.random(2000) < np.clip(p + level, 0, 1)).astype(float)
        found = track.estimate(f"{at:03}", Tally.of(p, (p > 0.5).astype(float)))
        track.settle(f"{at:03}", Tally.of(p, (p > 0.5).astype(float), y))
    assert found["log_loss"].method == "cbpe 0.35"


@pytest.mark.parametrize("metric", ["auc", "roc_auc"])
def test_the_auc_is_refused_with_the_measured_reason(metric):
    track, _, _ = lived(8)
    p, d, _ = window(9)
    with pytest.raises(UsageError, match="not estimated without labels") as told:
        track.estimate("009", Tally.of(p, d), metrics=[metric])
    assert ".092 against .069" in str(told.value)


def test_metrics_can_be_chosen_and_must_be_known():
    track, _, _ = lived(8)
    p, d, _ = window(9)
    assert set(track.estimate("009", Tally.of(p, d), metrics=["recall"])) == {"recall"}
    with pytest.raises(UnknownName, match="recal"):
        track.estimate("009", Tally.of(p, d), metrics=["recal"])


def test_an_empty_window_has_no_estimate():
    track, _, _ = lived(8)
    assert track.estimate("009", Tally.of(np.array([]), np.array([]))) == {}


@pytest.mark.parametrize(("n", "rank"), [(5, 5), (9, 9), (19, 18), (29, 27)])
def test_the_band_is_a_quantile_of_past_errors_and_chance(n, rank):
    errors = np.arange(1, n + 1) / 100 * np.where(np.arange(n) % 2, 1, -1)
    assert band(errors, 0.0, 0.9) == pytest.approx(rank / 100)
    assert band(errors, 0.1, 0.9) == pytest.approx(rank / 100 + 0.16449, abs=1e-4)


def test_no_band_from_few_errors():
    assert math.isnan(band(np.zeros(MIN_PAST - 1), 0.1, 0.9))


@pytest.mark.parametrize(
    ("errors", "left"),
    [
        ([], False),
        ([(0.1, 0.2)] * 5, False),
        ([(0.0, 0.2), (0.4, 0.2)], True),
        ([(0.4, 0.2), (0.0, 0.2)], False),  # over: the newest window is in its band again
        ([(-0.25, 0.2), (0.25, 0.2)], False),  # to both sides: noise
        ([(0.2, 0.2), (0.25, 0.2)], True),
        ([(9.0, math.nan)], False),
        ([(0.1, 0.0)], True),
    ],
)
def test_bands_are_left_to_one_side_and_lately(errors, left):
    assert bool(left_behind(errors)) is left


def test_confidence_has_to_be_one():
    with pytest.raises(UsageError, match="confidence"):
        Track([Cbpe()], confidence=90)
    with pytest.raises(UsageError, match="no estimator"):
        Track([])
