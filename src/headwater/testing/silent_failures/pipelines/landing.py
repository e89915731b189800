"""Where the real data of an entry lies, and how a table of it lands window by window."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from headwater.core.errors import OutsideError
from headwater.core.windows import Calendar, Window

VARIABLE = "HEADWATER_DATA"


def data_folder(folder: str, files: tuple[str, ...], data: Path | str | None = None) -> Path:
    """Return the folder that holds an entry's files.

    Args:
        folder: Name of the folder, e.g. ``hotel_bookings``.
        files: What must be in it.
        data: Where such folders are; None: what the environment variable `VARIABLE` says.

    Raises:
        OutsideError: Nobody says where, or a file is not there.
    """
    place = data or os.environ.get(VARIABLE)
    hint = f"the real tables do not come with Headwater: set {VARIABLE}, or --data, to the folder that holds {folder}/"
    if not place:
        raise OutsideError(f"nobody says where the data of `{folder}` is", hint=hint)
    found = Path(place) / folder
    missing = [name for name in files if not (found / name).is_file()]
    if missing:
        raise OutsideError(f"`{missing[0]}` is not in {found}", doing=f"looking for the data of `{folder}`", hint=hint)
    return found


def by_day(frame: pl.DataFrame, day: str) -> dict[str, pl.DataFrame]:
    """Split rows by a date column, which is kept; the key is the day as a window names it."""
    keyed = frame.with_columns(pl.col(day).cast(pl.String).alias("\x00day"))
    parts = keyed.partition_by("\x00day", as_dict=True, include_key=False, maintain_order=True)
    return {str(key[0]): part for key, part in parts.items()}


def landed(days: Mapping[str, pl.DataFrame], calendar: Calendar, window: Window) -> pl.DataFrame:
    """Return the rows of a window or a range of windows, in order; a day without rows has none."""
    first, _, last = window.key.partition("..")
    empty = next(iter(days.values())).clear()
    return pl.concat([days.get(item.key, empty) for item in calendar.between(first, last or first)])


def summed(daily: pl.DataFrame, by: tuple[str, ...], days: int, window: Window) -> pl.DataFrame:
    """Add up the counts of the days up to each day of the window; whole numbers, so a range gives what its days give.

    ``daily`` has ``day``, the columns ``by`` and counts; the result has a row per day and group that had any.
    """
    first, _, last = window.key.partition("..")
    offsets = pl.DataFrame({"offset": list(range(days))})
    moved = daily.join(offsets, how="cross").with_columns(pl.col("day") + pl.duration(days="offset")).drop("offset")
    inside = moved.filter(pl.col("day").cast(pl.String).is_between(pl.lit(first), pl.lit(last or first)))
    return inside.group_by("day", *by).agg(pl.all().sum()).sort("day", *by)
