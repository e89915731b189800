"""Measure what the project declares to be watched, and leave out what it declares not to be."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from numbers import Real

import polars as pl

from headwater.app.line import Line
from headwater.app.profiling import known
from headwater.core.errors import HeadwaterError, OutsideError, ProjectInvalid, UnknownName
from headwater.core.records import Evidence, Finding
from headwater.core.watches import Watch
from headwater.core.windows import Window
from headwater.dataops.delivery import Delivery
from headwater.stats.profiling.mixes import followed
from headwater.stats.profiling.profile import QUANTILES, profile

SEGMENTS = 50
"""Values of a column that are watched for themselves: the most frequent ones."""
_OF_TABLES = frozenset({"rows", "duplicate_share"})
_SHARES = frozenset({"null_share", "nan_share", "zero_share", "true_share", "top_share", "unseen_share"})
_NUMBERS = frozenset({"mean", "std", "min", "max", *QUANTILES, "distinct", "length_mean"})
_TIMES = frozenset({"min_hours", "mean_hours", "max_hours", "offset", "offset_wall"})
_OF_COLUMNS = _SHARES | _NUMBERS | _TIMES


def watched(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    """Measure the watches of a delivered dataset, window by window."""
    watches = [watch for watch in line.project.watches.values() if watch.dataset == name]
    if not watches or delivery.state != "COMPLETE" or delivery.frame is None:
        return
    ranged = ".." in delivery.window.key
    for key, frame in (delivery.pieces if ranged else {delivery.window.key: delivery.frame}).items():
        yield from _window(line, name, frame, line.calendar.window(key), watches)


def _window(line: Line, name: str, frame: pl.DataFrame, window: Window, watches: Sequence[Watch]) -> Iterator[Evidence]:
    values: dict[str, object] = {}
    time = line.services.clock.now()
    for watch in watches:
        failed = ""
        try:
            for segment, rows in _segments(watch, frame):
                try:
                    number = _measured(line, watch, rows, window)
                except OutsideError:
                    raise
                except (Exception, SystemExit) as error:
                    failed = failed or _told(error)
                    continue
                if number is not None:
                    values[f"{watch.name}{segment}"] = number
        except UnknownName as error:
            failed = _told(error)
        if failed:
            yield Evidence(
                type="unmeasured",
                subject=line.ref(name),
                window=window.key,
                values={"metric": watch.name, "error": f"monitor `{watch.name}` cannot be measured: {failed}"},
                time=time,
            )
    if values:
        values["rules"] = {watch.name: _rule(watch) for watch in watches}
        yield Evidence(type="watch", subject=line.ref(name), window=window.key, values=values, time=time)


def _told(error: BaseException) -> str:
    return error.message if isinstance(error, HeadwaterError) else f"{type(error).__name__}: {error}"


def _segments(watch: Watch, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if not watch.by:
        yield "", frame
        return
    if watch.by not in frame.columns:
        raise UnknownName.column(watch.by, frame.columns)
    counts = frame[watch.by].drop_nulls().value_counts(sort=True)[:SEGMENTS]
    for value in counts[watch.by].to_list():
        yield f"[{value}]", frame.filter(pl.col(watch.by) == value)


def _measured(line: Line, watch: Watch, frame: pl.DataFrame, window: Window) -> float | None:
    if watch.measure is None:
        asset = line.assets[watch.dataset]
        _check(watch.metric, frame.columns)
        values, shares = known(line, asset), followed([watch.metric])
        return profile(frame, window=window, key=asset.key, known=values, frequent=shares).get(watch.metric)
    value = watch.measure(frame.clone())  # it may change what it is given, which others are still to see
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        raise ProjectInvalid(f"it returned {type(value).__name__}, not a number")
    number = float(value)
    return number if math.isfinite(number) else None


def _check(metric: str, columns: Sequence[str]) -> None:
    """Refuse a metric that no window will ever have: a monitor that is mistyped must not look like one that is calm."""
    name, _, column = metric.partition("].") if metric.startswith("share[") else metric.partition(".")
    if name not in _OF_TABLES and name not in _OF_COLUMNS and not metric.startswith("share["):
        known = sorted({*_OF_TABLES, *_OF_COLUMNS})
        near = difflib.get_close_matches(name, known, n=1)
        raise UnknownName(f"there is no metric `{name}` to declare", hint=f"known: {', '.join(near or known)}")
    if name in _OF_TABLES:
        if column:
            raise UnknownName(f"`{name}` is of the table and has no column `{column}`")
    elif not column:
        raise UnknownName(f"`{name}` of which column?", hint=f"for example {name}.{columns[0]}")
    elif column not in columns and name not in ("offset", "offset_wall"):
        raise UnknownName.column(column, columns)


def _rule(watch: Watch) -> dict[str, object]:
    return {"low": watch.low, "high": watch.high, "limit": watch.limit, "severity": watch.severity}


def unmuted(line: Line, findings: Iterable[Finding]) -> list[Finding]:
    """Leave out findings on metrics that the project declares not to matter; breaks of delivery cannot be muted."""
    muted = {(line.ref(dataset), _literal(pattern)) for dataset, pattern in line.project.muted}
    return [
        finding
        for finding in findings
        if finding.monitor not in _MUTABLE
        or not any(finding.subject == subject and fnmatchcase(finding.metric, pattern) for subject, pattern in muted)
    ]


def _literal(pattern: str) -> str:
    """Take the brackets in ``share[DE].country`` as they are written, not as a choice of letters."""
    return pattern.replace("[", "[[]")


_MUTABLE = ("schema", "structure", "distribution")
