"""A frame seen through a table's usual schema: NumPy arrays by column, made once and shared between candidates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.core.windows import Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Kind = Literal["number", "category", "time", "other"]

_US_PER_HOUR = 3_600_000_000
_GOLDEN = (5**0.5 - 1) / 2


def kind_of(dtype: pl.DataType) -> Kind:
    """Return what a column of this type is measured as; booleans are categories."""
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, (pl.String, pl.Boolean, pl.Categorical, pl.Enum)):
        return "category"
    if isinstance(dtype, (pl.Datetime, pl.Date)):
        return "time"
    return "other"


def numbers(series: pl.Series) -> Floats:
    """Return a numeric (or boolean) column as floats, nulls and infinities as NaN."""
    values = series.cast(pl.Float64, strict=False).to_numpy().astype(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    return cast(Floats, values)


def thinned(frame: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return about so many of a frame's rows, one of each equal stretch, and not always the same one of it.

    Every so manyth row would be of one station only where stations take turns.
    """
    step = frame.height // max(1, most)
    if step <= 1:
        return frame
    stretches = np.arange(frame.height // step)
    return frame[stretches * step + (stretches * _GOLDEN % 1 * step).astype(np.int64)]


def whole(series: pl.Series) -> bool:
    """Tell whether a numeric column holds whole numbers only."""
    values = numbers(series)
    values = values[np.isfinite(values)]
    return bool(np.all(np.abs(values - np.round(values)) < 1e-6))


def hours(series: pl.Series) -> Floats:
    """Return a date or datetime column as hours since 1970 (a naive time is taken as UTC), nulls as NaN."""
    micros = series.cast(pl.Datetime("us")).to_physical() if series.dtype == pl.Date else series.dt.epoch("us")
    return numbers(micros) / _US_PER_HOUR


def texts(series: pl.Series) -> pl.Series:
    """Return a category column as strings (booleans as ``true`` and ``false``)."""
    return series if series.dtype == pl.String else series.cast(pl.String)


def zone_hours(window: Window) -> float:
    """Return the calendar's offset from UTC at the window's start, in hours; 0 for windows of one hour."""
    first = window.key.split("..", maxsplit=1)[0]
    try:
        local = datetime.strptime(first, "%Y-%m-%d")
    except ValueError:
        return 0.0
    return (local - window.start.replace(tzinfo=None)).total_seconds() / 3600


def zone_hours_after(window: Window) -> float:
    """Return the calendar's offset from UTC at the window's end: another one than at its start on a clock change."""
    last = window.key.split("..")[-1]
    try:
        following = datetime.strptime(last, "%Y-%m-%d") + timedelta(days=1)
    except ValueError:
        return 0.0
    return (following - window.end.replace(tzinfo=None)).total_seconds() / 3600


def epoch_hours(time: datetime) -> float:
    """Return a zone-aware time as hours since 1970."""
    return time.timestamp() / 3600


def kind_matches(dtype: pl.DataType, expected: pl.DataType) -> bool:
    """Tell whether a column of one type can be measured as the other without a change of meaning."""
    if kind_of(dtype) != kind_of(expected):
        return False
    return (dtype == pl.Boolean) == (expected == pl.Boolean)


@dataclass
class View:
    """One frame in one window, with its columns as arrays.

    Columns that are absent or of another kind than expected are not in ``frame``; ``present`` says which are. Where the
    frame is large, ``taken`` says which of its rows are measured; ``raw`` and ``whole`` have all of them.
    """

    frame: pl.DataFrame
    window: Window
    schema: Mapping[str, pl.DataType]
    raw: pl.DataFrame
    naive_local: bool = False
    arrays: dict[str, Any] = field(default_factory=dict)
    whole: pl.DataFrame = field(default_factory=pl.DataFrame)
    taken: pl.Series | None = None

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        window: Window,
        schema: Mapping[str, pl.DataType],
        *,
        naive_local: bool = False,
        sharing: View | None = None,
        changed: Collection[str] = (),
        taken: pl.Series | None = None,
    ) -> View:
        """Align a frame with a schema; arrays of columns that did not change are taken over from ``sharing``.

        Only the rows marked in ``taken`` are measured (None: all); a frame as long as that of ``sharing`` has the same.
        """
        columns = {}
        for name, dtype in schema.items():
            if name not in frame.columns:
                continue
            series = frame.get_column(name)
            if series.dtype == pl.Null:
                series = series.cast(dtype)
            if not kind_matches(series.dtype, dtype):
                continue
            # Numbers keep their own type: cutting floats to integers would hide what happened to them.
            same = series.dtype == dtype or kind_of(dtype) == "number"
            columns[name] = series if same else series.cast(dtype, strict=False)
        kept: dict[str, Any] = {}
        if sharing is not None and sharing.rows == frame.height:
            taken = sharing.taken
            # What was made of all columns together ends in "\0" and is not shared.
            gone = {*changed, ""}
            kept = {name: value for name, value in sharing.arrays.items() if name.split("\0")[-1] not in gone}
        whole = pl.DataFrame(columns)
        some = whole if taken is None or not columns else whole.filter(taken)
        return cls(some, window, schema, frame, naive_local, kept, whole, taken)

    @property
    def height(self) -> int:
        """Number of rows that are measured."""
        return self.rows if self.taken is None else int(self.taken.sum())

    @property
    def rows(self) -> int:
        """Number of rows that were delivered."""
        return self.raw.height

    def present(self, column: str) -> bool:
        """Tell whether the column is there with the expected kind."""
        return column in self.frame.columns

    def number(self, column: str) -> Floats:
        """Return a numeric column's values, nulls as NaN."""
        if column not in self.arrays:
            self.arrays[column] = numbers(self.frame.get_column(column))
        return cast(Floats, self.arrays[column])

    def time(self, column: str) -> Floats:
        """Return a time column in hours since 1970 UTC, nulls as NaN."""
        if column not in self.arrays:
            self.arrays[column] = self._hours(self.frame.get_column(column))
        return cast(Floats, self.arrays[column])

    def hours(self, column: str) -> Floats:
        """Return the times of all delivered rows, as `time` does those of the measured ones."""
        return self.time(column) if self.taken is None else self._hours(self.whole.get_column(column))

    def _hours(self, series: pl.Series) -> Floats:
        values = hours(series)
        naive = isinstance(series.dtype, pl.Date) or getattr(series.dtype, "time_zone", None) is None
        return values - zone_hours(self.window) if naive and self.naive_local else values

    def elapsed(self, column: str) -> Floats:
        """Return a time column in hours since the window's start."""
        return self.time(column) - epoch_hours(self.window.start)

    @property
    def length(self) -> float:
        """The window's length in hours."""
        return (self.window.end - self.window.start).total_seconds() / 3600
