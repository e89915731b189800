"""The dry run of a remedy: everything that carrying it out would write, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.app.backfilling import Backfill, due_windows, plan_backfill
from headwater.app.lifecycle import earlier_champion, trainable
from headwater.app.line import Line
from headwater.core.records import Remedy

REWRITING = ("repair", "rollback_code")


def plan_of(line: Line, remedy: Remedy) -> Backfill:
    """Return the windows that a remedy delivers again; none for one that changes what a server runs, or holds."""
    name = remedy.parameters.get("asset")
    if name is None or remedy.action not in REWRITING or line.is_log(str(name)):
        return Backfill({}, ())
    return plan_backfill(line, {str(name): bad_windows(line, remedy)})


def bad_windows(line: Line, remedy: Remedy) -> list[str]:
    """The remedy's windows and every one delivered since."""
    name = str(remedy.parameters["asset"])
    if not remedy.windows:
        return []
    return sorted(key for key in due_windows(line, name) if key >= min(remedy.windows))


def held_by(line: Line, remedy: Remedy) -> Backfill:
    """Return the windows that a hold keeps out of training, with what they feed."""
    if remedy.action != "hold" or not remedy.windows or "asset" not in remedy.parameters:
        return Backfill({}, ())
    return plan_backfill(line, {str(remedy.parameters["asset"]): remedy.windows})


def touched(line: Line, remedy: Remedy, incident: str) -> dict[str, Any]:
    """Say what a remedy would write and what stands on it.

    Returns:
        ``datasets`` delivered again, with windows and the rows that are there now; ``held`` kept out of training, with
        first and last window; ``lifted``, windows of labels that the incident held and that are right again;
        ``deployments`` whose loaded parts, and whose champion, change; ``code`` that is put in force again, by asset;
        ``standing``, the repair applied on arrival from then on; ``trains``, the model that is trained and the windows
        it learns; ``models`` that read what changes; ``trained``, the versions whose training windows are among them,
        for somebody to train again; ``logs`` of what was served and decided, with windows and rows, which stay as they
        are.
    """
    rewritten, held = plan_of(line, remedy), held_by(line, remedy)
    changing = rewritten if rewritten.windows else held
    return {
        "datasets": [_dataset(line, name, keys) for name, keys in rewritten.windows.items()],
        "held": [
            {"dataset": line.ref(name), "first": keys[0], "last": keys[-1]} for name, keys in held.windows.items()
        ],
        "lifted": _lifted(line, rewritten, incident),
        "deployments": _deployments(line, remedy),
        "code": _code(line, remedy),
        "standing": _standing(line, remedy),
        "trains": _trains(line, remedy),
        "models": list(changing.models),
        "trained": list(_trained(line, changing.windows)),
        "logs": list(_logs(line, remedy, changing.windows)),
    }


def _dataset(line: Line, name: str, keys: Iterable[str]) -> dict[str, Any]:
    windows = list(keys)
    return {
        "dataset": line.ref(name),
        "windows": windows,
        "rows": _rows(line, name, windows),
        "side": line.side(name),
        "owner": line.owner(name),
    }


def _rows(line: Line, name: str, keys: Iterable[str]) -> int:
    """Rows stored in these windows, as their writers told; windows that were never there have none."""
    runs = ((key, line.writer(name, key)) for key in keys)
    return sum(run.rows.get(key, 0) for key, run in runs if run is not None)


def _lifted(line: Line, rewritten: Backfill, incident: str) -> list[dict[str, str]]:
    labels = {model.labels for model in line.project.models.values()}
    return [
        {"dataset": item.dataset, "first": item.first, "last": item.last}
        for item in line.state.quarantine.ranges
        for name in labels & set(rewritten.windows)
        if (item.dataset, item.incident) == (line.ref(name), incident)
        and item.first <= rewritten.windows[name][-1] and rewritten.windows[name][0] <= item.last
    ]  # fmt: skip


def _deployments(line: Line, remedy: Remedy) -> list[dict[str, Any]]:
    if remedy.action != "rollback_model":
        return []
    model = line.model_of(str(remedy.parameters.get("asset", "")))
    current = None if model is None else line.state.deployments.get(model.name)
    if model is None or current is None:
        return []
    wanted = dict(remedy.parameters.get("parts", {}))
    parts = {
        name: {"from": current.parts.get(name), "to": wanted.get(name)}
        for name in sorted({*current.parts, *wanted})
        if current.parts.get(name) != wanted.get(name)
    }
    version = earlier_champion(line, model, wanted)
    told = {"deployment": line.project.ref(model.name, "deployment"), "version": current.version, "parts": parts}
    return [told if version is None else {**told, "champion": {"from": current.approved_version, "to": version}}]


def _code(line: Line, remedy: Remedy) -> list[dict[str, Any]]:
    """The code that is put in force again, where the present one is another."""
    name, good = str(remedy.parameters.get("asset", "")), remedy.parameters.get("code")
    if remedy.action not in ("rollback_code", "rollback_model") or name not in line.assets or good is None:
        return []
    present = line.services.code.put(line.project.functions[name])
    if remedy.action == "rollback_model" and present == good:
        return []
    return [{"asset": line.ref(name), "from": present, "to": good}]


def _standing(line: Line, remedy: Remedy) -> list[dict[str, Any]]:
    if remedy.action != "repair" or "repair" not in remedy.parameters:
        return []
    return [{"dataset": line.ref(str(remedy.parameters["asset"])), "repair": remedy.parameters["repair"]}]


def _trains(line: Line, remedy: Remedy) -> list[dict[str, Any]]:
    """The version that training again makes: it is registered, and released by nobody but the gate."""
    name = str(remedy.parameters.get("model", ""))
    if remedy.action != "retrain" or name not in line.project.models:
        return []
    keys = trainable(line, line.model(name), skip_quarantined=True)
    return [{"model": line.project.ref(name, "model"), "first": keys[0], "last": keys[-1], "windows": len(keys)}]


def _trained(line: Line, windows: Mapping[str, Iterable[str]]) -> Iterable[dict[str, Any]]:
    """The model versions that were trained on any of these windows."""
    changing = {line.ref(name): set(keys) for name, keys in windows.items()}
    for record in line.services.ledger.read(kind="version"):
        body = record.body
        ref = line.project.ref(body["model"], "model", body["version"])
        runs = line.state.graph.runs(ref) if ref in line.state.graph else []
        used = {(item.ref, key) for run in runs[-1:] for item in run.inputs for key in item.contents}
        hit = sorted({key for name, key in used if key in changing.get(name, ())})
        if hit:
            champion = line.state.aliases.champion(body["model"])
            yield {
                "model": ref,
                "champion": champion is not None and champion.version == body["version"],
                "windows": hit,
                "of": len({key for _, key in used}),
            }


def _logs(line: Line, remedy: Remedy, windows: Mapping[str, Iterable[str]]) -> Iterable[dict[str, Any]]:
    """The logs of what was served and decided from these windows."""
    own = str(remedy.parameters.get("asset", ""))
    for model in line.project.models.values():
        keys = set(windows.get(model.features, ()))
        if own in (model.served, model.predictions):
            keys |= set(remedy.windows)
        for name in (model.served, model.predictions):
            there = sorted(keys & set(line.services.tables.keys(name)))
            if there:
                yield {"dataset": line.ref(name), "windows": there, "rows": _rows(line, name, there)}
