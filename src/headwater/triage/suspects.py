"""Suspects: what was tested at one asset, and how much that speaks for or against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl

from headwater.core.assets import Asset, Mechanism
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.stats.signatures.repairs import Repair
from headwater.triage.case import Case, Diagnosed
from headwater.triage.mechanism import MATERIAL, impact
from headwater.triage.replay import Plan

AGAIN = 0.9
"""Share of values that stood in the same place of the window before, from which an old delivery came again."""
_EMPTIED = ("null_share", "nan_share", "max", "distinct")  # a column that holds nothing, or one value, echoes as well
APPROVED_FACTOR = 2.5
"""A release may move predictions this many times its approved displacement before it is a suspect."""


class Proof(NamedTuple):
    """The number that speaks against a suspect, and where it is recorded.

    Attributes:
        record: Id of the evidence or finding.
        value: Name of the number in it.
        number: The number; None when the record holds words.
        test: What was done to get it.
    """

    record: str
    value: str
    number: float | None
    test: str


@dataclass(frozen=True)
class Weighed:
    """A suspect with its weight of evidence (log odds against "nothing is wrong") and how to undo it in a replay."""

    asset: str
    fault: str
    weight: float
    exonerated: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    plan: Plan | None = None
    repair: Repair | None = None
    since: str = ""
    kind: Literal["code", "source", "release", "world", "none"] = "code"
    causes: tuple[str, ...] = ()
    proof: Proof | None = None

    @property
    def proven(self) -> bool:
        """Whether something of its own speaks against it, which no other suspect explains.

        Its code gives other rows on the same parents and that matters, its table carries a signature, or it is missing.
        """
        if self.exonerated or self.weight <= 0 or self.proof is None:
            return False
        return self.repair is not None or self.fault == "missing" or self.kind in ("code", "release")

    def subject(self, case: Case) -> str:
        """What is blamed: the deployment for what a server loaded, otherwise the asset whose code or rows failed."""
        return case.blame(self.asset) if self.kind == "release" else case.ref(self.asset)


def recomputable(case: Case, name: str) -> Weighed:
    """Weigh an asset whose code can be run again: by its exact mechanism tests and what the difference does."""
    tests = [case.tests[(name, key)] for key in case.keys(name) if (name, key) in case.tests]
    if not tests:
        return Weighed(name, "", -4.0, False, "no window of it could be tested")
    causes = tuple(test.id for test in tests)
    worst = max(tests, key=_severity)
    values = worst.values
    share = max(float(values.get("share", 0.0)), float(values.get("past_share", 0.0)))
    if share == 0.0:
        changed = any(test.values.get("changed") for test in tests)
        what = "its new code gives the same rows as the last accepted one" if changed else "recomputed, cell for cell"
        return Weighed(
            name, "", -6.0, True, f"{what}: no difference in {len(tests)} window(s)", {"difference": 0.0}, causes=causes
        )
    labels = ("share", "lost_share", "extra_share", "displacement", "decisions", "label_flips")
    numbers = {label: _shown(values, label) for label in labels if label in values or f"past_{label}" in values}
    effect = _severity(worst)
    if values.get("changed") and any(item.severity == "alarm" and item.monitor in _OF_TABLES for item in case.of(name)):
        # Decisions may follow windows later (labels, histories); what it did to its own table shows already.
        effect = max(effect, 0.1 * share)
    accepted = case.accepted.get(name)
    parts = tuple(values.get("parts", ()))
    model = next((item for item in case.models if item.predictions == name), None)
    if model is not None and parts and not values.get("code_changed"):
        cleared = _approved(case, model, numbers)
        if cleared is not None:
            return Weighed(name, "", -4.0, True, cleared, numbers, causes=causes, kind="release")
    covered = [test.values.get("approved") for test in tests if _shown(test.values, "share") > 0]
    if all(item is not None and item["within"] for item in covered):
        return Weighed(name, "", -4.0, True, str(values["approved"]["text"]), numbers, causes=causes)
    since = next(test.window for test in tests if _shown(test.values, "share") > 0)
    plan = _undo(case, name, accepted, tests)
    weight = 1.0 + 1.5 * math.log10(max(effect, 1e-6) / MATERIAL)
    why = f"recomputing it with the last accepted version changes {share:.1%} of its cells"
    if not values.get("share"):
        why = (
            f"its new code would have changed {share:.1%} of the cells of its last {values['past_windows']:.0f} windows"
        )
    if not values.get("changed"):
        weight += 1.5
        why = f"recomputing it with the very same version changes {share:.1%} of its cells"
    if values.get("error"):
        weight = min(weight, 0.0)
        why = f"the last accepted version does not run on the new inputs ({values['error']})"
    elif accepted is not None and values.get("changed") and effect >= MATERIAL:
        measured = case.harm(name, since, case.replay.made(name, since) or accepted)
        numbers |= measured
        weight += _harm_weight(measured)
    if any(finding.severity == "alarm" for finding in case.of(name)):
        weight += 1.0
    little = effect < MATERIAL
    if little and model is not None and parts and _mismatched(case, model):
        little, weight = False, max(weight, UNAPPROVED)
        why = f"the server loaded another {', '.join(parts)} than was approved; {why}"
    fault = _code_fault(case.assets[name], parts, values)
    return Weighed(
        name,
        fault,
        weight,
        little,
        why + _effect_text(numbers) + (", too little to matter" if little else ""),
        numbers,
        plan,
        since=since,
        kind="release" if parts else "code",
        causes=causes,
        proof=Proof(worst.id, _stronger(values, "share"), share, "exact mechanism test"),
    )


UNAPPROVED = 3.0
"""What it says at least against a server that it loaded something nobody approved, however little that moves."""
DRIFTED = "has drifted"
"""What the detail of a finding says whose score is evidence of a drift, and no exceedance."""
UNSIGNED = 2.0
"""What unusual values say against a source at most while no fault has their signature: the world moves them too."""
_OF_TABLES = ("structure", "distribution", "contract")


def _severity(test: Evidence) -> float:
    values = test.values
    names = ("displacement", "label_flips", "lost_share", "extra_share", "decisions", "unmodelled_share")
    worst = max((_shown(values, name) for name in names), default=0.0)
    reaches = any(name in values for name in ("displacement", "label_flips"))
    return worst if reaches else max(worst, float(values.get("share", 0.0)) * 0.1)


def _shown(values: Mapping[str, Any], name: str) -> float:
    """Return what a change of code does, in the window or in those before it that it was tried on."""
    return max(float(values.get(name, 0.0)), float(values.get(f"past_{name}", 0.0)))


def _stronger(values: Mapping[str, Any], name: str) -> str:
    past = f"past_{name}"
    return past if float(values.get(past, 0.0)) > float(values.get(name, 0.0)) else name


def _mismatched(case: Case, model: Model) -> bool:
    release = next(iter(reversed(case.releases.get(model.name, ()))), None)
    return release is not None and bool(release.values.get("mismatch"))


def _approved(case: Case, model: Model, numbers: Mapping[str, float]) -> str | None:
    """Say why a change of the loaded model is as approved; None when it is not."""
    release = next(iter(reversed(case.releases.get(model.name, ()))), None)
    if release is None or _mismatched(case, model):
        return None
    allowed = float(release.values.get("displacement") or 0.0)
    moved = numbers.get("displacement", 0.0)
    if moved > APPROVED_FACTOR * allowed + MATERIAL:
        return None
    return (
        f"version {release.values.get('approved_version')} was approved with a mean |dp| of {allowed:.3f}; "
        f"it moved predictions by {moved:.3f}, and the server loaded exactly what was approved"
    )


def _undo(case: Case, name: str, accepted: Mechanism | None, tests: Sequence[Evidence]) -> Plan | None:
    if accepted is None:
        return None
    frames: dict[tuple[str, str], pl.DataFrame] = {}
    for test in tests:
        if float(test.values.get("share", 0.0)) > 0 and not test.values.get("error"):
            try:
                frames[(name, test.window)] = case.replay.rerun(name, test.window, accepted)
            except DataError:
                continue
    return Plan(mechanisms={name: accepted}, frames=frames)


def _harm_weight(measured: Mapping[str, float]) -> float:
    if not measured:
        return 0.0
    if measured["harm_low"] > 0:
        return 2.0
    return -2.5 if measured["harm_high"] < 0 else 0.0


def _code_fault(asset: Asset, parts: Sequence[str], values: Mapping[str, Any]) -> str:
    if not values.get("changed"):
        return "stale_run"
    if parts and not values.get("code_changed"):
        return "loaded_" + "_".join(parts) if len(parts) == 1 else "loaded_version"
    return {
        "feature": "feature_code",
        "served": "serving_features",
        "prediction": "scoring_code",
        "label": "label_code",
    }.get(asset.layer, "transform_code")


def _effect_text(numbers: Mapping[str, float], link: str = " and ") -> str:
    said = []
    if numbers.get("lost_share"):
        said.append(f"loses {numbers['lost_share']:.1%} of rows")
    if numbers.get("extra_share"):
        said.append(f"adds {numbers['extra_share']:.1%} of rows")
    if numbers.get("displacement"):
        said.append(f"moves predictions by {numbers['displacement']:.3f} on average")
    if numbers.get("label_flips"):
        said.append(f"flips {numbers['label_flips']:.1%} of labels")
    return f"{link}{', '.join(said)}" if said else ""


def source(case: Case, name: str) -> Weighed:
    """Weigh a source: by the signature of a fault, else by what its monitors found."""
    fired = [(key, case.diagnosed[(name, key)]) for key in case.keys(name) if (name, key) in case.diagnosed]
    findings = case.of(name)
    causes = tuple(finding.id for finding in findings) + tuple(item.evidence for _, item in fired)
    missing = [finding for finding in findings if finding.monitor == "arrival" and finding.severity == "alarm"]
    if fired:
        return _fired(case, name, fired, findings, causes)
    if missing:
        return Weighed(
            name, "missing", 3.0, False, missing[0].detail, {"missing": 1.0}, causes=causes,
            since=missing[0].window, kind="source", proof=_seen(missing[0]),
        )  # fmt: skip
    structural = [finding for finding in findings if finding.severity == "alarm" and not case.burst(finding)]
    if structural:
        again = [item for item in structural if item.metric == "echo_share" and (item.value or 0.0) >= AGAIN]
        if any(item.metric.split(".")[0] in _EMPTIED for item in structural):
            again, structural = [], [item for item in structural if item.metric != "echo_share"]
        worst = max(again or structural, key=lambda finding: finding.score)
        return Weighed(
            name,
            "frozen" if again else f"abnormal_{worst.metric.split('.')[0]}",
            0.5 + min(2.0, math.log(max(1.0, worst.score))),
            False,
            worst.detail or f"{worst.metric} is out of its band",
            {"exceedance": worst.score},
            since=min(finding.window for finding in structural),
            kind="source",
            causes=causes,
            proof=_seen(worst),
        )
    if findings:
        jumps = [finding for finding in findings if DRIFTED not in finding.detail]
        worst = max(jumps or findings, key=lambda finding: finding.score)
        how = f"exceedance {worst.score:.1f}" if jumps else "drifted"
        return Weighed(
            name, "abnormal_values", -1.5 + min(UNSIGNED, math.log(max(1.0, worst.score / 2))), False,
            f"its values are unusual ({worst.metric}, {how}), but no fault has that signature",
            {"exceedance" if jumps else "drift": worst.score}, since=min(finding.window for finding in findings),
            kind="source", causes=causes, proof=_seen(worst),
        )  # fmt: skip
    return Weighed(name, "", -5.0, True, "its tables look as they always did", kind="source")


def _seen(finding: Finding) -> Proof:
    return Proof(finding.id, "score", finding.score, f"{finding.monitor} monitor")


def _fired(
    case: Case,
    name: str,
    fired: Sequence[tuple[str, Diagnosed]],
    findings: Sequence[Finding],
    causes: tuple[str, ...],
) -> Weighed:
    _, best = max(fired, key=lambda item: item[1].confidence)
    frames = {
        (name, key): item.frame
        for key, item in fired
        if item.frame is not None and item.repair.operator == best.repair.operator
    }
    plan = Plan(frames=frames) if frames else None
    numbers: dict[str, float] = {"exceedance": best.before, "exceedance_repaired": best.after}
    if plan is not None:
        moved = [impact(case.replay, case.models, name, key, plan) for _, key in frames]
        for label in ("displacement", "decisions", "label_flips"):
            measured = [item[label] for item in moved if label in item]
            if measured:
                numbers[label] = max(measured)
    effect = max(numbers.get("displacement", 0.0), numbers.get("label_flips", 0.0))
    weight = 1.0 + 3.0 * best.confidence + 0.75 * math.log10(max(effect, 3e-4) / MATERIAL)
    if any(finding.severity == "alarm" for finding in findings):
        weight += 1.0
    return Weighed(
        name,
        best.repair.fault,
        weight,
        False,
        best.detail + _effect_text(numbers, "; it "),
        numbers,
        plan,
        best.repair,
        since=min(key for key, _ in fired),
        kind="source",
        causes=causes,
        proof=Proof(best.evidence, "before", best.before, "source signature"),
    )
