"""Harmless changes: they happen all the time, and whoever blames one of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures import deployed, releases
from headwater.testing.silent_failures.entry import Decoy, Draw
from headwater.testing.silent_failures.feeds import changed_feed


def refactor(asset: str, ref: str) -> Decoy:
    """Deploy other code with the same output. ``ref`` is the asset's full reference."""
    return Decoy(f"refactor_{asset}", "refactor", ref, deployed.refactored(asset), "other code, the same rows")


def rounding(asset: str, ref: str, columns: str | Sequence[str]) -> Decoy:
    """Deploy code whose numbers differ by 1e-7 of their size."""
    plant = deployed.rounded(asset, columns)
    return Decoy(f"rounding_{asset}", "rounding", ref, plant, "numbers that differ in their last digits")


def reseed(ref: str) -> Decoy:
    """Train with another seed and release through the gate. ``ref`` is the model's or its deployment's."""
    return Decoy("reseed", "reseed", ref, releases.reseeded(), "the same training with another seed, released")


def reorder(source: str, ref: str) -> Decoy:
    """Send the same rows in another order."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        return frame[draw.chance("order", window.key).permutation(frame.height).tolist()]

    return Decoy(f"reorder_{source}", "reorder", ref, changed_feed(source, change), "the same rows in another order")


def added_column(source: str, ref: str, name: str = "batch_id") -> Decoy:
    """Send a column that nobody reads."""

    def change(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
        return frame.with_columns(pl.lit(f"{window.key}-a").alias(name))

    return Decoy(f"column_{source}", "column", ref, changed_feed(source, change), "a new column that nobody reads")
