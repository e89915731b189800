"""The peers' rules, written anew in `rivals.py`, against the peers themselves on the same real windows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from profiling.environments import environment
from quiet.alarms import Replay, row_rules
from quiet.rivals import Coding, Sample, evidently
from quiet.series import LEFT_OUT, Series, series

CACHE = Path(__file__).resolve().parents[2] / ".bench"
CHECKED = ("flights2013", "taxi", "hotel", "weather2023")
WINDOWS = 20
SMALL = 1000


def agreement(name: str) -> list[dict[str, Any]]:
    """Return per peer and size of reference in how many of a series' compared column-windows they agree."""
    rows = []
    found = series(name)
    frames = [(w, f.drop(LEFT_OUT, strict=False).drop(_times(f), strict=False)) for w, f in found.frames]
    sampled = frames[found.start :: max(1, (len(frames) - found.start) // WINDOWS)][:WINDOWS]
    past = pl.concat([frame for _, frame in frames[: found.start]])
    looked = [past, *(frame for _, frame in sampled)]
    empty = [name for name in past.columns if any(one.get_column(name).null_count() == one.height for one in looked)]
    frames = [(window, frame.drop(empty)) for window, frame in frames]  # Evidently refuses them
    sampled, past = [(window, frame.drop(empty)) for window, frame in sampled], past.drop(empty)
    coding = Coding.of([frame for _, frame in frames])
    for label, reference in (("all", past), (str(SMALL), past.sample(SMALL, seed=4))):
        told = _ask("evidently", reference, sampled)
        ours = {}
        for window, frame in sampled:
            for column, kind in coding.kinds.items():
                pair = [coding.sample(one, column) for one in (reference, frame)]
                ours[window.key, column] = evidently(pair[0], pair[1], kind)
        rows.append(_compared("Evidently", name, label, told, ours))
        print(rows[-1], file=sys.stderr, flush=True)
    told = _ask("nannyml", _marked(frames[: found.start]), frames[found.start :])
    replay = _nannyml(found, [coding.samples(frame) for _, frame in frames], coding)
    ours = {
        (window, column): float(replay.scores[at, place])
        for at, window in enumerate(replay.windows)
        for place, column in enumerate(replay.streams)
    }
    rows.append(_compared("NannyML", name, "all", told, ours))
    print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _times(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype.is_temporal()]


def _nannyml(found: Series, samples: list[dict[str, Sample]], coding: Coding) -> Replay:
    windows = [window.key for window, _ in found.frames]
    return row_rules(samples, windows, found.start, dict(coding.kinds), ("NannyML",))["NannyML"]


def _marked(frames: list[Any]) -> pl.DataFrame:
    return pl.concat([frame.with_columns(pl.lit(window.key).alias("_window")) for window, frame in frames])


def _ask(peer: str, reference: pl.DataFrame, frames: list[Any]) -> dict[str, Any]:
    script = Path(__file__).parent / "peers" / f"{peer}_drift.py"
    with tempfile.TemporaryDirectory() as folder:
        reference.write_parquet(Path(folder) / "reference.parquet")
        _marked(frames).write_parquet(Path(folder) / "windows.parquet")
        python = environment(peer, CACHE)
        made = subprocess.run([python, script, folder], capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(f"{peer} failed: {made.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
    return found


def _compared(
    peer: str, name: str, label: str, told: Mapping[str, Any], ours: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    same = compared = alarms = 0
    differ = []
    for window, columns in told.items():
        for column, verdict in columns.items():
            score = ours.get((window, column))
            if score is None or score != score or verdict["value"] != verdict["value"]:
                continue
            compared, alarms = compared + 1, alarms + verdict["alarm"]
            if verdict["alarm"] == (score >= 1):
                same += 1
            else:
                differ.append((window, column, verdict, round(score, 3)))
    return {
        "peer": peer, "series": name, "reference": label, "compared": compared, "same": same, "alarms": alarms,
        "differ": differ[:5],
    }  # fmt: skip
