"""Units of whole columns: what cannot be a unit raises nothing."""

import numpy as np
import polars as pl
import pytest

from headwater.core.windows import Calendar
from headwater.stats.signatures import amounts
from headwater.stats.signatures.signatures import Reference, diagnose


def test_a_factor_of_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where most values usually are 0, so is an estimated factor at times: no value could be given back."""
    random, windows = np.random.default_rng(1), list(Calendar().between("2024-01-01", "2024-01-29"))

    def day(wet: float) -> pl.DataFrame:
        rain = np.where(random.random(72) < wet, random.integers(1, 40, 72) / 100, 0.0)
        return pl.DataFrame({"hour": np.arange(72), "rain": rain})

    reference = Reference.learn([(window, day(at % 4 * 0.16)) for at, window in enumerate(windows[:28])])
    monkeypatch.setattr(amounts, "_estimated", lambda case, column, given: [(0.0, 0.0)])
    assert all(one.fault != "unit" for one in diagnose(day(0.9), reference, window=windows[28]))
