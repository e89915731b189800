"""A window that is run before it is over: judged by how much is usually there by then, and replaced when it is."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock

PIPELINE = '''
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from headwater import Project

project = Project("city", timezone="America/New_York", holidays=["2013-03-29"])
HERE = Path(__file__).parent


def day(start, end):
    """The taps of a day, more of them on weekdays and towards the evening."""
    local = (start + timedelta(hours=12)).date()
    random = np.random.default_rng(zlib.crc32(local.isoformat().encode()))
    usual = 400 if local.weekday() < 5 else 150
    if local.isoformat() == "2013-03-29":
        usual = 60
    count = int(usual * random.normal(1, 0.03))
    share = np.sort(random.beta(3, 2, count))
    moments = [start + (end - start) * float(one) for one in share]
    return pl.DataFrame({"tap": [f"{local}-{n}" for n in range(count)], "at": moments})


@project.source(key=["tap"], time="at")
def taps(window):
    now = datetime.fromisoformat((HERE / "now").read_text())
    start, frames = window.start, []
    while start < window.end:
        local = (start + timedelta(hours=30)).date()
        end = min(window.end, project.calendar.containing(start).end)
        frames.append(day(start, end))
        start = end
    broken = (HERE / "broken").read_text() if (HERE / "broken").exists() else ""
    found = pl.concat(frames).filter(pl.col("at") <= now).with_columns(pl.col("at").dt.convert_time_zone("UTC"))
    if broken == "half":
        found = found.gather_every(4)
    elif broken == "none":
        found = found.clear()
    return found


@project.dataset(key=["tap"], time="at")
def rides(taps):
    return taps
'''


class City:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "headwater.yaml").write_text("module: pipeline.py\n")
        (folder / "pipeline.py").write_text(PIPELINE)
        self.clock = SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC))
        self.to(datetime(2013, 1, 2, tzinfo=UTC))

    def to(self, moment: datetime) -> None:
        self.clock.move_to(moment)
        (self.folder / "now").write_text(self.clock.now().isoformat())
        self.workspace = Workspace.open(self.folder, self.clock)
        self.calendar = self.workspace.line.calendar

    def at(self, day: str, hours: float) -> None:
        self.to(self.calendar.window(day).start + timedelta(hours=hours))

    def run(self, day: str, hours: float) -> list[tuple[str, str, str]]:
        self.at(day, hours)
        report = self.workspace.run(day)
        assert not report["failed"], report["failed"]
        return [(item["subject"].rpartition("/")[2], item["monitor"], item["metric"]) for item in report["alarms"]]

    def findings(self, day: str) -> list:
        return self.workspace.line.state.findings.get(day, [])


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> City:
    """Two months of history, delivered at once the day after."""
    city = City(tmp_path_factory.mktemp("city") / "p")
    city.at("2013-03-03", 3)
    city.workspace.run_range("2013-01-02", "2013-03-02")
    return city


@pytest.fixture
def city(lived: City, tmp_path: Path) -> City:
    shutil.copytree(lived.folder, tmp_path / "p")
    again = City.__new__(City)
    again.folder, again.clock = tmp_path / "p", SimulatedClock(lived.clock.now())
    again.to(again.clock.now())
    return again


def test_a_window_that_is_open_is_not_judged_as_if_it_were_whole(city):
    for hours in (6, 10, 14, 20):
        assert city.run("2013-03-04", hours) == []
        assert city.findings("2013-03-04") == [], "and not noticed either"


def test_it_is_replaced_by_what_has_come_since_and_learned_when_it_is_over(city):
    counts = []
    for hours in (8, 14, 27):
        assert city.run("2013-03-04", hours) == []
        counts.append(city.workspace.line.services.tables.read("rides", ["2013-03-04"]).height)
    assert counts == sorted(set(counts)), "each delivery holds more"
    history = city.workspace.line.state.history
    assert history.series("profile", "dataset:city/taps", "rows")["2013-03-04"] == counts[-1]
    city.at("2013-03-05", 9)
    city.workspace.run("2013-03-05")
    assert "2013-03-05" not in history.series("profile", "dataset:city/taps", "rows")


def test_after_the_window_is_over_other_content_is_a_conflict_as_ever(city):
    city.run("2013-03-04", 27)
    (city.folder / "broken").write_text("half")
    city.at("2013-03-04", 28)
    assert [item["error"]["code"] for item in city.workspace.run("2013-03-04")["failed"]][:1] == ["window-conflict"]


def test_too_few_rows_by_now_alarm_before_the_window_is_over(city):
    (city.folder / "broken").write_text("half")
    assert ("taps", "filling", "rows") in city.run("2013-03-04", 16)
    (found,) = [item for item in city.findings("2013-03-04") if item.subject.endswith("/taps")]
    assert found.value < 0.5 * found.expected
    assert "hours into the window, usually" in found.detail


def test_no_rows_at_all_by_now_where_there_always_were_some(city):
    (city.folder / "broken").write_text("none")
    assert city.run("2013-03-04", 3) == [], "nobody is up that early"
    for day in ("2013-03-04",):
        alarms = city.run(day, 30)
        assert any(metric == "rows" for _, _, metric in alarms)


def test_a_holiday_is_quiet_only_as_one(city):
    for day in city.calendar.between("2013-03-04", "2013-03-28"):
        assert city.run(day.key, 27) == []
    assert ("taps", "filling", "rows") in city.run("2013-03-29", 16), "its first holiday is seen as any Friday"


def test_the_deliveries_of_past_windows_are_the_curve_once_there_are_enough(city):
    for day in city.calendar.between("2013-03-04", "2013-03-24"):
        assert city.run(day.key, 12) == []
        assert city.run(day.key, 27) == []
    (city.folder / "broken").write_text("none")
    assert ("taps", "filling", "rows") in city.run("2013-03-25", 12)
    (found,) = [item for item in city.findings("2013-03-25") if item.subject.endswith("/taps")]
    usual = city.workspace.line.state.history.fillings("dataset:city/taps")
    assert found.expected == pytest.approx(usual["2013-03-18"][0]["rows"], rel=0.2)


def test_a_window_that_came_while_open_does_not_count_as_delivered(city):
    city.run("2013-03-03", 27)
    city.run("2013-03-04", 12)
    assert {item["freshness"]["awaited"] for item in city.workspace.datasets()} == {"2013-03-04"}
    city.at("2013-03-04", 27)
    assert city.workspace.run()["window"] == "2013-03-04", "the next run completes it"
    assert {item["freshness"]["awaited"] for item in city.workspace.datasets()} == {"2013-03-05"}


AHEAD = PIPELINE.replace('now = datetime.fromisoformat((HERE / "now").read_text())', "now = window.end")


def test_what_comes_whole_before_its_window_is_over_is_judged_at_once(city):
    """Plans, forecasts, the requests of a day that are scored in its morning: their times lie ahead."""
    (city.folder / "pipeline.py").write_text(AHEAD)
    for day in city.calendar.between("2013-03-04", "2013-03-08"):
        assert city.run(day.key, 5) == []
    history = city.workspace.line.state.history
    assert "2013-03-08" in history.series("profile", "dataset:city/rides", "rows"), "and learned from"
    (city.folder / "broken").write_text("half")
    assert ("taps", "structure", "rows") in city.run("2013-03-09", 5)
    (city.folder / "broken").write_text("none")
    assert ("taps", "structure", "rows") in city.run("2013-03-10", 5), "and what never comes late is missed at once"


def test_what_came_whole_is_not_replaced(city):
    (city.folder / "pipeline.py").write_text(AHEAD)
    city.run("2013-03-04", 5)
    (city.folder / "broken").write_text("half")
    city.at("2013-03-04", 8)
    assert [item["error"]["code"] for item in city.workspace.run("2013-03-04")["failed"]][:1] == ["window-conflict"]
