"""One project with its services and state: what every step of the line is given."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from headwater.app.config import Config, code_stamp, load_project
from headwater.app.holidays import days_of
from headwater.app.past import TablesThen
from headwater.app.state import State
from headwater.app.wiring import Services
from headwater.core.assets import Asset, Mechanism
from headwater.core.clock import SimulatedClock
from headwater.core.errors import ModelError, ProjectInvalid, UnknownName
from headwater.core.ports import Entry, Record
from headwater.core.project import Model, Project, arguments
from headwater.core.windows import Calendar, Window
from headwater.dataops.contracts import Contract, load_contracts
from headwater.mlops.estimated import Estimates
from headwater.mlops.serving import predict
from headwater.observe.runs import DatasetRun
from headwater.stats.frames.detached import detached
from headwater.stats.signatures.signatures import Reference
from headwater.triage.approval import Approval
from headwater.triage.replay import Replay

Compute = Callable[[Mapping[str, pl.DataFrame], Window], Any]


class Line:
    """A project, its services and the state folded from its ledger.

    Args:
        project: The project; None to load it from the configuration's module.
        services: The outside systems.
        config: The workspace's configuration; None for a project that lives in memory.
    """

    def __init__(self, project: Project | None, services: Services, config: Config | None) -> None:
        self.services = services
        self.config = config
        self._stamp = ""
        self.estimates: dict[str, Estimates] = {}
        self.asked: dict[tuple[str, str], pl.DataFrame] = {}
        self._held: list[Entry] | None = None
        self.contracts: dict[str, Contract] = {}
        self.references: dict[str, list[tuple[list[str], Reference | None]]] = defaultdict(list)
        if project is not None:
            self.project = project
        self.state = State()
        self.refresh()
        self.state.history.season(self.calendar, self.holidays)
        try:
            self.state.fold(services.ledger.read())
        except Exception:
            services.ledger.verify()  # what cannot be understood was perhaps tampered with: then that is what to say
            raise
        self._same_project()

    def refresh(self) -> None:
        """Load the project's module and contracts again if a file changed since."""
        if self.config is None:
            return
        if code_stamp(self.config) != self._stamp:
            self.project = load_project(self.config)
            self._stamp = code_stamp(self.config)  # now over what it imports too
        self._same_project()
        self.contracts = load_contracts(self.config.contracts) if self.config.contracts.is_dir() else {}
        for name in self.contracts:
            if name not in self.project.assets:
                raise UnknownName.of("contract for dataset", name, self.project.assets)

    def _same_project(self) -> None:
        """Refuse a state that was made under another name: nothing in it would be found again."""
        known = self.state.project
        if known and known != self.project.name:
            raise ProjectInvalid(
                f"the project is called `{self.project.name}`, but what is stored was made by project `{known}`",
                doing="opening the workspace",
                hint=f'call it Project("{known}") again, or begin anew with another `state:` folder in headwater.yaml',
            )

    @property
    def holidays(self) -> tuple[str, ...]:
        """The project's holidays as days."""
        return days_of(self.project.holidays, self.services.clock.now().year + 1)

    @property
    def calendar(self) -> Calendar:
        """The project's calendar."""
        return self.project.calendar

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The project's assets by name."""
        return self.project.assets

    def record(self, entries: Sequence[Entry]) -> list[Record]:
        """Append to the ledger, durably, and fold what was acknowledged into the state."""
        if self._held is not None:
            self._held.extend(entries)
            return []
        if not entries:
            return []
        records = self.services.ledger.append(entries)
        self.state.fold(record for record in records if record.seq > self.state.seq)
        return records

    @contextmanager
    def together(self) -> Iterator[None]:
        """Record everything that happens inside as one append, at the end, whatever ends it.

        A process that dies inside leaves written windows without their events; running the window again records them,
        because windows with the same content are not written twice.
        """
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            self.record(held)

    def then(self, seq: int, time: datetime) -> Line:
        """Return the line as it stood at a moment, before a record: its state, its tables, its clock.

        What it writes or records goes nowhere. Its code is loaded by hash; what a project says of its assets and
        models besides (keys, lags, costs, contracts) is as it is today.
        """
        past = copy.copy(self)
        past.state = State()
        past.state.history.season(self.calendar, self.holidays)
        past.state.fold(record for record in self.services.ledger.read() if record.seq < seq)
        graph = past.state.graph
        versions = {
            name: max(int(run.version) for run in graph.runs(self.ref(name)) if run.version is not None)
            for name in self.assets
            if self.ref(name) in graph and any(run.version is not None for run in graph.runs(self.ref(name)))
        }
        tables = TablesThen(self.services.tables, versions)
        past.services = replace(self.services, tables=tables, clock=SimulatedClock(time))
        past.references, past._held, past.estimates, past.asked = defaultdict(list), [], {}, {}
        return past

    def ref(self, asset: str) -> str:
        """Write an asset's dataset reference."""
        return self.project.ref(asset)

    def blame(self, asset: str) -> str:
        """Write what answers for an asset's mechanism: its dataset, or the deployment that makes predictions."""
        model = self.model_of(asset)
        return self.ref(asset) if model is None else self.project.ref(model.name, "deployment")

    def model_of(self, asset: str) -> Model | None:
        """Return the model whose prediction log an asset is."""
        return next((model for model in self.project.models.values() if model.predictions == asset), None)

    def is_log(self, asset: str) -> bool:
        """Tell whether an asset is a record of what was served or decided, which cannot be made again."""
        return any(asset in (model.served, model.predictions) for model in self.project.models.values())

    def delivered(self, asset: str) -> list[str]:
        """Return the keys of an asset's windows that the ledger says were delivered, whether still there or not."""
        ref = self.ref(asset)
        return self.state.graph.windows(ref) if ref in self.state.graph else []

    def writer(self, asset: str, key: str) -> DatasetRun | None:
        """Return the newest run that wrote a window of an asset; None when none did, as before a model's release."""
        ref = self.ref(asset)
        return self.state.graph.run_of(ref, key) if ref in self.state.graph else None

    def undelivered(self, window: str) -> list[str]:
        """Return the assets that a run window was to deliver and did not, if nothing has delivered them since."""
        found = []
        for name, asset in self.assets.items() if self.state.runs.get(window) == "FAIL" else ():
            key = self.calendar.shift(self.calendar.window(window), -asset.lag).key
            tried = self.state.evidence.get(("arrival", self.ref(name)), {}).get(key)
            failed = tried is not None and tried.values["state"] != "COMPLETE"
            if failed and self.services.tables.content(name, key) is None:
                found.append(name)
        return found

    def model(self, name: str | None) -> Model:
        """Find a model by name; the only one when no name is given."""
        models = self.project.models
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name is None or name not in models:
            raise UnknownName.of("model", name or "(none given)", models)
        return models[name]

    def side(self, asset: str) -> str:
        """Tell which side answers for an asset."""
        contract = self.contracts.get(asset)
        return contract.side if contract is not None and contract.side else self.assets[asset].side

    def owner(self, asset: str) -> str:
        """Tell who owns an asset, from its contract."""
        contract = self.contracts.get(asset)
        return contract.owner if contract is not None and contract.owner else f"{self.side(asset)} side"

    def mechanism(self, asset: str) -> Mechanism | None:
        """Return the mechanism an asset would run with now; None for predictions of a model that is not deployed.

        It is the present code, or the accepted code it is pinned to, and for predictions the parts that are loaded.
        """
        code = self.services.code.put(self.project.functions[asset])
        pin = self.state.pins.get(asset)
        if pin is not None and code == pin["bad"]:
            code = pin["good"]
        model = self.model_of(asset)
        if model is None:
            return Mechanism(code)
        deployment = self.state.deployments.get(model.name)
        return None if deployment is None else Mechanism(code, dict(deployment.parts))

    def baseline(self, asset: str, code: str) -> Mechanism | None:
        """Return the mechanism that windows made by some code are compared with; None when none was accepted yet.

        It is the last accepted one; approved code is compared with what it replaced, and other code with the approved.
        """
        accepted, approval = self.state.accepted.get(asset), self.state.approvals.get(asset)
        if accepted is None or approval is None or code == accepted.code:
            return accepted
        return Mechanism(approval.base if code == approval.code else approval.code, dict(accepted.parts))

    def approval(self, asset: str, code: str) -> Approval | None:
        """Return the approval that covers exactly this code of an asset; None when there is none."""
        found = self.state.approvals.get(asset)
        return found if found is not None and found.code == code else None

    def compute(self, asset: str, mechanism: Mechanism) -> Compute:
        """Return the callable that a mechanism stands for."""
        present = self.project.functions[asset]
        same = self.services.code.put(present) == mechanism.code
        function = present if same else self.services.code.load(mechanism.code)
        model = self.model_of(asset)
        if model is None:
            parents = self.assets[asset].parents
            return _apart(lambda frames, window: function(*arguments(function, frames, parents, window)))
        if not mechanism.parts:
            raise ModelError(f"model `{model.name}` has no loaded parts", hint="release a version first")
        parts = {name: self.services.parts.load(part) for name, part in mechanism.parts.items()}
        served = model.served
        columns, entity, carry = model.columns, model.entity, model.carry
        task, latency = model.task, model.latency

        def logged(frames: Mapping[str, pl.DataFrame], window: Window) -> pl.DataFrame:
            return predict(function, parts, frames[served], columns, entity, carry, task=task, latency=latency)

        return _apart(logged)

    def above(self, subject: str) -> set[str]:
        """Return the references of everything upstream of a subject, datasets and deployments alike.

        There is nothing upstream of what no event has named.
        """
        return set(self.state.graph.ancestors(subject)) if subject in self.state.graph else set()

    def replay(self) -> Replay:
        """Return a replay over what is stored now."""

        def made(asset: str, key: str) -> Mechanism | None:
            run = self.writer(asset, key)
            return None if run is None or run.mechanism is None else run.mechanism

        return Replay(self.assets, self.services.tables, self.calendar, self, made)


def _apart(function: Compute) -> Compute:
    """Keep what a function does to the frames it is given, and later to the one it returned, from all who hold them."""

    def compute(frames: Mapping[str, pl.DataFrame], window: Window) -> Any:
        made = function({name: frame.clone() for name, frame in frames.items()}, window)
        return detached(made) if isinstance(made, pl.DataFrame) else made

    return compute
