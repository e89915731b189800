"""Ready-made faults and harmless changes: a pipeline only names its sites.

Every function here returns what begins the fault, to be given to `entry.Fault` as ``plant``; those of `harmless` return
a `entry.Decoy`. The names are the kinds' own; `changed_feed` and `changed_code` take a change of your own.
"""

from __future__ import annotations

from headwater.testing.silent_failures.deployed import (
    Deployed,
    Hit,
    batch_misaligned,
    changed_code,
    column_swap,
    default_fill,
    fan_out,
    filter_bug,
    future_leak,
    inner_for_left,
    join_key_case,
    label_definition,
    label_join_loss,
    off_by_one_entity,
    parse_bug,
    scale_mismatch,
    stale_cache,
    stale_feature,
    wrong_window,
)
from headwater.testing.silent_failures.feeds import (
    changed_feed,
    chosen,
    concept_global,
    concept_slice,
    covariate,
    duplicated_load,
    enum_recode,
    frozen,
    late_partition,
    late_positives,
    null_burst_or_sentinel,
    other_season,
    out_of_order_backfill,
    partial,
    rename_or_type,
    scale_currency,
    time_offset,
    together,
    truncated_snapshot,
    unit,
)
from headwater.testing.silent_failures.harmless import new_column, refactor, reorder, reseed, rounding
from headwater.testing.silent_failures.releases import (
    config_threshold,
    label_leak,
    missing_calibrator,
    retrained,
    trained_on_faulted_snapshot,
    wrong_params,
    wrong_version,
)

__all__ = [
    "Deployed", "Hit", "batch_misaligned", "changed_code", "changed_feed", "chosen", "column_swap", "concept_global",
    "concept_slice", "config_threshold", "covariate", "default_fill", "duplicated_load", "enum_recode", "fan_out",
    "filter_bug", "frozen", "future_leak", "inner_for_left", "join_key_case", "label_definition", "label_join_loss",
    "label_leak", "late_partition", "late_positives", "missing_calibrator", "new_column", "null_burst_or_sentinel",
    "off_by_one_entity", "other_season", "out_of_order_backfill", "parse_bug", "partial", "refactor",
    "rename_or_type", "reorder", "reseed", "retrained", "rounding", "scale_currency", "scale_mismatch", "stale_cache",
    "stale_feature", "time_offset", "together", "trained_on_faulted_snapshot", "truncated_snapshot", "unit",
    "wrong_params", "wrong_version", "wrong_window",
]  # fmt: skip
