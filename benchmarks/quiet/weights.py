"""Windows of any number of rows at the price of one: a real window's rows, each drawn so and so many times.

Drawing n rows with replacement gives every row a count. What a profile holds depends on rows and counts alone, so the
profile of ten million drawn rows is computed from a thousand rows and their counts. `check` proves it: the same draw
laid out row by row goes through `stats.profiling.profile`, and every number must be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from quiet.series import Series

from headwater.core.windows import Window
from headwater.stats.profiling.mixes import frequent_values, share_metric
from headwater.stats.profiling.profile import QUANTILES, instant, known_values, profile

Floats = npt.NDArray[np.float64]
LEFT_OUT = ("duplicate_share", "repeat_share", "offset", "offset_wall")
"""Metrics that rows drawn with replacement make meaningless, or that hold between columns and do not depend on size."""
_LEAST = 50


def draws(series: Series, rows: int, seed: int = 5) -> Iterator[tuple[Window, pl.DataFrame, Floats]]:
    """Yield each window with its rows and how often each is drawn.

    A day keeps its own distribution, so windows differ from each other as much as in truth, the sampling error of the
    day's own rows included; only the noise of the drawn rows shrinks with their number. Windows of less than 50 rows
    are left out: a million copies of a handful of rows are no large table.
    """
    random = np.random.default_rng(seed)
    for window, frame in series.frames:
        if frame.height >= _LEAST:
            counts = random.multinomial(rows, np.full(frame.height, 1 / frame.height))
            yield window, frame, counts.astype(np.float64)


def weighted_profile(
    frame: pl.DataFrame,
    counts: Floats,
    window: Window,
    known: Mapping[str, frozenset[str]],
    frequent: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Return the profile of the rows, each as often as it was drawn."""
    total = float(counts.sum())
    found = {"rows": total}
    for name, dtype in frame.schema.items():
        series = frame.get_column(name)
        null = series.is_null().to_numpy()
        found[f"null_share.{name}"] = float(counts[null].sum()) / total
        if dtype == pl.Boolean:
            yes = series.fill_null(False).to_numpy()
            found[f"true_share.{name}"] = float(counts[yes].sum() / max(counts[~null].sum(), 1))
        elif dtype.is_numeric():
            found |= _numbers(name, series, counts, dtype.is_float())
        elif dtype in (pl.Datetime, pl.Date):
            found |= _times(name, frame, counts, window)
        elif dtype == pl.String:
            found |= _texts(name, series, counts, known.get(name))
        if wanted := frequent.get(name):
            found |= _mix(name, series, counts, wanted)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _numbers(name: str, series: pl.Series, counts: Floats, is_float: bool) -> dict[str, float]:
    values, total = series.cast(pl.Float64).to_numpy(), float(counts.sum())
    null = series.is_null().to_numpy()
    kept = np.isfinite(values) & (counts > 0)
    found = {f"zero_share.{name}": float(counts[values == 0].sum()) / total}
    if is_float:
        found[f"nan_share.{name}"] = float(counts[~np.isfinite(values) & ~null].sum()) / total
    if not kept.any():
        return found
    value, count = values[kept], counts[kept]
    size, mean = count.sum(), float((value * count).sum() / count.sum())
    found |= {f"mean.{name}": mean, f"min.{name}": float(value.min()), f"max.{name}": float(value.max())}
    if size > 1:
        found[f"std.{name}"] = float(np.sqrt((count * (value - mean) ** 2).sum() / (size - 1)))
    order = np.argsort(value, kind="stable")
    ordered, ends = value[order], np.cumsum(count[order])
    for label, share in QUANTILES.items():
        place = (size - 1) * share
        low, high = (ordered[np.searchsorted(ends, at, side="right")] for at in (np.floor(place), np.ceil(place)))
        found[f"{label}.{name}"] = float(low + (high - low) * (place - np.floor(place)))
    return found


def _times(name: str, frame: pl.DataFrame, counts: Floats, window: Window) -> dict[str, float]:
    moments = frame.select(instant(name, frame.schema[name])).to_series()
    kept = moments.is_not_null().to_numpy() & (counts > 0)
    if not kept.any():
        return {}
    hours = (moments.cast(pl.Float64).to_numpy()[kept] - window.start.timestamp() * 1e6) / 3.6e9
    mean = (hours * counts[kept]).sum() / counts[kept].sum()
    low, high = float(hours.min()), float(hours.max())
    return {f"min_hours.{name}": low, f"mean_hours.{name}": float(mean), f"max_hours.{name}": high}


def _texts(name: str, series: pl.Series, counts: Floats, known: frozenset[str] | None) -> dict[str, float]:
    total = float(counts.sum())
    table = pl.DataFrame({"text": series, "count": counts}).filter(pl.col("count") > 0)
    present = table.drop_nulls("text")
    groups = present.group_by("text").agg(pl.col("count").sum())
    found: dict[str, Any] = {f"distinct.{name}": float(groups.height)}
    if groups.height:
        lengths = (present.get_column("text").str.len_chars() * present.get_column("count")).sum()
        found[f"top_share.{name}"] = float(groups.get_column("count").max()) / total  # type: ignore[arg-type]
        found[f"length_mean.{name}"] = float(lengths) / float(present.get_column("count").sum())
    if known:
        new = present.filter(~pl.col("text").is_in(sorted(known)))
        found[f"unseen_share.{name}"] = float(new.get_column("count").sum()) / total
    return found


def _mix(name: str, series: pl.Series, counts: Floats, values: Sequence[str]) -> dict[str, float]:
    """Share the rows that are not null among the values that are followed."""
    text = series.cast(pl.String)
    total = float(counts[series.is_not_null().to_numpy()].sum())
    kept = {value: float(counts[(text == value).fill_null(False).to_numpy()].sum()) for value in values}
    return {share_metric(name, value): count / total for value, count in kept.items()} if total else {}


def check(series: Series, rows: int = 20_000, windows: int = 10) -> tuple[int, float]:
    """Lay some draws out row by row and profile them; return how many numbers were compared and the worst gap."""
    past = pl.concat([frame for _, frame in series.frames[: series.start]])
    known, frequent = dict(known_values(past)), frequent_values(past)
    compared, worst = 0, 0.0
    for place, (window, frame, counts) in enumerate(draws(series, rows)):
        if place >= windows:
            break
        laid_out = frame[np.repeat(np.arange(frame.height), counts.astype(np.int64))]
        wanted = profile(laid_out, window=window, known=known, frequent=frequent)
        given = weighted_profile(frame, counts, window, known, frequent)
        wanted = {name: value for name, value in wanted.items() if name.split(".", 1)[0] not in LEFT_OUT}
        if set(wanted) != set(given):
            raise AssertionError(f"{series.name} {window.key}: {sorted(set(wanted) ^ set(given))}")
        gaps = [abs(given[name] - value) / max(1.0, abs(value)) for name, value in wanted.items()]
        compared, worst = compared + len(gaps), max(worst, *gaps)
    return compared, worst
