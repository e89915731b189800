"""The self-contained HTML report: plain data in, one HTML file out."""

from headwater.app.report.data import (
    AssetRow,
    Cell,
    Check,
    Cleared,
    Curve,
    Fact,
    IncidentStory,
    Lineage,
    Mark,
    Moment,
    Report,
    Touch,
)
from headwater.app.report.page import render, write

__all__ = [
    "AssetRow",
    "Cell",
    "Check",
    "Cleared",
    "Curve",
    "Fact",
    "IncidentStory",
    "Lineage",
    "Mark",
    "Moment",
    "Report",
    "Touch",
    "render",
    "write",
]
