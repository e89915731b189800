"""The kernel's histogram cells as arithmetic that every SQL engine does exactly.

All of it is comparing floats, multiplying them with powers of two and rounding them down, which IEEE 754 leaves no room
in. The exponent of a number comes from its logarithm, which may be off by one, and is corrected by comparing the number
with the power itself. Postgres raises an error where a product leaves the range of a float, on either side, so numbers
that would do so are set apart before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headwater.stats.profiling.grids import OUTER_SHIFT, OUTER_SIZE, OUTSIDE, Grid, unmonotone

Expression = Any
_TOP, _BOTTOM = 2**63 - 1, -(2**63)
_LEAST_NORMAL = 2.0**-1022
_INFINITE_BITS = 0x7FF0000000000000


def coded(x: Expression, grid: Grid, ends: tuple[int | float, int | float]) -> Expression:
    """Return each stored number's code: its cell's place from 1 on, or -1 minus its outer cell's key; null stays null.

    Args:
        x: Stored whole numbers (int64) or finite floats (float64).
        grid: Where the cells lie.
        ends: The smallest and the largest of the numbers. Where these have cells, all have, and the query is shorter.
    """
    import ibis

    wide = _wide(x, grid)
    if grid.kind == "log":
        inside, place = _between(wide, *_log_ends(grid)), key(wide, grid.power)
        cases = [(wide == 0.0, ibis.literal(grid.size + 1, "int64")), (inside, place - (grid.low - 1))]
    elif grid.whole:
        # Counted from the middle: the place before the first may be no int64.
        middle, half = grid.low + grid.size // 2, grid.size // 2
        place = ((x >> grid.power) if grid.power else x) - middle + (half + 1)
        cases = [(_among(x, *whole_ends(grid)), place)]
    else:
        edges = (_ldexp(grid.low, grid.power), _ldexp(grid.low + grid.size, grid.power))
        cases = [(_between(wide, *edges), _scaled(wide, grid.power).floor().cast("int64") - (grid.low - 1))]
    kind = np.int64 if grid.whole and grid.kind != "log" else np.float64
    covered = bool((grid.cell(np.array(ends, dtype=kind)) != OUTSIDE).all()) and (
        grid.kind != "log" or ends[0] + grid.shift > 0
    )
    rest = ibis.null("int64") if covered else -1 - _outer(wide, grid)
    return ibis.cases((x.isnull(), ibis.null("int64")), *cases, else_=rest)


def _wide(x: Expression, grid: Grid) -> Expression:
    """Return the values of stored numbers as floats; unsigned ones by halves, whose sum is rounded but once."""
    if not grid.shift:
        return x.cast("float64")
    return ((x >> 32) + (1 << 31)).cast("float64") * 2.0**32 + (x & 0xFFFFFFFF).cast("float64")


def _among(x: Expression, low: int, high: int) -> Expression:
    return x <= high if low == _BOTTOM else (x >= low) & (x <= high)


def whole_ends(grid: Grid) -> tuple[int, int]:
    """Return the least and the largest whole number that have a cell."""
    low, high = grid.low << grid.power, ((grid.low + grid.size) << grid.power) - 1
    return max(low, _BOTTOM), min(high, _TOP)


def key(x: Expression, power: int) -> Expression:
    """Return the bits of a float but for ``power`` lower ones, as a number that grows with it; not for zero."""
    import ibis

    size = x.abs()
    bits = 52 - power
    safe = ibis.greatest(size, _LEAST_NORMAL)
    guess = (safe.ln() / math.log(2.0)).floor().cast("float64")
    guess = ibis.greatest(ibis.least(guess, 1023.0), -1022.0)
    power_of_guess = ibis.literal(2.0, "float64").pow(guess)
    # Everything is written out in full wherever it is used, so it is used as seldom as possible.
    step = ibis.cases((safe < power_of_guess, -1.0), (safe * 0.5 >= power_of_guess, 1.0), else_=0.0)
    exponent = guess + step
    biased = (exponent + 1023.0).cast("int64")
    if bits >= 0:
        mantissa = safe / ibis.literal(2.0, "float64").pow(exponent)
        place = biased * (1 << bits) + ((mantissa - 1.0) * float(1 << bits)).floor().cast("int64")
    else:
        place = biased >> -bits
    small = (size * 2.0**537 * 2.0 ** (537 - power)).floor().cast("int64")
    found = ibis.cases((size < _LEAST_NORMAL, small), else_=place)
    return found * ibis.cases((x < 0.0, -1), else_=1) - ibis.cases((x < 0.0, 1), else_=0)


def _outer(x: Expression, grid: Grid) -> Expression:
    """Return the key of the cell of a number outside the grid, measured from zero or from the grid's middle."""
    import ibis

    middle, zero = grid.middle, ibis.literal(0, "int64")
    if middle == 0.0:
        return ibis.cases((x == 0.0, zero), else_=key(x, OUTER_SHIFT)) + OUTER_SIZE // 2 + OUTER_SIZE
    # |x| < |x - middle| without the difference, which may leave the range of a float.
    near = x < middle / 2 if middle > 0.0 else x > middle / 2
    chosen = ibis.cases((near, x), else_=x - middle)
    place = ibis.cases((chosen == 0.0, zero), else_=key(chosen, OUTER_SHIFT))
    return place + OUTER_SIZE // 2 + ibis.cases((near, 0), else_=OUTER_SIZE)


def _log_ends(grid: Grid) -> tuple[float | None, float | None]:
    bits = np.array([grid.low << grid.power, min((grid.low + grid.size) << grid.power, _TOP)], dtype=np.int64)
    low, high = (float(end) for end in unmonotone(bits))
    return (None if bits[0] <= -_INFINITE_BITS else low, None if bits[1] >= _INFINITE_BITS else high)


def _between(x: Expression, low: float | None, high: float | None) -> Expression:
    if low is not None and high is not None:
        return (x >= low) & (x < high)
    if low is not None:
        return x >= low
    return x < high if high is not None else x.notnull()


def _ldexp(place: int, power: int) -> float | None:
    try:
        return math.ldexp(float(place), power)
    except OverflowError:
        return None


def _scaled(x: Expression, power: int) -> Expression:
    """Multiply with ``2**-power``; what would fall below the least float becomes zero."""
    import ibis

    if power <= 0:
        return x * 2.0**-power
    return ibis.cases((x.abs() <= math.ldexp(1.0, power - 1075), ibis.literal(0.0, "float64")), else_=x * 2.0**-power)
