import numpy as np
import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.mlops.release import GateLimits, gate
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.performance import log_loss
from unit.mlops import small_project as shop


@pytest.fixture(scope="module")
def frame():
    """Twenty days that no model here was trained on."""
    made = shop.orders(days=20, seed=9)
    return made.with_columns(_window=made["time"].dt.strftime("%Y-%m-%d"))


@pytest.fixture(scope="module")
def champion():
    return shop.train(shop.orders(days=30, seed=1), 1)


def judge(candidate, champion, frame, score=shop.score, **more):
    return gate(candidate, champion, frame, score, outcome="returned", columns=shop.COLUMNS, **more)


def failing(report):
    return [check.name for check in report.refusals]


def test_another_seed_passes_and_its_displacement_is_measured(frame, champion):
    candidate = shop.train(shop.orders(days=30, seed=1), 2)
    report = judge(candidate, champion, frame)
    assert report.passed, report.refusals
    p, old = (shop.score(parts, frame)["p"] for parts in (candidate, champion))
    assert report.displacement == pytest.approx((p - old).abs().mean())
    assert 0 <= report.flipped < 0.2


def test_a_model_is_no_worse_than_itself(frame, champion):
    report = judge(champion, champion, frame, slices=["region"])
    assert (report.passed, report.displacement, report.flipped) == (True, 0, 0)
    assert [check.name for check in report.checks] == [
        "training windows", "scores", "auc", "calibration slope", "log loss against champion", "slices",
    ]  # fmt: skip


def test_a_first_release_meets_the_absolute_checks_only(frame, champion):
    report = judge(champion, None, frame, slices=["region"])
    assert report.passed
    assert report.displacement is None
    assert "log loss against champion" not in [check.name for check in report.checks]


def test_a_model_that_lost_a_feature_is_refused(frame, champion):
    candidate = shop.train(shop.orders(days=30, seed=1).with_columns(size=pl.lit(0.0)), 1)
    report = judge(candidate, champion, frame)
    assert failing(report) == ["log loss against champion"]
    check = report.refusals[0]
    assert check.actual > check.limit > 0


def test_a_better_model_passes(frame, champion):
    weak = shop.train(shop.orders(days=30, seed=1).with_columns(size=pl.lit(0.0)), 1)
    assert judge(champion, weak, frame).passed


def test_a_coin_is_refused_even_as_the_first(frame):
    def coin(parts, served):
        p = np.random.default_rng(1).uniform(0.2, 0.6, served.height)
        return pl.DataFrame({"p": p, "decision": (p > 0.4).astype(int)})

    assert "auc" in failing(judge({}, None, frame, score=coin))


@pytest.mark.parametrize("power", [3.0, 0.4])
def test_a_doubled_or_flattened_calibration_is_refused(frame, champion, power):
    def bent(parts, served):
        p = shop.score(parts, served)["p"]
        odds = (p / (1 - p)) ** power
        return pl.DataFrame({"p": odds / (1 + odds), "decision": [0] * len(p)})

    assert "calibration slope" in failing(judge(champion, None, frame, score=bent))


def test_a_candidate_that_cannot_score_is_refused_with_the_reason(frame, champion):
    report = judge({"model": champion["model"]}, champion, frame)
    assert not report.passed
    assert "KeyError" in report.refusals[0].detail

    def nan(parts, served):
        return shop.score(parts, served).with_columns(p=pl.lit(float("nan")))

    assert "not a number" in judge(champion, None, frame, score=nan).refusals[0].detail


def test_bad_training_windows_are_refused_with_the_reason(frame, champion):
    report = judge(champion, champion, frame, healthy=False, reason="trained on quarantined windows of orders")
    assert failing(report) == ["training windows"]
    assert report.refusals[0].detail == "trained on quarantined windows of orders"


def test_harm_to_one_slice_is_seen_though_the_whole_looks_fine(frame, champion):
    few = frame.with_columns(region=pl.when(pl.col("order") % 10 == 0).then(pl.lit("island")).otherwise("region"))

    def hurts(parts, served):
        found = shop.score(champion, served)
        blind = served["region"] == "island" if parts.get("hurt") else served["order"] < 0
        return found.with_columns(p=pl.when(blind).then(1 - found["p"]).otherwise(found["p"]))

    loose = GateLimits(margin=1.0, slope_low=0.1)
    report = judge({"hurt": True}, {}, few, score=hurts, slices=["region"], limits=loose)
    assert failing(report) == ["slices"]
    assert "region=island" in report.refusals[0].detail
    assert "north" not in report.refusals[0].detail
    assert judge({"hurt": True}, {}, few, score=hurts, slices=["region"], limits=GateLimits(
        margin=1.0, slope_low=0.1, slice_rows=400)).passed  # fmt: skip


def test_one_window_cannot_tell(frame, champion):
    one = frame.filter(pl.col("_window") == "2024-03-01")
    assert failing(judge(champion, champion, one)) == ["log loss against champion"]


def test_the_bound_is_over_windows_not_rows(frame, champion):
    """A candidate that is much worse on a few days is not saved by the number of rows."""
    bad_days = [f"2024-03-0{day}" for day in range(1, 6)]

    def moody(parts, served):
        found = shop.score(champion, served)
        wrong = served["time"].dt.strftime("%Y-%m-%d").is_in(bad_days) if parts.get("moody") else served["order"] < 0
        return found.with_columns(p=pl.when(wrong).then(0.6 * found["p"] + 0.2).otherwise(found["p"]))

    y, new, old = (made.to_numpy() for made in (
        frame["returned"], moody({"moody": True}, frame)["p"], moody({}, frame)["p"]
    ))  # fmt: skip
    gaps = log_loss(y, new) - log_loss(y, old)
    by_rows = t_interval(gaps, confidence=0.9).high
    margin = 1.1 * by_rows / log_loss(y, old).mean()
    report = judge({"moody": True}, {}, frame, score=moody, limits=GateLimits(margin=margin, slope_low=0.1))
    check = next(check for check in report.checks if check.name == "log loss against champion")
    assert by_rows < check.limit < check.actual
    assert not check.passed


def test_rows_without_a_label_do_not_count(frame, champion):
    partly = frame.with_columns(returned=pl.when(pl.col("order") % 2 == 0).then("returned"))
    assert judge(champion, None, partly).checks[1].detail.startswith("1500 rows")
    with pytest.raises(DataError, match="labelled"):
        judge(champion, None, frame.with_columns(returned=pl.lit(None, dtype=pl.Int64)))


def test_bad_frames_are_refused(frame, champion):
    with pytest.raises(DataError, match="lacks `size`"):
        judge(champion, None, frame.drop("size"))
    with pytest.raises(DataError, match="_window"):
        judge(champion, None, frame.drop("_window"))
    with pytest.raises(DataError, match="do not fit"):
        judge(champion, None, frame, windows=["2024-03-01"])


def test_checks_are_plain_data(frame, champion):
    import json

    report = judge(champion, champion, frame)
    assert json.loads(json.dumps([check.as_dict() for check in report.checks]))[1]["passed"] is True
