"""How often `EstimatedMonitor` speaks on real days with nothing wrong: two years of flights, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from labelfree import series

from headwater.core.records import Evidence
from headwater.core.windows import Calendar
from headwater.mlops.estimated import CHIEF, values
from headwater.observe.estimated import EstimatedMonitor
from headwater.observe.history import History
from headwater.stats.estimates import cbpe
from headwater.stats.estimates.encoding import Encoding
from headwater.stats.estimates.estimation import Track

CALENDAR = Calendar("1d", "America/New_York")
TRAINED = 181
SUBJECT = "model:nyc/delay"


def days(year: int) -> series.Series:
    """A model of a year's first half on each day of its second; labels come a day later."""
    frame = series.flights(year)
    late = ((pl.col("arr_delay") > 15) | pl.col("arr_delay").is_null()).alias("_y")
    keyed = frame.with_columns(late).sort("date", maintain_order=True)
    cut: series.Cut = [
        (f"{key[0]}", float(at), at + 1.0, part.select(*series.FLIGHT[1:], "_y"))
        for at, (key, part) in enumerate(keyed.group_by("date", maintain_order=True))
    ]
    return series.trained(f"days_{year}", "binary", "tune", cut, TRAINED, f"{year}, January to June")


def replay(year: int) -> dict[str, Any]:
    """Live through half a year; count windows, estimates shown and notices, and how often bands held."""
    series, history, monitor = days(year), History(CALENDAR), EstimatedMonitor()
    cells = Encoding.of(pl.concat([item.features for item in series.windows[:7]]))
    track = Track([cbpe.Cbpe(memory) for memory in cbpe.MEMORIES])
    told: dict[str, Any] = {"windows": 0, "shown": 0, "covered": 0, "notices": []}
    before: tuple[str, cbpe.Tally] | None = None
    for item in series.windows:
        if before is not None:
            track.settle(*before)
        decision = (item.prediction >= 0.3).astype(float)
        found = track.estimate(item.key, cbpe.Tally.of(item.prediction, decision, given=(cells, item.features)))
        window = cbpe.Tally.of(item.prediction, decision, item.outcome, given=(cells, item.features))
        before = (item.key, window)
        if not found:
            continue
        time = datetime.combine(date.fromisoformat(item.key), datetime.min.time(), UTC) + timedelta(days=1)
        made = Evidence(type="estimate", subject=SUBJECT, window=item.key, values=values(found, CHIEF["binary"], 0),
                        time=time)  # fmt: skip
        history.add_evidence(made)
        for finding in monitor.evaluate([made], history, CALENDAR, time):
            history.add_finding(finding)
            told["notices"].append((item.key, finding.metric, finding.detail))
        told["windows"] += 1
        chief = found["log_loss"]
        if chief.valid:
            told["shown"] += 1
            told["covered"] += chief.low <= cbpe.realised(window)["log_loss"] <= chief.high
    return told


if __name__ == "__main__":
    for year in (2013, 2023):
        print(year, replay(year))
