"""Measure estimates without labels on real series: error, bias, coverage, abstention; against NannyML and baselines.

    make bench-labelfree                  # everything; writes the section of benchmarks/RESULTS.md
    python -m labelfree.run --half tune      # only the series that constants were chosen on

Reads the data folder named by HEADWATER_DATA; keeps NannyML's environment and tables under .bench.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from labelfree.series import Series, load
from real_tables import DATA

from headwater.stats.estimates import cbpe, dle
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.estimation import MIN_PAST, Estimate, Track
from headwater.stats.estimates.pape import Pape

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".bench" / "labelfree"
FIRST = 4
"""Labelled windows that are the reference: of NannyML, of the first baseline, of the cells columns are cut into."""
METRICS = {"binary": ("accuracy", "f1", "recall", "precision", "log_loss", "base_rate"), "regression": ("mae", "rmse")}
SEED = 11


@dataclass(frozen=True)
class Told:
    """One estimate of one metric of one window, beside what became of it."""

    series: str
    metric: str
    window: int
    method: str
    value: float
    low: float
    high: float
    valid: bool
    reason: str
    realised: float

    @property
    def error(self) -> float:
        """Estimated minus realised."""
        return self.value - self.realised

    @property
    def covered(self) -> bool:
        """Whether the band held what came."""
        return self.low <= self.realised <= self.high


def threshold(series: Series) -> float:
    """The probability from which a row is decided to be 1."""
    return 0.3 if "late" in series.name or "2023" in series.name else 0.5


def reference(series: Series) -> list[int]:
    """The first windows whose labels had come when the first estimate was due."""
    return list(range(min(FIRST, len(series.windows))))


def prepared(series: Series) -> list[Any]:
    """Sum up every window, with its labels."""
    first = [series.windows[at] for at in reference(series)]
    features = pl.concat([window.features for window in first])
    if series.task == "regression":
        cells = dle.encoding_of(features, np.concatenate([window.prediction for window in first]))
        return [dle.Losses.of(cells, item.features, item.prediction, item.outcome) for item in series.windows]
    cells, line = Encoding.of(features), threshold(series)
    return [
        cbpe.Tally.of(item.prediction, (item.prediction >= line).astype(float), item.outcome,
                      given=(cells, item.features))
        for item in series.windows
    ]  # fmt: skip


def blind(window: Any) -> Any:
    """Take the labels out of a window."""
    if isinstance(window, cbpe.Tally):
        kept = None if window.kept is None else replace(window.kept, outcome=np.full(window.n, np.nan))
        return replace(window, positive=None, realised={}, kept=kept)
    return replace(window, pairs=None, by_cell={}, total={}, squares={})


def tracks(series: Series) -> dict[str, Track[Any]]:
    """Ours, as it chooses by itself, and its parts alone."""
    if series.task == "regression":
        return {"headwater": Track(dle.candidates(), "mae")}
    calibrated = [cbpe.Cbpe(memory) for memory in cbpe.MEMORIES]
    return {
        "headwater": Track([*calibrated, Pape()]),
        "CBPE only": Track([cbpe.Cbpe(memory) for memory in cbpe.MEMORIES]),
        "PAPE only": Track([Pape()]),
    }


def settled_by(series: Series, at: int) -> list[int]:
    """The windows whose labels were there when a window was scored."""
    now = series.windows[at].at
    return [place for place in range(at) if series.windows[place].known <= now]


def replayed(series: Series, windows: Sequence[Any], track: Track[Any]) -> list[dict[str, Estimate]]:
    """Live through a series: settle what was known, estimate, go on."""
    found, done = [], set()
    for at, window in enumerate(windows):
        for place in settled_by(series, at):
            if place not in done:
                track.settle(f"{place:04}", windows[place])
                done.add(place)
        found.append(track.estimate(f"{at:04}", blind(window)) if done else {})
    return found


def ours(series: Series) -> list[Told]:
    """Estimates of all methods of ours and of the baselines, of the windows that have a band."""
    windows = prepared(series)
    judge = next(iter(tracks(series).values())).estimators[0]
    truth = [judge.realised(window) for window in windows]
    told = []
    for method, track in tracks(series).items():
        for at, found in enumerate(replayed(series, windows, track)):
            told += [
                Told(series.name, item.metric, at, method, item.value, item.low, item.high, item.valid, item.reason,
                     truth[at][item.metric])
                for item in found.values()
                if item.errors >= MIN_PAST and item.metric in truth[at]
            ]  # fmt: skip
    scored = {(item.metric, item.window) for item in told if item.method == "headwater"}
    first = reference(series)
    for metric, at in sorted(scored):
        before = [truth[place][metric] for place in settled_by(series, at) if metric in truth[place]]
        usual = [truth[place][metric] for place in first if metric in truth[place]]
        for method, value in (("as in reference", float(np.mean(usual))), ("as last labelled", before[-1])):
            told.append(Told(series.name, metric, at, method, value, np.nan, np.nan, True, "", truth[at][metric]))
    return told


def nannyml(all_series: Sequence[Series], told: Sequence[Told]) -> list[Told]:
    """NannyML's estimates of the same windows: fitted once, and fitted anew on the newest labelled windows."""
    CACHE.mkdir(parents=True, exist_ok=True)
    spec: dict[str, dict[str, Any]] = {}
    for series in all_series:
        path = CACHE / f"{series.name}.parquet"
        line = threshold(series)
        pl.concat([
            item.features.with_columns(_window=pl.lit(f"{at:04}"), _y=pl.Series(item.outcome),
                                       _p=pl.Series(item.prediction),
                                       _d=pl.Series((item.prediction >= line).astype(float)))
            for at, item in enumerate(series.windows)
        ]).write_parquet(path)  # fmt: skip
        places = sorted({item.window for item in told if item.series == series.name})
        common = {"path": str(path), "task": series.task}
        spec[f"{series.name} once"] = {
            **common, "reference": [f"{at:04}" for at in reference(series)], "scored": [f"{at:04}" for at in places]
        }  # fmt: skip
        for at in places if series.task == "binary" else ():  # its loss models take minutes a series to fit anew
            newest = [f"{place:04}" for place in settled_by(series, at)[-FIRST:]]
            spec[f"{series.name} anew {at}"] = {**common, "reference": newest, "scored": [f"{at:04}"]}
    answer = asked(spec)
    truth = {(item.series, item.metric, item.window): item.realised for item in told}
    return [
        Told(name.split()[0], metric, int(key), f"NannyML fitted {name.split()[1]}", *numbers, True, "",
             truth[(name.split()[0], metric, int(key))])
        for name, found in answer.items() for metric, keys in found.items() for key, numbers in keys.items()
        if (name.split()[0], metric, int(key)) in truth
    ]  # fmt: skip


def asked(spec: dict[str, Any]) -> dict[str, Any]:
    """Run NannyML in its environment."""
    from profiling.environments import environment

    python = environment("nannyml", ROOT / ".bench")
    path = CACHE / "spec.json"
    path.write_text(json.dumps(spec))
    made = subprocess.run(
        [str(python), str(ROOT / "benchmarks" / "labelfree" / "nannyml_estimates.py"), str(path)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise SystemExit(f"NannyML failed: {made.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


# --- concept shift ----------------------------------------------------------------------------------------------------
def _flipped(y: np.ndarray, f: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(y)) < 0.25, 1 - y, y)


def _wider(y: np.ndarray, f: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where((y == 0) & (random.random(len(y)) < 0.3), 1.0, y)


def _narrower(y: np.ndarray, f: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where((y == 1) & (random.random(len(y)) < 0.6), 0.0, y)


def _noisier(y: np.ndarray, f: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return y + np.std(y) * random.standard_normal(len(y))


def _higher(y: np.ndarray, f: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return y + 0.8 * np.std(y)


Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
CHANGES: dict[str, dict[str, Change]] = {
    "binary": {"a quarter of outcomes turned round": _flipped, "30 % of 0 called 1": _wider,
               "60 % of 1 called 0": _narrower},
    "regression": {"noise of one sd": _noisier, "all outcomes .8 sd higher": _higher},
}  # fmt: skip


def planted(series: Series) -> list[tuple[str, str, str, Estimate, float]]:
    """Change what labels mean from some window on; return change, metric, phase, estimate and truth."""
    found = []
    n = len(series.windows)
    for change, apply in CHANGES[series.task].items():
        for at in range(max(MIN_PAST + 3, n // 2 - 2), n - 4, 4):
            random = np.random.default_rng([SEED, at])
            later = [replace(item, outcome=apply(item.outcome, item.prediction, random))
                     for item in series.windows[at:]]  # fmt: skip
            changed = replace(series, windows=[*series.windows[:at], *later])
            windows = prepared(changed)
            track = (
                Track([cbpe.Cbpe(memory) for memory in cbpe.MEMORIES])
                if series.task == "binary"
                else tracks(changed)["headwater"]
            )
            estimates = replayed(changed, windows, track)
            told = 0
            for place in range(at, n):
                phase = "blind"
                if settled_by(changed, place)[-1:] >= [at]:
                    told += 1
                    phase = {1: "1st", 2: "2nd", 3: "3rd"}.get(told, "later")
                truth = track.estimators[0].realised(windows[place])
                found += [
                    (change, metric, phase, item, truth[metric])
                    for metric, item in estimates[place].items()
                    if item.errors >= MIN_PAST and metric in truth
                ]
    return found


# --- the rest ---------------------------------------------------------------------------------------------------------
def auc_errors(series: Series) -> tuple[float, float, float] | None:
    """Mean error of an AUC estimated from recalibrated p, of the reference's AUC, and of the last labelled one."""
    from headwater.stats.outcomes.performance import auc

    windows = prepared(series)
    real = [auc(item.outcome, item.prediction) for item in series.windows]
    usual = float(np.nanmean([real[at] for at in reference(series)]))
    ours, constant, last = [], [], []
    for at in range(len(windows)):
        known = settled_by(series, at)
        if len(known) < MIN_PAST or not np.isfinite(real[at]):
            continue
        q = cbpe.remembered([windows[place] for place in known], 0.65).recalibrated()
        rows = windows[at].rows.sum(axis=0)
        ones, none = rows * q, rows * (1 - q)
        below = np.cumsum(none) - none / 2
        ours.append(abs(float((ones * below).sum() / (ones.sum() * none.sum())) - real[at]))
        constant.append(abs(usual - real[at]))
        last.append(abs(real[known[-1]] - real[at]))
    return (float(np.mean(ours)), float(np.mean(constant)), float(np.mean(last))) if ours else None


def speed(rounds: int) -> dict[str, Any]:
    """Estimate 500,000 rows in 10 chunks: ours with bands and validity test, then NannyML, in alternation."""
    random = np.random.default_rng(SEED)
    p = random.beta(1.5, 4, 1_000_000)
    y, d = (random.random(len(p)) < p).astype(float), (p > 0.4).astype(float)
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / "speed.parquet"
    pl.DataFrame({"_p": p, "_d": d, "_y": y}).write_parquet(path)
    parts = [slice(at, at + 50_000) for at in range(0, 1_000_000, 50_000)]
    track = Track([cbpe.Cbpe(memory) for memory in cbpe.MEMORIES])
    for at, part in enumerate(parts[:10]):
        track.estimate(f"{at:04}", cbpe.Tally.of(p[part], d[part]))
        track.settle(f"{at:04}", cbpe.Tally.of(p[part], d[part], y[part]))
    pairs, shown = [], 0
    for turn in range(rounds):
        start = time.perf_counter()
        for at, part in enumerate(parts[10:]):
            found = track.estimate(f"{1000 * (turn + 1) + at:04}", cbpe.Tally.of(p[part], d[part]))
            shown += sum(item.valid for item in found.values())
        mine = time.perf_counter() - start
        pairs.append((mine, asked({"speed": {"path": str(path)}})["seconds"]))
    return {
        "ours": statistics.median(mine for mine, _ in pairs),
        "theirs": statistics.median(other for _, other in pairs),
        "ratio": statistics.median(other / mine for mine, other in pairs),
        "least": min(other / mine for mine, other in pairs),
        "rounds": rounds,
        "shown": shown / (rounds * 10),
    }


def main() -> None:
    """Run everything and write the page."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--half", choices=("tune", "report", "both"), default="both")
    given.add_argument("--rounds", type=int, default=5, help="rounds of the speed comparison")
    given.add_argument("--no-nannyml", action="store_true", help="only ours and the baselines")
    options = given.parse_args()
    if not (DATA / "nycflights").is_dir():
        raise SystemExit(
            f"no data in {DATA}\nhint: name the folder with the tables: HEADWATER_DATA=... make bench-labelfree"
        )
    from labelfree import monitor, page

    halves = ["tune", "report"] if options.half == "both" else [options.half]
    all_series = load(halves)
    told = []
    for series in all_series:
        print(series.name, file=sys.stderr)
        told += ours(series)
    if not options.no_nannyml:
        told += nannyml(all_series, told)
    scored = [series for series in all_series if any(item.series == series.name for item in told)]
    changes = {half: [item for series in scored if series.half == half for item in planted(series)] for half in halves}
    auc = {series.name: auc_errors(series) for series in scored if series.task == "binary"}
    fast = None if options.no_nannyml else speed(options.rounds)
    quiet = {year: monitor.replay(year) for year in (2013, 2023)}
    text = page.section(all_series, told, changes, auc, fast, quiet)
    print(text)
    if options.half == "both" and not options.no_nannyml:
        page.write(text)


if __name__ == "__main__":
    main()
