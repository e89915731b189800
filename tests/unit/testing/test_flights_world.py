from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.testing.flights_world import DAILY, FIRST, LAST, SNAPSHOTS, World


def dropped(folder: Path, source: str) -> list[str]:
    return sorted(path.stem for path in (folder / "feeds" / source).glob("*.parquet"))


def test_a_day_brings_outcomes_of_the_day_before(tmp_path: Path) -> None:
    World(tmp_path).deliver("2013-07-10")
    assert {name: dropped(tmp_path, name) for name in (*DAILY, *SNAPSHOTS)} == {
        "raw_flights": ["2013-07-10"], "raw_arrivals": ["2013-07-09"], "raw_weather": ["2013-07-10"],
        "raw_planes": ["2013-07-10"], "raw_airports": ["2013-07-10"], "raw_airlines": ["2013-07-10"],
    }  # fmt: skip


def test_a_range_brings_a_file_a_day(tmp_path: Path) -> None:
    World(tmp_path).deliver_range("2013-03-09", "2013-03-11")
    assert dropped(tmp_path, "raw_flights") == ["2013-03-09", "2013-03-10", "2013-03-11"]
    assert dropped(tmp_path, "raw_arrivals") == ["2013-03-09", "2013-03-10"]
    assert dropped(tmp_path, "raw_planes") == ["2013-03-09"]


def test_all_rows_are_there_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    days = pl.date_range(pl.lit(FIRST).str.to_date(), pl.lit(LAST).str.to_date(), eager=True)
    assert sum(world.rows("raw_flights", str(day)).height for day in days) == 336_776 - 776
    assert sum(world.rows("raw_weather", str(day)).height for day in days) == 26_115
    before = world.rows("raw_arrivals", "2012-12-31")
    assert before.height == 0 and before.schema == world.rows("raw_arrivals", FIRST).schema


def test_what_is_known_before_departure_holds_no_outcome(tmp_path: Path) -> None:
    columns = set(World(tmp_path).rows("raw_flights", FIRST).columns)
    assert not columns & {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}


def test_a_hook_changes_the_feed_until_it_is_healed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver("2013-07-01")
    world.transform["raw_weather"] = lambda frame, key: frame.head(3)
    for day in ("2013-07-02", "2013-07-03"):
        world.deliver(day)
    rows = {
        day: pl.read_parquet(tmp_path / f"feeds/raw_weather/{day}.parquet").height
        for day in ("2013-07-01", "2013-07-02")
    }
    assert rows == {"2013-07-01": 72, "2013-07-02": 3}
    assert world.heal("raw_weather") == ["2013-07-02", "2013-07-03"]
    again = pl.read_parquet(tmp_path / "feeds/raw_weather/2013-07-02.parquet")
    assert again.equals(world.rows("raw_weather", "2013-07-02")) and not world.transform


def test_an_unknown_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="raw_wether"):
        World(tmp_path).rows("raw_wether", FIRST)
