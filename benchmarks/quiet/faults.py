"""Natural faults: what the publishers of real data got wrong, found and named from windows, end to end.

Each case replays a table through the monitors from history that was in order into the fault that SOURCE.md documents.
Found: an alarm, or a signature that the line would take as one. Named: the first signature in order of confidence says
the kind and the column. Nothing is planted here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import polars as pl
from quiet.ours import Judged, Watch
from quiet.series import Series
from real_tables import DATA, Frames, cut, flights, weather

from headwater.core.windows import Calendar
from headwater.stats.profiling.profile import KNOWN_LIMIT
from headwater.stats.signatures.writings import LEAST, odd_writings

NEW_YORK = "America/New_York"


@dataclass
class Fault:
    """One documented fault.

    Attributes:
        name: What is wrong, after SOURCE.md.
        series: The table; the fault begins at its ``start``.
        kinds: Kinds of signature that name it rightly.
        columns: Columns of which one must be named; none for whole tables.
        metrics: Monitor metrics that point at it, besides those of the columns.
        windows: How many are judged; None for all.
    """

    name: str
    series: Callable[[], Series]
    kinds: tuple[str, ...]
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    windows: int | None = 14


def _joined(before: Frames, after: Frames, zone: str, days: int = 60, **more: Any) -> Series:
    frames = [*before[-days:], *after]
    return Series("", frames, Calendar("1d", zone), len(before[-days:]), **more)


def _years(table: Callable[[int], Any], path: str, drop: tuple[str, ...] = (), **more: Any) -> Series:
    late = cut(pl.read_parquet(DATA / f"nycflights/{path}_2023.parquet"), "time_hour", NEW_YORK)[1:60]
    both = [[(window, frame.drop(drop)) for window, frame in frames] for frames in (table(2013).frames, late)]
    return _joined(both[0], both[1], NEW_YORK, time="time_hour", **more)


def _planes() -> Series:
    before, after = (pl.read_parquet(DATA / f"nycflights/planes_{year}.parquet") for year in (2013, 2023))
    windows = list(Calendar().between("2013-01-01", "2013-02-15"))
    frames = [(window, before) for window in windows[:28]] + [(window, after) for window in windows[28:]]
    return Series("", frames, Calendar(), 28, key=("tailnum",))


def _pressure() -> Series:
    frames = [
        weather(2013).frames,
        cut(pl.read_parquet(DATA / "nycflights/weather_2023.parquet"), "time_hour", NEW_YORK),
    ]
    only = [[(window, frame.select("origin", "time_hour", "pressure")) for window, frame in one] for one in frames]
    return _joined(only[0], only[1][1:60], NEW_YORK, 120, time="time_hour", key=("origin", "time_hour"))


def _trips(first: str, start: str, last: str) -> Series:
    times = pl.col("pickup_datetime")
    ends = [datetime.strptime(key, "%Y-%m-%d") for key in (first, last)]
    frame = pl.read_parquet(DATA / "nyc_taxi/trips.parquet").filter((times >= ends[0]) & (times < ends[1]))
    frames = cut(frame, "pickup_datetime", NEW_YORK, local=True)
    place = next(at for at, (window, _) in enumerate(frames) if window.key >= start)
    return Series("", frames, Calendar("1d", NEW_YORK), place, time="pickup_datetime")


def _invoices() -> Series:
    frame = pl.read_parquet(DATA / "online_retail_ii/online_retail_ii.parquet")
    frames = cut(frame, "InvoiceDate", "Europe/London", local=True)
    frames = [(window, rows) for window, rows in frames if "2010-06-01" <= window.key < "2010-12-10"]
    place = next(at for at, (window, _) in enumerate(frames) if window.key >= "2010-12-01")
    return Series("", frames, Calendar("1d", "Europe/London"), place, time="InvoiceDate")


FAULTS = (
    Fault(
        "flights 2023: time_hour is local time labelled UTC", lambda: _years(flights, "flights"), ("time_offset",),
        ("time_hour",), ("offset.time_hour", "min_hours.time_hour", "max_hours.time_hour"),
    ),
    Fault(
        "weather 2023: time_hour is local time labelled UTC, beside the next fault",
        lambda: _years(weather, "weather", key=("origin", "time_hour")), ("time_offset",), ("time_hour",),
        ("offset.time_hour",),
    ),
    Fault(
        "weather 2023: wind_gust is 1.1508 x wind_speed, beside the fault above",
        lambda: _years(weather, "weather", key=("origin", "time_hour")), ("dependency",), ("wind_gust",),
    ),
    Fault(
        "weather 2023: time_hour, with wind_gust left out",
        lambda: _years(weather, "weather", drop=("wind_gust",), key=("origin", "time_hour")), ("time_offset",),
        ("time_hour",), ("offset.time_hour",),
    ),
    Fault(
        "weather: pressure null in 10.4 % of rows of 2013, in none of 2023", _pressure, ("null_burst",), ("pressure",),
        ("null_share.pressure",), windows=59,
    ),
    Fault("planes 2023: speed is 0 in all rows", _planes, ("default_fill",), ("speed",), ("null_share.speed",)),
    Fault(
        "taxi 2019-01-21: congestion_surcharge null, then 0",
        lambda: _trips("2018-11-01", "2019-01-21", "2019-02-01"), ("default_fill",), ("congestion_surcharge",),
    ),
    Fault(
        "taxi 2019-02: congestion_surcharge 0, then real", lambda: _trips("2019-01-21", "2019-02-01", "2019-03-21"),
        (), ("congestion_surcharge",),
    ),
    Fault(
        "taxi 2019-07: payment columns null together, .6 % of rows growing to 16.8 % in 2020-05",
        lambda: _trips("2019-04-01", "2019-07-01", "2020-06-01"), ("null_burst",),
        ("payment_type", "passenger_count", "rate_code_id", "vendor_id", "store_and_fwd_flag"), windows=None,
    ),
    Fault(
        "taxi 2018-07: vendor_id 4 appears, in one row of 330",
        lambda: _trips("2018-04-01", "2018-07-03", "2018-08-15"), ("enum_recode",), ("vendor_id",),
    ),
    Fault(
        "taxi 2018-08-09: a fare of $429,490.20", lambda: _trips("2018-05-01", "2018-08-09", "2018-08-10"), (),
        ("fare_amount",),
    ),
    Fault("retail 2010-12-01: nine days loaded twice", _invoices, ("duplicate_load",), (), ("duplicate_share",)),
)  # fmt: skip


def run(fault: Fault) -> list[Judged]:
    """Replay one case; return each window's verdict."""
    series = fault.series()
    watch = Watch(series, signatures=True)
    watch.backfill(series.frames[: series.start])
    ends = None if fault.windows is None else series.start + fault.windows
    return [watch.step(window, frame) for window, frame in series.frames[series.start : ends]]


def told(fault: Fault) -> dict[str, Any]:
    """Say in which window from the onset a fault was first noticed, found and named; None for never."""
    judged = run(fault)
    named = [one.signatures[:1] for one in judged]
    notices = [[item.metric for item in one.findings if _about(fault, item.metric)] for one in judged]
    alarms = [[item.metric for item in one.alarms if _about(fault, item.metric)] for one in judged]
    right = [bool(best) and _right(fault, best[0]) for best in named]
    listed = [any(_right(fault, item) for item in one.signatures) for one in judged]
    found = [bool(alarms[at]) or (one.signed and right[at]) for at, one in enumerate(judged)]
    first = next((at for at, yes in enumerate(found) if yes), None)
    return {
        "fault": fault.name,
        "windows": len(judged),
        "noticed": next((at for at, metrics in enumerate(notices) if metrics), None),
        "found": first,
        "named": None if not fault.kinds else next((at for at, yes in enumerate(right) if yes), None),
        "listed": next((at for at, yes in enumerate(listed) if yes), None),
        "named_share": sum(right) / len(right),
        "nameable": bool(fault.kinds),
        "by": sorted({metric for metrics in (alarms[first or 0] or notices[first or 0],) for metric in metrics})[:4],
        "says": next((one.signatures[0].detail for one, yes in zip(judged, right, strict=True) if yes), ""),
        "instead": sorted({f"{one.fault} {one.column}" for one in chain(*named) if not _right(fault, one)}),
    }  # fmt: skip


def _about(fault: Fault, metric: str) -> bool:
    column = metric.partition(".")[2]
    return any(metric.startswith(one) for one in fault.metrics) or column in fault.columns


def _right(fault: Fault, found: Any) -> bool:
    columns = set(found.column.split(", ")) - {""}
    return found.fault in fault.kinds and (not fault.columns or bool(columns & set(fault.columns)))


def writings() -> dict[str, dict[str, str]]:
    """Return what is written oddly in any text column with a closed list, over all tables: one is documented."""
    found, looked = {}, 0
    for path in sorted(DATA.glob("*/*.parquet")):
        frame = pl.read_parquet(path)
        for name in (one for one, dtype in frame.schema.items() if dtype == pl.String):
            values = frame.get_column(name).drop_nulls().unique()
            if LEAST <= values.len() <= KNOWN_LIMIT:
                looked += 1
                if odd := odd_writings(values.to_list()):
                    found[f"{path.parent.name}/{path.stem}.{name}"] = odd
    return found | {"columns": {"looked at": str(looked)}}
