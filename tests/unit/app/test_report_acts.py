"""The parts of the page that say what could be done, what came before, and which steps to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headwater.app.report import render
from headwater.app.report.data import Book, Likeness, Report
from headwater.core.records import Option
from unit.app.report_samples import repaired, story
from unit.app.test_report import HOSTILE, Page

OPTIONS = (
    Option(action="repair", target="dataset:nyc/weather_raw", probability=0.97, gain=40115.0, gain_low=32800.0,
           gain_high=47610.0, unit="seat-minutes", loss=1200.0, utility=38900.0, measure="seat-minutes", chosen=True),
    Option(action="hold", target="dataset:nyc/weather_raw", probability=0.97, gain=0.0, utility=0.0,
           measure="seat-minutes"),
    Option(action="rollback_code", target="dataset:nyc/weather", probability=0.02, displacement=0.041,
           veto="its fault is less probable (2%) than not", measure="seat-minutes"),
    Option(action="retrain", target="model:nyc/delay", probability=0.01, veto="some asset failed"),
)  # fmt: skip


def page(**changes: Any) -> Page:
    made = story()
    verdict = made.verdict
    assert verdict is not None and verdict.remedy is not None
    made = replace(made, verdict=replace(verdict, remedy=replace(verdict.remedy, options=OPTIONS)), **changes)
    report: Report = replace(repaired(), incidents=(made,))
    return Page(render(report))


def said(**changes: Any) -> str:
    return " ".join(" ".join(page(**changes).text).split())


def test_every_act_is_shown_with_what_forbids_it() -> None:
    text = said()
    assert "What could be done" in text and "Utility and loss are in seat-minutes." in text
    assert "40,115 seat-minutes" in text and "32,800 to 47,610" in text
    assert "0.041 nearer" in text
    assert "its fault is less probable (2%) than not" in text
    rows = [attrs for tag, attrs in page().tags if tag == "tr" and attrs.get("class") == "vetoed"]
    assert len(rows) == 2


def test_a_remedy_without_options_shows_none() -> None:
    assert "What could be done" not in " ".join(Page(render(repaired())).text)


def test_what_came_before_and_the_steps() -> None:
    like = Likeness(
        incident="incident:nyc/0", likeness=0.91, alike_in=("fault", "side"), subject="dataset:nyc/weather_raw",
        fault="time_offset", window="2013-06-01", remedy="repair", held=False,
    )  # fmt: skip
    book = Book(title="Times are shifted", steps=("Read it: `headwater why incident:nyc/1`.", "Sign."))
    text = said(recurrence="incident:nyc/0 was closed; the check `hours` passed.", similar=(like,), book=book)
    assert "It came back. incident:nyc/0 was closed; the check hours passed." in text
    assert "91 % fault, side Repair and backfill it did not hold" in text
    assert "Times are shifted." in text and "headwater why incident:nyc/1" in text
    codes = [tag for tag, _ in page(book=book).tags if tag == "code"]
    assert len(codes) == len([tag for tag, _ in page().tags if tag == "code"]) + 1


def test_nothing_that_is_said_can_break_out() -> None:
    like = Likeness(incident=HOSTILE, likeness=0.5, alike_in=(HOSTILE,), subject=HOSTILE, fault=HOSTILE,
                    window=HOSTILE, remedy=HOSTILE)  # fmt: skip
    made = page(recurrence=f"`{HOSTILE}`", similar=(like,), book=Book(title=HOSTILE, steps=(f"a `{HOSTILE}` b",)))
    assert not [tag for tag, attrs in made.tags if tag == "img" or "onmouseover" in attrs]
