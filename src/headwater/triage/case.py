"""A case: all that is known when an incident is judged. Nothing is weighed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import polars as pl

from headwater.core.assets import Asset, Mechanism
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.stats.signatures.repairs import Repair
from headwater.triage.outcomes import Outcomes
from headwater.triage.replay import Replay
from headwater.triage.successions import Succession

Price = Callable[[Model, pl.DataFrame, pl.Series, "pl.DataFrame | None"], pl.Series]
"""``price(model, predictions, p, labels)``: cost of each logged decision, realised where the label is known, else its
expectation when ``p`` is the true probability."""


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A signature that fired on a source window: the repair, and the frame it gives."""

    repair: Repair
    frame: pl.DataFrame | None
    before: float
    after: float
    confidence: float
    detail: str
    invertible: bool
    evidence: str
    columns: tuple[str, ...] = ()

    def values(self, since: str, newest: bool) -> dict[str, Any]:
        """Return the values of ``signature`` evidence: the finding, and what was taken for normal."""
        return {
            "repair": self.repair.as_dict(),
            "fault": self.repair.fault,
            "before": self.before,
            "after": self.after,
            "confidence": self.confidence,
            "invertible": self.invertible,
            "detail": self.detail,
            "columns": list(self.columns),
            "since": since,
            "newest": newest,
        }


class Failed(NamedTuple):
    """A delivery that failed.

    Attributes:
        window: The asset's own window.
        message: Why.
        changed: Whether its code had changed.
        evidence: Id of the arrival evidence that says so.
    """

    window: str
    message: str
    changed: bool
    evidence: str = ""


Sight = Literal["replay", "changes", "metrics"]
"""What a case may be judged by; see `unreplayed`."""
_OF_REPLAY = ("mechanism", "signature", "release")
REALISED = ("performance", "fairness", "segments")
"""Monitors of how predictions compare with what came true."""
DECLARED = ("watch", "unmeasured")
"""Monitors of what a project declares of its datasets; of a model, ``unmeasured`` is about its outcomes."""
OF_OUTCOMES = (*REALISED, "succession", "estimated", "business", "inputs")
"""Monitors of what weather and customers move as faults do."""


@dataclass(frozen=True)
class Case:
    """All that is known when an incident is judged.

    Attributes:
        windows: Run windows of the incident, first alarm to now.
        findings: Alarms and notices of those windows.
        tests: Mechanism evidence by (asset, own window).
        releases: Release evidence by model name, newest last.
        diagnosed: Signatures that fired, by (source, own window).
        accepted: Last accepted mechanism per asset.
        failed: Deliveries that failed, by asset.
        labelled: Windows with labels before the incident, oldest first.
        ref: Writes an asset's dataset reference.
        blame: Writes what answers for an asset's mechanism: its dataset, or the deployment that makes predictions.
        subject: What the incident is about: the upstream-most subject that alarmed.
        changes: For assets that cannot be run again, the first of the incident's windows made by other code or parts.
        outcomes: What became of each model's predictions, by its name.
        successions: The release that serves each model and what it succeeded, while it is on trial.
        unfit: Says why an asset must not go back to a mechanism; empty when it may.
        trusted: Tells whether the labels of a model's window may be read: no incident has frozen them.
        rows: Whether stored rows may be looked at.
    """

    incident: str
    windows: tuple[str, ...]
    findings: tuple[Finding, ...]
    tests: Mapping[tuple[str, str], Evidence]
    releases: Mapping[str, Sequence[Evidence]]
    diagnosed: Mapping[tuple[str, str], Diagnosed]
    accepted: Mapping[str, Mechanism]
    failed: Mapping[str, Failed]
    labelled: tuple[str, ...]
    replay: Replay
    models: tuple[Model, ...]
    ref: Callable[[str], str]
    blame: Callable[[str], str]
    owner: Callable[[str], str]
    side: Callable[[str], str]
    price: Price
    harm: Callable[[str, str, Mechanism], Mapping[str, float]]
    subject: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, Outcomes] = field(default_factory=dict)
    successions: Mapping[str, Succession] = field(default_factory=dict)
    unfit: Callable[[str, Mechanism], str] = lambda asset, mechanism: ""
    trusted: Callable[[Model, str], bool] = lambda model, key: True
    rows: bool = True

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The project's assets by name."""
        return self.replay.assets

    def of(self, asset: str) -> list[Finding]:
        """The findings about one asset."""
        names = (self.ref(asset), self.blame(asset))
        return [finding for finding in self.findings if finding.subject in names]

    @property
    def named(self) -> Mapping[str, str]:
        """Asset names by the references that findings use; a model stands for its labels, which judge it."""
        named = {write(name): name for name in self.assets for write in (self.ref, self.blame)}
        return named | {self.ref(model.name).replace("dataset:", "model:"): model.labels for model in self.models}

    @property
    def broken(self) -> bool:
        """Whether something is wrong that weather and customers do not do: an alarm on structure, code or parts."""
        return any(
            finding.severity == "alarm"
            and finding.monitor not in (*OF_OUTCOMES, "distribution")
            and not self.burst(finding)
            for finding in self.findings
        )

    def burst(self, finding: Finding) -> bool:
        """Whether a finding is of more rows than usual that are well formed and new: more happened, no copy was loaded.

        Copies show as duplicates, repeats, times outside of the window or keys that match nothing.
        """
        if finding.monitor != "structure" or finding.metric != "rows":
            return False
        if finding.value is None or finding.expected is None or finding.value <= finding.expected:
            return False
        own = [item for item in self.findings if item.subject == finding.subject and item.window == finding.window]
        return not any(item.monitor in ("structure", "signature") and item.metric != "rows" for item in own)

    def keys(self, asset: str) -> list[str]:
        """An asset's own windows in the incident."""
        lag = self.assets[asset].lag
        calendar = self.replay.calendar
        return [calendar.shift(calendar.window(key), -lag).key for key in self.windows]


def unreplayed(case: Case, *, changes: bool) -> Case:
    """Take away all that needs rows, code or versions: the case as a tool knows it that sees metrics and lineage.

    Args:
        case: A case.
        changes: Leave when code or models changed, without what they changed to.
    """
    return replace(
        case,
        findings=tuple(item for item in case.findings if item.monitor not in _OF_REPLAY),
        tests={},
        releases={},
        successions={},
        diagnosed={},
        accepted={},
        replay=case.replay.barred(),
        outcomes={name: item.out_of_sight() for name, item in case.outcomes.items()},
        changes=case.changes if changes else {},
        failed={name: item._replace(changed=item.changed and changes) for name, item in case.failed.items()},
        rows=False,
    )
