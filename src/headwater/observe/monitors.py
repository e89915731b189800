"""Monitors: evidence in, findings out. Each watches one kind of evidence and says when it is out of its band."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.arrival import ArrivalMonitor
from headwater.observe.calibration import CalibrationMonitor
from headwater.observe.contract import ContractMonitor
from headwater.observe.distribution import DistributionMonitor
from headwater.observe.estimated import EstimatedMonitor
from headwater.observe.fairness import FairnessMonitor
from headwater.observe.filling import FillingMonitor
from headwater.observe.history import History
from headwater.observe.inputs import InputsMonitor
from headwater.observe.latency import LatencyMonitor
from headwater.observe.outcome import BusinessMonitor, LabelMonitor, PerformanceMonitor, UnmeasuredMonitor
from headwater.observe.parity import MechanismMonitor, ReleaseMonitor
from headwater.observe.schema import SchemaMonitor
from headwater.observe.segments import SegmentMonitor
from headwater.observe.structure import StructureMonitor
from headwater.observe.succession import SuccessionMonitor
from headwater.observe.watch import WatchMonitor


class Monitor(Protocol):
    """Judge a batch of evidence against history.

    ``name`` goes into its findings. ``evidence`` is what one run brought to light; a monitor looks at the types it
    knows and ignores the rest. ``now`` is the time of the findings, and the clock by which absence is told.
    """

    name: str

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Return what is out of its band."""
        ...


MONITORS: tuple[Monitor, ...] = (
    ArrivalMonitor(),
    FillingMonitor(),
    ContractMonitor(),
    SchemaMonitor(),
    StructureMonitor(),
    DistributionMonitor(),
    WatchMonitor(),
    MechanismMonitor(),
    ReleaseMonitor(),
    PerformanceMonitor(),
    SuccessionMonitor(),
    InputsMonitor(),
    EstimatedMonitor(),
    CalibrationMonitor(),
    FairnessMonitor(),
    SegmentMonitor(),
    LatencyMonitor(),
    LabelMonitor(),
    BusinessMonitor(),
    UnmeasuredMonitor(),
)
"""The monitors of the line, in the order in which their findings are listed."""


OF_LABELS = ("labels", "unmeasured")
"""Monitors of the labels themselves: they go on looking where labels are frozen, and all that is measured by them is
not looked at."""
AT_ONCE = ("arrival", "filling", "contract", "schema", "mechanism", "release")
"""Evidence that can be judged while a window is still open: it does not hang on how many rows have come."""


def evaluate(
    evidence: Sequence[Evidence],
    history: History,
    calendar: Calendar,
    now: datetime,
    monitors: Sequence[Monitor] = MONITORS,
) -> list[Finding]:
    """Let every monitor look at new evidence.

    The evidence may be in ``history`` already: a window is never compared with itself. What was measured of rows while
    a window was still open gets no verdict, but for whether enough has come by then. What was measured by labels that
    are in question (``frozen``) gets none either.
    """
    history.season(calendar)
    settled = [item for item in evidence if item.type in AT_ONCE or not history.open(item)]
    right = [item for item in settled if not item.values.get("frozen")]
    return [
        finding
        for monitor in monitors
        for finding in monitor.evaluate(settled if monitor.name in OF_LABELS else right, history, calendar, now)
    ]
