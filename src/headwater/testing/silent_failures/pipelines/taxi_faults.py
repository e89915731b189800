"""What goes wrong at the taxi dispatcher and the truth about it, what changes without harm, and how its world turns."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures import planting as p
from headwater.testing.silent_failures.entry import Decoy, Doors, Fault
from headwater.testing.silent_failures.pipelines.sites import Sites, other_cases, other_outcomes
from headwater.testing.silent_failures.pipelines.taxi_tables import NEW_YORK

TAXI = Sites("taxi", "duration")
MODEL = TAXI.model
COUNTIES = {"Manhattan": "New York", "Brooklyn": "Kings", "Staten Island": "Richmond"}
KILOMETRES = 1.609344
AIRPORTS = (1, 132, 138)
NOWHERE = 264
"""The zone that stands for none."""
TIMES = ["pickup_at"]


# --- what only this pipeline needs ------------------------------------------------------------------------------------
def restamped(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Give the rows of another day ids of this one: a day's rides are numbered from 1."""
    day = window.key[2:].replace("-", "")
    return frame.with_columns(pl.concat_str(pl.lit(f"T{day}-"), pl.col("trip_id").str.slice(-4)).alias("trip_id"))


def copied(frame: pl.DataFrame) -> pl.DataFrame:
    """Number copies of rides anew."""
    number = pl.concat_str(pl.col("trip_id").str.slice(0, 8), pl.lit("9"), pl.col("trip_id").str.slice(-3))
    return frame.with_columns(number.alias("trip_id"))


def twelve_hours(moment: pl.Expr) -> pl.Expr:
    """Read the hours after noon as those after midnight."""
    late = moment.dt.convert_time_zone(NEW_YORK).dt.hour() >= 12
    return pl.when(late).then(moment - pl.duration(hours=12)).otherwise(moment)


def cases(doors: Doors, window: Window) -> pl.DataFrame:
    """The true rides of a window with zones, hour and vendor."""
    rides = doors.rows("raw_trips", window)
    zones = doors.rows("raw_zones", window)
    assert rides is not None and zones is not None
    borough = zones.select(pickup_location_id="LocationID", borough="Borough")
    hour = pl.col("pickup_at").dt.convert_time_zone(NEW_YORK).dt.hour()
    return rides.with_columns(hour=hour).join(borough, on="pickup_location_id", how="left", maintain_order="left")


RIDE = ("trip_id", "trip_id")
POPULATION = {"raw_trips": RIDE, "raw_meters": RIDE}
RAN = pl.col("dropoff_at") - pl.col("pickup_at")


def running(factor: float) -> dict[str, pl.Expr]:
    """Let rides take longer or shorter by a factor."""
    seconds = (RAN.dt.total_seconds() * factor).round().cast(pl.Int64)
    return {"dropoff_at": pl.col("pickup_at") + pl.duration(seconds=seconds)}


# --- sources ----------------------------------------------------------------------------------------------------------
_INGESTION = (
    TAXI.fault("weather_missing", "late_partition", "raw_weather", p.late_partition("raw_weather"),
               "the day's weather does not come"),
    TAXI.fault("weather_empty", "late_partition", "raw_weather", p.late_partition("raw_weather", empty=True),
               "the file of the day's weather comes without rows"),
    TAXI.fault("vendor_silent", "partial", "raw_trips", p.partial("raw_trips", 0.3, by="vendor_id"),
               "one vendor's taxis send no rides"),
    TAXI.fault("meters_partial", "partial", "raw_meters", p.partial("raw_meters", 0.6),
               "part of the meters' reports is not sent"),
    TAXI.fault("trips_twice", "duplicated_load", "raw_trips", p.duplicated_load("raw_trips", 1.0, copied),
               "rides are sent a second time, under numbers of their own"),
    TAXI.fault("weather_twice", "duplicated_load", "raw_weather", p.duplicated_load("raw_weather"),
               "the day's weather is loaded twice"),
    TAXI.fault("weather_frozen", "frozen", "raw_weather", p.frozen("raw_weather", ["DATE"]),
               "an old day's weather comes again under new dates"),
    TAXI.fault("trips_frozen", "frozen", "raw_trips", p.frozen("raw_trips", TIMES, restamped),
               "an old day's rides come again under new dates and numbers"),
    TAXI.fault("trips_old_file", "out_of_order_backfill", "raw_trips",
               p.out_of_order_backfill("raw_trips", 2, 0.7, replace=True),
               "a backfill of older rides arrives in place of most of today's"),
    TAXI.fault("weather_old_file", "out_of_order_backfill", "raw_weather",
               p.out_of_order_backfill("raw_weather", 3, replace=True),
               "a backfill of older weather arrives in place of today's"),
    TAXI.fault("zones_truncated", "truncated_snapshot", "raw_zones", p.truncated_snapshot("raw_zones"),
               "the table of zones ends early"),
)  # fmt: skip
_CONTENT = (
    TAXI.fault("distance_km", "unit", "raw_trips", p.unit("raw_trips", "trip_distance", lambda d: d * KILOMETRES, 2),
               "distances come in kilometres"),
    TAXI.fault("temperature_celsius", "unit", "raw_weather",
               p.unit("raw_weather", ["TMAX", "TMIN"], lambda degrees: (degrees - 32) / 1.8),
               "temperatures come in degrees Celsius"),
    TAXI.fault("rain_millimetres", "unit", "raw_weather",
               p.unit("raw_weather", ["PRCP", "SNOW", "SNWD"], lambda inches: inches * 25.4),
               "rain and snow come in millimetres"),
    TAXI.fault("distance_tenths", "scale_currency", "raw_trips", p.scale_currency("raw_trips", "trip_distance", 0.1, 3),
               "distances come with the decimal point a place too far to the left"),
    TAXI.fault("county_names", "enum_recode", "raw_zones", p.enum_recode("raw_zones", "Borough", COUNTIES),
               "boroughs come under the names of their counties"),
    TAXI.fault("rates_from_nought", "enum_recode", "raw_trips",
               p.enum_recode("raw_trips", "rate_code_id", lambda rate: rate - 1),
               "rate codes are counted from nought"),
    TAXI.fault("zones_renumbered", "enum_recode", "raw_trips",
               p.enum_recode("raw_trips", "dropoff_location_id", lambda zone: (zone + 100) % 263 + 1),
               "the zones of destinations come under other numbers"),
    TAXI.fault("local_as_utc", "time_offset", "raw_trips", p.time_offset("raw_trips", "pickup_at", -5),
               "pick-ups come in local time called UTC"),
    TAXI.fault("meter_clock", "time_offset", "raw_meters", p.time_offset("raw_meters", "dropoff_at", 1),
               "the ends of rides come an hour late, by a clock of another season"),
    TAXI.fault("distance_renamed", "rename_or_type", "raw_trips",
               p.rename_or_type("raw_trips", "trip_distance", "distance_miles"),
               "the distance comes under another name"),
    TAXI.fault("distance_text", "rename_or_type", "raw_trips", p.rename_or_type("raw_trips", "trip_distance"),
               "distances come as text"),
    TAXI.fault("distance_zero", "null_burst_or_sentinel", "raw_trips",
               p.null_burst_or_sentinel("raw_trips", "trip_distance", 0.0),
               "a distance that is not known comes as nothing"),
    TAXI.fault("destination_unknown", "null_burst_or_sentinel", "raw_trips",
               p.null_burst_or_sentinel("raw_trips", "dropoff_location_id", NOWHERE),
               "the destination comes as the zone that stands for none"),
    TAXI.fault("trips_nulls", "null_burst_or_sentinel", "raw_trips",
               p.null_burst_or_sentinel("raw_trips", ["trip_distance", "passenger_count", "rate_code_id"], None, 0.7),
               "distance, passengers and rate are missing"),
)  # fmt: skip

# --- code -------------------------------------------------------------------------------------------------------------
_TRANSFORM = (
    TAXI.fault("zones_from_nought", "join_key_case", "trip_zones",
               p.join_key_case("trip_zones", "zones", "zone", lambda zone: zone - 1),
               "zones are numbered from nought when they are joined"),
    TAXI.fault("ride_key_case", "join_key_case", "outcomes", p.join_key_case("outcomes", "meters", "trip_id"),
               "meters write a ride's number in lower case, so that no ride finds its meter"),
    TAXI.fault("zones_fan_out", "fan_out", "trip_zones", p.fan_out("trip_zones", "zones", "zone", 0.3),
               "some zones are joined twice, so that their rides double"),
    TAXI.fault("weather_fan_out", "fan_out", "trip_weather", p.fan_out("trip_weather", "weather"),
               "rides are joined with each of two weathers of their day"),
    TAXI.fault("zones_inner", "inner_for_left", "trip_zones",
               p.inner_for_left("trip_zones", "trips", "zones", "dropoff_zone", "zone"),
               "rides to nowhere known are lost in an inner join"),
    TAXI.fault("history_inner", "inner_for_left", "duration_features",
               p.inner_for_left("duration_features", "trip_weather", "zone_history", "pickup_zone"),
               "rides from zones without a past are lost in an inner join", side="ml"),
    TAXI.fault("long_rides_dropped", "filter_bug", "trips",
               p.filter_bug("trips", "raw_trips", pl.col("trip_distance") < 6),
               "rides beyond 6 miles are filtered out as entry errors"),
    TAXI.fault("cheap_meters_dropped", "filter_bug", "meters",
               p.filter_bug("meters", "raw_meters", pl.col("fare_amount") > 8),
               "meters below 8 dollars are filtered out as entry errors"),
    TAXI.fault("twelve_hour_clock", "parse_bug", "trips", p.parse_bug("trips", "raw_trips", "pickup_at", twelve_hours),
               "the hours after noon are read as those after midnight"),
    TAXI.fault("distance_whole", "parse_bug", "trips",
               p.parse_bug("trips", "raw_trips", "trip_distance", lambda distance: distance.floor()),
               "a distance is read up to its decimal sign"),
    TAXI.fault("distance_default", "default_fill", "trips", p.default_fill("trips", "distance", 1.0),
               "distances give way to a default of a mile"),
    TAXI.fault("borough_default", "default_fill", "trip_zones",
               p.default_fill("trip_zones", ["pickup_borough", "dropoff_borough"], "manhattan"),
               "boroughs give way to a default of Manhattan"),
)  # fmt: skip
_FEATURE = (
    TAXI.fault("hour_pace_stale", "stale_feature", "duration_features",
               p.stale_feature("duration_features", "hour_history", "known_on", timedelta(days=3)),
               "what is known of the hours is three days old"),
    TAXI.fault("zone_pace_short", "wrong_window", "zone_history",
               p.wrong_window("zone_history", "outcomes", "pickup_at", timedelta(days=1)),
               "a zone's history covers two days instead of four weeks"),
    TAXI.fault("hour_pace_short", "wrong_window", "hour_history",
               p.wrong_window("hour_history", "outcomes", "pickup_at", timedelta(days=0)),
               "the history of the hours covers one day instead of two weeks"),
    TAXI.fault("zone_pace_early", "future_leak", "duration_features",
               p.future_leak("duration_features", "zone_history", "known_on", timedelta(days=1)),
               "rides are counted that were not reported yet"),
    TAXI.fault("zone_neighbour", "off_by_one_entity", "zone_history",
               p.off_by_one_entity("zone_history", "zone_pace", "day"),
               "a zone gets the pace of the zone before it"),
    TAXI.fault("ride_neighbour", "off_by_one_entity", "duration_features",
               p.off_by_one_entity("duration_features", ["dropoff_zone", "route_pace", "hour_pace"]),
               "a ride gets the destination and paces of the one before it"),
    TAXI.fault("zone_pace_seconds", "scale_mismatch", "zone_history", p.scale_mismatch("zone_history", "zone_pace", 60),
               "a zone's pace is in seconds where the model knows minutes"),
    TAXI.fault("distance_scaled", "scale_mismatch", "duration_features",
               p.scale_mismatch("duration_features", "distance", KILOMETRES),
               "the distance is in kilometres where the model knows miles"),
)  # fmt: skip

# --- the model --------------------------------------------------------------------------------------------------------
_MODEL = (
    TAXI.loaded("trained_on_km", "trained_on_faulted_snapshot",
                p.trained_on_faulted_snapshot(MODEL, {"distance": lambda distance: distance * KILOMETRES}),
                "a version was trained while distances came in kilometres"),
    TAXI.loaded("passengers_leak", "label_leak", p.label_leak(MODEL, "passengers", "minutes"),
                "a version was trained with passengers that were entered at the end of a ride"),
    TAXI.loaded("trained_on_little", "wrong_params", p.wrong_params(MODEL),
                "a version was trained on a fiftieth of the rows"),
    TAXI.loaded("trained_on_short", "wrong_params", p.wrong_params(MODEL, keep=pl.col("distance") < 3),
                "a version was trained on short rides alone"),
    TAXI.loaded("experiment_loaded", "wrong_version", p.wrong_version(MODEL, 0.02),
                "the server loads a version that was never released"),
    TAXI.loaded("no_calibrator", "missing_calibrator", p.missing_calibrator(),
                "the server starts without the calibrator"),
    TAXI.loaded("cap_default", "config_threshold", p.config_threshold("cap", 15.0),
                "the server promises at most a quarter of an hour"),
    TAXI.fault("zone_columns_swapped", "column_swap", "duration_served",
               p.column_swap("duration_served", "pickup_zone", "dropoff_zone"),
               "the ends of a ride reach the scorer in each other's place"),
    TAXI.fault("pace_columns_swapped", "column_swap", "duration_served",
               p.column_swap("duration_served", "zone_pace", "route_pace"),
               "two paces reach the scorer in each other's place"),
    TAXI.fault("pace_cache_empty", "stale_cache", "duration_served",
               p.stale_cache("duration_served", ["zone_pace", "route_pace", "hour_pace"]),
               "the online store answers nothing for every pace"),
    TAXI.fault("hour_cache_stuck", "stale_cache", "duration_served",
               p.stale_cache("duration_served", ["hour_pace", "minute_of_day"], None),
               "the online store answers every request with the first one's hour"),
    TAXI.scorer("batch_misaligned", p.batch_misaligned("duration_predictions"),
                "each ride gets the answer of the one before it"),
)  # fmt: skip
_LABELS = (
    TAXI.fault("long_meters_late", "late_positives", "raw_meters",
               p.late_positives("raw_meters", pl.duration(minutes=20) < RAN),
               "rides beyond twenty minutes are missing from the meters"),
    TAXI.fault("label_in_seconds", "label_definition", "duration_labels",
               p.label_definition("duration_labels", "minutes", pl.col("minutes") * 60),
               "the outcome is in seconds"),
    TAXI.fault("label_with_boarding", "label_definition", "duration_labels",
               p.label_definition("duration_labels", "minutes", pl.col("minutes") + 4),
               "the outcome counts the minutes of boarding too"),
    TAXI.fault("labels_lost", "label_join_loss", "duration_labels", p.label_join_loss("duration_labels", "trip_id"),
               "most labels find no ride"),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*_INGESTION, *_CONTENT, *_TRANSFORM, *_FEATURE, *_MODEL, *_LABELS)

DECOYS: tuple[Decoy, ...] = (
    p.refactor("trip_zones", TAXI.ref("trip_zones")),
    p.refactor("outcomes", TAXI.ref("outcomes")),
    p.refactor("duration_features", TAXI.ref("duration_features")),
    p.rounding("zone_history", TAXI.ref("zone_history"), "zone_pace"),
    p.rounding("trips", TAXI.ref("trips"), "distance"),
    p.reseed(TAXI.deployment),
    p.reorder("raw_trips", TAXI.ref("raw_trips")),
    p.reorder("raw_meters", TAXI.ref("raw_meters")),
    p.added_column("raw_trips", TAXI.ref("raw_trips")),
)

# --- the world --------------------------------------------------------------------------------------------------------
_AIRPORT = pl.col("pickup_location_id").is_in(AIRPORTS) | pl.col("dropoff_location_id").is_in(AIRPORTS)
WORLDS: tuple[Fault, ...] = (
    TAXI.world("airport_rides", "covariate", other_cases(POPULATION, cases, _AIRPORT, 0.5),
               "every second ride goes to or from an airport"),
    TAXI.world("night_rides", "covariate",
               other_cases(POPULATION, cases, (pl.col("hour") >= 20) | (pl.col("hour") < 5)),
               "people ride at night instead of by day"),
    TAXI.world("empty_streets", "concept",
               other_outcomes("raw_meters", "trip_id", cases, pl.lit(True), running(0.65)),
               "the streets are empty: every ride takes two thirds of its time, as in the spring of 2020"),
    TAXI.world("gridlock", "concept", other_outcomes("raw_meters", "trip_id", cases, pl.lit(True), running(1.5)),
               "the streets are full: every ride takes half as long again"),
    TAXI.world("rush_hour_gridlock", "concept",
               other_outcomes("raw_meters", "trip_id", cases, pl.col("hour").is_between(15, 19), running(1.6)),
               "the afternoon's rides take much longer"),
    TAXI.world("queens_roadworks", "concept",
               other_outcomes("raw_meters", "trip_id", cases, pl.col("borough") == "Queens", running(1.8)),
               "rides from Queens take much longer"),
)  # fmt: skip
