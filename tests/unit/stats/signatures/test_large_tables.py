"""Tables with so many rows in a window that only a sample of them is measured."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from headwater.stats.signatures.repairs import apply
from headwater.stats.signatures.signatures import Reference, diagnose
from unit.stats.feeds import day

ROWS, TODAY = 50_000, 12


def trips(place: int, *, keyed: bool = True) -> pl.DataFrame:
    random = np.random.default_rng([5, place])
    rows = ROWS + int(random.normal(0, 500))
    seconds = np.sort(random.integers(0, 86_400, rows))
    frame = pl.DataFrame(
        {
            "trip": place * 1_000_000 + np.arange(rows),
            "zone": random.choice(["a", "b", "c", "d"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "miles": np.round(random.gamma(2.0, 1.7, rows), 2),
            "fare": np.round(random.gamma(3.0, 5.0, rows), 2),
        }
    ).with_columns(at=pl.lit(day(place).start) + pl.Series(seconds * 1000).cast(pl.Duration("ms")))
    return frame if keyed else frame.drop("trip")


@pytest.fixture(scope="module", params=[True, False], ids=["keyed", "unkeyed"])
def learned(request: pytest.FixtureRequest) -> tuple[bool, Reference]:
    frames = [(day(place), trips(place, keyed=request.param)) for place in range(TODAY)]
    return request.param, Reference.learn(frames, key=("trip",) if request.param else (), time="at")


def test_a_sample_is_measured_and_only_the_newest_windows_are_kept_whole(learned: tuple[bool, Reference]) -> None:
    keyed, reference = learned
    assert reference.every == 2
    assert [frame.height < 0.6 * ROWS for frame in reference.frames] == [True] * 5 + [False] * 7
    view = reference.sampled(trips(TODAY, keyed=keyed), day(TODAY))
    assert 0.45 < view.height / view.rows < 0.55
    assert diagnose(trips(TODAY, keyed=keyed), reference, window=day(TODAY)) == []


def in_kilometres(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("miles") * 1.609344)


def twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame])


def with_yesterday(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, trips(TODAY - 1).select(frame.columns)])


@pytest.mark.parametrize(
    ("fault", "change"),
    [("unit", in_kilometres), ("duplicate_load", twice), ("duplicate_load", with_yesterday)],
)
def test_the_repair_is_right_on_every_row(
    learned: tuple[bool, Reference], fault: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    keyed, reference = learned
    right = trips(TODAY, keyed=keyed)
    found = diagnose(change(right), reference, window=day(TODAY))[0]
    assert found.fault == fault and found.invertible
    mended = apply(found.repair, change(right), reference)
    assert mended.height == right.height
    assert (mended["miles"] - right["miles"]).abs().max() < 1e-6  # type: ignore[operator]


def test_an_old_delivery_at_new_times_is_frozen(learned: tuple[bool, Reference]) -> None:
    keyed, reference = learned
    again = trips(TODAY - 2, keyed=keyed).with_columns(at=pl.col("at") + timedelta(days=2))
    found = diagnose(again, reference, window=day(TODAY))[0]
    assert found.fault == "frozen" and f"of the {again.height} rows" in found.detail
