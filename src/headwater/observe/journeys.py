"""Expected arrivals of jobs known by their events alone: late, missing, out of sequence, not ready, failed, twice.

Everything is learned from the job's own past (`LANDINGS` windows at least; before that only its own words count: a
run that failed, a test that failed, a window that came twice). A job is expected in a window when it ran in the same
window of the last three weeks (of the last three days for hours), so that what rests on Sundays rests in peace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from headwater.core.records import Finding
from headwater.core.windows import Calendar, Window
from headwater.observe.arrival import LANDINGS, latest
from headwater.observe.runs import Course, Touched, mapping

HORIZON = {"1d": 14, "1h": 48}
"""Windows back from now that are judged; older ones are history."""
_SEASON = {"1d": 7, "1h": 24}
_WEEKS = 3
_HABIT = 0.05  # share of past windows in which what is unusual may have happened and still be unusual

KINDS: Mapping[str, Literal["alarm", "notice"]] = {
    "missing": "alarm",
    "late_start": "notice",
    "late_end": "alarm",
    "unexpected_status": "alarm",
    "tests_failed": "alarm",
    "not_ready": "alarm",
    "stale_input": "alarm",
    "out_of_sequence": "notice",
    "duplicate": "alarm",
}
"""What can be wrong with a journey, and how loud it is."""


@dataclass
class _Job:
    """The runs of one job by window, in order of their begin."""

    subject: str
    told: bool = True
    runs: dict[str, list[Course]] = field(default_factory=lambda: defaultdict(list))

    def lag(self, window: Window, what: str) -> float | None:
        """Hours from a window's end to its first start, or to its first success."""
        times = [run.reached[what] for run in self.runs.get(window.key, ()) if what in run.reached]
        return (min(times) - window.end).total_seconds() / 3600 if times else None


class JourneyMonitor:
    """Judge the journeys of jobs by their run events and the clock.

    ``missing``: it never ran though it should have by now. ``late_start`` and ``late_end``: past the hours it takes
    (see `headwater.observe.arrival.latest`, which states the rate). ``unexpected_status``: FAIL or ABORT.
    ``tests_failed``. ``not_ready``: it began before its input of the same window had landed. ``stale_input``: its input
    was written again after it had read it. ``out_of_sequence``: a window before the one that precedes it.
    ``duplicate``: a window written twice, an alarm when the content differs. What a job has always done is not unusual.

    Args:
        calendar: The calendar that names windows.
        holidays: Days on which nobody is expected.
    """

    name = "journey"

    def __init__(self, calendar: Calendar, holidays: Sequence[str] = ()) -> None:
        self.calendar = calendar
        self.holidays = frozenset(holidays)

    def evaluate(self, courses: Sequence[Course], now: datetime) -> list[Finding]:
        """Return what is wrong by now, upstream or downstream alike, in order of window."""
        jobs = self._jobs([course for course in courses if min(course.reached.values()) <= now])
        landed = _landed(jobs)
        oldest = self.calendar.shift(self.calendar.containing(now), -HORIZON[self.calendar.every])
        found = []
        for job in jobs.values():
            for window in self.calendar.between(oldest.key, self.calendar.containing(now).key):
                found += [
                    self._finding(job, window, metric, text, severity, now)
                    for metric, text, severity in self._window(job, window, landed, now)
                ]
        return sorted(found, key=lambda item: (item.window, item.subject, item.metric))

    def _jobs(self, courses: Sequence[Course]) -> dict[str, _Job]:
        jobs: dict[str, _Job] = {}
        for course in sorted(courses, key=lambda one: min(one.reached.values())):
            key, told = self._key(course)
            name = f"job:{course.namespace}/{course.job}"
            job = jobs.setdefault(name, _Job(name))
            job.told = job.told and told
            if course.outputs and job.subject == name:
                job.subject = next(iter(course.outputs))
            job.runs[key].append(course)
        return jobs

    def _key(self, course: Course) -> tuple[str, bool]:
        """The window a run is about: the last of its nominal time; else the one it ran in, which nobody told."""
        nominal = mapping(course.facets.get("nominalTime"))
        for name, back in (("nominalEndTime", timedelta(microseconds=1)), ("nominalStartTime", timedelta(0))):
            try:
                time = datetime.fromisoformat(str(nominal.get(name)))
                start = datetime.fromisoformat(str(nominal.get("nominalStartTime")))
                return self.calendar.containing(max(time - back, start)).key, True
            except (ValueError, TypeError, OverflowError):
                continue
        return self.calendar.containing(min(course.reached.values())).key, False

    def _window(
        self, job: _Job, window: Window, landed: Mapping[str, Mapping[str, list[datetime]]], now: datetime
    ) -> Iterator[tuple[str, str, str]]:
        runs = job.runs.get(window.key, [])
        yield from self._clock(job, window, runs, now)
        yield from _status(runs)
        if not job.told or not runs:
            return
        yield from _twice(runs)
        before = self._before(job, window)
        if job.runs.get(before.key) is not None or before.key in self._expected(job, before):
            earlier = [run.reached["COMPLETE"] for run in job.runs.get(before.key, ()) if "COMPLETE" in run.reached]
            done = [run.reached["COMPLETE"] for run in runs if "COMPLETE" in run.reached]
            if done and not (earlier and min(earlier) <= min(done)):
                yield "out_of_sequence", f"window {window.key} was delivered before {before.key}", "notice"
        for metric, asked in (("not_ready", _unready), ("stale_input", _stale)):
            text = asked(runs, window.key, landed)
            if text and not self._habit(job, window, landed, metric):
                yield metric, text, KINDS[metric]

    def _clock(
        self, job: _Job, window: Window, runs: Sequence[Course], now: datetime
    ) -> Iterator[tuple[str, str, str]]:
        """Late and missing, by the clock: no verdict on an open window, nor on one in which nothing was expected."""
        past = [self.calendar.window(key) for key in sorted(job.runs) if key < window.key]
        starts, ends = (self._due(job, past, window, what) for what in ("START", "COMPLETE"))
        hours = (now - window.end).total_seconds() / 3600
        if hours < 0 or ends is None:
            return
        began, ended = job.lag(window, "START"), job.lag(window, "COMPLETE")
        if not runs:
            if window.key not in self._expected(job, window):
                return
            if hours > ends:
                yield "missing", f"it has not run {hours:.1f} hours after the window's end", "alarm"
            elif starts is not None and hours > starts:
                yield "late_start", f"it has not started {hours:.1f} hours after the window's end", "notice"
            return
        if starts is not None and began is not None and began > starts:
            yield (
                "late_start",
                f"it started {began:.1f} hours after the window's end, usually by {starts:.1f}",
                "notice",
            )
        if ended is not None and ended > ends:
            yield "late_end", f"it ended {ended:.1f} hours after the window's end, usually by {ends:.1f}", "notice"
        elif ended is None and hours > ends and not any(run.ended for run in runs):
            yield "late_end", f"it still runs {hours:.1f} hours after the window's end, usually by {ends:.1f}", "alarm"

    def _due(self, job: _Job, past: Sequence[Window], window: Window, what: str) -> float | None:
        lags = [(one, lag, False) for one in past if (lag := job.lag(one, what)) is not None]
        return latest(lags, window)

    def _expected(self, job: _Job, window: Window) -> tuple[str, ...]:
        """The window's own key when the job is expected in it, else nothing."""
        if window.key in self.holidays:
            return ()
        season = _SEASON[self.calendar.every]
        before = [self.calendar.shift(window, -season * step).key for step in range(1, _WEEKS + 1)]
        return (window.key,) if all(key in job.runs for key in before) else ()

    def _before(self, job: _Job, window: Window) -> Window:
        """The newest window before this one that the job ran in or was expected in."""
        back = self.calendar.shift(window, -1)
        for _ in range(_SEASON[self.calendar.every]):
            if back.key in job.runs or self._expected(job, back):
                break
            back = self.calendar.shift(back, -1)
        return back

    def _habit(
        self, job: _Job, window: Window, landed: Mapping[str, Mapping[str, list[datetime]]], metric: str
    ) -> bool:
        """Tell whether it has always been like this, or too little is known to say."""
        asked = _unready if metric == "not_ready" else _stale
        past = [key for key in sorted(job.runs) if key < window.key][-10 * LANDINGS :]
        if len(past) < LANDINGS:
            return True
        return sum(bool(asked(job.runs[key], key, landed)) for key in past) > _HABIT * len(past)

    def _finding(self, job: _Job, window: Window, metric: str, text: str, severity: str, now: datetime) -> Finding:
        return Finding(
            monitor=self.name,
            subject=job.subject,
            window=window.key,
            metric=metric,
            severity="alarm" if severity == "alarm" else "notice",
            score=1.0,
            detail=text,
            time=now,
        )


def _landed(jobs: Mapping[str, _Job]) -> dict[str, dict[str, list[datetime]]]:
    """When each window of each dataset was written, in order."""
    found: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs.values():
        for key, runs in job.runs.items():
            for run in runs:
                if job.told and "COMPLETE" in run.reached:
                    for ref in run.outputs:
                        found[ref][key].append(run.reached["COMPLETE"])
    return {ref: {key: sorted(times) for key, times in by_window.items()} for ref, by_window in found.items()}


def _status(runs: Sequence[Course]) -> Iterator[tuple[str, str, str]]:
    """A run that ended badly and was not made good, and tests that failed in the last run that told of any."""
    ended = [run for run in runs if run.ended is not None]
    if ended and not any(run.state == "COMPLETE" for run in ended):
        worst = ended[-1]
        said = str(mapping(worst.facets.get("errorMessage")).get("message") or "").strip().split("\n")[0]
        yield "unexpected_status", f"it ended as {worst.state}" + (f": {said[:200]}" if said else ""), "alarm"
    for test in next((run.tests for run in reversed(runs) if run.tests), ()):
        loud = "notice" if test.severity.lower().startswith("warn") else "alarm"
        where = f" on {test.ref}" if test.ref else ""
        yield "tests_failed", f"test {test.name}{where} failed", loud


def _twice(runs: Sequence[Course]) -> Iterator[tuple[str, str, str]]:
    """A window that was written twice; with other content when versions, hashes or row counts say so."""
    done = [run for run in runs if run.state == "COMPLETE" and run.outputs]
    if len(done) < 2:
        return
    first, last = done[0], done[-1]
    shared = [ref for ref in first.outputs if ref in last.outputs]
    if not shared:
        return
    differs = any(_differs(first.outputs[ref], last.outputs[ref]) for ref in shared)
    text = f"delivered {len(done)} times" + (", with other content" if differs else "")
    yield "duplicate", text, "alarm" if differs else "notice"


def _differs(one: Touched, other: Touched) -> bool:
    """Tell whether two writes are known to hold other content; a new version number alone does not say so."""
    if one.contents and other.contents:
        return any(other.contents.get(key, hashed) != hashed for key, hashed in one.contents.items())
    return any(other.rows.get(key, count) != count for key, count in one.rows.items())


def _unready(runs: Sequence[Course], key: str, landed: Mapping[str, Mapping[str, list[datetime]]]) -> str:
    for run in runs:
        for ref in run.inputs:
            times = landed.get(ref, {}).get(key)
            if ref in landed and run.began is not None and (not times or run.began < times[0]):
                when = (
                    f"landed {(times[0] - run.began).total_seconds() / 60:.0f} minutes later" if times else "never came"
                )
                return f"it started before its input: {ref} {when}"
    return ""


def _stale(runs: Sequence[Course], key: str, landed: Mapping[str, Mapping[str, list[datetime]]]) -> str:
    """The last successful run must have begun after the newest version of each input of the same window."""
    done = [run for run in runs if run.state == "COMPLETE"]
    if not done:
        return ""
    last = max(done, key=lambda run: run.reached["COMPLETE"])
    read = last.began or last.reached["COMPLETE"]
    for ref in last.inputs:
        times = landed.get(ref, {}).get(key, [])
        if len(times) > 1 and times[0] <= read < times[-1]:
            return f"{ref} was written again after it was read"
    return ""
