"""Exceedance of a window's metrics over their own history: how many bands away from the expected level a value lies.

``r = |x - m| / max(q99 of past |x - m|, floor)``: 1 is the edge of what history did in 99 of 100 windows, and a finding
starts at 2. On clean days this alarms far less than tests that take rows as independent, because window-to-window
variance is many times what independent rows predict.

The expected level ``m`` is a trailing median plus the effect of the window's slot (weekday or holiday; for hours, hour
of the day and hour of the week), so that slow seasons move ``m`` along. Past deviations were taken by the same scheme.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.stats.alarms import eprocess, scatter, sizes
from headwater.stats.alarms.drifts import Drift, drift_of
from headwater.stats.alarms.forms import COUNT, SHARE, Forms
from headwater.stats.alarms.slots import Slots
from headwater.stats.alarms.trailing import median, quantile, shrunk_median, trailing_means, trailing_medians

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WARM = {"1d": 14, "1h": 48}
TRAILING = {"1d": 14, "1h": 72}
PERIOD = {"1d": 14, "1h": 24 * 7}
"""Windows of whole weeks, over which what a slot adds is measured: three days may be mostly a weekend."""
KEEP = {"1d": 400, "1h": 24 * 7 * 10}
SLOT_WINDOWS = 6
ROWS = "rows"
LASTING = 4  # the level a lasting shift is measured from is so many times longer than the local level
_QUANTILE, _NORMAL_QUANTILE = 0.99, 2.576
_FEW = 3.0  # a quantile of n deviations is too low for small n: bands are drawn wider by 3/n
_TAIL, _LIGHT_TAIL = 2.5, 5.0  # by which bands go beyond the largest of few deviations; those of logarithms are light
_SAME_HOUR = 2  # windows of an hour of the day that must be there before its first loss on another weekday is one
_UNDER_WAY = 0.35  # of the rows expected of the newest window, with which its day goes on like others
_HELD_BACK = 2  # local levels by which the newest windows are held back from saying how far evidence goes
_UPWARD = np.sign(eprocess.BETS)


@dataclass(frozen=True, slots=True)
class Score:
    """How unusual one value is.

    Attributes:
        r: Exceedance ratio; 0 while there is too little history for a verdict.
        value: The value as measured.
        expected: The level expected for its slot.
        spread: The band's half-width, on the scale the metric is compared on (see `forms`).
        low: Value at the lower edge of the band (r = 1).
        high: Value at the upper edge.
        evidence: e-value of a small persistent shift up to and including this window (see `eprocess`), over the highest
            that accepted history reached: window metrics are autocorrelated and skewed, and history shows how much.
        windows: How many windows the expectation rests on.
        toward: Which way the evidence of a shift points: 1 upwards, -1 downwards.
        known: Whether history has seen windows of this weekday or hour, see `Baseline.knows`.
    """

    r: float
    value: float
    expected: float
    spread: float
    low: float
    high: float
    evidence: float = 1.0
    windows: int = 0
    toward: int = 0
    known: bool = True


class Baseline:
    """The history of one subject's metrics, and the band it draws around each.

    Feed it accepted windows only: a window in alarm must never be learned. It misleads when history itself is bad (the
    band is then too wide). A metric needs `WARM` windows before it gets a verdict.

    Args:
        slots: Seasonal slots; daily windows in UTC by default.
        trailing: Windows in the local level.
        keep: Windows remembered.

    Example:
        >>> from headwater.core.windows import Calendar
        >>> days = [window.key for window in Calendar().between("2013-01-01", "2013-03-01")]
        >>> history = {day: {"rows": 1000.0 + index % 5} for index, day in enumerate(days)}
        >>> baseline = Baseline().fit(history)
        >>> baseline.score("2013-03-02", {"rows": 1003.0})["rows"].r < 1
        True
        >>> baseline.score("2013-03-02", {"rows": 400.0})["rows"].r > 2
        True
    """

    _evidence: Floats
    _ages: Floats
    _path: Floats
    _squares: Floats
    _counts: Floats
    _off: float

    def __init__(self, slots: Slots | None = None, *, trailing: int | None = None, keep: int | None = None) -> None:
        self.slots = slots or Slots()
        every = self.slots.calendar.every
        self.warm = WARM[every]
        self.trailing = trailing or TRAILING[every]
        self.period = PERIOD[every]
        self.keep = keep or KEEP[every]
        self.fit({})

    def __len__(self) -> int:
        return len(self.keys)

    def fit(self, history: Mapping[str, Mapping[str, float]], anew: Mapping[str, str] | None = None) -> Baseline:
        """Learn windows in key order, forgetting everything learned before; returns itself.

        Args:
            history: Metrics by window.
            anew: By metric, a window from which on evidence of a drift begins anew: what led there is known.
        """
        self.keys = sorted(history)[-self.keep :]
        rows = np.array([history[key].get(ROWS, np.nan) for key in self.keys], dtype=np.float64)
        self._uneven = sizes.uneven(rows)
        self._sizes: Floats = rows
        self._sampled: Floats = np.zeros(0)
        self._usual_size = 1.0
        self._since_sizes = self.trailing
        self._name(list(dict.fromkeys(name for key in self.keys for name in history[key])))
        shape = (len(self.keys), len(self.names))
        raw = [[history[key].get(name, np.nan) for name in self.names] for key in self.keys]
        self._values = self._forms.forward(np.array(raw, dtype=np.float64).reshape(shape))
        found = [self.slots.of(key) for key in self.keys]
        self._coarse: Ints = np.array([coarse for coarse, _ in found], dtype=np.int64)
        self._fine: Ints = np.array([fine for _, fine in found], dtype=np.int64)
        self._pooled = self._values - trailing_medians(self._values, self.period, _least(self.trailing))
        self._coarse_effects: dict[int, Floats] = {}
        self._fine_effects: dict[int, Floats] = {}
        self._pool_first()
        for coarse, fine in dict.fromkeys(found):
            self._learn_slot(coarse, fine)
        flat = self._values - self._effects(self._coarse, self._fine)
        self._deviations = flat - trailing_medians(flat, self.trailing, _least(self.trailing))
        self._off = self._newest_off()
        self._judge(range(len(self.keys)))
        self._scale: tuple[Floats, Floats] | None = None
        self._begin(flat, anew or {})
        return self

    def score(self, window: str, metrics: Mapping[str, float]) -> dict[str, Score]:
        """Compare a window's metrics with history, without learning from them; unknown metrics are left out."""
        at = [(name, self._place[name]) for name in metrics if name in self._place]
        if not at:
            return {}
        given = self._row(metrics)
        value, level = self._forms.forward(given), self._level(window)
        _, count = self._bands()
        width = self._width(level, self._size(metrics, level))
        low, high = self._between(window, level)
        away = np.fmax(low - value, value - high)
        under, over = self._chance(low, width, upwards=False), self._chance(high, width, upwards=True)
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = np.fmax(away, 0.0) / np.where(value > high, over, under)
            state = eprocess.step(self._evidence, self._unit(self._lasting(window, value)))
        ready = (count >= self.warm) & np.isfinite(ratio)
        columns = (
            np.where(ready, ratio, 0.0),
            given,
            self._forms.backward(level),
            width,
            self._forms.backward(low - under),
            self._forms.backward(high + over),
            np.where(ready, eprocess.mixture(state) / self._peak(), 1.0),
            np.sign(_UPWARD @ state),
        )
        table, there, windows = np.column_stack(columns).tolist(), np.isfinite(level), count.astype(np.int64).tolist()
        found, known = {}, self.knows(window)
        for name, place in at:
            if there[place]:
                r, seen, expected, spread, least, most, evidence, toward = table[place]
                seen_in = windows[place]
                found[name] = Score(r, seen, expected, spread, least, most, evidence, seen_in, int(toward), known)
        return found

    def drift(self, window: str, metrics: Mapping[str, float], metric: str) -> Drift:
        """Say since when a metric lies elsewhere, and where, when its evidence of a shift is worth telling."""
        place, given = self._place[metric], self._row(metrics)
        unit = self._unit(self._lasting(window, self._forms.forward(given)))
        state, age = eprocess.step(self._evidence, unit), eprocess.ages(self._evidence, self._ages, unit)
        length = int(age[int(np.argmax(state[:, place])), place])
        values = np.append(self.values(metric), given[place])
        seasons = self._coarse if self.slots.calendar.every == "1h" else self._fine
        slot = self.slots.of(window)[0 if self.slots.calendar.every == "1h" else 1]
        return drift_of([*self.keys, window], values, [*seasons.tolist(), slot], length, LASTING * self.trailing)

    def knows(self, window: str) -> bool:
        """Tell whether history can say what a window's weekday or hour is like.

        A weekday that was never seen may be one on which nothing comes. So may an hour of such a weekday, unless its
        hour was there on other days and the newest window, of the same day, had about as many rows as was expected.
        """
        coarse, fine = self.slots.of(window)
        if bool((self._fine == fine).any()):
            return True
        if self.slots.calendar.every == "1d" or int((self._coarse == coarse).sum()) < _SAME_HOUR:
            return False
        same = self.slots.day(self.keys[-1]) == self.slots.day(window)
        return same and bool(self._sizes[-1] > 0) and abs(self._off) <= -np.log(_UNDER_WAY)

    def _newest_off(self) -> float:
        """Return by how much the newest window's rows were off, as a logarithm; NaN where that is unknown."""
        place = self._place.get(ROWS)
        return np.nan if place is None or not len(self.keys) else float(self._deviations[-1, place])

    def alike(self, window: str, metric: str) -> Floats:
        """Return a metric's learned values in windows of the same weekday, or hour, as a window; none if it is new."""
        coarse, fine = self.slots.of(window)
        same = self._fine == fine
        if not same.any() and self.slots.calendar.every == "1h":
            same = self._coarse == coarse
        found = self.values(metric)[same]
        known: Floats = found[np.isfinite(found)]
        return known

    def scattered(self) -> bool:
        """Tell whether the number of rows varies at least about as much as chance makes it vary."""
        rows = self._sizes
        if ROWS not in self._place or not len(rows):
            return True
        expected = np.expm1(np.log1p(rows) - self._deviations[:, self._place[ROWS]])
        if np.isfinite(expected).sum() < _least(self.trailing):
            expected = np.full(len(rows), np.nanmedian(rows) if np.isfinite(rows).any() else np.nan)
        return scatter.scattered(rows, expected)

    def update(self, window: str, metrics: Mapping[str, float]) -> None:
        """Learn one accepted window, later than all before it. Never call it for a window in alarm."""
        self._admit(metrics)
        row, level = self._forms.forward(self._row(metrics)), self._level(window)
        known = self.knows(window) or len(self.keys) < self.trailing
        self._accumulate(self._lasting(window, row))
        pooled = row - median(self._values[-self.period :], _least(self.trailing))
        coarse, fine = self.slots.of(window)
        cut = slice(max(0, len(self.keys) + 1 - self.keep), None)
        self.keys = [*self.keys, window][cut]
        self._coarse, self._fine = np.append(self._coarse, coarse)[cut], np.append(self._fine, fine)[cut]
        self._since_sizes += 1
        self._sizes = np.append(self._sizes, metrics.get(ROWS, np.nan))[cut]
        self._values = np.vstack([self._values, row])[cut]
        self._pooled = np.vstack([self._pooled, pooled])[cut]
        self._deviations = np.vstack([self._deviations, row - level])[cut]
        if len(self.keys) <= self.trailing:
            self._pool_first()
            for slot in dict.fromkeys(zip(self._coarse.tolist(), self._fine.tolist(), strict=True)):
                self._learn_slot(*slot)
        self._learn_slot(coarse, fine)
        self._off = self._newest_off()
        if not known:
            self._deviations[-1] = np.nan
        unknown = np.flatnonzero(~np.isfinite(self._deviations[: self.trailing]).any(axis=1)).tolist()
        self._judge([*unknown, len(self.keys) - 1] if len(self.keys) <= self.trailing else [len(self.keys) - 1])
        self._scale = None

    def deviations(self, metric: str) -> Floats:
        """Return a metric's past deviations from its expected level, in window order; NaN where not defined."""
        place = self._place.get(metric)
        return np.full(len(self.keys), np.nan) if place is None else np.array(self._deviations[:, place])

    def values(self, metric: str) -> Floats:
        """Return a metric's learned values in window order; NaN where it was missing."""
        values: Floats = self.table([metric])[:, 0]
        return values

    def table(self, metrics: Sequence[str]) -> Floats:
        """Return the learned values of several metrics, one column each; see `values`."""
        known = [place for place, metric in enumerate(metrics) if metric in self._place]
        found = np.full((len(self.keys), len(metrics)), np.nan)
        if known:
            names = [metrics[place] for place in known]
            learned = self._values[:, [self._place[name] for name in names]]
            found[:, known] = Forms(names, arcs=self._uneven).backward(learned)
        return found

    def count(self, metric: str) -> int:
        """Return in how many learned windows a metric was there."""
        place = self._place.get(metric)
        return 0 if place is None else int(self._bands()[1][place])

    def steady(self, metric: str, share: float = 0.9) -> bool:
        """Tell whether a metric hardly moves: the very same value in at least ``share`` of the last windows."""
        seen = self.values(metric)[-4 * self.trailing :]
        seen = seen[np.isfinite(seen)]
        return len(seen) >= _least(self.trailing) and float(np.mean(np.isclose(seen, np.median(seen)))) >= share

    def _name(self, names: list[str]) -> None:
        self.names = names
        self._place = {name: index for index, name in enumerate(names)}
        self._forms = Forms(names, hourly=self.slots.calendar.every == "1h", arcs=self._uneven)

    def _admit(self, metrics: Mapping[str, float]) -> None:
        """Make room for metrics that history has not seen."""
        new = [name for name in metrics if name not in self._place]
        if not new:
            return
        self._name([*self.names, *new])
        blank = np.full((len(self.keys), len(new)), np.nan)
        self._values = np.hstack([self._values, blank])
        self._pooled = np.hstack([self._pooled, blank])
        self._deviations = np.hstack([self._deviations, blank])
        self._sampled = np.append(self._sampled, np.zeros(len(new) if len(self._sampled) else 0))
        self._evidence = np.hstack([self._evidence, np.ones((len(self._evidence), len(new)))])
        self._ages = np.hstack([self._ages, np.zeros((len(self._ages), len(new)))])
        self._path = np.hstack([self._path, np.ones((len(self._path), len(new)))])
        self._squares, self._counts = (
            np.append(self._squares, np.zeros(len(new))),
            np.append(self._counts, np.zeros(len(new))),
        )
        for effects in (self._coarse_effects, self._fine_effects):
            effects.update({slot: np.append(effect, np.zeros(len(new))) for slot, effect in effects.items()})
        self._scale = None

    def _row(self, metrics: Mapping[str, float]) -> Floats:
        row = np.full(len(self.names), np.nan)
        for name, value in metrics.items():
            if name in self._place:
                row[self._place[name]] = value
        return row

    def _begin(self, flat: Floats, anew: Mapping[str, str]) -> None:
        """Run the e-CUSUM over history, to know how far it goes on windows that were accepted."""
        lasting: Floats = flat - trailing_means(flat, LASTING * self.trailing, _least(self.trailing))
        self._squares, self._counts = np.nansum(lasting**2, axis=0), np.isfinite(lasting).sum(axis=0).astype(np.float64)
        starts = np.array([bisect_left(self.keys, anew.get(name, "")) for name in self.names], dtype=np.int64)
        self._evidence, self._ages, self._path = eprocess.run(self._unit(lasting), starts)

    def _accumulate(self, lasting: Floats) -> None:
        unit = self._unit(lasting)
        self._ages = eprocess.ages(self._evidence, self._ages, unit)
        self._evidence = eprocess.step(self._evidence, unit)
        self._path = np.vstack([self._path, eprocess.mixture(self._evidence)])[-self.keep :]
        self._squares, self._counts = self._squares + np.nan_to_num(lasting) ** 2, self._counts + np.isfinite(lasting)

    def _peak(self) -> Floats:
        """Return how far evidence went in accepted windows, the newest aside: they may be the drift itself."""
        peak: Floats = self._path[: -_HELD_BACK * self.trailing].max(axis=0, initial=1.0)
        return peak

    def _lasting(self, window: str, value: Floats) -> Floats:
        """Measure how far a window is from the long level; a lasting shift soon becomes the local level."""
        long = self._flat(LASTING * self.trailing)
        count = np.isfinite(long).sum(axis=0)
        mean = np.nansum(long, axis=0) / np.maximum(count, 1)
        away: Floats = np.where(count >= _least(self.trailing), value - self._seasonal(window) - mean, np.nan)
        return away

    def _unit(self, lasting: Floats) -> Floats:
        square = np.sqrt(self._squares / np.maximum(self._counts, 1))
        floor = self._forms.floors(median(self._values[-self.trailing :], 1)) / _NORMAL_QUANTILE
        return eprocess.standardise(lasting, 0.0, np.fmax(square, floor))

    def _pool_first(self) -> None:
        """Compare the first windows, which have no level before them, with the first level that there is."""
        first = median(self._values[: self.trailing], _least(self.trailing))
        self._pooled = np.where(np.isfinite(self._pooled), self._pooled, self._values - first)

    def _judge(self, places: Sequence[int]) -> None:
        """Measure deviations where a slot was seen fewer than six times: from the nearer of the levels it may have.

        Else the first Saturdays and nights of a feed that rests then would make its band as wide as the rest is deep.
        What the only window of its slot deviates by is not known.
        """
        first = slice(None, self.trailing)
        flat = self._values[first] - self._effects(self._coarse[first], self._fine[first])
        for at in places:
            other = np.arange(len(self.keys)) != at
            same = other & (self._fine == self._fine[at])
            if self.slots.calendar.every == "1h" and not same.any():
                same = other & (self._coarse == self._coarse[at])
            if same.sum() >= SLOT_WINDOWS and np.isfinite(self._deviations[at]).any():
                continue
            off = self._deviations[at]
            if at < len(flat):
                off = np.where(np.isfinite(off), off, flat[at] - median(flat[other[first]], _least(self.trailing) - 1))
            for series in (self._pooled, self._values):
                own = series[at] - median(series[same], 1)
                off = np.where(np.abs(own) < np.abs(off), own, np.where(np.isfinite(own), off, np.nan))
            self._deviations[at] = off

    def _between(self, window: str, level: Floats) -> tuple[Floats, Floats]:
        """Return the levels between which history cannot tell: without what a slot adds, and with all of it.

        A slot that was seen fewer than six times may differ as much as it did then, or by chance.
        """
        coarse, fine = self.slots.of(window)
        flat, levels = level - self._seasonal(window), [level]
        own = self._pooled[self._fine == fine]
        count = np.isfinite(own).sum(axis=0)
        wide = self._coarse_effects.get(coarse, np.zeros(len(level)))
        unsure = (count > 0) & (count < SLOT_WINDOWS)
        levels += [np.where(unsure, flat + wide, level), np.where(unsure, flat + median(own, 1), level)]
        levels.append(np.where(unsure, median(self._values[self._fine == fine], 1), level))
        if self.slots.calendar.every == "1h":
            hour = self._pooled[self._coarse == coarse]
            count = np.isfinite(hour).sum(axis=0)
            unsure = (count > 0) & (count < SLOT_WINDOWS)
            levels += [np.where(unsure, flat, level), np.where(unsure, flat + median(hour, 1), level)]
            # After a first weekend the level is the weekend's: what the hour was like says more of a Monday.
            few = np.isfinite(own).sum(axis=0) < SLOT_WINDOWS
            usual = median(self._values[self._coarse == coarse], 1)
            levels.append(np.where(few & np.isfinite(usual), usual, level))
        return np.min(levels, axis=0), np.max(levels, axis=0)

    def _chance(self, level: Floats, width: Floats, *, upwards: bool) -> Floats:
        """Widen the band of the number of rows to what chance does where rows are few."""
        place = self._place.get(ROWS)
        if place is None or not np.isfinite(level[place]) or not self.scattered():
            return width
        wider = width.copy()
        least = scatter.least_width(float(np.expm1(min(max(level[place], 0.0), 50.0))), upwards)
        wider[place] = np.fmax(width[place], least)
        return wider

    def _learn_slot(self, coarse: int, fine: int) -> None:
        """Learn what a slot adds to the level, shrunk towards nothing below six windows in it."""
        if self.slots.calendar.every == "1h":
            self._coarse_effects[coarse] = shrunk_median(self._pooled[self._coarse == coarse], SLOT_WINDOWS)
        rows = self._pooled[self._fine == fine]
        self._fine_effects[fine] = shrunk_median(rows - self._coarse_effects.get(coarse, 0.0), SLOT_WINDOWS)

    def _effects(self, coarse: Ints, fine: Ints) -> Floats:
        found = np.zeros((len(coarse), len(self.names)))
        for at, (wide, narrow) in enumerate(zip(coarse.tolist(), fine.tolist(), strict=True)):
            found[at] += self._coarse_effects.get(wide, 0.0) + self._fine_effects.get(narrow, 0.0)
        return found

    def _flat(self, count: int) -> Floats:
        recent = slice(-count, None)
        return self._values[recent] - self._effects(self._coarse[recent], self._fine[recent])

    def _seasonal(self, window: str) -> Floats:
        coarse, fine = self.slots.of(window)
        seasonal: Floats = self._effects(np.array([coarse]), np.array([fine]))[0]
        return seasonal

    def _level(self, window: str) -> Floats:
        return self._seasonal(window) + median(self._flat(self.trailing), _least(self.trailing))

    def _learn_sizes(self) -> None:
        """Learn how deviations depend on rows; now and then, because it changes slowly."""
        if self._since_sizes < self.trailing:
            return
        self._sampled = sizes.sampling_share(self._deviations, self._sizes)
        self._usual_size = float(np.nanmedian(self._sizes))
        self._since_sizes = 0

    def _width(self, level: Floats, size: Floats) -> Floats:
        band, _ = self._bands()
        if self._uneven:
            band = band * np.diagonal(sizes.stretch(self._sampled, size, self._usual_size))
        width: Floats = np.fmax(band, self._forms.floors(level))
        return width

    def _size(self, metrics: Mapping[str, float], level: Floats) -> Floats:
        """Return the rows that each metric of a window stands on; counts stand on the rows that were expected."""
        size = np.full(len(self.names), float(metrics.get(ROWS, np.nan)))
        if ROWS in self._place:
            expected = float(self._forms.backward(level)[self._place[ROWS]])
            size[self._forms.kinds == COUNT] = expected
        return size

    def _beyond(self, count: Ints) -> Floats:
        """Return how far beyond the largest of so many deviations their q99 may lie, by a tail of some index.

        References:
            Weissman (1978), Estimation of parameters and large quantiles based on the k largest observations, JASA 73.
        """
        light = (self._forms.kinds == COUNT) | (self._forms.kinds == SHARE)
        seen = np.minimum(1.0, (count + 1) * (1 - _QUANTILE))
        factor: Floats = seen ** np.where(light, -1 / _LIGHT_TAIL, -1 / _TAIL)
        return factor

    def _bands(self) -> tuple[Floats, Floats]:
        """Return q99 of past deviations, as in a window of usual size, and the number of windows, by metric."""
        if self._scale is None:
            deviations = self._deviations
            if self._uneven:
                self._learn_sizes()
                deviations = deviations / sizes.stretch(self._sampled, self._sizes, self._usual_size)
            size = np.sort(np.abs(deviations), axis=0)
            count = np.isfinite(size).sum(axis=0)
            band = quantile(size, count, _QUANTILE) * (1 + _FEW / np.maximum(count, 1)) * self._beyond(count)
            self._scale = band, np.isfinite(self._values).sum(axis=0).astype(np.float64)
        return self._scale


def _least(trailing: int) -> int:
    return max(3, trailing // 2)
