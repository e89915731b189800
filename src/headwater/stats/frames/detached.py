"""Take a frame out of memory that whoever made it may go on writing to."""

from __future__ import annotations

import polars as pl


def detached(frame: pl.DataFrame) -> pl.DataFrame:
    """Copy the numbers of a frame, so that nothing outside can change them any more.

    Polars takes a NumPy array over as it is. A function that fills the same array for every window would otherwise
    change rows that were handed over before, after they were hashed.

    Args:
        frame: Any frame.

    Returns:
        An equal frame; columns that hold no numbers are shared with the one given.

    Example:
        >>> import numpy as np, polars as pl
        >>> numbers = np.array([1.0, 2.0])
        >>> lent = pl.DataFrame({"x": numbers})
        >>> own = detached(lent)
        >>> numbers[:] = 0
        >>> lent["x"].to_list(), own["x"].to_list()
        ([0.0, 0.0], [1.0, 2.0])
    """
    lent = [series for series in frame.iter_columns() if _lendable(series.dtype)]
    if not lent or not frame.height:
        return frame
    part = pl.DataFrame({series.name: series for series in lent})  # in a list, one without a name would get one
    # Polars copies when two parts that hold rows become one; of a single part it would give the same memory back.
    own = pl.concat([part, part.head(1)], rechunk=True).head(frame.height)
    return frame.with_columns(*own.iter_columns())


def _lendable(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float() or isinstance(dtype, pl.Array)
