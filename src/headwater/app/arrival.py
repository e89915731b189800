"""What a source's fresh window looks like beside what is normal for it, and its standing repair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from headwater.app.line import Line
from headwater.app.readers import readers
from headwater.core.assets import Asset
from headwater.core.records import Evidence
from headwater.core.windows import Window
from headwater.stats.signatures.copies import alike, compared
from headwater.stats.signatures.repairs import Repair, apply
from headwater.stats.signatures.signatures import Reference, diagnose
from headwater.triage.case import Diagnosed

REFERENCE_WINDOWS = 28
"""How many accepted windows before an incident say what is normal for a source."""
SURE = 0.5
"""Confidence at which a signature is a finding by itself, if it is `telling`. One that cannot be undone (a table that
came in part, say) looks too much like a holiday: it needs an alarm beside it, or must have come `twice`."""
_SPECIFIC = ("unit",)  # looks like nothing else, also where nobody can tell which rows were hit
RENEWED = 7
"""What is normal is learned anew every so many windows: learning costs half a second for a thousand rows a window."""


def reference(line: Line, asset: str, before: str, *, newest: bool = True) -> Reference | None:
    """Learn what is normal for a source from its last windows before ``before`` that no incident covers.

    Without ``newest`` the last few windows may be left out, so that what was learned serves for a while.
    """
    made = line.assets[asset]
    keys = normal_keys(line, made, before)
    if changed := [item.first for item in line.state.history.acceptances.about([line.ref(asset)])]:
        keys = [key for key in keys if key >= max(changed)]  # what was normal before is no standard any more
        if len(keys) < RENEWED:
            return None
    if not newest:
        keys = keys[: len(keys) - len(keys) % RENEWED] or keys
    keys = _unsigned(line, asset, keys[-REFERENCE_WINDOWS:], before)
    learned = next((one for one in line.references[asset] if one[0] == keys), None)
    if learned is None:
        frames = [(line.calendar.window(key), line.services.tables.read(asset, [key])) for key in keys]
        present = [(window, frame) for window, frame in frames if frame is not None]
        found = None
        if any(frame.height for _, frame in present):
            found = Reference.learn(present, key=made.key, time=made.time, snapshot=made.snapshot)
        learned = (keys, found)
        line.references[asset] = [learned, *line.references[asset][:1]]  # one for screening, one for a standing repair
    return learned[1]


def telling(values: Mapping[str, Any]) -> bool:
    """Tell whether a signature speaks by itself: undoing it restores normality, or nothing else looks like it."""
    return bool(values["invertible"]) or values["fault"] in _SPECIFIC


def twice(line: Line, told: Evidence, at: int = -1) -> bool:
    """Tell whether the window before (``at`` windows from it) carries a sure signature of the same columns as well.

    A holiday is over by then. The faults need not be the same: a shard that is gone takes rows, or shares of them. Of a
    source whose weekends are hardly known nothing is said.
    """
    asset = next((made for name, made in line.assets.items() if line.ref(name) == told.subject), None)
    if asset is None or len(normal_keys(line, asset, told.window)) < 2 * RENEWED:
        return False
    beside = line.calendar.shift(line.calendar.window(told.window), at).key
    other = line.state.evidence[(told.type, told.subject)].get(beside)
    if other is None or min(told.values["confidence"], other.values["confidence"]) < SURE:
        return False
    return bool(set(told.values.get("columns", ())) & set(other.values.get("columns", ())))


def _unsigned(line: Line, asset: str, keys: list[str], before: str) -> list[str]:
    """Leave out windows that carry a signature: a fault that comes and goes must not become what is normal.

    One that cannot be undone must have come twice, or be the newest there is: the window at hand tells if it stays.
    """
    newest = line.calendar.shift(line.calendar.window(before), -1).key
    fired = line.state.evidence[("signature", line.ref(asset))]
    sure = {key: fired[key] for key in keys if key in fired and fired[key].values["confidence"] >= SURE}
    signed = {
        key
        for key, item in sure.items()
        if telling(item.values) or key == newest or twice(line, item) or twice(line, item, 1)
    }
    kept = [key for key in keys if key not in signed]
    return kept if 2 * len(kept) >= len(keys) else keys


AGAIN, _RARELY = 0.04, 0.005


def repeats(line: Line, asset: Asset, key: str) -> bool:
    """Tell whether many rows of a fresh window are alike but for their key, as hardly any were before that began."""
    if _alike(line, asset, key) < AGAIN:
        return False
    before = line.calendar.shift(line.calendar.window(key), -1).key
    return before in line.state.evidence[("signature", line.ref(asset.name))] or _alike(line, asset, before) < _RARELY


def _alike(line: Line, asset: Asset, key: str) -> float:
    frame = None if asset.snapshot or not asset.key else line.services.tables.read(asset.name, [key])
    columns = [] if frame is None else compared(frame.columns, frame, asset.key)
    return alike(frame, columns) if frame is not None and columns else 0.0


def normal_keys(line: Line, asset: Asset, before: str) -> list[str]:
    """Stored windows of an asset before ``before`` that no incident covers."""
    hurt = {
        (name, key)
        for incident in line.state.incidents.all()
        if incident.verdict is not None and incident.verdict.remedy is not None
        for name in (incident.verdict.subject, *incident.verdict.remedy.touches)
        for key in incident.verdict.remedy.windows
    }
    name = line.ref(asset.name)
    return [key for key in line.services.tables.keys(asset.name) if key < before and (name, key) not in hurt]


def diagnosis(line: Line, asset: str, key: str, before: str, *, newest: bool = True) -> Diagnosed | None:
    """Diagnose one window of a source against the windows before ``before``; None when no signature fires."""
    frame = line.services.tables.read(asset, [key])
    learned = reference(line, asset, before, newest=newest)
    if frame is None or learned is None:
        return None
    return diagnosed(line, asset, frame, line.calendar.window(key), learned)


def diagnosed(line: Line, asset: str, frame: pl.DataFrame, window: Window, learned: Reference) -> Diagnosed | None:
    """Diagnose a frame of a source; None when no signature fires.

    That columns are missing which nobody reads is no fault.
    """
    made = line.assets[asset]
    found = diagnose(frame, learned, window=window, key=made.key, time=made.time, snapshot=made.snapshot)
    fired = [item for item in found if item.fault != "missing_column" or readers(line, made, item.column.split(", "))]
    if not fired:
        return None
    best = fired[0]
    mended = apply(best.repair, frame, learned) if best.invertible else None
    if mended is not None and _leaves_gaps(mended, frame, learned):
        mended = None
    return Diagnosed(
        best.repair, mended, best.before, best.after, best.confidence, best.detail, best.invertible, evidence="",
        columns=tuple(best.column.split(", ")) if best.column else (),
    )  # fmt: skip


GAPS = 0.02
"""Share of a column by which a repair may leave more nulls than any window had that was in order."""


def _leaves_gaps(mended: pl.DataFrame, frame: pl.DataFrame, learned: Reference) -> bool:
    """Tell whether a repair puts nulls where there never were so many: what reads the table is not made for them."""
    for column in mended.columns:
        if column not in frame.columns or not mended.height:
            continue
        share = mended[column].null_count() / mended.height
        usual = [one[column].null_count() / max(1, one.height) for one in learned.frames if column in one.columns]
        if share > max(usual, default=1.0) + GAPS and mended[column].null_count() > frame[column].null_count():
            return True
    return False


def mend(line: Line, asset: str, frame: pl.DataFrame, repair: Mapping[str, object], window: Window) -> pl.DataFrame:
    """Apply a standing repair to a source's fresh frame, unless the source is right again.

    It is right again when the repair would take it away from normal. That the fault shows is not asked: on a cold day
    temperatures in the wrong unit look like a fault of another kind.
    """
    learned = reference(line, asset, str(repair["before"]))
    if learned is None or not frame.height:
        return frame
    mended = apply(Repair.of(repair["repair"]), frame, learned)  # type: ignore[arg-type]
    before, after = learned.score(frame, window), learned.score(mended, window)
    touched = [name for name in before.values if before.values[name] != after.values.get(name)]
    gained = sum(before.ratios[name] - after.ratios.get(name, 0.0) for name in touched)
    return mended if gained > 0 else frame
