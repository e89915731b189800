"""Compare each released version with the one before it on what it served, and collect what is known of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headwater.app.frozen import Frozen
from headwater.app.line import Line
from headwater.core.errors import CorruptTable, HeadwaterError, OutsideError
from headwater.core.project import Model
from headwater.core.records import Evidence
from headwater.observe.outcome import MATURE
from headwater.triage.replay import Replay
from headwater.triage.successions import Gap, Succession, compared

TRIED = {"1d": 21, "1h": 72}
"""Windows after a release that its predecessor is compared on, by the length of a window."""
TRIAL = 14
"""Label-mature windows of its predecessor that a release is tried on."""


def succession(line: Line, model: Model, window: str) -> Iterator[Evidence]:
    """Compare the version that scored a label-mature window with its predecessor on the same served rows."""
    replay = line.replay()
    found = _release_of(line, replay, model, window)
    if found is None:
        return
    version, predecessor, since = found
    before = line.state.deployments.parts(model.name, predecessor)
    if any(line.services.parts.flaw(part) for part in before.values()):
        return
    try:
        measured = compared(replay, model, window, before)
    except (OutsideError, CorruptTable):
        raise
    except HeadwaterError:
        return  # what cannot be scored or joined has a finding of its own
    if measured:
        values = {**measured, "version": version, "predecessor": predecessor, "since": since}
        yield Evidence(type="succession", subject=line.project.ref(model.name, "model"), window=window, values=values,
                       time=line.services.clock.now())  # fmt: skip


def trial(line: Line, model: Model, window: str) -> Iterator[Evidence]:
    """Try a version, in the first window that it scores, on the label-mature windows that its predecessor served.

    So a bad release shows before any label of its own has come. Windows that it was trained on flatter it: what it does
    worse even there counts, what it does better does not clear it.
    """
    replay = line.replay()
    found = _release_of(line, replay, model, window)
    if found is None or found[2] != window:
        return
    version, predecessor, since = found
    own, before = (line.state.deployments.parts(model.name, item) for item in (version, predecessor))
    if any(line.services.parts.flaw(part) for part in own.values()):
        return
    performance = line.state.evidence[("performance", line.project.ref(model.name, "model"))]
    keys = [key for key in sorted(performance) if key < since and _served(replay, model, key, before)]
    frozen = Frozen(line, model)
    keys = [
        key for key in keys
        if float(performance[key].values.get("maturity", 0.0)) >= MATURE and key not in frozen
    ][-TRIAL:]  # fmt: skip
    windows: dict[str, dict[str, float]] = {}
    for key in keys:
        try:
            measured = compared(replay, model, key, own)
        except (OutsideError, CorruptTable):
            raise
        except HeadwaterError:
            continue
        if measured:
            windows[key] = {"loss": measured["loss_before"], "loss_before": measured["loss"], "rows": measured["rows"]}
    if windows:
        gap = sum(item["loss"] - item["loss_before"] for item in windows.values()) / len(windows)
        values = {"version": version, "predecessor": predecessor, "since": since, "gap": gap, "windows": windows}
        yield Evidence(type="trial", subject=line.project.ref(model.name, "deployment"), window=window, values=values,
                       time=line.services.clock.now())  # fmt: skip


def _served(replay: Replay, model: Model, key: str, parts: Mapping[str, str]) -> bool:
    made = replay.made(model.predictions, key)
    return made is not None and dict(made.parts) == dict(parts)


def _release_of(line: Line, replay: Replay, model: Model, window: str) -> tuple[str, str, str] | None:
    """Return version, predecessor and first window of the release that scored a window, if it is still on trial."""
    made = replay.made(model.predictions, window)
    if made is None:
        return None
    champions: list[tuple[str, str]] = []
    for item in line.state.aliases.history(model.name):
        if item.version is not None and item.version not in [version for version, _ in champions[-1:]]:
            champions.append((item.version, item.reason))
    places = [
        place for place, (version, _) in enumerate(champions)
        if dict(line.state.deployments.parts(model.name, version)) == dict(made.parts)
    ]  # fmt: skip
    if not places or places[-1] == 0 or champions[places[-1]][1] == "rollback":
        return None
    since = _since(line, replay, model, window)
    return None if since is None else (champions[places[-1]][0], champions[places[-1] - 1][0], since)


def _since(line: Line, replay: Replay, model: Model, window: str) -> str | None:
    """Return the first of the windows in a row that the same parts scored; None where that was long ago."""
    parts = replay.made(model.predictions, window)
    current, first = line.calendar.window(window), window
    for _ in range(TRIED[line.calendar.every]):
        current = line.calendar.shift(current, -1)
        made = replay.made(model.predictions, current.key)
        if made is None or parts is None or dict(made.parts) != dict(parts.parts):
            return first
        first = current.key
    return None


def successions(line: Line, replay: Replay, run: str) -> dict[str, Succession]:
    """Collect what is known of the releases on trial and of their predecessors, by model."""
    found = {}
    for model in line.project.models.values():
        newest = line.calendar.shift(line.calendar.window(run), -line.assets[model.predictions].lag).key
        made = _one(line, replay, model, newest)
        if made is not None:
            found[model.name] = made
    return found


def _one(line: Line, replay: Replay, model: Model, newest: str) -> Succession | None:
    found = _release_of(line, replay, model, newest)
    if found is None:
        return None
    version, predecessor, since = found
    compared = line.state.evidence[("succession", line.project.ref(model.name, "model"))]
    frozen = Frozen(line, model)
    gaps = tuple(
        Gap(key, float(item.values["loss"]), float(item.values["loss_before"]), int(item.values["rows"]), item.id)
        for key, item in sorted(compared.items())
        if (item.values["version"], item.values["predecessor"]) == (version, predecessor)
        and since <= key <= newest
        and key not in frozen
    )
    records = {record.body["version"]: record.body for record in line.services.ledger.read(kind="version")
               if record.body["model"] == model.name}  # fmt: skip
    own, other = records.get(version, {}), records.get(predecessor, {})
    first, last = own.get("windows", ("", ""))
    return Succession(
        version=version,
        predecessor=predecessor,
        since=since,
        parts=line.state.deployments.parts(model.name, version),
        before=line.state.deployments.parts(model.name, predecessor),
        gaps=gaps,
        tried=_tried(line, model, version, since, own),
        promised=own.get("metrics", {}),
        promised_before=other.get("metrics", {}),
        trained=(first, last),
        faulted=tuple(faulted(line, model, version, own)),
    )


def _tried(line: Line, model: Model, version: str, since: str, made: Mapping[str, Any]) -> tuple[Gap, ...]:
    found = line.state.evidence[("trial", line.project.ref(model.name, "deployment"))].get(since)
    if found is None or found.values["version"] != version:
        return ()
    held_out = str(made.get("held_out", [""])[0])
    return tuple(
        Gap(key, float(told["loss"]), float(told["loss_before"]), int(told["rows"]), found.id,
            unseen=bool(held_out) and key >= held_out, lived=False)
        for key, told in sorted(found.values["windows"].items())
    )  # fmt: skip


def faulted(line: Line, model: Model, version: str, made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known to have been wrong with the windows that a version was trained on.

    A window counts where it is held by an incident now, or where what training read of it was rewritten by a remedy
    since. One that was repaired before it was read does not.
    """
    if not made:
        return
    first, last = made["windows"]
    ref = line.project.ref(model.name, "model", version)
    runs = [run for run in line.state.graph.runs(ref) if run.state == "COMPLETE"] if ref in line.state.graph else []
    read = {item.ref: dict(item.contents) for run in runs[-1:] for item in run.inputs}
    bad = {ref: keys for ref, contents in read.items() if (keys := _rewritten(line, ref, contents))}
    above = {item for ref in read for item in line.above(ref)} | set(read)
    used = {key for contents in read.values() for key in contents}
    for held in line.state.quarantine.covering(above, first, last):
        if used and not any(held.first <= key <= held.last for key in used):
            continue  # it was left out
        by = held.incident or held.reason
        yield f"quarantined windows {held.first} to {held.last} of {held.dataset}, held by {by}", ""
    for incident in line.state.incidents.all():
        verdict = incident.verdict
        if verdict is None or verdict.status != "named" or verdict.subject not in above:
            continue
        end = next((item["window"] for item in incident.timeline if item["state"] == "remedied"), verdict.window)
        spoiled = [key for keys in bad.values() for key in keys if verdict.start_window <= key <= end]
        if incident.active and incident.remedy is None:
            spoiled = [key for contents in read.values() for key in contents if verdict.start_window <= key <= end]
        if spoiled:
            what = f"windows {min(spoiled)} to {max(spoiled)}, spoiled by {verdict.subject} ({incident.id})"
            yield what, verdict.id


def _rewritten(line: Line, ref: str, contents: Mapping[str, str]) -> list[str]:
    """Return the windows whose content is another now than training read."""
    name = next((name for name in line.assets if line.ref(name) == ref), None)
    if name is None:
        return []
    return [key for key, content in contents.items()
            if content and line.services.tables.content(name, key) not in (None, content)]  # fmt: skip
