"""Inputs: other cases than ever, for three windows in a row, wake somebody; one odd day does not."""

from headwater.observe.history import History
from headwater.observe.inputs import InputsMonitor
from unit.observe.worlds import CALENDAR, DAYS, NOW, evidence

VIEW = "dataset:nyc/delay_features"


def played(windows, days=DAYS):
    """Let windows pass one by one; return the findings."""
    history, found = History(CALENDAR), []
    for index, values in enumerate(windows):
        told = {name if name.startswith("shared.") else f"exceedance.{name}": value for name, value in values.items()}
        told["windows"] = 42.0
        item = evidence(days[index], told, "inputs", VIEW)
        history.add_evidence(item)
        for finding in InputsMonitor().evaluate([item], history, CALENDAR, NOW):
            history.add_finding(finding)
            found.append(finding)
    return found


def test_one_feature_far_further_off_than_ever_three_windows_in_a_row_alarms():
    found = played([{}, {"age": 2.4}, {"age": 2.1}, {"age": 3.0, "fee": 1.6}, {}])
    assert [(item.window, item.metric, item.severity) for item in found] == [(DAYS[3], "moved.age", "alarm")]
    assert found[0].value == 3.0 and "in 3 windows in a row" in found[0].detail


def test_two_features_together_may_be_nearer():
    assert played([{"age": 1.6, "fee": 1.7}] * 2) == []
    assert len(played([{"age": 1.6, "fee": 1.7}] * 3)) == 1


def test_what_comes_and_goes_is_quiet():
    assert played([{"age": 1.65}] * 5) == []
    assert played([{"age": 4.0}, {"age": 4.0}, {}, {"age": 4.0}, {"age": 4.0}]) == []
    assert played([{"age": 4.0}, {"fee": 4.0}, {"age": 4.0}, {"fee": 4.0}]) == []


def test_windows_that_are_run_with_gaps_between_are_still_looked_at():
    assert len(played([{"age": 2.4}] * 3, DAYS[::2])) == 1


def test_what_rows_of_a_window_share_must_stay_away_for_a_week_and_is_one_feature():
    storm = {"rain": 3.0, "shared.rain": 1.0, "wind": 2.5, "shared.wind": 1.0}
    assert played([storm] * 6) == []
    found = played([storm] * 7)
    assert len(found) == 1 and "in 7 windows in a row" in found[0].detail
    mild = {"rain": 1.65, "shared.rain": 1.0, "wind": 1.6, "shared.wind": 1.0}
    assert played([mild] * 12) == []
    assert len(played([{**mild, "age": 1.6}] * 7)) == 1


def test_a_storm_beside_a_feature_of_the_cases_changes_nothing():
    assert len(played([{"age": 2.4, "rain": 5.0, "shared.rain": 1.0}] * 3)) == 1
    assert played([{"age": 1.65, "rain": 5.0, "shared.rain": 1.0}] * 3) == []
