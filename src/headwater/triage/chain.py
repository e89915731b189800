"""The evidence chain: from the culprit to the symptom, a number per hop and the command that computes it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from headwater.core.errors import DataError
from headwater.core.records import Evidence, Step
from headwater.stats.frames.tables import compare
from headwater.triage.case import Case
from headwater.triage.replay import Plan, Replay
from headwater.triage.suspects import Proof, Weighed

Keep = Callable[[Evidence], None]
"""Told of evidence that is to be stored."""
HELD_UP = "held up"
"""The test of a hop that has no window because its parents have none: there is nothing to show."""
NAMED = 12
"""How much of an evidence's id a command names it by; any unambiguous beginning will do."""


def chain(case: Case, culprit: Weighed, path: Sequence[str], time: datetime, keep: Keep) -> tuple[Step, ...]:
    """Follow the fault along a lineage path, with the number that each hop shows.

    A hop without a number names the command that shows what is known of it; one that was only held up has none.
    """
    steps: list[Step] = []
    shown = _shown(case, culprit)
    for place, name in enumerate(path):
        key = case.keys(name)[shown]
        proof, text = _first(case, culprit, time, keep) if place == 0 else _hop(case, culprit, name, key, time, keep)
        made = case.replay.made(name, key)
        causes = culprit.causes if place == 0 else ()
        steps.append(
            Step(
                subject=culprit.subject(case) if place == 0 else case.ref(name),
                side=case.side(name),
                owner=case.owner(name),
                test=proof.test,
                value=proof.number,
                text=text,
                command=_command(case, proof, culprit.subject(case) if place == 0 else case.ref(name)),
                versions={} if made is None else {"mechanism": made.id[:12], "window": key},
                causes=tuple(dict.fromkeys((*causes, *([proof.record] if proof.record else [])))),
            )
        )
    return tuple(steps)


def _shown(case: Case, culprit: Weighed) -> int:
    """Return the place of the newest of the incident's windows in which the fault can be undone; else of the last."""
    keys = case.keys(culprit.asset)
    undone = {key for name, key in culprit.plan.frames if name == culprit.asset} if culprit.plan is not None else set()
    return max((place for place, key in enumerate(keys) if key in undone), default=len(keys) - 1)


def _command(case: Case, proof: Proof, subject: str) -> str:
    if proof.test == HELD_UP:
        return ""
    if not proof.record:
        return f"headwater trace {subject}"
    return f"headwater recompute {proof.record[:NAMED]} {proof.value}"


def _first(case: Case, culprit: Weighed, time: datetime, keep: Keep) -> tuple[Proof, str]:
    if culprit.proof is not None:
        return culprit.proof, culprit.reason
    if "votes" not in culprit.numbers:
        return Proof("", "", None, "delivery"), culprit.reason
    votes = round(culprit.numbers["votes"], 9)
    made = Evidence(
        type="elimination",
        subject=case.ref(culprit.asset),
        window=case.windows[-1],
        values={"votes": votes, "incident": case.incident},
        time=time,
    )
    keep(made)
    return Proof(made.id, "votes", votes, "elimination"), culprit.reason


def _hop(case: Case, culprit: Weighed, name: str, key: str, time: datetime, keep: Keep) -> tuple[Proof, str]:
    tested = case.tests.get((name, key))
    itself = 0.0 if tested is None else float(tested.values.get("share", 0.0))
    innocent = "given its parents it did what it always did" if itself == 0 else f"differs itself in {itself:.1%}"
    if culprit.plan is None:
        if tested is None:
            return _untested(case, name, key)
        return Proof(tested.id, "share", itself, "exact mechanism test"), innocent
    values = replayed(case.replay, name, key, culprit.plan)
    made = Evidence(
        type="replay",
        subject=case.ref(name),
        window=key,
        values=values | {"plan": _told(culprit.plan, case.keys(culprit.asset)[0])},
        time=time,
        causes=culprit.causes,
    )
    keep(made)
    if values["share"] is None:
        return Proof(made.id, "problem", None, "replay"), values["problem"]
    worst = ", ".join(f"{column} {share:.0%}" for column, share in list(values["columns"].items())[:3])
    changed = f"repairing the culprit changes {values['share']:.1%} of its cells" + (f" ({worst})" if worst else "")
    return Proof(made.id, "share", values["share"], "replay with the culprit repaired"), f"{changed}; {innocent}"


def _untested(case: Case, name: str, key: str) -> tuple[Proof, str]:
    """Say why a hop has no number: most often it was not even delivered."""
    if (failed := case.failed.get(name)) is not None:
        text = f"window {failed.window} was not delivered: {failed.message}"
        return Proof(failed.evidence, "state", None, "delivery"), text
    if case.replay.observed(name, key) is None:
        return Proof("", "", None, HELD_UP), f"window {key} was not delivered, for what it reads was not there"
    return Proof("", "", None, "exact mechanism test"), "there is no accepted code to test its windows against"


def _told(plan: Plan, since: str) -> dict[str, Any]:
    """Write a plan down, so that it can be carried out again: its frames are computed anew from what they are of."""
    return {
        "mechanisms": {name: {"code": made.code, "parts": dict(made.parts)} for name, made in plan.mechanisms.items()},
        "frames": sorted([name, key] for name, key in plan.frames),
        "since": since,
    }


def replayed(replay: Replay, asset: str, key: str, plan: Plan) -> dict[str, Any]:
    """Measure what a plan changes in one window of an asset.

    Returns:
        Evidence values: ``share`` of cells that differ from what was stored and the ``columns`` they are in; where
        nothing can be compared ``share`` is None and ``problem`` says why.
    """
    observed = replay.observed(asset, key)
    try:
        repaired = replay.value(asset, key, plan)
    except DataError as error:
        return {"share": None, "problem": f"cannot be replayed: {error.message}"}
    if observed is None or repaired is None:
        return {"share": None, "problem": "no table of this window"}
    difference = compare(observed, repaired, replay.assets[asset].key)
    return {"share": difference.share, "columns": dict(difference.columns)}
