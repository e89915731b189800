"""Say where a fault stands in one pipeline, and change the population of several feeds at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures.entry import Doors, Draw, Fault, Hook, Plant, Shape
from headwater.testing.silent_failures.kinds import KINDS

Joined = Callable[[Doors, Window], pl.DataFrame]
"""``joined(doors, window)``: the true cases of a window, one row each, with what is needed to choose among them."""


@dataclass(frozen=True)
class Sites:
    """Names of one project: turns bare names into ground truth.

    Attributes:
        project: Namespace of the project.
        model: The model that faults of training, release and serving are about.
    """

    project: str
    model: str

    def ref(self, asset: str) -> str:
        """Return the full reference of a dataset."""
        return f"dataset:{self.project}/{asset}"

    @property
    def deployment(self) -> str:
        """The reference of what serves the model."""
        return f"deployment:{self.project}/{self.model}"

    def fault(
        self,
        name: str,
        kind: str,
        asset: str,
        plant: Plant,
        describe: str,
        shapes: tuple[Shape, ...] = (),
        side: Literal["data", "ml", ""] = "",
    ) -> Fault:
        """Make a fault of a dataset; side (unless the asset's is another one) and remedies are its kind's."""
        what = KINDS[kind]
        return Fault(
            name, kind, self.ref(asset), side or what.side, what.remedies, plant, shapes=shapes, describe=describe
        )

    def loaded(self, name: str, kind: str, plant: Plant, describe: str) -> Fault:
        """Make a fault of what the server has loaded."""
        what = KINDS[kind]
        return Fault(name, kind, self.deployment, what.side, what.remedies, plant, describe=describe)

    def scorer(self, name: str, plant: Plant, describe: str) -> Fault:
        """Make a fault of the scoring code; the prediction log and the deployment that writes it are one thing."""
        what = KINDS["batch_misaligned"]
        log = self.ref(f"{self.model}_predictions")
        accepted = frozenset({self.deployment})
        return Fault(name, what.name, log, what.side, what.remedies, plant, accepted, describe=describe)

    def world(self, name: str, kind: str, plant: Plant, describe: str, shapes: tuple[Shape, ...] = ()) -> Fault:
        """Make a change of the world, which no asset is to blame for."""
        what = KINDS[kind]
        return Fault(name, kind, "", what.side, what.remedies, plant, shapes=shapes, describe=describe)


def other_cases(feeds: Mapping[str, tuple[str, str]], cases: Joined, wanted: pl.Expr, share: float = 0.8) -> Plant:
    """Let other cases come than before, in every feed alike: cases that are not ``wanted`` give way to ones that are.

    Each case that gives way keeps its ids, and takes all else from a wanted case of the same window, also its outcome:
    the population shifts, and what follows from being such a case is as real as before.

    Args:
        feeds: For each source the column of its key, and the column of ``cases`` that holds it.
        cases: The true cases of a window.
        wanted: Which of them become more, over the columns of ``cases``.
        share: Share of the others that give way at full strength.
    """

    def plant(doors: Doors, draw: Draw) -> None:
        for source, (key, column) in feeds.items():
            doors.feed(source, _shifted(doors, draw, key, column, cases, wanted, share))

    return plant


def _shifted(doors: Doors, draw: Draw, key: str, column: str, cases: Joined, wanted: pl.Expr, share: float) -> Hook:
    def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
        strength = draw.strength(window)  # by the cases' own window: outcomes of older cases are what they were
        if strength <= 0:
            return frame
        swapped = _swapped(cases(doors, window), wanted, share * strength, draw, window)
        named = swapped.select(pl.col(f"{column}_in").alias(key), pl.col(f"{column}_from").alias("\x00from"))
        own = frame.select(key).join(named, on=key, how="left", maintain_order="left")
        whole = own.with_columns(pl.col("\x00from").fill_null(pl.col(key)))
        taken = frame.rename({key: "\x00from"})
        return whole.join(taken, on="\x00from", how="left", maintain_order="left").select(frame.columns)

    return hook


def _swapped(cases: pl.DataFrame, wanted: pl.Expr, share: float, draw: Draw, window: Window) -> pl.DataFrame:
    """Pair the cases that give way (columns ``_in``) with the wanted ones they copy (columns ``_from``)."""
    chosen = cases.select(hit=wanted.fill_null(False))["hit"]
    chance = draw.chance("cases", window.key)
    gone = cases.filter(~chosen & pl.Series(chance.random(cases.height) < share, dtype=pl.Boolean))
    pool = cases.filter(chosen)
    if not pool.height:
        gone = gone.clear()
    picked = pool[chance.integers(0, max(pool.height, 1), gone.height).tolist()]
    return pl.concat([gone.select(pl.all().name.suffix("_in")), picked.select(pl.all().name.suffix("_from"))],
                     how="horizontal")  # fmt: skip


def other_outcomes(
    source: str, key: str, cases: Joined, where: pl.Expr, columns: Mapping[str, pl.Expr], share: float = 1.0
) -> Plant:
    """Let the same cases end differently from the onset on: outcome columns change where the case is such.

    Args:
        source: The feed of outcomes; what of it arrives from the onset on is changed.
        key: Its key, which ``cases`` has too.
        cases: The true cases of a window.
        where: Which cases end differently, over the columns of ``cases``.
        columns: What the outcome columns become, over the feed's columns; null where a row stays as it is.
        share: Share of these cases that it happens to at full strength.
    """

    def plant(doors: Doors, draw: Draw) -> None:
        lag = doors.lag(source)

        def hook(frame: pl.DataFrame, window: Window) -> pl.DataFrame | None:
            strength = draw.strength(window, lag)
            if strength <= 0:
                return frame
            such = cases(doors, window).filter(where.fill_null(False))[key]
            lucky = pl.Series(draw.chance("ends", window.key).random(frame.height) < share * strength, dtype=pl.Boolean)
            hit = frame[key].is_in(such.implode()) & lucky
            return frame.with_columns(
                pl.when(pl.lit(hit)).then(pl.coalesce(value, pl.col(name))).otherwise(pl.col(name)).alias(name)
                for name, value in columns.items()
            )

        doors.feed(source, hook)

    return plant
