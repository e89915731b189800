"""A table is compared where it lies as it would be in hand: the same windows, alarms and names."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import headwater
from conformance.engines import ENGINES, Engine
from headwater.app.pieces import windows
from headwater.core.clock import SimulatedClock
from headwater.core.errors import DataError, UnknownName, UsageError
from headwater.core.windows import Calendar

pytestmark = pytest.mark.filterwarnings("ignore")
CLOCK = SimulatedClock(dt.datetime(2024, 5, 1, tzinfo=dt.UTC))


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    found = ENGINES[request.param]()
    yield found
    found.close()


def orders(days: int, seed: int = 1) -> pl.DataFrame:
    """Orders every half hour, with a weekly season."""
    random, rows = np.random.default_rng(seed), 48 * days
    hours = np.arange(rows) / 2
    return pl.DataFrame(
        {
            "order": np.arange(rows),
            "at": [dt.datetime(2024, 1, 1) + dt.timedelta(hours=float(hour)) for hour in hours],
            "amount": random.lognormal(3, 0.6, rows) * (1 + 0.2 * np.sin(hours / 168 * 2 * math.pi)),
            "items": random.poisson(3, rows) + 1,
            "country": random.choice(["DE", "FR", "PL", "US"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )


WHOLE = orders(60)
OLD, NEW = WHOLE[: 48 * 50], WHOLE[48 * 50 :]
CHANGES = {
    "nothing": pl.col("amount"),
    "unit": pl.col("amount") * 100,
    "recode": pl.col("country").replace({"DE": "Germany"}),
    "nulls": pl.when(pl.col("items") > 2).then(None).otherwise(pl.col("items")).alias("items"),
}


def compared(reference: Any, current: Any, **options: Any) -> headwater.Comparison:
    return headwater.compare(reference, current, **{"time": "at", "clock": CLOCK, **options})


def told(found: headwater.Comparison) -> list[tuple[str, str]]:
    return [(change.column, change.severity) for change in found.alarms]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_and_named_as_it_is_in_hand(engine: Engine, name: str) -> None:
    after = NEW.with_columns(CHANGES[name])
    here = compared(OLD, after)
    old, new = engine.table("old", OLD.to_arrow()), engine.table("recent", after.to_arrow())
    for reference, current in ((old, new), (OLD, new), (old, after)):
        there = compared(reference, current)
        assert told(there) == told(here)
        assert (there.pieces, there.unit, there.banded) == (here.pieces, here.unit, True)
        assert there.current.rows == after.height and there.reference.rows == OLD.height
        assert {one.fault for one in here.diagnoses[:1]} <= {one.fault for one in there.diagnoses}
        assert "not looked for" in there.basis and str(there) and there._repr_html_()


def test_the_numbers_of_a_change_are_those_in_hand(engine: Engine) -> None:
    after = NEW.with_columns(pl.col("amount") * 100)
    here = compared(OLD, after).alarms[0]
    there = compared(engine.table("old", OLD.to_arrow()), engine.table("recent", after.to_arrow())).alarms[0]
    assert there.pieces == here.pieces
    assert there.value == pytest.approx(here.value, rel=0.02) and there.expected == pytest.approx(
        here.expected, rel=0.02
    )


def test_a_column_that_names_the_month_brings_a_new_one_as_it_does_in_hand(engine: Engine) -> None:
    whole = orders(81).with_columns(pl.col("at").dt.strftime("%Y-%m").alias("month"))
    old, new = whole[: 48 * 60], whole[48 * 60 :]
    assert not told(compared(old, new, columns=["month"]))
    past, now = engine.table("old", old.to_arrow()), engine.table("recent", new.to_arrow())
    for reference, current in ((past, now), (past, new), (old, now)):
        assert not compared(reference, current, columns=["month"]).changes


def test_a_key_that_comes_twice_is_counted_in_the_engine(engine: Engine) -> None:
    twice = pl.concat([NEW, NEW.filter(pl.col("at") >= dt.datetime(2024, 2, 25))])
    found = compared(OLD, engine.table("recent", twice.to_arrow()), key="order")
    assert "duplicate_share" in {change.metric for change in found.alarms}


def test_without_a_time_the_schema_alone_is_compared(engine: Engine) -> None:
    after = NEW.drop("items").with_columns(pl.col("amount") * 100)
    found = compared(engine.table("old", OLD.to_arrow()), engine.table("recent", after.to_arrow()), time=None)
    assert [change.column for change in found.changes] == ["items"] and not found.banded
    assert "`time`" in found.basis and found.current.columns["amount"].mean is not None


def test_too_few_windows_are_no_band(engine: Engine) -> None:
    found = compared(engine.table("old", OLD[:240].to_arrow()), NEW)
    assert not found.banded and not found.changes and "too few" in found.basis


def test_no_more_than_a_sample_leaves_the_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.adapters.engine_windows import EngineWindows

    fetched: list[int] = []
    whole = EngineWindows._fetched

    def counting(self: Any, query: Any) -> pl.DataFrame:
        found = whole(self, query)
        fetched.append(found.height)
        return found

    monkeypatch.setattr(EngineWindows, "_fetched", counting)
    many = pl.concat([WHOLE] * 60)
    early = pl.col("at") < dt.datetime(2024, 2, 20)
    old, new = many.filter(early), many.filter(~early)
    table = engine.table("old", old.to_arrow())
    found = compared(table, new.with_columns(pl.col("amount") * 100))
    assert found.diagnoses and found.diagnoses[0].fault == "unit"
    assert sum(fetched) < 1.1 * 28 * 2000 < old.height
    from headwater.app.wiring import engine_windows

    rows = engine_windows(table, "at", Calendar()).rows(["2024-02-01", "2024-02-02"], ["amount"], 100)
    assert list(rows) == ["2024-02-01", "2024-02-02"]
    assert all(20 < part.height < 250 and part.columns == ["amount"] for part in rows.values())


@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)
@pytest.mark.parametrize("every", ["1d", "1h"])
def test_windows_are_those_in_hand(engine: Engine, zone: str, every: str) -> None:
    random = np.random.default_rng(4)
    starts = [dt.datetime(1968, 12, 31), dt.datetime(2024, 3, 8), dt.datetime(2024, 10, 31), dt.datetime(2024, 4, 5)]
    at = [start + dt.timedelta(seconds=float(s)) for start in starts for s in random.uniform(0, 4 * 86_400, 200)]
    at += [dt.datetime(2024, 3, 10, 6, 59, 59, 999_999), dt.datetime(2024, 3, 10, 7), dt.datetime(2024, 11, 3, 6)]
    frame = pl.DataFrame({"at": [*at, None]}, schema={"at": pl.Datetime("us")})
    calendar = Calendar(every, zone)
    from headwater.app.wiring import engine_windows

    found = engine_windows(engine.table("moments", frame.to_arrow()), "at", calendar).found
    here = windows(frame, "at", calendar, "it")
    assert {name: rows for name, (rows, _) in found.items()} == {one.window.key: one.frame.height for one in here}
    assert [newest for _, newest in found.values()] == pytest.approx([one.newest for one in here])


def test_dates_are_windows_of_their_own(engine: Engine) -> None:
    frame = WHOLE.with_columns(pl.col("at").dt.date())
    found = compared(engine.table("old", frame[: 48 * 50].to_arrow()), frame[48 * 50 :], timezone="America/New_York")
    assert found.unit == "day" and found.pieces == 10 and not found.alarms


def test_mistakes_are_told_before_anything_is_asked(engine: Engine) -> None:
    old = engine.table("old", OLD.to_arrow())
    with pytest.raises(UnknownName, match="the reference has no column `atx`"):
        compared(old, NEW, time="atx")
    with pytest.raises(UsageError, match="no dates or times"):
        compared(old, NEW, time="country")
    with pytest.raises(UnknownName, match="`ordre`"):
        compared(old, NEW, key="ordre")
    with pytest.raises(UnknownName, match="`amonut`"):
        compared(old, NEW, columns=["amonut"])
    with pytest.raises(UsageError, match="swap"):
        compared(NEW, old)
    with pytest.raises(DataError, match="no times"):
        compared(engine.table("none", OLD[:3].with_columns(at=pl.lit(None, pl.Datetime("us"))).to_arrow()), NEW)
