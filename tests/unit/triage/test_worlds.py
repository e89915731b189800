"""What a changed world is told with."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from headwater.triage.outcomes import Outcomes
from headwater.triage.worlds import _residual


def look(task, metric, before, after):
    """Forty label-mature windows, the last six of them in question, with one number each."""
    keys = [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in range(40)]
    noise = 1 + 0.01 * np.sin(np.arange(40))
    values = {key: {metric: (before if place < 34 else after) * noise[place]} for place, key in enumerate(keys)}
    texts, numbers = [], {}
    return SimpleNamespace(
        outcomes=Outcomes(tuple(keys), values, frozenset(keys[:34])),
        labelled_first=keys[34],
        model=SimpleNamespace(task=task),
        numbers=numbers,
        texts=texts,
        note=lambda name, text, **told: (texts.append(text), numbers.update(told)),
    )


@pytest.mark.parametrize(("task", "metric", "before", "after"), [
    ("regression", "mae", 3.9, 20.2), ("regression", "mae", 0.2, 0.5), ("regression", "bias", -1.0, 4.0),
    ("ranking", "ndcg", 0.8, 0.6),
])  # fmt: skip
def test_a_residual_is_told_in_the_unit_of_its_metric(task, metric, before, after):
    made = look(task, metric, before, after)
    assert _residual(made)[0] == metric
    moved, usual = (float(item) for item in re.search(r"moved by (\S+) from (\S+) since", made.texts[0]).groups())
    assert usual == pytest.approx(before, rel=0.02)
    assert moved == pytest.approx(after - before, rel=0.3)  # it may be said to have begun a window early
    assert (made.numbers["usual"], made.numbers["shift"]) == (
        pytest.approx(usual, rel=0.001),
        pytest.approx(moved, rel=0.001),
    )
