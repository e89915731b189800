"""Structure of a table: rows, duplicates, nulls, unseen values, key matches, repeats, times. Breaks wake somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.stats.alarms.exceedance import Baseline, Score
from headwater.stats.alarms.lasting import candidates, crept, faded, stuck
from headwater.stats.alarms.scatter import by_chance

LIMIT = 2.0
_EITHER, _UP, _DOWN = 0, 1, -1
DIRECTIONS = {
    "rows": _EITHER,
    "null_share": _EITHER,
    "nan_share": _UP,
    "duplicate_share": _UP,
    "unseen_share": _UP,
    "repeat_share": _UP,
    "echo_share": _UP,
    "key_match": _DOWN,
    "min_hours": _EITHER,
    "max_hours": _EITHER,
    "offset": _EITHER,
    "offset_wall": _EITHER,
}
"""Structural metrics and the direction in which they break."""

_MATERIAL = {
    "null_share": 0.15,
    "nan_share": 0.15,
    "key_match": 0.15,
    "unseen_share": 0.1,
    "duplicate_share": 0.02,
    "repeat_share": 0.2,
    "echo_share": 0.2,
}
"""Change of a share that wakes somebody; below, it is a notice: real feeds have gaps of some hours now and then."""
RUN, OF, _PART, _ENDS = 3, 5, 0.2, ("min_hours", "max_hours")
"""In so many windows of so many a fifth of that change wakes somebody: what stays, or comes again, is no gap."""
ROWS = 3.0  # a share must have moved by so many rows, so that one odd row of a small table is not even a notice
FEWER, MORE = 0.35, 2.5  # of the expected rows, where the number of rows breathes: holidays more than halve it
_COVERAGE = 0.1  # of the window, by which the span of its times must shrink
_STEADY = 0.95
_FAMILIES = {"zero_share": "number", "distinct": "text", "true_share": "flag", "min_hours": "time"}
_MISSING_SCORE = 5.0
_SEEN, _STANDING = 3, 7
_CALM, _STILL, _JUMP, _JUMP_ROWS = 0.02, 0.05, 0.5, 0.3  # for tables too young for a band
_CREEPING = {**dict.fromkeys(("null_share", "nan_share", "duplicate_share", "repeat_share"), _UP), "key_match": _DOWN}
_BODY = ("q05", "q25", "q50", "q75", "q95")
_MANY_ROWS, _MIXED = 40, 0.5
_DAY = timedelta(days=1)


class StructureMonitor:
    """Alarm when a structural metric leaves its band twice over, or a column is gone or of another type.

    Distributions may follow the weather; the number of rows, nulls, duplicates and unmatched keys of a healthy feed
    hardly do, and where they do (cancelled flights have no departure time) history has set the band. What no band shows
    is looked for over many windows (`stats.alarms.lasting`): shares that creep, nulls that are gone, stuck columns. A
    share that is a little too large in three windows of five alarms as well, and so does the end of a time column.

    Measured (`make bench-quiet`): on 1,877 clean days of seven real tables it alarms in 4: of three the last hours are
    missing indeed, one is the last of its data. It notices something in 0.4 % of the days, and in 220 clean weeks it
    never alarms.
    """

    name = "structure"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at profiles."""
        return [
            finding
            for item in evidence
            if item.type == "profile"
            for finding in self._table(item, history, calendar, now)
        ]

    def _table(self, item: Evidence, history: History, calendar: Calendar, now: datetime) -> list[Finding]:
        baseline = history.baseline(item.type, item.subject, item.window)
        if not baseline.keys or history.closed(item):
            return []
        last = history.values(item.type, item.subject, baseline.keys[-1])
        found = _emptiness(item, baseline, now)
        if found:
            return found
        rows = float(item.values.get("rows", 0.0))
        if len(baseline) >= _SEEN and rows:
            found += _columns(item, last, baseline, now)
        scores = history.scores(item)
        clocked = [name for name in {**item.values, **last} if name.startswith("offset")]
        constant = dict(zip(clocked, map(_held, baseline.table(clocked).T.tolist()), strict=True))
        if calendar.every != "1d" or calendar.window(item.window).end - calendar.window(item.window).start == _DAY:
            found += _offsets(item, scores, constant, last, now)
        found += self._breaks(item, scores, baseline, calendar, now) + _young(item, baseline, now)
        stays = _stays(item, history, calendar, now)
        found = [*stays, *(one for one in found if one.metric not in {finding.metric for finding in stays})]
        told = {finding.metric for finding in found}
        lasting = [*self._lasting(item, history, baseline, now), *_stuck(item, baseline, last, now)]
        lasting += _first_odd(item, history, baseline, now)
        return _without_echoes(found + [finding for finding in lasting if finding.metric not in told])

    def _lasting(self, item: Evidence, history: History, baseline: Baseline, now: datetime) -> list[Finding]:
        """Look at many windows: for a share that got worse by so little each time that every window was learned.

        And for nulls that are gone: a feed got better, or fills them with something now. That is a notice, said once.
        """
        metrics = [metric for metric in item.values if metric.split(".", 1)[0] in _CREEPING]
        values = np.vstack([baseline.table(metrics), [float(item.values[metric]) for metric in metrics]])
        worse = np.array([_CREEPING[metric.split(".", 1)[0]] for metric in metrics], dtype=np.float64)
        creeping, fading = candidates(np.where(worse > 0, values, 1 - values), baseline.warm)
        found = []
        for place in np.flatnonzero(creeping | fading).tolist():
            metric, course = metrics[place], values[:, place]
            value, direction = float(course[-1]), int(worse[place])
            if creeping[place] and (edge := crept(course, baseline.warm, direction)) is not None:
                detail = f"{metric} crept to {value:.4g}; it was {edge:.4g} or better in most windows long before"
                found.append(_made(item, metric, _MISSING_SCORE, value, edge, detail, now))
            elif metric.startswith("null_share.") and (usual := faded(course, baseline.warm)) is not None:
                last = history.newest_notice(self.name, item.subject, metric)
                if last is None or last.window <= baseline.keys[-baseline.warm]:
                    detail = f"{metric} was {usual:.4g} and is hardly above 0 in {baseline.warm} windows"
                    found.append(_made(item, metric, LIMIT + 1, value, usual, detail, now, "notice"))
        return found

    def _breaks(
        self, item: Evidence, scores: Mapping[str, Score], baseline: Baseline, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        span = calendar.window(item.window)
        hours = (span.end - span.start).total_seconds() / 3600
        found = []
        for metric, score in scores.items():
            name, _, column = metric.partition(".")
            if not out_of_band(metric, score, float(item.values["rows"])):
                continue
            if name == "rows":
                severe = baseline.steady(metric) or not FEWER <= score.value / max(score.expected, 1.0) <= MORE
                severe = severe and score.known
            elif name in ("min_hours", "max_hours"):
                severe = _shifted(column, scores) or (
                    _within(column, scores, hours) and _shrunk(name, score) >= _COVERAGE * hours
                )
            else:
                severe = abs(score.value - score.expected) >= _MATERIAL[name]
            found.append(_finding(item, metric, score, "alarm" if severe else "notice", now))
        return found


def _young(item: Evidence, baseline: Baseline, now: datetime) -> list[Finding]:
    """Judge metrics that are too young for a band: what never moved in a few windows and jumps now is a break.

    Snapshots are often so: a history that was delivered as one range has a single one.
    """
    found = []
    for metric, given in item.values.items():
        name = metric.split(".", 1)[0]
        if name not in (*_MATERIAL, "rows", "zero_share") or not _SEEN <= baseline.count(metric) < baseline.warm:
            continue
        known = [value for value in baseline.values(metric).tolist() if value == value]
        value, low, high = float(given), min(known), max(known)
        if name == "rows":
            broken = low == high != value and abs(value - high) >= max(_JUMP_ROWS * high, ROWS)
            broken = broken and not (value > high > 0 and by_chance(value, high))
        else:
            away = max(value - high, low - value)
            direction = DIRECTIONS.get(name, _EITHER)
            bad = (value > high) == (direction == _UP) or direction == _EITHER
            broken = bad and high - low <= max(_CALM, _STILL * away) and away >= _JUMP
        if broken:
            was = f"{low:.4g} in all" if low == high else f"{low:.4g} to {high:.4g} in the"
            detail = f"{metric} is {value:.4g}, and was {was} {len(known)} windows before"
            severity = "notice" if name == "zero_share" else "alarm"  # the first snow ends a long run of zeros as well
            if name == "rows" and not baseline.knows(item.window):
                severity = "notice"
            found.append(_made(item, metric, _MISSING_SCORE, value, low, detail, now, severity))
    return found


def _without_echoes(found: list[Finding]) -> list[Finding]:
    """Leave out rows that come again because a column does not tell them apart any more: that column is told."""
    blamed = 0.0
    for finding in found:
        name = finding.metric.split(".", 1)[0]
        if finding.severity == "alarm" and name in ("max", "distinct", "column"):
            blamed = 1.0
        elif finding.severity == "alarm" and name in ("null_share", "nan_share"):
            blamed += max((finding.value or 0.0) - (finding.expected or 0.0), 0.0)
    return [
        finding
        for finding in found
        if finding.metric not in ("repeat_share", "echo_share")
        or (finding.value or 0.0) - (finding.expected or 0.0) > blamed
    ]


def _first_odd(item: Evidence, history: History, baseline: Baseline, now: datetime) -> list[Finding]:
    """Notice a single NaN or infinity in a column that never had one: to count from none needs no band. Said once."""
    found = []
    for metric, value in item.values.items():
        if not metric.startswith("nan_share.") or not value or baseline.count(metric) < baseline.warm:
            continue
        known = baseline.values(metric)
        told = history.newest_notice(StructureMonitor.name, item.subject, metric)
        if not known[np.isfinite(known)].any() and (told is None or told.window <= baseline.keys[-baseline.warm]):
            odd = round(float(value) * float(item.values["rows"]))
            detail = (
                f"{odd} of {item.values['rows']:.0f} rows hold NaN or an infinity in `{metric[10:]}`, where none did"
            )
            found.append(_made(item, metric, _MISSING_SCORE, float(value), 0.0, detail, now, "notice"))
    return found


def out_of_band(metric: str, score: Score, rows: float) -> bool:
    """Tell whether a structural metric is beyond twice its band, in its bad direction, by more than a row or two."""
    name = metric.split(".", 1)[0]
    direction = DIRECTIONS.get(name)
    change = score.value - score.expected
    if direction is None or name.startswith("offset") or score.r <= LIMIT or change * direction < 0:
        return False
    if name in ("min_hours", "max_hours"):
        return True
    return abs(change) * (1.0 if name == "rows" else rows) >= ROWS


def _stays(item: Evidence, history: History, calendar: Calendar, now: datetime) -> list[Finding]:
    """Alarm on what lies a little beyond its band, on one side, in `RUN` of `OF` windows by what was known before.

    Shares, and the ends of a time column whose mean moved as well: more than an odd row lies elsewhere. Of a table of a
    row or two no single window says anything; together they do, like one day's weather day after day.
    """
    keys = [key for key in history.windows(item.type, item.subject) if key < item.window][1 - OF :]
    if len(keys) < OF - 1:
        return []
    alarmed = history.alarmed(StructureMonitor.name, item.subject, item.window) >= keys[0]
    told = alarmed or float(item.values.get("rows", 0.0)) < ROWS
    notices = {metric: history.newest_notice(StructureMonitor.name, item.subject, metric)
               for metric in item.values if metric.split(".", 1)[0] in (*_MATERIAL, *_ENDS)}  # fmt: skip
    asked = [metric for metric, last in notices.items() if told or (last is not None and last.window >= keys[0])]
    if not asked:
        return []
    baseline = history.baseline(item.type, item.subject, keys[0])
    windows = [(key, history.values(item.type, item.subject, key)) for key in keys] + [(item.window, item.values)]
    rows = sum(float(values.get("rows", 0.0)) for _, values in windows)
    span = calendar.window(item.window)
    day = (span.end - span.start).total_seconds() / 3600
    scored = [baseline.score(key, values) for key, values in windows]
    found = []
    for metric in asked:
        name, _, column = metric.partition(".")
        least = _PART * _MATERIAL[name] if name in _MATERIAL else _COVERAGE * day
        out = [
            scores for scores in scored
            if (score := scores.get(metric)) is not None and out_of_band(metric, score, rows)
        ]  # fmt: skip
        if len(out) < RUN or out[-1] is not scored[-1]:
            continue
        moves = [scores[metric].value - scores[metric].expected for scores in out]
        same = min(moves) >= least or max(moves) <= -least
        if same and (name in _MATERIAL or _moved(column, moves[0], out)):
            more = f", in {len(out)} of {OF} windows"
            found.append(_finding(item, metric, scored[-1][metric], "alarm", now, more))
    return found


def _moved(column: str, direction: float, scored: Sequence[Mapping[str, Score]]) -> bool:
    """Tell whether the mean of a time column moved beyond its band in all windows, the way its end did."""
    means = [scores.get(f"mean_hours.{column}") for scores in scored]
    return all(mean is not None and mean.r > 1 and (mean.value - mean.expected) * direction > 0 for mean in means)


def _shifted(column: str, scores: Mapping[str, Score]) -> bool:
    """Tell whether both ends of a time column moved the same way, as a wrong zone moves them."""
    ends = [scores.get(f"{end}_hours.{column}") for end in ("min", "max")]
    moves = [end.value - end.expected for end in ends if end is not None and end.r > LIMIT]
    return len(moves) == 2 and moves[0] * moves[1] > 0


def _within(column: str, scores: Mapping[str, Score], hours: float) -> bool:
    """Tell whether a time column tells when things happened, inside the window, not some other date."""
    ends = [scores.get(f"{end}_hours.{column}") for end in ("min", "max")]
    return all(end is not None and -1.0 <= end.expected <= hours + 1.0 for end in ends)


def _shrunk(name: str, score: Score) -> float:
    """Return by how many hours the span became shorter at this end; one odd row makes it longer, never shorter."""
    change = score.value - score.expected
    return change if name == "min_hours" else -change


def _emptiness(item: Evidence, baseline: Baseline, now: datetime) -> list[Finding]:
    """An empty window of a table that was never empty is a break, however young the history.

    But nobody is woken on the first Saturday, nor in the first night: history does not know yet whether anything comes
    then. Where so few rows come that none may come by chance, the band of their number tells.
    """
    rows = baseline.values("rows")
    if item.values.get("rows", 0) or len(rows) < _SEEN or np.nanmin(rows) < 1:
        return []
    alike = baseline.alike(item.window, "rows")
    usual = float(np.median(alike if len(alike) else rows))
    if by_chance(0.0, usual) and baseline.scattered():
        return []
    known = baseline.knows(item.window)
    detail = f"no rows, where there were never fewer than {np.nanmin(rows):g}"
    detail += "" if known else "; no window like this one is known yet"
    return [_made(item, "rows", _MISSING_SCORE, 0.0, usual, detail, now, "alarm" if known else "notice")]


def _columns(item: Evidence, last: Mapping[str, float], baseline: Baseline, now: datetime) -> list[Finding]:
    """Compare the columns and their kinds with the last accepted window's.

    What came lately, or now and then, wakes nobody when it is gone again: where somebody reads it, `schema` does.
    """
    before, after = _families(last), _families(item.values)
    found = []
    for column in before.keys() - after.keys():
        detail = f"column `{column}` is gone"
        there = np.isfinite(baseline.values(f"null_share.{column}")[-_STANDING:])
        severity = "alarm" if there.all() else "notice"
        found.append(_made(item, f"column.{column}", _MISSING_SCORE, 0.0, 1.0, detail, now, severity))
    for column in before.keys() & after.keys():
        was, is_now = before[column], after[column]
        if was != is_now and was and is_now:
            detail = f"column `{column}` holds {is_now}s, no longer {was}s"
            found.append(_made(item, f"column.{column}", _MISSING_SCORE, 0.0, 1.0, detail, now))
    if before:
        for column in after.keys() - before.keys():
            detail = f"column `{column}` is new"
            found.append(_made(item, f"column.{column}", 1.0, 1.0, 0.0, detail, now, "notice"))
    return sorted(found, key=lambda finding: finding.metric)


def _families(values: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for metric in values:
        name, _, column = metric.partition(".")
        if name == "null_share":
            found.setdefault(column, "")
        elif name in _FAMILIES:
            found[column] = _FAMILIES[name]
    return found


def _stuck(item: Evidence, baseline: Baseline, last: Mapping[str, float], now: datetime) -> list[Finding]:
    """Alarm when a column holds one value in all rows, and in history never held much of it nor of any other."""
    found = []
    for metric, value in item.values.items():
        name, _, column = metric.partition(".")
        if name not in ("max", "distinct") or not _alone(item.values, name, column) or _alone(last, name, column):
            continue
        rows = float(item.values["rows"]) * (1 - float(item.values.get(f"null_share.{column}", 0.0)))
        if rows < _MANY_ROWS:
            continue
        nulls = baseline.values(f"null_share.{column}")
        alike = 2 * baseline.values("rows") * (1 - nulls) >= rows
        if name == "max":
            past = baseline.table([f"{label}.{column}" for label in _BODY])[alike]
            broken = stuck(float(value), past, baseline.warm)
        else:
            tops, kinds = baseline.values(f"top_share.{column}") / (1 - nulls), baseline.values(metric)
            varied = (tops < _MIXED) & (kinds > 1)
            broken = int(alike.sum()) >= baseline.warm and bool(varied[alike].all())
        if broken:
            detail = f"`{column}` holds one value in all rows; in {int(alike.sum())} windows like this it held many"
            found.append(_made(item, metric, _MISSING_SCORE, float(value), None, detail, now))
    return found


def _alone(values: Mapping[str, Any], name: str, column: str) -> bool:
    """Tell whether a column holds one value in all rows that are not null, as its ``max`` or ``distinct`` says."""
    value = values.get(f"{name}.{column}")
    return value is not None and bool(value == (1.0 if name == "distinct" else values.get(f"min.{column}")))


def _held(values: Sequence[float]) -> bool:
    """Tell whether an offset held in history: the same number in nearly every window."""
    present = [value for value in values if value == value]
    if len(present) < 14 or len(present) < _STEADY * len(values):
        return False
    middle = sorted(present)[len(present) // 2]
    return sum(abs(value - middle) <= 1 for value in present) >= _STEADY * len(present)


def _offsets(
    item: Evidence, scores: Mapping[str, Score], held: Mapping[str, bool], last: Mapping[str, float], now: datetime
) -> list[Finding]:
    """Alarm when a number that gives the hour or day of a time column stops doing so.

    Summer time moves the offset in local time or the one by the column's own clock, a wrong zone moves both: where both
    held in history, both must break.
    """
    found = []
    for pair in sorted({metric.partition(".")[2] for metric in held}):
        metrics = [metric for metric in (f"offset.{pair}", f"offset_wall.{pair}") if held.get(metric)]
        gone = [metric for metric in metrics if metric not in item.values and metric in last]
        moved = [scores[metric] for metric in metrics if metric in scores and scores[metric].r > LIMIT]
        if not metrics or len(gone) + len(moved) < len(metrics) or float(item.values["rows"]) < 20:
            continue
        time, _, column = pair.partition(".")
        if moved:
            score = min(moved, key=lambda one: one.r)
            detail = f"`{column}` was {score.expected:+g} from the clock of `{time}` and is {score.value:+g} now"
            found.append(_made(item, metrics[0], score.r, score.value, score.expected, detail, now))
        elif len(gone) == len(metrics):
            detail = f"`{column}` no longer follows the clock of `{time}`"
            found.append(_made(item, metrics[0], LIMIT + 1, None, last[metrics[0]], detail, now))
    return found


def _finding(item: Evidence, metric: str, score: Score, severity: str, now: datetime, more: str = "") -> Finding:
    detail = f"{metric} is {score.value:.4g}, expected {score.expected:.4g} ({score.low:.4g} to {score.high:.4g}){more}"
    return _made(item, metric, score.r, score.value, score.expected, detail, now, severity)


def _made(
    item: Evidence,
    metric: str,
    score: float,
    value: float | None,
    expected: float | None,
    detail: str,
    now: datetime,
    severity: str = "alarm",
) -> Finding:
    return item.finding(
        StructureMonitor.name, metric, "alarm" if severity == "alarm" else "notice", score, detail, now, value, expected
    )
