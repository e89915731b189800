"""What the server does and what it loaded: the batch scorer, deployments, and loaded against approved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from headwater.core.errors import DataError, HeadwaterError, ModelError
from headwater.core.ports import Record
from headwater.core.project import ANSWERS, Task

Score = Callable[[Mapping[str, Any], pl.DataFrame], pl.DataFrame]
CHAMPION = "champion"


def predict(
    score: Score,
    parts: Mapping[str, Any],
    served: pl.DataFrame,
    columns: Sequence[str],
    entity: str,
    carry: Sequence[str] = (),
    task: Task = "binary",
    latency: str = "",
) -> pl.DataFrame:
    """Score served features and return the prediction log's rows.

    Args:
        score: ``score(parts, served) -> frame`` with ``p`` and ``decision`` (or what the task wants), a row per row of
            ``served``.
        parts: The loaded parts by name.
        served: The features as the server saw them.
        columns: Feature columns to keep in the log.
        entity: The column that identifies a row.
        carry: Other columns to keep in the log.
        task: What is predicted.
        latency: Column of measured milliseconds to keep where the score function or the server gives it.

    Returns:
        ``entity``, ``carry`` and ``columns`` as served, then ``p`` (Float64) and ``decision`` (Int64), or what the task
        predicts (Float64), and the latency if there is one.

    Raises:
        ModelError: a column is missing, scoring fails, or what it returns is not one valid prediction per row.
    """
    kept = list(dict.fromkeys([entity, *carry, *columns]))
    missing = [name for name in kept if name not in served.columns]
    if missing:
        raise ModelError(
            f"served features lack `{'`, `'.join(missing)}`",
            hint="the feature view, or the function that serves it, dropped or renamed them",
        )
    found = answer(score, parts, served, task)
    if latency and latency not in kept and latency in served.columns and latency not in found.columns:
        kept.append(latency)
    extra = [found[latency].cast(pl.Float64, strict=False)] if latency in found.columns else []
    return served.select(kept).with_columns(*checked(found, task), *extra)


def scored(score: Score, parts: Mapping[str, Any], served: pl.DataFrame, task: Task = "binary") -> list[pl.Series]:
    """Run a score function and return the valid columns of its task, or raise `ModelError`.

    ``p`` (Float64) and ``decision`` (Int64); for regression ``prediction`` and, where given, ``low`` and ``high``; for
    ranking ``score``.
    """
    return checked(answer(score, parts, served, task), task)


def answer(score: Score, parts: Mapping[str, Any], served: pl.DataFrame, task: Task = "binary") -> pl.DataFrame:
    """Run a score function; raise `ModelError` unless it returns a frame of the right height and columns."""
    try:
        found = score(parts, served)
    except HeadwaterError:
        raise
    except Exception as error:
        raise ModelError(
            f"scoring fails: {type(error).__name__}: {error}",
            doing=f"scoring {served.height} rows",
            hint=f"parts are {', '.join(sorted(parts)) or 'none'}; served columns are {', '.join(served.columns)}",
        ) from error
    wanted = ANSWERS[task]
    if not isinstance(found, pl.DataFrame) or not set(wanted) <= set(found.columns):
        has = f"a frame with {', '.join(found.columns)}" if isinstance(found, pl.DataFrame) else type(found).__name__
        columns = f"the columns {' and '.join(wanted)}" if len(wanted) > 1 else f"the column {wanted[0]}"
        raise ModelError(f"score returned {has}", hint=f"return a Polars frame with {columns}")
    if found.height != served.height:
        raise ModelError(
            f"score returned {found.height} rows for {served.height}", hint="return one row per served row, in order"
        )
    return found


def checked(found: pl.DataFrame, task: Task = "binary") -> list[pl.Series]:
    """Return what a score function gave as valid columns of its task, or raise `ModelError`."""
    if task == "binary":
        return [_probability(found["p"]), _decision(found["decision"])]
    if task == "ranking":
        return [_number(found["score"])]
    bounds = [name for name in ("low", "high") if name in found.columns]
    if len(bounds) == 1:
        raise ModelError(f"score returned `{bounds[0]}` without its other end", hint="return both low and high")
    columns = [_number(found[name]) for name in ("prediction", *bounds)]
    if bounds and (count := int((columns[1] > columns[2]).sum())):
        raise ModelError(f"low is above high in {count} of {found.height} rows")
    return columns


def _number(found: pl.Series) -> pl.Series:
    if not found.dtype.is_numeric():
        raise ModelError(f"{found.name} is {found.dtype}, not a number")
    number = found.cast(pl.Float64)
    if count := number.len() - int(number.is_finite().fill_null(False).sum()):
        raise ModelError(
            f"{found.name} is not a finite number in {count} of {len(number)} rows", hint="is a feature missing there?"
        )
    return number


def _probability(found: pl.Series) -> pl.Series:
    if not found.dtype.is_numeric():
        raise ModelError(f"p is {found.dtype}, not a number")
    p = found.cast(pl.Float64)
    bad = p.is_null() | p.is_nan().fill_null(True)
    if count := int(bad.sum()):
        raise ModelError(f"p is not a number in {count} of {len(p)} rows", hint="is a feature missing where p is?")
    outside = (p < 0) | (p > 1)
    if count := int(outside.sum()):
        example = p.filter(outside)[0]
        raise ModelError(f"p is outside 0..1 in {count} of {len(p)} rows, e.g. {example:g}")
    return p.alias("p")


def _decision(found: pl.Series) -> pl.Series:
    if not (found.dtype.is_numeric() or found.dtype == pl.Boolean):
        raise ModelError(f"decision is {found.dtype}, not 0 or 1")
    number = found.cast(pl.Float64)
    wrong = ~number.is_in([0.0, 1.0]).fill_null(False)
    if count := int(wrong.sum()):
        raise ModelError(f"decision is not 0 or 1 in {count} of {len(number)} rows, e.g. {found.filter(wrong)[0]}")
    return number.cast(pl.Int64).alias("decision")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a server loaded, beside what the registry approved.

    Attributes:
        model: Bare model name.
        version: The version the server says it serves.
        parts: Content hash of each part as loaded.
        approved_version: The version the champion alias means; empty when no release is known.
        approved_parts: Content hash of each part of that version as it was trained; empty when unknown.
        displacement: Mean absolute change of the predictions that the release gate approved; None when unknown.
        code: Hash of the scoring code it was deployed with.
    """

    model: str
    version: str
    parts: Mapping[str, str]
    approved_version: str = ""
    approved_parts: Mapping[str, str] = field(default_factory=dict)
    displacement: float | None = None
    code: str = ""

    @property
    def mismatch(self) -> tuple[str, ...]:
        """Names of the parts that are loaded but not approved, missing, or not the approved ones.

        Empty when nothing is known to have been approved: absence of a release is not a mismatch.
        """
        if not self.approved_parts:
            return ()
        names = {*self.parts, *self.approved_parts}
        return tuple(sorted(name for name in names if self.parts.get(name) != self.approved_parts.get(name)))


def identity(deployment: Deployment) -> dict[str, Any]:
    """Return the values of ``release`` evidence: parts as loaded, parts as approved, and the names that differ."""
    return {
        "loaded": dict(deployment.parts),
        "approved": dict(deployment.approved_parts),
        "mismatch": list(deployment.mismatch),
        "version": deployment.version,
        "approved_version": deployment.approved_version,
        "displacement": deployment.displacement,
    }


@dataclass(frozen=True, slots=True)
class _Approval:
    version: str
    valid_from: datetime
    displacement: float | None
    parts: Mapping[str, str]


class Deployments:
    """The deployment of every model, folded from records of training, release and deployment."""

    def __init__(self) -> None:
        self._loaded: dict[str, Mapping[str, Any]] = {}
        self._champions: dict[str, _Approval] = {}
        self._trained: dict[tuple[str, str], Mapping[str, str]] = {}

    def add(self, record: Record) -> None:
        """Take in one ledger record; kinds that say nothing about deployments are passed over.

        Raises:
            DataError: a deployment or alias record lacks a field.
        """
        try:
            if record.kind == "deployment":
                body = record.body
                self._loaded[_bare(body["model"])] = {**body, "version": str(body["version"])}
                dict(body["parts"])
            elif record.kind == "alias":
                self._alias(record.body)
            elif record.kind == "event":
                self._training(record.body)
            elif record.kind == "version":
                self._version(record.body)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"record {record.seq} is not a valid {record.kind} record: {error!r}") from error

    def get(self, model: str) -> Deployment | None:
        """Return what serves a model now, or None when nothing was deployed."""
        name = _bare(model)
        loaded = self._loaded.get(name)
        if loaded is None:
            return None
        approved = self._champions.get(name)
        version = approved.version if approved is not None else ""
        return Deployment(
            model=name,
            version=loaded["version"],
            parts=dict(loaded["parts"]),
            approved_version=version,
            approved_parts=dict((approved.parts if approved else {}) or self._trained.get((name, version), {})),
            displacement=approved.displacement if approved is not None else None,
            code=str(loaded.get("code") or ""),
        )

    def parts(self, model: str, version: str) -> Mapping[str, str]:
        """Return the part hashes a version was trained with; empty when unknown."""
        return dict(self._trained.get((_bare(model), version), {}))

    def models(self) -> list[str]:
        """Return the models that are deployed, sorted."""
        return sorted(self._loaded)

    def _alias(self, body: Mapping[str, Any]) -> None:
        if (body.get("alias") or CHAMPION) != CHAMPION:
            return
        name = _bare(body["model"])
        valid_from = datetime.fromisoformat(body["valid_from"]).astimezone(UTC)
        held = self._champions.get(name)
        if held is not None and held.valid_from > valid_from:
            return  # a correction of the past does not move what is approved now
        if body["version"] is None:
            self._champions.pop(name, None)
            return
        displacement = body.get("displacement")
        measured = None if displacement is None else float(displacement)
        parts = dict(body.get("parts") or {})
        self._champions[name] = _Approval(str(body["version"]), valid_from, measured, parts)

    def _version(self, body: Mapping[str, Any]) -> None:
        self._trained[(_bare(body["model"]), str(body["version"]))] = dict(body["parts"])

    def _training(self, body: Mapping[str, Any]) -> None:
        facets = body.get("run", {}).get("facets", {})
        trained = facets.get("headwater_training")
        if trained and trained.get("version") and body.get("eventType") == "COMPLETE":
            parts = facets.get("headwater_run", {}).get("parts", {})
            self._trained[(_bare(trained["model"]), str(trained["version"]))] = dict(parts)


def _bare(model: str) -> str:
    return model.rpartition("/")[2].partition("@")[0]
