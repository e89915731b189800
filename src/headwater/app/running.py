"""Run a window: deliver every asset once, in order, and record what happened as events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.app.arrival import mend
from headwater.app.filling import grown
from headwater.app.line import Line
from headwater.app.profiling import change_metrics, profile_of, profiles_of
from headwater.core.assets import Asset, Mechanism
from headwater.core.errors import ContractBroken, CorruptTable, WindowConflict
from headwater.core.ports import Entry, TableVersion
from headwater.core.windows import Window
from headwater.dataops.contracts import CheckResult, broken, execute
from headwater.dataops.delivery import Delivery, cut, deliver, own_window
from headwater.mlops.labels import known
from headwater.observe import events, facets
from headwater.stats.frames.content import content_hash
from headwater.stats.frames.tables import compare

Progress = Callable[[str], None]
Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Run:
    """One run of a window or a range of windows: what was delivered and what was not."""

    key: str
    first: str
    last: str
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def failures(self) -> list[Delivery]:
        """The deliveries that did not complete."""
        return [item for item in self.deliveries.values() if item.state != "COMPLETE"]


def run(line: Line, first: str, last: str, progress: Progress = lambda _: None) -> Run:
    """Deliver every asset for the run windows first..last; a failed asset holds up only what reads it."""
    line.refresh()
    _in_order(line, first, last)
    _intact(line)
    result = Run(first if first == last else f"{first}..{last}", first, last)
    with line.together():
        for asset in line.project.ordered():
            mechanism = line.mechanism(asset.name)
            if mechanism is None or (_serves(line, asset) and line.mechanism(_predictions(line, asset)) is None):
                continue
            window = own_window(line.calendar, asset, first, last, line.services.tables.keys(asset.name))
            if window is None:
                continue
            progress(asset.name)
            result.deliveries[asset.name] = one(line, asset, mechanism, window, result.key, conflict=True)
    return result


def one(line: Line, asset: Asset, mechanism: Mechanism, window: Window, run_key: str, *, conflict: bool) -> Delivery:
    """Deliver one asset and record it.

    Args:
        line: The project.
        asset: What to deliver.
        mechanism: With which code and parts.
        window: The asset's own window.
        run_key: Key of the run it belongs to, which names the event's run.
        conflict: Refuse to replace a window that is there with other content (False: a backfill does just that).
    """
    time = line.services.clock.now()
    run_id = events.run_id_of(asset.name, run_key, mechanism.id, time.isoformat())
    checked: list[CheckResult] = []

    def check(made: Asset, frame: pl.DataFrame, at: Window, parents: Frames, pieces: Frames) -> Sequence[Any]:
        checked.extend(contract_results(line, made, frame, at, parents, pieces))
        if failing := broken(checked):
            first = failing[0]
            error = ContractBroken(
                f"dataset `{line.project.name}/{made.name}` breaks its contract: {first.detail or first.name}",
                doing=f"checking contract `{made.name}` {line.contracts[made.name].version}, window {at.key}",
                hint="nothing was written; mend the data or the contract and run the window again",
            )
            raise error
        _joinable(line, made, frame, at)
        return checked

    compute = line.compute(asset.name, mechanism)
    repair = line.state.repairs.get(asset.name)
    repaired: list[Mapping[str, Any]] = []

    def arriving(frames: Any, at: Window) -> Any:
        frame = compute(frames, at)
        if repair is None or not isinstance(frame, pl.DataFrame):
            return frame
        mended = mend(line, asset.name, frame, repair, at)
        if mended is not frame:
            repaired.append(repair)
        return mended

    delivery = deliver(
        asset,
        mechanism,
        arriving,
        assets=line.assets,
        window=window,
        calendar=line.calendar,
        tables=line.services.tables,
        check=check,
        run_id=run_id,
        guard=lambda pieces: _no_conflict(line, asset, pieces) if conflict else None,
    )
    line.record(_events(line, asset, delivery, checked, repaired))
    return delivery


def contract_results(
    line: Line, asset: Asset, frame: pl.DataFrame, window: Window, parents: Frames, pieces: Frames
) -> list[CheckResult]:
    """Execute an asset's contract on a frame; empty when it has none.

    What a contract says of a window is asked of every window of a range.
    """
    contract = line.contracts.get(asset.name)
    if contract is None:
        return []
    if ".." in window.key:
        each = {key: {"rows": float(piece.height)} for key, piece in pieces.items()}
        if contract.needs_metrics:
            for key, values in profiles_of(line, asset, pieces, {}).items():
                each[key] |= values | change_metrics(line, asset, pieces[key], line.calendar.window(key))
        return execute(contract, frame, window=window, each=each)
    metrics: dict[str, float] = {}
    if contract.needs_metrics:
        metrics = profile_of(line, asset, frame, window, parents)
        metrics |= change_metrics(line, asset, frame, window, parents)
    return execute(contract, frame, window=window, metrics=metrics)


def _joinable(line: Line, asset: Asset, frame: pl.DataFrame, window: Window) -> None:
    """Refuse labels that could not be joined to predictions later: unknown column, not 0 or 1, contradicting."""
    for model in line.project.models.values():
        if model.labels != asset.name:
            continue
        ranged = ".." in window.key and asset.time is not None
        for piece in cut(line.calendar, asset, frame, window).values() if ranged else [frame]:
            known(piece, model.entity, model.outcome, task=model.task)


def _no_conflict(line: Line, asset: Asset, pieces: Mapping[str, pl.DataFrame]) -> None:
    """Refuse to replace a window by other rows, unless it was still open when it came.

    Their order and the last bits of numbers do not make them others.
    """
    tables = line.services.tables
    for key, frame in {} if asset.snapshot else pieces.items():
        written = tables.content(asset.name, key)
        if written is None or written == content_hash(frame):
            continue
        stored = tables.read(asset.name, [key])
        same = stored is None or (stored.schema == frame.schema and not compare(frame, stored, asset.key).share)
        if not same and stored is not None and not grown(line, asset, key, frame, stored):
            raise WindowConflict(
                f"window {key} of `{asset.name}` is delivered already, with other content",
                doing=f"delivering `{asset.name}`",
                hint=f"if it was restated: headwater backfill {asset.name} --from {key} --to {key}",
            )


def _in_order(line: Line, first: str, last: str) -> None:
    done = line.state.runs
    later = [key for key in done if key > last]
    if later and last not in done:
        raise WindowConflict(
            f"window {last} comes after {max(later)} was run",
            hint="windows are run in order; restate older ones with `headwater backfill`",
        )


def _intact(line: Line) -> None:
    """Refuse to build on a table that lost what the ledger says was delivered."""
    for name in line.assets:
        newest = line.delivered(name)[-1:]
        if newest and line.services.tables.content(name, newest[0]) is None:
            raise CorruptTable(
                f"dataset `{name}` was delivered up to {newest[0]}, but its table does not hold that window any more",
                doing="looking at the tables before a run",
                hint="see what is lost and what brings it back: headwater audit verify",
            )


def _serves(line: Line, asset: Asset) -> bool:
    return any(model.served == asset.name for model in line.project.models.values())


def _predictions(line: Line, asset: Asset) -> str:
    return next(model.predictions for model in line.project.models.values() if model.served == asset.name)


def _events(
    line: Line, asset: Asset, delivery: Delivery, checked: Sequence[CheckResult], repaired: Sequence[Mapping[str, Any]]
) -> list[Entry]:
    time, subject = line.services.clock.now(), line.ref(asset.name)
    assert delivery.mechanism is not None
    inputs: list[events.Table] = [
        TableVersion(item.dataset, item.version, item.contents, {}) for item in delivery.inputs
    ]
    approved = None
    model = line.model_of(asset.name)
    deployment = None if model is None else line.state.deployments.get(model.name)
    if model is not None and deployment is not None:
        inputs.append(events.model_dataset(line.project.name, model.name, deployment.version))
        inputs.append(events.deployment_dataset(line.project.name, model.name))
        approved = dict(deployment.approved_parts)
    event = events.delivery_event(
        line.project.name,
        asset,
        delivery.window,
        time=time,
        mechanism=delivery.mechanism,
        output=delivery.version,
        inputs=inputs,
        columns=None if delivery.frame is None else {name: str(kind) for name, kind in delivery.frame.schema.items()},
        owner=line.owner(asset.name),
        side=line.side(asset.name),
        approved=approved,
        state="COMPLETE" if delivery.state == "COMPLETE" else "FAIL",
        error="" if delivery.error is None else str(delivery.error),
    )
    if repaired:
        event["run"]["facets"]["headwater_repair"] = facets.ours("headwater_repair", **repaired[0]["repair"])
    entries = [Entry("event", subject, event, time)]
    if checked:
        contract = line.contracts[asset.name]
        checks = [item.as_dict() for item in checked]
        table = delivery.version or asset.name
        made = events.contract_event(
            line.project.name,
            table,
            delivery.window,
            time=time,
            checks=checks,
            contract=f"{contract.id} {contract.version}",
            owner=contract.owner,
        )
        entries.append(Entry("event", subject, made, time))
    if asset.name in {item.labels for item in line.project.models.values()} and delivery.version is not None:
        for item in line.project.models.values():
            if item.labels == asset.name:
                made = events.label_event(
                    line.project.name, item.name, delivery.window, time=time, inputs=[delivery.version]
                )
                entries.append(Entry("event", line.project.ref(item.name, "model"), made, time))
    return entries
