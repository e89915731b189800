"""What is learned, and what must not be."""

import pytest

from headwater.core.ports import Record
from headwater.core.records import Finding
from headwater.observe.history import History
from unit.observe.worlds import CALENDAR, DAYS, NOW, TABLE, evidence, learned, table


def finding(day, severity="alarm", subject=TABLE):
    return Finding(
        monitor="structure", subject=subject, window=day, metric="rows", severity=severity, score=3.0, time=NOW
    )


def record(kind, body):
    return Record(1, "id", kind, "subject", body, NOW, "hash")


def test_a_window_never_serves_as_its_own_expectation():
    history, random = learned(30)
    odd = evidence(DAYS[30], table(30, random, rows=10.0))
    history.add_evidence(odd)
    assert DAYS[30] not in history.baseline("profile", TABLE, DAYS[30]).keys
    assert history.scores(odd)["rows"].r > 2


def test_windows_in_alarm_are_not_learned():
    history, random = learned(30)
    history.add_evidence(evidence(DAYS[30], table(30, random, rows=10.0)))
    history.add_finding(finding(DAYS[30]))
    history.add_evidence(evidence(DAYS[31], table(31, random)))
    assert history.in_alarm(TABLE, DAYS[30])
    keys = history.baseline("profile", TABLE, DAYS[32]).keys
    assert DAYS[31] in keys
    assert DAYS[30] not in keys


def test_an_alarm_that_comes_late_is_unlearned():
    history, _ = learned(30)
    assert DAYS[20] in history.baseline("profile", TABLE, DAYS[30]).keys
    history.add_finding(finding(DAYS[20]))
    assert DAYS[20] not in history.baseline("profile", TABLE, DAYS[30]).keys


def test_an_unusual_table_beside_an_alarm_is_not_learned_and_a_normal_one_is():
    history, _ = learned(30)
    history.baseline("profile", TABLE, DAYS[30])
    history.add_finding(finding(DAYS[20], subject="dataset:nyc/other"))
    assert DAYS[20] in history.baseline("profile", TABLE, DAYS[30]).keys
    history.add_finding(finding(DAYS[20], severity="notice"))
    assert DAYS[20] not in history.baseline("profile", TABLE, DAYS[30]).keys
    assert history.learnable(TABLE, DAYS[21])


def test_a_notice_alone_is_learned():
    history, _ = learned(30)
    history.add_finding(finding(DAYS[20], severity="notice"))
    assert DAYS[20] in history.baseline("profile", TABLE, DAYS[30]).keys


@pytest.mark.parametrize(("status", "kept_out"), [("world", False), ("none", False), ("named", True)])
def test_a_closed_incident_is_learned_when_nothing_was_to_blame(status, kept_out):
    history, _ = learned(30)
    alarm = finding(DAYS[20])
    history.add(record("finding", alarm.body()))
    history.add(record("incident", {"incident": "incident:nyc/1", "state": "open", "findings": [alarm.id]}))
    history.add(record("verdict", {"incident": "incident:nyc/1", "status": status}))
    history.add(record("incident", {"incident": "incident:nyc/1", "state": "closed"}))
    assert (DAYS[20] not in history.baseline("profile", TABLE, DAYS[30]).keys) == kept_out


def test_restated_evidence_replaces_what_was_learned():
    history, random = learned(30)
    history.baseline("profile", TABLE, DAYS[30])
    history.add(record("evidence", evidence(DAYS[20], table(20, random, rows=5.0)).body()))
    assert history.series("profile", TABLE, "rows")[DAYS[20]] == 5.0
    assert 5.0 in history.baseline("profile", TABLE, DAYS[30]).values("rows").round(6)


def test_an_older_window_is_compared_with_what_came_before_it():
    history, _ = learned(60)
    assert len(history.baseline("profile", TABLE, DAYS[60])) == 60
    assert len(history.baseline("profile", TABLE, DAYS[30])) == 30
    assert len(history.baseline("profile", TABLE, DAYS[60])) == 60


def test_building_at_once_and_record_by_record_gives_the_same_expectation():
    whole, random = learned(60)
    grown, _ = learned(40)
    grown.baseline("profile", TABLE, DAYS[40])
    for day in DAYS[40:60]:
        grown.add_evidence(evidence(day, dict(whole.values("profile", TABLE, day))))
        grown.baseline("profile", TABLE, day)
    probe = evidence(DAYS[60], table(60, random))
    expected, found = whole.scores(probe), grown.scores(probe)
    assert expected.keys() == found.keys()
    assert all(found[name].expected == pytest.approx(expected[name].expected) for name in expected)


def test_texts_and_lists_in_evidence_are_passed_over():
    history = History(CALENDAR)
    history.add_evidence(
        evidence(DAYS[0], {"value": 1, "unit": "min", "parts": ["a"], "bad": float("nan")}, "business")
    )
    assert dict(history.values("business", TABLE, DAYS[0])) == {"value": 1.0}
    history.add(record("event", {}))
    assert history.windows("profile", TABLE) == []
