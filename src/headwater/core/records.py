"""The frozen records of the line: event -> evidence -> finding -> incident -> verdict -> remedy.

Each is stored in the ledger as plain JSON; its id is the hash of its content, and ``causes`` names the records it
follows from, so that every step can be replayed and explained.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from headwater.core.canonical import digest, plain

Side = Literal["data", "ml"]
SIDES: tuple[Side, Side] = ("data", "ml")
Severity = Literal["alarm", "notice"]


LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})
"""Metadata of a field that a kind of record was given after records of it had been stored; it needs a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record that can be written to the ledger and read back."""

    kind: typing.ClassVar[str] = "record"

    @property
    def id(self) -> str:
        """The content hash that names this record."""
        return digest({"kind": self.kind, **self.body()})

    def body(self) -> dict[str, Any]:
        """The record as plain JSON data, without fields that came `LATER` and hold nothing.

        So a record that was written before such a field was thought of keeps its id, and what was signed stays signed.
        """
        return {
            item.name: _lower(getattr(self, item.name))
            for item in dataclasses.fields(self)
            if "later" not in item.metadata or getattr(self, item.name) != item.default
        }

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read a record back from its plain data."""
        hints = _hints(cls)
        return cls(**{name: _lift(hints[name], value) for name, value in body.items() if name in hints})


_HINTS: dict[str, Mapping[str, Any]] = {}


def _hints(cls: type[Any]) -> Mapping[str, Any]:
    """Resolve a record's field types once: resolving them costs more than reading a record."""
    if cls.__qualname__ not in _HINTS:
        hints = typing.get_type_hints(cls)
        _HINTS[cls.__qualname__] = {item.name: hints[item.name] for item in dataclasses.fields(cls)}
    return _HINTS[cls.__qualname__]


def _lower(value: Any) -> Any:
    if isinstance(value, Stored):
        return value.body()
    if isinstance(value, tuple):
        return [_lower(item) for item in value]
    return plain(value)


def _lift(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if value is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return _lift(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value)
    if origin is tuple:
        return tuple(_lift(typing.get_args(hint)[0], item) for item in value)
    if isinstance(hint, type) and issubclass(hint, Stored):
        return hint.of(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if hint is float and isinstance(value, (int, str)):
        return float(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Stored):
    """A measured fact about one subject in one window.

    ``type`` is one of ``profile`` (column metrics of a table), ``contract`` (check results), ``mechanism`` (exact
    test of a recomputable asset), ``release`` (loaded against approved model), ``signature`` (a source repair that
    restores normality), ``replay`` (what a hop holds with the culprit repaired), ``elimination`` (how much of what is
    wrong downstream came in by a source), ``performance``, ``estimate`` (performance expected before labels),
    ``inputs`` (features that moved), ``world`` (tests of a changed world),
    ``fairness`` (gaps between groups), ``segment`` (parts of the rows that do worse than they did), ``latency``,
    ``calibration`` (confidence and reliability), ``business``, ``unmeasured``,
    ``watch`` (declared numbers), ``schema``, ``vocabulary``, ``arrival`` (landing of a dataset), ``filling`` (how far a
    window had filled up), ``verification`` or ``cost`` (of an incident, by the labels that came after its verdict).
    ``values`` maps a metric's name to its number or a small plain structure.
    """

    kind: typing.ClassVar[str] = "evidence"
    type: str
    subject: str
    window: str
    values: Mapping[str, Any]
    time: datetime
    causes: tuple[str, ...] = ()

    def finding(
        self,
        monitor: str,
        metric: str,
        severity: Severity,
        score: float,
        detail: str,
        time: datetime,
        value: float | None = None,
        expected: float | None = None,
    ) -> Finding:
        """Say that this is out of its band; see `Finding`."""
        return Finding(
            monitor=monitor,
            subject=self.subject,
            window=self.window,
            metric=metric,
            severity=severity,
            score=score,
            value=value,
            expected=expected,
            detail=detail,
            time=time,
            causes=(self.id,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Stored):
    """A monitor's statement that evidence is out of its band.

    ``severity`` is ``alarm`` (opens an incident) or ``notice`` (drawn and kept, wakes nobody). ``score`` is the
    exceedance ratio or the e-value over its threshold: above 1 is unusual, above the monitor's limit is a finding.
    """

    kind: typing.ClassVar[str] = "finding"
    monitor: str
    subject: str
    window: str
    metric: str
    severity: Severity
    score: float
    value: float | None = None
    expected: float | None = None
    detail: str = ""
    time: datetime
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Stored):
    """One link of an evidence chain: a subject, the test made there, its number, and the command that repeats it."""

    kind: typing.ClassVar[str] = "step"
    subject: str
    side: str
    owner: str
    test: str
    value: float | None
    text: str
    command: str
    versions: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[str, ...] = ()


Action = Literal["rollback_model", "rollback_code", "repair", "hold", "retrain", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Stored):
    """One thing that could be done about a verdict, with what is known of doing it.

    ``probability`` is that of the cause it acts against. ``gain`` is what replaying exactly this act over the
    incident's windows gains if that cause is true, ``loss`` what it costs if another is, both in ``unit``; None where
    no replay tells. ``displacement`` is how much nearer it brings predictions or labels to what they should be (mean
    share of a probability). ``utility`` weighs gain and loss by the probabilities, in ``measure``. ``veto`` says why it
    must not be done; empty when it may.
    """

    kind: typing.ClassVar[str] = "option"
    action: Action
    target: str
    probability: float
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    unit: str = ""
    loss: float | None = None
    displacement: float | None = None
    utility: float | None = None
    measure: str = ""
    reversible: bool = True
    veto: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy(Stored):
    """What to do about a verdict.

    ``action`` is ``rollback_model``, ``rollback_code``, ``repair``, ``hold`` or ``retrain``; ``target`` the asset it
    acts on; ``parameters`` what the action needs (a mechanism id, a repair operator, windows). ``gain`` is the
    measured effect of replaying exactly this act, in the business metric's unit, with an interval; ``touches`` lists
    the datasets and models downstream that it rewrites. ``options`` are all acts that were weighed, this one among
    them.
    """

    kind: typing.ClassVar[str] = "remedy"
    action: Action
    target: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    windows: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    reversible: bool = True
    automatic: bool = False
    text: str = ""
    options: tuple[Option, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect(Stored):
    """An asset under suspicion: what was tested, how probable it is the cause, and why it was cleared if it was."""

    kind: typing.ClassVar[str] = "suspect"
    subject: str
    fault: str
    side: str
    owner: str
    probability: float
    exonerated: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(Stored):
    """What an incident cost: affected predictions and the business metric, with an interval.

    ``known_outcomes`` says of how many affected predictions the outcome was known when it was priced; the interval is
    of the others. Without a ``unit`` no cost function is declared and nothing was priced.
    """

    kind: typing.ClassVar[str] = "effect"
    metric: str
    unit: str
    value: float
    low: float
    high: float
    affected_predictions: int
    scored_predictions: int
    windows: tuple[str, ...]
    known_outcomes: int | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Stored):
    """The judgement on one incident.

    ``status`` is ``named`` (an asset is blamed), ``world`` (the world changed, no asset failed), ``none`` (nothing is
    wrong) or ``undetermined`` (``next_test`` says what would tell). ``evidence_hash`` is what both sides sign.
    """

    kind: typing.ClassVar[str] = "verdict"
    incident: str
    status: Literal["named", "world", "none", "undetermined"]
    subject: str
    fault: str
    side: str
    owner: str
    confidence: float
    text: str
    start_window: str
    window: str
    suspects: tuple[Suspect, ...]
    chain: tuple[Step, ...]
    effect: Effect | None
    remedy: Remedy | None
    prevention: Mapping[str, Any] | None
    next_test: str
    time: datetime
    causes: tuple[str, ...] = ()

    @property
    def exonerated(self) -> tuple[str, ...]:
        """The suspects that were tested and cleared."""
        return tuple(suspect.subject for suspect in self.suspects if suspect.exonerated)

    @property
    def evidence_hash(self) -> str:
        """The hash that both sides sign: it covers the whole verdict."""
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Signoff(Stored):
    """One side's signature, or its disagreement with a reason, under a verdict's evidence hash."""

    kind: typing.ClassVar[str] = "signoff"
    incident: str
    side: Side
    by: str
    evidence_hash: str
    agrees: bool
    reason: str
    prevention_owner: str
    time: datetime
