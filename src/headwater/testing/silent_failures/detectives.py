"""Others who look for the cause: what a triage tool is given of a case, and simple rules to compare with.

A detective is a function of a `Scene` that returns references, the most suspect first. It is told from which window on
something is wrong, which no tool knows in practice; what Headwater is scored on it has to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from typing import Any

import numpy as np
import polars as pl

from headwater.core.assets import Asset
from headwater.core.errors import UnknownName, UsageError
from headwater.core.names import Ref
from headwater.core.project import Model
from headwater.core.windows import Calendar

REFERENCE = 28
"""Windows before the onset that say what is normal."""


@dataclass(frozen=True)
class Scene:
    """A case as a triage tool is given it.

    Attributes:
        case: The case's name.
        assets: The pipeline, parents first.
        model: Its model.
        calendar: What cuts its time.
        before: Run windows before anything was wrong, oldest first.
        during: Run windows since then.
        subject: Writes how an asset is blamed: its dataset, or the deployment that makes predictions.
        side: Tells which side answers for a reference.
        rows: ``rows(asset, own window)``: the stored rows; None when there are none.
        metrics: ``metrics(asset)``: by own window, the metrics of its profile.
        changes: Assets whose code or model changed, with the run window in which that was seen.
    """

    case: str
    assets: Mapping[str, Asset]
    model: Model
    calendar: Calendar
    before: tuple[str, ...]
    during: tuple[str, ...]
    subject: Callable[[str], str]
    side: Callable[[str], str]
    rows: Callable[[str, str], pl.DataFrame | None]
    metrics: Callable[[str], Mapping[str, Mapping[str, float]]]
    changes: tuple[tuple[str, str], ...]

    def own(self, asset: str, run: str) -> str:
        """Return the window that an asset delivers at a run window."""
        return self.calendar.shift(self.calendar.window(run), -self.assets[asset].lag).key

    def depth(self, asset: str) -> int:
        """Return how far an asset is from its furthest source."""
        parents = self.assets[asset].parents
        return 1 + max(map(self.depth, parents)) if parents else 0


Detective = Callable[[Scene], Sequence[str]]
"""Returns references, the most suspect first."""


def scene_of(workspace: Any, case: str, runs: Sequence[str]) -> Scene:
    """Look at a workspace after the windows of a case were run."""
    line = workspace.line
    calendar: Calendar = line.calendar
    replay = line.replay()
    assets = {asset.name: asset for asset in line.project.ordered()}
    first = calendar.window(runs[0])
    before = [calendar.shift(first, -back).key for back in range(REFERENCE, 0, -1)]
    changes = []
    for name, asset in assets.items():
        for run in runs:
            here = calendar.shift(calendar.window(run), -asset.lag)
            made, earlier = replay.made(name, here.key), replay.made(name, calendar.shift(here, -1).key)
            if made is not None and earlier is not None and made.id != earlier.id:
                changes.append((name, run))

    def metrics(asset: str) -> Mapping[str, Mapping[str, float]]:
        told = line.state.evidence.get(("profile", line.ref(asset)), {})
        return {key: item.values for key, item in told.items()}

    sides = {line.blame(name): line.side(name) for name in assets}
    return Scene(
        case=case,
        assets=assets,
        model=next(iter(line.project.models.values())),
        calendar=calendar,
        before=tuple(before),
        during=tuple(runs),
        subject=line.blame,
        side=lambda subject: sides.get(subject, ""),
        rows=lambda asset, key: line.services.tables.read(asset, [key]),
        metrics=metrics,
        changes=tuple(changes),
    )


def answered(name: str, told: object, scene: Scene) -> list[str]:
    """Check what a detective answered, and return it as a list.

    It must be a list of references, each of them once: of datasets, or of the model or the deployment.

    Raises:
        UsageError: It is no list, holds something else than text, or names somebody twice.
        UnknownName: It names somebody who is not in the scene.
    """
    what = f"detective `{name}` answered {scene.case} with"
    if isinstance(told, (str, bytes, Mapping)) or not isinstance(told, Iterable):
        raise UsageError(f"{what} a {type(told).__name__}, not a list", hint="return references, most suspect first")
    found = list(told)
    known = _blamable(scene)
    for place, ref in enumerate(found):
        if not isinstance(ref, str):
            raise UsageError(
                f"{what} a {type(ref).__name__} in its list", hint="a reference is text: scene.subject(name)"
            )
        if ref not in known:
            where = f"in the scene of {scene.case}, and detective `{name}` blames it"
            raise UnknownName.of("asset", ref, known, where=where)
        if ref in found[:place]:
            raise UsageError(f"{what} `{ref}` twice", hint="rank each suspect once: list(dict.fromkeys(...))")
    return found


def _blamable(scene: Scene) -> set[str]:
    """Every reference that can be blamed in a scene."""
    space = Ref.parse(scene.subject(scene.model.features)).namespace
    names = [str(Ref("dataset", space, asset)) for asset in scene.assets]
    model = [str(Ref(kind, space, scene.model.name)) for kind in ("model", "deployment")]
    return {*map(scene.subject, scene.assets), *names, *model}


def _chance(scene: Scene, asset: str) -> str:
    return sha256(f"{scene.case} {asset}".encode()).hexdigest()


def at_random(scene: Scene) -> list[str]:
    """Guess."""
    return [scene.subject(name) for name in sorted(scene.assets, key=lambda name: _chance(scene, name))]


def nearest_change(scene: Scene) -> list[str]:
    """Blame what changed last before, or when, it went wrong; then what changed after; guess among equals."""
    seen: dict[str, int] = {}
    for name, run in scene.changes:
        seen.setdefault(name, scene.during.index(run))
    ranked = sorted(scene.assets, key=lambda name: (seen.get(name, len(scene.during)), _chance(scene, name)))
    return [scene.subject(name) for name in ranked]


def upstream_most(scene: Scene, limit: float = 5.0) -> list[str]:
    """Blame the upstream-most asset of which some metric is more than ``limit`` robust deviations off."""
    scores = {name: _anomaly(scene, name) for name in scene.assets}
    ranked = sorted(
        scene.assets,
        key=lambda name: (scores[name] <= limit, scene.depth(name) if scores[name] > limit else 0, -scores[name]),
    )
    return [scene.subject(name) for name in ranked]


def _anomaly(scene: Scene, asset: str) -> float:
    told = scene.metrics(asset)
    past = [told[key] for run in scene.before if (key := scene.own(asset, run)) in told]
    now = [told[key] for run in scene.during if (key := scene.own(asset, run)) in told]
    worst = 0.0
    for metric in {name for one in now for name in one}:
        known = np.array([one[metric] for one in past if _number(one.get(metric))], dtype=float)
        values = np.array([one[metric] for one in now if _number(one.get(metric))], dtype=float)
        if len(known) < 7 or not len(values):
            continue
        middle = float(np.median(known))
        spread = max(1.4826 * float(np.median(np.abs(known - middle))), 1e-3 * abs(middle), 1e-6)
        worst = max(worst, float(np.max(np.abs(values - middle))) / spread)
    return worst


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))


def most_drifted(scene: Scene) -> list[str]:
    """Blame the source of the feature that drifted most, as a drift report suggests.

    A numeric feature's drift is its Wasserstein distance in standard deviations, another's the Jensen-Shannon distance,
    as Evidently has it for references of more than a thousand rows.
    """
    view = scene.model.features
    past, now = (pooled(scene, view, runs) for runs in (scene.before, scene.during))
    if past is None or now is None:
        return at_random(scene)
    drift = {name: _drift(past[name], now[name]) for name in scene.model.columns if name in past and name in now}
    ranked: dict[str, None] = {}
    for column in sorted(drift, key=lambda name: -drift[name]):
        ranked |= dict.fromkeys(sources(scene, view, column))
    ranked |= dict.fromkeys(scene.assets)
    return [scene.subject(name) for name in ranked]


def pooled(scene: Scene, asset: str, runs: Sequence[str]) -> pl.DataFrame | None:
    """Return an asset's rows of some run windows in one; None when there are none."""
    frames = [frame for run in runs if (frame := scene.rows(asset, scene.own(asset, run))) is not None]
    return pl.concat(frames, how="diagonal_relaxed") if frames else None


def _drift(past: pl.Series, now: pl.Series) -> float:
    if past.dtype.is_numeric() and now.dtype.is_numeric():
        one, other = (side.cast(pl.Float64).drop_nulls().drop_nans().to_numpy() for side in (past, now))
        if not len(one) or not len(other):
            return float(len(one) != len(other))
        at = np.linspace(0.005, 0.995, 100)
        return float(np.mean(np.abs(np.quantile(one, at) - np.quantile(other, at))) / max(float(np.std(one)), 1e-9))
    counts = [side.cast(pl.String).value_counts(normalize=True).rename({side.name: "v"}) for side in (past, now)]
    both = counts[0].join(counts[1], on="v", how="full", coalesce=True).fill_null(0.0)
    p, q = both["proportion"].to_numpy(), both["proportion_right"].to_numpy()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log2(side / middle), 0.0) for side in (p, q)]
    return float(np.sqrt(max(0.0, (parts[0].sum() + parts[1].sum()) / 2)))


def sources(scene: Scene, asset: str, column: str) -> list[str]:
    """Follow a column up to where it comes from; where it is made, on to all that it is made of, nearest first."""
    parents = scene.assets[asset].parents
    if not parents:
        return [asset]
    holders = [name for name in parents if _has(scene, name, column)]
    return list(dict.fromkeys(source for name in holders or parents for source in sources(scene, name, column)))


def _has(scene: Scene, asset: str, column: str) -> bool:
    frame = scene.rows(asset, scene.own(asset, scene.before[-1]))
    return frame is not None and column in frame.columns


DETECTIVES: dict[str, Detective] = {
    "random": at_random,
    "nearest change": nearest_change,
    "most drifted": most_drifted,
    "upstream-most z": upstream_most,
}
"""The rules that come with the benchmark."""


def detective(name: str) -> Detective:
    """Return a detective by name, or one of your own by ``module:attribute``.

    Raises:
        UnknownName: There is none of that name.
        UsageError: It cannot be imported, or is no function.
    """
    if name in DETECTIVES:
        return DETECTIVES[name]
    module, found, attribute = name.partition(":")
    if not found:
        raise UnknownName.of("detective", name, DETECTIVES, where="one of the benchmark's")
    try:
        made: Detective = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"detective `{name}` cannot be loaded: {error}", hint="name it as module:attribute") from error
    if not callable(made):
        raise UsageError(f"`{name}` is a {type(made).__name__}, not a function of a scene", hint="see the guide")
    return made
