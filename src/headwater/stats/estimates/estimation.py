"""Estimates of performance before labels arrive: bands learned from past errors, validity, abstention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from headwater.core.errors import UnknownName, UsageError

MIN_PAST = 5
"""Past errors without which there is no band, and so no estimate."""
PAST = 28
"""Settled windows that are learned from; the errors of more would describe another season."""
LEVELS = ("base_rate", "bias")
"""Metrics of the level of outcomes: when these leave their bands, labels mean something else than they did."""
_RECENT = 3  # newest settled windows that tell whether outcomes still follow the estimate
_WIDTHS = 1.5  # how far to one side they may be, in half bands, all together
_WORSE = 1.25  # how much further off than the last realised value estimates may be


REFUSED = {
    name: "it hangs on how rows are ordered, which calibration does not settle: on a year of daily windows its error "
    "was larger than that of a constant guess (.092 against .069), on ten series of weeks and months it was no nearer "
    "than the last labelled value in five"
    for name in ("auc", "roc_auc", "average_precision")
}
"""Metrics that are never estimated, with the reason."""


class Point(NamedTuple):
    """An estimated metric and its deviation by chance alone, rows independent."""

    value: float
    deviation: float


@dataclass(frozen=True)
class Estimate:
    """What a metric of a window is expected to be, before its labels arrive.

    Blind to concept shift inside the windows whose labels are still to come: if outcomes stop following the model
    today, the estimate goes on as if they did until labels say so. That is no flaw of one method; nothing in unlabelled
    data tells.

    Attributes:
        metric: Its name.
        value: The estimate; read it only if ``valid``.
        low: Lower end of the band.
        high: Upper end of the band.
        valid: Whether it may be shown.
        reason: Why not; empty if it may.
        n: Scored rows of the window.
        method: The estimator, e.g. ``cbpe 0.8``.
        windows: Labelled windows that it rests on.
        errors: Past estimates that the band rests on.
    """

    metric: str
    value: float
    low: float
    high: float
    valid: bool
    reason: str
    n: int
    method: str
    windows: int
    errors: int


W = TypeVar("W")
W_contra = TypeVar("W_contra", contravariant=True)


class Estimator(Protocol[W_contra]):
    """Learns from windows with labels and estimates one without.

    ``doubt`` says why a window is none that it can judge, e.g. because it holds values that no labelled window had;
    empty if it is.
    """

    @property
    def name(self) -> str:
        """What it is called in records."""
        ...

    def points(self, settled: Sequence[W_contra], current: W_contra) -> dict[str, Point]:
        """Return the estimate of each metric; settled windows are in order, the newest last."""
        ...

    def realised(self, window: W_contra) -> dict[str, float]:
        """Return the metrics of a window with labels."""
        ...

    def size(self, window: W_contra) -> int:
        """Return the rows of a window."""
        ...

    def doubt(self, settled: Sequence[W_contra], current: W_contra) -> str:
        """Return why the window cannot be judged from the settled ones, or nothing."""
        ...


@dataclass
class _Past:
    """An estimate that was made, and what became of it."""

    points: dict[str, dict[str, Point]]  # by estimator
    given: dict[str, Estimate]
    carried: dict[str, float]  # realised metrics of the newest settled window at that time
    realised: dict[str, float] = field(default_factory=dict)


class Track(Generic[W]):
    """One model's windows in the order of time: scored, estimated, and settled once their labels have come.

    Of several estimators (methods, or memories of different length) the one whose past estimates were nearest to what
    became of them is used. The band is the chance error of the window's rows plus the error that 90 % of past estimates
    stayed within; Estimates are never made from labels of later windows, so
    past errors are honest, and windows are the blocks.

    An estimate is withheld (``valid`` false) when: fewer than `MIN_PAST` past estimates have settled; the estimator
    cannot judge the window (`Estimator.doubt`); carrying the newest realised value forward would have done better; the
    newest settled windows left their bands, in the metric itself, the chief metric or the level of outcomes, which is
    what concept shift looks like once labels have come.

    Args:
        estimators: Candidates; they agree on the metrics.
        chief: The metric whose past errors choose among them.
        confidence: Coverage that the band is made for.
        past: Settled windows that are learned from.

    References:
        Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, ch. 2, for bands from past errors; they
        promise coverage for exchangeable windows, which windows in time are not: see the measured coverage.
    """

    def __init__(
        self, estimators: Sequence[Estimator[W]], chief: str = "log_loss", confidence: float = 0.9, past: int = PAST
    ) -> None:
        if not estimators:
            raise UsageError("there is no estimator to choose from")
        if not 0 < confidence < 1:
            raise UsageError(f"confidence {confidence} is not between 0 and 1", hint="for example 0.9")
        self.estimators = tuple(estimators)
        self.chief = chief
        self.telling = (chief, *LEVELS)
        self.confidence = confidence
        self.past = past
        self._settled: dict[str, W] = {}
        self._estimated: dict[str, _Past] = {}

    def settle(self, key: str, window: W) -> None:
        """Take in a window with its labels; again, if they were corrected.

        A window that was never estimated is now, from what settled before it, so that labelled history gives a band at
        once. Such replayed estimates look less far ahead than real ones where labels take several windows.
        """
        if key not in self._estimated:
            self.estimate(key, window)
        self._settled[key] = window
        for old in sorted(self._settled)[: -2 * self.past]:
            del self._settled[old]
        if key in self._estimated:
            self._estimated[key].realised = self.estimators[0].realised(window)

    def estimate(
        self, key: str, window: W, hidden: str = "", metrics: Sequence[str] | None = None
    ) -> dict[str, Estimate]:
        """Estimate the metrics of a window from windows settled by now.

        Args:
            key: The window's key; keys sort in the order of time, and windows are settled in about that order.
            window: The window without labels.
            hidden: Why estimates are not to be shown whatever they say, e.g. a parity check that fails: an estimate
                from broken inputs looks as sure as any.
            metrics: Which ones to return; None for all.

        Returns:
            An estimate of each metric that is defined; empty for a window without rows or before anything has settled.

        Raises:
            UsageError: a metric is asked for that is not estimated, such as ``auc``.
        """
        learned = [self._settled[name] for name in sorted(self._settled) if name < key][-self.past :]
        n = self.estimators[0].size(window)
        if not learned or not n:
            return {}
        points = {item.name: item.points(learned, window) for item in self.estimators}
        points = {name: found for name, found in points.items() if found}
        if not points:
            return {}
        ranked = self._ranked(key, points)
        doubts = {item.name: item.doubt(learned, window) for item in self.estimators if item.name in points}
        best = next((name for name in ranked if not doubts[name]), ranked[0])
        carried = self.estimators[0].realised(learned[-1])
        doubt = hidden or doubts[best]
        found = {
            metric: self._one(key, metric, point, doubt, n, best, len(learned))
            for metric, point in points[best].items()
        }
        self._estimated[key] = _Past(points, found, carried)
        if metrics is None:
            return found
        for metric in metrics:
            if metric in REFUSED:
                raise UsageError(f"`{metric}` is not estimated without labels", hint=REFUSED[metric])
            if metric not in found and not any(metric in made.realised for made in self._estimated.values()):
                raise UnknownName.of("metric", metric, found)
        return {metric: found[metric] for metric in metrics if metric in found}

    def estimated(self, key: str) -> dict[str, Estimate]:
        """Return what was estimated of a window; empty if nothing was."""
        made = self._estimated.get(key)
        return {} if made is None else dict(made.given)

    def errors(self, metric: str) -> dict[str, float]:
        """Return realised minus estimated of a metric by settled window: the concept statistic."""
        return {
            key: made.realised[metric] - made.given[metric].value
            for key, made in sorted(self._estimated.items())
            if metric in made.realised and metric in made.given
        }

    def _checked(self, metric: str, before: str) -> list[_Past]:
        """The newest estimates of a metric that labels have checked, in order."""
        found = [
            made for key, made in sorted(self._estimated.items())
            if key < before and metric in made.realised and metric in made.given
        ]  # fmt: skip
        return found[-self.past :]

    def _errors(self, metric: str, before: str) -> list[tuple[float, float]]:
        """Realised minus estimated, and half the band that was given then."""
        return [
            (made.realised[metric] - made.given[metric].value, made.given[metric].high - made.given[metric].value)
            for made in self._checked(metric, before)
        ]

    def _ranked(self, key: str, points: Mapping[str, object]) -> list[str]:
        """Estimators from the nearest on average to the farthest; in their own order until there is a record."""
        settled = [
            made for made in self._checked(self.chief, key)
            if all(self.chief in made.points.get(name, ()) for name in points)
        ]  # fmt: skip
        if len(settled) < 2:
            return list(points)
        loss = {
            name: float(np.mean([abs(made.realised[self.chief] - made.points[name][self.chief].value)
                                 for made in settled]))
            for name in points
        }  # fmt: skip
        return sorted(points, key=lambda name: loss[name])

    def _one(self, key: str, metric: str, point: Point, doubt: str, n: int, method: str, windows: int) -> Estimate:
        errors = self._errors(metric, key)
        half = band(np.array([error for error, _ in errors]), point.deviation, self.confidence)
        reason = doubt or self._doubt(key, metric)
        low, high = point.value - half, point.value + half  # NaN while there is no band
        return Estimate(metric, point.value, low, high, not reason, reason, n, method, windows, len(errors))

    def _doubt(self, key: str, metric: str) -> str:
        past = self._checked(metric, key)
        if len(past) < MIN_PAST:
            return f"labels have checked {len(past)} estimates so far, {MIN_PAST} are needed"
        errors = [abs(made.realised[metric] - made.given[metric].value) for made in past]
        carried = [abs(made.realised[metric] - made.carried[metric]) for made in past if metric in made.carried]
        if len(carried) == len(errors) and np.mean(errors) > _WORSE * np.mean(carried):
            return "past estimates were further off than the last realised value"
        for name in dict.fromkeys((metric, *self.telling)):
            if doubt := left_behind(self._errors(name, key), "" if name == metric else name):
                return doubt
        return ""


def left_behind(errors: Sequence[tuple[float, float]], name: str = "") -> str:
    """Tell whether outcomes left their bands in the newest labelled windows, to one side: what concept shift does.

    Args:
        errors: Realised minus estimated, and half the band of the time (NaN for none), the newest last.
        name: What to call the metric if it is another one than the reader asked for.
    """
    widths = [error / max(half, 1e-12) for error, half in errors if math.isfinite(half)][-_RECENT:]
    if widths and abs(widths[-1]) > 1 and abs(sum(widths)) > _WIDTHS:
        what = f" in `{name}`" if name else ""
        return (
            f"outcomes no longer follow the estimate: off by {widths[-1]:+.1f} half bands{what} where labels have come"
        )
    return ""


def band(errors: np.ndarray, deviation: float, confidence: float) -> float:
    """Return half the width of a band around an estimate.

    Args:
        errors: Past estimator errors, one per window.
        deviation: Deviation of this window's metric by chance.
        confidence: Wanted coverage.

    Returns:
        NaN with fewer than `MIN_PAST` errors.
    """
    if len(errors) < MIN_PAST:
        return math.nan
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rank = min(len(errors), math.ceil(confidence * (len(errors) + 1)))
    return float(np.sort(np.abs(errors))[rank - 1]) + z * deviation
