"""Distribution of a table's columns. A jump is drawn and kept, and triage looks for a signature; it wakes nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import DIRECTIONS, LIMIT
from headwater.stats.alarms.drifts import Drift
from headwater.stats.alarms.eprocess import e_bh
from headwater.stats.alarms.exceedance import Baseline, Score

DRIFT = 1000.0
"""Evidence of a small persistent shift, over the most that accepted history held, that is worth a notice."""


EXTREME = 4.0
"""Exceedance of a whole column from which it wakes somebody."""
KEPT, GAINED = 0.6, 2.0
"""Rows, as a share of those before, from which a drift of their number wakes somebody. Seasons make two of three."""
_REPEAT, _DRIFTED = 10.0, "has drifted"
_NO_BAND = 1e-6  # what never moved has no edges worth reading
_DISCOVERIES = 0.1  # wanted false discovery rate among the columns of a window
_CLOCKED = ("min_hours", "max_hours", "offset", "offset_wall")  # one odd row sets them: they jump and never drift
_QUARTILES = ("q25", "q50", "q75")


class DistributionMonitor:
    """Notice columns whose means, quantiles or shares left their band, or drifted.

    Storms and holidays move distributions as far as faults do, so a jump is only a notice: what sets a fault apart is a
    repair that undoes it, and that is looked for in triage. It alarms where no weather can be the reason: the whole
    body of a column, mean and quartiles alike, is four bands away, or texts of one length now have another. And the
    number of rows, where it breathes so much that half of them is inside its band: a drift of it to less than .6 or
    more than twice of what it was. One finding per column, named after its most unusual metric.

    A drift of a column is told once in two weeks (of hours: two days), in whatever metric it shows.

    Shares and counts that `structure` watches for jumps are looked at for drift here as well: a column that is null in
    one row of 170 from some day on is far inside its band, and never again out of it.

    Measured (`make bench-quiet`): on 1,877 clean days of seven real tables it never alarms and notices something in
    9 % of the days (20 % for a table of 19 columns with a strong season, 4 % for one of 8), 0.13 columns a day. With
    weeks as windows it notices something in 24 %: half a year of weeks is too little to know a season.
    """

    name = "distribution"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at profiles."""
        return [finding for item in evidence if item.type == "profile" for finding in self._table(item, history, now)]

    def _table(self, item: Evidence, history: History, now: datetime) -> list[Finding]:
        scores = {metric: score for metric, score in history.scores(item).items() if score.r > 0}
        baseline = history.baseline(item.type, item.subject, item.window)
        told = self._told(item, history, baseline.keys[-baseline.warm :])
        drifts = {one: baseline.drift(item.window, item.values, one) for one in _drifting(scores)}
        drifting = {
            one for one in drifts
            if self._is_news(item, one, scores[one], history, told) or _is_loss(one, drifts[one])
        }  # fmt: skip
        columns: dict[str, list[str]] = defaultdict(list)
        for metric, score in scores.items():
            if (score.r > LIMIT and metric.split(".", 1)[0] not in DIRECTIONS) or metric in drifting:
                columns[metric.partition(".")[2]].append(metric)
        found = []
        for metrics in columns.values():
            worst = max(metrics, key=lambda metric: (scores[metric].r, scores[metric].evidence))
            extreme = _extreme(worst.partition(".")[2], scores, baseline, item.values)
            others = [name for name in metrics if name != worst]
            drift = drifts.get(worst) if scores[worst].r <= LIMIT else None
            severe = extreme or (drift is not None and _is_loss(worst, drift))
            severity: Literal["alarm", "notice"] = "alarm" if severe else "notice"
            found.append(self._finding(item, worst, scores[worst], drift, others, severity, now))
        return found

    def _told(self, item: Evidence, history: History, recent: Sequence[str]) -> set[str]:
        """Return the columns of which a drift was told in a recent window: what drifts, drifts in many metrics."""
        found = set()
        for metric in item.values:
            last = history.newest_notice(self.name, item.subject, metric)
            if last and recent and recent[0] <= last.window < item.window and _DRIFTED in last.detail:
                found.add(metric.partition(".")[2])
        return found

    def _is_news(self, item: Evidence, metric: str, score: Score, history: History, told: Collection[str]) -> bool:
        """Tell whether a drift is to be told: a standing one speaks again weeks later, if it is clearer then."""
        last = history.newest_notice(self.name, item.subject, metric)
        if last is not None and last.window >= item.window:
            return True
        clearer = last is None or score.evidence / DRIFT > _REPEAT * last.score
        return clearer and metric.partition(".")[2] not in told

    def _finding(
        self,
        item: Evidence,
        metric: str,
        score: Score,
        drift: Drift | None,
        others: Sequence[str],
        severity: Literal["alarm", "notice"],
        now: datetime,
    ) -> Finding:
        band = f" ({score.low:.4g} to {score.high:.4g})"
        if score.high - score.low < _NO_BAND * max(1.0, abs(score.expected)):
            band = " as ever"
        detail = f"{metric} is {score.value:.4g}, expected {score.expected:.4g}{band}"
        value, expected = score.value, score.expected
        if drift is not None:
            value, expected = drift.level, drift.before
            begun = f"{_DRIFTED} since {drift.since} (e-value {score.evidence:.3g})"
            detail = f"{metric} {begun}: {value:.4g} on average, {expected:.4g} before"
        if others:
            detail += f"; also {', '.join(others[:4])}" + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        return item.finding(
            self.name,
            metric,
            severity,
            score.r if score.r > LIMIT else score.evidence / DRIFT,
            detail,
            now,
            value,
            expected,
        )


def _extreme(column: str, scores: Mapping[str, Score], baseline: Baseline, values: Mapping[str, Any]) -> bool:
    """Tell whether a column is as no weather makes it.

    Single quantiles will not do: in columns with few values they jump from one to the next. Nor will a number that is
    the same in all rows, like that of the week: it is a stamp of the window. And of one that was the same ever since,
    like snow before the first winter, nobody knows how far it may move.
    """
    quartiles = [scores.get(f"{metric}.{column}") for metric in _QUARTILES]
    length = scores.get(f"length_mean.{column}")
    if length is not None and length.r >= EXTREME and baseline.steady(f"length_mean.{column}"):
        return not _names_its_window(f"distinct.{column}", baseline, values)
    mean, spread = scores.get(f"mean.{column}"), scores.get(f"std.{column}")
    lowest, highest = quartiles[0], quartiles[-1]
    if spread is None:  # of numbers beyond 1e154 there is no square, and beyond 1e307 perhaps no sum
        varied = lowest is not None and highest is not None and lowest.value < highest.value
    else:
        varied = spread.value > 0 and mean is not None
    if mean is not None and np.unique(baseline.values(f"mean.{column}")).size == 1:
        return False
    body = quartiles if mean is None else [mean, *quartiles]
    return varied and all(score is not None and score.r >= EXTREME for score in body)


def _names_its_window(distinct: str, baseline: Baseline, values: Mapping[str, Any]) -> bool:
    """Tell whether all rows of each window have one text, like the name of its month: new ones come by the calendar."""
    counts = [*baseline.values(distinct), float(values.get(distinct, np.nan))]
    return bool(np.isfinite(counts).any()) and float(np.nanmax(counts)) <= 1


def _drifting(scores: dict[str, Score]) -> set[str]:
    names = [name for name, score in scores.items() if _may_drift(name.split(".", 1)[0], score)]
    evidence = np.array([scores[name].evidence for name in names])
    chosen = e_bh(evidence, _DISCOVERIES) & (evidence >= DRIFT)
    return {name for name, kept in zip(names, chosen, strict=True) if kept}


def _is_loss(metric: str, drift: Drift) -> bool:
    """Tell whether rows are missing, or there too often, for so long that no season is the reason."""
    return metric == "rows" and not KEPT < drift.level / max(drift.before, 1.0) < GAINED


def _may_drift(name: str, score: Score) -> bool:
    """Tell whether a drift would be news: fewer duplicates, or more keys that match, are none."""
    return name not in _CLOCKED and score.toward * DIRECTIONS.get(name, 0) >= 0
