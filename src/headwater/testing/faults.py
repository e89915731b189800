"""Silent faults and harmless changes for the flights template, planted through the doors that a team has.

A fault enters as a changed feed (`World.transform`), as a commit to the project's ``pipeline.py``, or as a call to the
workspace's own release and deployment; nothing else is touched. Detection and triage must not import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import polars as pl

from headwater.core.errors import UsageError
from headwater.testing.flights_world import CALENDAR, NEW_YORK, Hook, World

Side = Literal["data", "ml"]
Plant = Callable[[World, "Doors"], None]
MODEL = "delay"


class Doors(Protocol):
    """The calls of a workspace that faults and harmless changes go through."""

    def train(self, model: str, *, seed: int) -> Any:
        """Train a version on the accepted history; return the version or an object with ``.version``."""
        ...

    def release(self, model: str, version: str, *, by: str) -> Any:
        """Release a version through the gate."""
        ...

    def deploy(self, model: str, version: str | None = None, parts: Mapping[str, Any] | None = None) -> Any:
        """Set what the serving process loads: a version's parts (None: the champion's), some of them replaced."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """A silent fault with its ground truth.

    Attributes:
        name: What `--fault` takes.
        kind: What goes wrong, in a word or two.
        asset: Full reference of the asset that fails, e.g. ``dataset:nyc/raw_weather`` or ``deployment:nyc/delay``.
        side: Which side answers for that asset.
        layer: ``source``, ``ingestion``, ``transform``, ``feature``, ``release``, ``serving`` or ``label``.
        remedies: The remedy actions that are right for it.
        plant: Begins the fault; call it before the first faulty day is delivered.
        heal: What the asset's owner does about it: restate the feed, revert the commit, deploy the champion.
        describe: One sentence for people.
    """

    name: str
    kind: str
    asset: str
    side: Side
    layer: str
    remedies: frozenset[str]
    plant: Plant
    heal: Plant
    describe: str


@dataclass(frozen=True, slots=True)
class Decoy:
    """A harmless change: it must be exonerated by name.

    ``kind`` is ``refactor`` (other code, same output), ``rounding`` (equal to about 1e-7) or ``reseed`` (a new model
    version that differs by its seed alone and went through the gate).
    """

    name: str
    kind: str
    asset: str
    plant: Plant
    describe: str


def edit(project_dir: Path, old: str, new: str) -> None:
    """Commit a text change to the project's ``pipeline.py``.

    Raises:
        UsageError: When the old text is not there exactly once, e.g. because it has been edited before.
    """
    path = project_dir / "pipeline.py"
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise UsageError(
            f"{path.name} holds the text to change {text.count(old)} times, not once",
            doing=f"replacing `{old.strip()[:60]}`",
            hint="start from a fresh copy of the template",
        )
    path.write_text(text.replace(old, new), encoding="utf-8")


def _feed(
    name: str, kind: str, source: str, layer: str, hook: Callable[[World], Hook], describe: str, remedies: str
) -> Fault:
    def plant(world: World, workspace: Doors) -> None:
        world.transform[source] = hook(world)

    def heal(world: World, workspace: Doors) -> None:
        world.heal(source)

    side: Side = "data"
    return Fault(name, kind, f"dataset:nyc/{source}", side, layer, frozenset(remedies.split()), plant, heal, describe)


def _code(name: str, kind: str, asset: str, side: Side, layer: str, old: str, new: str, describe: str) -> Fault:
    def plant(world: World, workspace: Doors) -> None:
        edit(world.project_dir, old, new)

    def heal(world: World, workspace: Doors) -> None:
        edit(world.project_dir, new, old)

    remedies = frozenset({"rollback_code"})
    return Fault(name, kind, f"dataset:nyc/{asset}", side, layer, remedies, plant, heal, describe)


def _deployment(name: str, kind: str, layer: str, plant: Plant, describe: str) -> Fault:
    def heal(world: World, workspace: Doors) -> None:
        workspace.deploy(MODEL)

    remedies = frozenset({"rollback_model"})
    return Fault(name, kind, f"deployment:nyc/{MODEL}", "ml", layer, remedies, plant, heal, describe)


# --- what feeds send --------------------------------------------------------------------------------------------------
def _local_labelled_utc(world: World) -> Hook:
    def hook(frame: pl.DataFrame, key: str) -> pl.DataFrame:
        local = pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.replace_time_zone(None)
        return frame.with_columns(local.dt.replace_time_zone("UTC").alias("time_hour"))

    return hook


def _celsius(world: World) -> Hook:
    return lambda frame, key: frame.with_columns(((pl.col("temp", "dewp") - 32) / 1.8).round(1))


def _icao(world: World) -> Hook:
    codes = {"EV": "ASQ", "MQ": "ENY", "9E": "FLG"}
    return lambda frame, key: frame.with_columns(pl.col("carrier").replace(codes))


def _sensor_out(world: World) -> Hook:
    dead = pl.col("origin").is_in(["JFK", "LGA"])
    return lambda frame, key: frame.with_columns(
        pl.when(~dead).then(pl.col(name)).alias(name) for name in ("humid", "dewp", "pressure")
    )


def _truncated(world: World) -> Hook:
    return lambda frame, key: frame.head(int(frame.height * 0.4))


def _frozen(world: World) -> Hook:
    last: list[str] = []

    def hook(frame: pl.DataFrame, key: str) -> pl.DataFrame:
        if not last:
            last.append(CALENDAR.shift(CALENDAR.window(key), -1).key)
        days = sum(1 for _ in CALENDAR.between(last[0], key)) - 1
        local = pl.col("time_hour").dt.convert_time_zone(NEW_YORK).dt.replace_time_zone(None)
        moved = (local + pl.duration(days=days)).dt.replace_time_zone(
            NEW_YORK, ambiguous="earliest", non_existent="null"
        )
        date = pl.date(*(int(part) for part in key.split("-")))
        stamps = {"year": date.dt.year(), "month": date.dt.month(), "day": date.dt.day()}
        return (
            world.rows("raw_weather", last[0])
            .with_columns(time_hour=moved.dt.convert_time_zone("UTC"))
            .drop_nulls("time_hour")
            .with_columns(stamp.cast(pl.Int64).alias(name) for name, stamp in stamps.items())
        )

    return hook


def _codeshares(world: World) -> Hook:
    partners = {"EV": "UA", "MQ": "AA", "9E": "DL"}

    def hook(frame: pl.DataFrame, key: str) -> pl.DataFrame:
        shared = frame.filter(pl.col("carrier").is_in(list(partners)))
        copies = shared.with_columns(pl.col("carrier").replace(partners), pl.col("flight") + 10_000)
        return pl.concat([frame, copies]).sort("time_hour", maintain_order=True)

    return hook


def _closed_early(world: World) -> Hook:
    return lambda frame, key: frame.filter(pl.col("arr_delay") <= 30)


# --- what the serving process loads -----------------------------------------------------------------------------------
def _another_version(world: World, workspace: Doors) -> None:
    trained = workspace.train(MODEL, seed=4242 + world.seed)
    workspace.deploy(MODEL, version=str(getattr(trained, "version", trained)))


def _without_calibrator(world: World, workspace: Doors) -> None:
    workspace.deploy(MODEL, parts={"calibrator": None})


def _default_threshold(world: World, workspace: Doors) -> None:
    workspace.deploy(MODEL, parts={"threshold": 0.5})


_SERVED = 'return delay_features.select("flight_id", "time", "carrier", "origin", "dest", *COLUMNS)\n'

_ALL = (
    _feed(
        "weather_offset", "time offset", "raw_weather", "source", _local_labelled_utc,
        "the weather feed labels local time as UTC, as the 2023 edition of these tables did", "repair hold",
    ),
    _feed(
        "temperature_celsius", "unit", "raw_weather", "source", _celsius,
        "the weather feed sends degrees Celsius where Fahrenheit was agreed", "repair hold",
    ),
    _feed(
        "carrier_recode", "enum recode", "raw_flights", "source", _icao,
        "the schedule feed sends the regional carriers' ICAO codes instead of their IATA codes", "repair hold",
    ),
    _feed(
        "weather_null_burst", "null burst", "raw_weather", "source", _sensor_out,
        "two of three stations send no humidity, dew point and pressure", "repair hold",
    ),
    _feed(
        "planes_truncated", "truncated snapshot", "raw_planes", "ingestion", _truncated,
        "the plane registry's snapshot ends after 40 % of its rows", "repair hold",
    ),
    _feed(
        "weather_frozen", "frozen feed", "raw_weather", "ingestion", _frozen,
        "the weather feed replays an old day's rows with today's stamps", "repair hold",
    ),
    _feed(
        "flights_duplicated", "duplicated load", "raw_flights", "ingestion", _codeshares,
        "the schedule feed sends every regional flight a second time, under its partner's number", "repair hold",
    ),
    _feed(
        "late_positives_missing", "missing labels", "raw_arrivals", "label", _closed_early,
        "the outcome feed closes early: flights half an hour late or cancelled are never reported", "repair hold",
    ),
    _code(
        "weather_join_hour", "wrong join", "flight_weather", "data", "transform",
        'hourly = weather.rename({"time": "time_hour"})\n',
        'hourly = weather.select(pl.exclude("time"), time_hour=pl.col("time") + pl.duration(hours=6))\n',
        "flights are joined with the weather of six hours before",
    ),
    _code(
        "fleet_join_inner", "inner for left join", "flight_fleet", "data", "transform",
        'known = flight_weather.join(planes, on="tailnum", how="left")\n',
        'known = flight_weather.join(planes, on="tailnum", how="inner")\n',
        "flights whose plane the registry does not know are dropped by an inner join",
    ),
    _code(
        "plane_key_case", "join key case", "planes", "data", "transform",
        '    tailnum = pl.col("tailnum").str.strip_chars().str.to_uppercase()\n',
        '    tailnum = pl.col("tailnum").str.strip_chars().str.to_lowercase()\n',
        "plane keys become lower case, so that no flight finds its plane",
    ),
    _code(
        "history_window", "wrong window", "carrier_history", "ml", "feature",
        'trailing(outcomes, window, by=["carrier"], days=7)\n',
        'trailing(outcomes, window, by=["carrier"], days=1)\n',
        "the carriers' history covers one day instead of seven",
    ),
    _code(
        "history_scale", "scale", "carrier_history", "ml", "feature",
        'return week.rename({"late_rate": "carrier_late_rate", "delay": "carrier_delay"})\n',
        'hours = week.with_columns(pl.col("delay") / 60)\n'
        '    return hours.rename({"late_rate": "carrier_late_rate", "delay": "carrier_delay"})\n',
        "the carriers' delay is in hours where the model knows minutes",
    ),
    _deployment(
        "wrong_version", "wrong version loaded", "release", _another_version,
        "the server loads a model file that was never released",
    ),
    _deployment(
        "missing_calibrator", "missing part", "release", _without_calibrator,
        "the server starts without the calibrator and answers raw scores",
    ),
    _deployment(
        "threshold_config", "configuration", "serving", _default_threshold,
        "the server's decision threshold is back at the default of one half",
    ),
    _code(
        "served_default_zero", "default value", "delay_served", "ml", "serving",
        _SERVED, _SERVED.replace(")\n", ").with_columns(pl.lit(0.0).alias(name) for name in HISTORY)\n"),
        "the online store answers zero for every history feature",
    ),
    _code(
        "served_column_swap", "column swap", "delay_served", "ml", "serving",
        _SERVED, _SERVED.replace(")\n", ').rename({"temp": "humid", "humid": "temp"})\n'),
        "the online store hands over temperature and humidity in each other's place",
    ),
    _code(
        "batch_misaligned", "misaligned batch", "delay_predictions", "ml", "serving",
        '        p = parts["calibrator"].predict(p)\n',
        '        p = parts["calibrator"].predict(np.roll(p, 1))\n',
        "each flight gets the prediction of the flight before it in the batch",
    ),
    _code(
        "label_definition", "label definition", "delay_labels", "ml", "label",
        'late=(pl.col("delay_minutes") > 15).cast(pl.Int64)',
        'late=(pl.col("delay_minutes") > 60).cast(pl.Int64)',
        "a flight counts as late after 60 minutes instead of 15",
    ),
)  # fmt: skip

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
"""The faults by name; the first is the default."""
DEFAULT = "weather_offset"


def _commit(name: str, kind: str, asset: str, old: str, new: str, describe: str) -> Decoy:
    def plant(world: World, workspace: Doors) -> None:
        edit(world.project_dir, old, new)

    return Decoy(name, kind, f"dataset:nyc/{asset}", plant, describe)


def _reseeded(world: World, workspace: Doors) -> None:
    trained = workspace.train(MODEL, seed=17 + world.seed)
    workspace.release(MODEL, str(getattr(trained, "version", trained)), by="ml-release")


_HARMLESS = (
    _commit(
        "refactor_departures", "refactor", "departures",
        '    joined = joined.join(airports, on="dest", how="left").join(airlines, on="carrier", how="left")\n',
        '    for table, key in ((airports, "dest"), (airlines, "carrier")):\n'
        '        joined = joined.join(table, on=key, how="left")\n',
        "two joins written as a loop",
    ),
    _commit(
        "refactor_airport_load", "refactor", "airport_load",
        'agg(load=pl.len().cast(pl.Int64))', 'agg(load=pl.col("flight_id").len().cast(pl.Int64))',
        "a count written another way",
    ),
    _commit(
        "refactor_weather", "refactor", "weather",
        'sane = pl.when(pl.col("wind_speed") < 150).then(pl.col("wind_speed"))',
        'sane = pl.when(pl.col("wind_speed").ge(150).not_()).then("wind_speed")',
        "a condition turned around",
    ),
    _commit(
        "refactor_outcomes", "refactor", "outcomes",
        "delay = pl.when(\"cancelled\").then(180).otherwise(pl.col(\"arr_delay\").clip(lower_bound=0))\n",
        'delay = pl.when("cancelled").then(180).when(pl.col("arr_delay") < 0).then(0).otherwise("arr_delay")\n',
        "the delay of an early flight written another way",
    ),
    _commit(
        "rounding_route_history", "rounding", "route_history",
        'return week.rename({"late_rate": "route_late_rate", "delay": "route_delay"})\n',
        'return week.with_columns(pl.col("delay").cast(pl.Float32).cast(pl.Float64)).rename(\n'
        '        {"late_rate": "route_late_rate", "delay": "route_delay"}\n    )\n',
        "the routes' delay kept in single precision",
    ),
    Decoy(
        "reseeded_release", "reseed", f"model:nyc/{MODEL}", _reseeded,
        "a model trained again with another seed, released through the gate",
    ),
)  # fmt: skip

DECOYS: dict[str, Decoy] = {decoy.name: decoy for decoy in _HARMLESS}
"""The harmless changes by name. Their commits touch other lines than any fault's."""
