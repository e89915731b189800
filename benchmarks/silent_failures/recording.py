"""Write down what a triage tool is given of a case, for tools that run in environments of their own.

`record` is a detective that suspects nobody. Each scene becomes a folder of plain data: ``scene.json``, ``metrics``
(what each asset's profile told, window by window), ``features`` (rows of the model's features) and ``joint`` (a row per
prediction or label, a column per asset upstream of it), all with rows before and since the onset.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl

from headwater.testing.silent_failures.detectives import Scene, pooled, sources

PLACE = "SILENT_FAILURES_SCENES"
EVERY = "SILENT_FAILURES_JOINT_EVERY"
"""One scene in so many has its rows joined, by chance; that takes seconds."""
RECORDER = "silent_failures.recording:record"
ROWS = 3000
"""At most so many rows before, and as many since."""
WORDS = 100
"""A column with more different words says who it is about, not what."""
Pair = tuple[np.ndarray, np.ndarray]
"""A column before and since."""
TARGETS = {"binary": "p", "regression": "prediction", "ranking": "score"}


def folder_of(scenes: Path, case: str) -> Path:
    """Where a case's scene is."""
    return scenes / sha256(case.encode()).hexdigest()[:16]


def is_joined(folder: Path) -> bool:
    """Whether a scene is among those whose rows are joined."""
    return int(folder.name, 16) % int(os.environ.get(EVERY, "1")) == 0


def record(scene: Scene) -> list[str]:
    """Write a scene into the folder that the environment names; suspect nobody."""
    folder = folder_of(Path(os.environ[PLACE]), scene.case)
    folder.mkdir(parents=True, exist_ok=True)
    _metrics(scene).write_parquet(folder / "metrics.parquet")
    view = scene.model.features
    sides = _sides(pooled(scene, view, runs) for runs in (scene.before, scene.during))
    if sides:
        columns = [name for name in scene.model.columns if all(name in side.columns for side in sides)]
        _stacked([_sampled(side.select(columns), ROWS) for side in sides]).write_parquet(folder / "features.parquet")
    target, joint = _joint(scene) if is_joined(folder) else ("", None)
    if joint is not None:
        joint.write_parquet(folder / "joint.parquet")
    subjects = {name: scene.subject(name) for name in scene.assets}
    told = {
        "case": scene.case,
        "subjects": subjects,
        "sides": {subject: scene.side(subject) for subject in subjects.values()},
        "parents": {name: list(asset.parents) for name, asset in scene.assets.items()},
        "sources": {
            name: [scene.subject(source) for source in sources(scene, view, name)] for name in scene.model.columns
        },
        "target": target,
    }
    (folder / "scene.json").write_text(json.dumps(told))
    return []


def _metrics(scene: Scene) -> pl.DataFrame:
    rows = []
    for asset in scene.assets:
        told = scene.metrics(asset)
        for at, run in enumerate((*scene.before, *scene.during)):
            for metric, value in told.get(scene.own(asset, run), {}).items():
                if isinstance(value, (int, float)) and np.isfinite(value):
                    rows.append((asset, metric, at - len(scene.before), float(value)))
    schema = {"asset": pl.String, "metric": pl.String, "at": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _sides(found: Iterable[pl.DataFrame | None]) -> list[pl.DataFrame]:
    """What is there before and since; nothing when one of them is not there."""
    known = [side for side in found if side is not None and side.height]
    return known if len(known) == 2 else []


def _sampled(frame: pl.DataFrame, size: int) -> pl.DataFrame:
    return frame if frame.height <= size else frame.sample(size, seed=1)


def _stacked(sides: Sequence[pl.DataFrame]) -> pl.DataFrame:
    marked = [side.with_columns(_during=pl.lit(bool(place))) for place, side in enumerate(sides)]
    return pl.concat(marked, how="diagonal_relaxed")


# --- one row per prediction or label, one column per asset ------------------------------------------------------------
def _joint(scene: Scene) -> tuple[str, pl.DataFrame | None]:
    """Join what is upstream of the predictions; of the labels when only they moved by more than chance."""
    model = scene.model
    ends = {name: TARGETS[model.task] for name, asset in scene.assets.items() if asset.layer == "prediction"}
    ends[model.labels] = model.outcome
    end, sides = "", list[pl.DataFrame]()
    for name, column in ends.items():
        found = _sides(_rows(scene, name, runs) for runs in (scene.before, scene.during))
        if not found or any(f"{name}|{column}" not in side.columns for side in found):
            continue
        if not sides or (_by_chance(sides, f"{end}|{ends[end]}") and not _by_chance(found, f"{name}|{column}")):
            end, sides = name, found
    if not sides:
        return "", None
    keys = {column for asset in scene.assets.values() for column in asset.key}
    chosen: dict[str, Pair] = {end: _numbers(*(side[f"{end}|{ends[end]}"] for side in sides))}
    for asset in _upstream(scene, end):
        told = [_numbers(*pair) for pair in _pairs(sides, asset, keys)]
        flat = (np.zeros(sides[0].height), np.zeros(sides[1].height))
        chosen[asset] = max(told, key=_moved, default=flat)
    return end, _stacked([pl.DataFrame({asset: pair[at] for asset, pair in chosen.items()}) for at in (0, 1)])


def _upstream(scene: Scene, end: str) -> list[str]:
    """Everything that an asset is made of, nearest first."""
    found: dict[str, None] = {}
    layer = [end]
    while layer:
        layer = [parent for name in layer for parent in scene.assets[name].parents if parent not in found]
        found |= dict.fromkeys(layer)
    return list(found)


def _rows(scene: Scene, end: str, runs: Sequence[str]) -> pl.DataFrame | None:
    """Rows of some run windows, each beside the rows they are made of."""
    upstream = _upstream(scene, end)
    found = []
    for run in runs:
        key = scene.own(end, run)
        rows = scene.rows(end, key)
        if rows is not None and rows.height:
            found.append(_beside(scene, end, _sampled(rows, ROWS // len(runs)), key, upstream))
    return pl.concat(found, how="diagonal_relaxed") if found else None


def _beside(scene: Scene, end: str, rows: pl.DataFrame, key: str, upstream: Sequence[str]) -> pl.DataFrame:
    """Join each asset by its key where the rows so far have it; else put its means of the window beside them."""
    joined = rows.select(_words(rows))
    joined = joined.hstack([rows[name].alias(f"{end}|{name}") for name in rows.columns if _plain(rows[name])])
    for asset in upstream:
        frame, by = scene.rows(asset, key), set(scene.assets[asset].key)
        if frame is None or not frame.height:
            continue
        words = {word.meta.output_name(): word for word in _words(frame)}
        values = [name for name in frame.columns if _plain(frame[name]) and name not in by]
        if by and by <= set(joined.columns) and by <= set(words):
            other = frame.select(
                *(word for name, word in words.items() if name in by or name not in joined.columns),
                *(pl.col(name).alias(f"{asset}|{name}") for name in values),
            )
            joined = joined.join(other.unique(by, keep="first", maintain_order=True), on=sorted(by), how="left")
        else:
            means = {name: frame[name].mean() for name in values if frame[name].dtype.is_numeric()}
            joined = joined.with_columns(
                pl.lit(mean, pl.Float64).alias(f"{asset}|{name}") for name, mean in means.items()
            )
    return joined.select(name for name in joined.columns if "|" in name)


def _plain(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)


def _words(frame: pl.DataFrame) -> list[pl.Expr]:
    """Everything that can be a key, as text: the same instant or number is the same text in every table."""
    found = []
    for name, dtype in frame.schema.items():
        if dtype == pl.Datetime:
            found.append(pl.col(name).dt.epoch("us").cast(pl.String))
        elif dtype == pl.Date or _plain(frame[name]):
            found.append(pl.col(name).cast(pl.String))
    return found


def _pairs(sides: Sequence[pl.DataFrame], asset: str, keys: Container[str]) -> Iterator[tuple[pl.Series, pl.Series]]:
    """The columns of an asset that say something, before and since; one that is missing on a side is null there."""
    for name in dict.fromkeys(name for side in sides for name in side.columns):
        owner, _, column = name.partition("|")
        if owner != asset or column in keys:
            continue
        one, other = (side[name] if name in side.columns else pl.Series([None] * side.height) for side in sides)
        if one.dtype != pl.String or one.n_unique() <= WORDS:
            yield one, other


def _numbers(before: pl.Series, since: pl.Series) -> Pair:
    """Write a column as numbers: a word as its share of the rows before, a null below all others."""
    if before.dtype.is_numeric() or before.dtype == pl.Boolean:
        sides = [side.cast(pl.Float64, strict=False).to_numpy().astype(float) for side in (before, since)]
    else:
        words = before.cast(pl.String)
        shares = dict(words.drop_nulls().value_counts(normalize=True).iter_rows())
        sides = [
            np.array([np.nan if word is None else shares.get(word, 0.0) for word in side.cast(pl.String)], dtype=float)
            for side in (words, since)
        ]
    both = np.concatenate(sides)
    known = both[np.isfinite(both)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    below = low - 0.1 * ((high - low) or 1.0)
    return np.where(np.isfinite(sides[0]), sides[0], below), np.where(np.isfinite(sides[1]), sides[1], below)


def _by_chance(sides: Sequence[pl.DataFrame], name: str) -> bool:
    """Whether a column moved by no more than chance, at 5 % (Kolmogorov-Smirnov)."""
    one, other = _numbers(*(side[name] for side in sides))
    return _distance(one, other) <= 1.36 * ((len(one) + len(other)) / (len(one) * len(other))) ** 0.5


def _moved(pair: Pair) -> float:
    """How much further a column moved since than it had in the time before."""
    before, since = pair
    half = len(before) // 2
    return _distance(before, since) - _distance(before[:half], before[half:])


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance."""
    if not len(one) or not len(other):
        return 0.0
    at = np.concatenate([one, other])
    levels = [np.searchsorted(np.sort(side), at, side="right") / len(side) for side in (one, other)]
    return float(np.max(np.abs(levels[0] - levels[1])))
