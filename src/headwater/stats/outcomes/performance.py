"""Performance of probability forecasts whose outcomes are known: arrays in, numbers out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from headwater.core.errors import UsageError

Floats = npt.NDArray[np.float64]

_CLIP = 1e-6
_STEPS = 50


def log_loss(outcome: Floats, p: Floats) -> Floats:
    """Return the loss of each row, ``-log`` of the probability given to what happened; p is clipped at 1e-6."""
    outcome, p = _pair(outcome, p)
    sure = np.clip(p, _CLIP, 1 - _CLIP)
    return -(outcome * np.log(sure) + (1 - outcome) * np.log1p(-sure))


def expected_log_loss(p: Floats) -> Floats:
    """Return ``E[loss | p]`` of each row, the loss to expect when p is right."""
    sure = np.clip(np.asarray(p, dtype=np.float64), _CLIP, 1 - _CLIP)
    return -(sure * np.log(sure) + (1 - sure) * np.log1p(-sure))


def excess_loss(outcome: Floats, p: Floats) -> float:
    """Return ``r_w = mean(loss - E[loss | p])`` of a window's rows; NaN for none.

    Near 0 while the model is calibrated, whatever the mix of easy and hard rows; above 0 when outcomes no longer follow
    p. It is blind to a model that became less sharp but stayed calibrated.

    Example:
        >>> import numpy as np
        >>> round(excess_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])), 12)
        0.0
    """
    loss = log_loss(outcome, p)
    return float((loss - expected_log_loss(p)).mean()) if len(loss) else math.nan


def brier(outcome: Floats, p: Floats) -> float:
    """Return the mean squared error of p; NaN for no rows."""
    outcome, p = _pair(outcome, p)
    return float(((outcome - p) ** 2).mean()) if len(p) else math.nan


def auc(outcome: Floats, p: Floats) -> float:
    """Return the share of (1, 0) pairs that p orders rightly, ties counted half; NaN when one class is missing.

    Example:
        >>> import numpy as np
        >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    outcome, p = _pair(outcome, p)
    positive = outcome > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return math.nan
    _, place, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    wins = ranks[place][positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def calibration_line(outcome: Floats, p: Floats) -> tuple[float, float]:
    """Fit ``logit P(y) = intercept + slope logit p`` by maximum likelihood; return (intercept, slope).

    (0, 1) is perfect; a slope below 1 means p is too extreme. NaN when it cannot be fitted: one class only, constant p,
    or classes fully separated.

    References:
        Cox (1958), Two further applications of a model for binary regression, Biometrika 45.
    """
    outcome, p = _pair(outcome, p)
    sure = np.clip(p, _CLIP, 1 - _CLIP)
    x = np.log(sure / (1 - sure))
    if not len(x) or len(np.unique(outcome)) < 2 or np.ptp(x) < 1e-9:
        return math.nan, math.nan
    design = np.column_stack([np.ones_like(x), x])
    weights = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(design @ weights, -35, 35)))
        gradient = design.T @ (outcome - fitted)
        hessian = (design * (fitted * (1 - fitted))[:, None]).T @ design
        try:
            move = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return math.nan, math.nan
        move = _damped(design, outcome, weights, np.clip(move, -2, 2))
        weights = weights + move
        if not np.isfinite(weights).all() or abs(weights[1]) > 100:
            return math.nan, math.nan
        if np.abs(move).max() < 1e-9:
            return float(weights[0]), float(weights[1])
    return math.nan, math.nan


def _damped(design: Floats, outcome: Floats, weights: Floats, move: Floats) -> Floats:
    """Halve a Newton step until it does not make the likelihood worse; far from the optimum full steps can swing."""

    def loss(at: Floats) -> float:
        score = design @ at
        return float((np.logaddexp(0.0, score) - outcome * score).sum())

    before = loss(weights)
    for _ in range(_STEPS):
        if loss(weights + move) <= before + 1e-9 * (1 + abs(before)):
            break
        move = move / 2
    return move


def calibration_error(outcome: Floats, p: Floats, bins: int = 10) -> float:
    """Return the expected calibration error over ``bins`` groups of equal size; NaN for no rows.

    Biased upwards for few rows: about ``.4 / sqrt(rows per bin)`` for a perfect model with p near one half.
    """
    outcome, p = _pair(outcome, p)
    if not len(p):
        return math.nan
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(bins, len(p)))
    return float(sum(len(part) * abs(outcome[part].mean() - p[part].mean()) for part in parts) / len(p))


def measure(outcome: Floats, p: Floats) -> dict[str, float]:
    """Return all measures of one window that are defined, by name.

    ``rows``, ``loss``, ``expected_loss``, ``excess`` (r_w), ``brier``, ``auc``, ``slope``, ``ece`` and ``base_rate``.
    """
    outcome, p = _pair(outcome, p)
    if not len(p):
        return {"rows": 0.0}
    found = {
        "rows": float(len(p)),
        "loss": float(log_loss(outcome, p).mean()),
        "expected_loss": float(expected_log_loss(p).mean()),
        "excess": excess_loss(outcome, p),
        "brier": brier(outcome, p),
        "auc": auc(outcome, p),
        "slope": calibration_line(outcome, p)[1],
        "ece": calibration_error(outcome, p),
        "base_rate": float(outcome.mean()),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _pair(outcome: Floats, p: Floats) -> tuple[Floats, Floats]:
    outcome, p = np.asarray(outcome, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if outcome.shape != p.shape:
        raise UsageError(f"{outcome.shape} outcomes do not fit {p.shape} probabilities")
    known = np.isfinite(outcome) & np.isfinite(p)
    return outcome[known], p[known]
