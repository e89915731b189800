"""What chance decides about a fault: how hard it hits which window."""

from __future__ import annotations

import pytest

from headwater.core.errors import ProjectInvalid
from headwater.core.windows import Calendar
from headwater.testing.silent_failures.entry import Draw, Fault

CALENDAR = Calendar("1d", "America/New_York")


def draw(shape="abrupt", severity=0.5, every="1d") -> Draw:
    if every == "1h":
        return Draw(3, severity, shape, "2024-03-10T05", Calendar("1h"))
    return Draw(3, severity, shape, "2013-03-09", CALENDAR)


def strengths(made: Draw, first: str, count: int, lag: int = 0) -> list[float]:
    window = made.calendar.window(first)
    return [round(made.strength(made.calendar.shift(window, place), lag), 3) for place in range(count)]


def test_nothing_happens_before_the_onset_even_across_a_clock_change() -> None:
    assert strengths(draw(), "2013-03-07", 5) == [0, 0, 0.5, 0.5, 0.5]


def test_a_gradual_fault_grows_over_seven_windows() -> None:
    grown = strengths(draw("gradual", 0.7), "2013-03-08", 10)
    assert grown == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7]


def test_an_intermittent_fault_is_there_every_other_window() -> None:
    assert strengths(draw("intermittent"), "2013-03-08", 5) == [0, 0.5, 0, 0.5, 0]


def test_a_feed_that_trails_is_hit_in_what_it_sends_at_the_onset() -> None:
    assert strengths(draw(), "2013-03-06", 4, lag=2) == [0, 0.5, 0.5, 0.5]


def test_hours_are_counted_as_hours() -> None:
    assert strengths(draw("intermittent", every="1h"), "2024-03-10T04", 4) == [0, 0.5, 0, 0.5]


def test_code_does_not_know_when_it_was_deployed() -> None:
    window = CALENDAR.window("2013-03-01")
    assert draw().of_code(window) == 0.5
    assert draw("intermittent").of_code(CALENDAR.window("2013-03-07")) == 0.5
    assert draw("intermittent").of_code(CALENDAR.window("2013-03-08")) == 0
    assert draw("gradual", 0.7).of_code(window) == pytest.approx(0.1)


def test_chance_depends_on_seed_and_subject_alone() -> None:
    made = draw()
    assert made.chance("rows", "w").random() == draw(severity=0.9).chance("rows", "w").random()
    assert made.chance("rows", "w").random() != made.chance("rows", "v").random()


def test_a_fault_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ProjectInvalid, match="gremlins"):
        Fault("x", "gremlins", "dataset:a/b", "data", frozenset({"hold"}), lambda doors, drawn: None)
