"""Small clean worlds for the monitors' tests: evidence of one subject, window by window."""

from __future__ import annotations

import datetime as dt

import numpy as np

from headwater.core.records import Evidence
from headwater.core.windows import Calendar
from headwater.observe.history import History

CALENDAR = Calendar("1d", "America/New_York")
DAYS = [window.key for window in CALENDAR.between("2013-01-01", "2013-08-31")]
NOW = dt.datetime(2013, 9, 30, tzinfo=dt.UTC)
TABLE = "dataset:nyc/trips"
MODEL = "model:nyc/delay"


def evidence(day: str, values: dict, kind: str = "profile", subject: str = TABLE) -> Evidence:
    return Evidence(type=kind, subject=subject, window=day, values=values, time=NOW)


def table(index: int, random: np.random.Generator, **changed: float | None) -> dict[str, float]:
    """A profile of a clean day, with metrics replaced (None: taken out)."""
    temp = 60 + random.normal(0, 6)
    values = {
        "rows": round(1000 * float(np.exp(random.normal(0, 0.05)))),
        "duplicate_share": 0.0,
        "repeat_share": 0.01,
        "null_share.x": 0.0,
        "zero_share.x": 0.0,
        "null_share.delay": 0.02 + 0.01 * random.random(),
        "zero_share.delay": 0.05,
        "key_match.planes": 0.83 + random.normal(0, 0.005),
        "null_share.carrier": 0.0,
        "distinct.carrier": 14.0,
        "unseen_share.carrier": 0.0,
        "length_mean.carrier": 2.0,
        "null_share.t": 0.0,
        "min_hours.t": 5.0,
        "max_hours.t": 23.0,
        "offset.t.hour": 0.0,
        "offset_wall.t.hour": 4.0,
        "mean.x": temp,
        "std.x": 5.0 + 0.1 * random.random(),
        "q25.x": temp - 3,
        "q50.x": temp + random.normal(0, 0.2),
        "q75.x": temp + 3,
    }
    values |= {name: value for name, value in changed.items() if value is not None}
    return {name: float(value) for name, value in values.items() if changed.get(name, 0) is not None}


def learned(days: int = 120, kind: str = "profile", subject: str = TABLE) -> tuple[History, np.random.Generator]:
    """A history of clean days of one table."""
    random = np.random.default_rng(7)
    history = History(CALENDAR)
    for index, day in enumerate(DAYS[:days]):
        history.add_evidence(evidence(day, table(index, random), kind, subject))
    return history, random
