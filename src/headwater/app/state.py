"""What is true now, folded from the ledger; there is no second truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.core.assets import Mechanism
from headwater.core.ports import Record
from headwater.core.records import Evidence, Finding
from headwater.mlops.aliases import Aliases
from headwater.mlops.quarantine import Quarantine
from headwater.mlops.serving import Deployments
from headwater.observe.history import History
from headwater.observe.lineage import Graph
from headwater.triage.approval import Approval
from headwater.triage.incidents import Incidents


@dataclass
class State:
    """A fold over all ledger records.

    Attributes:
        graph: Lineage, from events alone.
        aliases: Who was champion when.
        deployments: What each server loaded, and what was approved.
        quarantine: Windows kept out of training.
        incidents: Every incident as it stands.
        history: Metric series that monitors compare with.
        accepted: Last accepted mechanism of each asset.
        pins: Assets rolled back to accepted code: name to {good, bad} code hashes.
        repairs: Parameters of the repair that is applied to a source on arrival: ``repair``, and ``before``, the window
            that normality is learned up to.
        project: The project whose windows were run; empty before the first run.
        runs: Run windows that were completed, in order of first completion.
        evidence: Newest evidence by type, subject and window.
        findings: Findings by run window.
        approvals: The newest approved change of each asset's code that was not rolled back since.
        approved_before: The approvals before that one, oldest first.
        vocabulary: Text values that accepted windows have shown, by asset and column; empty for a column with too many.
    """

    graph: Graph = field(default_factory=Graph)
    aliases: Aliases = field(default_factory=Aliases)
    deployments: Deployments = field(default_factory=Deployments)
    quarantine: Quarantine = field(default_factory=Quarantine)
    incidents: Incidents = field(default_factory=Incidents)
    history: History = field(default_factory=History)
    accepted: dict[str, Mechanism] = field(default_factory=dict)
    pins: dict[str, dict[str, str]] = field(default_factory=dict)
    repairs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    project: str = ""
    runs: dict[str, str] = field(default_factory=dict)
    evidence: dict[tuple[str, str], dict[str, Evidence]] = field(default_factory=lambda: defaultdict(dict))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    approvals: dict[str, Approval] = field(default_factory=dict)
    approved_before: dict[str, list[Approval]] = field(default_factory=lambda: defaultdict(list))
    vocabulary: dict[str, dict[str, frozenset[str]]] = field(default_factory=lambda: defaultdict(dict))
    seq: int = 0

    def fold(self, records: Iterable[Record]) -> None:
        """Take in records in ledger order."""
        for record in records:
            self._one(record)
            self.seq = record.seq

    def _one(self, record: Record) -> None:
        body = record.body
        if record.kind == "event":
            self.graph.add(body)
        elif record.kind == "evidence":
            evidence = Evidence.of(body)
            if evidence.type == "vocabulary":
                self._learn_values(evidence)
            self.evidence[(evidence.type, evidence.subject)][evidence.window] = evidence
        elif record.kind == "finding":
            finding = Finding.of(body)
            self.findings[finding.window].append(finding)
        elif record.kind == "accepted":
            self.accepted |= {name: Mechanism(**made) for name, made in body["mechanisms"].items()}
        elif record.kind == "approval":
            if known := self.approvals.get(body["asset"]):
                self.approved_before[body["asset"]].append(known)
            self.approvals[body["asset"]] = Approval(**body, time=record.time)
        elif record.kind == "run":
            self.project = self.project or record.subject
            self.runs[body["window"]] = body["state"]
        elif record.kind == "remedy" and body["state"] in ("applied", "lifted"):
            self._remedy(body)
        self.history.add(record)
        self.aliases.add(record)
        self.deployments.add(record)
        self.quarantine.add(record)
        self.incidents.add(record)

    def _learn_values(self, evidence: Evidence) -> None:
        told = self.vocabulary[evidence.subject.rpartition("/")[2]]
        for column, values in evidence.values.items():
            told[column] = told.get(column, frozenset()) | frozenset(values) if values else frozenset()

    def _unapprove(self, asset: str, code: str) -> None:
        """Whoever rolls approved code back takes the approval back; the one before it covers what is in force again."""
        if asset in self.approvals and self.approvals[asset].code == code:
            del self.approvals[asset]
            if self.approved_before[asset]:
                self.approvals[asset] = self.approved_before[asset].pop()

    def _remedy(self, body: Mapping[str, Any]) -> None:
        parameters = body["parameters"]
        name = str(parameters.get("asset", ""))
        applied = body["state"] == "applied"
        if body["action"] == "rollback_code":
            self.pins.pop(name, None)
            if applied:
                self.pins[name] = {"good": parameters["code"], "bad": parameters.get("bad", "")}
                self._unapprove(name, self.pins[name]["bad"])
        elif body["action"] == "repair" and "repair" in parameters:
            self.repairs.pop(name, None)
            if applied:
                self.repairs[name] = parameters
