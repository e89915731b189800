"""The course of a table's columns over the window (the day), and how a frame agrees with it when it is moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.stats.signatures import measures
from headwater.stats.signatures.measures import SLOTS
from headwater.stats.signatures.views import Floats, Ints, View

# Row k holds, for each slot, the slot that its rows come from when everything was moved k slots later.
_MOVED = (np.arange(SLOTS)[None, :] - np.arange(SLOTS)[:, None]) % SLOTS


@dataclass
class Clockwork:
    """Mean course of each column, and of the row counts, over the 24 slots of the window.

    ``phase`` is the gain in fit, in squared standard errors, from moving the frame by whole slots: near nothing when
    the times are right, large when the times of the rows were shifted, even if they were cut into windows afterwards.
    It is blind to columns without a daily course.
    """

    time: str
    columns: Sequence[str]
    courses: dict[str, Floats]
    centered: dict[str, Floats] = field(default_factory=dict)
    noise: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, time: str, columns: Sequence[str], views: Sequence[View]) -> Clockwork | None:
        """Learn the courses from the reference windows; None when there are too few."""
        if len(views) < 5:
            return None
        raw: dict[str, list[Floats]] = {name: [] for name in ["", *columns]}
        for view in views:
            for name, course in _courses(view, time, columns).items():
                raw[name].append(course)
        found = cls(time, [], {})
        used = []
        for name, courses in raw.items():
            table = np.array(courses)
            centered = table - _mean(table.T)[:, None]
            if np.isfinite(centered).mean() < 0.3:
                continue
            mean = _mean(centered)
            noise = np.sqrt(np.nanmean((centered - mean) ** 2))
            found.courses[name], found.centered[name] = table, centered
            found.noise[name] = np.array(noise)
            if noise > 0 and np.nanvar(mean) > 0.05 * noise**2:
                used.append(name)
        found.columns = used
        return found if used else None

    def touches(self, columns: Collection[str] | None) -> bool:
        """Tell whether a change of these columns can change the metrics."""
        return columns is None or self.time in columns or bool(set(columns) & set(self.columns))

    def metrics(self, view: View, without: int | None, wrap: bool) -> dict[str, float]:
        """Return ``phase`` (gain of the best move), ``course`` (misfit), ``hours`` (rows out of their slot)."""
        if not view.present(self.time):
            return {}
        losses, moved = self.losses(view, without, wrap)
        if losses is None:
            return {}
        gain = float(losses[0] - losses.min())
        return {f"phase:{self.time}": gain, f"course:{self.time}": float(losses[0]), f"hours:{self.time}": moved}

    def losses(self, view: View, without: int | None = None, wrap: bool = False) -> tuple[Floats | None, float]:
        """Return the misfit for each move by 0 to 23 slots, and the distance of the row counts from usual.

        With ``wrap``, rows of a neighbouring window are compared with the course as well, but not with its level: two
        days differ.
        """
        pieces = _pieces(view, self.time) if wrap else np.zeros(SLOTS, dtype=np.int64)
        courses = _courses(view, self.time, [name for name in self.columns if name])
        total = np.zeros(SLOTS)
        used = 0
        for name in self.columns:
            own = courses.get(name)
            if own is None or np.isfinite(own).sum() < SLOTS / 3:
                continue
            usual = self._usual(name, without)
            own = own - np.nanmean(own)
            gap = (own - usual[_MOVED]) / self.noise[name]
            for piece in (0, 1) if name and pieces.any() else ():
                part = pieces == piece
                gap[:, part] -= np.nan_to_num(_mean(gap[:, part].T))[:, None]
            # A slot counts at most nine: one odd hour must not decide, and the slots of a day are not independent.
            total += np.nan_to_num(_mean(np.minimum(gap**2, 9.0).T), nan=9.0) * SLOTS / 2
            used += 1
        counts = courses[""]
        usual_counts = self.courses.get("", None)
        moved = np.nan
        if usual_counts is not None:
            rest = usual_counts if without is None else np.delete(usual_counts, without, axis=0)
            moved = float(0.5 * np.abs(counts - rest.mean(axis=0)).sum())
        return (total if used else None), moved

    def _usual(self, name: str, without: int | None) -> Floats:
        table = self.centered[name]
        return _mean(table if without is None else np.delete(table, without, axis=0))


def _mean(table: Floats) -> Floats:
    given = np.isfinite(table)
    counts = given.sum(axis=0)
    sums = np.where(given, table, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _pieces(view: View, time: str) -> Ints:
    """Return which slots are mostly filled with rows from outside of the window."""
    elapsed = view.elapsed(time)
    slots = measures.slots_of(elapsed, view.length)
    inside = (elapsed >= 0) & (elapsed < view.length)
    given = slots >= 0
    share = np.bincount(slots[given], weights=inside[given], minlength=SLOTS)
    return (share < 0.5 * np.bincount(slots[given], minlength=SLOTS)).astype(np.int64)


def _courses(view: View, time: str, columns: Sequence[str]) -> dict[str, Floats]:
    slots = measures.slots_of(view.elapsed(time), view.length)
    counts = np.bincount(slots[slots >= 0], minlength=SLOTS)
    result = {"": counts / max(counts.sum(), 1)}
    for name in columns:
        if view.present(name):
            result[name] = measures.slot_means(view.number(name), slots)
    return result
