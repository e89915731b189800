"""A generated lineage of as many assets as wanted: many small feeds that end in one or two models; a test of scale.

A block is six assets: a feed, its staging, a reference table, their join, a history, a feature. Blocks are assembled
four by four into feature views; what is left of the wanted number are reports that nobody reads. Every row depends on
the seed, its block and its day alone. Outcomes depend on every block's feature, a little.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import UsageError
from headwater.core.project import Project
from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures.entry import Entry
from headwater.testing.silent_failures.pipelines.landing import summed
from headwater.testing.silent_failures.pipelines.wide_faults import decoys, faults, worlds

CALENDAR = Calendar("1d", "UTC")
SEED = 11
CASES = 45
"""Cases on a usual day."""
CODES = ("KA", "KB", "KC", "KD", "KE", "KF")
UNLISTED = "KF"
"""The code that no reference table lists yet."""
SEGMENTS = ("private", "trade", "public")
BUSY = ("2024-02-03", "2024-03-08", "2024-03-23")
"""Days with two and a half times as many cases, which is no fault."""
HISTORY_DAYS = 7
FAN_IN = 4
PER_BLOCK, AROUND = 6, 3
"""Assets of a block, and those that all models share: outcomes, their feed and labels."""
CALIBRATED = 0.4
"""Share of the training rows, the newest, that only calibrator and threshold see."""


# --- what happens -----------------------------------------------------------------------------------------------------
def _rng(seed: int, stream: int, day: str) -> np.random.Generator:
    return np.random.default_rng([seed, stream, date.fromisoformat(day).toordinal()])


@functools.lru_cache(maxsize=4)
def tastes(seed: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each block's feature in the outcome, and of each code in a block (nan where unlisted)."""
    rng = np.random.default_rng([seed, 0])
    weights = rng.choice((-1.0, 1.0), blocks) * rng.uniform(0.6, 1.4, blocks) * 2.0 / np.sqrt(blocks)
    factors = np.round(rng.uniform(0.5, 1.5, (blocks, len(CODES))), 3)
    return weights, factors


@functools.lru_cache(maxsize=512)
def happened(seed: int, blocks: int, day: str) -> Mapping[str, np.ndarray]:
    """Return everything about the cases of a day: numbers and codes by block, segments, outcomes."""
    rng = _rng(seed, 1, day)
    count = int(rng.poisson(CASES * (2.5 if day in BUSY else 1.0))) + 5
    x = rng.normal(20.0, 6.0, (blocks, count)).round(2)
    codes = rng.choice(len(CODES), (blocks, count), p=(0.3, 0.25, 0.2, 0.15, 0.07, 0.03))
    segment = rng.choice(len(SEGMENTS), count, p=(0.6, 0.3, 0.1))
    weights, factors = tastes(seed, blocks)
    value = (x - 20.0) / 6.0 * np.take_along_axis(factors, codes, axis=1)
    logit = weights @ value + np.array((-0.2, 0.3, 0.6))[segment] - 0.6
    outcome = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return {
        "x": x,
        "codes": codes,
        "segment": segment,
        "outcome": outcome,
        "seconds": np.sort(rng.integers(0, 86_400, count)),
    }


def _days(window: Window) -> list[str]:
    first, _, last = window.key.partition("..")
    return [item.key for item in CALENDAR.between(first, last or first)]


def _cases(
    seed: int, blocks: int, window: Window, columns: Callable[[Mapping[str, np.ndarray]], dict[str, Any]]
) -> pl.DataFrame:
    frames = []
    for day in _days(window):
        rows = happened(seed, blocks, day)
        count = len(rows["outcome"])
        start = pl.lit(CALENDAR.window(day).start).cast(pl.Datetime("us", "UTC"))
        base = pl.DataFrame({"id": [f"C{day[2:].replace('-', '')}-{number:04d}" for number in range(count)],
                             "at": rows["seconds"], **columns(rows)})  # fmt: skip
        frames.append(base.with_columns(at=start + pl.duration(seconds="at")))
    return pl.concat(frames)


def feed(seed: int, blocks: int, block: int) -> Callable[[Window], pl.DataFrame]:
    """Return the feed of a block: a number, a code, and of the first block the segment too."""

    def columns(rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        made: dict[str, Any] = {"x": rows["x"][block], "code": np.array(CODES)[rows["codes"][block]]}
        return made | ({"segment": np.array(SEGMENTS)[rows["segment"]]} if block == 0 else {})

    return lambda window: _cases(seed, blocks, window, columns)


def reference(seed: int, blocks: int, block: int) -> Callable[[Window], pl.DataFrame]:
    """Return the reference table of a block: a factor for each code that is listed."""

    def table(window: Window) -> pl.DataFrame:
        listed = pl.DataFrame({"code": CODES, "factor": tastes(seed, blocks)[1][block]})
        return listed.filter(pl.col("code") != UNLISTED)

    return table


def results(seed: int, blocks: int) -> Callable[[Window], pl.DataFrame]:
    """Return the feed of outcomes, which comes a day late."""
    return lambda window: _cases(seed, blocks, window, lambda rows: {"outcome": rows["outcome"]})


# --- the plain functions: the same for every block --------------------------------------------------------------------
def staged(raw: pl.DataFrame) -> pl.DataFrame:
    """Typed rows, one a case; a number beyond reason is not known."""
    sane = pl.when(pl.col("x").is_between(-50, 500)).then("x")
    typed = raw.with_columns(x=sane, code=pl.col("code").str.strip_chars().str.to_uppercase())
    return typed.unique("id", keep="first", maintain_order=True).sort("id")


def joined(staged: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Rows with the factor of their code; a code that is not listed yet counts as it is."""
    known = staged.join(reference, on="code", how="left")
    return known.with_columns(value=(pl.col("x") - 20) / 6 * pl.col("factor").fill_null(1.0)).sort("id")


def history(joined: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Mean number of each code over `HISTORY_DAYS` days, known the day after; thousandths are added up whole."""
    thousandths = (pl.col("x") * 1000).round().cast(pl.Int64)
    daily = joined.drop_nulls("x").group_by(pl.col("at").dt.date().alias("day"), "code")
    counts = summed(daily.agg(n=pl.len().cast(pl.Int64), total=thousandths.sum()), ("code",), HISTORY_DAYS, window)
    usual = pl.col("total") / 1000 / pl.col("n")
    return counts.select("day", "code", known_on=pl.col("day") + pl.duration(days=1), usual=usual)


def featured(name: str) -> Callable[..., pl.DataFrame]:
    """Return the function of a block's feature: the value, moved by what is usual of its code."""

    def feature(joined: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
        known = history.drop("day")
        dated = joined.with_columns(known_on=pl.col("at").dt.date())
        both = dated.join(known, on=["code", "known_on"], how="left", maintain_order="left")
        moved = pl.col("value") - 0.3 * (pl.col("usual").fill_null(20.0) - 20)
        kept = [column for column in ("segment",) if column in joined.columns]
        return both.select("id", "at", *kept, moved.alias(name)).sort("id")

    return feature


def report(joined: pl.DataFrame) -> pl.DataFrame:
    """A day's mean value by code, which nobody reads."""
    daily = joined.group_by(pl.col("at").dt.date().alias("day"), "code").agg(
        n=pl.len().cast(pl.Int64), mean=pl.mean("value")
    )
    return daily.sort("day", "code")


def _side_by_side(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.join(frame.drop("at"), on="id", how="left")
    return whole.sort("id")


def assemble_1(a: pl.DataFrame) -> pl.DataFrame:
    """One part as it is."""
    return a.sort("id")


def assemble_2(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Two parts side by side."""
    return _side_by_side((a, b))


def assemble_3(a: pl.DataFrame, b: pl.DataFrame, c: pl.DataFrame) -> pl.DataFrame:
    """Three parts side by side."""
    return _side_by_side((a, b, c))


def assemble_4(a: pl.DataFrame, b: pl.DataFrame, c: pl.DataFrame, d: pl.DataFrame) -> pl.DataFrame:
    """Four parts side by side."""
    return _side_by_side((a, b, c, d))


ASSEMBLE: tuple[Callable[..., pl.DataFrame], ...] = (assemble_1, assemble_2, assemble_3, assemble_4)


def outcomes(staged: pl.DataFrame, raw_outcomes: pl.DataFrame) -> pl.DataFrame:
    """Cases with what became of them."""
    return (
        staged.select("id", "at", "segment").join(raw_outcomes.select("id", "outcome"), on="id", how="left").sort("id")
    )


def labelled(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The outcomes that are known."""
    return outcomes.drop_nulls("outcome").select("id", "at", "outcome")


# --- the model --------------------------------------------------------------------------------------------------------
def trainer(columns: Sequence[str]) -> Callable[[pl.DataFrame, int], dict[str, Any]]:
    """Return the training function of a model: a logistic regression, a calibrator, a threshold."""

    def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
        from sklearn.linear_model import LogisticRegression

        frame = frame.sort("at", "id")
        x, y = _matrix(frame, columns), frame["outcome"].to_numpy()
        cut = round(frame.height * (1 - CALIBRATED))
        picked = np.sort(np.random.default_rng(seed).choice(cut, cut * 9 // 10, replace=False))
        model = LogisticRegression(C=0.003).fit(x[:cut][picked], y[:cut][picked])  # timid: the calibrator mends it
        raw = model.decision_function(x[cut:]).reshape(-1, 1)
        calibrator = LogisticRegression(C=100.0).fit(raw, y[cut:])
        threshold = float(np.quantile(calibrator.predict_proba(raw)[:, 1], 0.7))
        return {"model": model, "calibrator": calibrator, "threshold": threshold}

    return train


def scorer(columns: Sequence[str]) -> Callable[[Mapping[str, Any], pl.DataFrame], pl.DataFrame]:
    """Return the scoring function of a model."""

    def score(parts: Mapping[str, Any], served: pl.DataFrame) -> pl.DataFrame:
        if not served.height:
            return pl.DataFrame(schema={"p": pl.Float64, "decision": pl.Int64})
        x = _matrix(served, columns)
        p = parts["model"].predict_proba(x)[:, 1]
        if parts.get("calibrator") is not None:
            p = parts["calibrator"].predict_proba(parts["model"].decision_function(x).reshape(-1, 1))[:, 1]
        return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})

    return score


def _matrix(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    return frame.select(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in columns).to_numpy()


def served(features: pl.DataFrame) -> pl.DataFrame:
    """What the online store hands to the server: the features."""
    return features


def missed(rows: pl.DataFrame) -> pl.Series:
    """Ten euros for each case that nobody foresaw, one for each that was foreseen in vain."""
    return 10.0 * rows["outcome"] * (1 - rows["decision"]) + (1 - rows["outcome"]) * rows["decision"]


# --- the lineage ------------------------------------------------------------------------------------------------------
def layout(assets: int, models: int = 1) -> tuple[int, int]:
    """Return how many blocks make a lineage of so many assets, and how many reports fill it up.

    Raises:
        UsageError: That is too few for a block and a model.
    """
    fitting = [blocks for blocks in range(1, assets // PER_BLOCK + 1) if _size(blocks, models) <= assets]
    if not fitting:
        raise UsageError(f"{assets} assets are too few for a lineage", hint=f"{_size(1, models)} or more make one")
    return fitting[-1], assets - _size(fitting[-1], models)


def _read(blocks: int, model: int) -> list[int]:
    """List the blocks that a model reads: the first one all, each further one fewer."""
    return list(range(0, blocks, model + 1))


def _size(blocks: int, models: int) -> int:
    views = [len(_levels(len(_read(blocks, model)))) for model in range(models)]
    return PER_BLOCK * blocks + sum(views) + 2 * models + AROUND


def _levels(parts: int) -> list[tuple[int, int, int, int]]:
    """List the assemblies over some parts: level, place, and the first and last of the level below; the last is it."""
    found, level = [], 0
    while parts > 1 or level == 0:
        level += 1
        above = -(-parts // FAN_IN)
        found += [(level, place, place * FAN_IN, min((place + 1) * FAN_IN, parts) - 1) for place in range(above)]
        parts = above
    return found


def _assembled(project: Project, name: str, parts: list[str]) -> str:
    """Add the assemblies over some features; return the name of the feature view."""
    levels = _levels(len(parts))
    for level, place, first, last in levels:
        below = parts if level == 1 else [f"{name}_{level - 1}_{index:02d}" for index in range(last + 1)]
        here, view = below[first : last + 1], (level, place) == levels[-1][:2]
        options: dict[str, Any] = {"parents": here, "key": ["id"], "time": "at"}
        if view:
            project.features(ASSEMBLE[len(here) - 1], name=f"{name}_features", **options)
        else:
            project.dataset(ASSEMBLE[len(here) - 1], name=f"{name}_{level}_{place:02d}", side="ml", **options)
    return f"{name}_features"


def build(assets: int = 100, models: int = 1, seed: int = SEED) -> Project:
    """Put a lineage of so many assets together.

    The first model, ``risk``, reads every block, a second one (``risk_2``) every second block, and so on.

    Raises:
        UsageError: That is too few.
    """
    blocks, reports = layout(assets, models)
    project, case = Project(f"wide{assets}", every=CALENDAR.every, timezone=CALENDAR.timezone), ["id"]
    for block in range(blocks):
        n = f"{block:02d}"
        project.source(feed(seed, blocks, block), name=f"raw_{n}", key=case, time="at")
        project.source(reference(seed, blocks, block), name=f"raw_codes_{n}", key=["code"], snapshot=True)
        project.dataset(staged, name=f"staged_{n}", parents=[f"raw_{n}"], layer="staged", key=case, time="at")
        both = [f"staged_{n}", f"raw_codes_{n}"]
        project.dataset(joined, name=f"joined_{n}", parents=both, key=case, time="at")
        back = {f"joined_{n}": HISTORY_DAYS - 1}
        project.dataset(history, name=f"history_{n}", parents=[f"joined_{n}"], key=["code", "day"], time="day",
                        lookback=back, side="ml")  # fmt: skip
        both, back = [f"joined_{n}", f"history_{n}"], {f"history_{n}": 3}
        project.dataset(featured(f"f{n}"), name=f"feature_{n}", parents=both, layer="feature", key=case, time="at",
                        lookback=back, side="ml")  # fmt: skip
    for place in range(reports):
        parents = [f"joined_{place % blocks:02d}"]
        project.dataset(report, name=f"report_{place:02d}", parents=parents, key=["day", "code"], time="day")
    project.source(results(seed, blocks), name="raw_outcomes", key=case, time="at", lag=1)
    project.dataset(outcomes, parents=["staged_00", "raw_outcomes"], key=case, time="at", lag=1)
    project.labels(labelled, name="outcome_labels", parents=["outcomes"], key=case, time="at", lag=1)
    for model in range(models):
        _model(project, "risk" if not model else f"risk_{model + 1}", _read(blocks, model))
    return project


def _model(project: Project, name: str, blocks: Sequence[int]) -> None:
    columns = tuple(f"f{block:02d}" for block in blocks)
    view = _assembled(project, name, [f"feature_{block:02d}" for block in blocks])
    project.model(
        name, features=view, labels="outcome_labels", entity="id", outcome="outcome", columns=columns,
        train=trainer(columns), score=scorer(columns), serve=served, cost=missed, unit="euro", carry=("at", "segment"),
    )  # fmt: skip


def wide(assets: int = 100) -> Entry:
    """Return the entry of a lineage of so many assets."""
    blocks, _ = layout(assets)
    return Entry(
        name=f"wide{assets}",
        build=functools.partial(build, assets),
        history=("2023-12-11", "2024-02-18"),
        live=("2024-02-19", "2024-04-07"),
        onsets=("2024-03-11", "2024-03-19", "2024-03-28"),
        faults=faults(f"wide{assets}", blocks),
        decoys=decoys(f"wide{assets}", blocks),
        worlds=worlds(f"wide{assets}", blocks),
        storms=tuple(day for day in BUSY if day >= "2024-02-19"),
        describe=f"a generated lineage of {assets} assets",
    )


ENTRY = wide(100)
WIDE_500 = wide(500)
