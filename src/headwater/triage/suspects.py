"""Weigh every asset upstream of a symptom: what was tested there, and how much it speaks for or against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import polars as pl

from headwater.core.assets import Asset, Mechanism
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.core.records import Evidence, Finding
from headwater.stats.repairs import Repair
from headwater.triage.mechanism import MATERIAL, impact
from headwater.triage.replay import Plan, Replay

APPROVED_FACTOR = 2.5
"""A release may move predictions this many times its approved displacement before it is a suspect."""

Price = Callable[[Model, pl.DataFrame, pl.Series, "pl.DataFrame | None"], pl.Series]
"""``price(model, predictions, p, labels)``: cost of each logged decision, realised where the label is known, else its
expectation when ``p`` is the true probability."""


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A signature that fired on a source window: the repair, and the frame it gives."""

    repair: Repair
    frame: pl.DataFrame | None
    before: float
    after: float
    confidence: float
    detail: str
    invertible: bool
    evidence: str


@dataclass(frozen=True)
class Case:
    """All that is known when an incident is judged.

    Attributes:
        windows: Run windows of the incident, first alarm to now.
        findings: Alarms and notices of those windows.
        tests: Mechanism evidence by (asset, own window).
        releases: Release evidence by model name, newest last.
        diagnosed: Signatures that fired, by (source, own window).
        accepted: Last accepted mechanism per asset.
        failed: Deliveries that failed: asset to (window, message, whether its code had changed).
        labelled: Windows with labels before the incident, oldest first.
        ref: Writes an asset's dataset reference.
        blame: Writes what answers for an asset's mechanism: its dataset, or the deployment that makes predictions.
    """

    incident: str
    windows: tuple[str, ...]
    findings: tuple[Finding, ...]
    tests: Mapping[tuple[str, str], Evidence]
    releases: Mapping[str, Sequence[Evidence]]
    diagnosed: Mapping[tuple[str, str], Diagnosed]
    accepted: Mapping[str, Mechanism]
    failed: Mapping[str, tuple[str, str, bool]]
    labelled: tuple[str, ...]
    replay: Replay
    models: tuple[Model, ...]
    ref: Callable[[str], str]
    blame: Callable[[str], str]
    owner: Callable[[str], str]
    side: Callable[[str], str]
    price: Price
    harm: Callable[[str, str, Mechanism], Mapping[str, float]]

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The project's assets by name."""
        return self.replay.assets

    def of(self, asset: str) -> list[Finding]:
        """The findings about one asset."""
        names = (self.ref(asset), self.blame(asset))
        return [finding for finding in self.findings if finding.subject in names]

    @property
    def named(self) -> Mapping[str, str]:
        """Asset names by the references that findings use; a model stands for its labels, which judge it."""
        named = {write(name): name for name in self.assets for write in (self.ref, self.blame)}
        return named | {self.ref(model.name).replace("dataset:", "model:"): model.labels for model in self.models}

    @property
    def broken(self) -> bool:
        """Whether something is wrong that weather and customers do not do: an alarm on structure, code or parts."""
        return any(
            finding.severity == "alarm"
            and finding.monitor not in ("performance", "distribution", "business")
            and not self.burst(finding)
            for finding in self.findings
        )

    def burst(self, finding: Finding) -> bool:
        """Whether a finding is of more rows than usual that are well formed and new: more happened, no copy was loaded.

        Copies show as duplicates, repeats, times outside of the window or keys that match nothing.
        """
        if finding.monitor != "structure" or finding.metric != "rows":
            return False
        if finding.value is None or finding.expected is None or finding.value <= finding.expected:
            return False
        own = [item for item in self.findings if item.subject == finding.subject and item.window == finding.window]
        return not any(item.monitor in ("structure", "signature") and item.metric != "rows" for item in own)

    def keys(self, asset: str) -> list[str]:
        """An asset's own windows in the incident."""
        lag = self.assets[asset].lag
        calendar = self.replay.calendar
        return [calendar.shift(calendar.window(key), -lag).key for key in self.windows]


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

    def subject(self, case: Case) -> str:
        """What is blamed: the deployment for what a server loaded, otherwise the asset whose code or rows failed."""
        return case.blame(self.asset) if self.kind == "release" else case.ref(self.asset)


def weigh(case: Case) -> list[Weighed]:
    """Weigh every asset that can have caused the incident's symptoms, heaviest first."""
    scope = _scope(case)
    found = [
        _recomputable(case, name) if case.assets[name].recomputable else _source(case, name)
        for name in case.assets
        if name in scope
    ]
    found = _explain_failures(case, found)
    if not any(item.weight > 0 and item.kind in ("code", "release") for item in found):
        found = _by_elimination(case, found)
    return sorted(found, key=lambda item: (item.exonerated, -item.weight))


def _scope(case: Case) -> set[str]:
    named = case.named
    seeds = {named[finding.subject] for finding in case.findings if finding.subject in named} | set(case.failed)
    seeds |= {model.predictions for model in case.models} | {model.labels for model in case.models}
    scope = set(seeds)
    for seed in seeds:
        scope |= case.replay.ancestors(seed)
    return scope


def _recomputable(case: Case, name: str) -> Weighed:
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
    fault = _code_fault(case.assets[name], parts, values)
    return Weighed(
        name,
        fault,
        weight,
        effect < MATERIAL,
        why + _effect_text(numbers) + (", too little to matter" if effect < MATERIAL else ""),
        numbers,
        plan,
        since=since,
        kind="release" if parts else "code",
        causes=causes,
    )


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


def _approved(case: Case, model: Model, numbers: Mapping[str, float]) -> str | None:
    """Say why a change of the loaded model is as approved; None when it is not."""
    release = next(iter(reversed(case.releases.get(model.name, ()))), None)
    if release is None or release.values.get("mismatch"):
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


def _source(case: Case, name: str) -> Weighed:
    fired = [(key, case.diagnosed[(name, key)]) for key in case.keys(name) if (name, key) in case.diagnosed]
    findings = case.of(name)
    causes = tuple(finding.id for finding in findings) + tuple(item.evidence for _, item in fired)
    missing = [finding for finding in findings if finding.monitor == "arrival" and finding.severity == "alarm"]
    if fired:
        return _fired(case, name, fired, findings, causes)
    if missing:
        return Weighed(
            name, "missing", 3.0, False, missing[0].detail, {"missing": 1.0}, causes=causes,
            since=missing[0].window, kind="source",
        )  # fmt: skip
    structural = [finding for finding in findings if finding.severity == "alarm" and not case.burst(finding)]
    if structural:
        worst = max(structural, key=lambda finding: finding.score)
        return Weighed(
            name,
            f"abnormal_{worst.metric.split('.')[0]}",
            0.5 + min(2.0, math.log(max(1.0, worst.score))),
            False,
            worst.detail or f"{worst.metric} is out of its band",
            {"exceedance": worst.score},
            since=worst.window,
            kind="source",
            causes=causes,
        )
    if findings:
        worst = max(findings, key=lambda finding: finding.score)
        return Weighed(
            name, "abnormal_values", -1.5 + min(3.0, math.log(max(1.0, worst.score / 2))), False,
            f"its values are unusual ({worst.metric}, exceedance {worst.score:.1f}), but no fault has that signature",
            {"exceedance": worst.score}, since=worst.window, kind="source", causes=causes,
        )  # fmt: skip
    return Weighed(name, "", -5.0, True, "its tables look as they always did", kind="source")


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
    )


def _explain_failures(case: Case, found: list[Weighed]) -> list[Weighed]:
    """A delivery that failed blames its own code if that changed, otherwise what it read."""
    result = list(found)
    for name, (window, message, changed) in case.failed.items():
        weight = 4.0 if changed else 0.5
        made = Weighed(
            name,
            "transform_code" if case.assets[name].recomputable else "missing",
            weight if case.assets[name].recomputable else 3.5,
            False,
            f"it was not delivered: {message}",
            {"failed": 1.0},
            Plan(mechanisms={name: case.accepted[name]}) if changed and name in case.accepted else None,
            since=window,
            kind="code" if case.assets[name].recomputable else "source",
        )
        result = [item for item in result if item.asset != name or item.weight > made.weight]
        if not any(item.asset == name for item in result):
            result.append(made)
    return result


def _by_elimination(case: Case, found: list[Weighed]) -> list[Weighed]:
    """No code changed: what is structurally wrong downstream must have come in by a source.

    Each unexplained alarm points at the sources that its column or its join came from; the votes say which source is
    meant, even one whose own table looks in order because the rows that are missing left no trace there.
    """
    if not case.broken:
        return found
    votes = _votes(case)
    total = sum(votes.values())
    result = []
    for item in found:
        share = votes.get(item.asset, 0.0) / total if total else 0.0
        if item.kind != "source" or not share:
            result.append(item)
        elif item.exonerated and share >= MAJORITY:
            reason = f"its own table looks in order, but {share:.0%} of what is wrong downstream came in by it"
            result.append(
                replace(item, fault="missing_rows", weight=0.5 + 3 * share, exonerated=False, reason=reason,
                        numbers={"votes": share}, since=case.keys(item.asset)[0])
            )  # fmt: skip
        else:
            result.append(replace(item, weight=item.weight + 1.0 + 3 * share))
    return result


MAJORITY = 0.6
_POINTING = ("structure", "schema", "labels", "contract")


def _votes(case: Case) -> dict[str, float]:
    votes: dict[str, float] = {}
    for finding in case.findings:
        asset = case.named.get(finding.subject)
        if asset is None or finding.severity != "alarm" or finding.monitor not in _POINTING or case.burst(finding):
            continue
        sources = _origins(case, asset, finding.metric)
        for source in sources:
            votes[source] = votes.get(source, 0.0) + 1.0 / len(sources)
    return votes


def _origins(case: Case, asset: str, metric: str) -> set[str]:
    """Follow a metric's column, or a join, up to the sources; where a column is made, to all that it was made from."""
    made = case.assets[asset]
    if not made.recomputable or not made.reads:
        return {asset}
    kind, _, name = metric.partition(".")
    if kind == "key_match" and name in made.parents:
        return _origins(case, name, "rows")
    holders = [parent for parent in made.parents if name and _has(case, parent, name)]
    return {source for parent in holders or made.parents for source in _origins(case, parent, metric)}


def _has(case: Case, asset: str, column: str) -> bool:
    for key in reversed(case.keys(asset)):
        frame = case.replay.observed(asset, key)
        if frame is not None:
            return column in frame.columns
    return False
