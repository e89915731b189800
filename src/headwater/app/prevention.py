"""The check that would have caught it: chosen from the evidence, tried on good and bad windows, put in the contract."""

from __future__ import annotations

from typing import Any

from headwater.app.arrival import normal_keys
from headwater.app.line import Line
from headwater.app.profiling import CHANGE_SHARE, RELEASE_MISMATCH
from headwater.core.errors import ProjectInvalid, UsageError
from headwater.core.records import Verdict
from headwater.dataops.contracts import add_check
from headwater.triage.incidents import Incident

_STRUCTURAL = ("min_hours", "max_hours", "mean_hours", "key_match", "rows", "duplicate_share", "null_share",
               "unseen_share", "repeat_share", "echo_share", "nan_share")  # fmt: skip
_MARGIN = 0.5
"""How far outside the accepted range a bad window must lie, and half of it the room the check leaves, in widths."""
_WIDE = 1.5
"""The same for a distribution, which drifts with the season where a table's structure does not."""
_FLOOR = {"rows": 0.1, "min_hours": 0.02, "max_hours": 0.02}
"""Least width of a range as a share of its level: what was constant so far may still breathe a little."""
_ENOUGH, _SEEN = 14, 2
"""Windows that show how far a metric moves; with fewer, only structure that never moved at all is bounded."""


def prevent(line: Line, incident: Incident) -> dict[str, Any] | None:
    """Write a check to the culprit's contract and return it with the proof: what it says of good and of bad windows.

    For a source it bounds the profile metric that separates the incident's windows from the accepted ones; None where
    no metric does. For code and releases it bounds what a change may do to decisions without being looked at.
    """
    verdict = incident.verdict
    assert verdict is not None and verdict.remedy is not None
    name = str(verdict.remedy.parameters.get("asset", verdict.subject.rsplit("/", 1)[-1]))
    source = not line.assets[name].recomputable
    check = _of_source(line, name, verdict) if source else _of_change(line, name, verdict)
    if check is None:
        return None
    known = {item.get("name") for _, item in line.contracts[name].checks()} if name in line.contracts else set()
    if line.config is not None and name in line.contracts and check["name"] not in known:
        try:
            add_check(line.config.contracts, name, {key: check[key] for key in _WRITTEN if key in check})
        except ProjectInvalid:
            raise
        except UsageError:
            pass  # the contract says the same already, under another name
        line.refresh()
    return {"dataset": line.ref(name), **check}


_WRITTEN = ("name", "type", "engine", "implementation", "dimension", "severity", "description",
            "mustBeBetween", "mustBeLessThan")  # fmt: skip


def _of_source(line: Line, name: str, verdict: Verdict) -> dict[str, Any] | None:
    """Find the metric whose accepted range leaves out every bad window by the widest relative margin."""
    profiles = line.state.evidence[("profile", line.ref(name))]
    windows = verdict.remedy.windows if verdict.remedy else ()
    sound = normal_keys(line, line.assets[name], verdict.start_window)
    good = [profiles[key].values for key in sound if key in profiles]
    bad = [profiles[key].values for key in windows if key in profiles]
    if len(good) < _SEEN or not bad:
        return None
    young = len(good) < _ENOUGH
    best: tuple[bool, float, str, float, float] | None = None
    for metric in bad[0]:
        known = [float(item[metric]) for item in good if metric in item]
        seen = [float(item[metric]) for item in bad if metric in item]
        if len(known) < len(good) or len(seen) < len(bad):
            continue
        low, high = min(known), max(known)
        if young and (low < high or metric.split(".")[0] not in _STRUCTURAL):
            continue
        level = max(abs(low), abs(high))
        width = max(high - low, level * _FLOOR.get(metric.split(".")[0], 0.05), 0.01)
        gap = min(max(low - value, value - high) for value in seen) / width
        rank = (metric.split(".")[0] in _STRUCTURAL, gap)
        if gap > (_MARGIN if rank[0] else _WIDE) and (best is None or rank > best[:2]):
            best = (*rank, metric, low - _MARGIN / 2 * width, high + _MARGIN / 2 * width)
    if best is None:
        return None
    _, _, metric, low, high = best
    return {
        "name": f"{metric.replace('.', '_')}_in_band",
        "type": "custom",
        "engine": "headwater",
        "implementation": {"metric": metric},
        "mustBeBetween": [float(f"{low:.6g}"), float(f"{high:.6g}")],
        "dimension": "conformity",
        "severity": "warning",
        "description": f"added when {verdict.incident} was closed; it would have failed from {verdict.start_window}",
        "caught": len(bad),
        "false_alarms": sum(not low <= float(item.get(metric, low)) <= high for item in good),
        "history": len(good),
    }


def _of_change(line: Line, name: str, verdict: Verdict) -> dict[str, Any]:
    """Bound what may differ from the last accepted version, or from the approved model, before anybody looked."""
    model = line.model_of(name)
    metric, limit, what = CHANGE_SHARE, 0.001, "a change of this job that alters its rows"
    if model is not None and verdict.fault.startswith("loaded_"):
        metric, limit, what = RELEASE_MISMATCH, 1, "a loaded part that is not the approved one"
    return {
        "name": metric.replace(".", "_"),
        "type": "custom",
        "engine": "headwater",
        "implementation": {"metric": metric},
        "mustBeLessThan": limit,
        "dimension": "consistency",
        "severity": "warning",
        "description": f"added when {verdict.incident} was closed: {what} raises an alarm before it is accepted",
        "caught": len(verdict.remedy.windows) if verdict.remedy else 0,
    }
