"""The default drift rules of other tools, on counts: what each says of a column in a window.

Each rule was written anew from the tool's documentation and behaviour, and `packages.py` checks it against the
package itself on real windows. A rule's score is its statistic over its own default threshold: it alarms from 1 on.

A column in a window is kept as its distinct values and how often each occurs. That is all these rules look at, it
makes ten million rows as cheap as a thousand, and drawing rows anew with replacement is one multinomial draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats
from scipy.spatial.distance import jensenshannon

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
DISTANCE = 0.1
SMALL = 1000
"""Rows of the reference up to which Evidently tests and above which it measures distances."""
DRIFT_SHARE = 0.5
MANY = 5000
_FEW_NUMBERS, _FEW_INTEGERS, _TEXT_SHARE = 5, 10, 0.5
SIGMAS, TRAINING = 3.0, 14


@dataclass(frozen=True)
class Sample:
    """One column of a window: distinct values in order, and their counts. Categories are codes of a `Coding`."""

    values: Floats
    counts: Floats

    @property
    def rows(self) -> float:
        """Return the rows that have a value."""
        return float(self.counts.sum())

    @classmethod
    def of(cls, values: Floats) -> Sample:
        """Count an array; NaN and infinite values are left out, as the tools do."""
        found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        return cls(found, counts.astype(np.float64))

    @classmethod
    def pooled(cls, samples: Sequence[Sample]) -> Sample:
        """Put samples together."""
        values = np.concatenate([one.values for one in samples])
        found, inverse = np.unique(values, return_inverse=True)
        return cls(found, np.bincount(inverse, np.concatenate([one.counts for one in samples]), len(found)))

    def redrawn(self, rows: int, random: np.random.Generator) -> Sample:
        """Draw so many rows with replacement."""
        if not len(self.values):
            return self
        counts = random.multinomial(rows, self.counts / self.counts.sum()).astype(np.float64)
        return Sample(self.values[counts > 0], counts[counts > 0])


@dataclass(frozen=True)
class Coding:
    """How columns of a table become numbers: categories by codes that are the same in all windows."""

    kinds: Mapping[str, str]
    codes: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, frames: Sequence[pl.DataFrame], leave: Sequence[str] = ()) -> Coding:
        """Look at a table's columns; times are left out, and columns in ``leave``."""
        kinds, codes = {}, {}
        for name, dtype in frames[0].schema.items():
            if name in leave:
                continue
            if dtype.is_numeric():
                kinds[name] = "integer" if dtype.is_integer() else "float"
            elif dtype in (pl.String, pl.Boolean):
                kinds[name] = "text"
                seen = pl.concat([frame.get_column(name).cast(pl.String).unique() for frame in frames]).unique().sort()
                codes[name] = {value: at for at, value in enumerate(seen.drop_nulls().to_list())}
        return cls(kinds, codes)

    def sample(self, frame: pl.DataFrame, name: str) -> Sample:
        """Count one column of a frame; texts that were never there before get codes of their own."""
        series = frame.get_column(name)
        if self.kinds[name] != "text":
            return Sample.of(series.cast(pl.Float64).to_numpy().astype(np.float64))
        known, own = self.codes[name], series.cast(pl.String).drop_nulls().value_counts()
        extra = iter(range(len(known), len(known) + own.height))
        values = np.array(
            [known[value] if value in known else next(extra) for value in own.get_column(name)], dtype=float
        )
        order = np.argsort(values)
        return Sample(values[order], own.get_column("count").to_numpy().astype(np.float64)[order])

    def samples(self, frame: pl.DataFrame) -> dict[str, Sample]:
        """Count all columns of a frame."""
        return {name: self.sample(frame, name) for name in self.kinds}


def _aligned(one: Sample, other: Sample) -> tuple[Floats, Floats, Floats]:
    values = np.union1d(one.values, other.values)
    found = []
    for sample in (one, other):
        counts = np.zeros(len(values))
        counts[np.searchsorted(values, sample.values)] = sample.counts
        found.append(counts)
    return values, found[0], found[1]


def ks_p(reference: Sample, current: Sample) -> float:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test."""
    _, one, other = _aligned(reference, current)
    distance = float(np.abs(np.cumsum(one) / one.sum() - np.cumsum(other) / other.sum()).max())
    rows = float(one.sum() * other.sum() / (one.sum() + other.sum()))
    # Exact for many rows takes seconds and gives the same.
    p = stats.kstwo.sf(distance, round(rows)) if rows < MANY else stats.kstwobign.sf(distance * np.sqrt(rows))
    return float(np.clip(p, 1e-300, 1.0))


def ks_distance(reference: Sample, current: Sample) -> float:
    """Return the largest difference of the two distribution functions."""
    _, one, other = _aligned(reference, current)
    return float(np.abs(np.cumsum(one) / one.sum() - np.cumsum(other) / other.sum()).max())


def contingency_p(reference: Sample, current: Sample) -> float:
    """Return the p-value of the chi-squared test of independence on the two rows of counts."""
    _, one, other = _aligned(reference, current)
    if len(one) < 2:
        return 1.0
    return float(max(stats.chi2_contingency(np.vstack([one, other]))[1], 1e-300))


def _fitted_p(reference: Sample, current: Sample) -> float:
    """Chi-squared goodness of fit to the reference's shares; a value that it lacks is impossible."""
    _, one, other = _aligned(reference, current)
    expected = one * other.sum() / one.sum()
    if (expected == 0).any():
        return 1e-300
    return float(max(stats.chisquare(other, expected)[1], 1e-300))


def _shares_p(reference: Sample, current: Sample) -> float:
    """Two-sided z-test of one share, for two values."""
    _, one, other = _aligned(reference, current)
    if len(one) < 2:
        return 1.0
    p, q = 1 - one[0] / one.sum(), 1 - other[0] / other.sum()
    pooled = (p * one.sum() + q * other.sum()) / (one.sum() + other.sum())
    z = (p - q) / np.sqrt(pooled * (1 - pooled) * (1 / one.sum() + 1 / other.sum()))
    return float(max(2 * stats.norm.sf(abs(z)), 1e-300))


def _wasserstein(reference: Sample, current: Sample) -> float:
    values, one, other = _aligned(reference, current)
    gap = np.abs(np.cumsum(one) / one.sum() - np.cumsum(other) / other.sum())
    distance = float((gap[:-1] * np.diff(values)).sum())
    mean = float((reference.values * reference.counts).sum() / reference.rows)
    spread = float(np.sqrt((reference.counts * (reference.values - mean) ** 2).sum() / reference.rows))
    return distance / max(spread, 0.001)


def _js(reference: Sample, current: Sample, base: float | None = None) -> float:
    _, one, other = _aligned(reference, current)
    return float(jensenshannon(one / one.sum(), other / other.sum(), base))


def evidently_kind(reference: Sample, kind: str) -> str:
    """Return how Evidently types a column that nobody declared."""
    if kind == "integer" and len(reference.values) <= _FEW_INTEGERS:
        return "categorical"
    if kind == "text":
        return "text" if len(reference.values) > _TEXT_SHARE * reference.rows else "categorical"
    return "numerical"


def evidently(reference: Sample, current: Sample, kind: str) -> float:
    """Score a column by Evidently's default choice: tests up to 1000 reference rows, distances above."""
    typed = evidently_kind(reference, kind)
    if typed == "text" or not len(reference.values) or not len(current.values):
        return np.nan
    values = len(np.union1d(reference.values, current.values))
    test = "categorical" if typed == "numerical" and values <= _FEW_NUMBERS else typed
    if reference.rows > SMALL:
        distance = _wasserstein(reference, current) if test == "numerical" else _js(reference, current)
        return distance / DISTANCE
    if test == "numerical":
        p = ks_p(reference, current)
    else:
        p = _fitted_p(reference, current) if values > 2 else _shares_p(reference, current)
    return float(np.log(p) / np.log(LEVEL))


def rows_test(reference: Sample, current: Sample, kind: str, columns: int = 1) -> float:
    """Score a column by the test that takes rows as independent: KS for numbers, chi-squared for categories."""
    if not len(reference.values) or not len(current.values):
        return np.nan
    p = contingency_p(reference, current) if kind == "text" else ks_p(reference, current)
    return float(np.log(p) / np.log(LEVEL / columns))


class NannyML:
    """NannyML's univariate drift: Jensen-Shannon distance to the pooled reference, three sigma over its chunks.

    Args:
        chunks: The reference, window by window.
        kind: Of the column.
        method: ``jensen_shannon`` (the default) or ``kolmogorov_smirnov`` (chi-squared, p < .05, for categories).
    """

    def __init__(self, chunks: Sequence[Sample], kind: str, method: str = "jensen_shannon") -> None:
        self.kind, self.method = kind, method
        self.pooled = Sample.pooled(chunks)
        self.edges = _doane(self.pooled) if kind != "text" and len(self.pooled.values) else np.zeros(0)
        values = np.array([self.distance(chunk) for chunk in chunks])
        self.mean, self.sigma = float(np.nanmean(values)), float(np.nanstd(values))

    def distance(self, current: Sample) -> float:
        """Return the statistic of a window."""
        if not len(current.values) or not len(self.pooled.values):
            return np.nan
        if self.method == "kolmogorov_smirnov":
            return ks_distance(self.pooled, current)
        if self.kind == "text":
            return _js(self.pooled, current, 2)
        shares = [
            np.histogram(one.values, self.edges, weights=one.counts)[0] / one.rows for one in (self.pooled, current)
        ]
        beyond = max(0.0, 1 - float(shares[1].sum()))
        return float(jensenshannon([*shares[0], 0.0], [*shares[1], beyond], 2))

    def score(self, current: Sample) -> float:
        """Score a window."""
        if self.method == "kolmogorov_smirnov" and self.kind == "text":
            return rows_test(self.pooled, current, "text")
        distance = self.distance(current)
        if self.sigma == 0:
            return np.inf if distance > self.mean else 0.0
        return (distance - self.mean) / (SIGMAS * self.sigma)


def _doane(sample: Sample) -> Floats:
    """Return equal bins, as many as Doane (1976) gives for a skewed sample of this size."""
    low, high, rows = sample.values[0], sample.values[-1], sample.rows
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    mean = (sample.values * sample.counts).sum() / rows
    away = sample.values - mean
    spread = np.sqrt((sample.counts * away**2).sum() / rows)
    bins = 1.0
    if rows > 2 and spread > 0:
        skew = abs((sample.counts * (away / spread) ** 3).sum() / rows)
        bins = 1 + np.log2(rows) + np.log2(1 + skew / np.sqrt(6 * (rows - 2) / ((rows + 1) * (rows + 3))))
    edges: Floats = np.linspace(low, high, int(np.ceil(bins)) + 1)
    return edges


def three_sigma(history: Floats, value: Floats) -> Floats:
    """Score metrics by three standard deviations of all windows before; NaN below fourteen of them."""
    known = np.isfinite(history).sum(axis=0)
    with np.errstate(all="ignore"):
        mean, sigma = np.nanmean(history, axis=0), np.nanstd(history, axis=0, ddof=1)
        score = np.abs(value - mean) / (SIGMAS * sigma)
    score = np.where((sigma == 0) & np.isfinite(value), np.where(np.isclose(value, mean), 0.0, np.inf), score)
    found: Floats = np.where(known >= TRAINING, score, np.nan)
    return found


def elementary(history: Floats, value: Floats) -> Floats:
    """Score metrics by Elementary's z-score: mean and deviation over 14 buckets, the judged one included, limit 3."""
    seen = np.vstack([history[-(TRAINING - 1) :], value])
    with np.errstate(all="ignore"):
        mean, sigma = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0, ddof=1)
        score = np.where(sigma > 0, np.abs(value - mean) / (SIGMAS * sigma), 0.0)
    found: Floats = np.where(np.isfinite(seen).sum(axis=0) >= TRAINING // 2, score, np.nan)
    return found


_MONITORED = ("null_share", "mean", "std", "min", "max", "zero_share", "length_mean")


def elementary_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Turn a profile into Elementary's default column monitors and its count of rows.

    The least and greatest length of texts are not in a profile and are left out.
    """
    rows = metrics["rows"]
    found = {"row_count": rows}
    for name, value in metrics.items():
        metric, _, column = name.partition(".")
        if metric not in _MONITORED:
            continue
        found[name] = value
        if metric.endswith("_share"):
            found[f"{metric.replace('share', 'count')}.{column}"] = round(value * rows)
        if metric == "std":
            found[f"variance.{column}"] = value**2
    return found
