"""Central moments up to the fourth that merge without loss of precision, whatever the scale of the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Beyond these the fourth power of a distance leaves the range of a float, and everything is scaled first.
_LARGE, _SMALL = 2.0**240, 2.0**-240


@dataclass(frozen=True)
class Moments:
    """Count, mean and central power sums of finite numbers.

    The numbers are ``2**exponent`` times what is kept, so that neither 1e300 nor denormals leave the range of a float;
    the mean is ``high + low``, so that a small spread around a large mean is kept. Merging follows Pebay (2008),
    "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical moments",
    equations 2.1 and following: commutative to the last bit, associative to about 1e-13.

    Attributes:
        count: How many numbers.
        high: The mean, rounded.
        low: What rounding took from the mean.
        second: Sum of squared distances from the mean.
        third: Sum of cubes.
        fourth: Sum of fourth powers.
        exponent: Power of two that everything is to be multiplied with.
    """

    count: int = 0
    high: float = 0.0
    low: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: Floats, weights: Floats | None = None) -> Moments:
        """Measure finite numbers, each counted ``weights`` times.

        Example:
            >>> round(Moments.of(np.array([1e9, 1e9 + 2.0])).std or 0.0, 9)
            1.414213562
        """
        if not len(values):
            return cls()
        largest = float(np.abs(values).max())
        exponent = 0
        spread = float(values.max()) / 2 - float(values.min()) / 2
        if largest > _LARGE or 0.0 < spread < _SMALL or (spread == 0.0 and 0.0 < largest < _SMALL):
            exponent = math.frexp(largest)[1]
            if spread and spread < _SMALL:
                exponent = math.frexp(spread)[1] if largest < spread * 2.0**60 else exponent
            values = (
                np.ldexp(values, -exponent) if exponent > -1000 else np.ldexp(np.ldexp(values, 900), -exponent - 900)
            )
        count = float(len(values)) if weights is None else float(weights.sum())
        high = float(values.mean()) if weights is None else float((values * weights).sum() / count)
        gap = values - high
        first = gap if weights is None else gap * weights
        square = gap * first
        sums = (float(first.sum()), float(square.sum()), float((square * gap).sum()), float((square * gap * gap).sum()))
        return cls.about(int(count), high, sums, exponent)

    @classmethod
    def about(cls, count: int, point: float, sums: tuple[float, float, float, float], exponent: int = 0) -> Moments:
        """Build from the power sums of distances from any point near the mean."""
        if not count:
            return cls()
        s1, s2, s3, s4 = sums
        d = s1 / count
        second = max(s2 - d * s1, 0.0)
        third = s3 - 3.0 * d * s2 + 2.0 * d * d * s1
        fourth = max(s4 - 4.0 * d * s3 + 6.0 * d * d * s2 - 3.0 * d * d * d * s1, 0.0)
        return cls(count, *_split(point, d), second, third, fourth, exponent)

    def merge(self, other: Moments) -> Moments:
        """Combine with the moments of other numbers."""
        if not self.count:
            return other
        if not other.count:
            return self
        # Zeros alone have no scale, and leave the other's, however small.
        exponent = max((one.exponent for one in (self, other) if one.high or one.low or one.second), default=0)
        a, b = self._scaled(exponent), other._scaled(exponent)
        na, nb = float(a.count), float(b.count)
        n = na + nb
        d = (b.high - a.high) + (b.low - a.low)
        # Moving from the larger part's mean keeps the order of the two from mattering.
        if (na, a.high, a.low) < (nb, b.high, b.low):
            a, b, na, nb, d = b, a, nb, na, -d
        high, low = _split(a.high, a.low + d * nb / n)
        second = a.second + b.second + d * d * na * nb / n
        third = (
            a.third
            + b.third
            + d * d * d * na * nb * (na - nb) / (n * n)
            + 3.0 * d * (na * b.second - nb * a.second) / n
        )
        fourth = (
            a.fourth
            + b.fourth
            + d * d * d * d * na * nb * (na * na - na * nb + nb * nb) / (n * n * n)
            + 6.0 * d * d * (na * na * b.second + nb * nb * a.second) / (n * n)
            + 4.0 * d * (na * b.third - nb * a.third) / n
        )
        return Moments(a.count + b.count, high, low, second, third, fourth, exponent)

    def moved(self, by: float) -> Moments:
        """Return the moments of the numbers, each with ``by`` added to it."""
        if not self.count or not by:
            return self
        high, low = _split(_ldexp(by, -self.exponent), self.high)
        return replace(self, high=high, low=low + self.low)

    @property
    def mean(self) -> float | None:
        """The mean, or None without numbers or beyond the range of a float."""
        return _finite(_ldexp(self.high + self.low, self.exponent)) if self.count else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation, with count - 1; None below two numbers or beyond the range of a float."""
        if self.count < 2:
            return None
        return _finite(_ldexp(math.sqrt(max(self.second, 0.0) / (self.count - 1)), self.exponent))

    @property
    def skew(self) -> float | None:
        """Third standardised moment (population form, no correction for bias); None when all numbers are equal."""
        if self.count < 2 or not self.second > 0.0:
            return None
        spread = math.sqrt(self.second / self.count)
        return _finite(self.third / self.count / spread / spread / spread)

    @property
    def kurtosis(self) -> float | None:
        """Fourth standardised moment minus 3 (population form); None when all numbers are equal."""
        if self.count < 2 or not self.second > 0.0:
            return None
        variance = self.second / self.count
        return _finite(self.fourth / self.count / variance / variance - 3.0)

    def body(self) -> list[float]:
        """Return the moments as plain data."""
        return [self.count, self.high, self.low, self.second, self.third, self.fourth, self.exponent]

    def _scaled(self, exponent: int) -> Moments:
        shift = self.exponent - exponent
        if not shift:
            return self
        return Moments(
            self.count,
            _ldexp(self.high, shift),
            _ldexp(self.low, shift),
            _ldexp(self.second, 2 * shift),
            _ldexp(self.third, 3 * shift),
            _ldexp(self.fourth, 4 * shift),
            exponent,
        )


NONE = Moments()


def _split(high: float, low: float) -> tuple[float, float]:
    """Add two numbers and keep what rounding takes (Knuth's two-sum)."""
    total = high + low
    part = total - high
    return total, (high - (total - part)) + (low - part)


def _ldexp(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
