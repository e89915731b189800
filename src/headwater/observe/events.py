"""What happened, as OpenLineage run events (core schema 2-0-2) in plain dicts, and events from outside read in.

Datasets carry the project's name as namespace and their bare name. A model version is a dataset ``model.<name>`` of
type MODEL, a deployment a dataset ``deployment.<name>`` of type DEPLOYMENT: names with a dot, which no asset can have.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from headwater.core.assets import Asset, Mechanism
from headwater.core.canonical import canonical
from headwater.core.clock import aware
from headwater.core.ports import TableVersion
from headwater.core.windows import Window
from headwater.observe import facets
from headwater.observe.facets import PRODUCER, Facet
from headwater.observe.intake import parse as parse

Event = dict[str, Any]
Dataset = dict[str, Any]
State = Literal["START", "COMPLETE", "FAIL"]
Table = TableVersion | Mapping[str, Any]
"""A table as it was read or written, or a dataset built with `dataset`, `model_dataset` or `deployment_dataset`."""

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUNS = uuid.UUID("6f1f0c8e-2b0e-5d0e-9a51-7d1f3c2b9e44")


def run_id_of(job: str, window: str, *parts: Any) -> str:
    """Return the run id that follows from content: the same job, window and parts give the same UUID.

    Example:
        >>> run_id_of("weather", "2013-07-01", {"b": 1, "a": 2}) == run_id_of("weather", "2013-07-01", {"a": 2, "b": 1})
        True
    """
    return str(uuid.uuid5(_RUNS, canonical([job, window, *parts]).decode()))


def dataset(
    project: str,
    table: TableVersion | str,
    *,
    asset: Asset | None = None,
    owner: str = "",
    side: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Build a dataset with what is known of it: its version and windows, its place, owner and columns."""
    name = table if isinstance(table, str) else table.dataset
    made: dict[str, Facet] = {}
    if isinstance(table, TableVersion):
        made["version"] = facets.dataset_version(table.version)
        made["headwater_contents"] = facets.contents(table.contents, table.rows)
    if asset is not None:
        made["headwater_asset"] = facets.asset(asset, side)
    if owner:
        made["ownership"] = facets.dataset_ownership(owner)
    if columns:
        made["schema"] = facets.schema(columns)
    return {"namespace": project, "name": name, "facets": made}


def model_dataset(project: str, model: str, version: str | None = None, *, owner: str = "") -> Dataset:
    """Build a model version as a dataset, to be named as input of what it scored."""
    made = {"datasetType": facets.dataset_type("MODEL")}
    if version is not None:
        made["version"] = facets.dataset_version(version)
    if owner:
        made["ownership"] = facets.dataset_ownership(owner)
    return {"namespace": project, "name": f"model.{model}", "facets": made}


def deployment_dataset(project: str, model: str) -> Dataset:
    """Build the deployment of a model as a dataset: what the server has loaded."""
    return {
        "namespace": project,
        "name": f"deployment.{model}",
        "facets": {"datasetType": facets.dataset_type("DEPLOYMENT")},
    }


def run_event(
    project: str,
    job: str,
    *,
    time: datetime,
    run_id: str,
    kind: str,
    state: State = "COMPLETE",
    inputs: Iterable[Table] = (),
    outputs: Iterable[Table] = (),
    run: Mapping[str, Facet] | None = None,
    owner: str = "",
    error: str = "",
    processing: str = "BATCH",
) -> Event:
    """Build one run event; the functions below build the events of the line with it.

    Args:
        project: Namespace of the job and of tables given as `TableVersion`.
        job: Job name.
        time: When it happened, zone-aware.
        run_id: UUID of the run; the events of one run share it and add up.
        kind: Type of job for the ``jobType`` facet, e.g. ``DATASET``.
        state: START, COMPLETE or FAIL.
        inputs: What was read.
        outputs: What was written.
        run: Run facets by name.
        owner: Who answers for the job.
        error: Why it failed.
        processing: BATCH or SERVICE.
    """
    run_facets = dict(run or {})
    if error:
        run_facets["errorMessage"] = facets.error_message(error)
    job_facets = {"jobType": facets.job_type(kind, processing)}
    if owner:
        job_facets["ownership"] = facets.job_ownership(owner)
    return {
        "eventType": state,
        "eventTime": aware(time).isoformat(),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": run_id, "facets": run_facets},
        "job": {"namespace": project, "name": job, "facets": job_facets},
        "inputs": [_dataset(project, table) for table in inputs],
        "outputs": [_dataset(project, table) for table in outputs],
    }


def delivery_event(
    project: str,
    asset: Asset,
    window: Window,
    *,
    time: datetime,
    mechanism: Mechanism,
    output: TableVersion | None = None,
    inputs: Sequence[Table] = (),
    windows: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    owner: str = "",
    side: str | None = None,
    approved: Mapping[str, str] | None = None,
    engine: tuple[str, str] | None = None,
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that an asset was delivered (or failed) for its own window, or for a range of windows at once.

    Args:
        project: The project's name.
        asset: What was delivered.
        window: The asset's own window (run window less its lag), or the range.
        time: When.
        mechanism: The code that ran, and the hashes of the parts it loaded.
        output: The version that was written; None when it failed or only started.
        inputs: The parents as read, each with exactly the windows that were read; for predictions also the
            `model_dataset` that scored (and the `deployment_dataset`).
        windows: Keys of the windows delivered; by default those of ``output``, else the window itself.
        columns: Column names and types.
        owner: Who answers for the asset.
        side: ``data`` or ``ml`` when it is not the asset's own.
        approved: For predictions, the hashes of the released model's parts, by part.
        engine: Name and version of the engine.
        state: START, COMPLETE or FAIL.
        error: Why it failed.
        run_id: By default it follows from job, window, mechanism, inputs and output, so that a rerun that changed
            nothing is the same run. Give one when a START and its COMPLETE must meet.
    """
    read = [_dataset(project, table) for table in inputs]
    wrote = dataset(project, output or asset.name, asset=asset, owner=owner, side=side, columns=columns)
    if output is not None:
        wrote["outputFacets"] = {"outputStatistics": facets.output_statistics(sum(output.rows.values()))}
    keys = sorted(windows or (output.contents if output else ()) or (window.key,))
    run = {
        "nominalTime": facets.nominal_time(window),
        "headwater_run": facets.run(window.key, keys, mechanism, approved),
    }
    if engine:
        run["processing_engine"] = facets.processing_engine(*engine)
    made = run_id or run_id_of(
        f"{project}/{asset.name}", window.key, mechanism.id, _identity(read), _identity([wrote]), error
    )
    return run_event(
        project,
        asset.name,
        time=time,
        run_id=made,
        kind="DATASET",
        state=state,
        inputs=read,
        outputs=[wrote],
        run=run,
        owner=owner,
        error=error,
    )


def contract_event(
    project: str,
    table: TableVersion | str,
    window: Window,
    *,
    time: datetime,
    checks: Sequence[Mapping[str, Any]],
    contract: str = "",
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that a contract was executed on a dataset; a failed check does not make the checking job fail.

    ``checks`` are as in `facets.data_quality_assertions`; ``contract`` is the id or hash of the contract's text.
    """
    name = table if isinstance(table, str) else table.dataset
    read = dataset(project, table)
    read["inputFacets"] = {"dataQualityAssertions": facets.data_quality_assertions(checks)}
    job = f"contract.{name}"
    return run_event(
        project,
        job,
        time=time,
        run_id=run_id or run_id_of(f"{project}/{job}", window.key, contract, _identity([read]), checks),
        kind="CONTRACT",
        state=state,
        inputs=[read],
        run=_windowed(window, Mechanism(contract) if contract else None),
        owner=owner,
        error=error,
    )


def training_event(
    project: str,
    model: str,
    version: str | None,
    window: Window,
    *,
    time: datetime,
    inputs: Sequence[Table],
    mechanism: Mechanism,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    seed: int,
    environment: Mapping[str, Any],
    windows: Sequence[str] = (),
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that a model version was trained.

    Args:
        project: The project's name.
        model: Bare model name.
        version: The version that was registered; None when training failed before that.
        window: The span of windows trained on.
        time: When.
        inputs: Features and labels as read, each with exactly the windows that were read.
        mechanism: The trainer's code hash, and the content hashes of the parts that came out of it.
        params: What the trainer was given.
        metrics: What was measured.
        seed: The seed.
        environment: Python and package versions.
        windows: Keys of the windows trained on; by default all that the inputs name.
        owner: Who answers for the model.
        state: START, COMPLETE or FAIL.
        error: Why it failed.
        run_id: By default it follows from job, window, version, trainer, seed and inputs.
    """
    read = [_dataset(project, table) for table in inputs]
    keys = sorted(windows) or sorted({key for one in read for key in _contents(one)}) or [window.key]
    job = f"train.{model}"
    trained = {"model": model, "version": version, "params": params, "metrics": metrics, "seed": seed}
    run = {
        "nominalTime": facets.nominal_time(window),
        "headwater_run": facets.run(window.key, keys, mechanism),
        "headwater_training": facets.ours("headwater_training", **trained, environment=environment),
    }
    made = run_id or run_id_of(f"{project}/{job}", window.key, version, mechanism.id, seed, params, _identity(read))
    return run_event(
        project,
        job,
        time=time,
        run_id=made,
        kind="TRAINING",
        state=state,
        inputs=read,
        outputs=[model_dataset(project, model, version, owner=owner)],
        run=run,
        owner=owner,
        error=error,
    )


def release_event(
    project: str,
    model: str,
    version: str,
    *,
    time: datetime,
    alias: str = "champion",
    previous: str | None = None,
    displacement: float | None = None,
    gate: Sequence[Mapping[str, Any]] = (),
    rollback: bool = False,
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that an alias was moved to a model version, forward or back; FAIL when the gate refused.

    ``displacement`` is mean |p_new - p_old| on the same rows; ``gate`` holds the gate's checks as plain mappings.
    """
    job = f"{'rollback' if rollback else 'release'}.{model}"
    values = {"model": model, "alias": alias, "version": version, "previous": previous, "displacement": displacement}
    return run_event(
        project,
        job,
        time=time,
        run_id=run_id or run_id_of(f"{project}/{job}", "", values, aware(time), state),
        kind="RELEASE",
        state=state,
        inputs=[model_dataset(project, model, version)],
        run={"headwater_release": facets.ours("headwater_release", **values, gate=list(gate))},
        owner=owner,
        error=error,
    )


def deployment_event(
    project: str,
    model: str,
    version: str,
    *,
    time: datetime,
    mechanism: Mechanism,
    window: Window | None = None,
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that the server loaded a model version: ``mechanism`` is its scoring code and the parts as loaded."""
    job = f"deploy.{model}"
    return run_event(
        project,
        job,
        time=time,
        run_id=run_id or run_id_of(f"{project}/{job}", "", version, mechanism.id, aware(time)),
        kind="DEPLOYMENT",
        state=state,
        inputs=[model_dataset(project, model, version)],
        outputs=[deployment_dataset(project, model)],
        run=_windowed(window, mechanism),
        owner=owner,
        error=error,
        processing="SERVICE",
    )


def label_event(
    project: str,
    model: str,
    window: Window,
    *,
    time: datetime,
    inputs: Sequence[Table],
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that a batch of labels arrived for predictions of ``window``; ``inputs``: the labels (and predictions)."""
    read = [_dataset(project, table) for table in inputs]
    job = f"labels.{model}"
    return run_event(
        project,
        job,
        time=time,
        run_id=run_id or run_id_of(f"{project}/{job}", window.key, _identity(read)),
        kind="LABELS",
        state=state,
        inputs=read,
        run=_windowed(window),
        owner=owner,
        error=error,
    )


def remedy_event(
    project: str,
    action: str,
    target: str,
    *,
    time: datetime,
    incident: str,
    windows: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    inputs: Sequence[Table] = (),
    outputs: Sequence[Table] = (),
    mechanism: Mechanism | None = None,
    owner: str = "",
    state: State = "COMPLETE",
    error: str = "",
    run_id: str | None = None,
) -> Event:
    """Say that a remedy was carried out.

    ``outputs`` are the tables that the remedy itself rewrote (a repaired source), not those of the deliveries that
    follow from it: these say so in events of their own.
    """
    job = f"remedy.{action}"
    keys = sorted(windows)
    values = {"incident": incident, "action": action, "target": target, "parameters": dict(parameters or {})}
    run = {"headwater_remedy": facets.ours("headwater_remedy", **values)}
    if keys:
        span = keys[0] if len(keys) == 1 else f"{keys[0]}..{keys[-1]}"
        run["headwater_run"] = facets.run(span, keys, mechanism)
    return run_event(
        project,
        job,
        time=time,
        run_id=run_id or run_id_of(f"{project}/{job}", ",".join(keys), values, aware(time)),
        kind="REMEDY",
        state=state,
        inputs=inputs,
        outputs=outputs,
        run=run,
        owner=owner,
        error=error,
    )


def _windowed(window: Window | None, mechanism: Mechanism | None = None) -> dict[str, Facet]:
    if window is None:
        return {"headwater_run": facets.run("", [], mechanism)} if mechanism else {}
    return {
        "nominalTime": facets.nominal_time(window),
        "headwater_run": facets.run(window.key, [window.key], mechanism),
    }


def _dataset(project: str, table: Table) -> Dataset:
    return dataset(project, table) if isinstance(table, TableVersion) else dict(table)


def _contents(made: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = made.get("facets", {}).get("headwater_contents", {}).get("contents", {})
    return found


def _identity(tables: Iterable[Mapping[str, Any]]) -> list[Any]:
    """What of datasets makes a run another run: which, in which version, with which content."""
    return [
        [one["namespace"], one["name"], one.get("facets", {}).get("version", {}).get("datasetVersion"), _contents(one)]
        for one in tables
    ]
