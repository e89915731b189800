"""Choose what to do about a verdict, with the effect measured by the replay that simulates exactly that act."""

from __future__ import annotations

from dataclasses import replace

from headwater.core.assets import Layer
from headwater.core.records import Effect, Remedy
from headwater.triage.case import Case
from headwater.triage.suspects import Weighed

AUTOMATIC = 0.9
"""A remedy may run by itself only above this confidence, and only when it is reversible."""
_LOGS: tuple[Layer, ...] = ("served", "prediction")


def choose(case: Case, culprit: Weighed, probability: float, effect: Effect | None) -> Remedy:
    """Choose the remedy for a named asset.

    Code is rolled back to its last accepted version and its windows are backfilled; a model or its parts are rolled
    back to what was approved; a source with an invertible signature is repaired and backfilled; anything else is
    held: its windows are kept out of training until the source is delivered again. Retraining is never the remedy
    for an asset that failed.
    """
    keys = tuple(key for key in case.keys(culprit.asset) if key >= culprit.since) or tuple(case.keys(culprit.asset))
    remedy = _act(case, culprit, keys)
    if effect is not None:
        remedy = replace(remedy, gain=effect.value, gain_low=effect.low, gain_high=effect.high)
    return replace(remedy, automatic=probability >= AUTOMATIC and remedy.reversible)


def _act(case: Case, culprit: Weighed, keys: tuple[str, ...]) -> Remedy:
    name, target = culprit.asset, culprit.subject(case)
    layer = case.assets[name].layer
    touches = tuple(
        case.ref(below)
        for below in case.assets
        if below in case.replay.descendants(name) and case.assets[below].layer not in _LOGS
    )
    if layer in _LOGS and name in case.accepted:
        accepted = case.accepted[name]
        return Remedy(
            action="rollback_model" if culprit.kind == "release" else "rollback_code",
            target=target,
            parameters={"code": accepted.code, "parts": dict(accepted.parts), "asset": name},
            windows=keys,
            text="Serve with the last accepted code and model parts again. "
            "Decisions already served stay in the log as they were.",
        )
    if culprit.kind == "code" and name in case.accepted and culprit.plan is not None and culprit.fault != "stale_run":
        return Remedy(
            action="rollback_code",
            target=target,
            parameters={"code": case.accepted[name].code, "asset": name},
            windows=keys,
            touches=touches,
            text=f"Run `{name}` with its last accepted code again; backfill {len(keys)} window(s) and what they feed.",
        )
    if culprit.fault == "stale_run":
        return Remedy(
            action="repair",
            target=target,
            parameters={"asset": name, "rerun": True},
            windows=keys,
            touches=touches,
            text=f"Run `{name}` again for {len(keys)} window(s) on its present inputs, and what they feed.",
        )
    if culprit.repair is not None and culprit.plan is not None:
        return Remedy(
            action="repair",
            target=target,
            parameters={"asset": name, "repair": culprit.repair.as_dict()},
            windows=keys,
            touches=touches,
            text=f"Undo it on arrival ({culprit.repair.fault}: {culprit.repair.operator}), rewrite {len(keys)} "
            "window(s) and backfill what they feed, until the source is right again.",
        )
    return Remedy(
        action="hold",
        target=target,
        parameters={"asset": name},
        windows=keys,
        touches=touches,
        text=f"Keep {len(keys)} window(s) of `{name}` and what they feed out of training, and ask its owner to "
        "deliver them again; then backfill.",
    )
