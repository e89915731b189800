"""What a fault does, measured: the decisions and labels of a play against those of the clean past, window by window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.core.project import Model

LEVELS = ((0.003, "S0"), (0.01, "S1"), (0.05, "S2"), (float("inf"), "S3"))


@dataclass
class Effect:
    """What a fault did in its worst window.

    Attributes:
        displacement: Mean |dp| over the rows that both have; of what is no probability in spans of the predictions,
            from their 1st to their 99th percentile: the scale on which the product says what matters.
        decisions: Share of rows that were decided otherwise although their number is the same.
        lost: Share of the clean rows that are missing, or of rows that should not be there.
        labels: Share of labels that are others, or lost, among those that came.
    """

    displacement: float = 0.0
    decisions: float = 0.0
    lost: float = 0.0
    labels: float = 0.0

    @property
    def size(self) -> float:
        """The largest of them."""
        return max(self.displacement, self.decisions, self.lost, self.labels)

    @property
    def level(self) -> str:
        """``S0`` (nothing to speak of) to ``S3``."""
        return next(name for limit, name in LEVELS if self.size < limit)


class Measured:
    """The clean past of a pipeline as what plays are compared with.

    Args:
        workspace: A workspace that stands at the end of the clean past.
    """

    def __init__(self, workspace: Any) -> None:
        self.workspace = workspace
        self.model: Model = next(iter(workspace.project.models.values()))
        self._scale: float | None = None

    def against(self, workspace: Any, case: Any) -> Comparison:
        """Begin to compare a play with the past."""
        return Comparison(self, workspace)

    def rows(self, asset: str, key: str) -> pl.DataFrame | None:
        """Return a window of the clean past."""
        found: pl.DataFrame | None = self.workspace.line.services.tables.read(asset, [key])
        return found

    def scale(self, numbers: pl.Series) -> float:
        """What displacements are divided by: 1 for probabilities, else the span of the first clean predictions."""
        if self.model.task == "binary":
            return 1.0
        if self._scale is None:
            low, high = (numbers.cast(pl.Float64).quantile(share, "linear") or 0.0 for share in (0.01, 0.99))
            self._scale = high - low or 1.0
        return self._scale


@dataclass
class Comparison:
    """One play against the past."""

    measured: Measured
    workspace: Any
    found: Effect = field(default_factory=Effect)
    _parts: dict[str, Any] | None = None

    def reseeded(self, parts: dict[str, Any]) -> None:
        """From now on the harmless version with these parts is what predictions are compared with."""
        self._parts = parts

    def look(self, run: str) -> None:
        """Compare the window that was just run, and keep what is worse than before."""
        project = self.workspace.project
        calendar, model = project.calendar, self.measured.model
        for asset, compare in ((model.predictions, self._decided), (model.labels, self._labelled)):
            key = calendar.shift(calendar.window(run), -project.assets[asset].lag).key
            clean = self.measured.rows(asset, key)
            if clean is not None:
                compare(key, clean, self.workspace.line.services.tables.read(asset, [key]))

    def _decided(self, key: str, clean: pl.DataFrame, played: pl.DataFrame | None) -> None:
        model = self.measured.model
        if played is None:
            self.found.lost = 1.0
            return
        clean = self._again(key, clean)
        number = model.predicted
        names = [model.entity, number, *(["decision"] if "decision" in clean.columns else [])]
        left = clean.select(names).unique(model.entity)
        both = left.join(played.select(names).unique(model.entity), on=model.entity, how="inner", suffix="_played")
        if clean.height:
            gone = 1 - both.height / max(left.height, 1)
            extra = (played.height - both.height) / clean.height
            self.found.lost = max(self.found.lost, gone, min(extra, 1.0))
        if not both.height:
            return
        moved = ((both[number] - both[f"{number}_played"]).abs() / self.measured.scale(clean[number])).fill_null(1.0)
        self.found.displacement = max(self.found.displacement, _mean(moved))
        if "decision" in names:
            other = (both["decision"] != both["decision_played"]) & (moved < 1e-9)
            self.found.decisions = max(self.found.decisions, _mean(other.fill_null(False)))

    def _again(self, key: str, clean: pl.DataFrame) -> pl.DataFrame:
        """The clean window as the harmless new version scores it."""
        model = self.measured.model
        served = self.measured.rows(model.served, key)
        if self._parts is None or served is None:
            return clean
        scored = self.measured.workspace.project.functions[model.predictions](self._parts, served)
        return clean.drop(model.answers, strict=False).join(
            pl.concat([served.select(model.entity), scored], how="horizontal"), on=model.entity, how="left"
        )

    def _labelled(self, key: str, clean: pl.DataFrame, played: pl.DataFrame | None) -> None:
        model = self.measured.model
        outcome = model.outcome
        known = clean.drop_nulls(outcome).select(model.entity, outcome).unique(model.entity)
        if not known.height:
            return
        if played is None or outcome not in played.columns:
            self.found.labels = 1.0
            return
        theirs = played.select(model.entity, pl.col(outcome).alias("played")).unique(model.entity)
        both = known.join(theirs, on=model.entity, how="left")
        other = ((both[outcome] != both["played"]) | both["played"].is_null()).fill_null(True)
        self.found.labels = max(self.found.labels, _mean(other))


def _mean(values: pl.Series) -> float:
    found = values.cast(pl.Float64).mean()
    return float(found) if isinstance(found, (int, float)) else 0.0
