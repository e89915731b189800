"""The judgement: a posterior over the suspects, an evidence chain, and a sentence that people understand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from headwater.core.records import Finding, Suspect, Verdict
from headwater.triage.case import REALISED, Case
from headwater.triage.chain import Keep, chain
from headwater.triage.effect import effect
from headwater.triage.posterior import CLEARED, Posterior, posterior
from headwater.triage.remedies import Beliefs, choose, stand_by
from headwater.triage.settling import Ground, await_labels, next_test
from headwater.triage.suspects import Weighed
from headwater.triage.weighing import weigh
from headwater.triage.worlds import World, doubted, telling, world

CERTAIN = 0.5
"""Below this probability nobody is named: the verdict is undetermined and says what would tell."""


def judge(case: Case, time: datetime, keep: Keep = lambda _: None) -> Verdict:
    """Judge one incident on all the evidence so far.

    The weights are log-linear and set by hand (Headwater's design notes, triage section 1): they rank well, but the
    probabilities are not calibrated before about a hundred labelled incidents exist.

    Args:
        case: What is known.
        time: When it is judged.
        keep: Told of every number of the chain that is measured here, so that it is stored and can be recomputed.
    """
    suspects = [item for item in weigh(case) if item.kind == "none" or _path(case, item.asset)]
    changed = world(case, suspects)
    weight = max(_world(case, suspects), -math.inf if changed is None else changed.weight)
    nothing, unseen = (-2.0, 0.5) if case.broken else (0.0, -1.0)
    if changed is not None:
        unseen = max(unseen, changed.weight + changed.doubt)
    if any(finding.monitor == "inputs" and finding.severity == "alarm" for finding in case.findings):
        nothing -= 1.5  # that the inputs moved is measured
    if not case.failed and not any(finding.severity == "alarm" for finding in case.findings):
        nothing = 3.0  # every alarm is explained by now, as by an approval that came after it
    told = posterior(
        [CLEARED if item.exonerated else item.weight for item in suspects],
        [item.proven for item in suspects],
        weight,
        nothing,
        unseen,
    )
    listed = tuple(_listed(case, item, chance) for item, chance in zip(suspects, told.suspects, strict=True))
    common: dict[str, Any] = {
        "incident": case.incident,
        "window": case.windows[-1],
        "suspects": listed,
        "time": time,
        "causes": tuple(finding.id for finding in case.findings if finding.severity == "alarm"),
    }
    beliefs = Beliefs(tuple(zip(suspects, told.suspects, strict=True)), told)
    culprit = _culprit(case, suspects, told)
    if culprit is not None:
        return _named(case, suspects[culprit], beliefs, common, keep)
    if told.world >= CERTAIN:
        return telling(_nobody(case, "world", beliefs, common, changed), case, changed, keep)
    if told.nothing >= CERTAIN:
        return _nobody(case, "none", beliefs, common)
    return _undetermined(case, beliefs, common)


def _culprit(case: Case, suspects: Sequence[Weighed], told: Posterior) -> int | None:
    """Choose whom this incident names: of several that failed, the one that it is about."""
    certain = [index for index, chance in enumerate(told.suspects) if chance >= CERTAIN]

    def rank(index: int) -> tuple[bool, bool, float]:
        item = suspects[index]
        own = case.subject in (item.subject(case), case.ref(item.asset))
        asset = case.named.get(case.subject)
        above = asset is not None and asset in case.replay.descendants(item.asset)
        return own, above, told.suspects[index]

    return max(certain, key=rank, default=None)


def _world(case: Case, suspects: Sequence[Weighed]) -> float:
    """Weight of a change of the world that no test showed: bursts, one bad window, inputs that moved unsigned."""
    raised = {finding.window for finding in case.findings if _realised(finding)}
    moved = {finding.subject for finding in case.findings if finding.monitor == "distribution"}
    burst = any(finding.severity == "alarm" and case.burst(finding) for finding in case.findings)
    weight = -4.0 if case.broken or doubted(suspects) else 0.0 if raised or moved or burst else -2.0
    if burst:
        weight += 2.5
    if len(raised) > 1 and not case.broken:
        weight += 2.0
    return weight + 0.25 * min(4, len(moved))


def _path(case: Case, asset: str, numbers: Mapping[str, float] | None = None) -> list[str]:
    """Return the shortest lineage path from an asset to a symptom: predictions or labels, else what alarmed or failed.

    Of predictions and labels, what the fault moves more by its own ``numbers`` comes first. No path, no blame.
    """
    named, told = case.named, numbers or {}
    predictions = {model.predictions for model in case.models}
    labels = {model.labels for model in case.models}
    alarmed = {named[finding.subject] for finding in case.findings if finding.subject in named} | set(case.failed)
    moved, flipped = told.get("displacement", 0.0), told.get("label_flips", 0.0)
    first: set[str] = predictions if moved > flipped else labels if flipped > moved else set()
    goals = (first, predictions | labels, alarmed)
    return next((path for goal in goals if (path := _shortest(case, asset, goal))), [])


def _shortest(case: Case, asset: str, goals: set[str]) -> list[str]:
    paths = [[asset]]
    seen = {asset}
    while paths:
        path = paths.pop(0)
        if path[-1] in goals:
            return path
        for child in case.assets.values():
            if path[-1] in child.parents and child.name not in seen:
                seen.add(child.name)
                paths.append([*path, child.name])
    return []


def _listed(case: Case, item: Weighed, chance: float) -> Suspect:
    return Suspect(
        subject=item.subject(case),
        fault=item.fault,
        side=case.side(item.asset),
        owner=case.owner(item.asset),
        probability=round(chance, 4),
        exonerated=item.exonerated,
        reason=item.reason,
        numbers={name: round(value, 6) for name, value in item.numbers.items()},
    )


def _owned(owner: str, side: str) -> str:
    """Name the owner with the side, which stands in for an owner that no contract names."""
    return f"the {owner}" if owner == f"{side} side" else f"{owner} ({side} side)"


def _named(case: Case, culprit: Weighed, beliefs: Beliefs, common: dict[str, Any], keep: Keep) -> Verdict:
    priced = effect(case, culprit.plan)
    remedy = choose(case, culprit, beliefs)
    start = culprit.since or case.windows[0]
    text = (
        f"{culprit.subject(case)} failed from window {start}: {culprit.reason}. "
        f"It belongs to {_owned(case.owner(culprit.asset), case.side(culprit.asset))}."
    )
    return Verdict(
        status="named",
        subject=culprit.subject(case),
        fault=culprit.fault,
        side=case.side(culprit.asset),
        owner=case.owner(culprit.asset),
        confidence=round(beliefs.chance(culprit), 4),
        text=text,
        start_window=start,
        chain=chain(case, culprit, _path(case, culprit.asset, culprit.numbers), common["time"], keep),
        effect=priced,
        remedy=remedy,
        prevention=_prevention(case, culprit),
        next_test="",
        **common,
    )


def _prevention(case: Case, culprit: Weighed) -> dict[str, Any]:
    """Propose the check that would have caught it: the culprit's most abnormal metric, or a test of its changes.

    A source that left no trace in its own table is caught where it is missed: at what alarmed downstream.
    """
    sharp = [finding for finding in case.of(culprit.asset) if finding.metric and finding.monitor in _METRIC_MONITORS]
    if culprit.kind == "source" and not sharp and "exceedance" not in culprit.numbers:
        sharp = [item for item in case.findings if item.subject in case.named and item.monitor in _METRIC_MONITORS]
    if culprit.kind == "source" and sharp:
        worst: Finding = max(sharp, key=lambda finding: (finding.severity == "alarm", finding.score))
        asset = case.named[worst.subject]
        return {"asset": asset, "metric": worst.metric, "expected": worst.expected, "observed": worst.value}
    if culprit.kind == "source":
        return {"asset": culprit.asset, "metric": "signature.exceedance", "expected": 1.0,
                "observed": culprit.numbers.get("exceedance")}  # fmt: skip
    return {"asset": culprit.asset, "metric": "mechanism.impact", "expected": 0.0,
            "observed": max((culprit.numbers.get(name, 0.0) for name in _IMPACTS), default=0.0)}  # fmt: skip


_METRIC_MONITORS = ("structure", "distribution")
_IMPACTS = ("displacement", "label_flips", "lost_share", "extra_share")


def _nobody(
    case: Case,
    status: Literal["world", "none"],
    beliefs: Beliefs,
    common: dict[str, Any],
    changed: World | None = None,
) -> Verdict:
    texts = {
        "world": "No asset failed: every recomputable asset gives what it gave before, and no source carries the "
        "signature of a fault. The world changed.",
        "none": "Nothing is wrong: every suspect was tested and cleared."
        if common["causes"]
        else "Nothing is wrong: every alarm is explained by now.",
    }
    target = case.ref(case.models[0].predictions) if case.models else _symptom(case)
    retrain = status == "world" and changed is not None and changed.retrain
    action: Literal["retrain", "hold", "none"] = "retrain" if retrain else "hold" if status == "world" else "none"
    return Verdict(
        status=status,
        subject="",
        fault=status,
        side="ml" if status == "world" else "",
        owner="",
        confidence=round(beliefs.posterior.world if status == "world" else beliefs.posterior.nothing, 4),
        text=texts[status],
        start_window=case.windows[0],
        chain=(),
        effect=None,
        remedy=stand_by(action, target, _waiting(case, status), case, beliefs, _since(changed)),
        prevention=None,
        next_test="" if retrain else await_labels(_ground(case), case.incident),
        **common,
    )


def _waiting(case: Case, status: str) -> str:
    """Say what is done where nothing is undone; an incident without a cause ends like any other."""
    if status != "none":
        return "Watch the next windows."
    return (
        f"There is nothing to undo. To end it: `headwater remedy {case.incident} --apply`, the next `headwater run` "
        f"verifies it, both sides sign (`headwater sign {case.incident}`), then `headwater close {case.incident}`; "
        "what its windows show is learned from then on."
    )


def _since(changed: World | None) -> tuple[str, str] | None:
    return None if changed is None else (changed.model, changed.since)


def _realised(finding: Finding) -> bool:
    return finding.monitor in REALISED and finding.severity == "alarm"


def _undetermined(case: Case, beliefs: Beliefs, common: dict[str, Any]) -> Verdict:
    leading = [item for item, _ in beliefs.suspects if not item.exonerated][:2]
    return Verdict(
        status="undetermined",
        subject="",
        fault="undetermined",
        side="",
        owner="",
        confidence=round(beliefs.posterior.best, 4),
        text=f"Undetermined: {_open(case, [item.asset for item in leading])}.",
        start_window=case.windows[0],
        chain=(),
        effect=None,
        remedy=stand_by("hold", _symptom(case), "Hold training until it is known.", case, beliefs),
        prevention=None,
        next_test=next_test(common["suspects"], _ground(case), case.incident),
        **common,
    )


def _open(case: Case, leading: Sequence[str]) -> str:
    """Say between whom it stands open; where nobody is suspected, or a monitor is at fault, what alarmed."""
    alarms = [item for item in case.findings if item.severity == "alarm"]
    told = "; ".join(dict.fromkeys(f"{item.detail} ({item.subject})" for item in alarms)) or "what alarmed"
    if alarms and all(item.monitor == "unmeasured" and item.subject in case.named for item in alarms):
        return f"nothing alarmed but what the project itself declares: {told}. Correct it there, or take it out"
    if not leading:
        return f"no asset is suspected of what alarmed: {told}"
    if len(leading) == 1:
        return f"the evidence points at `{leading[0]}`, with a probability below {CERTAIN:.0%}"
    names = " and ".join(f"`{name}`" for name in leading)
    return f"the evidence points at {names}, but at none with a probability of {CERTAIN:.0%} or more"


def _ground(case: Case) -> Ground:
    """What a test that tells suspects apart needs to know."""
    calendar, lags = case.replay.calendar, [case.assets[model.labels].lag for model in case.models]
    due = calendar.shift(calendar.window(case.windows[-1]), max(lags)).key if lags else ""
    return Ground(case.assets, case.named, lambda name: case.keys(name)[-1], due)


def _symptom(case: Case) -> str:
    return case.findings[0].subject if case.findings else case.incident
