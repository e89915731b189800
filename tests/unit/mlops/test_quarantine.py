from datetime import UTC, datetime

import pytest

from headwater.core.errors import DataError
from headwater.core.ports import Record
from headwater.mlops.quarantine import Quarantine, Range

NOW = datetime(2024, 3, 1, tzinfo=UTC)


def record(state, first, last, dataset="dataset:shop/orders", incident="incident:shop/1", kind="quarantine"):
    body = {
        "dataset": dataset, "first": first, "last": last, "state": state, "reason": "why", "incident": incident,
    }  # fmt: skip
    return Record(1, "id", kind, dataset, body, NOW, "hash")


def spans(quarantine):
    return [(held.first, held.last) for held in quarantine.ranges]


def test_ranges_are_set_once_and_lifted():
    events = [record("set", "2024-02-27", "2024-03-03"), record("set", "2024-02-27", "2024-03-03")]
    assert spans(Quarantine.of(events)) == [("2024-02-27", "2024-03-03")]
    assert spans(Quarantine.of([*events, record("lifted", "2024-02-27", "2024-03-03")])) == []


def test_a_lift_in_the_middle_leaves_both_ends_over_a_leap_day():
    held = Quarantine.of([record("set", "2024-02-27", "2024-03-03"), record("lifted", "2024-02-29", "2024-03-01")])
    assert spans(held) == [("2024-02-27", "2024-02-28"), ("2024-03-02", "2024-03-03")]


def test_lifting_window_by_window_lifts_all():
    lifts = [record("lifted", key, key) for key in ("2024-03-02", "2024-03-01", "2024-03-03")]
    assert spans(Quarantine.of([record("set", "2024-03-01", "2024-03-03"), *lifts])) == []


def test_hours_are_windows_too():
    held = Quarantine.of(
        [record("set", "2024-03-01T22", "2024-03-02T02"), record("lifted", "2024-03-01T23", "2024-03-02T00")]
    )
    assert spans(held) == [("2024-03-01T22", "2024-03-01T22"), ("2024-03-02T01", "2024-03-02T02")]


def test_two_incidents_must_both_let_go():
    held = Quarantine.of(
        [record("set", "2024-03-01", "2024-03-01"), record("set", "2024-03-01", "2024-03-01", incident="i2")]
    )
    held.add(record("lifted", "2024-03-01", "2024-03-01"))
    assert [item.incident for item in held.covering("orders", "2024-03-01")] == ["i2"]
    held.add(record("lifted", "2024-03-01", "2024-03-01", incident=""))
    assert held.ranges == ()


def test_covering_asks_by_dataset_and_touching_range():
    held = Quarantine.of(
        [record("set", "2024-03-05", "2024-03-07"), record("set", "2024-03-01", "2024-03-09", "dataset:shop/other")]
    )
    assert [item.dataset for item in held.covering(["orders"], "2024-03-07", "2024-03-20")] == ["dataset:shop/orders"]
    assert held.covering("dataset:shop/orders", "2024-03-08", "2024-03-20") == ()
    assert len(held.covering(["orders", "dataset:shop/other"], "2024-03-01", "2024-03-31")) == 2
    assert list(held.windows(["orders"], ["2024-03-04", "2024-03-05", "2024-03-08"])) == ["2024-03-05"]


def test_other_records_are_passed_over_and_bad_ones_refused():
    held = Quarantine()
    held.add(record("set", "2024-03-01", "2024-03-02", kind="evidence"))
    assert held.ranges == ()
    for bad in (
        record("paused", "2024-03-01", "2024-03-02"),
        record("set", "2024-03-03", "2024-03-02"),
        record("set", "yesterday", "2024-03-02"),
        Record(1, "id", "quarantine", "s", {"dataset": "orders"}, NOW, "hash"),
    ):
        with pytest.raises(DataError):
            held.add(bad)


def test_a_range_reads_well():
    assert str(Range("orders", "2024-03-01", "2024-03-01", "late")) == "orders 2024-03-01 (late)"
    assert str(Range("orders", "2024-03-01", "2024-03-02")) == "orders 2024-03-01..2024-03-02"
