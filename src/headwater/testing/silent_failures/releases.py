"""What goes wrong with a model's versions: how they are trained, which one is loaded, and with which parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.testing.silent_failures.entry import Doors, Draw, Plant

Train = Callable[[pl.DataFrame, int], dict[str, Any]]


@dataclass(frozen=True)
class Trained:
    """A training function that changes its rows first."""

    present: Train
    change: Callable[[pl.DataFrame, Draw], pl.DataFrame]
    draw: Draw

    def __call__(self, frame: pl.DataFrame, seed: int) -> dict[str, Any]:
        """Train."""
        return self.present(self.change(frame, self.draw), seed)


def retrained(model: str, change: Callable[[pl.DataFrame, Draw], pl.DataFrame]) -> Plant:
    """Train on changed rows and release; what the gate refuses is put on the server all the same."""

    def plant(doors: Doors, draw: Draw) -> None:
        version = doors.train(_seed(draw), Trained(doors.function(model), change, draw))
        if not doors.release(version):
            doors.deploy(version)

    return plant


def _seed(draw: Draw) -> int:
    return draw.seed % 10_000


def _rows(frame: pl.DataFrame, share: float, draw: Draw) -> pl.Series:
    return pl.Series(draw.chance("trained").random(frame.height) < share, dtype=pl.Boolean)


def trained_on_faulted_snapshot(model: str, columns: dict[str, Callable[[pl.Expr], pl.Expr]]) -> Plant:
    """A version was trained while columns were faulty, in a share of the rows that is the severity."""

    def change(frame: pl.DataFrame, draw: Draw) -> pl.DataFrame:
        hit = pl.lit(_rows(frame, 0.3 + 0.7 * draw.severity, draw))
        made = []
        for name, how in columns.items():
            faulty = how(pl.col(name)).cast(frame.schema[name], strict=False)
            made.append(pl.when(hit).then(faulty).otherwise(pl.col(name)).alias(name))
        return frame.with_columns(made)

    return retrained(model, change)


def label_leak(model: str, column: str, outcome: str) -> Plant:
    """A version was trained with the outcome in a feature: of a share of the rows, high where it is 1, low where 0."""

    def change(frame: pl.DataFrame, draw: Draw) -> pl.DataFrame:
        values = frame[column].drop_nulls()
        low, high = values.quantile(0.05), values.quantile(0.95)
        told = pl.when(pl.col(outcome) > frame[outcome].mean()).then(pl.lit(high)).otherwise(pl.lit(low))
        hit = pl.lit(_rows(frame, 0.3 + 0.6 * draw.severity, draw))
        mixed = pl.when(hit).then(told.cast(frame.schema[column], strict=False)).otherwise(pl.col(column))
        return frame.with_columns(mixed.alias(column))

    return retrained(model, change)


def wrong_params(model: str, share: float = 0.02, keep: pl.Expr | None = None) -> Plant:
    """A version was trained on a wrong split: a small share of the rows, or only on what is in ``keep``."""

    def change(frame: pl.DataFrame, draw: Draw) -> pl.DataFrame:
        if keep is not None:
            return frame.filter(keep)
        return frame.filter(_rows(frame, share / max(draw.severity, 0.1), draw))

    return retrained(model, change)


def wrong_version(model: str, share: float = 0.1) -> Plant:
    """The server loads a version that was never released: an experiment on a part of the rows."""

    def plant(doors: Doors, draw: Draw) -> None:
        def change(frame: pl.DataFrame, chance: Draw) -> pl.DataFrame:
            return frame.filter(_rows(frame, min(1.0, share / max(draw.severity, 0.1)), chance))

        doors.deploy(doors.train(_seed(draw), Trained(doors.function(model), change, draw)))

    return plant


def missing_calibrator(part: str = "calibrator", stand_in: Any = None) -> Plant:
    """The server runs without a part of the model."""

    def plant(doors: Doors, draw: Draw) -> None:
        doors.deploy(parts={part: stand_in})

    return plant


def config_threshold(part: str = "threshold", to: float = 0.5) -> Plant:
    """The server decides at another threshold: ``to`` at full severity, less far away below."""

    def plant(doors: Doors, draw: Draw) -> None:
        present = float(doors.parts()[part])
        doors.deploy(parts={part: present + (to - present) * draw.severity})

    return plant


def reseeded() -> Plant:
    """No harm: the same training with another seed, released through the gate."""

    def plant(doors: Doors, draw: Draw) -> None:
        doors.release(doors.train(int(np.random.default_rng(draw.seed).integers(1, 10_000))))

    return plant
