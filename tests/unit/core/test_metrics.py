"""The names of metrics, against what a profile really measures."""

from datetime import UTC, datetime

import polars as pl
import pytest

from headwater.core.errors import UnknownName
from headwater.core.metrics import OF_COLUMNS, OF_TABLES, check_muted, check_watched, parts
from headwater.core.windows import Calendar
from headwater.stats.profiling.profile import profile


def test_all_that_a_profile_measures_may_be_watched_or_muted():
    day = Calendar().window("2024-01-02")
    at = [datetime(2024, 1, 2, hour, tzinfo=UTC) for hour in range(24)] * 20
    frame = pl.DataFrame({
        "id": range(480), "at": at, "hour": [time.hour for time in at], "x": [0.5, 1.5] * 240,
        "sure": [True, False] * 240, "shop": ["a", "b", "c"] * 160,
    })  # fmt: skip
    found = profile(frame, window=day, key=["id"], known={"shop": frozenset({"a"})}, previous=frame,
                    frequent={"shop": ("a",)})  # fmt: skip
    for metric in found:
        check_muted(metric)
        if metric not in ("repeat_share", "echo_share"):
            check_watched(metric)
    families = {parts(metric)[0] for metric in found}
    assert (OF_TABLES | OF_COLUMNS) - families == set(), "what is listed is measured"


@pytest.mark.parametrize("metric", ["", ".amount", "Rows", "share", "repeat_share", "mean."])
def test_what_is_no_metric_is_refused(metric):
    with pytest.raises(UnknownName):
        check_watched(metric)
