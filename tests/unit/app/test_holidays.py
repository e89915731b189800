"""Holidays are written out, or a public calendar's."""

import sys

import pytest

from headwater.app.holidays import days_of
from headwater.core.errors import MissingExtra, ProjectInvalid


def test_days_that_are_written_out_are_taken_as_they_are():
    assert days_of(["2024-12-25"], 2025) == ("2024-12-25",)
    assert days_of((), 2025) == ()


def test_without_the_package_a_name_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtra, match="holidays") as told:
        days_of("US-VT", 2025)
    assert "headwater[holidays]" in (told.value.hint or "")


@pytest.mark.parametrize(
    ("name", "day", "other"),
    [("US", "2013-07-04", "2013-07-05"), ("US-NY", "2013-02-12", "2013-02-13"), ("DE-BY", "2024-11-01", "2024-11-04"),
     ("XNYS", "2013-03-29", "2013-04-01")],
)  # fmt: skip
def test_a_public_calendar_by_its_name(name, day, other):
    pytest.importorskip("holidays")
    days = days_of(name, 2026)
    assert day in days and other not in days
    assert days == tuple(sorted(days)) and days[0] >= "1990" and days[-1] < "2027"


@pytest.mark.parametrize("name", ["US-XX", "Atlantis", "", "2024-12-25"])
def test_a_calendar_that_nobody_knows_is_an_error(name):
    pytest.importorskip("holidays")
    with pytest.raises(ProjectInvalid, match="no public calendar"):
        days_of(name, 2026)
