import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.mlops.labels import known, maturity, realised

LOG = pl.DataFrame({"order": [1, 2, 3, 4], "p": [0.1, 0.2, 0.3, 0.4], "price": [9.0, 9.0, 9.0, 9.0]})


def labels(order, returned, **more):
    return pl.DataFrame({"order": order, "returned": returned, **more})


def test_every_prediction_is_kept_in_order_with_null_where_no_label_came():
    rows = realised(LOG, labels([3, 1, 99], [1, 0, 1], days=[4, 5, 6]), "order", "returned")
    assert rows["order"].to_list() == [1, 2, 3, 4]
    assert rows["returned"].to_list() == [0, None, 1, None]
    assert rows["days"].to_list() == [5, None, 4, None]
    assert maturity(rows, "returned") == 0.5


def test_late_labels_are_null_until_they_come():
    assert maturity(realised(LOG, None, "order", "returned"), "returned") == 0
    assert maturity(realised(LOG, labels([1, 2], [None, 1]), "order", "returned"), "returned") == 0.25
    assert maturity(realised(LOG, labels([1, 2, 3, 4], [0, 1, 0, 1]), "order", "returned"), "returned") == 1
    assert maturity(LOG.head(0).with_columns(returned=pl.lit(1)), "returned") != maturity(LOG, "p")


def test_the_same_label_twice_is_one_label():
    assert realised(LOG, labels([1, 1, 2], [1, 1, 0]), "order", "returned").height == 4
    assert known(labels([1, 1, None], [1, 1, 0]), "order", "returned").height == 1


def test_a_null_does_not_contradict_a_label():
    rows = realised(LOG, labels([1, 1], [None, 1]), "order", "returned")
    assert rows["returned"].to_list() == [1, None, None, None]


def test_labels_that_contradict_each_other_are_refused_by_name():
    with pytest.raises(DataError, match=r"1 of 2 entities.*`order` 2 is both 0 and 1"):
        realised(LOG, labels([1, 2, 2], [1, 0, 1]), "order", "returned")


def test_a_correction_counts_when_the_labels_say_when_they_came():
    given = labels([1, 1, 2], [1, 0, 1], at=[2, 1, 1])
    assert realised(LOG, given, "order", "returned", received="at")["returned"].to_list() == [1, 1, None, None]


def test_a_prediction_that_was_logged_twice_stays_twice():
    twice = pl.concat([LOG, LOG.head(1)])
    assert realised(twice, labels([1], [1]), "order", "returned")["returned"].to_list() == [1, None, None, None, 1]


def test_a_column_that_both_have_is_the_prediction_logs():
    rows = realised(LOG, labels([1], [1], price=[0.0]), "order", "returned")
    assert rows.columns == ["order", "p", "price", "returned"]
    assert rows["price"][0] == 9.0


@pytest.mark.parametrize("values", [[True, False], [1.0, 0.0], [1, 0]])
def test_outcomes_of_any_kind_become_whole_numbers(values):
    assert known(labels([1, 2], values), "order", "returned")["returned"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (labels([1], [2]), "not 0 or 1 in 1 of 1 labels, e.g. 2 for 1"),
        (labels([1], ["late"]), "the outcome `returned` is String"),
        (labels([1], [1]).rename({"returned": "came_back"}), "no column `returned`"),
        (labels(["1"], [1]), "`order` is Int64 in predictions and String in labels"),
    ],
)
def test_bad_labels_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        realised(LOG, given, "order", "returned")


def test_a_log_that_holds_the_outcome_is_refused():
    with pytest.raises(DataError, match="holds the outcome"):
        realised(LOG.with_columns(returned=1), labels([1], [1]), "order", "returned")
