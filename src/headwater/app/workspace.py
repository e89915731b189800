"""The user's façade: one method per command, plain data back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from headwater.app import accepting, approving, auditing, closing, expecting, flow, lifecycle, remedying, remembering
from headwater.app.affected import write_affected
from headwater.app.config import find, load_config
from headwater.app.freezing import freeze, mark, release_labels
from headwater.app.freshness import freshness
from headwater.app.init import init
from headwater.app.judging import triage
from headwater.app.line import Line
from headwater.app.noticing import notices, warming
from headwater.app.recompute import recompute
from headwater.app.wiring import Services, embedded
from headwater.core.clock import Clock, aware
from headwater.core.errors import CorruptTable, DataError, IncidentError, UnknownName, UsageError
from headwater.core.names import Ref
from headwater.core.ports import Entry
from headwater.core.project import Model, Project
from headwater.core.records import Side
from headwater.mlops.quarantine import Range
from headwater.observe.intake import parse
from headwater.observe.trace import trace as trace_of
from headwater.triage.incidents import Incident

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    return None


class Workspace:
    """A project on disk or in memory, with everything that can be asked of it.

    Example:
        >>> import tempfile, polars as pl
        >>> project = Project("shop")
        >>> @project.source(key=["id"], time=None)
        ... def raw_orders(window):
        ...     return pl.DataFrame({"id": [1, 2]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     workspace = Workspace.of(project, Path(folder))
        ...     workspace.run("2013-07-01")["delivered"]
        1
    """

    def __init__(self, line: Line) -> None:
        self.line = line

    @classmethod
    def open(cls, path: Path | str | None = None, clock: Clock | None = None) -> Workspace:
        """Open the workspace at or above a folder."""
        config = load_config(find(Path(path) if path is not None else None))
        return cls(Line(None, embedded(config.state, clock), config))

    @staticmethod
    def init(folder: Path | str, template: str = "flights") -> dict[str, Any]:
        """Make a project in a folder from a template."""
        return init(folder, template)

    @classmethod
    def of(
        cls, project: Project, state: Path | str, clock: Clock | None = None, services: Services | None = None
    ) -> Workspace:
        """Open a workspace for a project that lives in memory, keeping its state in a folder."""
        return cls(Line(project, services or embedded(Path(state), clock), None))

    @property
    def project(self) -> Project:
        """The project as loaded."""
        return self.line.project

    def run(self, window: str | None = None, progress: Progress = _silent) -> dict[str, Any]:
        """Run one window: deliver, measure, monitor, judge.

        Without a window it is the last one again while something of it is not delivered, or came before the window was
        over; else the one after it.
        """
        key = window or self._next()
        self.line.calendar.window(key)
        again = self.line.undelivered(key)
        if again and window is None:
            progress(f"window {key} again: {', '.join(again)} had failed")
        return {**self._report(flow.advance(self.line, key, key, progress)), "retried": again}

    def run_range(self, first: str, last: str, progress: Progress = _silent) -> dict[str, Any]:
        """Deliver a range of windows as history."""
        self.line.calendar.span(first, last)
        return self._report(flow.advance(self.line, first, last, progress))

    def _next(self) -> str:
        done = self.line.state.runs
        if not done:
            raise UsageError("nothing was run yet", hint="say which window: headwater run --window D")
        last = max(done)
        open_then = any(
            found.get(last) is not None and found[last].values.get("open")
            for (kind, _), found in self.line.state.evidence.items()
            if kind == "arrival"
        )
        return last if open_then or self.line.undelivered(last) else self.after(last)

    def after(self, window: str) -> str:
        """Return the window after another."""
        return self.line.calendar.shift(self.line.calendar.window(window), 1).key

    def _report(self, report: flow.Report) -> dict[str, Any]:
        return {
            "window": report.run.key,
            "delivered": sum(item.state == "COMPLETE" for item in report.run.deliveries.values()),
            "failed": [
                {
                    "dataset": item.asset,
                    "state": item.state,
                    "error": None if item.error is None else item.error.as_dict(),
                }
                for item in report.run.failures
            ],
            "alarms": [finding.body() for finding in report.alarms],
            "notices": sum(finding.severity == "notice" for finding in report.findings),
            "verdicts": [
                {"incident": verdict.incident, "subject": verdict.subject, "status": verdict.status,
                 "fault": verdict.fault, "confidence": verdict.confidence, "text": verdict.text}
                for verdict in report.verdicts
            ],
            "accepted": report.accepted,
            "incidents": [
                {"incident": incident.id, "state": incident.state, "verified": incident.verified}
                for incident in self.line.state.incidents.active()
            ],
            "warming": warming(self.line),
        }  # fmt: skip

    def backfill(
        self, dataset: str, first: str, last: str, dry_run: bool = False, progress: Progress = _silent
    ) -> dict[str, Any]:
        """Deliver windows of a dataset again and everything downstream that read them."""
        name = self._dataset(dataset)
        keys = [window.key for window in self.line.calendar.between(first, last)]
        stored = {*self.line.services.tables.keys(name), *self.line.delivered(name)}
        unknown = [key for key in keys if key not in stored]
        if unknown:
            raise DataError(
                f"window {unknown[0]} of `{name}` was never delivered",
                hint=f"deliver it with headwater run --window {unknown[0]}",
            )
        self.line.refresh()
        if self.line.is_log(name) and (lost := set(keys).difference(self.line.services.tables.keys(name))):
            raise CorruptTable(
                f"window {min(lost)} of `{name}` was delivered and is not there any more",
                hint="it is the record of what was decided and cannot be made again: restore it from a backup",
            )
        plan = remedying.plan_backfill(self.line, {name: keys})
        if not dry_run:
            remedying.backfill(self.line, plan, progress=progress)
            self._redelivered(name, keys, plan)
        return {"dataset": self.line.ref(name), "applied": not dry_run, **plan.as_dict()}

    def _redelivered(self, name: str, keys: list[str], plan: remedying.Backfill) -> None:
        """A source that is delivered again lifts the hold on its windows and what they feed."""
        for held in self.line.state.quarantine.ranges:
            if held.incident and held.dataset in {self.line.ref(item) for item in plan.windows}:
                asset = Ref.parse(held.dataset).name
                release_labels(self.line, {asset: plan.windows[asset]}, held.incident)
                self.line.record(remedying.lift_hold(self.line, asset, list(plan.windows[asset]), held.incident))

    def train(
        self,
        model: str | None = None,
        seed: int = 0,
        first: str | None = None,
        last: str | None = None,
        skip_quarantined: bool = False,
    ) -> dict[str, Any]:
        """Train and register a model version."""
        self.line.refresh()
        found = self.line.model(model)
        return lifecycle.train(self.line, found, seed, first, last, skip_quarantined=skip_quarantined)

    def release(self, version: str, model: str | None = None, by: str = "unknown") -> dict[str, Any]:
        """Release a version through the gate to champion."""
        return lifecycle.release(self.line, self.line.model(model), str(version), by)

    def rollback(self, model: str | None = None, to: str | None = None, by: str = "unknown") -> dict[str, Any]:
        """Make the previous champion champion again."""
        return lifecycle.rollback(self.line, self.line.model(model), to, by)

    def deploy(
        self,
        model: str | None = None,
        version: str | None = None,
        parts: Mapping[str, Any] | None = None,
        by: str = "unknown",
    ) -> dict[str, Any]:
        """Change what the server has loaded, past the registry."""
        return lifecycle.deploy(self.line, self.line.model(model), version, parts, by)

    def incidents(self, all: bool = False) -> list[dict[str, Any]]:
        """List incidents, the active ones unless all are asked for."""
        found = self.line.state.incidents
        return [incident.as_dict() for incident in (found.all() if all else found.active())]

    def notices(self, window: str | None = None) -> list[dict[str, Any]]:
        """List what was out of its band and woke nobody, in a window or the last seven."""
        self.line.refresh()
        return notices(self.line, window)

    def why(self, ref: str) -> dict[str, Any]:
        """Answer why decisions got worse: the verdict of an incident, or of the newest one that touched a model."""
        incident = self._incident(ref)
        if incident is None:
            return {
                "ref": ref,
                "status": "quiet",
                "text": "No incident touches it: nothing upstream changed its output without being cleared.",
                "cleared": closing.cleared(self.line),
                "accepted": [made.text for made in self.line.state.history.acceptances.all()],
            }
        if incident.verdict is None:
            triage(self.line, incident, max(self.line.state.runs))
            freeze(self.line)
            incident = self.line.state.incidents.get(incident.id)
        assert incident.verdict is not None
        return {
            **incident.verdict.body(),
            "state": incident.state,
            "cost": incident.bill(),
            "evidence_hash": incident.verdict.evidence_hash,
            "exonerated": list(incident.verdict.exonerated),
            "accepted": [
                made.text for made in self.line.state.history.acceptances.about({incident.subject, *incident.subjects})
            ],
            "signoffs": {side: item.body() for side, item in (incident.signoffs or {}).items()},
            "next_test": incident.next_test or incident.verdict.next_test,
            "written": incident.prevention,
            **remembering.remembered(self.line, incident),
        }

    def affected(self, ref: str, path: Path | str) -> dict[str, Any]:
        """Write the predictions that an incident moved to a CSV file, each with what it cost."""
        incident = self._incident(ref)
        if incident is None:
            raise IncidentError(f"no incident touches `{ref}`", hint="headwater incidents --all")
        return write_affected(self.line, incident, Path(path))

    def recompute(self, record: str, value: str | None = None) -> dict[str, Any]:
        """Compute the values of a piece of evidence or a finding again, and say whether they are as recorded."""
        return recompute(self.line, record, value)

    def _incident(self, ref: str) -> Incident | None:
        incidents = self.line.state.incidents
        if not ref.startswith("model:"):
            return incidents.get(ref)
        model = self._model(Ref.parse(ref))
        about = {self.line.ref(name) for name in (model.predictions, model.labels)}
        about |= {self.project.ref(model.name, kind) for kind in ("model", "deployment")}
        if not self.line.state.runs:
            return None
        reach = about | {item for subject in about for item in self.line.above(subject)}
        touching = [item for item in incidents.all() if {item.subject, *item.subjects} & reach]
        active = [item for item in touching if item.active]
        return next(reversed(active or touching), None)

    def approve(self, asset: str, by: str = "unknown", reason: str = "", dry_run: bool = False) -> dict[str, Any]:
        """Approve an asset's present code: what it moves is measured, and it is no fault while it moves no more."""
        name = self._dataset(asset)
        self.line.refresh()
        return approving.approve(self.line, name, by, reason, dry_run=dry_run)

    def accept(
        self,
        subject: str,
        metric: str = "",
        first: str | None = None,
        by: str = "unknown",
        reason: str = "",
        dry_run: bool = False,
        undo: bool = False,
    ) -> dict[str, Any]:
        """Accept what a dataset, model or deployment shows from a window on as its new normal, or take that back."""
        ref = self._subject(subject)
        self.line.refresh()
        if undo:
            return accepting.undo(self.line, ref, metric, by, reason)
        return accepting.accept(self.line, ref, metric, first, by, reason, dry_run=dry_run)

    def trace(self, ref: str, as_of: datetime | str | None = None) -> dict[str, Any]:
        """Answer which data trained a model, or what a dataset was made from, down to the sources.

        Asked for an alias, the answer has under ``alias`` since when it means this version, by whom, and why.
        """
        parsed = Ref.parse(ref)
        time = aware(datetime.fromisoformat(as_of)) if isinstance(as_of, str) else as_of
        version, told = parsed.version, {}
        if parsed.kind == "model":
            self._model(parsed)
            if version is None or not version.isdigit():
                held = self.line.state.aliases.champion(parsed.name, version or "champion", as_of=time)
                if held is None:
                    raise self._no_alias(parsed.name, version or "champion", time)
                version = held.version
                since = held.valid_from.isoformat()
                told = {"alias": {"name": held.alias, "since": since, "by": held.by, "reason": held.reason}}
        elif parsed.kind == "dataset":
            self._dataset(str(parsed.bare))
        else:
            raise UsageError(f"a {parsed.kind} cannot be traced", hint="trace a model or a dataset")
        return trace_of(self.line.state.graph, str(parsed.bare), version).as_dict() | told

    def _no_alias(self, model: str, alias: str, time: datetime | None) -> UnknownName:
        if alias != "champion":
            return UnknownName.of(f"alias of model `{model}`", alias, ["champion"])
        history = self.line.state.aliases.history(model)
        if not history:
            return UnknownName(f"model `{model}` was never released", hint="release a version: headwater release 1")
        first = history[0].valid_from.isoformat()
        return UnknownName(f"model `{model}` had no champion at {time}", hint=f"its first release was at {first}")

    def remedy(
        self, incident: str, apply: bool = False, by: str = "unknown", progress: Progress = _silent
    ) -> dict[str, Any]:
        """Show what an incident's remedy would do, or carry it out."""
        found = self.line.state.incidents.get(incident)
        if not apply:
            return remedying.dry_run(self.line, found)
        return remedying.carry_out(self.line, found, by, progress)

    def sign(
        self,
        incident: str,
        side: Side,
        by: str,
        disagree: str | None = None,
        prevention_owner: str | None = None,
    ) -> dict[str, Any]:
        """Sign an incident's evidence for one side, or disagree with a reason."""
        found = self.line.state.incidents.get(incident)
        return closing.sign(self.line, found, side, by, disagree, prevention_owner)

    def close(self, incident: str, by: str = "unknown") -> dict[str, Any]:
        """Close an incident: both sides signed, fresh data in band, the prevention check written to the contract."""
        return closing.close(self.line, self.line.state.incidents.get(incident), by)

    def quarantine_list(self) -> list[dict[str, Any]]:
        """List the windows that are kept out of training."""
        return [
            {"dataset": held.dataset, "first": held.first, "last": held.last, "reason": held.reason,
             "incident": held.incident}
            for held in self.line.state.quarantine.ranges
        ]  # fmt: skip

    def quarantine_add(self, dataset: str, first: str, last: str, reason: str = "") -> dict[str, Any]:
        """Keep windows of a dataset out of training."""
        return self._quarantine(dataset, first, last, "set", reason)

    def quarantine_lift(self, dataset: str, first: str, last: str) -> dict[str, Any]:
        """Let windows of a dataset be trained on again."""
        return self._quarantine(dataset, first, last, "lifted", "")

    def _quarantine(self, dataset: str, first: str, last: str, state: str, reason: str) -> dict[str, Any]:
        name = self._dataset(dataset)
        self.line.calendar.span(first, last)
        if state == "set" and not reason.strip():
            raise UsageError("a quarantine needs a reason", hint="say why nobody should learn from it: --reason TEXT")
        held = self.line.state.quarantine.ranges
        if state == "lifted" and not any(
            item.dataset == self.line.ref(name) and item.first <= last and first <= item.last for item in held
        ):
            raise UnknownName(
                f"no window of `{name}` from {first} to {last} is quarantined", hint="see `headwater quarantine list`"
            )
        body = {
            "dataset": self.line.ref(name),
            "first": first,
            "last": last,
            "state": state,
            "reason": reason,
            "incident": "",
        }
        self.line.record([Entry("quarantine", self.line.ref(name), body, self.line.services.clock.now())])
        mark(self.line, Range(self.line.ref(name), first, last))
        return body

    def datasets(self) -> list[dict[str, Any]]:
        """List the datasets: layer, owner, side, newest version and window, and whether it is fresh by the clock."""
        found = []
        for asset in self.line.project.ordered():
            keys = self.line.services.tables.keys(asset.name)
            contract = self.line.contracts.get(asset.name)
            found.append(
                {
                    "dataset": self.line.ref(asset.name),
                    "layer": asset.layer,
                    "side": self.line.side(asset.name),
                    "owner": self.line.owner(asset.name),
                    "parents": list(asset.parents),
                    "contract": None if contract is None else contract.version,
                    "version": self.line.services.tables.version(asset.name),
                    "windows": len(keys),
                    "newest": keys[-1] if keys else None,
                    "freshness": freshness(self.line, asset.name),
                }
            )
        return found

    def arrivals(self, record: bool = False) -> dict[str, Any]:
        """Say by the clock and the events alone what is late, missing or out of sequence, of foreign jobs too.

        With ``record`` its alarms are recorded and open incidents, for a scheduler to call now and then.
        """
        self.line.refresh()
        return expecting.arrivals(self.line, record=record)

    def receive(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take in one OpenLineage event of a foreign job; what is wrong with it is said and nothing is recorded."""
        parsed = parse(event)
        job = parsed.get("job") or parsed["dataset"]
        subject = f"job:{job['namespace']}/{job['name']}"
        (record,) = self.line.record([Entry("event", subject, dict(parsed), self.line.services.clock.now())])
        return {"event": record.id, "subject": subject}

    def audit(self, deep: bool = False) -> dict[str, Any]:
        """Verify the evidence ledger from the first record to the last, and that all it acknowledges is there."""
        return auditing.audit(self.line, deep=deep)

    def _dataset(self, name: str) -> str:
        known = self.line.assets
        bare = name.removeprefix("dataset:").removeprefix(f"{self.project.name}/")
        if bare not in known:
            near = UnknownName.of("dataset", name.rsplit("/", 1)[-1], known, command="headwater datasets")
            raise UnknownName(f"dataset `{name}` is not in this workspace", hint=near.hint)
        return bare

    def _subject(self, name: str) -> str:
        """Find a dataset, model or deployment by its reference; a bare name is a dataset's."""
        kind = name.partition(":")[0]
        if kind in ("model", "deployment") and ":" in name:
            return self.project.ref(self._model(Ref.parse(name)).name, kind)
        return self.line.ref(self._dataset(name))

    def _model(self, ref: Ref) -> Model:
        if ref.namespace != self.project.name:
            known = [self.project.ref(name, "model") for name in self.project.models]
            raise UnknownName.of("model", str(ref.bare), known)
        return self.line.model(ref.name)


__all__ = ["IncidentError", "Workspace"]
