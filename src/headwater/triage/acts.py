"""The acts there are: what undoes a suspect's fault, and to hold where nothing does."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.core.assets import Layer
from headwater.core.records import Remedy
from headwater.triage.case import Case
from headwater.triage.replay import Plan
from headwater.triage.suspects import Weighed

LOGS: tuple[Layer, ...] = ("served", "prediction")
"""Layers that are a record of what was served and decided: no act rewrites them."""


def windows_of(case: Case, item: Weighed) -> tuple[str, ...]:
    """The windows of an incident that a suspect's fault is in."""
    return tuple(key for key in case.keys(item.asset) if key >= item.since) or tuple(case.keys(item.asset))


def undoing(case: Case, culprit: Weighed, keys: tuple[str, ...]) -> Remedy:
    """The act that undoes a suspect's fault; to hold where none does."""
    name, target = culprit.asset, culprit.subject(case)
    planned: Plan = culprit.plan or Plan()
    good = planned.mechanisms.get(name, case.accepted.get(name))
    if case.assets[name].layer in LOGS and good is not None:
        return Remedy(
            action="rollback_model" if culprit.kind == "release" else "rollback_code",
            target=target,
            parameters={"code": good.code, "parts": dict(good.parts), "asset": name},
            windows=keys,
            text="Serve with the last accepted code and model parts again. "
            "Decisions already served stay in the log as they were.",
        )
    if culprit.kind == "code" and good is not None and culprit.plan is not None and culprit.fault != "stale_run":
        return Remedy(
            action="rollback_code",
            target=target,
            parameters={"code": good.code, "asset": name},
            windows=keys,
            touches=_touches(case, name),
            text=f"Run `{name}` with its last accepted code again; backfill {len(keys)} window(s) and what they feed.",
        )
    if culprit.fault == "stale_run":
        return Remedy(
            action="repair",
            target=target,
            parameters={"asset": name, "rerun": True},
            windows=keys,
            touches=_touches(case, name),
            text=f"Run `{name}` again for {len(keys)} window(s) on its present inputs, and what they feed.",
        )
    if culprit.repair is not None and culprit.plan is not None:
        return Remedy(
            action="repair",
            target=target,
            parameters={"asset": name, "repair": culprit.repair.as_dict()},
            windows=keys,
            touches=_touches(case, name),
            text=f"Undo it on arrival ({culprit.repair.fault}: {culprit.repair.operator}), rewrite {len(keys)} "
            "window(s) and backfill what they feed, until the source is right again.",
        )
    return hold(case, culprit, keys)


def hold(case: Case, culprit: Weighed, keys: tuple[str, ...]) -> Remedy:
    """Keep windows of an asset and what they feed out of training until its owner delivers them again."""
    name = culprit.asset
    return Remedy(
        action="hold",
        target=culprit.subject(case),
        parameters={"asset": name},
        windows=keys,
        touches=_touches(case, name),
        text=f"Keep {len(keys)} window(s) of `{name}` and what they feed out of training, and ask its owner to "
        "deliver them again; then backfill.",
    )


def _touches(case: Case, name: str) -> tuple[str, ...]:
    below: Iterable[str] = (item for item in case.assets if item in case.replay.descendants(name))
    return tuple(case.ref(item) for item in below if case.assets[item].layer not in LOGS)
