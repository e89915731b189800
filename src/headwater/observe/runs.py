"""The runs behind the lineage graph: events added up by run id, and an index of who wrote which window when."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from headwater.core.assets import Mechanism

ENDS = ("COMPLETE", "FAIL", "ABORT")
_NONE: Mapping[str, Any] = {}


class Input(NamedTuple):
    """What a run read of a dataset: the version, and the content hash of each window (empty when not told)."""

    ref: str
    version: str | None
    contents: Mapping[str, str]


class Touched(NamedTuple):
    """What an event says of a dataset that was read or written."""

    ref: str
    version: str | None
    contents: Mapping[str, str]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """One run, as the writer of one dataset.

    Attributes:
        run_id: UUID of the run.
        job: Job name.
        dataset: Reference of the dataset; of the model version for a training run.
        time: When the run first reached its state.
        windows: Keys of the windows it delivered, sorted; empty for foreign runs.
        version: The version it wrote.
        contents: Content hash of each window it wrote.
        rows: Row count of each window it wrote.
        mechanism: The code and parts that ran; None when the event does not say.
        inputs: What it read.
        state: COMPLETE, FAIL, ABORT, START, RUNNING or OTHER.
        facets: The run's facets, known and unknown.
    """

    run_id: str
    job: str
    dataset: str
    time: datetime
    windows: tuple[str, ...]
    version: str | None
    contents: Mapping[str, str]
    rows: Mapping[str, int]
    mechanism: Mechanism | None
    inputs: tuple[Input, ...]
    state: str
    facets: Mapping[str, Any]


class FailedTest(NamedTuple):
    """A test on a dataset that a run says has failed."""

    ref: str
    name: str
    severity: str


@dataclass(frozen=True, slots=True)
class Course:
    """How one run went: when it reached which state, what it read, wrote and tested.

    Attributes:
        run_id: UUID of the run.
        namespace: Namespace of the job.
        job: Job name.
        state: COMPLETE, FAIL, ABORT, START, RUNNING or OTHER.
        reached: When it first reached each state.
        inputs: References of what it read.
        outputs: What it wrote, by reference.
        facets: The run's facets.
        tests: Tests that failed in it.
    """

    run_id: str
    namespace: str
    job: str
    state: str
    reached: Mapping[str, datetime]
    inputs: tuple[str, ...]
    outputs: Mapping[str, Touched]
    facets: Mapping[str, Any]
    tests: tuple[FailedTest, ...]

    @property
    def began(self) -> datetime | None:
        """When it started; None when no event says."""
        return self.reached.get("START")

    @property
    def ended(self) -> datetime | None:
        """When it came to its end; None while it runs."""
        return self.reached[self.state] if self.state in ENDS else None


@dataclass(slots=True)
class _Run:
    """The events of one run, added up. ``reached``: when it first reached each state; ``seen``: answers given."""

    run_id: str
    job: str
    namespace: str
    order: int
    newest: datetime
    state: str = "OTHER"
    reached: dict[str, datetime] = field(default_factory=dict)
    facets: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Touched] = field(default_factory=dict)
    outputs: dict[str, Touched] = field(default_factory=dict)
    seen: dict[str, DatasetRun] = field(default_factory=dict)
    tests: dict[FailedTest, None] = field(default_factory=dict)

    @property
    def time(self) -> datetime:
        return self.reached[self.state]


class _Write(NamedTuple):
    """A completed write of one window; sorts by time."""

    time: datetime
    order: int
    run_id: str


class Runs:
    """All runs, indexed by the datasets and windows they wrote."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._of: dict[str, dict[str, None]] = {}
        self._writes: dict[str, dict[str, list[_Write]]] = {}
        self._filed: dict[tuple[str, str], tuple[_Write, tuple[str, ...]]] = {}

    def add(
        self,
        run_id: str,
        job: str,
        *,
        state: str,
        time: datetime,
        facets: Mapping[str, Any],
        inputs: Iterable[Touched],
        outputs: Iterable[Touched],
        namespace: str = "",
        tests: Iterable[FailedTest] = (),
    ) -> tuple[Iterable[str], Iterable[str]]:
        """Add an event to its run, and return the references of all that the run has read and written so far."""
        run = self._runs.get(run_id)
        if run is None:
            run = self._runs[run_id] = _Run(run_id, job, namespace, len(self._runs), time)
        run.seen.clear()
        run.tests |= dict.fromkeys(tests)
        newer = time >= run.newest
        run.newest = max(run.newest, time)
        # An end outlives a START that arrives late; among ends, and among the rest, the newest counts.
        if (state in ENDS, newer) >= (run.state in ENDS, True):
            run.state = state
        run.reached[state] = min(time, run.reached.get(state, time))
        run.facets = {**run.facets, **facets} if newer else {**facets, **run.facets}
        for known, fresh in ((run.inputs, inputs), (run.outputs, outputs)):
            for one in fresh:
                old = known.get(one.ref)
                known[one.ref] = one if old is None else _joined(old, one) if newer else _joined(one, old)
        for one in run.outputs.values():
            self._of.setdefault(one.ref, {})[run_id] = None
            self._file(run, one)
        return run.inputs, run.outputs

    def courses(self, besides: str) -> list[Course]:
        """Return how the runs of all jobs went, those of one namespace aside, in order of appearance."""
        return [
            Course(run.run_id, run.namespace, run.job, run.state, run.reached, tuple(run.inputs), run.outputs,
                   run.facets, tuple(run.tests))
            for run in self._runs.values() if run.namespace != besides
        ]  # fmt: skip

    def of(self, ref: str) -> list[DatasetRun]:
        """Return the runs that name a dataset as output, oldest first."""
        found = [self._runs[run_id] for run_id in self._of.get(ref, ())]
        return [_seen(run, ref) for run in sorted(found, key=lambda run: (run.time, run.order))]

    def windows(self, ref: str) -> list[str]:
        """Return the keys of the windows that a COMPLETE run wrote, sorted."""
        return sorted(self._writes.get(ref, ()))

    def writers(self, ref: str, window: str, known_at: datetime | None = None) -> list[DatasetRun]:
        """Return the COMPLETE runs that wrote a window, at or before ``known_at``, oldest first."""
        return [_seen(self._runs[write.run_id], ref) for write in self._upto(ref, window, known_at)]

    def writer(self, ref: str, window: str, known_at: datetime | None = None) -> DatasetRun | None:
        """Return the newest COMPLETE run that wrote a window, at or before ``known_at``."""
        writes = self._upto(ref, window, known_at)
        return _seen(self._runs[writes[-1].run_id], ref) if writes else None

    def _upto(self, ref: str, window: str, known_at: datetime | None) -> list[_Write]:
        writes = self._writes.get(ref, {}).get(window, [])
        if known_at is None:
            return writes
        return writes[: bisect_right(writes, known_at, key=lambda write: write.time)]

    def _file(self, run: _Run, output: Touched) -> None:
        """Keep writes in order of time; an event that adds to a run replaces what the run was filed under."""
        by_window = self._writes.setdefault(output.ref, {})
        old = self._filed.pop((run.run_id, output.ref), None)
        if old is not None:
            for window in old[1]:
                by_window[window].remove(old[0])
                if not by_window[window]:
                    del by_window[window]
        if run.state != "COMPLETE":
            return
        write = _Write(run.time, run.order, run.run_id)
        windows = tuple(dict.fromkeys((*_windows(run.facets), *output.contents)))
        for window in windows:
            insort(by_window.setdefault(window, []), write)
        self._filed[run.run_id, output.ref] = (write, windows)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one: facets from outside can hold anything."""
    return value if type(value) is dict or isinstance(value, Mapping) else _NONE


def _joined(old: Touched, new: Touched) -> Touched:
    """Add two mentions of a dataset in one run up, the newer one last."""
    if new.version not in (None, old.version):
        return new
    return Touched(new.ref, old.version, {**old.contents, **new.contents}, {**old.rows, **new.rows})


def _windows(facets: Mapping[str, Any]) -> tuple[str, ...]:
    listed = mapping(facets.get("headwater_run")).get("windows")
    return tuple(sorted(str(key) for key in listed)) if isinstance(listed, list) else ()


def _seen(run: _Run, ref: str) -> DatasetRun:
    if ref not in run.seen:
        run.seen[ref] = _answer(run, ref)
    return run.seen[ref]


def _answer(run: _Run, ref: str) -> DatasetRun:
    output = run.outputs[ref]
    told = mapping(run.facets.get("headwater_run"))
    code = told.get("code")
    return DatasetRun(
        run_id=run.run_id,
        job=run.job,
        dataset=ref,
        time=run.time,
        windows=_windows(run.facets),
        version=output.version,
        contents=output.contents,
        rows=output.rows,
        mechanism=Mechanism(str(code), dict(mapping(told.get("parts")))) if code else None,
        inputs=tuple(
            Input(one.ref, one.version, one.contents)
            for one in run.inputs.values()
            if f"{one.ref}@{one.version}" not in run.inputs  # a model that is there by its version
        ),
        state=run.state,
        facets=run.facets,
    )
