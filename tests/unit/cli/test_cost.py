"""What an incident cost, in words."""

from headwater.cli import cost

EFFECT = {"value": 0.0, "low": 0.0, "high": 0.0, "affected_predictions": 12, "known_outcomes": 0}


def test_without_a_cost_function_that_is_said_and_no_number() -> None:
    assert cost.told({**EFFECT, "unit": ""}, None) == cost.told(None, {**EFFECT, "unit": ""}) == cost.UNDECLARED
    assert "no cost function is declared" in cost.UNDECLARED


def test_a_cost_of_nothing_is_a_number() -> None:
    assert cost.told({**EFFECT, "unit": "euro"}, None) == "0 euro; no outcome known yet"
    assert cost.told(None, None) == ""
