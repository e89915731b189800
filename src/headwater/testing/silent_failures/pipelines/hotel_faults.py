"""What goes wrong in the booking office and the truth about it, what changes without harm, and how its world turns."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures import planting as p
from headwater.testing.silent_failures.entry import Decoy, Doors, Draw, Fault
from headwater.testing.silent_failures.pipelines.hotel_tables import HORIZON
from headwater.testing.silent_failures.pipelines.sites import Sites, other_cases, other_outcomes

HOTEL = Sites("hotel", "cancel")
MODEL = HOTEL.model
ALPHA_2 = {"PRT": "PT", "GBR": "GB", "FRA": "FR", "ESP": "ES", "DEU": "DE", "ITA": "IT", "IRL": "IE", "BEL": "BE",
           "BRA": "BR", "NLD": "NL", "USA": "US", "CHE": "CH"}  # fmt: skip
CUSTOMERS = {"Transient": "TRN", "Transient-Party": "TRP", "Contract": "CON", "Group": "GRP"}
DOLLARS = 1.11
"""Dollars for a euro, 2016."""


# --- what only this pipeline needs ------------------------------------------------------------------------------------
def restamped(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Give the rows of another day ids of this one: the office numbers a day's bookings from 1."""
    day = window.key[2:].replace("-", "")
    return frame.with_columns(pl.concat_str(pl.lit(f"B{day}-"), pl.col("booking_id").str.slice(-4)).alias("booking_id"))


def copied(frame: pl.DataFrame) -> pl.DataFrame:
    """Number copies of bookings anew, as the office would."""
    return frame.with_columns(pl.concat_str(pl.col("booking_id").str.slice(0, 8), pl.lit("9"),
                                            pl.col("booking_id").str.slice(-3)).alias("booking_id"))  # fmt: skip


def day_before(frame: pl.DataFrame, window: Window, strength: float, draw: Draw) -> pl.DataFrame:
    """Arrivals are dated one day early, in a share of the rows: midnight in Lisbon read by another clock."""
    early = pl.col("arrival").str.to_date("%Y-%m-%d") - pl.duration(days=1)
    hit = p.chosen(frame, strength, draw, window)
    return frame.with_columns(
        pl.when(pl.lit(hit)).then(early.cast(pl.String)).otherwise(pl.col("arrival")).alias("arrival")
    )


def month_first(text: pl.Expr) -> pl.Expr:
    """Read a date with month and day in each other's place, where that makes a date."""
    swapped = text.str.replace(r"^(\d{4})-(\d{2})-(\d{2})$", "$1-$3-$2")
    return pl.when(text.str.slice(-2).cast(pl.Int64) <= 12).then(swapped).otherwise(text)


def cases(doors: Doors, window: Window) -> pl.DataFrame:
    """The true bookings of a window, with channel, hotel, guest and country."""
    booked, sold, guests = (doors.rows(name, window) for name in ("raw_bookings", "raw_channels", "raw_guests"))
    assert booked is not None and sold is not None and guests is not None
    who = booked.select("booking_id", "guest_id", "hotel", "deposit", "customer_type")
    who = who.join(sold.select("booking_id", "segment", "agent"), on="booking_id", how="left")
    return who.join(guests.select("guest_id", "country"), on="guest_id", how="left")


BY_BOOKING = ("booking_id", "booking_id")
POPULATION = {
    "raw_bookings": BY_BOOKING, "raw_rates": BY_BOOKING, "raw_channels": BY_BOOKING, "raw_outcomes": BY_BOOKING,
    "raw_guests": ("guest_id", "guest_id"),
}  # fmt: skip
WITHIN = pl.col("booked_on") + pl.duration(days=HORIZON // 2)
GOES = {"status": pl.when(pl.col("status") != "No-Show").then(pl.lit("Canceled")),
        "status_on": pl.when(pl.col("status") != "No-Show").then(pl.min_horizontal("status_on", WITHIN))}  # fmt: skip
STAYS = {"status": pl.when(pl.col("status") == "Canceled").then(pl.lit("Booked"))}

# --- sources ----------------------------------------------------------------------------------------------------------
_INGESTION = (
    HOTEL.fault("rates_missing", "late_partition", "raw_rates", p.late_partition("raw_rates"),
                "the day's rates do not come"),
    HOTEL.fault("guests_empty", "late_partition", "raw_guests", p.late_partition("raw_guests", empty=True),
                "the day's file of guests comes without rows"),
    HOTEL.fault("guests_partial", "partial", "raw_guests", p.partial("raw_guests", 0.6),
                "part of the guests is not sent"),
    HOTEL.fault("channels_partial", "partial", "raw_channels", p.partial("raw_channels", 0.6, by="segment"),
                "some segments' bookings come without their channel"),
    HOTEL.fault("bookings_partial", "partial", "raw_bookings", p.partial("raw_bookings", 0.3, by="hotel"),
                "one of the two hotels sends no bookings"),
    HOTEL.fault("bookings_twice", "duplicated_load", "raw_bookings", p.duplicated_load("raw_bookings", 1.0, copied),
                "bookings are sent a second time, under numbers of their own"),
    HOTEL.fault("channels_twice", "duplicated_load", "raw_channels", p.duplicated_load("raw_channels"),
                "the file of channels is loaded twice"),
    HOTEL.fault("rates_frozen", "frozen", "raw_rates", p.frozen("raw_rates", ["booked_on"], restamped),
                "an old day's rates come again under new dates and numbers"),
    HOTEL.fault("channels_frozen", "frozen", "raw_channels", p.frozen("raw_channels", ["booked_on"], restamped),
                "an old day's channels come again under new dates and numbers"),
    HOTEL.fault("rates_old_file", "out_of_order_backfill", "raw_rates",
                p.out_of_order_backfill("raw_rates", 3, replace=True),
                "a backfill of older rates arrives in place of today's"),
    HOTEL.fault("bookings_old_file", "out_of_order_backfill", "raw_bookings",
                p.out_of_order_backfill("raw_bookings", 5),
                "bookings of an older day arrive again beside today's"),
    HOTEL.fault("agents_truncated", "truncated_snapshot", "raw_agents", p.truncated_snapshot("raw_agents", 0.8),
                "the directory of agents ends early"),
)  # fmt: skip
_CONTENT = (
    HOTEL.fault("lead_in_weeks", "unit", "raw_agents", p.unit("raw_agents", "usual_lead", lambda days: days / 7),
                "the directory says in weeks how long before arrival an agent books"),
    HOTEL.fault("party_percent", "unit", "raw_agents", p.unit("raw_agents", "party_share", lambda share: share * 100),
                "the directory says in percent how many bookings are parties"),
    HOTEL.fault("adr_dollars", "scale_currency", "raw_rates", p.scale_currency("raw_rates", "adr", DOLLARS),
                "rates come in dollars, still called euros"),
    HOTEL.fault("adr_cents", "scale_currency", "raw_rates", p.scale_currency("raw_rates", "adr", 100, 0),
                "rates come in cents"),
    HOTEL.fault("country_alpha_2", "enum_recode", "raw_guests", p.enum_recode("raw_guests", "country", ALPHA_2),
                "countries come under their codes of two letters"),
    HOTEL.fault("customer_codes", "enum_recode", "raw_bookings",
                p.enum_recode("raw_bookings", "customer_type", CUSTOMERS),
                "types of customers come under the codes of another system"),
    HOTEL.fault("segment_case", "enum_recode", "raw_channels",
                p.enum_recode("raw_channels", "segment", {"Online TA": "OTA", "Offline TA/TO": "TA", "Groups": "GRP"}),
                "segments come abbreviated"),
    HOTEL.fault("arrival_day_before", "time_offset", "raw_bookings", p.changed_feed("raw_bookings", day_before),
                "arrivals are dated a day early, by a clock of another zone"),
    HOTEL.fault("requests_renamed", "rename_or_type", "raw_bookings",
                p.rename_or_type("raw_bookings", "special_requests", "total_of_special_requests"),
                "the number of special requests comes under another name"),
    HOTEL.fault("adr_text", "rename_or_type", "raw_rates", p.rename_or_type("raw_rates", "adr"),
                "rates come as text"),
    HOTEL.fault("history_unknown", "null_burst_or_sentinel", "raw_guests",
                p.null_burst_or_sentinel("raw_guests", ["country", "previous_cancellations", "previous_stays"]),
                "country and past of the guests are missing"),
    HOTEL.fault("adr_sentinel", "null_burst_or_sentinel", "raw_rates",
                p.null_burst_or_sentinel("raw_rates", "adr", 999.0),
                "a rate that is not known comes as 999"),
)  # fmt: skip

# --- code -------------------------------------------------------------------------------------------------------------
_TRANSFORM = (
    HOTEL.fault("agent_key_padded", "join_key_case", "sales",
                p.join_key_case("sales", "agents", "agent", lambda agent: agent.str.zfill(5)),
                "the directory's agents are numbered with leading zeros when they are joined"),
    HOTEL.fault("guest_key_case", "join_key_case", "reservations",
                p.join_key_case("reservations", "guests", "guest_id"),
                "guests' ids become lower case, so that no booking finds its guest"),
    HOTEL.fault("agents_fan_out", "fan_out", "sales", p.fan_out("sales", "agents", "agent"),
                "agents are joined twice, so that their bookings double"),
    HOTEL.fault("rates_fan_out", "fan_out", "stays", p.fan_out("stays", "rates", "booking_id", 0.6),
                "a booking is joined with each of its rates"),
    HOTEL.fault("agents_inner", "inner_for_left", "sales", p.inner_for_left("sales", "channels", "agents", "agent"),
                "bookings without an agent lose their channel in an inner join"),
    HOTEL.fault("single_guests_dropped", "filter_bug", "bookings",
                p.filter_bug("bookings", "raw_bookings", pl.col("adults") != 1),
                "bookings of single guests are filtered out as entries for nobody"),
    HOTEL.fault("rates_above_60", "filter_bug", "rates", p.filter_bug("rates", "raw_rates", pl.col("adr") > 60),
                "cheap rates are filtered out as entry errors"),
    HOTEL.fault("arrival_month_first", "parse_bug", "bookings",
                p.parse_bug("bookings", "raw_bookings", "arrival", month_first),
                "arrivals are read with month and day in each other's place"),
    HOTEL.fault("adr_without_decimals", "parse_bug", "rates",
                p.parse_bug("rates", "raw_rates", "adr", lambda adr: (adr * 100).round() / 1000),
                "the decimal sign of a rate is read in the wrong place"),
    HOTEL.fault("rates_default", "default_fill", "rates", p.default_fill("rates", "adr", 0.0),
                "rates give way to a default of nothing"),
    HOTEL.fault("requests_default", "default_fill", "stays",
                p.default_fill("stays", ["special_requests", "parking_spaces"], 0),
                "requests and parking spaces give way to a default of none"),
)  # fmt: skip
_FEATURE = (
    HOTEL.fault("agent_history_stale", "stale_feature", "cancel_features",
                p.stale_feature("cancel_features", "agent_history", "known_on", timedelta(days=7)),
                "what is known of an agent is a week old"),
    HOTEL.fault("agent_history_short", "wrong_window", "agent_history",
                p.wrong_window("agent_history", "outcomes", "booked_on", timedelta(days=2)),
                "an agent's history covers three days instead of four weeks"),
    HOTEL.fault("pickup_short", "wrong_window", "pickup",
                p.wrong_window("pickup", "bookings", "booked_on", timedelta(days=1)),
                "the pickup of an arrival day covers two days instead of two weeks"),
    HOTEL.fault("pickup_today", "future_leak", "cancel_features",
                p.future_leak("cancel_features", "pickup", "known_on", timedelta(days=1)),
                "the pickup counts the bookings of the very day that is scored"),
    HOTEL.fault("agent_neighbour", "off_by_one_entity", "agent_history",
                p.off_by_one_entity("agent_history", ["agent_cancel_rate", "agent_bookings"], "day"),
                "an agent gets the history of the agent before it"),
    HOTEL.fault("guest_neighbour", "off_by_one_entity", "cancel_features",
                p.off_by_one_entity("cancel_features", ["country_code", "previous_cancellations", "segment_code"]),
                "a booking gets the guest and segment of the one before it"),
    HOTEL.fault("cancel_rate_percent", "scale_mismatch", "agent_history",
                p.scale_mismatch("agent_history", "agent_cancel_rate", 100),
                "agents' cancellations are in percent where the model knows a share"),
    HOTEL.fault("lead_weeks", "scale_mismatch", "cancel_features",
                p.scale_mismatch("cancel_features", "lead_days", 1 / 7),
                "the lead is in weeks where the model knows days"),
)  # fmt: skip

# --- the model --------------------------------------------------------------------------------------------------------
_MODEL = (
    HOTEL.loaded("trained_on_cents", "trained_on_faulted_snapshot",
                 p.trained_on_faulted_snapshot(MODEL, {name: lambda money: money * 100 for name in ("adr", "revenue")}),
                 "a version was trained while rates came in cents"),
    HOTEL.loaded("requests_leak", "label_leak", p.label_leak(MODEL, "special_requests", "cancelled"),
                 "a version was trained with requests that were deleted on cancellation"),
    HOTEL.loaded("trained_on_little", "wrong_params", p.wrong_params(MODEL),
                 "a version was trained on a fiftieth of the rows"),
    HOTEL.loaded("trained_on_resort", "wrong_params", p.wrong_params(MODEL, keep=pl.col("hotel") == "resort"),
                 "a version was trained on the resort alone"),
    HOTEL.loaded("experiment_loaded", "wrong_version", p.wrong_version(MODEL),
                 "the server loads a version that was never released"),
    HOTEL.loaded("no_calibrator", "missing_calibrator", p.missing_calibrator(),
                 "the server starts without the calibrator"),
    HOTEL.loaded("threshold_default", "config_threshold", p.config_threshold(),
                 "the server's threshold is back at one half"),
    HOTEL.fault("rate_columns_swapped", "column_swap", "cancel_served",
                p.column_swap("cancel_served", "adr", "revenue"),
                "rate and revenue reach the scorer in each other's place"),
    HOTEL.fault("code_columns_swapped", "column_swap", "cancel_served",
                p.column_swap("cancel_served", "segment_code", "customer_code"),
                "segment and type of customer reach the scorer in each other's place"),
    HOTEL.fault("history_cache_empty", "stale_cache", "cancel_served",
                p.stale_cache("cancel_served", ["agent_cancel_rate", "agent_bookings", "pickup"]),
                "the online store answers zero for what is known of agent and arrival day"),
    HOTEL.fault("guest_cache_stuck", "stale_cache", "cancel_served",
                p.stale_cache("cancel_served", ["country_code", "special_requests"], None),
                "the online store answers every request with the first one's guest"),
    HOTEL.scorer("batch_misaligned", p.batch_misaligned("cancel_predictions"),
                 "each booking gets the answer of the one before it"),
)  # fmt: skip
_LABELS = (
    HOTEL.fault("cancellations_unreported", "late_positives", "raw_outcomes",
                p.late_positives("raw_outcomes", pl.col("status") == "Canceled"),
                "cancelled bookings are missing from the outcomes"),
    HOTEL.fault("early_cancellations_only", "label_definition", "cancel_labels",
                p.label_definition("cancel_labels", "cancelled", pl.col("cancelled") * (pl.col("days_to_status") <= 3)),
                "only what is cancelled within three days counts"),
    HOTEL.fault("labels_lost", "label_join_loss", "cancel_labels", p.label_join_loss("cancel_labels", "booking_id"),
                "most labels find no booking"),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*_INGESTION, *_CONTENT, *_TRANSFORM, *_FEATURE, *_MODEL, *_LABELS)

DECOYS: tuple[Decoy, ...] = (
    p.refactor("stays", HOTEL.ref("stays")),
    p.refactor("reservations", HOTEL.ref("reservations")),
    p.refactor("cancel_features", HOTEL.ref("cancel_features")),
    p.rounding("agent_history", HOTEL.ref("agent_history"), "agent_cancel_rate"),
    p.rounding("rates", HOTEL.ref("rates"), "adr"),
    p.reseed(HOTEL.deployment),
    p.reorder("raw_guests", HOTEL.ref("raw_guests")),
    p.reorder("raw_channels", HOTEL.ref("raw_channels")),
    p.added_column("raw_channels", HOTEL.ref("raw_channels")),
)

# --- the world --------------------------------------------------------------------------------------------------------
WORLDS: tuple[Fault, ...] = (
    HOTEL.world("more_groups", "covariate",
                other_cases(POPULATION, cases, pl.col("segment").is_in(["Groups", "Offline TA/TO"])),
                "groups and tour operators book instead of single travellers"),
    HOTEL.world("more_british", "covariate", other_cases(POPULATION, cases, pl.col("country").is_in(["GBR", "IRL"])),
                "guests come from Great Britain and Ireland as never before"),
    HOTEL.world("everybody_cancels_more", "concept",
                other_outcomes("raw_outcomes", "booking_id", cases, pl.lit(True), GOES, 0.4),
                "of all bookings that would have stood, two fifths are cancelled"),
    HOTEL.world("everybody_comes", "concept",
                other_outcomes("raw_outcomes", "booking_id", cases, pl.lit(True), STAYS, 0.9),
                "hardly anybody cancels any more"),
    HOTEL.world("online_cancels_more", "concept",
                other_outcomes("raw_outcomes", "booking_id", cases, pl.col("segment") == "Online TA", GOES, 0.6),
                "who booked online cancels as never before"),
    HOTEL.world("portuguese_cancel_more", "concept",
                other_outcomes("raw_outcomes", "booking_id", cases, pl.col("country") == "PRT", GOES, 0.8),
                "guests from Portugal cancel as never before"),
)  # fmt: skip
