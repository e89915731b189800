"""What a metric is like, read from its name: the scale it is compared on and the smallest change that counts.

Counts are compared as logarithms, shares as log-odds, times in hours, everything else as it is. The floor keeps a
metric that never moved in history from alarming on one row, and lets it alarm on a real jump.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COUNT, SHARE, HOURS, OFFSET, LEVEL = range(5)
_CLIP = 0.005
# Half of what makes a finding (r > 2): a fifth of the rows; two hours in a day; of a share 4 points, or 2 % of rows
# where there were none. Nulls hardly move where they are stable: 1.5 points of them, or .9 % of rows.
_COUNT_FLOOR, _OFFSET_FLOOR = 0.1, 0.4
_SHARE_FLOOR, _SHARE_POINTS, _ARC_FLOOR = 0.7, 0.02, 0.142
_NULL_FLOOR, _NULL_POINTS, _NULL_ARC_FLOOR = 0.3, 0.0075, 0.095
_DAY_HOURS, _HOUR_HOURS = 1.0, 0.25
_LEVEL_SHARE, _LEVEL_SPREAD, _TINY = 0.02, 0.05, 1e-9
_SHARES = ("_share", "_rate", "maturity", "auc", "key_match")
_SPREAD_PARTNERS = ("mean", "min", "max", "q05", "q25", "q50", "q75", "q95")


def kind(metric: str) -> int:
    """Return the kind of a metric: count, share, hours, offset or level."""
    name = metric.split(".", 1)[0]
    if name in ("rows", "distinct"):
        return COUNT
    if name.startswith("offset"):
        return OFFSET
    if name.endswith("_hours"):
        return HOURS
    if name.endswith(_SHARES) or name.startswith("share["):
        return SHARE
    return LEVEL


class Forms:
    """The kinds of a list of metrics, applied to whole rows at once.

    Args:
        names: Metrics, in column order.
        hourly: Whether windows are hours, in which times are compared more finely.
        arcs: Compare shares as arcs (twice the arcsine of the root) instead of log-odds: on that scale the noise of
            a share depends on its number of rows alone, which matters where windows differ a lot in rows.
    """

    def __init__(self, names: Sequence[str], *, hourly: bool = False, arcs: bool = False) -> None:
        self.arcs = arcs
        self.kinds: Ints = np.array([kind(name) for name in names], dtype=np.int64)
        place = {name: index for index, name in enumerate(names)}
        self._partner: Ints = np.array([_partner(name, place) for name in names], dtype=np.int64)
        fixed = {COUNT: _COUNT_FLOOR, SHARE: _SHARE_FLOOR, OFFSET: _OFFSET_FLOOR, LEVEL: _TINY}
        fixed[HOURS] = _HOUR_HOURS if hourly else _DAY_HOURS
        nulls = np.array([name.startswith("null_share.") for name in names], dtype=np.bool_)
        self._points: Floats = np.where(nulls, _NULL_POINTS, _SHARE_POINTS)
        self._most: Floats = np.where(
            nulls, _NULL_ARC_FLOOR if arcs else _NULL_FLOOR, _ARC_FLOOR if arcs else _SHARE_FLOOR
        )
        self._fixed: Floats = np.array([fixed[int(code)] for code in self.kinds], dtype=np.float64)

    def forward(self, values: Floats) -> Floats:
        """Transform values (last axis: metrics) to the scale they are compared on; NaN stays NaN."""
        out = np.array(values, dtype=np.float64)
        counts, shares = self.kinds == COUNT, self.kinds == SHARE
        out[..., counts] = np.log1p(np.maximum(out[..., counts], 0.0))
        if self.arcs:
            out[..., shares] = 2 * np.arcsin(np.sqrt(np.clip(out[..., shares], 0.0, 1.0)))
            return out
        clipped = np.clip(out[..., shares], _CLIP, 1 - _CLIP)
        out[..., shares] = np.log(clipped / (1 - clipped))
        return out

    def backward(self, values: Floats) -> Floats:
        """Undo `forward`; shares at the clipping edge come back as 0 or 1."""
        out = np.array(values, dtype=np.float64)
        counts, shares = self.kinds == COUNT, self.kinds == SHARE
        out[..., counts] = np.maximum(np.expm1(np.minimum(out[..., counts], 50.0)), 0.0)
        if self.arcs:
            out[..., shares] = np.sin(np.clip(out[..., shares], 0.0, np.pi) / 2) ** 2
            return out
        odds = 1 / (1 + np.exp(-np.clip(out[..., shares], -50.0, 50.0)))
        edge = _CLIP * (1 + 1e-9)
        out[..., shares] = np.where(odds <= edge, 0.0, np.where(odds >= 1 - edge, 1.0, odds))
        return out

    def floors(self, level: Floats) -> Floats:
        """Return the smallest band around each metric's level."""
        partner = np.where(self._partner >= 0, level[self._partner], 0.0)
        spread = np.fmax(_LEVEL_SHARE * np.abs(level), _LEVEL_SPREAD * np.nan_to_num(partner))
        if self.arcs:
            slope = np.abs(np.sin(np.nan_to_num(level))) / 2
        else:
            share = 1 / (1 + np.exp(-np.clip(np.nan_to_num(level), -50.0, 50.0)))
            slope = share * (1 - share)
        points = np.minimum(self._points / (slope + _TINY), self._most)
        found = np.where(self.kinds == LEVEL, np.fmax(spread, _TINY), self._fixed)
        return np.where(self.kinds == SHARE, points, found)


def _partner(name: str, place: dict[str, int]) -> int:
    """Find the standard deviation that a location metric of the same column is measured in; -1 without."""
    metric, _, column = name.partition(".")
    return place.get(f"std.{column}", -1) if metric in _SPREAD_PARTNERS else -1
