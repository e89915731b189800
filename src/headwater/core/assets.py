"""What a pipeline is made of: assets with parents and a mechanism, each a pure function over a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headwater.core.canonical import digest

Layer = Literal["raw", "staged", "modeled", "feature", "served", "prediction", "label"]
LAYERS: tuple[Layer, ...] = ("raw", "staged", "modeled", "feature", "served", "prediction", "label")

Compute = Callable[..., Any]
"""``compute(frames, window) -> frame``: parents' frames by name, and the window to compute."""


@dataclass(frozen=True, slots=True)
class Read:
    """How an asset reads a parent: the window itself and ``lookback`` windows before it."""

    parent: str
    lookback: int = 0


@dataclass(frozen=True, slots=True)
class Mechanism:
    """What turned parents into an asset: the code's hash and, for predictions, the hash of each loaded model part.

    Example:
        >>> Mechanism("c1", {"model": "m1"}).changed_parts(Mechanism("c1", {"model": "m2"}))
        ('model',)
    """

    code: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """One short hash for code and parts together."""
        return self.code if not self.parts else digest({"code": self.code, "parts": dict(self.parts)})

    def changed_parts(self, other: Mechanism) -> tuple[str, ...]:
        """Name the parts that differ from another mechanism's."""
        return tuple(
            sorted(name for name in {*self.parts, *other.parts} if self.parts.get(name) != other.parts.get(name))
        )


@dataclass(frozen=True, slots=True)
class Asset:
    """A table of the pipeline and how it is made.

    Attributes:
        name: Bare name, e.g. ``weather``.
        layer: Where it stands, from ``raw`` (a source as landed) to ``prediction`` and ``label``.
        reads: Its parents; empty for a source.
        lag: Windows by which it trails: at the run of window w it delivers window w - lag.
        snapshot: True when each window holds the full state (a dimension), not the rows of that window; readers get
            the newest snapshot at or before their window.
        key: Columns that identify a row, used to pair rows of two versions and to find duplicates.
        time: Event-time column (zone-aware), used to cut a delivered range into windows; None: ranges are delivered
            window by window.
        side: Which team answers for it unless its contract says otherwise.
        recomputable: Whether its mechanism may be run again (False: sources and foreign jobs).
    """

    name: str
    layer: Layer
    reads: tuple[Read, ...] = ()
    lag: int = 0
    snapshot: bool = False
    key: tuple[str, ...] = ()
    time: str | None = None
    side: Literal["data", "ml"] = "data"
    recomputable: bool = True

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the parents in reading order."""
        return tuple(read.parent for read in self.reads)
