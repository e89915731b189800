"""Rates of alarms: clumps widen the interval, spells are counted once, a change is seen or not."""

import numpy as np
import pytest
from quiet.rates import clustered, rate, seen, spells
from quiet.sections import power, replace
from scipy import stats


def test_independent_windows_have_the_exact_interval():
    alarms = [True, *[False] * 99]
    low, high = clustered(alarms, [str(at) for at in range(100)])
    exact = stats.binomtest(1, 100).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), rel=0.05)


def test_alarms_in_clumps_say_less():
    months = [f"m{at // 25}" for at in range(500)]
    clumped = [at < 10 for at in range(500)]
    spread = [at % 50 == 0 for at in range(500)]
    wide, narrow = clustered(clumped, months), clustered(spread, months)
    assert wide[0] < narrow[0] < 0.02 < narrow[1] < wide[1]


def test_clusters_cover_at_the_rate_they_promise():
    random, held = np.random.default_rng(3), 0
    for _ in range(200):
        rates = random.choice([0.0, 0.2], 40, p=[0.8, 0.2])
        alarms = (random.random((40, 25)) < rates[:, None]).ravel()
        low, high = clustered(alarms.tolist(), [str(at // 25) for at in range(1000)])
        held += low <= 0.04 <= high
    assert held / 200 > 0.9


def test_without_an_alarm_or_without_windows_there_is_a_bound():
    assert clustered([False] * 1000, ["a"] * 1000) == pytest.approx((0.0, 0.00368), abs=1e-4)
    assert clustered([], []) == (0.0, 1.0)
    assert clustered([True] * 5, ["a"] * 5)[1] == 1.0


def test_a_spell_is_told_once_and_never_across_series():
    assert spells([]) == spells([False] * 9) == 0
    assert spells([True, *[False] * 6, True]) == 1
    assert spells([True, *[False] * 7, True]) == 2
    rows = [{"series": name, "cluster": name, "alarm": alarm} for name in "ab" for alarm in (False, True)]
    found = rate(rows)
    assert (found.windows, found.alarms, found.spells, found.clusters, found.per1000) == (4, 2, 2, 2, 500.0)


def test_a_change_is_seen_within_so_many_windows():
    assert seen([0, 6, 7, None], 1) == 0.25
    assert seen([0, 6, 7, None], 7) == 0.5
    lines = power([{"kind": "k", "size": 1, "delay": 0, "moved": 2.0}], (1, 7), ("moved",))
    assert lines[0] == "| change | size | cases | moved | within 1 | within 7 |"
    assert lines[2] == "| k | 1 | 1 | 2 | 100% | 100% |"


def test_a_section_is_replaced_and_others_stay(tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("# Head\n\n## One\n\nold\n\n## Two\n\nkept\n")
    replace("One", ["new"], page)
    replace("Three", ["added"], page)
    assert page.read_text() == "# Head\n\n## One\n\nnew\n\n## Two\n\nkept\n\n## Three\n\nadded\n"
