"""An approved change of code: who wanted it, what it was measured to move, and whether it still moves no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headwater.triage.mechanism import MATERIAL

FACTOR = 2.5
"""An approved change may move this many times what was approved: one window differs from many."""
SLACK = {
    "displacement": MATERIAL,
    "label_flips": 0.002,
    "lost_share": 0.002,
    "extra_share": 0.002,
    "unmodelled_share": 0.02,
}
"""What any change may move besides: where the mechanism monitor begins to care."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word that the code an asset now has is intended.

    Attributes:
        asset: Whose code.
        code: Hash of the approved code; no other code is covered.
        base: Hash of the code that it replaces and was compared with.
        by: Who approved.
        reason: Why.
        time: When.
        measured: What it moved on the last windows of the code before it, as `headwater.triage.mechanism.look_back`
            measures it.
    """

    asset: str
    code: str
    base: str
    by: str
    reason: str
    time: datetime
    measured: Mapping[str, float]

    def judged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Compare what the change does in a window with what was approved.

        Returns:
            ``by``, ``time``, ``displacement`` as approved, whether it is ``within`` what was approved, and a ``text``
            for people.
        """
        over = [name for name in SLACK if _shown(values, name) > self.allowed(name)]
        within = not over and not values.get("error")
        was, now = self.measured.get("past_displacement", 0.0), float(values.get("displacement", 0.0))
        text = (
            f"approved by {self.by} on {self.time.date().isoformat()} ({self.reason}): it was measured to move "
            f"predictions by {was:.4f}; it moved predictions by {now:.4f} in this window"
        )
        if over:
            worst = over[0]
            text += f"; {worst} {_shown(values, worst):.4f} is more than was approved ({self.allowed(worst):.4f})"
        return {
            "by": self.by,
            "time": self.time.isoformat(),
            "displacement": was,
            "within": within,
            "text": text,
        }

    def allowed(self, name: str) -> float:
        """Return how much of an effect the approval covers."""
        return FACTOR * float(self.measured.get(f"past_{name}", 0.0)) + SLACK[name]


def _shown(values: Mapping[str, Any], name: str) -> float:
    return max(float(values.get(name, 0.0)), float(values.get(f"past_{name}", 0.0)))
