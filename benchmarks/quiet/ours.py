"""Headwater's own detection on a series, driven as the line drives it: profile, evaluate, learn."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from quiet.series import Series

from headwater.app.arrival import REFERENCE_WINDOWS
from headwater.app.judging import SURE
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Window
from headwater.observe.history import History
from headwater.observe.monitors import evaluate
from headwater.observe.structure import LIMIT
from headwater.stats.frames.stacking import stack
from headwater.stats.profiling.mixes import frequent_values
from headwater.stats.profiling.profile import KNOWN_LIMIT, known_values, profile, profile_windows
from headwater.stats.signatures.signatures import Diagnosis, Reference, diagnose

SUBJECT = "dataset:quiet/table"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Judged:
    """What ours says of one window.

    Attributes:
        window: The window.
        metrics: Its profile.
        findings: What the monitors found.
        scores: By metric, how far out of its band it is: from 1 on it is a finding, but for direction and size.
        signatures: Those that fire, the best first, where they were looked for.
    """

    window: str
    metrics: Mapping[str, float]
    findings: Sequence[Finding] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    signatures: Sequence[Diagnosis] = ()

    @property
    def alarms(self) -> list[Finding]:
        """Return the findings that wake somebody."""
        return [one for one in self.findings if one.severity == "alarm"]

    @property
    def signed(self) -> bool:
        """Tell whether a signature is an alarm by itself, by the rule of the line."""
        found = self.signatures[0] if self.signatures else None
        return found is not None and found.confidence >= SURE and (found.invertible or bool(self.alarms))


class Watch:
    """One table under watch: its history, its vocabulary and the window before.

    Args:
        series: The table.
        signatures: Look for signatures where something was found, and alarm on them, as the line does at sources.
    """

    def __init__(self, series: Series, *, signatures: bool = False) -> None:
        self.series, self.signatures = series, signatures
        self.history = History(series.calendar)
        self.known: dict[str, frozenset[str]] = {}
        self.frequent: dict[str, tuple[str, ...]] = {}
        self.previous: pl.DataFrame | None = None
        self.recent: list[tuple[Window, pl.DataFrame]] = []
        self._reference: tuple[str, Reference] | None = None

    def fork(self) -> Watch:
        """Return a copy that goes its own way."""
        other = copy.copy(self)
        other.history, other.known, other.recent = copy.deepcopy(self.history), dict(self.known), list(self.recent)
        return other

    def backfill(self, frames: Sequence[tuple[Window, pl.DataFrame]]) -> list[Judged]:
        """Learn windows that came as one range, as the first run of a project does."""
        rows = stack([frame.with_columns(pl.lit(window.key).alias("_window")) for window, frame in frames])
        self.remember_values(rows)
        spans = [window for window, _ in frames]
        self.frequent, known = frequent_values(rows), known_values(rows)
        measured = profile_windows(rows, windows=spans, key=self.series.key, known=known, frequent=self.frequent)
        return self.remember(frames, measured)

    def remember(
        self, frames: Sequence[tuple[Window, pl.DataFrame]], measured: Mapping[str, Mapping[str, float]]
    ) -> list[Judged]:
        """Take windows and their profiles in as accepted history."""
        self.previous, self.recent = frames[-1][1], list(frames[-REFERENCE_WINDOWS:])
        found = [Judged(key, metrics) for key, metrics in measured.items()]
        for one in found:
            self.history.add_evidence(self._evidence(one.window, one.metrics))
        return found

    def measure(self, window: Window, frame: pl.DataFrame) -> dict[str, float]:
        """Profile a window."""
        known = {name: values for name, values in self.known.items() if values}
        return profile(
            frame, window=window, key=self.series.key, known=known, previous=self.previous, frequent=self.frequent
        )

    def step(self, window: Window, frame: pl.DataFrame, metrics: dict[str, float] | None = None) -> Judged:
        """Judge a window and learn from it what may be learned."""
        measured = metrics or self.measure(window, frame)
        evidence = self._evidence(window.key, measured)
        self.history.add_evidence(evidence)
        findings = evaluate([evidence], self.history, self.series.calendar, NOW)
        scores = {metric: score.r / LIMIT for metric, score in self.history.scores(evidence).items()}
        judged = Judged(window.key, measured, findings, scores)
        if self.signatures and findings:
            judged.signatures = self.diagnose(window, frame)
        for finding in findings:
            self.history.add_finding(finding)
        if judged.signed:
            self.history.add_finding(_signed(judged))
        self._learn(window, frame, judged)
        return judged

    def diagnose(self, window: Window, frame: pl.DataFrame) -> list[Diagnosis]:
        """Return the signatures that fire against the last normal windows, the best first."""
        if not any(rows.height for _, rows in self.recent):
            return []
        last = self.recent[-1][0].key
        if self._reference is None or self._reference[0] != last:
            self._reference = last, Reference.learn(self.recent, key=self.series.key, time=self.series.time)
        return diagnose(frame, self._reference[1], window=window)

    def _learn(self, window: Window, frame: pl.DataFrame, judged: Judged) -> None:
        self.previous = frame
        if judged.alarms or judged.signed:
            return
        self.recent = [*self.recent, (window, frame)][-REFERENCE_WINDOWS:]
        self.remember_values(frame)

    def remember_values(self, frame: pl.DataFrame) -> None:
        """Add a frame's texts to the known ones; a column that draws on no closed list is known as empty."""
        seen = known_values(frame, limit=KNOWN_LIMIT, known=self.known)
        for name in (one for one, dtype in frame.schema.items() if dtype == pl.String):
            before = self.known.get(name)
            if before is None or before:
                grown = (before or frozenset()) | seen.get(name, frozenset())
                self.known[name] = grown if name in seen and len(grown) <= KNOWN_LIMIT else frozenset()

    def _evidence(self, window: str, metrics: Mapping[str, float]) -> Evidence:
        return Evidence(type="profile", subject=SUBJECT, window=window, values=dict(metrics), time=NOW)


def _signed(judged: Judged) -> Finding:
    best = judged.signatures[0]
    return Finding(
        monitor="signature", subject=SUBJECT, window=judged.window, metric=best.fault, severity="alarm",
        score=best.before, detail=best.detail, time=NOW,
    )  # fmt: skip


def replay(series: Series, *, signatures: bool = True) -> Iterator[Judged]:
    """Yield every window of a series, the history first, then what is judged, in order."""
    watch = Watch(series, signatures=signatures)
    yield from watch.backfill(series.frames[: series.start])
    for window, frame in series.frames[series.start :]:
        yield watch.step(window, frame)
