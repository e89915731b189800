"""A/A replay: how often each contestant alarms where nothing is wrong, at any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from quiet.ours import Judged, Watch
from quiet.rivals import (
    DRIFT_SHARE,
    Coding,
    NannyML,
    Sample,
    elementary,
    elementary_metrics,
    evidently,
    rows_test,
    three_sigma,
)
from quiet.series import LEFT_OUT, Series
from quiet.weights import draws, weighted_profile

from headwater.core.windows import Window
from headwater.stats.profiling.mixes import frequent_values

Floats = npt.NDArray[np.float64]
TRAILING = 28
ROW_RULES = (
    "Evidently", "Evidently, trailing reference", "NannyML", "NannyML, KS and chi2", "KS p<.05",
    "KS p<.05, trailing reference", "KS Bonferroni",
)  # fmt: skip


@dataclass
class Replay:
    """The scores of a contestant on a series: streams in columns, judged windows in rows; from 1 on it alarms."""

    streams: list[str]
    windows: list[str]
    scores: Floats
    whole: list[bool] = field(default_factory=list)
    """For each window, whether the contestant's verdict on the whole table is an alarm, where it has one."""

    def rates(self) -> dict[str, Any]:
        """Return alarms per 1000 stream-windows and the share of windows with any."""
        judged = np.isfinite(self.scores) | np.isposinf(self.scores)
        alarms = (self.scores >= 1) & judged
        found = {
            "windows": len(self.windows),
            "streams": len(self.streams),
            "alarms": int(alarms.sum()),
            "per1000": 1000 * float(alarms.sum()) / max(int(judged.sum()), 1),
            "any": float(alarms.any(axis=1).mean()) if len(self.windows) else 0.0,
        }
        return found | ({"whole": float(np.mean(self.whole))} if self.whole else {})


def _table(rows: Sequence[dict[str, float]], windows: Sequence[str]) -> Replay:
    streams = list(dict.fromkeys(name for row in rows for name in row))
    scores = np.array([[row.get(name, np.nan) for name in streams] for row in rows]).reshape(len(rows), len(streams))
    return Replay(streams, list(windows), scores)


def row_rules(
    samples: Sequence[dict[str, Sample]], windows: Sequence[str], start: int, kinds: dict[str, str],
    rules: Sequence[str] = ROW_RULES, rows: int | None = None, seed: int = 3,
) -> dict[str, Replay]:  # fmt: skip
    """Judge the windows from ``start`` on by the rules that look at rows, one column at a time.

    Args:
        samples: Every window's columns.
        windows: Their names.
        start: The first that is judged; those before are the reference.
        kinds: Kind by column.
        rules: Contestants.
        rows: With a number, the reference has that many rows, as the windows then have.
        seed: Of the draw of the reference.
    """
    random = np.random.default_rng(seed)
    found: dict[str, list[dict[str, float]]] = {rule: [{} for _ in windows[start:]] for rule in rules}
    for name, kind in kinds.items():
        chunks = [one[name] for one in samples]
        reference = Sample.pooled(chunks[:start])
        if rows is not None:
            reference = reference.redrawn(rows, random)
        models = {}
        if len(Sample.pooled(chunks[:start]).values):
            if "NannyML" in rules:
                models["NannyML"] = NannyML(chunks[:start], kind)
            if "NannyML, KS and chi2" in rules:
                models["NannyML, KS and chi2"] = NannyML(chunks[:start], kind, "kolmogorov_smirnov")
        for at, current in enumerate(chunks[start:]):
            trailing = None
            if any("trailing" in rule for rule in rules):
                trailing = Sample.pooled(chunks[start + at - min(TRAILING, start) : start + at])
            for rule in rules:
                used = trailing if "trailing" in rule else reference
                found[rule][at][name] = _score(rule, used, current, kind, models.get(rule), len(kinds))
    result = {rule: _table(found[rule], windows[start:]) for rule in rules}
    for rule in rules:
        if rule.startswith("Evidently"):
            scores = result[rule].scores
            shares = np.nansum(scores >= 1, axis=1) / np.maximum(np.isfinite(scores).sum(axis=1), 1)
            result[rule].whole = (shares >= DRIFT_SHARE).tolist()
    return result


def _score(
    rule: str, reference: Sample | None, current: Sample, kind: str, model: NannyML | None, columns: int
) -> float:
    if rule.startswith("NannyML"):
        return np.nan if model is None else model.score(current)
    assert reference is not None
    if rule.startswith("Evidently"):
        return evidently(reference, current, kind)
    return rows_test(reference, current, kind, columns if rule == "KS Bonferroni" else 1)


def metric_rules(metrics: Sequence[dict[str, float]], windows: Sequence[str], start: int) -> dict[str, Replay]:
    """Judge the windows from ``start`` on by the rules that look at a metric's history."""
    found = {}
    seen = [{name: value for name, value in one.items() if name.partition(".")[2] not in LEFT_OUT} for one in metrics]
    for rule, judge, chosen in (
        ("3-sigma", three_sigma, seen),
        ("Elementary", elementary, [elementary_metrics(one) for one in seen]),
    ):
        streams = list(dict.fromkeys(name for row in chosen for name in row))
        values = np.array([[row.get(name, np.nan) for name in streams] for row in chosen])
        scores = [judge(values[:at], values[at]) for at in range(start, len(values))]
        found[rule] = Replay(streams, list(windows[start:]), np.array(scores))
    return found


def ours(judged: Sequence[Judged], start: int) -> dict[str, Replay]:
    """Return what ours says: what wakes somebody, all findings, and the scores behind them."""
    rows = judged[start:]
    windows = [one.window for one in rows]
    alarms, findings = ([{name: 0.0 for name in one.scores} for one in rows] for _ in range(2))
    for at, one in enumerate(rows):
        for finding in one.findings:
            findings[at][finding.metric] = 1.0
            if finding.severity == "alarm":
                alarms[at][finding.metric] = 1.0
    result = {"Headwater, alarms": _table(alarms, windows), "Headwater, notices too": _table(findings, windows)}
    result["Headwater, alarms"].whole = [bool(one.alarms) or one.signed for one in rows]
    result["Headwater, score"] = _table([dict(one.scores) for one in rows], windows)
    return result


def natural(series: Series) -> dict[str, Replay]:
    """Replay a series with the rows it has."""
    watch = Watch(series, signatures=True)
    judged = watch.backfill(series.frames[: series.start])
    judged += [watch.step(window, frame) for window, frame in series.frames[series.start :]]
    windows = [window.key for window, _ in series.frames]
    coding = Coding.of([frame for _, frame in series.frames], LEFT_OUT)
    samples = [coding.samples(frame) for _, frame in series.frames]
    found = ours(judged, series.start)
    found |= metric_rules([dict(one.metrics) for one in judged], windows, series.start)
    return found | row_rules(samples, windows, series.start, dict(coding.kinds))


def sized_rows(series: Series, rows: int) -> dict[str, Replay]:
    """Replay a series by the rules that look at rows, with so many rows in every window and in the reference."""
    kept = [(window, frame) for window, frame in series.frames if frame.height >= 50]
    start = sum(window.key < series.frames[series.start][0].key for window, _ in kept)
    random = np.random.default_rng(7)
    coding = Coding.of([frame for _, frame in kept], LEFT_OUT)
    samples = [
        {name: sample.redrawn(round(rows * sample.rows / frame.height), random) for name, sample in own.items()}
        for own, (_, frame) in ((coding.samples(frame), (window, frame)) for window, frame in kept)
    ]
    rules = ("Evidently", "NannyML", "KS p<.05", "KS Bonferroni")
    return row_rules(samples, [window.key for window, _ in kept], start, dict(coding.kinds), rules, rows)


def sized_metrics(series: Series, rows: int) -> dict[str, Replay]:
    """Replay a series by ours and by the rules on metrics, with so many rows in every window."""
    watch, first = Watch(series), series.frames[series.start][0].key
    past = [frame for window, frame in series.frames if window.key < first]
    watch.remember_values(pl.concat(past))
    marked = [frame.with_columns(_window=pl.lit(window.key)) for window, frame in series.frames if window.key < first]
    watch.frequent = frequent_values(pl.concat(marked))
    history, judged = {}, []
    kept: list[tuple[Window, pl.DataFrame]] = []
    for window, frame, counts in draws(series, rows):
        metrics = weighted_profile(frame, counts, window, watch.known, watch.frequent)
        if window.key < first:
            history[window.key] = metrics
            kept.append((window, frame))
            continue
        judged = judged or watch.remember(kept, history)
        judged.append(watch.step(window, frame, metrics))
    start, windows = len(history), [one.window for one in judged]
    return ours(judged, start) | metric_rules([dict(one.metrics) for one in judged], windows, start)
