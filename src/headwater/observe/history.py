"""The past that monitors compare with: metric series per subject, folded from the ledger, without windows in alarm."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headwater.core.ports import Record
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.acceptance import Acceptances, releveled
from headwater.observe.closures import ROWS, closures
from headwater.observe.runs import mapping
from headwater.stats.alarms.exceedance import Baseline, Score
from headwater.stats.alarms.slots import Slots

SERIES = (
    "profile", "watch", "performance", "business", "fairness", "calibration", "latency", "estimate", "succession",
    "inputs",
)  # fmt: skip
_REFIT = 20  # above so many new windows, one fit is cheaper than updates
_ACQUITTED = ("world", "none")

Key = tuple[str, str]


class History:
    """Metric series by evidence type and subject.

    A window is learned once a later one is looked at, so that evidence never serves as its own expectation. It is left
    out while its subject is in alarm, and also when its subject was merely unusual in a window in which something else
    was in alarm (it may carry the fault on). Windows of an incident that was closed as the world's doing, or as
    nothing, are learned after all, and so are those that somebody accepted as the new normal (see
    `headwater.observe.acceptance`). But one that had no rows teaches nothing then: it is an exception (see
    `headwater.observe.closures`). A window that was looked at before it ended is not learned, and nothing that was
    measured by frozen labels is, until it is measured by right ones.

    Args:
        calendar: The project's calendar; the first call of a monitor sets it when it is not given.
        holidays: Days that are a slot of their own.
    """

    def __init__(self, calendar: Calendar | None = None, holidays: Iterable[str] = ()) -> None:
        self._slots = Slots(calendar, holidays)
        self._series: dict[Key, dict[str, dict[str, float]]] = defaultdict(dict)
        self._arrivals: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        self._fillings: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(dict)
        self._errors: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        self._findings: dict[str, Finding] = {}
        self._alarms: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._notices: dict[str, set[str]] = defaultdict(set)
        self._newest: dict[tuple[str, str, str], Finding] = {}
        self._columns: dict[str, tuple[str, ...]] = {}
        self._alarmed: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._verdicts: dict[str, str] = {}
        self._incidents: dict[str, set[str]] = defaultdict(set)
        self._baselines: dict[Key, tuple[Baseline, str]] = {}
        self._scores: dict[tuple[str, str, str], tuple[Mapping[str, float], dict[str, Score]]] = {}
        self._acquitted: set[str] = set()
        self._unlearned: dict[str, set[str]] = defaultdict(set)
        self._excused: dict[str, set[str]] = defaultdict(set)
        self._closures: dict[str, frozenset[str]] = {}
        self._settled: frozenset[str] = frozenset()
        self.acceptances = Acceptances()
        self.accepted: str | None = None

    @property
    def slots(self) -> Slots:
        """The seasonal slots of windows."""
        return self._slots

    @property
    def holidays(self) -> frozenset[str]:
        """Days that are a slot of their own."""
        return self._slots.holidays

    def season(self, calendar: Calendar, holidays: Iterable[str] | None = None) -> None:
        """Set the calendar and holidays; what was learned by another calendar is learned anew."""
        days = self._slots.holidays if holidays is None else frozenset(holidays)
        if calendar != self._slots.calendar or days != self._slots.holidays:
            self._slots = Slots(calendar, days)
            self._forget()

    def add(self, record: Record) -> None:
        """Take in one ledger record; kinds that do not matter here are ignored."""
        if record.kind == "evidence":
            self.add_evidence(Evidence.of(record.body))
        elif record.kind == "finding":
            self.add_finding(Finding.of(record.body))
        elif record.kind == "accepted":
            self.accepted = str(record.body["window"])
        elif record.kind == "verdict":
            self._verdicts[str(record.body["incident"])] = str(record.body["status"])
        elif record.kind == "incident":
            self._incident(record.body)
        elif record.kind == "acceptance":
            self._acceptance(record)

    def add_evidence(self, evidence: Evidence) -> None:
        """Take in one piece of evidence; newer evidence of the same window replaces older."""
        self._scores.clear()
        if evidence.type == "arrival":
            self._arrivals[evidence.subject][evidence.window] = evidence.values
        elif evidence.type == "filling":
            self._fillings[evidence.subject].setdefault(evidence.window, []).append(evidence.values)
        elif evidence.type == "signature":
            self._columns[evidence.id] = _columns_of(evidence.values)
        if evidence.type not in SERIES or self.open(evidence):
            return
        if evidence.type == "performance":
            self._errors[evidence.subject][evidence.window] = mapping(evidence.values.get("errors"))
        key = (evidence.type, evidence.subject)
        if evidence.values.get("frozen"):
            if self._series[key].pop(evidence.window, None) is not None:
                self._closures.pop(evidence.subject, None)
                self._touched(key, evidence.window)
            return
        values = {name: number for name, value in evidence.values.items() if (number := _number(value)) is not None}
        if self._series[key].get(evidence.window) != values:
            self._series[key][evidence.window] = values
            self._closures.pop(evidence.subject, None)
            self._touched(key, evidence.window)

    def open(self, evidence: Evidence) -> bool:
        """Tell whether a window was still filling up when it was measured: it says nothing about whole windows."""
        return bool(self._arrivals.get(evidence.subject, {}).get(evidence.window, {}).get("open"))

    def add_finding(self, finding: Finding) -> None:
        """Take in one finding: an alarm keeps its subject's window from being learned."""
        self._scores.clear()
        self._findings[finding.id] = finding
        if finding.severity == "alarm":
            self._closures.pop(finding.subject, None)
            self._alarms[finding.window][finding.subject].add(finding.id)
            self._alarmed[finding.monitor, finding.subject].add(finding.window)
            for key in list(self._baselines):
                if key[1] == finding.subject or finding.window in self._notices.get(key[1], ()):
                    self._touched(key, finding.window)
        else:
            self._notices[finding.subject].add(finding.window)
            self._newest[(finding.monitor, finding.subject, finding.metric)] = finding
            if finding.window in self._alarms:
                self._touched_subject(finding.subject, finding.window)

    def newest_notice(self, monitor: str, subject: str, metric: str) -> Finding | None:
        """Return a monitor's newest notice on a metric, so that it need not repeat itself."""
        return self._newest.get((monitor, subject, metric))

    def alarmed(self, monitor: str, subject: str, before: str) -> str:
        """Return the newest window before another that a monitor alarmed about, whatever came of it; empty if none."""
        return max((window for window in self._alarmed.get((monitor, subject), ()) if window < before), default="")

    def in_alarm(self, subject: str, window: str) -> bool:
        """Tell whether a subject is in alarm in a window."""
        return bool(self._alarms.get(window, {}).get(subject))

    def learnable(self, subject: str, window: str) -> bool:
        """Tell whether a subject's window may be learned from."""
        if window in self._unlearned.get(subject, ()):
            return False
        if window not in self._alarms or not any(self._alarms[window].values()):
            return True
        return not self.in_alarm(subject, window) and window not in self._notices.get(subject, ())

    def closed(self, evidence: Evidence) -> bool:
        """Tell whether a table has no rows in a window and that is in order, see `headwater.observe.closures`."""
        if evidence.type != "profile" or evidence.values.get(ROWS) != 0:
            return False
        return evidence.window in self._closures_of(evidence.subject, {evidence.window: 0.0})

    def columns(self, finding: Finding) -> tuple[str, ...]:
        """Return the columns that a signature's finding is about; its metric is a kind of fault."""
        return next((self._columns[cause] for cause in finding.causes if cause in self._columns), ())

    def settled(self, finding: str) -> bool:
        """Tell whether a finding was accepted as the new normal since."""
        return finding in self._settled

    def windows(self, type: str, subject: str) -> list[str]:
        """Return the windows with evidence of a type about a subject, in order."""
        return sorted(self._series.get((type, subject), {}))

    def values(self, type: str, subject: str, window: str) -> Mapping[str, float]:
        """Return the numbers of one window; empty when there are none."""
        return self._series.get((type, subject), {}).get(window, {})

    def series(self, type: str, subject: str, metric: str) -> dict[str, float]:
        """Return one metric by window, in order."""
        found = self._series.get((type, subject), {})
        return {window: found[window][metric] for window in sorted(found) if metric in found[window]}

    def errors(self, subject: str, window: str) -> Mapping[str, Any]:
        """Return a model's errors in a window by the size of the prediction; empty where none are known."""
        return self._errors.get(subject, {}).get(window, {})

    def arrivals(self, subject: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of a dataset's deliveries, by window."""
        return self._arrivals.get(subject, {})

    def fillings(self, subject: str) -> Mapping[str, list[Mapping[str, Any]]]:
        """Return how each window filled up: its deliveries in order, those while it was open and the last."""
        return self._fillings.get(subject, {})

    def baseline(self, type: str, subject: str, before: str) -> Baseline:
        """Return what the accepted windows before ``before`` teach about a subject."""
        key = (type, subject)
        learned = self._baselines.get(key)
        if learned is not None and learned[1] < before:
            baseline, last = learned
            fresh = [window for window in self._accepted_windows(key, before) if window > last]
            if len(fresh) <= _REFIT:
                for window in fresh:
                    baseline.update(window, self._series[key][window])
                self._baselines[key] = (baseline, fresh[-1] if fresh else last)
                return baseline
        windows = self._accepted_windows(key, before)
        baseline = Baseline(self._slots).fit(self._learned(key, windows, before), self._known(key, windows, before))
        if self._settling(key, windows, before):
            self._baselines.pop(key, None)
        elif windows and (learned is None or learned[1] <= windows[-1]):
            self._baselines[key] = (baseline, windows[-1])
        return baseline

    def scores(self, evidence: Evidence, metrics: Iterable[str] | None = None) -> dict[str, Score]:
        """Score the numbers of a piece of evidence against the subject's accepted past.

        A window in which a table was closed is not out of any band.
        """
        values = {name: number for name, value in evidence.values.items() if (number := _number(value)) is not None}
        place = (evidence.type, evidence.subject, evidence.window)
        cached = self._scores.get(place)
        if cached is None or cached[0] != values:
            found = self.baseline(evidence.type, evidence.subject, evidence.window).score(evidence.window, values)
            found |= self._as_before(evidence, values, found)
            if self.closed(evidence):
                found = {name: replace(score, r=0.0, evidence=1.0) for name, score in found.items()}
            cached = self._scores[place] = (values, found)  # until something is recorded: each monitor asks anew
        return cached[1] if metrics is None else {name: cached[1][name] for name in metrics if name in cached[1]}

    def _as_before(
        self, evidence: Evidence, values: Mapping[str, float], found: Mapping[str, Score]
    ) -> dict[str, Score]:
        """Return the scores by the level before an accepted one, where that is the nearer and may hold still.

        Who accepts that a shop is closed on Saturday does not say what Monday is like: until a weekday, or hour of the
        week, was there since the accepted level began, it may be as it always was.
        """
        changes = self._changes(evidence.subject, evidence.window)
        if not changes:
            return {}
        key, slot = (evidence.type, evidence.subject), self._slots.of(evidence.window)
        windows = self._accepted_windows(key, evidence.window)
        if any(window >= max(changes) and self._slots.of(window) == slot for window in windows):
            return {}
        before = Baseline(self._slots).fit({window: self._series[key][window] for window in windows})
        old = before.score(evidence.window, values)
        return {name: score for name, score in old.items() if name in found and score.r < found[name].r}

    def _accepted_windows(self, key: Key, before: str) -> list[str]:
        if key[1] not in self._closures:
            self._closures[key[1]] = self._closures_of(key[1], {})
        closed = self._closures[key[1]]
        found = (window for window in self._series[key] if window < before and window not in closed)
        return sorted(window for window in found if self.learnable(key[1], window))

    def _closures_of(self, subject: str, newest: Mapping[str, float]) -> frozenset[str]:
        excused = self._excused.get(subject)
        if not excused:
            return frozenset()
        counts = {**self.series("profile", subject, ROWS), **newest}
        known = {
            window: count for window, count in counts.items()
            if count or window in excused or window in newest or not self.in_alarm(subject, window)
        }  # fmt: skip
        return closures(known, {window for window in excused if known.get(window) == 0}, self._slots)

    def _incident(self, body: Mapping[str, Any]) -> None:
        name = str(body["incident"])
        self._incidents[name] |= {str(item) for item in body.get("findings", ())}
        if body.get("state") != "closed" or self._verdicts.get(name) not in _ACQUITTED:
            return
        for finding_id in self._incidents[name]:
            finding = self._findings.get(finding_id)
            if finding is not None and finding.severity == "alarm":
                self._acquitted.add(finding_id)
                self._excuse(finding)
                self._alarms[finding.window][finding.subject].discard(finding_id)
                self._forget()

    def _acceptance(self, record: Record) -> None:
        """Learn what was accepted; what was learned by an acceptance that is undone is unlearned."""
        self.acceptances.add(record, [(item, self.columns(item)) for item in self._findings.values()], self._empty)
        for subject in record.body["subjects"]:
            keys = [key for key in self._series if key[1] == subject]
            since = {window for key in keys for window in self._series[key] if window >= record.body["first"]}
            if record.body["state"] == "lifted":
                self._unlearned[subject] |= since
            else:
                self._unlearned[subject] -= since
        self._weigh_again()

    def _weigh_again(self) -> None:
        """Fold all findings anew, without those that are accepted or acquitted."""
        self._settled = self.acceptances.covered()
        settled = self._acquitted | self._settled
        self._alarms.clear()
        self._notices.clear()
        self._excused.clear()
        for finding in self._findings.values():
            if finding.id in settled:
                self._excuse(finding)
                continue
            if finding.severity == "alarm":
                self._alarms[finding.window][finding.subject].add(finding.id)
            else:
                self._notices[finding.subject].add(finding.window)
        self._forget()

    def _excuse(self, finding: Finding) -> None:
        """Remember a finding that is settled, if it alarmed because a table had no rows."""
        if finding.severity == "alarm" and finding.metric == ROWS and not finding.value:
            self._excused[finding.subject].add(finding.window)

    def _empty(self, subject: str, window: str) -> bool:
        return self.values("profile", subject, window).get(ROWS) == 0

    def _learned(self, key: Key, windows: Iterable[str], before: str) -> dict[str, Mapping[str, float]]:
        """Return the metrics of windows, those before an accepted change of level moved to where they lie now."""
        found: dict[str, Mapping[str, float]] = {window: self._series[key][window] for window in windows}
        if not self._changes(key[1], before):
            return found
        metrics = {metric for values in found.values() for metric in values}
        levels = self.acceptances.levels(key[1], metrics)
        return dict(releveled(found, {metric: first for metric, first in levels.items() if first <= before}))

    def _known(self, key: Key, windows: Iterable[str], before: str) -> dict[str, str]:
        """Return by metric the window up to which somebody has said what to think of it: no drift is told from there.

        That is where an accepted level begins, and for the number of rows the newest closure.
        """
        metrics = {metric for window in windows for metric in self._series[key][window]}
        found = {metric: first for metric, first in self.acceptances.levels(key[1], metrics).items() if first <= before}
        closed = max((window for window in self._excused.get(key[1], ()) if window < before), default="")
        return {**found, ROWS: max(closed, found.get(ROWS, ""))}

    def _settling(self, key: Key, windows: list[str], before: str) -> bool:
        """Tell whether an accepted level is so new that each window still says better where it lies."""
        changes = self._changes(key[1], before)
        return bool(changes) and sum(window >= max(changes) for window in windows) <= _REFIT

    def _changes(self, subject: str, before: str) -> list[str]:
        return [made.first for made in self.acceptances.all() if subject in made.subjects and made.first <= before]

    def _touched_subject(self, subject: str, window: str) -> None:
        for type in SERIES:
            self._touched((type, subject), window)

    def _touched(self, key: Key, window: str) -> None:
        """Drop what was learned from a window that has changed since."""
        learned = self._baselines.get(key)
        if learned is not None and window <= learned[1]:
            del self._baselines[key]
        self._scores.clear()

    def _forget(self) -> None:
        self._baselines.clear()
        self._closures.clear()
        self._scores.clear()


def _columns_of(signature: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a signature, of one that was recorded without them by what would repair it."""
    told = signature.get("columns")
    if told is None:
        parameters = mapping(mapping(signature.get("repair")).get("parameters"))
        told = [*parameters.get("columns", ()), *parameters.get("calendar", ())]
    return tuple(map(str, told))


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None
