"""Profile one table without a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.app.frames import as_frame, pick
from headwater.app.report.columns import profile_fragment, profile_page
from headwater.app.report.page import write_text
from headwater.app.report.tables import TableProfile
from headwater.app.report.text import profile_text
from headwater.core.errors import UnknownName
from headwater.stats.summaries import summarise


class Profile(TableProfile):
    """What `profile` found; shows itself in a notebook, prints as text, and is saved as a page."""

    def __str__(self) -> str:
        return profile_text(self)

    def _repr_html_(self) -> str:
        return str(profile_fragment(self))

    def merge(self, other: Profile) -> Profile:
        """Put two profiles together as if their rows had been profiled as one; the second must be made ``like`` it."""
        return Profile(self.summary.merge(other.summary), self.name)

    def save(self, path: str | Path) -> Path:
        """Write the profile as one HTML page that needs no network; returns the path."""
        return write_text(profile_page(self), path)


def profile(data: Any, *, columns: Sequence[str] | None = None, like: Profile | None = None, name: str = "") -> Profile:
    """Profile a table: counts, nulls, moments, quantiles, distinct and top values of every column, in one pass.

    Args:
        data: Anything that `as_frame` takes.
        columns: Columns to look at; all by default.
        like: An earlier profile whose grids to use, so that the two can be merged.
        name: What to call the table.

    Raises:
        UsageError: ``data`` is no table.
        DataError: It cannot be read.

    Example:
        >>> made = profile({"x": [1.0, 2.0, None], "colour": ["red", "red", "blue"]})
        >>> made.summary.columns["x"].nulls, made.summary.columns["colour"].distinct
        (1, 2)
    """
    frame = pick(as_frame(data), columns)
    return Profile(summarise(frame, like=None if like is None else like.summary), name)


def checked_key(key: str | Sequence[str], frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the key's columns, all of which the frame must have."""
    names = (key,) if isinstance(key, str) else tuple(key)
    for column in names:
        if column not in frame.columns:
            raise UnknownName.of("column", column, frame.columns)
    return names
