"""Parity: an asset against its accepted mechanism run on the same parents; a server against what was approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from headwater.core.names import Ref
from headwater.core.records import Evidence, Finding
from headwater.core.windows import Calendar
from headwater.observe.history import History

DISPLACEMENT = 0.003
"""Mean |dp| from which a change of mechanism matters."""
LOST_ROWS = 0.002
"""Share of rows lost, added or relabelled from which it matters."""
UNMODELLED = 0.02
"""Share of cells from which a change matters in a project without a model, where rows are all that can be moved."""
_APPROVED_FACTOR = 2.5


class MechanismMonitor:
    """Alarm when recomputing a table gives something else and that matters.

    With an unchanged mechanism every difference matters: the run was stale, partial or fed from another version. With a
    changed one it matters when it moves predictions, labels or rows; a refactor with the same result is no finding, and
    a difference nobody reads is a notice. Approved code is none either while it moves no more than was approved. A
    change of the loaded model parts alone is the release monitor's.

    Reads ``share`` of differing cells, ``changed``, ``code_changed``, ``parts``, ``displacement``, ``label_flips``,
    ``lost_share``, ``extra_share``, ``error``, ``approved``; the same of windows before the change as ``past_...``.
    """

    name = "mechanism"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at exact mechanism tests."""
        found = []
        for item in evidence:
            if item.type == "mechanism" and not loaded_parts_only(item.values):
                found += self._one(item, now)
        return found

    def _one(self, item: Evidence, now: datetime) -> list[Finding]:
        values = item.values
        share = _number(values, "share")
        if max(share, _number(values, "past_share")) <= 0 and not values.get("error"):
            return []
        limits = {
            "displacement": DISPLACEMENT,
            "label_flips": LOST_ROWS,
            "lost_share": LOST_ROWS,
            "extra_share": LOST_ROWS,
            "unmodelled_share": UNMODELLED,
        }
        effects = {
            past + name: _number(values, past + name) / limit
            for past in ("", "past_")
            for name, limit in limits.items()
        }
        if (values.get("approved") or {}).get("within"):
            return []
        metric = max(effects, key=lambda name: effects[name])
        if not values.get("changed"):
            text = f"recomputing it with the very same version changes {share:.2%} of its cells"
            return [item.finding(self.name, "share", "alarm", max(1.0, effects[metric]), text, now, share, 0.0)]
        if values.get("error"):
            text = f"the last accepted version does not run on the new inputs: {values['error']}"
            return [item.finding(self.name, "error", "notice", 1.0, text, now, share, 0.0)]
        text = f"its new version changes {share:.2%} of its cells, {metric} {_number(values, metric):.4g}"
        if metric.startswith("past_"):
            text = (
                f"its new version would have changed {_number(values, 'past_share'):.2%} of the cells of the last "
                f"{_number(values, 'past_windows'):.0f} windows, {metric.removeprefix('past_')} "
                f"{_number(values, metric):.4g}"
            )
        if effects[metric] >= 1:
            return [item.finding(self.name, metric, "alarm", effects[metric], text, now, _number(values, metric), 0.0)]
        return [item.finding(self.name, metric, "notice", effects[metric], text, now, _number(values, metric), 0.0)]


class ReleaseMonitor:
    """Alarm when a server runs other model parts than were approved, or they move predictions far more than approved.

    Reads ``mismatch`` (names of the parts that differ) and ``displacement`` (mean |dp| that was approved) of release
    evidence, and from the mechanism test of the predictions how far they did move.
    """

    name = "release"

    def evaluate(
        self, evidence: Sequence[Evidence], history: History, calendar: Calendar, now: datetime
    ) -> list[Finding]:
        """Look at releases, and at mechanism tests of predictions whose model parts alone changed."""
        releases = {Ref.parse(item.subject).name: item for item in evidence if item.type == "release"}
        found = []
        for item in releases.values():
            mismatch = [str(part) for part in item.values.get("mismatch") or ()]
            if mismatch:
                text = f"the server loaded another {', '.join(mismatch)} than was approved"
                found.append(item.finding(self.name, "mismatch", "alarm", float(len(mismatch)), text, now))
        for item in evidence:
            if item.type == "mechanism" and loaded_parts_only(item.values):
                release = releases.get(Ref.parse(item.subject).name.removesuffix("_predictions"))
                found += self._moved(item, release, now)
        return found

    def _moved(self, item: Evidence, release: Evidence | None, now: datetime) -> list[Finding]:
        approved = 0.0 if release is None else _number(release.values, "displacement")
        moved, allowed = _number(item.values, "displacement"), _APPROVED_FACTOR * approved + DISPLACEMENT
        if moved <= 0:
            return []
        text = f"the new model moves predictions by {moved:.4f} on average; {approved:.4f} was approved"
        severity: Literal["alarm", "notice"] = "alarm" if moved > allowed else "notice"
        return [item.finding(self.name, "displacement", severity, moved / allowed, text, now, moved, 0.0)]


def loaded_parts_only(values: Mapping[str, Any]) -> bool:
    """Tell whether a mechanism changed by its loaded model parts alone."""
    return bool(values.get("changed") and values.get("parts") and not values.get("code_changed"))


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
