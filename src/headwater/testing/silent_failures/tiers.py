"""What a detective may look at: three tiers, each with less to go by than the one above it."""

from __future__ import annotations

from typing import Literal

Tier = Literal["T3", "T2", "T1"]
TIERS: tuple[Tier, ...] = ("T3", "T2", "T1")
SIGHT: dict[Tier, Literal["replay", "changes", "metrics"]] = {"T3": "replay", "T2": "changes", "T1": "metrics"}
"""T3 sees everything: rows, versions, code that can be run again. T2 sees metrics, lineage and when code or models
changed. T1 sees metrics and lineage."""
