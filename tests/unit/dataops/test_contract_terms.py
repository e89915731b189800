"""Operators, durations, and how a result is told to others."""

import pytest

from headwater.dataops.contract_terms import OPERATORS, CheckResult, holds, hours_of


@pytest.mark.parametrize(
    ("operator", "expected", "good", "bad"),
    [
        ("mustBe", 5, [5, 5.0], [4, None]),
        ("mustNotBe", 5, [4, 6], [5]),
        ("mustBeGreaterThan", 5, [5.1], [5, 4, None]),
        ("mustBeGreaterOrEqualTo", 5, [5, 6], [4.9]),
        ("mustBeLessThan", 5, [4.9], [5, 6]),
        ("mustBeLessOrEqualTo", 5, [5, 4], [5.1]),
        ("mustBeBetween", [5, 7], [5, 6, 7], [4.9, 7.1]),
        ("mustNotBeBetween", [5, 7], [4.9, 7.1], [5, 6, 7, float("nan")]),
    ],
)
def test_operators(operator, expected, good, bad):
    assert all(holds(operator, value, expected) for value in good)
    assert not any(holds(operator, value, expected) for value in bad)


def test_every_operator_is_tested_above():
    assert len(OPERATORS) == 8


@pytest.mark.parametrize(
    ("value", "unit", "hours"),
    [
        (90, "min", 1.5), (90, "minutes", 1.5), (2, "d", 48), (2, "Days", 48), (1, "w", 168), (1, "month", 720),
        (1, "y", 8760), (30, "s", 30 / 3600), ("PT4H", None, 4), ("P1DT12H", None, 36), ("P1W", None, 168),
        ("4 h", None, 4), ("4", "h", 4), (0, "h", 0),
    ],
)  # fmt: skip
def test_durations(value, unit, hours):
    assert hours_of(value, unit) == pytest.approx(hours)


@pytest.mark.parametrize(
    ("value", "unit"), [(4, "m"), (4, None), (4, "fortnight"), (True, "h"), (-1, "h"), ("P", None), ("x", "h")]
)
def test_what_is_not_a_duration_is_refused(value, unit):
    with pytest.raises(ValueError, match=r"write"):
        hours_of(value, unit)


def test_a_result_is_an_openlineage_assertion():
    result = CheckResult("few", "rowCount", None, "completeness", "warning", False, 3, "> 5", "rowCount is 3")
    told = result.as_dict()
    assert told["assertion"] == "rowCount" and told["success"] is False and told["severity"] == "warn"
    assert told["actual"] == 3 and told["expected"] == "> 5" and "executed" not in told
    assert CheckResult("t", "text", None, "", "error", True, executed=False).as_dict()["executed"] is False
