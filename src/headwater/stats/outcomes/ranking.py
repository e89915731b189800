"""Performance of rankings: one number per query, so that a long result list counts no more than a short one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import block_mean

Floats = npt.NDArray[np.float64]
K = 10


@dataclass(frozen=True, slots=True)
class Queries:
    """Measures of each query, NaN where nothing relevant could be found.

    Attributes:
        names: The queries, sorted as text.
        rows: Rows of each.
        relevant: Rows of each with a relevance above 0.
        ndcg: Normalised discounted cumulative gain of the first k, gains ``2^relevance - 1``.
        average_precision: Mean precision at the places of what is relevant (over all rows).
        reciprocal_rank: 1 / place of the first that is relevant.
        precision: Share of the first k that is relevant; of a shorter list the missing places count as not.
        recall: Share of the relevant that is among the first k.
        blind: The NDCG that a random order would have on average.
    """

    names: npt.NDArray[np.str_]
    rows: npt.NDArray[np.int64]
    relevant: npt.NDArray[np.int64]
    ndcg: Floats
    average_precision: Floats
    reciprocal_rank: Floats
    precision: Floats
    recall: Floats
    blind: Floats


def per_query(
    relevance: Sequence[float] | Floats,
    score: Sequence[float] | Floats,
    query: Sequence[Any] | npt.NDArray[Any],
    k: int = K,
) -> Queries:
    """Measure each query's ranking.

    Rows of equal score have no order: NDCG, precision and recall are the mean over all their orders, average precision
    and reciprocal rank those of the worst order, so that a constant score is not flattered. Rows whose relevance or
    score is not finite are left out; labels that come in part flatter recall.

    Args:
        relevance: 0 for irrelevant, higher is better.
        score: Higher is ranked earlier.
        query: What a row belongs to.
        k: Depth of ``ndcg``, ``precision`` and ``recall``.

    Raises:
        UsageError: lengths differ, a relevance is negative, or k is below 1.

    References:
        Järvelin, Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4); ties: McSherry,
        Najork (2008), Computing information retrieval performance measures efficiently in the presence of tied scores.

    Example:
        >>> found = per_query([1, 0, 0, 1], [0.9, 0.5, 0.8, 0.1], ["a", "a", "b", "b"], k=1)
        >>> found.ndcg.tolist(), found.reciprocal_rank.tolist()
        ([1.0, 0.0], [1.0, 0.5])
    """
    gain, values, of, names = _parsed(relevance, score, query, k)
    order = np.lexsort((gain, -values, of))  # within a tie the worst first
    gain, values, of = gain[order], values[order], of[order]
    sizes = np.bincount(of, minlength=len(names)).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(of)) - np.repeat(starts, sizes)
    discount = np.where(place < k, 1 / np.log2(place + 2.0), 0.0)
    fresh = np.r_[True, (of[1:] != of[:-1]) | (values[1:] != values[:-1])][: len(of)]
    tied = np.cumsum(fresh) - 1

    def total(weights: Floats) -> Floats:
        return np.bincount(of, weights=weights, minlength=len(names)).astype(np.float64)

    def shared(weights: Floats) -> Floats:
        return (np.bincount(tied, weights=weights) / np.bincount(tied))[tied] if len(tied) else weights

    worth, hit = 2.0**gain - 1, (gain > 0).astype(np.float64)
    ideal = np.lexsort((-gain, of))
    best, found = total(worth[ideal] * discount), total(hit)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.cumsum(hit) - np.repeat((np.cumsum(hit) - hit)[starts], sizes) if len(of) else hit
        first = np.full(len(names), np.inf)
        np.minimum.at(first, of[hit > 0], place[hit > 0] + 1.0)
        blank = found == 0
        top = total(shared((place < k).astype(np.float64)) * hit)
        measures = {
            "ndcg": total(worth * shared(discount)) / best,
            "average_precision": total(hit * seen / (place + 1)) / found,
            "reciprocal_rank": 1 / first,
            "precision": top / k,
            "recall": top / found,
            "blind": total(worth) / sizes * total(discount) / best,
        }
    measures = {name: np.where(blank, np.nan, value) for name, value in measures.items()}
    return Queries(names, sizes, found.astype(np.int64), **measures)


def measure(
    relevance: Sequence[float] | Floats,
    score: Sequence[float] | Floats,
    query: Sequence[Any] | npt.NDArray[Any],
    *,
    k: int = K,
    blocks: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> dict[str, float]:
    """Return the means over queries, by name, each with ``_low`` and ``_high`` (95 %).

    ``rows``, ``queries``, ``answerable`` (queries with something relevant, over which the means are), ``ndcg``,
    ``map``, ``mrr``, ``precision``, ``recall``; ``blind`` (NDCG of a random order) and ``lift`` (NDCG above it).

    Args:
        relevance: See `per_query`.
        score: See `per_query`.
        query: See `per_query`.
        k: See `per_query`.
        blocks: Window of each row; bounds are then over windows, each query being its first row's. None: over queries.

    Example:
        >>> found = measure([1, 0, 1, 0], [2, 1, 2, 1], ["a", "a", "b", "b"])
        >>> found["ndcg"], found["answerable"]
        (1.0, 2.0)
    """
    found = per_query(relevance, score, query, k)
    values = {"rows": float(found.rows.sum()), "queries": float(len(found.names))}
    kept = np.isfinite(found.ndcg)
    values["answerable"] = float(kept.sum())
    if not kept.any():
        return values
    of = None
    if blocks is not None:
        names, first = np.unique(np.asarray(query).astype(str), return_index=True)
        of = np.asarray(blocks)[first][np.isin(names, found.names[kept])]
    series = {"ndcg": found.ndcg, "map": found.average_precision, "mrr": found.reciprocal_rank}
    series |= {"precision": found.precision, "recall": found.recall, "lift": found.ndcg - found.blind}
    for name, series_of in series.items():
        values[name], values[f"{name}_low"], values[f"{name}_high"] = block_mean(series_of[kept], of)
    values["blind"] = float(found.blind[kept].mean())
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _parsed(
    relevance: Sequence[float] | Floats,
    score: Sequence[float] | Floats,
    query: Sequence[Any] | npt.NDArray[Any],
    k: int,
) -> tuple[Floats, Floats, npt.NDArray[np.int64], npt.NDArray[np.str_]]:
    gain, values = np.asarray(relevance, dtype=np.float64), np.asarray(score, dtype=np.float64)
    names = np.asarray(query).astype(str)
    if not len(gain) == len(values) == len(names):
        raise UsageError(f"{len(gain)} relevances, {len(values)} scores and {len(names)} queries do not fit")
    if k < 1:
        raise UsageError(f"a ranking cannot be judged to depth {k}", hint="k is 1 or more")
    known = np.isfinite(gain) & np.isfinite(values)
    if (gain[known] < 0).any():
        raise UsageError("a relevance is negative", hint="0 is irrelevant, higher is better")
    if (gain[known] > 60).any():
        raise UsageError(
            "a relevance is above 60, and its gain 2^relevance beyond reason", hint="grade from 0 to 4, say"
        )
    groups, of = np.unique(names[known], return_inverse=True)
    return gain[known], values[known], of.astype(np.int64), groups
