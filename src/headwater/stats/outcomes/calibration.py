"""Calibration and confidence of probabilities: does it happen as often as was said, and how sure is the model?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError
from headwater.stats.outcomes.intervals import Interval, block_mean, wilson
from headwater.stats.outcomes.performance import calibration_line

Floats = npt.NDArray[np.float64]
BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like probability: how many, what was said on average, and what share came true (Wilson, 95 %)."""

    rows: int
    said: float
    came: Interval


def reliability(outcome: Floats, p: Floats, bins: int = BINS) -> list[Bin]:
    """Return up to ``bins`` groups of equal size, from low p to high; rows of equal p are never parted.

    Each interval takes rows as independent: within one window they share their weather, and the truth is wider.

    Example:
        >>> import numpy as np
        >>> bins = reliability(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.9, 0.9]))
        >>> [(bin.rows, bin.said, bin.came.value) for bin in bins]
        [(2, 0.2, 0.5), (2, 0.9, 1.0)]
    """
    if bins < 1:
        raise UsageError(f"{bins} bins are none")
    y, told = _known(outcome, p)
    if not len(told):
        return []
    order = np.argsort(told, kind="stable")
    y, told = y[order], told[order]
    wanted = np.arange(1, bins) * len(told) // bins
    starts = np.unique(np.searchsorted(told, told[wanted], side="left")) if len(told) > 1 else np.zeros(0, dtype=int)
    edges = np.unique(np.r_[0, starts, len(told)])
    return [
        Bin(int(last - first), float(told[first:last].mean()), wilson(float(y[first:last].sum()), float(last - first)))
        for first, last in itertools.pairwise(edges.tolist())
    ]


def expected_error(bins: Sequence[Bin]) -> tuple[float, float]:
    """Return the expected calibration error of reliability bins, as it is and corrected for chance; NaN for no bins.

    The plain error is never 0, even of a perfect model, because shares of few rows differ from p by chance: the fewer
    rows the larger. The second takes from each bin's squared gap what chance alone adds; it is 0 where chance explains
    all. It is a root mean square and so not below the plain one by definition; compare like with like.

    References:
        Bröcker (2012), Estimating reliability and resolution of probability forecasts, Clim. Dyn. 39; Roelofs, Cain,
        Shlens, Mozer (2022), Mitigating bias in calibration error estimation, AISTATS.
    """
    rows = sum(bin.rows for bin in bins)
    if not rows:
        return math.nan, math.nan
    plain = sum(bin.rows * abs(bin.came.value - bin.said) for bin in bins) / rows
    squares = 0.0
    for bin in bins:
        noise = bin.came.value * (1 - bin.came.value) / (bin.rows - 1) if bin.rows > 1 else bin.said * (1 - bin.said)
        squares += bin.rows * ((bin.came.value - bin.said) ** 2 - noise)
    return plain, math.sqrt(max(0.0, squares / rows))


def confidence(p: Floats) -> dict[str, float]:
    """Describe how sure a window's predictions are; no outcome is needed.

    ``mean_p``, ``std_p``; ``certainty``, the mean of ``|2p - 1|`` with 95 % bounds; ``entropy`` in bits; ``sure``, the
    share of p below .1 or above .9. It says nothing of whether the model is right to be so sure.

    Example:
        >>> import numpy as np
        >>> found = confidence(np.array([0.0, 0.5, 1.0, 0.5]))
        >>> found["certainty"], found["entropy"], found["sure"]
        (0.5, 0.5, 0.5)
    """
    told = np.asarray(p, dtype=np.float64)
    told = told[np.isfinite(told)]
    if not len(told):
        return {}
    if ((told < 0) | (told > 1)).any():
        raise UsageError("a probability is outside 0..1")
    inside = np.clip(told, 1e-12, 1 - 1e-12)
    bits = np.where((told == 0) | (told == 1), 0.0, -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside)))
    bound = block_mean(np.abs(2 * told - 1))
    found = {
        "mean_p": float(told.mean()),
        "std_p": float(told.std()),
        "certainty": bound.value,
        "certainty_low": bound.low,
        "certainty_high": bound.high,
        "entropy": float(bits.mean()),
        "sure": float(((told < 0.1) | (told > 0.9)).mean()),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def calibration(
    outcome: Floats, p: Floats, blocks: Sequence[Any] | npt.NDArray[Any] | None = None, bins: int = BINS
) -> dict[str, Any]:
    """Return what is defined of a set of rows with known outcomes.

    ``rows``; ``gap`` (mean of outcome - p) with 95 % bounds; ``intercept`` and ``slope`` of the logistic calibration
    line, ``slope_low`` and ``slope_high`` (Wald, rows independent); ``ece`` and ``ece_corrected``, see
    `expected_error`; ``bins``: (rows, said, came, low, high) of each reliability bin. Of one class, or of constant p,
    no line is defined.

    Args:
        outcome: 0 or 1.
        p: Probabilities.
        blocks: Window of each row, for the bounds of the gap; None: rows are independent.
        bins: Reliability bins.

    References:
        Van Calster et al. (2016), A calibration hierarchy for risk models, J. Clin. Epidemiol. 74 (mean, weak, and
        moderate calibration are the gap, the line, and the bins).

    Example:
        >>> import numpy as np
        >>> found = calibration(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
        >>> found["gap"], "slope" in found
        (0.0, False)
    """
    outcome, p = np.asarray(outcome, dtype=np.float64), np.asarray(p, dtype=np.float64)
    y, told = _known(outcome, p)
    if not len(y):
        return {"rows": 0, "bins": []}
    of = None if blocks is None else np.asarray(blocks)[np.isfinite(outcome) & np.isfinite(p)]
    values: dict[str, float] = {}
    values["gap"], values["gap_low"], values["gap_high"] = block_mean(y - told, of)
    values["intercept"], values["slope"] = calibration_line(y, told)
    half = 1.96 * _slope_error(told, values["intercept"], values["slope"])
    values["slope_low"], values["slope_high"] = values["slope"] - half, values["slope"] + half
    parts = reliability(y, told, bins)
    values["ece"], values["ece_corrected"] = expected_error(parts)
    kept = {name: value for name, value in values.items() if math.isfinite(value)}
    return {"rows": len(y), **kept, "bins": [[bin.rows, bin.said, *bin.came] for bin in parts]}


def _slope_error(p: Floats, intercept: float, slope: float) -> float:
    if not math.isfinite(slope):
        return math.nan
    sure = np.clip(p, 1e-6, 1 - 1e-6)
    x = np.log(sure / (1 - sure))
    fitted = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -35, 35)))
    weight = fitted * (1 - fitted)
    spread = float((weight * x**2).sum() - (weight * x).sum() ** 2 / max(float(weight.sum()), 1e-300))
    return 1 / math.sqrt(spread) if spread > 0 else math.nan


def _known(outcome: Floats, p: Floats) -> tuple[Floats, Floats]:
    outcome, p = np.asarray(outcome, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if outcome.shape != p.shape:
        raise UsageError(f"{outcome.shape} outcomes do not fit {p.shape} probabilities")
    known = np.isfinite(outcome) & np.isfinite(p)
    y, told = outcome[known], p[known]
    if ((y != 0) & (y != 1)).any() or ((told < 0) | (told > 1)).any():
        raise UsageError("calibration is of outcomes 0 or 1 and probabilities from 0 to 1")
    return y, told
