"""All monitors together."""

from headwater.observe.monitors import MONITORS, evaluate
from unit.observe.worlds import CALENDAR, DAYS, NOW, TABLE, evidence, learned, table


def test_every_monitor_has_a_name_and_passes_over_evidence_it_does_not_know():
    names = [monitor.name for monitor in MONITORS]
    assert len(set(names)) == len(names)
    history, _ = learned(3)
    assert evaluate([evidence(DAYS[3], {"x": 1}, "verification")], history, CALENDAR, NOW) == []


def test_findings_name_their_evidence_and_hold_the_time():
    history, random = learned(60)
    item = evidence(DAYS[60], table(60, random, **{"null_share.x": 0.4}))
    history.add_evidence(item)
    (found,) = evaluate([item], history, CALENDAR, NOW)
    assert (found.subject, found.window, found.time, found.causes) == (TABLE, DAYS[60], NOW, (item.id,))


def test_a_clean_season_is_quiet_and_a_standing_fault_stays_visible():
    history, random = learned(120)
    for index in range(120, 200):
        item = evidence(DAYS[index], table(index, random))
        history.add_evidence(item)
        found = evaluate([item], history, CALENDAR, NOW)
        assert not [one for one in found if one.severity == "alarm"]
        for one in found:
            history.add_finding(one)
    for index in range(200, 240):
        item = evidence(DAYS[index], table(index, random, **{"null_share.x": 0.4}))
        history.add_evidence(item)
        found = evaluate([item], history, CALENDAR, NOW)
        assert [one.metric for one in found if one.severity == "alarm"] == ["null_share.x"]
        for one in found:
            history.add_finding(one)
