"""Rows of large tables by a hash of their key: the same rows of every table and every version of it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

LARGE, TAKEN = 200_000, 50_000
"""Tables of more rows than the first are tested on about as many rows as the second."""


def one_in(rows: int) -> int:
    """Return which share of that many rows is taken: every how manyth; 1 takes all."""
    return 1 if rows <= LARGE else max(1, rows // TAKEN)


def thinned(frame: pl.DataFrame, key: Sequence[str], every: int) -> pl.DataFrame:
    """Keep the rows whose key falls into the sample; all rows where nothing is to be left out or the key is not there.

    The same key is taken in every frame in which it has the same type, so rows of parents, children and versions still
    find each other. It misleads for what is computed over rows of different keys: a mean of a sample is another mean.

    Example:
        >>> frame = pl.DataFrame({"id": range(10_000), "x": range(10_000)})
        >>> kept = thinned(frame, ["id"], 10)
        >>> 800 < kept.height < 1200 and kept.equals(thinned(frame.reverse(), ["id"], 10).sort("id"))
        True
    """
    if every <= 1 or not key or not set(key) <= set(frame.columns):
        return frame
    return frame.filter(marked(key, every))


def marked(key: Sequence[str], every: int) -> pl.Expr:
    """Say of each row whether its key falls into a sample of every so manyth key."""
    hashed = pl.struct(key).hash(seed=0) if len(key) > 1 else pl.col(key[0]).hash(seed=0)
    return (hashed % every == 0).alias("taken")
