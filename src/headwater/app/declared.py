"""Measure what the project declares to be watched, and leave out what it declares not to be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from numbers import Real

import polars as pl

from headwater.app.line import Line
from headwater.app.profiling import known
from headwater.core.errors import HeadwaterError, OutsideError, ProjectInvalid, UnknownName
from headwater.core.metrics import parts
from headwater.core.records import Evidence, Finding
from headwater.core.watches import Watch
from headwater.core.windows import Window
from headwater.dataops.delivery import Delivery
from headwater.stats.profiling.mixes import followed
from headwater.stats.profiling.profile import profile

SEGMENTS = 50
"""Values of a column that are watched for themselves: the most frequent ones."""


def watched(line: Line, name: str, delivery: Delivery, delivered: Mapping[str, Delivery]) -> Iterable[Evidence]:
    """Measure the watches of a delivered dataset, window by window."""
    watches = [watch for watch in line.project.watches.values() if watch.dataset == name]
    muted = [pattern for dataset, pattern in line.project.muted if dataset == name]
    if not (watches or muted) or delivery.state != "COMPLETE" or delivery.frame is None:
        return
    ranged = ".." in delivery.window.key
    for key, frame in (delivery.pieces if ranged else {delivery.window.key: delivery.frame}).items():
        yield from _window(line, name, frame, line.calendar.window(key), watches)
    if not ranged:
        yield from _mistyped(line, name, delivery.frame, delivery.window, muted)


def _mistyped(
    line: Line, name: str, frame: pl.DataFrame, window: Window, patterns: Iterable[str]
) -> Iterator[Evidence]:
    """Say which muted names are of a column that the table has not, and never had: they mute nothing."""
    ref = line.ref(name)
    past = line.state.history.windows("profile", ref)
    seen = {parts(metric)[1] for metric in (line.state.history.values("profile", ref, past[0]) if past else {})}
    for pattern in patterns:
        kind, column = parts(pattern)
        whole = kind in ("key_match", "offset", "offset_wall") or not column or set("*?") & set(column)
        if not whole and column not in {*frame.columns, *seen}:
            said = _told(UnknownName.column(column, frame.columns))
            values = {"metric": pattern, "error": f"`{pattern}` is muted in vain: {said}", "severity": "notice"}
            yield Evidence(type="unmeasured", subject=ref, window=window.key, values=values,
                           time=line.services.clock.now())  # fmt: skip


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
                values={
                    "metric": watch.name,
                    "error": f"monitor `{watch.name}` cannot be measured: {failed}",
                    "severity": watch.severity,
                },
                time=time,
            )
    if values:
        values["rules"] = {watch.name: _rule(watch) for watch in watches}
        yield Evidence(type="watch", subject=line.ref(name), window=window.key, values=values, time=time)


def _told(error: BaseException) -> str:
    if not isinstance(error, HeadwaterError):
        return f"{type(error).__name__}: {error}"
    meant, found, _ = (error.hint or "").partition("? ")
    return f"{error.message}; {meant}?" if found else error.message


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
    """Refuse a metric of a column that this window does not have."""
    name, column = parts(metric)
    if column and column not in columns and name not in ("offset", "offset_wall"):
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
