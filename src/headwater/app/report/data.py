"""What the report shows, as plain frozen data: whoever reads the workspace fills it, and the drawing only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from headwater.core.records import Effect, Signoff, Step, Verdict

CellState = Literal["ok", "notice", "alarm", "missing", "backfilled", "quarantined"]
Points = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRow:
    """One row of the river map or one node of a lineage path. ``side`` is ``data`` or ``ml``."""

    ref: str
    layer: str = ""
    side: str = "data"
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The evidence on one asset in one window.

    ``strength`` is the largest ratio to an alarm limit: 0 is quiet, 1 is the limit, there is no upper bound. ``state``
    says what became of the window; only an ``alarm`` (or a cell that was in alarm before it was backfilled or
    quarantined, ``strength`` >= 1) is drawn warm. ``text`` is the plain sentence with its number.
    """

    strength: float = 0.0
    state: CellState = "ok"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An event on a window: ``deploy``, ``release``, ``incident``, ``remedy``, ``storm`` or any other word.

    Consecutive windows with the same kind, label and subject are drawn as one band.
    """

    window: str
    kind: str
    label: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One transition of an incident."""

    time: datetime
    state: str
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric over windows.

    ``low`` and ``high`` are the interval: of the value itself, or, with ``band_of="reference"``, the band in which the
    value was expected (values outside it are then drawn as out of band). Every series is empty or as long as
    ``windows``; ``None`` is a gap.
    """

    title: str
    unit: str
    windows: tuple[str, ...]
    value: Points
    value_label: str = "observed"
    low: Points = ()
    high: Points = ()
    band_of: Literal["value", "reference"] = "value"
    reference: Points = ()
    reference_label: str = "expected"
    estimated: Points = ()
    estimated_label: str = "estimated before labels"
    note: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The part of the graph to draw: nodes, (parent, child) edges, and the path from the culprit to the symptom."""

    nodes: tuple[AssetRow, ...]
    edges: tuple[tuple[str, str], ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """One dataset or model that the dry run of a remedy would rewrite."""

    ref: str
    windows: int = 0
    rows: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of a verification: what was measured before and after the remedy, and whether it is back in band."""

    label: str
    passed: bool
    before: float | None = None
    after: float | None = None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One measured fact and the command that prints it again."""

    label: str
    value: str | float
    unit: str = ""
    note: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A harmless change that was tested and cleared by name."""

    subject: str
    window: str
    change: str
    reason: str
    side: str = "data"
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """An earlier incident like this one: in what they are alike, what was done then and whether it ``held``."""

    incident: str
    likeness: float
    alike_in: tuple[str, ...]
    subject: str
    fault: str
    window: str
    remedy: str
    held: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The runbook of a fault, with the incident's names filled in."""

    title: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStory:
    """One incident with everything that is known about it.

    ``verdict`` is None until triage has judged. ``headline`` replaces the sentence composed from the verdict.
    ``evidence`` defaults to the verdict's chain. ``applied`` says that the remedy was carried out, not only planned.
    ``recurrence`` says that it came back, and why the check of last time did not stop it; empty when it did not.
    ``cost`` is the price by labels that came since the verdict; None while the verdict's effect stands.
    ``written`` is the check that was made when it was closed; None before, or when there is none.
    """

    incident: str
    state: str
    verdict: Verdict | None = None
    headline: str = ""
    detected_window: str = ""
    lineage: Lineage | None = None
    evidence: tuple[Step, ...] = ()
    curves: tuple[Curve, ...] = ()
    dry_run: tuple[Touch, ...] = ()
    applied: bool = False
    verification: tuple[Check, ...] = ()
    signoffs: tuple[Signoff, ...] = ()
    timeline: tuple[Moment, ...] = ()
    facts: tuple[Fact, ...] = ()
    recurrence: str = ""
    similar: tuple[Likeness, ...] = ()
    book: Book | None = None
    cost: Effect | None = None
    written: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything on the page. ``assets`` are in lineage order; ``windows`` are the keys in time order.

    ``cells`` may be sparse: an asset-window without a cell is quiet. ``edges`` are the (parent, child) pairs among
    ``assets``; they are drawn beside the map. ``facts`` are counts and seconds of the whole run, ``audit`` what the
    ledger says of itself.
    """

    project: str
    title: str
    generated: datetime
    windows: tuple[str, ...]
    assets: tuple[AssetRow, ...]
    cells: Mapping[tuple[str, str], Cell] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    marks: tuple[Mark, ...] = ()
    incidents: tuple[IncidentStory, ...] = ()
    cleared: tuple[Cleared, ...] = ()
    curves: tuple[Curve, ...] = ()
    facts: tuple[Fact, ...] = ()
    audit: tuple[Fact, ...] = ()
