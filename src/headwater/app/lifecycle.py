"""The model's lifecycle on one project: train, release through the gate, deploy, roll back."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import polars as pl

from headwater.app.frozen import Frozen
from headwater.app.line import Line
from headwater.app.succession import faulted
from headwater.core.assets import Mechanism
from headwater.core.canonical import digest
from headwater.core.errors import GateRefused, ModelError, ProjectInvalid, StorageError, UnknownName
from headwater.core.ports import Entry, TableVersion
from headwater.core.project import Model, arguments
from headwater.mlops.aliases import AliasChange
from headwater.mlops.release import GateLimits, gate
from headwater.mlops.training import train as fit
from headwater.mlops.training import training_windows
from headwater.observe import events

_PACKAGES = ("polars", "numpy", "scikit-learn", "lightgbm", "xgboost", "headwater")


def training_frame(line: Line, model: Model, keys: list[str]) -> tuple[pl.DataFrame, list[TableVersion]]:
    """Join features with labels over windows; return the frame (with ``_window``) and the exact inputs."""
    frames, inputs = [], []
    for name in (model.features, model.labels):
        there = set(line.services.tables.keys(name))
        present = [key for key in keys if key in there]
        version = line.services.tables.version(name)
        if not present or version is None:
            raise ModelError(f"`{name}` has no windows to train on", hint="deliver a range first: headwater run --from")
        inputs.append(
            TableVersion(name, version, {key: line.services.tables.content(name, key) or "" for key in present}, {})
        )
        parts = []
        for key in present:
            part = line.services.tables.read(name, [key])
            if part is not None:
                parts.append(part.with_columns(pl.lit(key).alias("_window")))
        frames.append(pl.concat(parts, how="diagonal_relaxed"))
    features, labels = frames
    known = labels.drop("_window").drop_nulls(model.outcome).unique(model.entity, keep="last", maintain_order=True)
    extra = [name for name in known.columns if name == model.entity or name not in features.columns]
    joined = features.join(known.select(extra), on=model.entity, how="inner", maintain_order="left")
    if not joined.height:
        raise ModelError(f"no row of `{model.features}` has a label in `{model.labels}`")
    return joined, inputs


def train(
    line: Line, model: Model, seed: int, first: str | None, last: str | None, *, skip_quarantined: bool
) -> dict[str, Any]:
    """Train a model version on windows first..last, log it and register it."""
    keys = trainable(line, model, first, last, skip_quarantined=skip_quarantined)
    _registered(line, model)
    frame, inputs = training_frame(line, model, keys)
    trained = fit(line.project, model, frame.drop("_window"), seed, windows=frame["_window"])
    hashes = {name: line.services.parts.put(part) for name, part in trained.parts.items()}
    code = line.services.code.put(model.train)
    name = f"{line.project.name}/{model.name}"
    version, run = line.services.tracking().log_version(
        name,
        parts=trained.parts,
        score=model.score,
        params=trained.params,
        metrics=trained.metrics,
        tags={"code": code, "windows": f"{keys[0]}..{keys[-1]}", **{f"part.{k}": v for k, v in hashes.items()}},
    )
    time = line.services.clock.now()
    event = events.training_event(
        line.project.name,
        model.name,
        version,
        line.calendar.span(keys[0], keys[-1]),
        time=time,
        inputs=inputs,
        mechanism=Mechanism(code, hashes),
        params=trained.params,
        metrics=trained.metrics,
        seed=seed,
        environment=_environment(),
        windows=keys,
        owner=line.owner(model.features),
    )
    subject = line.project.ref(model.name, "model", version)
    body = {
        "model": model.name,
        "version": version,
        "parts": hashes,
        "code": code,
        "seed": seed,
        "windows": [keys[0], keys[-1]],
        "metrics": trained.metrics,
        "tracking_run": run,
        "held_out": [trained.params["held_out_first"], trained.params["held_out_last"]],
    }
    line.record([Entry("event", subject, event, time), Entry("version", subject, body, time)])
    return {**body, "rows": trained.rows}


def trainable(
    line: Line, model: Model, first: str | None = None, last: str | None = None, *, skip_quarantined: bool
) -> list[str]:
    """Return the windows first..last that a model can be trained on; raise what speaks against it."""
    stored = sorted(set(line.services.tables.keys(model.features)) & set(line.services.tables.keys(model.labels)))
    if not stored:
        raise ModelError("there is nothing to train on yet", hint="deliver a range: headwater run --from D --to D")
    first, last = first or stored[0], last or stored[-1]
    line.calendar.span(first, last)
    wanted = [key for key in stored if first <= key <= last]
    scope = {model.features, model.labels}
    keys = training_windows(wanted, line.state.quarantine, _upstream(line, scope), skip_quarantined=skip_quarantined)
    if not keys:
        raise ModelError(
            f"no windows with features and labels between {first} and {last}",
            hint=f"there are some from {stored[0]} to {stored[-1]}",
        )
    return keys


def _upstream(line: Line, assets: set[str]) -> list[str]:
    """References of assets and of everything they are made from."""
    replay = line.replay()
    return sorted(line.ref(name) for name in assets | {above for item in assets for above in replay.ancestors(item)})


def _environment() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _registered(line: Line, model: Model, version: str | None = None) -> None:
    """Refuse to go on with a registry that does not know a version (the newest by default) that the ledger knows.

    It would give the next version a number that is taken, or point an alias at something else.
    """
    made = [record.body for record in line.services.ledger.read(kind="version") if record.body["model"] == model.name]
    known = {body["version"]: body for body in made}
    asked = known.get(version) if version is not None else next(reversed(made), None)
    if asked is None:
        return
    name = f"{line.project.name}/{model.name}"
    run = line.services.tracking().versions(name).get(asked["version"])
    if run != asked["tracking_run"]:
        what = "is not in the model registry any more" if run is None else "is another one in the model registry"
        raise StorageError(
            f"version {asked['version']} of `{name}`, which the ledger knows, {what}",
            doing="looking at the model registry before anything is written to it",
            hint="restore .headwater/mlflow from a backup; without one, give the model a new name in the project: the "
            "numbers of this one are taken",
        )


def version_of(line: Line, model: Model, version: str) -> Mapping[str, Any]:
    """Return the record of a registered version."""
    found = {record.body["version"]: record.body for record in line.services.ledger.read(kind="version")
             if record.body["model"] == model.name}  # fmt: skip
    if version not in found:
        raise UnknownName.of(f"version of model `{model.name}`", version, found)
    return found[version]


def release(line: Line, model: Model, version: str, by: str) -> dict[str, Any]:
    """Put a version through the gate and make it champion: alias, approval, and what the server loads."""
    made = version_of(line, model, version)
    _registered(line, model, version)
    champion = line.state.aliases.champion(model.name)
    low, high = made["held_out"]
    judged = [key for key in line.services.tables.keys(model.features) if low <= key <= high]
    frame = _served(line, model, training_frame(line, model, judged)[0])
    open_incidents = [item.id for item in line.state.incidents.active()]
    reason = _contaminated(line, model, made)
    old = None
    if champion is not None and champion.version is not None:
        hashes = version_of(line, model, champion.version)["parts"]
        lost = any(line.services.parts.flaw(part) for part in hashes.values())
        old = None if lost else _parts(line, hashes)  # a champion that is lost must not keep its successor out
    report = gate(
        _parts(line, made["parts"]),
        old,
        frame.drop("_window"),
        line.project.functions[model.predictions],
        outcome=model.outcome,
        columns=model.columns,
        windows=frame["_window"],
        limits=_limits(line),
        healthy=reason is None,
        reason=reason or "",
        task=model.task,
        query=model.query,
    )
    time = line.services.clock.now()
    previous = None if champion is None else champion.version
    event = events.release_event(
        line.project.name,
        model.name,
        version,
        time=time,
        previous=previous,
        displacement=report.displacement,
        gate=[item.as_dict() for item in report.checks],
        owner=by,
        state="COMPLETE" if report.passed else "FAIL",
    )
    subject = line.project.ref(model.name, "model")
    answer = {
        "model": model.name,
        "version": version,
        "previous": previous,
        "by": by,
        "passed": report.passed,
        "displacement": report.displacement,
        "checks": [item.as_dict() for item in report.checks],
        "compared": old is not None,
        "open_incidents": open_incidents,
    }
    if not report.passed:
        line.record([Entry("event", subject, event, time)])
        failing = next(item for item in report.checks if not item.passed)
        raise GateRefused(
            f"version {version} of `{model.name}` is not released: {failing.name}: {failing.detail}",
            doing="passing the release gate",
            hint="train another version, or change `gate:` in headwater.yaml with your reasons on record",
        )
    line.services.tracking().set_alias(f"{line.project.name}/{model.name}", "champion", version)
    line.record(
        [
            Entry("event", subject, event, time),
            _alias(line, model, version, by, "release", report.displacement),
            *deployed(line, model, dict(made["parts"]), by=by, reason="release", version=version),
        ]
    )
    return answer


def _served(line: Line, model: Model, frame: pl.DataFrame) -> pl.DataFrame:
    """The features as the server would hand them to the scorer, with outcome and window."""
    serve, found = line.project.functions[model.served], []
    for (key,), rows in frame.group_by("_window", maintain_order=True):
        truth, features = rows.select(model.entity, model.outcome, "_window"), rows.drop(model.outcome, "_window")
        window = line.calendar.window(str(key))
        served = serve(*arguments(serve, {model.features: features}, [model.features], window))
        found.append(served.join(truth, on=model.entity, how="inner", maintain_order="left"))
    return pl.concat(found, how="diagonal_relaxed") if found else frame


def _contaminated(line: Line, model: Model, made: Mapping[str, Any]) -> str | None:
    """Say why a version must not be let in: what it learned, or what it would be judged by, is in question."""
    told = next(iter(faulted(line, model, made["version"], made)), None)
    if told is not None:
        return f"trained on {told[0]}"
    low, high = made["held_out"]
    frozen = Frozen(line, model)
    by = next(
        (frozen.by(key) for key in line.services.tables.keys(model.labels) if low <= key <= high and key in frozen), ""
    )
    return f"the labels it would be judged by are in question ({by})" if by else None


def _limits(line: Line) -> GateLimits:
    given = {} if line.config is None else dict(line.config.gate)
    for name, value in given.items():
        if name not in GateLimits.__dataclass_fields__:
            raise UnknownName.of("gate limit", str(name), GateLimits.__dataclass_fields__)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ProjectInvalid(f"gate limit `{name}` is `{value}`, not a number", hint="headwater.yaml, under `gate`")
    return GateLimits(**given)


def _parts(line: Line, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {name: line.services.parts.load(part) for name, part in hashes.items()}


def _alias(line: Line, model: Model, version: str, by: str, reason: str, displacement: float | None) -> Entry:
    time = line.services.clock.now()
    body = {
        "model": model.name,
        "alias": "champion",
        "version": version,
        "valid_from": time.isoformat(),
        "by": by,
        "reason": reason,
        "displacement": displacement,
        "parts": dict(version_of(line, model, version)["parts"]),
    }
    return Entry("alias", line.project.ref(model.name, "model"), body, time)


def deployed(
    line: Line, model: Model, parts: Mapping[str, str], *, by: str, reason: str, version: str | None = None
) -> list[Entry]:
    """Build the records that say what the server has loaded from now on."""
    time = line.services.clock.now()
    if version is None:
        champion = line.state.aliases.champion(model.name)
        version = "unknown" if champion is None or champion.version is None else champion.version
    code = line.services.code.put(line.project.functions[model.predictions])
    body = {"model": model.name, "version": version, "parts": dict(parts), "code": code, "by": by, "reason": reason}
    subject = line.project.ref(model.name, "deployment")
    event = events.deployment_event(
        line.project.name, model.name, version, time=time, mechanism=Mechanism(code, parts), owner=by
    )
    return [Entry("event", subject, event, time), Entry("deployment", subject, body, time)]


def deploy(line: Line, model: Model, version: str | None, parts: Mapping[str, Any] | None, by: str) -> dict[str, Any]:
    """Change what the server loads without asking the registry: another version's files, other single parts.

    This is the door that a serving team has; whether it agrees with what was approved is for triage to see.
    """
    current = line.state.deployments.get(model.name)
    if version is not None:
        loaded = dict(version_of(line, model, version)["parts"])
    elif current is not None:
        loaded = dict(current.parts if parts else current.approved_parts)
    else:
        raise ModelError(f"model `{model.name}` is not deployed", hint="release a version first")
    for name, part in (parts or {}).items():
        if name not in loaded:
            raise UnknownName.of(f"part of model `{model.name}`", name, loaded)
        loaded[name] = line.services.parts.put(part)
    says = version or (current.version if current is not None else "unknown")
    line.record(deployed(line, model, loaded, by=by, reason="deploy", version=says))
    return {"model": model.name, "version": says, "parts": loaded, "identity": digest(loaded)}


def _before(history: Sequence[AliasChange]) -> str | None:
    """Return the champion before the present one; what was rolled back is no way back."""
    stack: list[str | None] = []
    for item in history:
        if item.reason == "rollback" and item.version in stack:
            del stack[stack.index(item.version) + 1 :]
        elif item.version not in stack[-1:]:
            stack.append(item.version)
    return stack[-2] if len(stack) > 1 else None


def rollback(line: Line, model: Model, to: str | None, by: str) -> dict[str, Any]:
    """Make an earlier champion champion again, at once."""
    history = line.state.aliases.history(model.name)
    if not history:
        raise ModelError(f"model `{model.name}` was never released", hint="headwater release VERSION")
    current = history[-1].version
    target = to or _before(history)
    if target is None:
        raise ModelError(f"model `{model.name}` has no earlier champion than version {current}", hint="release one")
    version_of(line, model, target)
    if target == current:
        raise ModelError(f"version {target} of `{model.name}` is champion already", hint="name another with --to")
    if to is not None and to not in {item.version for item in history}:
        raise ModelError(
            f"version {to} of `{model.name}` was never champion", hint="release it through the gate instead"
        )
    line.record(_reinstate(line, model, target, by))
    return {"model": model.name, "version": target, "previous": current, "by": by}


def _reinstate(line: Line, model: Model, version: str, by: str) -> list[Entry]:
    """Point the alias back at an earlier champion, and build the records that say so and load it."""
    _registered(line, model, version)
    time = line.services.clock.now()
    champion = line.state.aliases.champion(model.name)
    line.services.tracking().set_alias(f"{line.project.name}/{model.name}", "champion", version)
    event = events.release_event(
        line.project.name,
        model.name,
        version,
        time=time,
        previous=None if champion is None else champion.version,
        rollback=True,
        owner=by,
    )
    parts = dict(version_of(line, model, version)["parts"])
    return [
        Entry("event", line.project.ref(model.name, "model"), event, time),
        _alias(line, model, version, by, "rollback", None),
        *deployed(line, model, parts, by=by, reason="rollback", version=version),
    ]


def reinstated(line: Line, model: Model, parts: Mapping[str, str], by: str) -> list[Entry]:
    """Return the records that make the champion of these parts champion again; empty when it is, or there is none."""
    version = earlier_champion(line, model, parts)
    return [] if version is None else _reinstate(line, model, version, by)


def earlier_champion(line: Line, model: Model, parts: Mapping[str, str]) -> str | None:
    """Return the former champion that has exactly these parts; None when none had, or the present one has."""
    champion = line.state.aliases.champion(model.name)
    for item in reversed(line.state.aliases.history(model.name)):
        if item.version is not None and dict(version_of(line, model, item.version)["parts"]) == dict(parts):
            return None if champion is not None and champion.version == item.version else item.version
    return None
