"""Scores of played cases: who was blamed, what was proposed, how sure it was, and how much noise was made.

Faults that hardly do anything (S0, S1) are counted apart; the headline is single faults of S2 and S3. Intervals are
95 % by a bootstrap over kinds, because cases of one kind stand and fall together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.testing.silent_failures.cases import CONTROLS, Planned, Size, quiet_runs
from headwater.testing.silent_failures.entry import Entry, Fault
from headwater.testing.silent_failures.kinds import HELD_OUT, KINDS
from headwater.testing.silent_failures.playing import Past, Played, Told, fault_of
from headwater.testing.silent_failures.tiers import TIERS, Tier

HEADLINE = ("S2", "S3")
NOTHING = 1e-6
"""An effect below this is none; harmless rounding moves about 1e-7."""
BINS = 10
_DRAWS = 500


@dataclass(frozen=True)
class Scored:
    """One case on one tier.

    Attributes:
        name: The case's.
        entry: The pipeline.
        role: What it was.
        tier: What could be looked at.
        kinds: Kinds of its faults.
        effect: How much it moved at its worst; of a harmless change next to nothing.
        level: S0 to S3; empty for controls.
        onset: Its first faulty window.
        shape: How it set in.
        severity: How hard it was meant to hit.
        detected: Whether there was an incident.
        delay: Windows from the onset to the first incident; None without one.
        incidents: How many there were; of a control, without ``gaps``.
        gaps: Incidents of a control that name a source which the real data left faulty there, and only wait.
        windows: How many windows were played.
        top1: Whether the verdict named an asset that fails; for the world, whether it said so; for a control, whether
            nobody was blamed.
        top3: Whether it is among the three most probable; of two faults, whether both are.
        side: Whether the right side was named.
        kind: Whether the right kind was said.
        remedy: Whether the proposed remedy is right.
        harmful: Whether an innocent asset would be acted on, or retraining was proposed while an asset fails.
        automatic: Whether that would have happened by itself.
        surety: Confidence and rightness of each verdict that decided something.
        cleared: Listed suspects that were judged rightly (an innocent one cleared, a failing one not), and all of them.
        chance: What a blind guess would have as top1.
        status: The first incident's verdict.
        said: Who it blames, and with which word.
        cpu: Processor seconds of the play.
        triage_cpu: Of one full judgement; None when it was not measured.
    """

    name: str
    entry: str
    role: str
    tier: Tier
    kinds: tuple[str, ...]
    effect: float
    level: str
    onset: str
    shape: str
    severity: float
    detected: bool
    delay: int | None
    incidents: int
    gaps: int
    windows: int
    top1: bool
    top3: bool
    side: bool
    kind: bool
    remedy: bool
    harmful: bool
    automatic: bool
    surety: tuple[tuple[float, bool], ...]
    cleared: tuple[int, int]
    chance: float
    status: str
    said: tuple[str, str]
    cpu: float
    triage_cpu: float | None

    @property
    def held_out(self) -> bool:
        """Whether all its kinds are held out."""
        return bool(self.kinds) and all(kind in HELD_OUT for kind in self.kinds)

    @property
    def headline(self) -> bool:
        """Whether it is a single fault of an asset that does something."""
        return self.role == "fault" and self.level in HEADLINE


def score(entry: Entry, played: Played, tier: Tier, assets: int) -> Scored:
    """Score one case on one tier; ``assets`` is how many a guess would choose from."""
    case = played.case
    faults = [fault_of(entry, name) for name in case.faults]
    truths = [frozenset({fault.asset, *fault.accepted}) for fault in faults if fault.asset]
    guilty = frozenset().union(*truths)
    said = played.last() if tier == "T3" else played.tiers.get(tier, [])
    quiet = case.role in CONTROLS
    gaps = [item for item in said if quiet and _of_gap(item, entry, played)]
    said = [item for item in said if item not in gaps]
    first = _primary(said, played.opened)
    named = [item for item in said if item.status == "named"]
    world = case.role == "world"
    if quiet:
        right = not named
    elif world:
        right = first is not None and first.status == "world" and not named
    else:
        right = first is not None and first.status == "named" and first.subject in guilty
    ranked = _ranking(said)[:3]
    opened = min(played.opened.values(), default=None) if said else None
    acts = [item for item in said if _harms(item, guilty, world=world, quiet=quiet)]
    own = [item for item in (played.told if tier == "T3" else said) if item.automatic]
    by_itself = [item for item in own if _harms(item, guilty, world=world, quiet=quiet)]
    blamed = next(
        (fault for fault in faults if first is not None and first.subject in {fault.asset, *fault.accepted}), None
    )
    wanted = blamed or (faults[0] if faults else None)
    return Scored(
        name=case.name,
        entry=case.entry,
        role=case.role,
        tier=tier,
        kinds=tuple(fault.kind for fault in faults),
        effect=played.effect.size,
        level="" if quiet else played.effect.level,
        onset=case.onset,
        shape=case.shape,
        severity=case.severity,
        detected=bool(said),
        delay=None if opened is None else played.runs.index(opened),
        incidents=len(said),
        gaps=len(gaps),
        windows=len(played.runs),
        top1=right,
        top3=bool(truths) and all(any(subject in truth for subject in ranked) for truth in truths),
        side=first is not None and wanted is not None and first.side == wanted.side and first.status == "named",
        kind=first is not None and wanted is not None and right and _says(first, wanted, entry),
        remedy=first is not None and wanted is not None and right and first.action in wanted.remedies,
        harmful=bool(acts or by_itself),
        automatic=bool(by_itself),
        surety=tuple((item.confidence, _rightly(item, guilty, world=world, quiet=quiet)) for item in said
                     if item.status != "undetermined"),
        cleared=_cleared(said, guilty),
        chance=len(guilty) / max(assets, 1),
        status="" if first is None else first.status,
        said=("", "") if first is None else (first.subject, first.fault),
        cpu=played.cpu,
        triage_cpu=played.triage_cpu if tier == "T3" and played.triage_cpu and said else None,
    )  # fmt: skip


def _primary(said: Sequence[Told], opened: Mapping[str, str]) -> Told | None:
    """The verdict that people read first: of the first incidents, the one that names somebody most surely."""
    if not said:
        return None
    begun = min(opened[item.incident] for item in said)
    early = [item for item in said if opened[item.incident] == begun]
    return max(early, key=lambda item: (item.status == "named", item.confidence))


def _ranking(said: Iterable[Told]) -> list[str]:
    """Everyone under suspicion in any incident, most probable first; who is named comes before who is not."""
    best: dict[str, tuple[bool, float]] = {}
    for item in said:
        for subject, probability, cleared in item.suspects:
            if not cleared:
                rank = (item.status == "named" and subject == item.subject, probability)
                best[subject] = max(best.get(subject, (False, 0.0)), rank)
    return sorted(best, key=lambda subject: best[subject], reverse=True)


def _says(item: Told, fault: Fault, entry: Entry) -> bool:
    """Tell whether a verdict says a fault's kind, of the asset that it blames."""
    kind = KINDS[fault.kind]
    if kind.named_by(item.fault) or not kind.named_by(item.fault, snapshot=True):
        return kind.named_by(item.fault)
    project = entry.build()
    return any(asset.snapshot and project.ref(name) == item.subject for name, asset in project.assets.items())


def _of_gap(item: Told, entry: Entry, played: Played) -> bool:
    """Tell whether a verdict names a source that the real data left faulty there, and does nothing but wait."""
    there = set(entry.gaps.get(item.subject, ())) & {run for run in played.runs if run <= item.run}
    return item.status == "named" and item.action in ("hold", "none", "") and bool(there)


def _harms(item: Told, guilty: frozenset[str], *, world: bool, quiet: bool) -> bool:
    if item.action in ("none", ""):
        return False
    if item.status == "named":
        return item.subject not in guilty
    return item.action == "retrain" and not world


def _rightly(item: Told, guilty: frozenset[str], *, world: bool, quiet: bool) -> bool:
    if item.status == "named":
        return item.subject in guilty
    if quiet:
        return True  # nothing failed: the world and nothing are both honest
    return world and item.status == "world"


def _cleared(said: Sequence[Told], guilty: frozenset[str]) -> tuple[int, int]:
    flags = [(cleared, subject in guilty) for item in said for subject, _, cleared in item.suspects]
    return sum(cleared != failing for cleared, failing in flags), len(flags)


def quiet_cases(entry: Entry, past: Past, size: Size) -> list[Played]:
    """Read the controls that the clean past itself is."""
    found = []
    for role, runs in quiet_runs(entry, size):
        case = Planned(f"{entry.name}/{role}/{runs[0]}", entry.name, role, runs[0], len(runs))
        told = [item for item in past.told if item.run in runs]
        opened = {item.incident: item.run for item in told}
        found.append(Played(case, runs, opened, told, {tier: [] for tier in TIERS[1:]}, cpu=0.0))
    return found


# --- sums -------------------------------------------------------------------------------------------------------------
def share(flags: Iterable[bool]) -> float | None:
    """Return the share of true ones; None of nothing."""
    values = list(flags)
    return sum(values) / len(values) if values else None


def interval(cases: Sequence[Scored], of: Callable[[Scored], bool], seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % interval of a share by drawing kinds with replacement; None when there are fewer than two."""
    groups: dict[tuple[str, ...], list[bool]] = {}
    for case in cases:
        groups.setdefault(case.kinds, []).append(of(case))
    if len(groups) < 2:
        return None
    hits = np.array([sum(flags) for flags in groups.values()], dtype=float)
    sizes = np.array([len(flags) for flags in groups.values()], dtype=float)
    picked = np.random.default_rng(seed).integers(0, len(groups), (_DRAWS, len(groups)))
    rates = hits[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def ece(surety: Sequence[tuple[float, bool]]) -> float | None:
    """Return the expected calibration error over equal bins; None of nothing."""
    if not surety:
        return None
    chances = np.array([chance for chance, _ in surety])
    rights = np.array([right for _, right in surety], dtype=float)
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [abs(float((rights[bins == one] - chances[bins == one]).sum())) for one in range(BINS)]
    return sum(gaps) / len(surety)


def abstention(cases: Sequence[Scored]) -> list[dict[str, float]]:
    """Return what naming only above a confidence would give: how many faults are then named, and how many rightly."""
    faults = [case for case in cases if case.headline]
    found = []
    for limit in np.linspace(0.5, 0.99, 15):
        kept = [case for case in faults if case.status == "named" and case.surety and case.surety[0][0] >= limit]
        rate = share(case.top1 for case in kept)
        if rate is not None:
            found.append({"confidence": round(float(limit), 3), "named": len(kept) / len(faults), "right": rate})
    return found


_SHARES: dict[str, Callable[[Scored], bool]] = {
    "top1": lambda case: case.top1,
    "top3": lambda case: case.top3,
    "side": lambda case: case.side,
    "kind": lambda case: case.kind,
    "remedy": lambda case: case.remedy,
}


def summary(cases: Sequence[Scored]) -> dict[str, Any]:
    """Sum the cases of one tier up."""
    faults = [case for case in cases if case.headline]
    held = [case for case in faults if case.held_out]
    found = [case for case in faults if case.detected]
    controls = [case for case in cases if case.role in CONTROLS]
    doubles = [case for case in cases if case.role == "double" and case.level in HEADLINE]
    worlds = [case for case in cases if case.role == "world"]
    answer: dict[str, Any] = {name: share(map(of, faults)) for name, of in _SHARES.items()}
    answer |= {
        "detected": share(case.detected for case in faults),
        "harmful_act_rate": share(case.harmful for case in cases),
        "harmful_automatic_rate": share(case.automatic for case in cases),
        "incidents_per_1000_clean": _per_thousand(controls),
        "gaps": sum(case.gaps for case in controls),
        "incidents_per_fault": sum(case.incidents for case in found) / len(found) if found else None,
        "delay_median": float(np.median([case.delay for case in found if case.delay is not None])) if found else None,
        "ece": ece([one for case in cases for one in case.surety]),
        "seconds_per_case": _mean(case.cpu for case in cases if case.cpu),
        "triage_seconds": _mean(case.triage_cpu for case in cases if case.triage_cpu is not None),
        "both_in_top3": share(case.top3 for case in doubles),
        "world_recall": share(case.top1 for case in worlds),
        "controls_unblamed": share(case.top1 for case in controls),
        "exoneration": _ratio(case.cleared for case in cases),
        "lift": _lift(faults),
        "cases": len(cases),
        "faults": len(faults),
        "controls": share(case.role in CONTROLS for case in cases),
        "harmless_effect": max((case.effect for case in controls), default=None),
        "held_out": {name: share(map(of, held)) for name, of in _SHARES.items()} | {"faults": len(held)},
        "intervals": {name: interval(faults, of) for name, of in _SHARES.items()},
        "abstention": abstention(cases),
        "levels": {level: _level([case for case in cases if case.role == "fault" and case.level == level])
                   for level in ("S0", "S1", "S2", "S3")},
    }  # fmt: skip
    return answer


def _level(cases: Sequence[Scored]) -> dict[str, Any]:
    return {"faults": len(cases), "detected": share(case.detected for case in cases),
            "top1": share(case.top1 for case in cases)}  # fmt: skip


def _per_thousand(controls: Sequence[Scored]) -> float | None:
    windows = sum(case.windows for case in controls)
    return 1000 * sum(case.incidents for case in controls) / windows if windows else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _ratio(pairs: Iterable[tuple[int, int]]) -> float | None:
    known = list(pairs)
    total = sum(size for _, size in known)
    return sum(good for good, _ in known) / total if total else None


def _lift(faults: Sequence[Scored]) -> float | None:
    guess = _mean(case.chance for case in faults)
    rate = share(case.top1 for case in faults)
    return rate / guess if guess and rate is not None else None


def rivals(entry: Entry, played: Sequence[Played]) -> dict[str, dict[str, Any]]:
    """Score what other detectives said of single faults of an asset that do something (S2, S3)."""
    found: dict[str, list[tuple[bool, bool, bool]]] = {}
    for one in played:
        if one.case.role != "fault" or one.effect.level not in HEADLINE:
            continue
        fault = fault_of(entry, one.case.faults[0])
        truth = {fault.asset, *fault.accepted}
        for name, (ranked, side) in one.ranked.items():
            right = (ranked[:1] and ranked[0] in truth, bool(truth & set(ranked)), side == fault.side)
            found.setdefault(name, []).append((bool(right[0]), right[1], right[2]))
    return {
        name: {"top1": share(one for one, _, _ in flags), "top3": share(one for _, one, _ in flags),
               "side": share(one for _, _, one in flags), "faults": len(flags)}
        for name, flags in found.items()
    }  # fmt: skip


def without_effect(played: Sequence[Played]) -> dict[str, int]:
    """Return the faults and changed worlds that moved no prediction, decision or label in any case of their own.

    The number is that of their cases. Such a fault is most often one that does not do what its entry means.
    """
    sizes: dict[str, list[float]] = {}
    for one in played:
        if one.case.role in ("fault", "world") and not one.error:
            sizes.setdefault(one.case.faults[0], []).append(one.effect.size)
    return {name: len(found) for name, found in sorted(sizes.items()) if max(found) < NOTHING}


def by_kind(cases: Sequence[Scored]) -> list[dict[str, Any]]:
    """Sum single faults up by kind, in the order of `kinds.KINDS`; headline severities only."""
    found = []
    for kind in KINDS.values():
        own = [case for case in cases if case.kinds == (kind.name,) and case.role in ("fault", "world")]
        main = [case for case in own if case.level in HEADLINE]
        if own:
            found.append({
                "name": kind.name, "group": kind.group, "held_out": kind.name in HELD_OUT, "played": len(own),
                "faults": len(main), "detected": share(case.detected for case in main),
                **{name: share(map(of, main)) for name, of in _SHARES.items()},
            })  # fmt: skip
    return found
