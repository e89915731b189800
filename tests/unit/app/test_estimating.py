"""Estimates in the line: each scored window, checked by its labels, hidden when something upstream is in alarm."""

import pytest

from headwater.core.records import Evidence
from headwater.stats.estimates.estimation import MIN_PAST
from unit.app.small_shop import Shop

RUN = 10


def told(shop: Shop) -> dict[str, Evidence]:
    return shop.line.state.evidence[("estimate", shop.line.project.ref("refund", "model"))]


@pytest.fixture(scope="module")
def lived(grown: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = grown.at(tmp_path_factory.mktemp("estimates") / "project")
    for number in range(3, 3 + RUN):
        shop.run(number)
    return shop


def test_scored_windows_are_estimated_and_checked_once_labels_come(lived: Shop) -> None:
    newest, before = told(lived)[lived.day(2 + RUN)], told(lived)[lived.day(1 + RUN)]
    assert newest.values["errors"] >= MIN_PAST
    assert newest.values["n"] == lived.frame("refund_predictions", 2 + RUN).height
    assert not any(name.startswith("error.") for name in newest.values)
    seen = lived.line.state.evidence[("performance", before.subject)][before.window].values
    shown = before.values.get("log_loss", before.values["withheld"].get("log_loss", {}).get("value"))
    assert shown + before.values["error.log_loss"] == pytest.approx(seen["log_loss"])


def test_a_new_process_goes_on_as_the_one_before_would_have(lived: Shop, tmp_path) -> None:
    one, other = lived.at(tmp_path / "one"), lived.at(tmp_path / "other")
    one.run(3 + RUN)
    one.run(4 + RUN)
    other.run(3 + RUN)
    other.workspace = other.opened()
    other.run(4 + RUN)
    left, right = (told(shop)[shop.day(4 + RUN)].values for shop in (one, other))
    assert left["method"] == right["method"]
    assert left["withheld"].keys() == right["withheld"].keys()
    numbers = {name: value for name, value in left.items() if isinstance(value, float)}
    assert numbers == pytest.approx({name: right[name] for name in numbers}, rel=0.02)


def test_an_alarm_upstream_hides_the_estimate_and_teaches_nothing(lived: Shop, tmp_path) -> None:
    shop = lived.at(tmp_path / "project")
    number = 3 + RUN
    shop.feed(**{f"d{number}": {"scale": 100}})
    shop.run(number)
    values = told(shop)[shop.day(number)].values
    assert not values["valid"]
    assert "is in alarm" in values["reason"]
    assert "log_loss" not in values
    shop.run(number + 1)
    after = told(shop)[shop.day(number + 1)].values
    assert not after["valid"] and "is not closed" in after["reason"]
    assert not any(name.startswith("error.") for name in told(shop)[shop.day(number)].values)


def test_another_model_than_approved_hides_the_estimate(lived: Shop, tmp_path) -> None:
    shop = lived.at(tmp_path / "project")
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.2}, by="eve")
    shop.run(3 + RUN)
    values = told(shop)[shop.day(3 + RUN)].values
    assert not values["valid"] and "is in alarm" in values["reason"]


def test_a_failing_cost_leaves_no_estimate_and_says_why_without_an_alarm_of_its_own(lived: Shop, tmp_path) -> None:
    shop = lived.at(tmp_path / "project")
    shop.edit('rows["decision"]) * 7', 'rows["decision"]) * 7 / rows["no_such"].first()')
    shop.run(3 + RUN)
    values = told(shop)[shop.day(3 + RUN)].values
    assert not values["valid"]
    assert "the cost of model `refund`" in values["reason"]
    found = [item for items in shop.line.state.findings.values() for item in items if item.monitor == "estimated"]
    assert all(item.severity == "notice" for item in found)


def test_a_window_run_again_is_estimated_from_what_was_known_before_it(lived: Shop, tmp_path) -> None:
    shop = lived.at(tmp_path / "project")
    shop.run(3 + RUN)
    shop.run(RUN)
    assert shop.line.estimates == {}
    assert told(shop)[shop.day(RUN)].values["windows"] == RUN - 1
    shop.run(4 + RUN)
    assert told(shop)[shop.day(4 + RUN)].values["windows"] == RUN + 3
