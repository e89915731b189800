"""Rates of alarms with an interval that knows that windows of one month resemble each other; shares seen of plants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

SPAN = 7
"""Windows that a planted change stays for, and within which it is seen or not."""


@dataclass(frozen=True)
class Rate:
    """How often something happens in clean windows.

    Attributes:
        windows: Clean windows that were judged.
        alarms: Those with an alarm.
        spells: Runs of alarms with less than a week of quiet between them: what somebody would be woken for.
        clusters: Groups of windows that are not independent of each other.
        low: Lower bound of the share of windows with an alarm, 95 %.
        high: Upper bound.
    """

    windows: int
    alarms: int
    spells: int
    clusters: int
    low: float
    high: float

    @property
    def per1000(self) -> float:
        """Alarms in 1000 windows."""
        return 1000 * self.alarms / self.windows if self.windows else float("nan")


def clustered(alarms: Sequence[bool], clusters: Sequence[str], confidence: float = 0.95) -> tuple[float, float]:
    """Bound a share of windows whose alarms come in clumps: Clopper and Pearson with the effective number of windows.

    The windows count for as many as independent ones would that tell as much, by the variance between clusters. It
    misleads where clusters are few, and where no window alarmed: clumps that were never seen cannot be measured, so
    windows then count as independent and the upper bound is too low if alarms would have come in clumps.

    Args:
        alarms: For each window, whether it alarmed.
        clusters: Its cluster, such as feed and month.
        confidence: Of the interval.

    References:
        Korn, Graubard (1998), Confidence intervals for proportions with small expected number of positive counts
        estimated from survey data, Survey Methodology 24(2).

    Example:
        >>> [round(bound, 3) for bound in clustered([False] * 100, ["a"] * 50 + ["b"] * 50)]
        [0.0, 0.036]
    """
    hit, names = np.asarray(alarms, dtype=float), np.asarray(clusters)
    count, share = len(hit), float(hit.mean()) if len(hit) else 0.0
    if not count:
        return 0.0, 1.0
    groups = np.unique(names)
    effective = float(count)
    if 0 < share < 1 and len(groups) > 1:
        off = np.array([(hit[names == group] - share).sum() for group in groups])
        variance = len(groups) / (len(groups) - 1) * float((off**2).sum()) / count**2
        design = max(1.0, variance / (share * (1 - share) / count))
        few = (stats.t.ppf((1 + confidence) / 2, count - 1) / stats.t.ppf((1 + confidence) / 2, len(groups) - 1)) ** 2
        effective = count / design * float(few)
    positive, tail = share * effective, (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, positive, effective - positive + 1)) if share > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, positive + 1, effective - positive)) if share < 1 else 1.0
    return low, high


def spells(alarms: Sequence[bool], quiet: int = SPAN) -> int:
    """Count the runs of alarms of one series that have at least ``quiet`` windows without one between them.

    Example:
        >>> spells([True, True, False, True, *[False] * 7, True])
        2
    """
    places = np.flatnonzero(np.asarray(alarms, dtype=bool))
    return int(len(places) > 0) + int((np.diff(places) > quiet).sum())


def rate(judged: Sequence[Mapping[str, Any]]) -> Rate:
    """Sum up clean windows, one row per series and window: ``series``, ``cluster``, ``alarm``; in order by series."""
    hit = [bool(row["alarm"]) for row in judged]
    groups = [str(row["cluster"]) for row in judged]
    by: dict[str, list[bool]] = {}
    for row in judged:
        by.setdefault(str(row["series"]), []).append(bool(row["alarm"]))
    low, high = clustered(hit, groups)
    return Rate(len(hit), sum(hit), sum(spells(one) for one in by.values()), len(set(groups)), low, high)


def seen(delays: Sequence[int | None], within: int) -> float:
    """Return the share of planted changes that were seen within so many windows, the first being 1.

    Args:
        delays: Windows from the first of the change (0) to the one in which it was seen; None if it never was.
        within: How many windows count.

    Example:
        >>> seen([0, 3, None, 7], 7)
        0.5
    """
    return float(np.mean([delay is not None and delay < within for delay in delays])) if delays else float("nan")
