"""The 37 kinds of silent faults: where each stands, who answers for it, what is right to do, and how it is said.

Some kinds are held out: whoever fits anything to this benchmark must do so without them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Literal

Group = Literal[
    "ingestion", "content", "transform", "feature", "training", "release", "serving", "labels", "world"
]  # fmt: skip
GROUPS: tuple[Group, ...] = (
    "ingestion", "content", "transform", "feature", "training", "release", "serving", "labels", "world",
)  # fmt: skip
_ALL = ("abrupt", "gradual", "intermittent")
_FEED, _CODE, _MODEL = frozenset({"repair", "hold"}), frozenset({"rollback_code"}), frozenset({"rollback_model"})
_BUG = "transform_code feature_code label_code"
"""A bug in a job is said by whose code it is: of a dataset, of features, of labels."""


@dataclass(frozen=True)
class Kind:
    """One way in which a pipeline fails silently.

    Attributes:
        name: The word for it.
        group: Where in the pipeline it happens.
        side: Which side usually answers for it; empty for the world.
        remedies: The remedy actions that are right.
        said: Words of a verdict's ``fault`` that name this kind, with ``*`` for any end; its own name always does.
        of_snapshots: Words that name it too where the asset is a full table.
        shapes: How it can set in.
        describe: What it is.
    """

    name: str
    group: Group
    side: Literal["data", "ml", ""]
    remedies: frozenset[str]
    said: tuple[str, ...]
    shapes: tuple[str, ...]
    describe: str
    of_snapshots: tuple[str, ...] = ()

    def named_by(self, word: str, *, snapshot: bool = False) -> bool:
        """Tell whether a verdict's word for the fault says this kind; ``snapshot``: of a full table."""
        patterns = (self.name, *self.said, *(self.of_snapshots if snapshot else ()))
        return any(fnmatchcase(word, pattern) for pattern in patterns)


def _kind(
    name: str,
    group: Group,
    side: Literal["data", "ml", ""],
    remedies: frozenset[str],
    said: str,
    describe: str,
    shapes: Iterable[str] = _ALL,
    of_snapshots: str = "",
) -> Kind:
    return Kind(name, group, side, remedies, tuple(said.split()), tuple(shapes), describe, tuple(of_snapshots.split()))


_LISTED = (
    _kind("late_partition", "ingestion", "data", _FEED, "missing missing_rows",
          "a window does not come, or comes empty", ("abrupt", "intermittent")),
    _kind("partial", "ingestion", "data", _FEED, "late_partition truncated missing_rows",
          "part of the rows is missing"),
    _kind("duplicated_load", "ingestion", "data", _FEED, "duplicate_load", "rows are loaded twice"),
    _kind("frozen", "ingestion", "data", _FEED, "frozen", "old rows come again under new stamps", ("abrupt",),
          of_snapshots="truncated"),  # an old full table lacks what came since
    _kind("out_of_order_backfill", "ingestion", "data", _FEED, "duplicate_load frozen",
          "rows of an older window arrive with or in place of the present ones", of_snapshots="truncated"),
    _kind("truncated_snapshot", "ingestion", "data", _FEED, "truncated missing_rows",
          "a full table ends early", ("abrupt", "gradual")),
    _kind("unit", "content", "data", _FEED, "unit", "a column comes in another unit"),
    _kind("scale_currency", "content", "data", _FEED, "unit", "amounts come scaled or in another currency"),
    _kind("enum_recode", "content", "data", _FEED, "enum_recode", "categories come under other codes"),
    _kind("time_offset", "content", "data", _FEED, "time_offset", "times come in another zone or moved"),
    _kind("rename_or_type", "content", "data", _FEED, "rename type_change missing_column missing",
          "a column has another name or type", ("abrupt", "intermittent")),
    _kind("null_burst_or_sentinel", "content", "data", _FEED, "null_burst sentinel default_fill",
          "values are missing, or stood in for by a number that means nothing"),
    _kind("join_key_case", "transform", "data", _CODE, _BUG, "a join key is written differently"),
    _kind("fan_out", "transform", "data", _CODE, _BUG, "a join multiplies rows"),
    _kind("inner_for_left", "transform", "data", _CODE, _BUG, "a join drops what finds no partner"),
    _kind("filter_bug", "transform", "data", _CODE, _BUG, "a filter keeps the wrong rows"),
    _kind("parse_bug", "transform", "data", _CODE, _BUG, "a value is read wrongly"),
    _kind("default_fill", "transform", "data", _CODE, _BUG, "values give way to a default"),
    _kind("stale_feature", "feature", "ml", _CODE, "feature_code transform_code", "a feature is of an earlier window"),
    _kind("wrong_window", "feature", "ml", _CODE, "feature_code transform_code",
          "an aggregate covers the wrong span of time"),
    _kind("future_leak", "feature", "ml", _CODE, "feature_code transform_code",
          "a feature is made of what is known only later"),
    _kind("off_by_one_entity", "feature", "ml", _CODE, "feature_code transform_code",
          "an entity gets its neighbour's feature"),
    _kind("scale_mismatch", "feature", "ml", _CODE, "feature_code transform_code",
          "a feature is scaled otherwise than in training"),
    _kind("trained_on_faulted_snapshot", "training", "ml", _MODEL, "loaded_* released_version",
          "a version was trained on faulty rows", ("abrupt",)),
    _kind("label_leak", "training", "ml", _MODEL, "loaded_* released_version",
          "a version was trained on what it must not know", ("abrupt",)),
    _kind("wrong_params", "training", "ml", _MODEL, "loaded_* released_version",
          "a version was trained with a wrong split, seed or parameters", ("abrupt",)),
    _kind("wrong_version", "release", "ml", _MODEL, "loaded_*", "the server loads a version that was not released",
          ("abrupt",)),
    _kind("missing_calibrator", "release", "ml", _MODEL, "loaded_*", "the server runs without a part of the model",
          ("abrupt",)),
    _kind("config_threshold", "release", "ml", _MODEL, "loaded_*", "the server decides at another threshold",
          ("abrupt",)),
    _kind("column_swap", "serving", "ml", _CODE, "serving_features scoring_code",
          "columns reach the scorer in each other's place"),
    _kind("stale_cache", "serving", "ml", _CODE, "serving_features",
          "the online store answers old values or defaults"),
    _kind("batch_misaligned", "serving", "ml", _CODE, "scoring_code serving_features",
          "answers go to the wrong requests", ("abrupt",)),
    _kind("late_positives", "labels", "data", _FEED, "missing_outcomes missing_rows late_partition truncated",
          "outcomes of one class are not reported in time"),
    _kind("label_definition", "labels", "ml", _CODE, "label_code transform_code", "the label means something else"),
    _kind("label_join_loss", "labels", "ml", _CODE, "label_code transform_code", "labels are lost in a join"),
    _kind("covariate", "world", "", frozenset({"none", "hold", "retrain"}), "world covariate*",
          "other cases come than before", ("abrupt",)),
    _kind("concept", "world", "", frozenset({"retrain"}), "world concept*",
          "the same cases end differently than before", ("abrupt",)),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _LISTED}
"""Every kind by name."""
HELD_OUT_SEED = 20_261_122


def _held_out() -> frozenset[str]:
    """Choose a quarter of each group, at least one, by a hash of seed and name."""
    chosen: list[str] = []
    for group in GROUPS:
        names = [kind.name for kind in _LISTED if kind.group == group]
        ranked = sorted(names, key=lambda name: sha256(f"{HELD_OUT_SEED} {name}".encode()).hexdigest())
        chosen += ranked[: max(1, len(names) // 4)]
    return frozenset(chosen)


HELD_OUT: frozenset[str] = _held_out()
"""Kinds that nothing may be fitted on; what is measured on them is the headline."""
