"""Approve a change of code, and tell what such a change explains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from headwater.app.arrival import normal_keys
from headwater.app.evidence import OF_DELIVERIES, stored
from headwater.app.line import Line
from headwater.core.assets import Mechanism
from headwater.core.errors import DataError, UsageError
from headwater.core.ports import Entry
from headwater.core.records import Evidence, Finding
from headwater.observe.monitors import evaluate
from headwater.stats.frames.stacking import stack
from headwater.triage.approval import Approval
from headwater.triage.mechanism import look_back
from headwater.triage.replay import Plan, Replay

EXPLAINED = ("structure", "distribution", "schema")
"""Monitors whose alarm may be an approved change seen in its tables; labels and money are judged as ever."""


def approve(line: Line, asset: str, by: str, reason: str, *, dry_run: bool) -> dict[str, Any]:
    """Measure what an asset's present code moves on the last windows of the code before it, and approve just that.

    Raises:
        UsageError: No name or no reason to approve by, or the asset is a source.
        DataError: The code is the accepted one, or it cannot be run on any window.
    """
    for text, what, option in ((by, "name", "--by NAME"), (reason, "reason", "--reason TEXT")):
        if not text.strip() and not dry_run:
            raise UsageError(f"an approval needs a {what}", hint=option)
    if not line.assets[asset].recomputable:
        raise UsageError(
            f"`{asset}` is a source: its rows change, not its code", hint="approve the dataset that is made from it"
        )
    code = line.services.code.put(line.project.functions[asset])
    good = line.baseline(asset, code)
    known = line.approval(asset, code)
    if good is None:
        raise DataError(f"no code of `{asset}` was accepted yet: there is nothing to approve a change of")
    if good.code == code or known is not None:
        said = "is the accepted one" if known is None else f"was approved by {known.by} already"
        raise DataError(f"the present code of `{asset}` {said}", hint="approve after the code was changed")
    keys, measured = _measured(line, asset, Mechanism(code, dict(good.parts)), good)
    made = Approval(asset, code, good.code, by, reason, line.services.clock.now(), measured)
    pin = line.state.pins.get(asset)
    unpinned = pin is not None and pin["bad"] == code
    if not dry_run:
        body = {name: value for name, value in asdict(made).items() if name != "time"}
        entries = [Entry("approval", line.ref(asset), body, made.time)]
        if unpinned:
            lifted = {"action": "rollback_code", "parameters": {"asset": asset}, "incident": "", "state": "lifted"}
            entries.append(Entry("remedy", line.blame(asset), lifted, made.time))
        line.record(entries)
    return {
        "asset": line.blame(asset),
        "code": code,
        "replaces": good.code,
        "by": by,
        "reason": reason,
        "measured_on": keys,
        **{name.removeprefix("past_"): value for name, value in sorted(measured.items())},
        "lifts_rollback": unpinned,
        "approved": not dry_run,
    }


def _measured(line: Line, asset: str, new: Mechanism, good: Mechanism) -> tuple[list[str], dict[str, float]]:
    replay = line.replay()
    keys = [
        key for key in normal_keys(line, line.assets[asset], "~")
        if (made := replay.made(asset, key)) is not None and made.code == good.code
    ]  # fmt: skip
    if keys:
        replay.rerun(asset, keys[-1], new)  # says what is wrong with code that does not run
    measured = look_back(replay, list(line.project.models.values()), asset, keys, new, good)
    if not measured:
        raise DataError(
            f"the present code of `{asset}` could be tried on no window of the code before it",
            hint="run windows with the accepted code first",
        )
    return keys[-int(measured["past_windows"]) :], measured


def explained(line: Line, evidence: Iterable[Evidence], findings: Sequence[Finding]) -> list[Finding]:
    """Make notices of alarms that would not be there had the approved changes of these windows not been made.

    An approved change moves its own table and those below, and their monitors see it. So each such table is computed
    again without the change, measured and watched: what still alarms then has another cause and stays an alarm.
    """
    named = {line.blame(name): name for name in line.assets}
    approved = {
        named[item.subject]: item
        for item in evidence
        if item.type == "mechanism" and (item.values.get("approved") or {}).get("within")
    }
    if not approved or not any(item.severity == "alarm" and item.monitor in EXPLAINED for item in findings):
        return list(findings)
    replay, plan = line.replay(), Plan(mechanisms={name: _replaced(line, name) for name in approved})
    text = "; ".join(f"`{name}` {item.values['approved']['text']}" for name, item in approved.items())
    found: list[Finding] = []
    without: dict[tuple[str, str], set[tuple[str, str]] | None] = {}
    for finding in findings:
        asset = next((name for name in line.assets if line.ref(name) == finding.subject), None)
        below = any(asset == name or asset in replay.descendants(name) for name in approved)
        if asset is None or not below or finding.severity != "alarm" or finding.monitor not in EXPLAINED:
            found.append(finding)
            continue
        place = (asset, finding.window)
        if place not in without:
            without[place] = _alarms_without(line, replay, asset, finding.window, plan)
        alarms = without[place]
        if alarms is None or (finding.monitor, finding.metric) in alarms:
            found.append(finding)
        else:
            found.append(replace(finding, severity="notice", detail=f"{finding.detail}: gone without {text}"))
    return found


def _replaced(line: Line, asset: str) -> Mechanism:
    approval, accepted = line.state.approvals[asset], line.state.accepted[asset]
    return Mechanism(approval.base, dict(accepted.parts))


def _alarms_without(line: Line, replay: Replay, asset: str, key: str, plan: Plan) -> set[tuple[str, str]] | None:
    """Return monitor and metric of what would alarm had the plan been in force; None when that cannot be replayed."""
    try:
        delivered, frame = stored(line, asset, key), replay.value(asset, key, plan)
        if delivered is None or frame is None:
            return None
        read = {
            item.dataset: [replay.value(item.dataset, one, plan) for one in item.contents] for item in delivered.inputs
        }
        parents = {name: stack([part for part in parts if part is not None]) for name, parts in read.items()}
    except DataError:
        return None
    made = replace(delivered, frame=frame, parents=parents, pieces={key: frame})
    looks = (OF_DELIVERIES[kind] for kind in ("schema", "profile"))
    evidence = [item for look in looks for item in look(line, asset, made, {})]
    found = evaluate(evidence, line.state.history, line.calendar, line.services.clock.now())
    return {(item.monitor, item.metric) for item in found if item.severity == "alarm"}
