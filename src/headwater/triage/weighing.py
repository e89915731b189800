"""Weigh all suspects of a case together: who is in question, what failed, and what is left by elimination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headwater.triage.case import Case
from headwater.triage.copies import copies, instead
from headwater.triage.observed import observed
from headwater.triage.refuted import refuted
from headwater.triage.releases import against_predecessors
from headwater.triage.replay import Plan
from headwater.triage.restored import tested
from headwater.triage.suspects import Proof, Weighed, recomputable, source


def weigh(case: Case) -> list[Weighed]:
    """Weigh every asset that can have caused the incident's symptoms, heaviest first."""
    scope = _scope(case)
    found = [_weighed(case, name) for name in case.assets if name in scope]
    found = tested(case, refuted(case, against_predecessors(case, found)), _origins)
    found = _explain_failures(case, found)
    if not any(item.weight > 0 and item.kind in ("code", "release") for item in found):
        found = _by_elimination(case, found)
    return sorted(found, key=lambda item: (item.exonerated, -item.weight))


def _weighed(case: Case, name: str) -> Weighed:
    if case.assets[name].recomputable:
        return recomputable(case, name)
    return observed(case, name) if case.assets[name].reads else source(case, name)


def _scope(case: Case) -> set[str]:
    named = case.named
    seeds = {named[finding.subject] for finding in case.findings if finding.subject in named} | set(case.failed)
    seeds |= {model.predictions for model in case.models} | {model.labels for model in case.models}
    scope = set(seeds)
    for seed in seeds:
        scope |= case.replay.ancestors(seed)
    return scope


def _explain_failures(case: Case, found: list[Weighed]) -> list[Weighed]:
    """A delivery that failed blames its own code if that changed, otherwise what it read."""
    result = list(found)
    for name, (window, message, changed, evidence) in case.failed.items():
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
            proof=Proof(evidence, "state", None, "delivery"),
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
    twice = copies(case, _origins)
    votes = _votes(case, found, instead(twice))
    total = sum(votes.values())
    result = []
    for item in found:
        share = votes.get(item.asset, 0.0) / total if total else 0.0
        if item.asset in twice and item.kind == "source" and item.repair is None:
            told = twice[item.asset]
            result.append(
                replace(item, fault="duplicate_load", weight=COPIED, exonerated=False, reason=told.text,
                        numbers={**item.numbers, "copied": told.share}, since=told.since, proof=None)
            )  # fmt: skip
        elif item.kind != "source" or not share:
            result.append(item)
        elif item.exonerated and share >= MAJORITY:
            reason = f"its own table looks in order, but {share:.0%} of what is wrong downstream came in by it"
            result.append(
                replace(item, fault="missing_rows", weight=0.5 + 3 * share, exonerated=False, reason=reason,
                        numbers={"votes": share}, since=case.keys(item.asset)[0], proof=None)
            )  # fmt: skip
        else:
            result.append(replace(item, weight=item.weight + 1.0 + 3 * share))
    return result


MAJORITY = 0.6
COPIED = 4.0
"""Weight of rows that came twice."""
FAR = 5.0
"""Exceedance of a source's own values beyond which rows that find no partner are rather its own than lost elsewhere."""
NEAR = 3.0
"""The same where the table beside holds the very rows it held before: it lost none."""
_POINTING = ("structure", "schema", "labels", "contract")


def _votes(case: Case, found: Sequence[Weighed], meant: Mapping[str, str]) -> dict[str, float]:
    """Count what points at each source; of one that only seems to have lost rows, at the one that is ``meant``."""
    votes: dict[str, float] = {}
    for finding in case.findings:
        asset = case.named.get(finding.subject)
        if asset is None or finding.severity != "alarm" or finding.monitor not in _POINTING or case.burst(finding):
            continue
        sources = _odd_partners(case, asset, _origins(case, asset, finding.metric), found)
        sources = {meant.get(origin, origin) for origin in sources}
        for origin in sources:
            votes[origin] = votes.get(origin, 0.0) + 1.0 / len(sources)
    return votes


def _odd_partners(case: Case, asset: str, sources: set[str], found: Sequence[Weighed]) -> set[str]:
    """Turn to what came in beside a source that is in order: rows without a partner may be too many, not too few.

    Where rows find nothing in a table that looks as always, and the rows themselves look like nothing before, the odd
    ones are theirs: by far other values, or by their structure, which hardly ever leaves its band.
    """
    above = case.replay.ancestors(asset)
    own = {item.asset: item for item in found if item.kind == "source"}
    if not all(source in own and own[source].exonerated for source in sources):
        return sources
    beside = [own[name] for name in above - sources if name in own and not own[name].exonerated]
    far = NEAR if all(_unchanged(case, source) for source in sources) else FAR
    odd = {item.asset for item in beside if item.numbers.get("exceedance", 0.0) >= far or _broken(case, item.asset)}
    return odd or sources


def _broken(case: Case, asset: str) -> bool:
    return any(one.monitor == "structure" and one.severity == "alarm" for one in case.of(asset))


def _unchanged(case: Case, source: str) -> bool:
    """Tell whether a source held the same rows in the incident as in the window before it."""
    keys, calendar = case.keys(source), case.replay.calendar
    before = calendar.shift(calendar.window(keys[0]), -1).key
    frames = [case.replay.observed(source, key) for key in (before, *keys)] if case.rows else [None]
    first = frames[0]
    return first is not None and all(frame is not None and frame.equals(first) for frame in frames[1:])


def _origins(case: Case, asset: str, metric: str) -> set[str]:
    """Follow a metric's column, or a join, up to the sources; where a column is made, to all that it was made from."""
    made = case.assets[asset]
    if not made.reads:
        return {asset}
    if not made.recomputable:  # what a foreign job does with its parents nobody knows
        return {asset}.union(*(_origins(case, parent, metric) for parent in made.parents))
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
