"""Releases that the gate let in and life does not bear out: each compared with its predecessor on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headwater.core.assets import Mechanism
from headwater.core.project import Model
from headwater.stats.outcomes.paired import FEWEST, WORSE
from headwater.stats.outcomes.task_loss import NAMES
from headwater.triage.case import Case
from headwater.triage.replay import Plan
from headwater.triage.successions import Gap, Succession, bound, losing, usual_loss
from headwater.triage.suspects import Proof, Weighed

PROMISED = 0.5
"""A version promised too much when its loss in life is greater than this many times what its held-out windows said."""
_EQUAL = 0.01


def against_predecessors(case: Case, found: Sequence[Weighed]) -> list[Weighed]:
    """Judge each release among the suspects by its predecessor, whatever the approval says of it.

    A version that does worse than its predecessor would have done on the same rows, beyond what windows vary, is a
    suspect although nothing differs from what was approved. One that does not is exonerated by name: a change of the
    world hits both versions alike.
    """
    return [_judged(case, item) for item in found]


def _judged(case: Case, item: Weighed) -> Weighed:
    model = next((model for model in case.models if model.predictions == item.asset), None)
    made = None if model is None else case.successions.get(model.name)
    if model is None or made is None or not _served_by(case, item, made):
        return item
    lived, every = made.gaps, (*made.tried, *made.gaps)
    if (told := next((gaps for gaps in (lived, every) if losing(gaps)), None)) is not None and not _relieved(made):
        return _blamed(case, item, model, made, told)
    unseen = [gap for gap in every if gap.unseen]
    if len(lived) < FEWEST and len(unseen) < FEWEST:
        return _early(case, item, model, made)
    told = lived if len(lived) >= FEWEST else tuple(unseen)
    if item.exonerated or bound(told).high < WORSE * usual_loss(told) or bound(told).value <= _EQUAL * usual_loss(told):
        return _cleared(item, model, made, told)
    return item


def _relieved(made: Succession) -> bool:
    """Whether the windows that a version served clear it of what it did on its predecessor's."""
    return len(made.gaps) >= FEWEST and bound(made.gaps).high < WORSE * usual_loss(made.gaps)


def _served_by(case: Case, item: Weighed, made: Succession) -> bool:
    """Whether the incident's predictions were made by this very version, and by no other code than was accepted."""
    last = next(
        (found for key in reversed(case.keys(item.asset)) if (found := case.replay.made(item.asset, key))), None
    )
    return last is not None and dict(last.parts) == dict(made.parts) and item.kind in ("code", "release")


def _numbers(gaps: Sequence[Gap]) -> dict[str, float]:
    found = bound(gaps)
    numbers = {"gap": found.value, "gap_low": found.low, "gap_high": found.high, "gap_windows": float(len(gaps))}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _over(made: Succession, gaps: Sequence[Gap]) -> str:
    """Say how a version compares with its predecessor, and where."""
    found, before = bound(gaps), sum(gap.window < made.since for gap in gaps)
    where = f"{len(gaps)} label-mature windows" + (f", {before} of them from before it was released" if before else "")
    return f"{found.value:+.4g} ({found.low:+.4g} to {found.high:+.4g}) over {where}"


def _blamed(case: Case, item: Weighed, model: Model, made: Succession, gaps: Sequence[Gap]) -> Weighed:
    found, usual = bound(gaps), usual_loss(gaps)
    error = (found.high - found.low) / 2
    weight = 2.0 + min(1.5, math.log(found.value / (WORSE * usual))) + min(1.0, found.value / max(error, 1e-12) - 1)
    numbers = _numbers(gaps)
    reason = (
        f"version {made.version}, released in {made.since}, does worse than version {made.predecessor} on the same "
        f"rows: {NAMES[model.task]} {_over(made, gaps)}, {found.value / usual:.0%} of the predecessor's"
    )
    fault = "released_version"
    if (told := _broken_promise(made)) is not None:
        fault, weight, numbers = "label_leak", weight + 0.5, numbers | told[1]
        reason += f"; {told[0]}"
    if made.faulted:
        fault, weight = "trained_on_faulted_snapshot", weight + 1.0
        reason += f"; it was trained on {made.faulted[0][0]}"
        numbers = numbers | {"faulted": float(len(made.faulted))}
    last = gaps[-1]
    same = [gap for gap in gaps if gap.evidence == last.evidence]  # a trial tells of many windows at once
    records = [*(gap.evidence for gap in gaps), *(record for _, record in made.faulted if record)]
    return replace(
        item,
        fault=fault,
        weight=weight,
        exonerated=False,
        reason=reason,
        numbers={**item.numbers, **numbers},
        plan=_undo(case, item.asset, made),
        since=made.since,
        kind="release",
        causes=tuple(dict.fromkeys(records)),
        proof=Proof(last.evidence, "gap", bound(same).value, "paired replay of the predecessor"),
    )


def _undo(case: Case, asset: str, made: Succession) -> Plan | None:
    """Serve with the predecessor's parts in every window since the release."""
    code = next((found.code for key in reversed(case.keys(asset)) if (found := case.replay.made(asset, key))), None)
    return None if code is None else Plan(mechanisms={asset: Mechanism(code, dict(made.before))})


def _cleared(item: Weighed, model: Model, made: Succession, gaps: Sequence[Gap]) -> Weighed:
    reason = (
        f"version {made.version} does no worse than version {made.predecessor} on the same rows: {NAMES[model.task]} "
        f"{_over(made, gaps)}"
    )
    if item.reason and item.exonerated:
        reason = f"{item.reason}; {reason}"
    return replace(item, fault="", weight=min(item.weight, -4.0), exonerated=True, reason=reason,
                   numbers={**item.numbers, **_numbers(gaps)}, plan=None, kind="release")  # fmt: skip


def _early(case: Case, item: Weighed, model: Model, made: Succession) -> Weighed:
    """Before three windows are labelled: what it was trained on, and what it promised, say whether to look closer."""
    told = _broken_promise(made)
    if told is None and not made.faulted:
        return item
    said = [f"it was trained on {text}" for text, _ in made.faulted[:1]] + ([told[0]] if told else [])
    weight = -0.5 + (1.0 if made.faulted else 0.0) + (1.0 if told else 0.0)
    fault = "trained_on_faulted_snapshot" if made.faulted else "label_leak"
    return replace(
        item,
        fault=fault,
        weight=max(weight, item.weight),
        exonerated=False,
        reason=f"version {made.version}, released in {made.since}, is not borne out: {'; '.join(said)}",
        numbers={**item.numbers, **(told[1] if told else {})},
        plan=_undo(case, item.asset, made),
        since=made.since,
        kind="release",
        causes=(*item.causes, *(record for _, record in made.faulted if record)),
    )


def _broken_promise(made: Succession) -> tuple[str, dict[str, float]] | None:
    """Say by how much a version's loss in life exceeds what its held-out windows promised, and its predecessor's not.

    A label that leaked into training makes the held-out windows look too good; the predecessor, in the same windows,
    keeps its own promise about as well as ever.
    """
    name = next((name for name in ("log_loss", "mae") if name in made.promised), "")
    if not name or not made.gaps:
        return None
    promised, before = float(made.promised[name]), float(made.promised_before.get(name, math.nan))
    loss, other = (float(np.mean([getattr(gap, side) for gap in made.gaps])) for side in ("loss", "before"))
    broken = loss - promised > PROMISED * promised
    kept = not math.isfinite(before) or before <= 0 or (other - before) / before < 0.5 * (loss - promised) / promised
    if not (broken and kept):
        return None
    text = f"its held-out windows promised a {name} of {promised:.4g}, in life it is {loss:.4g}"
    return text, {"promised": promised, "realised": loss}
