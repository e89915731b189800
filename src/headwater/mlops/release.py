"""The release gate: may this candidate take over from the champion?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError, HeadwaterError
from headwater.core.project import Task
from headwater.mlops.serving import Score, scored
from headwater.mlops.soundness import Check, GateLimits, number, sound
from headwater.mlops.training import WINDOW
from headwater.stats.outcomes.displacement import displacement, places, span
from headwater.stats.outcomes.intervals import t_interval, t_quantile
from headwater.stats.outcomes.task_loss import NAMES, task_loss


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate found.

    Attributes:
        passed: Whether every check passed.
        checks: Every check that was made.
        displacement: Mean absolute difference between the candidate's and the champion's p on the same rows: what a
            release is approved to move (for other tasks see `stats.outcomes.displacement`). None for a first release.
        flipped: Share of decisions that change; None for a first release, and where the task has no decisions.
    """

    passed: bool
    checks: tuple[Check, ...]
    displacement: float | None
    flipped: float | None = None

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)


def gate(
    candidate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    frame: pl.DataFrame,
    score: Score,
    *,
    outcome: str,
    columns: Sequence[str],
    windows: Sequence[str] | pl.Series | None = None,
    limits: GateLimits | None = None,
    healthy: bool = True,
    reason: str = "",
    slices: Sequence[str] = (),
    task: Task = "binary",
    query: str = "",
) -> GateReport:
    """Compare a candidate with the champion on the same labelled rows, window by window.

    Refuses a candidate that is not shown to be no worse than the champion (non-inferiority of the loss, the paired
    difference averaged per window, t bound over windows), that ranks or calibrates badly, whose p is not a number, or
    that was trained on windows under quarantine or in an open incident. It cannot see harm that shows only in rows the
    frame lacks: the frame should be recent, and not trained on.

    Args:
        candidate: Parts of the candidate by name.
        champion: Parts of the champion; None for a first release, which meets the absolute checks only.
        frame: Served features with the outcome. Rows without an outcome are left out.
        score: The project's score function; it is given ``frame`` without the outcome.
        outcome: The label column: 0 or 1.
        columns: The feature columns, which must be there.
        windows: The window key of each row; None: the frame's ``_window`` column.
        limits: What to meet; None: the defaults.
        healthy: Whether the candidate's training windows are free of quarantine and open incidents.
        reason: Why not.
        slices: Columns of ``frame`` whose values must not be made worse.
        task: What is predicted; the loss is the log loss, the absolute error or 1 - NDCG.
        query: For a ranking, the column whose rows are ranked against each other.

    Returns:
        The report. The caller raises `GateRefused` when it did not pass.

    Raises:
        DataError: columns are missing or no row is labelled.
        ModelError: the champion cannot score (the candidate's failure is a failed check).
    """
    limits = limits or GateLimits()
    rows, keys = _labelled(frame, windows, [outcome, *columns, *slices, *([query] if query else [])])
    y, served = rows[outcome].cast(pl.Float64).to_numpy(), rows.drop(outcome, WINDOW, strict=False)
    checks = [_health(healthy, reason)]
    try:
        new = scored(score, candidate, served, task)
    except HeadwaterError as error:
        checks.append(Check("scores", False, None, None, error.message))
        return GateReport(False, tuple(checks), None)
    checks.append(Check("scores", True, None, None, f"{rows.height} rows have {_VALID[task]}"))
    queries = rows[query].to_list() if query else None
    checks += sound(task, y, new[0].to_numpy(), keys, limits, queries)
    moved = flipped = None
    if champion is not None:
        old = scored(score, champion, served, task)
        moved = _displacement(task, new[0].to_numpy(), old[0].to_numpy(), queries)
        flipped = float((new[1] != old[1]).mean()) if task == "binary" else None  # type: ignore[arg-type]
        ours, at = task_loss(task, y, new[0].to_numpy(), queries)
        theirs, _ = task_loss(task, y, old[0].to_numpy(), queries)
        checks.append(_no_worse(task, ours, theirs, keys.gather(at), limits))
        checks += _slices(rows[at], ours, theirs, slices, limits)
    return GateReport(all(check.passed for check in checks), tuple(checks), moved, flipped)


def _labelled(
    frame: pl.DataFrame, windows: Sequence[str] | pl.Series | None, needed: Sequence[str]
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the rows whose outcome, the first column needed, is known, and the window of each."""
    if windows is None and WINDOW in frame.columns:
        windows = frame[WINDOW]
    if windows is None:
        raise DataError("the gate's frame does not say which window a row is of", hint=f"add a column `{WINDOW}`")
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(f"the gate's frame lacks `{'`, `'.join(missing)}`")
    keys = pl.Series("window", list(windows), dtype=pl.String)
    if len(keys) != frame.height:
        raise DataError(f"{len(keys)} window keys do not fit {frame.height} rows of the gate's frame")
    there = frame[needed[0]].is_not_null()
    rows, keys = frame.filter(there), keys.filter(there)
    if not rows.height:
        raise DataError(
            "no row of the gate's frame is labelled", hint="deliver labels for the windows the gate compares on"
        )
    return rows, keys


def _health(healthy: bool, reason: str) -> Check:
    detail = "its training windows are free of quarantine and open incidents"
    return Check("training windows", healthy, None, None, detail if healthy else reason or "trained on bad windows")


_VALID = {"binary": "a p in 0..1 and a decision", "regression": "a finite prediction", "ranking": "a finite score"}


def _displacement(task: Task, new: np.ndarray, old: np.ndarray, queries: Sequence[Any] | None) -> float:
    if task == "ranking" and queries is not None:
        new, old = places(new, queries), places(old, queries)
    return displacement(new, old, span(old) if task == "regression" else 1.0)


def _no_worse(task: Task, new: np.ndarray, old: np.ndarray, keys: pl.Series, limits: GateLimits) -> Check:
    gaps = pl.DataFrame({"key": keys, "gap": new - old}).group_by("key", maintain_order=True).agg(pl.mean("gap"))
    bound = t_interval(gaps["gap"].to_numpy(), confidence=2 * limits.confidence - 1)  # one-sided by its upper end
    limit = limits.margin * float(old.mean())
    name = f"{NAMES[task]} against champion"
    if gaps.height < 2:
        return Check(name, False, None, limit, "one window cannot tell: compare on more")
    return Check(
        name,
        bound.high <= limit,
        number(bound.high),
        limit,
        f"{bound.value:+.4f} on average over {gaps.height} windows, "
        f"at most {bound.high:+.4f} ({limits.confidence:.0%}); {limit:+.4f} is allowed",
    )


def _slices(
    rows: pl.DataFrame, new: np.ndarray, old: np.ndarray, slices: Sequence[str], limits: GateLimits
) -> list[Check]:
    found: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name in slices:
        values = rows.select(name).with_row_index("row").group_by(name, maintain_order=True).agg("row")
        for value, where in values.iter_rows():
            if len(where) >= limits.slice_rows:
                found.append((f"{name}={value}", new[where], old[where]))
    if not found:
        detail = f"no slice of {', '.join(slices)} has {limits.slice_rows} rows"
        return [Check("slices", True, None, 0.0, detail)] if slices else []
    worst, bad = -math.inf, []
    for label, ours, theirs in found:
        gap, allowed = ours - theirs, limits.slice_margin * float(theirs.mean())
        tail = 1 - (1 - limits.confidence) / len(found)  # Bonferroni over the slices judged
        low = float(gap.mean()) - t_quantile(tail, len(gap) - 1) * float(gap.std(ddof=1)) / math.sqrt(len(gap))
        worst = max(worst, low - allowed)
        if low > allowed:
            bad.append(f"{label} by {gap.mean():+.4f} (n {len(gap)})")
    detail = f"worse on {', '.join(bad)}" if bad else f"no worse on {len(found)} slices of {limits.slice_rows} rows"
    return [Check("slices", not bad, number(worst), 0.0, detail)]
