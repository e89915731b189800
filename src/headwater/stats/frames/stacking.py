"""Put windows of one dataset on top of each other even when its schema drifted between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.core.errors import DataError

_UNITS = ("ns", "us", "ms")


def stack(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Stack frames row-wise, aligning columns by name.

    Columns come in the order of the last frame, then what only earlier ones have. A column that a frame lacks is null
    there. Where types differ, the column gets the narrowest type that holds both: the finer time unit in the newest
    zone, the wider number, and text when nothing else fits. Frames without rows only count when all are empty.

    It misleads when a type changed by accident: numbers beside text become text, and it is the reader's function that
    then fails or the contract that should have refused the window.

    Args:
        frames: One frame or more, oldest first.

    Returns:
        One frame; the frames' own schema when they agree.

    Raises:
        DataError: Two types cannot be held in one column, e.g. lists beside numbers.

    Example:
        >>> import polars as pl
        >>> stack([pl.DataFrame({"a": [1]}), pl.DataFrame({"b": ["x"], "a": [0.5]})]).rows()
        [(None, 1.0), ('x', 0.5)]
    """
    if not frames:
        raise DataError("there is no frame to stack")
    counted = [frame for frame in frames if frame.height] or list(frames)
    first = list(counted[0].schema.items())
    if len(counted) == 1 or all(list(frame.schema.items()) == first for frame in counted[1:]):
        return counted[0] if len(counted) == 1 else pl.concat(counted)
    names = list(dict.fromkeys(name for frame in reversed(counted) for name in frame.columns))
    target = {name: _meeting([frame.schema[name] for frame in counted if name in frame.columns]) for name in names}
    try:
        return pl.concat([_fitted(frame, target) for frame in counted])
    except pl.exceptions.PolarsError as error:
        schemas = " and ".join(dict.fromkeys(str(dict(frame.schema)) for frame in counted))
        raise DataError(
            f"windows of different types cannot be read together: {error}".splitlines()[0],
            doing=f"stacking windows with {schemas}",
            hint="read them window by window, or backfill the older ones with the newer code",
        ) from error


def _fitted(frame: pl.DataFrame, target: dict[str, pl.DataType]) -> pl.DataFrame:
    return frame.with_columns(
        (pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name))
        for name, dtype in target.items()
        if frame.schema.get(name) != dtype
    ).select(list(target))


def _meeting(dtypes: list[pl.DataType]) -> pl.DataType:
    """Return the narrowest type that holds values of all the given types, oldest first."""
    seen = list(dict.fromkeys(dtype for dtype in dtypes if not isinstance(dtype, pl.Null)))
    if len(seen) < 2:
        return seen[0] if seen else pl.Null()
    times = [dtype for dtype in seen if isinstance(dtype, (pl.Datetime, pl.Duration))]
    if len(times) == len(seen) and len({type(dtype) for dtype in times}) == 1:
        return _meeting_times(times)
    empty: list[Any] = [pl.Series("x", [], dtype=dtype).to_frame() for dtype in seen]
    try:
        meeting: pl.DataType = pl.concat(empty, how="vertical_relaxed").schema["x"]
        return meeting
    except pl.exceptions.PolarsError:
        return pl.String()


def _meeting_times(dtypes: list[Any]) -> pl.DataType:
    unit: Any = min((dtype.time_unit for dtype in dtypes), key=_UNITS.index)  # Polars itself would take the coarser
    if isinstance(dtypes[0], pl.Duration):
        return pl.Duration(unit)
    zones = {dtype.time_zone for dtype in dtypes}
    if None in zones and len(zones) > 1:
        return pl.String()  # a local time beside an instant: guessing a zone would invent data
    return pl.Datetime(unit, dtypes[-1].time_zone)
