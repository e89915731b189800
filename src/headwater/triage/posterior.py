"""How probable is each suspect: a posterior over what can have happened, one fault, two at once, or none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

SECOND = math.log(0.1)
"""Log odds that a second fault is there when there is one."""
CLEARED = -20.0
"""Weight of what was cleared."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities of what can have happened.

    Attributes:
        suspects: For each suspect, that it failed, alone or with another; they may add up to more than 1.
        world: That the world changed and no asset failed.
        nothing: That nothing is wrong.
        unseen: That it is something that was not looked at.
    """

    suspects: tuple[float, ...]
    world: float
    nothing: float
    unseen: float

    @property
    def best(self) -> float:
        """The probability of the most probable answer."""
        return max((*self.suspects, self.world, self.nothing))


def posterior(
    weights: Sequence[float], proven: Sequence[bool], world: float, nothing: float, unseen: float
) -> Posterior:
    """Weigh single faults, pairs of faults, a changed world and nothing against each other.

    Two suspects that compete for the same symptoms exclude each other. Where each has a proof of its own (its own code
    gives other rows on the same parents, its own table carries a signature), they do not: one fault does not make the
    other less true. So pairs of proven suspects are hypotheses too, at the price of `SECOND`.

    Args:
        weights: Log odds of each suspect against "nothing is wrong".
        proven: Which suspects have a proof of their own.
        world: Weight of a changed world.
        nothing: Weight of "nothing is wrong".
        unseen: Weight of a cause that nobody looked at.

    Example:
        >>> both = posterior([4.0, 4.0], [True, True], -2.0, 0.0, -1.0)
        >>> [round(chance, 2) for chance in both.suspects]
        [0.86, 0.86]
        >>> rivals = posterior([4.0, 4.0], [False, False], -2.0, 0.0, -1.0)
        >>> [round(chance, 2) for chance in rivals.suspects]
        [0.49, 0.49]
    """
    sets: list[tuple[tuple[int, ...], float]] = [((index,), weight) for index, weight in enumerate(weights)]
    sure = [index for index, flag in enumerate(proven) if flag]
    sets += [((one, other), weights[one] + weights[other] + SECOND) for one, other in combinations(sure, 2)]
    others = (world, nothing, unseen)
    top = max([weight for _, weight in sets] + list(others))
    whole = sum(math.exp(weight - top) for _, weight in sets) + sum(math.exp(weight - top) for weight in others)
    chances = [0.0] * len(weights)
    for members, weight in sets:
        for index in members:
            chances[index] += math.exp(weight - top) / whole
    rest = [math.exp(weight - top) / whole for weight in others]
    return Posterior(tuple(min(1.0, chance) for chance in chances), rest[0], rest[1], rest[2])
