"""What should have arrived, asked by the clock: own datasets and foreign jobs, recorded once and judged."""

from datetime import timedelta

import pytest

from headwater.core.errors import DataError
from unit.observe.test_journeys import DAYS, event, past

DEADLINE = "slaProperties: [{property: timeOfAvailability, value: '06:30'}]\n"


@pytest.fixture
def promised(shop):
    return shop.promise(DEADLINE)


def at(shop, number, hours):
    shop.clock.move_to(shop.line.calendar.window(shop.day(number)).end + timedelta(hours=hours))
    return shop.opened()


def told(answer):
    return [(item["subject"].rpartition("/")[2], item["window"], item["metric"]) for item in answer["findings"]]


def test_absence_is_told_by_the_clock_and_written_only_when_asked(promised):
    early = at(promised, 3, 6.4)
    assert told(early.arrivals(record=True)) == []
    late = at(promised, 3, 6.6)
    records = late.audit()["records"]
    found = late.arrivals()
    assert told(found) == [(name, promised.day(3), "missing") for name in ("raw_orders", "orders")]
    assert late.audit()["records"] == records and late.incidents() == []
    assert found["incidents"] == []


def test_what_has_no_deadline_is_named_and_long_absences_are_told_in_days(promised):
    late = at(promised, 3, 80).arrivals()
    assert "dataset:shop/orders" not in late["unjudged"] and late["unjudged"]
    assert {item["detail"] for item in late["findings"]} == {"nothing has arrived 3 days after the window's end"}


def test_its_alarms_open_one_incident_at_the_source_and_are_recorded_once(promised):
    late = at(promised, 3, 7)
    assert late.arrivals(record=True)["incidents"] == ["incident:shop/1"]
    (incident,) = late.incidents()
    assert incident["subject"] == "dataset:shop/raw_orders"
    records = late.audit()["records"]
    again = late.arrivals(record=True)
    assert all(item["known"] for item in again["findings"]) and again["incidents"] == []
    assert late.audit()["records"] == records
    verdict = late.why("1")
    assert (verdict["status"], verdict["subject"]) == ("named", "dataset:shop/raw_orders"), verdict["text"]
    assert "nothing has arrived" in verdict["text"]


def test_what_arrives_after_all_joins_that_incident_and_opens_no_other(promised):
    at(promised, 3, 7).arrivals(record=True)
    promised.workspace = promised.opened()
    promised.clock.move_to(promised.clock.now() + timedelta(hours=1))
    report = promised.workspace.run(promised.day(3))
    assert not report["failed"]
    assert {item["metric"] for item in report["alarms"]} <= {"late"}
    assert len(promised.workspace.incidents()) == 1
    assert told(promised.workspace.arrivals()) == []


def test_foreign_jobs_are_known_by_their_events_and_judged_beside_own_datasets(shop):
    for made in past():
        shop.workspace.receive(made)
    window = shop.line.calendar.window(DAYS[40])
    assert window.end < shop.clock.now(), "long ago: history is not judged"
    assert shop.workspace.arrivals()["findings"] == []
    with pytest.raises(DataError, match="eventTime"):
        shop.workspace.receive(event("START", DAYS[0], 1.0) | {"eventTime": "yesterday"})


def test_a_foreign_job_that_fails_has_an_incident_of_its_own(shop):
    day = shop.day(2)
    failed = event("FAIL", day, 1.0, facets={"errorMessage": {"message": "no space"}})
    shop.workspace.receive(failed)
    answer = shop.workspace.arrivals(record=True)
    assert [(item["subject"], item["metric"]) for item in answer["findings"]] == [
        ("dataset:dwh/trips", "unexpected_status")
    ]
    (incident,) = shop.workspace.incidents()
    assert incident["subject"] == "dataset:dwh/trips"
    assert shop.workspace.why("1")["status"] == "undetermined", "its code cannot be run again from here"
    again = shop.opened()
    assert again.arrivals(record=True)["incidents"] == []
