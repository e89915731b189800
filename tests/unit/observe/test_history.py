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


def test_what_is_frozen_is_unlearned_until_it_is_measured_anew():
    history, random = learned(30)
    assert DAYS[20] in history.baseline("profile", TABLE, DAYS[30]).keys
    values = table(20, random)
    history.add_evidence(evidence(DAYS[20], {**values, "frozen": "incident:nyc/1"}))
    assert DAYS[20] not in history.baseline("profile", TABLE, DAYS[30]).keys
    assert history.values("profile", TABLE, DAYS[20]) == {}
    history.add_evidence(evidence(DAYS[20], values))
    assert DAYS[20] in history.baseline("profile", TABLE, DAYS[30]).keys


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


def test_monitors_that_ask_in_turn_about_several_windows_share_one_answer():
    history, random = learned(30)
    asked = [evidence(DAYS[number], table(number, random)) for number in (30, 31)]
    first = [history.scores(item) for item in asked]
    assert all(history.scores(item) is found for item, found in zip(asked, first, strict=True))


def test_what_was_recorded_since_is_in_the_next_answer():
    history, random = learned(30)
    asked = evidence(DAYS[30], table(30, random))
    first = history.scores(asked)
    fresh, _ = learned(30)
    for one in (history, fresh):
        one.add(record("finding", finding(DAYS[20]).body()))
    assert history.scores(asked) == fresh.scores(asked) != first


def test_texts_and_lists_in_evidence_are_passed_over():
    history = History(CALENDAR)
    history.add_evidence(
        evidence(DAYS[0], {"value": 1, "unit": "min", "parts": ["a"], "bad": float("nan")}, "business")
    )
    assert dict(history.values("business", TABLE, DAYS[0])) == {"value": 1.0}
    history.add(record("event", {}))
    assert history.windows("profile", TABLE) == []


def accepted(first, metric="", state="set", subject=TABLE):
    body = {"subject": subject, "subjects": [subject], "metric": metric, "first": first, "by": "ann", "reason": "so",
            "state": state}  # fmt: skip
    return record("acceptance", body)


def doubled(first, last, history, random):
    """Windows with twice the rows, each in alarm."""
    for index in range(first, last):
        history.add_evidence(evidence(DAYS[index], table(index, random, rows=2000.0 + index % 7)))
        history.add_finding(finding(DAYS[index]))


def rows(history, index, value):
    return history.baseline("profile", TABLE, DAYS[index]).score(DAYS[index], {"rows": value})["rows"]


def test_an_accepted_level_is_learned_though_it_was_in_alarm_and_the_old_one_sets_it_no_more():
    history, random = learned(60)
    doubled(60, 62, history, random)
    assert rows(history, 62, 2000.0).r > 2, "windows in alarm are not learned"
    history.add(accepted(DAYS[60]))
    assert not history.in_alarm(TABLE, DAYS[60])
    assert {DAYS[60], DAYS[61]} <= set(history.baseline("profile", TABLE, DAYS[62]).keys)
    score = rows(history, 62, 2000.0)
    assert score.r < 1 and score.expected == pytest.approx(2000, rel=0.05)
    assert rows(history, 62, 1000.0).r > 2, "the old level is unusual now"
    assert rows(history, 62, 4000.0).r > 2, "and so is a further change, from the first window on"


def test_what_is_accepted_of_weekends_moves_no_weekday():
    history, random = learned(60)
    closed = [index for index in range(60, 68) if index % 7 in (4, 5)]  # 2013-01-05, of index 4, was a Saturday

    def judged(index, count):
        item = evidence(DAYS[index], table(index, random, rows=count))
        scores = history.scores(item, ["rows"])
        history.add_evidence(item)
        return scores["rows"].r

    for index in closed[:2]:
        assert judged(index, 0.0) > 2
        history.add_finding(finding(DAYS[index]))
    history.add(accepted(DAYS[closed[0]]))
    later = range(closed[1] + 1, closed[1] + 22)
    off = {index: judged(index, 0.0 if index % 7 in (4, 5) else 1000.0) for index in later}
    assert max(off.values()) < 2, off


def test_a_lasting_change_that_is_accepted_is_known_on_every_weekday():
    history, random = learned(60)
    doubled(60, 61, history, random)
    history.add(accepted(DAYS[60]))
    off = []
    for index in range(61, 80):
        item = evidence(DAYS[index], table(index, random, rows=2000.0 + index % 5))
        off.append(history.scores(item, ["rows"])["rows"].r)
        history.add_evidence(item)
    assert max(off) < 1
    back = evidence(DAYS[80], table(80, random, rows=1000.0))
    assert history.scores(back, ["rows"])["rows"].r > 2, "a week later the old level is unusual"


def test_the_band_around_an_accepted_level_is_as_wide_as_before():
    history, random = learned(60)
    before = rows(history, 60, 1000.0).spread
    doubled(60, 63, history, random)
    history.add(accepted(DAYS[60], "rows"))
    assert rows(history, 63, 2000.0).spread == pytest.approx(before, rel=0.1)


def test_what_alarms_after_it_was_accepted_is_not_learned():
    history, random = learned(60)
    doubled(60, 61, history, random)
    history.add(accepted(DAYS[60]))
    history.add_evidence(evidence(DAYS[61], table(61, random, rows=9000.0)))
    history.add_finding(finding(DAYS[61]))
    assert DAYS[61] not in history.baseline("profile", TABLE, DAYS[62]).keys


def test_only_the_metric_that_was_accepted_is():
    history, random = learned(60)
    doubled(60, 62, history, random)
    history.add(accepted(DAYS[60], "null_share.x"))
    assert history.in_alarm(TABLE, DAYS[60])
    assert DAYS[60] not in history.baseline("profile", TABLE, DAYS[62]).keys


def test_an_acceptance_that_is_undone_never_was():
    history, random = learned(60)
    doubled(60, 62, history, random)
    before = rows(history, 62, 2000.0)
    history.add(accepted(DAYS[60]))
    history.add_evidence(evidence(DAYS[62], table(62, random, rows=2000.0)))
    assert DAYS[62] in history.baseline("profile", TABLE, DAYS[63]).keys
    history.add(accepted(DAYS[60], state="lifted"))
    assert DAYS[62] not in history.baseline("profile", TABLE, DAYS[63]).keys, "what it taught is unlearned"
    assert rows(history, 62, 2000.0) == before
    assert history.in_alarm(TABLE, DAYS[61])


def test_windows_before_an_accepted_change_are_judged_as_they_were():
    history, random = learned(60)
    before = rows(history, 55, 1000.0)
    doubled(60, 62, history, random)
    history.add(accepted(DAYS[60]))
    assert rows(history, 55, 1000.0) == before


def test_windows_learned_one_by_one_and_at_once_are_the_same_after_an_acceptance():
    slowly, random = learned(60)
    doubled(60, 62, slowly, random)
    slowly.add(accepted(DAYS[60]))
    at_once, again = learned(60)
    doubled(60, 62, at_once, again)
    at_once.add(accepted(DAYS[60]))
    for index in range(62, 75):
        item = evidence(DAYS[index], table(index, random, rows=2000.0 + index % 5))
        slowly.add_evidence(item)
        at_once.add_evidence(item)
        rows(slowly, index + 1, 2000.0)
    assert rows(slowly, 75, 2000.0) == rows(at_once, 75, 2000.0)
