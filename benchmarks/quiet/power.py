"""Power: what each contestant sees of changes of graded size, planted into one column of real windows.

A change begins in one window and stays for seven. Sites are windows of even ISO weeks; matched thresholds are set, one
per series and contestant, on odd weeks of the clean replay, so that every contestant alarms in the same share of clean
windows, and the share they then reach on the even weeks is reported beside the power.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from quiet.alarms import Replay, metric_rules, row_rules
from quiet.ours import Judged, Watch
from quiet.rivals import Coding
from quiet.series import LEFT_OUT, Series, series

from headwater.app.arrival import REFERENCE_WINDOWS
from headwater.app.judging import SURE
from headwater.stats.signatures.signatures import Reference, diagnose

SPAN = 7
SITES = 2
RULES = ("Evidently", "NannyML", "KS p<.05")
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "flights2013": (("air_time", "dep_delay", "distance"), ("carrier", "origin")),
    "weather2013": (("temp", "humid", "wind_speed"), ()),
    "taxi": (("trip_distance", "fare_amount", "tip_amount"), ("store_and_fwd_flag",)),
    "flights2023": (("air_time", "dep_delay", "distance"), ("carrier", "origin")),
    "weather2023": (("temp", "humid", "pressure"), ()),
    "hotel": (("adr", "lead_time"), ("market_segment", "country")),
    "retail": (("Price", "Quantity"), ("Country",)),
}
"""Numbers and categories into which changes are planted."""


@dataclass(frozen=True)
class Change:
    """A kind of change and its size."""

    kind: str
    size: float


NUMBERS = (
    Change("none", 0),
    *(Change("mean, row sd", size) for size in (0.05, 0.1, 0.25, 0.5, 1, 2, 3)),
    *(Change("mean, window sd", size) for size in (0.5, 1, 2, 3)),
    *(Change("spread, x", size) for size in (1.1, 1.25, 1.5, 2)),
    *(Change("nulls, points", size) for size in (1, 2, 5, 10, 20)),
    *(Change("unit, x", size) for size in (1.609, 0.3048, 100)),
)  # fmt: skip
TEXTS = (
    Change("none", 0),
    *(Change("mix, points", size) for size in (2, 5, 10, 20)),
    *(Change("unseen, points", size) for size in (0.5, 1, 5, 20)),
    *(Change("nulls, points", size) for size in (1, 2, 5, 10, 20)),
)  # fmt: skip


@dataclass
class Scale:
    """What a shift of a column is measured in."""

    center: float
    row_sd: float
    window_sd: float
    common: tuple[Any, ...] = ()

    @classmethod
    def of(cls, frames: Sequence[pl.DataFrame], column: str) -> Scale:
        """Measure the reference windows; rows beyond the outer percents do not count, or one odd fare would set it."""
        pooled = pl.concat([frame.get_column(column) for frame in frames]).drop_nulls()
        if not pooled.dtype.is_numeric():
            counts = pooled.value_counts(sort=True).get_column(column).to_list()
            return cls(0.0, 0.0, 0.0, tuple(counts[:2]))
        low, high = (float(pooled.quantile(at) or 0.0) for at in (0.01, 0.99))
        clipped = [frame.get_column(column).cast(pl.Float64).clip(low, high) for frame in frames]
        means = np.array([one.mean() for one in clipped], dtype=float)
        whole = pl.concat(clipped)
        return cls(float(whole.mean()), float(whole.std()), float(np.nanstd(means)))  # type: ignore[arg-type]


def planted(
    frame: pl.DataFrame, column: str, change: Change, scale: Scale, random: np.random.Generator
) -> pl.DataFrame:
    """Return the frame with the change in it; integers stay integers, rounded at random so that the mean is right."""
    kind, size = change.kind, change.size
    cell, dtype = pl.col(column), frame.schema[column]
    hit = pl.Series(random.random(frame.height) < size / 100)
    if kind == "none":
        return frame
    if kind == "nulls, points":
        return frame.with_columns(pl.when(hit).then(None).otherwise(cell).alias(column))
    if kind == "unseen, points":
        return frame.with_columns(pl.when(hit).then(pl.lit("~" * len(scale.common[0]))).otherwise(cell).alias(column))
    if kind == "mix, points":
        most, second = scale.common
        share = size / 100 / max(float((frame.get_column(column) == most).mean() or 0.0), 1e-9)
        moved = pl.Series(random.random(frame.height) < share)
        return frame.with_columns(pl.when(moved & (cell == most)).then(pl.lit(second)).otherwise(cell).alias(column))
    number = cell.cast(pl.Float64)
    if kind.startswith("mean"):
        number = number + size * (scale.row_sd if kind == "mean, row sd" else scale.window_sd)
    elif kind == "spread, x":
        number = scale.center + (number - scale.center) * size
    else:
        number = number * size
    if dtype.is_integer():
        number = (number + pl.Series(random.random(frame.height))).floor()
    return frame.with_columns(number.cast(dtype).alias(column))


def cases(name: str, seed: int = 17) -> Iterator[dict[str, Any]]:
    """Yield one row per contestant and case: its scores of the column in the seven windows of the change."""
    found, random = series(name), np.random.default_rng(seed)
    numbers, texts = COLUMNS[name]
    places = [
        place
        for place in range(found.start, len(found.frames) - SPAN)
        if date.fromisoformat(found.frames[place][0].key).isocalendar().week % 2 == 0
    ]
    sites = sorted(random.choice(places, SITES, replace=False).tolist())
    references = {site: _reference(found, site) for site in sites}
    for column in (*numbers, *texts):
        narrow = replace(found, frames=[(window, frame.select(column)) for window, frame in found.frames], key=())
        past = [frame for _, frame in narrow.frames[: found.start]]
        scale = Scale.of(past, column)
        coding = Coding.of([frame for _, frame in narrow.frames])
        samples = [coding.samples(frame) for _, frame in narrow.frames]
        for site, watch, judged in _watches(narrow, sites):
            for change in NUMBERS if column in numbers else TEXTS:
                frames = [
                    (window, planted(frame, column, change, scale, random))
                    for window, frame in narrow.frames[site : site + SPAN]
                ]
                told = _rivals(coding, samples, narrow, frames, judged, site, column)
                told |= _ours(watch.fork(), frames, found, site, column, references[site])
                for contestant, scores in told.items():
                    yield {
                        "series": name, "column": column, "site": site, "kind": change.kind, "size": change.size,
                        "contestant": contestant, "scores": scores,
                    }  # fmt: skip


def seen(rows: Sequence[Mapping[str, Any]], limits: Mapping[str, Mapping[str, tuple[float, float]]]) -> pl.DataFrame:
    """Return each case at default and matched thresholds, with the window of the change in which it was seen first."""
    found = []
    for row in rows:
        for at, limit in (("default", 1.0), ("matched", limits[row["series"]][row["contestant"]][0])):
            delay = next((place for place, score in enumerate(row["scores"]) if score >= limit), None)
            found.append({**row, "scores": None, "threshold": at, "delay": delay})
    return pl.DataFrame(found, infer_schema_length=None)


def _reference(found: Series, site: int) -> Reference:
    return Reference.learn(found.frames[max(0, site - REFERENCE_WINDOWS) : site], key=found.key, time=found.time)


def _watches(narrow: Series, sites: Sequence[int]) -> Iterator[tuple[int, Watch, list[Judged]]]:
    """Yield the state before each site; what was judged before it, in order."""
    watch = Watch(narrow)
    judged = watch.backfill(narrow.frames[: narrow.start])
    for place in range(narrow.start, sites[-1] + 1):
        if place in sites:
            yield place, watch, list(judged)
        judged.append(watch.step(*narrow.frames[place]))


def _rivals(
    coding: Coding, samples: list[Any], narrow: Series, frames: list[Any], judged: list[Judged], site: int, column: str
) -> dict[str, list[float]]:
    own = [coding.samples(frame) for _, frame in frames]
    windows = [window.key for window, _ in frames]
    start = narrow.start
    told = row_rules(samples[:start] + own, ["" for _ in range(start)] + windows, start, dict(coding.kinds), RULES)
    watch = Watch(narrow)
    watch.known = {}
    metrics = [dict(one.metrics) for one in judged] + [watch.measure(window, frame) for window, frame in frames]
    told |= metric_rules(metrics, ["" for _ in judged] + windows, len(judged))
    return {rule: _column(replay, column) for rule, replay in told.items()}


def _column(replay: Replay, column: str) -> list[float]:
    chosen = [at for at, name in enumerate(replay.streams) if name.partition(".")[2] == column or name == column]
    scores = np.where(np.isnan(replay.scores[:, chosen]), -1.0, replay.scores[:, chosen])
    found: list[float] = scores.max(axis=1).tolist()
    return found


def _ours(
    watch: Watch, frames: list[Any], whole: Series, site: int, column: str, reference: Reference
) -> dict[str, list[float]]:
    """Judge the column by ours; where there is a finding, look for a signature on the whole table, at most twice."""
    told: dict[str, list[float]] = {
        name: [] for name in ("Headwater, alarms", "Headwater, notices too", "Headwater, score")
    }
    looks = 0
    for at, (window, frame) in enumerate(frames):
        judged = watch.step(window, frame)
        findings = [one for one in judged.findings if one.metric.partition(".")[2] == column]
        alarm = any(one.severity == "alarm" for one in findings)
        if findings and not alarm and looks < 2:
            looks += 1
            table = whole.frames[site + at][1].with_columns(frame.get_column(column))
            signed = diagnose(table, reference, window=window)
            alarm = bool(signed) and signed[0].confidence >= SURE and signed[0].invertible
        told["Headwater, alarms"].append(float(alarm))
        told["Headwater, notices too"].append(float(bool(findings)))
        scores = [score for metric, score in judged.scores.items() if metric.partition(".")[2] == column]
        told["Headwater, score"].append(max(scores, default=0.0))
    return told


def thresholds(told: Mapping[str, Replay], share: float) -> dict[str, tuple[float, float]]:
    """Return per contestant the threshold at which a share of a series' clean windows alarms, and what it gives.

    The threshold is set on odd ISO weeks; the second number is the share of windows of even weeks that reach it. The
    columns that peers do not see do not count for ours either.
    """
    found = {}
    for contestant, replay in told.items():
        kept = [at for at, name in enumerate(replay.streams) if name.partition(".")[2] not in LEFT_OUT]
        worst = np.where(np.isnan(replay.scores[:, kept]), -1.0, replay.scores[:, kept]).max(axis=1)
        odd = np.array([date.fromisoformat(key).isocalendar().week % 2 == 1 for key in replay.windows])
        fitted = np.sort(worst[odd])[::-1]
        limit = float(np.nextafter(fitted[int(share * len(fitted))], np.inf))
        found[contestant] = (limit, float((worst[~odd] >= limit).mean()))
    return found
