"""What goes wrong somewhere in a generated lineage, with the truth about it; blocks are chosen over its whole width."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from headwater.core.windows import Window
from headwater.testing.silent_failures import planting as p
from headwater.testing.silent_failures.entry import Decoy, Doors, Fault
from headwater.testing.silent_failures.pipelines.sites import Sites, other_cases, other_outcomes

RECODED = {"KA": "K1", "KB": "K2", "KC": "K3", "KD": "K4", "KE": "K5", "KF": "K6"}
MODEL = "risk"


def restamped(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Give the rows of another day ids of this one: a day's cases are numbered from 0."""
    day = window.key[2:].replace("-", "")
    return frame.with_columns(pl.concat_str(pl.lit(f"C{day}-"), pl.col("id").str.slice(-4)).alias("id"))


def faults(project: str, blocks: int) -> tuple[Fault, ...]:
    """Return the faults of a lineage with so many blocks; each stands in a block of its own."""
    at = [f"{round(place * (blocks - 1) / 16):02d}" for place in range(17)]
    site = Sites(project, MODEL)
    raw = [f"raw_{n}" for n in at]
    feeds = (
        site.fault("feed_missing", "late_partition", raw[1], p.late_partition(raw[1]), "a feed does not come"),
        site.fault("feed_partial", "partial", raw[2], p.partial(raw[2], 0.7), "part of a feed is missing"),
        site.fault("feed_frozen", "frozen", raw[3], p.frozen(raw[3], ["at"], restamped), "an old day comes again"),
        site.fault("codes_truncated", "truncated_snapshot", f"raw_codes_{at[4]}",
                   p.truncated_snapshot(f"raw_codes_{at[4]}", 0.8), "a reference table ends early"),
        site.fault("feed_fahrenheit", "unit", raw[5], p.unit(raw[5], "x", lambda x: x * 1.8 + 32),
                   "a number comes in another unit"),
        site.fault("feed_scaled", "scale_currency", raw[6], p.scale_currency(raw[6], "x", 10),
                   "a number comes ten times as large"),
        site.fault("feed_recoded", "enum_recode", raw[7], p.enum_recode(raw[7], "code", RECODED),
                   "codes come under other names"),
        site.fault("feed_nulls", "null_burst_or_sentinel", raw[8], p.null_burst_or_sentinel(raw[8], "x", None, 0.8),
                   "numbers are missing"),
        site.fault("feed_renamed", "rename_or_type", raw[9], p.rename_or_type(raw[9], "x", "value_x"),
                   "a number comes under another name"),
        site.fault("outcomes_late", "late_positives", "raw_outcomes",
                   p.late_positives("raw_outcomes", pl.col("outcome") == 1), "positive outcomes are missing"),
    )  # fmt: skip
    code = (
        site.fault("code_case", "join_key_case", f"joined_{at[10]}",
                   p.join_key_case(f"joined_{at[10]}", "reference", "code"), "a join key is in lower case"),
        site.fault("codes_fan_out", "fan_out", f"joined_{at[11]}",
                   p.fan_out(f"joined_{at[11]}", "reference", "code", 0.5), "a join multiplies rows"),
        site.fault("codes_inner", "inner_for_left", f"joined_{at[12]}",
                   p.inner_for_left(f"joined_{at[12]}", "staged", "reference", "code"), "a join drops rows"),
        site.fault("low_dropped", "filter_bug", f"staged_{at[13]}",
                   p.filter_bug(f"staged_{at[13]}", "raw", pl.col("x") > 18), "a filter drops small numbers"),
        site.fault("sign_lost", "parse_bug", f"staged_{at[14]}",
                   p.parse_bug(f"staged_{at[14]}", "raw", "x", lambda x: x % 10), "tens are cut off a number"),
        site.fault("value_default", "default_fill", f"joined_{at[15]}",
                   p.default_fill(f"joined_{at[15]}", "value", 0.0), "values give way to a default"),
        site.fault("history_short", "wrong_window", f"history_{at[1]}",
                   p.wrong_window(f"history_{at[1]}", "joined", "at", timedelta(days=0)), "a history covers one day"),
        site.fault("history_stale", "stale_feature", f"feature_{at[2]}",
                   p.stale_feature(f"feature_{at[2]}", "history", "known_on", timedelta(days=2)), "a history is old"),
        site.fault("neighbour", "off_by_one_entity", f"feature_{at[3]}",
                   p.off_by_one_entity(f"feature_{at[3]}", f"f{at[3]}"), "a case gets its neighbour's feature"),
        site.fault("feature_scaled", "scale_mismatch", f"feature_{at[4]}",
                   p.scale_mismatch(f"feature_{at[4]}", f"f{at[4]}", 10), "a feature is ten times as large"),
        site.fault("columns_swapped", "column_swap", f"{MODEL}_served",
                   p.column_swap(f"{MODEL}_served", f"f{at[5]}", f"f{at[6]}"), "two features change places"),
        site.fault("cache_empty", "stale_cache", f"{MODEL}_served",
                   p.stale_cache(f"{MODEL}_served", [f"f{n}" for n in at[7:12]]), "the online store answers nothing"),
        site.fault("label_inverted", "label_definition", "outcome_labels",
                   p.label_definition("outcome_labels", "outcome", 1 - pl.col("outcome")), "the label is turned round"),
        site.fault("labels_lost", "label_join_loss", "outcome_labels", p.label_join_loss("outcome_labels", "id"),
                   "most labels find no case"),
        site.scorer("batch_misaligned", p.batch_misaligned(f"{MODEL}_predictions"), "answers go to the next case"),
    )  # fmt: skip
    model = (
        site.loaded("trained_on_little", "wrong_params", p.wrong_params(MODEL, 0.05), "trained on few rows"),
        site.loaded("experiment_loaded", "wrong_version", p.wrong_version(MODEL, 0.05), "never released"),
        site.loaded("no_calibrator", "missing_calibrator", p.missing_calibrator(), "no calibrator"),
        site.loaded("threshold_default", "config_threshold", p.config_threshold(to=0.9), "another threshold"),
    )  # fmt: skip
    return (*feeds, *code, *model)


def decoys(project: str, blocks: int) -> tuple[Decoy, ...]:
    """Return the harmless changes of a lineage with so many blocks."""
    at = [f"{round(place * (blocks - 1) / 6):02d}" for place in range(7)]
    site = Sites(project, MODEL)
    return (
        p.refactor(f"joined_{at[1]}", site.ref(f"joined_{at[1]}")),
        p.refactor(f"feature_{at[2]}", site.ref(f"feature_{at[2]}")),
        p.rounding(f"history_{at[3]}", site.ref(f"history_{at[3]}"), "usual"),
        p.reseed(site.deployment),
        p.reorder(f"raw_{at[4]}", site.ref(f"raw_{at[4]}")),
        p.added_column(f"raw_{at[5]}", site.ref(f"raw_{at[5]}")),
    )


def worlds(project: str, blocks: int) -> tuple[Fault, ...]:
    """Return the changes of the world of a lineage with so many blocks."""
    site = Sites(project, MODEL)
    case = ("id", "id")
    population = {f"raw_{block:02d}": case for block in range(blocks)} | {"raw_outcomes": case}

    def cases(doors: Doors, window: Window) -> pl.DataFrame:
        rows = doors.rows("raw_00", window)
        assert rows is not None
        return rows.select("id", "segment", "x")

    turned = {"outcome": pl.lit(1)}
    return (
        site.world("public_cases", "covariate", other_cases(population, cases, pl.col("segment") != "private"),
                   "trade and public cases come instead of private ones"),
        site.world("all_worse", "concept", other_outcomes("raw_outcomes", "id", cases, pl.lit(True), turned, 0.6),
                   "of all cases that would have ended well, three fifths do not"),
        site.world("private_worse", "concept",
                   other_outcomes("raw_outcomes", "id", cases, pl.col("segment") == "private", turned, 0.8),
                   "private cases end badly"),
    )  # fmt: skip
