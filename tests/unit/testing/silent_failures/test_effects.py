"""How bad an effect is."""

from __future__ import annotations

import pytest

from headwater.testing.silent_failures.effects import Effect


@pytest.mark.parametrize(
    ("effect", "level"),
    [
        (Effect(), "S0"),
        (Effect(displacement=0.0029), "S0"),
        (Effect(displacement=0.003), "S1"),
        (Effect(labels=0.02), "S2"),
        (Effect(displacement=0.001, lost=0.3), "S3"),
        (Effect(decisions=0.05), "S3"),
    ],
)
def test_the_largest_effect_gives_the_level(effect: Effect, level: str) -> None:
    assert effect.level == level
