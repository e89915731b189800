import polars as pl
import pytest

from headwater.core.errors import DataError, ModelError, Quarantined, UsageError
from headwater.mlops.quarantine import Quarantine, Range
from headwater.mlops.training import train, training_windows
from unit.mlops import small_project as shop


@pytest.fixture(scope="module")
def trained():
    project, model = shop.project()
    return train(project, model, shop.orders(), seed=3)


def test_the_last_fifth_of_the_windows_is_held_out(trained):
    assert trained.holdout == ("2024-03-17", "2024-03-18", "2024-03-19", "2024-03-20")
    assert trained.rows == 16 * 150
    assert (trained.params["first_window"], trained.params["last_window"]) == ("2024-03-01", "2024-03-16")
    assert trained.metrics["n"] == 4 * 150


def test_the_train_function_never_sees_a_held_out_row():
    seen = []

    def spy(frame, seed):
        seen.append(frame["time"].max())
        return shop.train(frame, seed)

    project, model = shop.project(train=spy)
    frame = shop.orders()
    train(project, model, frame.sample(fraction=1, shuffle=True, seed=1), seed=3)
    assert seen[0] < frame.filter(pl.col("time").dt.day() == 17)["time"].min()


def test_metrics_are_of_held_out_rows_and_make_sense(trained):
    metrics = trained.metrics
    assert 0.7 < metrics["auc"] < 1
    assert metrics["log_loss_low"] < metrics["log_loss"] < metrics["log_loss_high"] < 0.69
    assert 0.5 < metrics["slope"] < 1.6
    assert metrics["brier"] < metrics["base_rate"] * (1 - metrics["base_rate"])


def test_settings_of_the_parts_are_kept(trained):
    assert trained.params["seed"] == 3
    assert trained.params["threshold"] == 0.4
    assert trained.params["model.n_estimators"] == 25
    assert trained.columns == ("price", "size")


def test_windows_come_from_the_frame_or_the_caller():
    project, model = shop.project()
    frame = shop.orders(days=4, per_day=400)
    keys = frame["time"].dt.strftime("week-%d")
    assert train(project, model, frame.with_columns(_window=keys), 1).holdout == ("week-04",)
    assert train(project, model, frame, 1, windows=keys).holdout == ("week-04",)
    with pytest.raises(UsageError, match="do not fit"):
        train(project, model, frame, 1, windows=["2024-03-01"])


def test_rows_without_a_label_are_left_out():
    project, model = shop.project()
    frame = shop.orders().with_columns(
        returned=pl.when(pl.col("order") % 3 > 0).then("returned"),
    )
    assert train(project, model, frame, 1).rows == 16 * 100


@pytest.mark.parametrize(
    ("parts", "message"),
    [(None, "returned nothing"), ({}, "a mapping with the names"), ([1], "a list"), ({1: 2}, "a mapping")],
)
def test_a_train_function_must_return_named_parts(parts, message):
    project, model = shop.project(train=lambda frame, seed: parts)
    with pytest.raises(ModelError, match=message):
        train(project, model, shop.orders(), 1)


def test_a_failing_train_function_is_named():
    def broken(frame, seed):
        raise ZeroDivisionError("no rows of some kind")

    project, model = shop.project(train=broken)
    with pytest.raises(ModelError, match="training model `refund` fails: ZeroDivisionError: no rows of some kind"):
        train(project, model, shop.orders(), 1)


def test_what_cannot_score_is_refused():
    project, model = shop.project(score=lambda parts, served: served.select(p=pl.lit(2.0), decision=pl.lit(1)))
    with pytest.raises(ModelError, match="returned"):
        train(project, model, shop.orders(), 1)
    project, model = shop.project(
        score=lambda parts, served: served.select(p=pl.col("price") * 0 + 2, decision=pl.col("order") * 0)
    )
    with pytest.raises(ModelError, match=r"outside 0\.\.1 in 600 of 600 rows, e\.g\. 2"):
        train(project, model, shop.orders(), 1)


def test_the_score_function_is_not_shown_the_outcome():
    def peek(parts, served):
        assert "returned" not in served.columns
        return shop.score(parts, served)

    project, model = shop.project(score=peek)
    train(project, model, shop.orders(), 1)


def test_held_out_rows_are_scored_as_they_would_be_served():
    def serve(features):
        return features.select("order", "price", size=pl.col("size") * 1)

    def strict(parts, served):
        assert served.columns == ["order", "price", "size"]
        return shop.score(parts, served)

    project, model = shop.project(serve=serve, score=strict)
    train(project, model, shop.orders(), 1)
    for bad, message in (
        (lambda f: f.head(3), "600 feature rows into 3"),
        (lambda f: f.select("x"), "serving the features"),
    ):
        project, model = shop.project(serve=bad)
        with pytest.raises(ModelError, match=message):
            train(project, model, shop.orders(), 1)


def test_bad_frames_are_refused():
    project, model = shop.project()
    frame = shop.orders()
    with pytest.raises(DataError, match="lacks `size`"):
        train(project, model, frame.drop("size"), 1)
    with pytest.raises(DataError, match="not 0 or 1 in 3000 of 3000"):
        train(project, model, frame.with_columns(returned=2), 1)
    with pytest.raises(ModelError, match="1 kinds of outcome"):
        train(project, model, frame.with_columns(returned=0), 1)
    with pytest.raises(ModelError, match="1 windows"):
        train(project, model, frame.head(100), 1)
    with pytest.raises(UsageError, match="windows of model `refund`"):
        train(project, model, frame.drop("time"), 1)


def test_quarantined_windows_are_refused_by_name():
    held = Quarantine()
    held.set(Range("dataset:shop/orders", "2024-03-02", "2024-03-03", "late feed", "incident:shop/4"))
    held.set(Range("dataset:shop/other", "2024-03-01", "2024-03-09"))
    wanted = [f"2024-03-0{day}" for day in range(1, 6)]
    with pytest.raises(Quarantined) as caught:
        training_windows(wanted, held, ["dataset:shop/orders"])
    text = str(caught.value)
    assert "2 of 5 windows" in text
    assert "dataset:shop/orders 2024-03-02..2024-03-03 (incident:shop/4)" in text
    assert "--skip-quarantined" in text
    assert "shop/other" not in text


def test_quarantined_windows_are_skipped_on_demand_but_never_all():
    held = Quarantine()
    held.set(Range("orders", "2024-03-02", "2024-03-03"))
    wanted = ["2024-03-01", "2024-03-02", "2024-03-04"]
    assert training_windows(wanted, held, ["orders"], skip_quarantined=True) == ["2024-03-01", "2024-03-04"]
    assert training_windows(wanted, held, ["returns"]) == wanted
    with pytest.raises(Quarantined, match="every window"):
        training_windows(["2024-03-02"], held, ["orders"], skip_quarantined=True)
