"""Fresh or late by the clock alone: no run is needed, an open window is never judged, an old one excuses nothing."""

from datetime import timedelta

import pytest

DEADLINE = "slaProperties: [{property: latency, value: 8, unit: h}]\n"


@pytest.fixture
def promised(shop):
    """The shop, whose orders must be there eight hours after their day's end."""
    return shop.promise(DEADLINE)


def at(shop, number, hours):
    """Move the clock to so many hours after a day's end, and ask anew."""
    shop.clock.move_to(shop.line.calendar.window(shop.day(number)).end + timedelta(hours=hours))
    return {item["dataset"].rpartition("/")[2]: item["freshness"] for item in shop.opened().datasets()}


def test_it_turns_late_when_the_clock_passes_the_deadline_and_nothing_runs(promised):
    assert at(promised, 3, -1)["orders"]["state"] == "fresh", "the window is still open"
    before = at(promised, 3, 7.9)["orders"]
    assert (before["state"], before["awaited"]) == ("fresh", promised.day(3))
    late = at(promised, 3, 8)["orders"]
    assert (late["state"], late["told"]) == ("late", "late since 2024-03-19 08:00 CET")
    assert late["due"] == (promised.line.calendar.window(promised.day(3)).end + timedelta(hours=8)).isoformat()
    assert at(promised, 9, 0)["orders"]["told"] == late["told"], "late since the first window that was missed"


def test_an_open_window_is_never_judged(promised):
    at(promised, 3, 6)
    promised.workspace.run(promised.day(3))
    for hours in (-17, -12, -0.01, 0, 7.99):
        assert at(promised, 4, hours)["orders"]["state"] == "fresh"


def test_a_delivery_makes_it_fresh_and_a_backfill_of_an_old_window_does_not(promised):
    assert at(promised, 3, 9)["raw_orders"]["state"] == "late"
    promised.feed(d1={"scale": 1.01})
    promised.workspace = promised.opened()
    promised.workspace.backfill("raw_orders", promised.day(1), promised.day(1))
    assert at(promised, 3, 9.5)["raw_orders"]["state"] == at(promised, 3, 9.5)["orders"]["state"] == "late"
    promised.opened().run(promised.day(3))
    assert at(promised, 3, 10)["raw_orders"]["state"] == at(promised, 3, 10)["orders"]["state"] == "fresh"


def test_a_backfill_of_an_old_window_does_not_turn_a_fresh_dataset_late(promised):
    at(promised, 3, 6)
    promised.opened().run(promised.day(3))
    promised.feed(d1={"scale": 1.01})
    at(promised, 4, 1)
    promised.opened().backfill("raw_orders", promised.day(1), promised.day(1))
    found = at(promised, 4, 2)
    assert (found["raw_orders"]["state"], found["raw_orders"]["awaited"]) == ("fresh", promised.day(4))


def test_a_failed_delivery_is_late_too(promised):
    promised.feed(d3={"missing": True})
    at(promised, 3, 6)
    assert promised.opened().run(promised.day(3))["failed"]
    found = at(promised, 3, 9)
    assert found["raw_orders"]["state"] == found["orders"]["state"] == "late"


def test_without_a_deadline_and_with_few_deliveries_it_says_that_it_does_not_know(promised):
    found = at(promised, 9, 9)
    assert found["history"] == {
        "state": "unknown", "awaited": promised.day(3), "due": None, "told": "unknown: no deadline",
    }  # fmt: skip


def test_a_snapshot_of_a_range_holds_up_to_its_end(grown, tmp_path):
    from unit.app.small_shop import LEARNED, Shop, written

    fresh = Shop(written(tmp_path / "new"), grown.tracking, grown.clock.now())
    assert {item["freshness"]["state"] for item in fresh.workspace.datasets()} == {"never delivered"}
    fresh.workspace.run_range("2024-03-10", LEARNED)
    (shops,) = [item for item in fresh.workspace.datasets() if item["dataset"] == "dataset:shop/raw_shops"]
    assert (shops["newest"], shops["freshness"]["awaited"]) == ("2024-03-10", "2024-03-16")
